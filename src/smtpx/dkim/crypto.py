"""RSA and Ed25519 as DKIM uses them, by `cryptography`: all that is known of it is here.

RSASSA-PKCS1-v1_5 signs a SHA-256 digest (RFC 6376 3.3.2); Ed25519 takes the digest for the message (RFC 8463 3).
"""

from typing import TYPE_CHECKING, TypeAlias

from smtpx.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

    PrivateKey: TypeAlias = RSAPrivateKey | Ed25519PrivateKey
    PublicKey: TypeAlias = RSAPublicKey | Ed25519PublicKey

__all__ = [
    "ED25519",
    "MIN_RSA_BITS",
    "RSA",
    "PrivateKey",
    "PublicKey",
    "generate",
    "load_private",
    "load_public",
    "private_pem",
    "public_octets",
    "require_cryptography",
    "sign",
    "verify",
]

RSA = "rsa"
ED25519 = "ed25519"
MIN_RSA_BITS = 1024  # RFC 8301 3.2: shorter ones prove nothing
_MAX_RSA_BITS = 8192  # RFC 8301 3.2 asks for 4096; checking one costs more than its octets
_PUBLIC_EXPONENT = 65537


def require_cryptography() -> None:
    """See that the library is there.

    Raises:
        ConfigurationError: without smtpx[dkim].
    """
    try:
        import cryptography.hazmat.primitives.serialization as _  # noqa: F401
    except ImportError as error:
        raise ConfigurationError("DKIM: this needs smtpx[dkim]: pip install 'smtpx[dkim]'") from error


def generate(kind: str, bits: int) -> "PrivateKey":
    """A new key; `bits` are for RSA.

    Raises:
        ConfigurationError: if they are too few or too many.
    """
    require_cryptography()
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    if kind == ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    _check_bits(bits)
    return rsa.generate_private_key(_PUBLIC_EXPONENT, bits)


def load_private(pem: bytes, password: bytes | None) -> "PrivateKey":
    """A key in PEM, PKCS#1 or PKCS#8.

    Raises:
        ConfigurationError: if it can't be read, or DKIM has no use for it. Holds nothing of the key.
    """
    require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password)
    except TypeError:
        hint = "it has no password" if password is not None else "it has a password: give it"
        raise ConfigurationError(f"the DKIM key can't be read: {hint}") from None
    except (ValueError, UnsupportedAlgorithm):
        what = "wrong password, or " if password is not None else ""
        raise ConfigurationError(f"the DKIM key can't be read: {what}not a private key in PEM") from None
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ConfigurationError("a DKIM key is RSA or Ed25519")
    _check_bits(key.key_size)
    return key


def _check_bits(bits: int) -> None:
    if not MIN_RSA_BITS <= bits <= _MAX_RSA_BITS:
        raise ConfigurationError(f"an RSA key for DKIM has {MIN_RSA_BITS} to {_MAX_RSA_BITS} bits, not {bits}")


def load_public(kind: str, octets: bytes) -> "PublicKey":
    """A key as `p=` has it: 32 octets, or a SubjectPublicKeyInfo, or an RSAPublicKey, which some publish (3.6.1).

    Raises:
        ValueError: if it is none, or not of this kind, or too short or too long.
    """
    require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    if kind == ED25519:
        return ed25519.Ed25519PublicKey.from_public_bytes(octets)
    try:
        key = load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("not an RSA key") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA key")
    _check_bits(key.key_size)
    return key


def public_octets(key: "PrivateKey") -> tuple[str, bytes]:
    """What kind of key it is, and what `p=` is to hold."""
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = key.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        return ED25519, public.public_bytes_raw()
    return RSA, public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def private_pem(key: "PrivateKey") -> bytes:
    """The key in PKCS#8, not encrypted."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def sign(key: "PrivateKey", digest: bytes) -> bytes:
    """The signature of a SHA-256 digest."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ed25519, padding, utils

    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(digest)
    return key.sign(digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))


def verify(key: "PublicKey", digest: bytes, signature: bytes) -> bool:
    """Whether this is the signature of that digest."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ed25519, padding, utils

    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, digest)
        else:
            key.verify(signature, digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
