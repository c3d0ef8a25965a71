"""Certificates with every fault, for servers under test."""

import datetime
import ipaddress
import ssl
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["NOW", "Authority", "Issued", "server_context"]

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Issued(NamedTuple):
    """A certificate and its key, and the authority that was to be trusted."""

    der: bytes
    pem: bytes  # chain and key


class Authority:
    """Issues certificates, good ones and others."""

    def __init__(self, name: str = "Test authority") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(name)
        builder = _builder(self.name, self.name, self.key.public_key(), NOW - DAY, NOW + 30 * DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.certificate = builder.sign(self.key, hashes.SHA256())

    def trust(self, directory: Path) -> Path:
        """The file a client trusts it by."""
        path = directory / "authority.pem"
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def issue(
        self,
        *names: str,
        begin: datetime.datetime = NOW - DAY,
        end: datetime.datetime = NOW + 30 * DAY,
        self_signed: bool = False,
        usage: Any = None,  # noqa: ANN401 - an ObjectIdentifier
        key: Any = None,  # noqa: ANN401 - a private key of any kind
        email: str | None = None,
    ) -> Issued:
        """A certificate."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = _name("Test server")
        issuer = subject if self_signed else self.name
        builder = _builder(subject, issuer, key.public_key(), begin, end)
        alternatives: list[x509.GeneralName] = [_alternative(name) for name in names]
        if email:
            alternatives.append(x509.RFC822Name(email))
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        certificate = builder.sign(key if self_signed else self.key, hashes.SHA256())
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        encoding = serialization.Encoding
        return Issued(certificate.public_bytes(encoding.DER), certificate.public_bytes(encoding.PEM) + secret)

    def faulty(self) -> dict[str, Issued]:
        """One certificate for localhost with each fault, by the name of the fault."""
        return {
            "expired": self.issue("localhost", begin=NOW - 9 * DAY, end=NOW - 2 * DAY),
            "not_yet_valid": self.issue("localhost", begin=NOW + 2 * DAY),
            "wrong_name": self.issue("mail.example.org"),
            "self_signed": self.issue("localhost", self_signed=True),
            "wrong_purpose": self.issue("localhost", usage=ExtendedKeyUsageOID.CLIENT_AUTH),
            "unknown_issuer": Authority("Somebody else").issue("localhost"),
            "weak_key": self.issue("localhost", key=rsa.generate_private_key(65537, 1024)),  # noqa: S505 - it is
        }


def server_context(issued: Issued, directory: Path) -> ssl.SSLContext:
    """For a server; takes weak keys too."""
    path = directory / "server.pem"
    path.write_bytes(issued.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.load_cert_chain(path)
    return context


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: Any,  # noqa: ANN401 - a public key of any kind
    begin: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    return builder.serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(end)
