"""What dkimpy says.

Its Ed25519 comes from PyNaCl, which is not among the tools of this project; where it is missing, `cryptography` does
the arithmetic. What is hashed, and how, is dkimpy's own work either way.
"""

import base64
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import dkim
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from smtpx.dkim import Key

__all__ = ["dkimpy_passes", "dkimpy_signs"]


class _SigningKey:
    def __init__(self, seed: bytes, encoder: object) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(seed))

    def sign(self, octets: bytes) -> Any:  # noqa: ANN401
        return SimpleNamespace(signature=self._key.sign(octets))


class _VerifyKey:
    def __init__(self, octets: bytes, encoder: object) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(base64.b64decode(octets))

    def verify(self, octets: bytes, signature: bytes) -> None:
        self._key.verify(signature, octets)


if not hasattr(dkim, "nacl"):
    dkim.nacl = SimpleNamespace(
        signing=SimpleNamespace(SigningKey=_SigningKey, VerifyKey=_VerifyKey),
        encoding=SimpleNamespace(Base64Encoder=None),
        exceptions=SimpleNamespace(ValueError=ValueError, BadSignatureError=InvalidSignature),
    )


def dkimpy_passes(message: bytes, records: Mapping[str, str]) -> list[bool]:
    """Whether each signature of the message is good."""
    verifier = dkim.DKIM(message)
    count = sum(name.lower() == b"dkim-signature" for name, _ in verifier.headers)
    return [_passes(message, number, _dns(records)) for number in range(count)]


def _passes(message: bytes, number: int, dns: Callable[..., bytes]) -> bool:
    try:
        return bool(dkim.DKIM(message).verify(idx=number, dnsfunc=dns))
    except dkim.DKIMException:
        return False


def _dns(records: Mapping[str, str]) -> Callable[..., bytes]:
    return lambda name, timeout=5: records.get(name.decode().removesuffix("."), "").encode()


def dkimpy_signs(message: bytes, key: Key, **options: Any) -> bytes:  # noqa: ANN401
    """The field it makes for `mail._domainkey.example.org`."""
    private: bytes = key.to_pem()
    if key.algorithm == "ed25519-sha256":
        loaded = load_pem_private_key(private, None)
        assert isinstance(loaded, Ed25519PrivateKey)
        private = base64.b64encode(loaded.private_bytes_raw())
    algorithm = key.algorithm.encode()
    return bytes(dkim.sign(message, b"mail", b"example.org", private, signature_algorithm=algorithm, **options))
