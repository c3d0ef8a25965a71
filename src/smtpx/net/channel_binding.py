"""What names a TLS channel: `tls-server-end-point` (RFC 5929 4), made from the octets of a certificate."""

import hashlib

__all__ = ["element", "end_point", "inside"]

_SEQUENCE = 0x30
_OBJECT = 0x06
_HASH_ALGORITHM = 0xA0  # [0] of RSASSA-PSS-params (RFC 4055 3.1)
_PSS = "1.2.840.113549.1.1.10"
# Signature algorithm to the hash that the binding takes; MD5 and SHA-1 give way to SHA-256 (RFC 5929 4.1). Ed25519 and
# Ed448 have no hash of this kind, so the binding is undefined for them.
_SIGNATURE_HASHES = {
    "1.2.840.113549.1.1.4": "sha256",  # RSA with MD5
    "1.2.840.113549.1.1.5": "sha256",  # RSA with SHA-1
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
    "1.2.840.113549.1.1.14": "sha224",
    "1.2.840.10040.4.3": "sha256",  # DSA with SHA-1
    "2.16.840.1.101.3.4.3.1": "sha224",  # DSA
    "2.16.840.1.101.3.4.3.2": "sha256",
    "1.2.840.10045.4.1": "sha256",  # ECDSA with SHA-1
    "1.2.840.10045.4.3.1": "sha224",
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
}
_HASHES = {
    "1.3.14.3.2.26": "sha256",  # SHA-1
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "2.16.840.1.101.3.4.2.4": "sha224",
}


def end_point(certificate: bytes) -> bytes | None:
    """The hash of a certificate in DER that RFC 5929 4.1 asks for; None if there is none for how it was signed."""
    try:
        algorithm = _hash_of(certificate)
    except (IndexError, ValueError):
        return None
    return hashlib.new(algorithm, certificate).digest() if algorithm is not None else None


def _hash_of(certificate: bytes) -> str | None:
    _, signed_part = element(inside(certificate, _SEQUENCE))  # tbsCertificate
    algorithm = inside(signed_part, _SEQUENCE)
    identifier, parameters = _object(algorithm)
    if identifier != _PSS:
        return _SIGNATURE_HASHES.get(identifier)
    fields = inside(parameters, _SEQUENCE)
    if fields[:1] != bytes([_HASH_ALGORITHM]):
        return "sha256"  # the default is SHA-1
    identifier, _ = _object(inside(inside(fields, _HASH_ALGORITHM), _SEQUENCE))
    return _HASHES.get(identifier)


def element(data: bytes) -> tuple[bytes, bytes]:
    """The content of the first DER element, and what stands behind it."""
    length, start = data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    if len(data) < start + length:
        raise ValueError("not DER")
    return data[start : start + length], data[start + length :]


def inside(data: bytes, tag: int) -> bytes:
    """The content of the first DER element, which must have this tag."""
    if data[0] != tag:
        raise ValueError("not DER of this form")
    return element(data)[0]


def _object(data: bytes) -> tuple[str, bytes]:
    """An object identifier in dots, and what stands behind it."""
    content, rest = inside(data, _OBJECT), element(data)[1]
    numbers: list[int] = []
    number = 0
    for octet in content:
        number = number << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:]))), rest
