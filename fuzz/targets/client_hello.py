"""The look into a ClientHello: the same verdict however cut, as a plain reading has it, and in bounded work."""

import struct
from itertools import accumulate

from fuzz.source import Source, cut
from smtpx.net.client_hello import AlpnWatch

WANTED = frozenset({b"smtp", b"esmtp"})
TOKENS = (
    b"\x16\x03\x01\0\x40",
    b"\x01\0\0\x3c\x03\x03",
    b"\0\x10\0\x07\0\x05\x04smtp",
    b"\x08http/1.1",
    b"\0\x02\x13\x01",
)


def target(data: bytes) -> None:
    """Control octets: cut; whether the octets are records, or what a good ClientHello is made of."""
    source = Source(data)
    seed, is_good, size = source.pick(256), source.pick(2) == 1, 1 + source.pick(256)
    octets = source.rest()
    expected: bool | None = None
    if is_good:
        octets, expected = _good(octets, size)
    whole = _allows([octets])
    assert expected is None or whole is expected, "the names are not those that stand there"
    for cuts in (1, seed):
        assert _allows(cut(octets, cuts)) is whole, "another verdict when cut"


def _allows(pieces: list[bytes]) -> bool:
    watch = AlpnWatch(WANTED)
    return all(map(watch.allows, pieces))


def _good(octets: bytes, size: int) -> tuple[bytes, bool]:
    """A ClientHello in records of `size`, with names and extensions of these octets; and whether it may go on."""
    source = Source(octets)
    session, suites = source.take(source.octet() % 33), b"\x13\x01" * (1 + source.octet() % 40)
    names = [(b"smtp", b"h2", b"esmtp", b"x")[source.octet() % 4] for _ in range(source.octet() % 4)]
    listed = b"".join(bytes([len(name)]) + name for name in names)
    alpn = struct.pack("!HHH", 16, len(listed) + 2, len(listed)) + listed if names else b""
    others = [struct.pack("!HH", 17 + source.octet(), len(value)) + value for value in _values(source)]
    place = source.octet() % (len(others) + 1)
    extensions = b"".join([*others[:place], alpn, *others[place:]])
    hello = b"\x03\x03" + bytes(32) + bytes([len(session)]) + session + struct.pack("!H", len(suites)) + suites
    hello += b"\x01\0" + struct.pack("!H", len(extensions)) + extensions
    message = b"\x01" + len(hello).to_bytes(3, "big") + hello
    starts = accumulate([size] * (len(message) // size + 1), initial=0)
    pieces = [message[start : start + size] for start in starts if start < len(message)]
    records = b"".join(b"\x16\x03\x01" + struct.pack("!H", len(piece)) + piece for piece in pieces)
    return records, not names or not WANTED.isdisjoint(names)


def _values(source: Source) -> list[bytes]:
    return [source.take(source.octet() % 50) for _ in range(source.octet() % 5)]
