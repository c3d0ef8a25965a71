"""Certificates in files: whether they are in force, and whether somebody has replaced them."""

import re
import time
from binascii import Error as BadBase64
from binascii import a2b_base64
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from smtpx.errors import ConfigurationError
from smtpx.net.channel_binding import element, inside

__all__ = ["CertificateFiles", "Fingerprint", "Validity", "fingerprint", "first_certificate", "validity"]

_PEM = re.compile(b"-----BEGIN (?:X509 )?CERTIFICATE-----(.+?)-----END", re.DOTALL)
_SEQUENCE = 0x30
_VERSION = 0xA0  # [0], absent in version 1
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_TIME = re.compile(rb"(?:[0-9]{2})?[0-9]{12}Z")  # RFC 5280 4.1.2.5: always with seconds, always UTC

Fingerprint = tuple[tuple[int, int, int] | None, ...]
"""What changes when files do, for each of them; None for one that is not there."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A certificate chain in PEM, and its key; the key may stand in the same file."""

    certificate: Path
    key: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        return (self.certificate,) if self.key is None else (self.certificate, self.key)

    @classmethod
    def of(cls, certificate: str | Path, key: str | Path | None = None) -> "CertificateFiles":
        """From names as users write them."""
        return cls(Path(certificate), Path(key) if key else None)

    def check_validity(self, now: float | None = None) -> float:
        """See that the server's own certificate is in force; gives the end of its life, in seconds since 1970.

        Raises:
            ConfigurationError: if it is not, or can't be read.
        """
        now = time.time() if now is None else now
        try:
            der = first_certificate(self.certificate)
            life = validity(der) if der is not None else None
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"can't read certificate {self.certificate}: {error}") from error
        if life is None:
            raise ConfigurationError(f"there is no certificate in {self.certificate}")
        if not life.not_before <= now <= life.not_after:
            state = "has expired" if now > life.not_after else "is not valid yet"
            raise ConfigurationError(f"certificate {self.certificate} {state}: it is good {life}")
        return life.not_after


@dataclass(frozen=True, slots=True)
class Validity:
    """From when until when a certificate is good, in seconds since 1970."""

    not_before: float
    not_after: float

    def __str__(self) -> str:
        begin, end = (datetime.fromtimestamp(each, UTC) for each in (self.not_before, self.not_after))
        return f"from {begin:%Y-%m-%d %H:%M:%S} to {end:%Y-%m-%d %H:%M:%S} UTC"


def first_certificate(path: str | Path) -> bytes | None:
    """The first certificate of a PEM file in DER: the server's own. None if there is none.

    Raises:
        OSError: if the file can't be read.
        ValueError: if it is damaged.
    """
    match = _PEM.search(Path(path).read_bytes())
    try:
        return a2b_base64(match[1]) if match else None
    except BadBase64 as error:
        raise ValueError(str(error)) from error


def validity(certificate: bytes) -> Validity:
    """The validity of a certificate in DER (RFC 5280 4.1.2.5).

    Raises:
        ValueError: if it is not a certificate.
    """
    try:
        rest = inside(inside(certificate, _SEQUENCE), _SEQUENCE)  # tbsCertificate
        if rest[0] == _VERSION:
            rest = element(rest)[1]
        for _ in ("serialNumber", "signature", "issuer"):
            rest = element(rest)[1]
        times = inside(rest, _SEQUENCE)
        return Validity(_seconds(times), _seconds(element(times)[1]))
    except IndexError:
        raise ValueError("not a certificate") from None


def _seconds(der: bytes) -> float:
    text = element(der)[0]
    digits = {_UTC_TIME: 12, _GENERALIZED_TIME: 14}.get(der[0])
    if digits is None or len(text) != digits + 1 or _TIME.fullmatch(text) is None:
        raise ValueError("not a time of a certificate")
    full = text if digits == 14 else (b"19" if text[:2] >= b"50" else b"20") + text
    return datetime.strptime(full.decode(), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def fingerprint(paths: Iterable[Path]) -> Fingerprint:
    """What differs from before when one of the files was replaced or written to: times, inodes and sizes."""
    return tuple(_stat(path) for path in paths)


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
