"""Certificates described for people, and what is wrong with them; `cryptography` reads them."""

import datetime
import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["Description", "Problem", "describe", "problems_of"]

_MIN_RSA_BITS = 2048  # NIST SP 800-131A
_MIN_EC_BITS = 224
_WEAK_HASHES = frozenset({"md5", "sha1"})
# OpenSSL stops at the first fault it finds, and an unknown issuer comes before all others; so it is always told.
_UNKNOWN_ISSUER = ("unable to get", "in certificate chain", "unable to verify the first")


@dataclass(frozen=True, slots=True)
class Description:
    """One certificate."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime.datetime
    not_after: datetime.datetime
    key: str
    signature: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: a name for programs, a text for people."""

    name: str
    text: str


def describe(der: bytes) -> Description:
    """Read a certificate.

    Raises:
        ImportError: without `cryptography`.
        ValueError: if it can't be read.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        certificate = x509.load_der_x509_certificate(der)
        algorithm = certificate.signature_hash_algorithm
        return Description(
            certificate.subject.rfc4514_string(),
            certificate.issuer.rfc4514_string(),
            _names(certificate),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            " ".join(map(str, _key(certificate))),
            algorithm.name if algorithm is not None else "none",
        )
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error


def problems_of(
    chain: Sequence[bytes], host: str, error: str | None, now: datetime.datetime | None = None
) -> list[Problem]:
    """All that is wrong with a chain, its own certificate first.

    Args:
        host: the name it should bear.
        error: what OpenSSL says.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    found: list[Problem] = []
    for index, der in enumerate(chain):
        try:
            found += _faults(der, host if index == 0 else None, now)
        except ValueError as failure:
            found.append(Problem("unreadable", f"certificate {index + 1} can't be read: {failure}"))
    if error is not None and any(text in error for text in _UNKNOWN_ISSUER):
        found.append(Problem("unknown_issuer", "nobody we trust has issued it"))
    if error is not None and not found:
        found.append(Problem("not_trusted", error))
    return found


def _faults(der: bytes, host: str | None, now: datetime.datetime) -> Iterator[Problem]:
    from cryptography import x509

    seen = describe(der)
    certificate = x509.load_der_x509_certificate(der)
    whose = "" if host is not None else f" ({seen.subject})"
    self_issued = certificate.subject == certificate.issuer
    if now > seen.not_after:
        yield Problem("expired", f"it expired on {seen.not_after:%Y-%m-%d}{whose}")
    if now < seen.not_before:
        yield Problem("not_yet_valid", f"it is not valid before {seen.not_before:%Y-%m-%d}{whose}")
    kind, bits = _key(certificate)
    least = {"RSA": _MIN_RSA_BITS, "EC": _MIN_EC_BITS, "DSA": 1 << 20}.get(kind, 0)
    if bits < least:
        yield Problem("weak_key", f"its key is weak: {seen.key} bits{whose}")
    if seen.signature in _WEAK_HASHES and (host is not None or not self_issued):
        yield Problem("weak_signature", f"it is signed with {seen.signature}{whose}")
    if host is None:
        return
    if not any(_bears(name, host) for name in seen.names):
        yield Problem("wrong_name", f"it is not for {host} but for {', '.join(seen.names) or 'nobody'}")
    if self_issued:
        yield Problem("self_signed", "it is signed by itself")
    if not _is_for_servers(certificate):
        yield Problem("wrong_purpose", "it is not for servers")


def _names(certificate: "x509.Certificate") -> tuple[str, ...]:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    found = names.get_values_for_type(x509.DNSName)
    return (*found, *map(str, names.get_values_for_type(x509.IPAddress)))


def _key(certificate: "x509.Certificate") -> tuple[str, int]:
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "EC", key.key_size
    if isinstance(key, dsa.DSAPublicKey):
        return "DSA", key.key_size
    return type(key).__name__.removesuffix("PublicKey").lstrip("_"), 256


def _is_for_servers(certificate: "x509.Certificate") -> bool:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.SERVER_AUTH in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage


def _bears(name: str, host: str) -> bool:
    """Whether a name in a certificate is that of a host; a wildcard stands for one label (RFC 6125 6.4.3)."""
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(host)
    except ValueError:
        pass
    name, host = name.lower().rstrip("."), host.lower().rstrip(".")
    if name.startswith("*."):
        label, dot, rest = host.partition(".")
        return bool(label and dot) and rest == name[2:]
    return name == host
