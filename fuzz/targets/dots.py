"""Content in DATA form: the end of data, the dots, bare newlines and their repair, against a plain reference."""

from fuzz import reference
from fuzz.source import Source, cut
from smtpx.wire.dots import DotDecoder, DotEncoder, NewlineCheck, NewlineRepair
from smtpx.wire.syntax import Fault, WireError

TOKENS = (b"\r\n", b"\r", b"\n", b".", b"\r\n.\r\n", b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n..", b"MAIL FROM:<>\r\n")


def target(data: bytes) -> None:
    """Control octets: cut."""
    source = Source(data)
    seed = source.pick(256)
    octets = source.rest()
    for cuts in (0, 1, seed):
        pieces = cut(octets, cuts)
        _decode(octets, pieces)
        assert _checked(pieces) is reference.bare_newline(octets), "bare newline"
        _encode(octets, pieces)
        for stuffed in (False, True):
            repair = NewlineRepair(stuffed=stuffed)
            repaired = b"".join(map(repair.feed, pieces)) + repair.end()
            assert repaired == reference.repaired(octets, stuffed=stuffed), (stuffed, repaired)
            assert reference.bare_newline(repaired) is None


def _decode(octets: bytes, pieces: list[bytes]) -> None:
    expected = reference.end_of_data(octets)
    for stuffed in (True, False):
        decoder = DotDecoder(stuffed=stuffed)
        out: list[bytes] = []
        for piece in pieces:
            content = decoder.feed(piece)
            assert not (out and content.startswith(b"\n") and out[-1].endswith(b"\r")), "a CR left without its LF"
            out += [content] if content else []
        content = b"".join(out)
        assert decoder.ended == (expected is not None), "end of data"
        if expected is None:
            whole = reference.unstuffed(octets) if stuffed else octets
            assert whole.startswith(content)
            assert len(octets) - len(content) <= 5 + octets.count(b"\r\n.") + octets.startswith(b".")
        else:
            assert content == (reference.unstuffed(expected[0]) if stuffed else expected[0])
            assert decoder.rest == expected[1]


def _checked(pieces: list[bytes]) -> Fault | None:
    check = NewlineCheck()
    try:
        for piece in pieces:
            check.feed(piece)
        check.end()
    except WireError as error:
        return error.fault
    return None


def _encode(octets: bytes, pieces: list[bytes]) -> None:
    encoder = DotEncoder()
    try:
        encoded = b"".join(map(encoder.feed, pieces)) + encoder.end()
    except WireError as error:
        assert error.fault is reference.bare_newline(octets)
        return
    assert reference.bare_newline(octets) is None
    decoder = DotDecoder()
    content = decoder.feed(encoded)
    assert decoder.ended
    assert decoder.rest == b"", "an end of data inside of the content"
    ending = b"" if octets.endswith(b"\r\n") or not octets else b"\r\n"
    assert content == octets + ending
    for careless in (b"\n.\n", b"\r.\r", b"\n.\r\n"):
        assert (b"\r\n" + encoded).find(careless) in (-1, len(encoded) - 2), "smuggling"
