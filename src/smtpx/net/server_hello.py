"""Looks into what a server says first for the key exchange group (RFC 8446 4.2.8, RFC 8422 5.4).

Python before 3.15 can't be asked for it. It stands in clear on the wire: in the ServerHello of TLS 1.3, in the
ServerKeyExchange of TLS 1.2; and who owns the buffers beside the TLS layer has it.
"""

import struct
from collections.abc import Iterator

__all__ = ["MAX_BYTES", "group_in", "group_name"]

MAX_BYTES = 65_536  # more is not kept: a ServerKeyExchange stands behind the certificates
_HANDSHAKE = 0x16
_SERVER_HELLO = 2
_SERVER_KEY_EXCHANGE = 12
_KEY_SHARE = 51
_NAMED_CURVE = 3
_GROUPS = {  # IANA's names
    0x0017: "secp256r1",
    0x0018: "secp384r1",
    0x0019: "secp521r1",
    0x001A: "brainpoolP256r1",
    0x001B: "brainpoolP384r1",
    0x001C: "brainpoolP512r1",
    0x001D: "X25519",
    0x001E: "X448",
    0x001F: "brainpoolP256r1tls13",
    0x0020: "brainpoolP384r1tls13",
    0x0021: "brainpoolP512r1tls13",
    0x0100: "ffdhe2048",
    0x0101: "ffdhe3072",
    0x0102: "ffdhe4096",
    0x0103: "ffdhe6144",
    0x0104: "ffdhe8192",
    0x0200: "MLKEM512",
    0x0201: "MLKEM768",
    0x0202: "MLKEM1024",
    0x11EB: "SecP256r1MLKEM768",
    0x11EC: "X25519MLKEM768",
    0x11ED: "SecP384r1MLKEM1024",
}


def group_name(number: int) -> str:
    """The name of a group; its number if it has none here.

    >>> group_name(0x11EC), group_name(0x2A2A)
    ('X25519MLKEM768', 'group 0x2a2a')
    """
    return _GROUPS.get(number, f"group 0x{number:04x}")


def group_in(octets: bytes) -> str | None:
    """The group that the records of a server name; None where they name none, or can't be understood.

    A session of TLS 1.2 that is resumed has none, nor has a key exchange with finite fields of the server's own.
    """
    found: int | None = None
    try:
        for kind, body in _messages(octets):
            if kind == _SERVER_HELLO:
                found = _key_share(body)  # behind a HelloRetryRequest comes another one
            elif kind == _SERVER_KEY_EXCHANGE and body[0] == _NAMED_CURVE:
                found = int(struct.unpack_from("!H", body, 1)[0])
    except (struct.error, IndexError):
        pass
    return None if found is None else group_name(found)


def _messages(records: bytes) -> Iterator[tuple[int, bytes]]:
    """Handshake messages, as far as they are in clear."""
    octets, at = b"", 0
    while at + 5 <= len(records):
        kind, _, length = struct.unpack_from("!BHH", records, at)
        if kind == _HANDSHAKE:
            octets += records[at + 5 : at + 5 + length]
        at += 5 + length
    at = 0
    while at + 4 <= len(octets):
        size = int.from_bytes(octets[at + 1 : at + 4], "big")
        body = octets[at + 4 : at + 4 + size]
        if len(body) < size:
            return
        yield octets[at], body
        at += 4 + size


def _key_share(hello: bytes) -> int | None:
    position = 2 + 32
    position += 1 + hello[position] + 2 + 1  # session id, cipher suite, compression
    if position == len(hello):
        return None  # no extensions (TLS 1.2)
    end = position + 2 + struct.unpack_from("!H", hello, position)[0]
    position += 2
    while position < min(end, len(hello)):
        kind, length = struct.unpack_from("!HH", hello, position)
        if kind == _KEY_SHARE and length >= 2:
            return int(struct.unpack_from("!H", hello, position + 4)[0])
        position += 4 + length
    return None
