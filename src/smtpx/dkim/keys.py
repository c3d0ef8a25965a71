"""Private keys that sign, and the record that goes with each."""

import os
from collections.abc import Callable
from typing import Literal, TypeAlias

from smtpx.dkim import crypto
from smtpx.dkim.records import KeyRecord
from smtpx.errors import ConfigurationError

__all__ = ["Algorithm", "Key", "KeySource"]

Algorithm: TypeAlias = Literal["rsa-sha256", "ed25519-sha256"]
KeySource: TypeAlias = "Key | str | bytes | os.PathLike[str]"
_ALGORITHMS: tuple[Algorithm, Algorithm] = ("rsa-sha256", "ed25519-sha256")
_DEFAULT_BITS = 2048  # RFC 8301 3.2
_MARK = "-----BEGIN"
_MAX_PEM_BYTES = 65_536


class Key:
    """A private key. `repr` shows nothing of it.

    Read one with `Key.read`, make one with `Key.generate`. For a key that is kept elsewhere, say how it signs.

    Args:
        algorithm: "rsa-sha256" or "ed25519-sha256".
        sign: is given a SHA-256 digest of 32 octets. For RSA it returns the RSASSA-PKCS1-v1_5 signature of that
            digest, for Ed25519 the signature of these 32 octets as a message. What it raises comes through.
        record: the public half, if it is known.
    """

    def __init__(
        self, algorithm: Algorithm, sign: Callable[[bytes], bytes], *, record: KeyRecord | None = None
    ) -> None:
        if algorithm not in _ALGORITHMS:
            raise ConfigurationError(f"unknown DKIM algorithm {algorithm!r}; known: {', '.join(_ALGORITHMS)}")
        self.algorithm: Algorithm = algorithm
        self.sign = sign
        self._record = record
        self._private: crypto.PrivateKey | None = None

    @classmethod
    def read(cls, source: KeySource, *, password: str | bytes | None = None) -> "Key":
        """A key in PEM, PKCS#1 or PKCS#8, RSA of 1024 bits and more or Ed25519.

        Args:
            source: the PEM itself as text or octets, or the path of a file that holds it.
            password: of a key that is encrypted.

        Raises:
            ConfigurationError: if it can't be read or used, or smtpx[dkim] is missing.
        """
        if isinstance(source, Key):
            return source
        octets = password.encode() if isinstance(password, str) else password
        return cls._of(crypto.load_private(_pem(source), octets))

    @classmethod
    def generate(cls, kind: Literal["rsa", "ed25519"] = "rsa", *, bits: int = _DEFAULT_BITS) -> "Key":
        """A new key; `bits` are for RSA, 1024 to 8192.

        Raises:
            ConfigurationError: for another kind or length, or without smtpx[dkim].
        """
        if kind not in (crypto.RSA, crypto.ED25519):
            raise ConfigurationError(f"a DKIM key is rsa or ed25519, not {kind!r}")
        return cls._of(crypto.generate(kind, bits))

    @classmethod
    def _of(cls, private: "crypto.PrivateKey") -> "Key":
        kind, octets = crypto.public_octets(private)
        algorithm = _ALGORITHMS[kind == crypto.ED25519]
        key = cls(algorithm, lambda digest: crypto.sign(private, digest), record=KeyRecord(kind=kind, octets=octets))
        key._private = private
        return key

    def __repr__(self) -> str:
        return f"<Key {self.algorithm}>"

    @property
    def record(self) -> KeyRecord:
        """The public half.

        Raises:
            ConfigurationError: for a key that is kept elsewhere, and came without it.
        """
        if self._record is None:
            raise ConfigurationError("the public half of this key is not known: Key(..., record=...)")
        return self._record

    def dns_record(self) -> str:
        """The text of the TXT record to publish, at `Signer.dns_name`.

        Raises:
            ConfigurationError: as `record`.
        """
        return str(self.record)

    def to_pem(self) -> bytes:
        """The key in PKCS#8, not encrypted: keep it in a file that only the sender can read.

        Raises:
            ConfigurationError: if it is kept elsewhere.
        """
        if self._private is None:
            raise ConfigurationError("this key is kept elsewhere")
        return crypto.private_pem(self._private)


def _pem(source: "str | bytes | os.PathLike[str]") -> bytes:
    if isinstance(source, bytes):
        return source
    if isinstance(source, str) and _MARK in source:
        return source.encode("utf-8", "surrogateescape")
    try:
        with open(source, "rb") as file:
            return file.read(_MAX_PEM_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a NUL. What was taken for a path may be a key: don't show it
        reason = getattr(error, "strerror", None) or "no such file"
        raise ConfigurationError(f"the DKIM key can't be read from its file: {reason}") from None
