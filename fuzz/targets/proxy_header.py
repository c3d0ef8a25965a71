"""PROXY headers of both versions: the same however cut, ProxyError and nothing else, and a good one is taken."""

import ipaddress
import struct

from fuzz.source import Source, cut
from smtpx.server.proxy_header import ProxyError, ProxyHeader, ProxyParser

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
TOKENS = (
    *(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n", b"PROXY UNKNOWN\r\n", b"PROXY TCP6 ::1 ::2 1 25\r\n"),
    *(SIGNATURE, SIGNATURE + b"\x21\x11\0\x0c", SIGNATURE + b"\x20\0\0\0", b"\x03\0\x04", b"\x04\0\x07"),
)
_MOST = 16 + 4096


def target(data: bytes) -> None:
    """Control octets: cut; whether the octets are a header, or the extras of a good one."""
    source = Source(data)
    seed, is_extras = source.pick(256), source.pick(2) == 1
    octets = source.rest()
    if is_extras:
        _good(octets[:200], seed)
        return
    whole = _read([octets])
    assert whole == _read(cut(octets, 1)) == _read(cut(octets, seed)), "another outcome when cut"
    if isinstance(whole, tuple):
        _check(*whole, octets)
    elif whole is None:
        assert len(octets) < _MOST


def _read(pieces: list[bytes]) -> tuple[ProxyHeader, bytes] | str | None:
    parser, rest = ProxyParser(), b""
    found: tuple[ProxyHeader, bytes] | None = None
    for piece in pieces:
        if found is not None:
            rest += piece
            continue
        try:
            found = parser.feed(piece)
        except ProxyError as error:
            return str(error)
    return None if found is None else (found[0], found[1] + rest)


def _check(header: ProxyHeader, rest: bytes, octets: bytes) -> None:
    assert octets.endswith(rest)
    for place in (header.source, header.destination):
        if place is not None:
            assert str(ipaddress.ip_address(place[0])) == place[0]
            assert 0 <= place[1] <= 65535


def _good(octets: bytes, seed: int) -> None:
    """A version 2 header with a checksum somewhere among extras."""
    source = Source(octets)
    extras = [(4 + source.octet() % 200, source.take(source.octet() % 20)) for _ in range(source.octet() % 4)]
    place = source.octet() % (len(extras) + 1)
    body = bytes([192, 0, 2, 1, 192, 0, 2, 2]) + struct.pack("!HH", 1234, 25)
    before, behind = (b"".join(_extra(*each) for each in part) for part in (extras[:place], extras[place:]))
    size = len(body) + len(before) + 7 + len(behind)
    start = SIGNATURE + b"\x21\x11" + struct.pack("!H", size) + body + before + b"\x03\0\x04"
    checksum = _crc32c(start + bytes(4) + behind)
    header = start + struct.pack("!I", checksum) + behind
    found = _read(cut(header, seed))
    assert isinstance(found, tuple), found
    assert found[0].source == ("192.0.2.1", 1234)
    assert found[1] == b""


def _extra(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def _crc32c(octets: bytes) -> int:
    """By polynomial division, bit by bit."""
    crc = 0xFFFFFFFF
    for octet in octets:
        for bit in range(8):
            mixed = (crc ^ (octet >> bit)) & 1
            crc = (crc >> 1) ^ (0x82F63B78 * mixed)
    return crc ^ 0xFFFFFFFF
