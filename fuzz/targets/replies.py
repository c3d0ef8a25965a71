"""What a server sends: the same replies however they are cut, within bounds, and nothing but WireError."""

from fuzz.source import Source, cut
from smtpx.wire.reply import Reply, ReplyParser
from smtpx.wire.syntax import WireError

TOKENS = (b"250 ", b"250-", b"220", b"354 ", b"421 4.3.2 ", b"550-5.1.1 ", b"2.1.0 ", b"5.01.001", b"\r\n", b"\n")
LIMITS = {"max_line_bytes": 200, "max_lines": 5, "max_bytes": 400}
_MOST = LIMITS["max_line_bytes"] + LIMITS["max_bytes"]


def target(data: bytes) -> None:
    """Control octets: cut, leniency."""
    source = Source(data)
    lenient, seed = source.pick(2) == 1, source.pick(256)
    octets = source.rest()
    found, error = _read([octets], lenient=lenient)
    for cuts in (1, seed):
        assert (found, error) == _read(cut(octets, cuts), lenient=lenient), "another outcome when cut"
    for reply in found:
        _check(reply)


def _read(pieces: list[bytes], *, lenient: bool) -> tuple[list[Reply], str | None]:
    parser = ReplyParser(lenient_newlines=lenient, **LIMITS)
    found: list[Reply] = []
    for piece in pieces:
        parser.feed(piece)
        try:
            while (reply := parser.next_reply()) is not None:
                found.append(reply)
        except WireError as error:
            return found, str(error)
        # What is kept is what the next feed copies: as long as it is bounded, time is linear.
        kept = parser._input.size + sum(map(len, parser._texts))  # pyright: ignore[reportPrivateUsage]
        assert kept <= _MOST, "more kept than the limits say"
    return found, None


def _check(reply: Reply) -> None:
    assert 200 <= reply.code <= 599
    assert 1 <= len(reply.lines) <= LIMITS["max_lines"]
    assert not any("\r" in line or "\n" in line for line in reply.lines)
    assert str(reply).isascii()
    assert str(reply).isprintable()
    octets = reply.to_bytes()
    assert octets.endswith(b"\r\n")
    assert all(len(line) <= 512 and line[:-2].decode().isprintable() for line in octets.splitlines(keepends=True))
    parser = ReplyParser()
    parser.feed(octets)
    again = parser.next_reply()
    assert again is not None
    assert not parser.has_input, "one reply became two"
    assert again.code == reply.code
    plain = all(line.isascii() and line.isprintable() and len(line) < 400 for line in reply.lines)
    if plain and not any(line.startswith(" ") for line in reply.lines):
        assert again == reply, "not the same reply when read again"
