"""The line splitter: as a plain reference has it, whole and in pieces, in bounded memory."""

from fuzz import reference
from fuzz.source import Source, cut
from smtpx.wire.lines import Lines
from smtpx.wire.syntax import Fault, WireError

TOKENS = (b"\r\n", b"\r", b"\n", b"\r\r\n", b"xxxxxxxxxxxxxxxx", b"\0")


def target(data: bytes) -> None:
    """Control octets: cut, leniency, limits."""
    source = Source(data)
    lenient, seed = source.pick(2) == 1, source.pick(256)
    max_line = 2 + source.pick(24)
    max_discard = max_line + source.pick(40)
    octets = source.rest()
    expected = reference.lines(octets, max_line, max_discard, lenient=lenient)
    for cuts in (0, 1, seed):
        assert _read(cut(octets, cuts), max_line, max_discard, lenient=lenient) == expected, cuts


def _read(pieces: list[bytes], max_line: int, max_discard: int, *, lenient: bool) -> list[bytes | Fault]:
    lines = Lines(max_line, max_discard_bytes=max_discard, lenient_newlines=lenient)
    found: list[bytes | Fault] = []
    for piece in pieces:
        lines.feed(piece)
        while True:
            try:
                line = lines.next_line()
            except WireError as error:
                found.append(error.fault)
                if error.fault is not Fault.LINE_TOO_LONG:
                    return found
            else:
                if line is None:
                    break
                found.append(line)
        assert lines.size <= max_line + 1, "more kept than a line"
    return found
