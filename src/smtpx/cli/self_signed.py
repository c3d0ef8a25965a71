"""A throw-away certificate for tests: by `cryptography` where it is installed, else by the `openssl` command."""

import datetime
import ipaddress
import shutil
import subprocess
from pathlib import Path

import click

__all__ = ["make_certificate"]

_DAYS = 30


def make_certificate(directory: Path, hostname: str) -> tuple[Path, Path]:
    """Write a certificate for `hostname`, localhost and the loopback addresses, and its key, into `directory`.

    Raises:
        click.UsageError: if neither `cryptography` nor `openssl` is there.
    """
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    try:
        _with_cryptography(certificate, key, hostname)
    except ImportError:
        if shutil.which("openssl") is None:
            raise click.UsageError("--tls-self-signed needs smtpx[tls], or the openssl command") from None
        _with_openssl(certificate, key, hostname)
    return certificate, key


def _names(hostname: str) -> list[str]:
    return list(dict.fromkeys(("localhost", hostname)))


def _with_cryptography(certificate: Path, key: Path, hostname: str) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    addresses = [x509.IPAddress(ipaddress.ip_address(each)) for each in ("127.0.0.1", "::1")]
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName([*map(x509.DNSName, _names(hostname)), *addresses]), critical=False)
        .sign(private, hashes.SHA256())
    )
    key.touch(mode=0o600)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))


def _with_openssl(certificate: Path, key: Path, hostname: str) -> None:
    names = ",".join([*(f"DNS:{name}" for name in _names(hostname)), "IP:127.0.0.1", "IP:::1"])
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", str(_DAYS)]
    command += ["-subj", f"/CN={hostname[:64]}", "-addext", f"subjectAltName={names}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words, no shell
    if done.returncode:
        raise click.ClickException(f"openssl could not make a certificate: {done.stderr.strip()[-200:]}")
