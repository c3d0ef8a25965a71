"""The line splitter: CRLF and nothing else, bounded, and the same however the octets arrive."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpx.wire.lines import Lines
from smtpx.wire.syntax import Fault, WireError
from tests.wire.cuts import SIZES, cut, every_cut, octets, pieces, places

HUGE = 1 << 40
TEXTS = octets(b"\r\n", b"\r", b"\n", b"NOOP", b"a" * 5)


def read(
    parts: Iterable[bytes], max_line: int, max_discard: int = HUGE, *, lenient: bool = False
) -> list[bytes | Fault | None]:
    """What comes out, faults included, to the first one that ends everything; None for a line left unfinished."""
    lines = Lines(max_line, max_discard_bytes=max_discard, lenient_newlines=lenient)
    out: list[bytes | Fault | None] = []
    for part in parts:
        lines.feed(part)
        while True:
            try:
                line = lines.next_line()
            except WireError as error:
                out.append(error.fault)
                if error.fault is not Fault.LINE_TOO_LONG:
                    return out
            else:
                if line is None:
                    break
                out.append(line)
        assert lines.size <= max_line + 1
    return [*out, None] if lines.has_input else out


def model(data: bytes, max_line: int, max_discard: int = HUGE, *, lenient: bool = False) -> list[bytes | Fault | None]:
    """The same, written down from the rules."""
    out: list[bytes | Fault | None] = []
    *ended, rest = data.split(b"\n")
    for line in ended:
        bare_lf = not line.endswith(b"\r")
        text = line if bare_lf else line[:-1]
        if len(line) + 1 > max(max_line, max_discard):
            return [*out, Fault.LINE_ENDLESS]
        if bare_lf and not lenient:
            return [*out, Fault.BARE_LF]
        if b"\r" in text:
            return [*out, Fault.BARE_CR]
        out.append(Fault.LINE_TOO_LONG if len(line) + 1 > max_line else text)
    if len(rest) >= max(max_line, max_discard):
        return [*out, Fault.LINE_ENDLESS]
    return [*out, None] if rest else out


@pytest.mark.parametrize("limit", [1, 2, 4, 4096, 4097, HUGE])
@pytest.mark.parametrize(
    "data",
    [b"", b"a", b"\n", b"\r\n", b"one\r\ntwo\r\n", b"\n\n\n", b"x" * 4097 + b"\nnext", b"x" * 4097 + b"\r\nnext"],
    ids=["empty", "a", "LF", "CRLF", "two lines", "three LFs", "4097 x LF next", "4097 x CRLF next"],
)
def test_x20_same_verdict_for_every_piece_size(data: bytes, limit: int) -> None:
    expected = model(data, limit)
    for size in (*SIZES, 8192, 10000):
        assert read(pieces(data, size), limit) == expected


@settings(deadline=None)
@given(TEXTS, places, st.integers(1, 12), st.integers(1, 40), st.booleans())
def test_x20_split_anywhere(data: bytes, at: list[int], max_line: int, max_discard: int, lenient: bool) -> None:
    expected = model(data, max_line, max_discard, lenient=lenient)
    for parts in ([data], cut(data, at), *(pieces(data, size) for size in SIZES)):
        assert read(parts, max_line, max_discard, lenient=lenient) == expected


def test_rfc5321_2_3_8_crlf_ends_a_line() -> None:
    for parts in every_cut(b"MAIL FROM:<a@b.example>\r\n\r\nQUIT\r\nrest"):
        assert read(parts, 512) == [b"MAIL FROM:<a@b.example>", b"", b"QUIT", None]


@pytest.mark.parametrize(
    "data", [b"NOOP\nMAIL FROM:<a@client.example>\r\n", b"EHLO client.example\n", b"\n", b"\r\r\n\n"]
)
def test_h014_bare_lf_is_a_fault_as_soon_as_it_is_seen(data: bytes) -> None:
    for parts in every_cut(data):
        assert read(parts, 512)[-1] in (Fault.BARE_LF, Fault.BARE_CR)
    lines = Lines(512, max_discard_bytes=65536)
    lines.feed(b"EHLO client.example")
    assert lines.next_line() is None
    lines.feed(b"\n")
    with pytest.raises(WireError) as caught:
        lines.next_line()
    assert caught.value.fault is Fault.BARE_LF


def test_h014_lenient_takes_bare_lf_as_a_line_end() -> None:
    for parts in every_cut(b"NOOP\n\nRSET\r\nQUIT\n"):
        assert read(parts, 512, lenient=True) == [b"NOOP", b"", b"RSET", b"QUIT"]


@pytest.mark.parametrize("lenient", [False, True], ids=["strict", "lenient"])
@pytest.mark.parametrize("data", [b"NO\rOP\r\n", b"\rNOOP\r\n", b"NOOP\r\r\n", b"\r\r\n"])
def test_h015_bare_cr_is_a_fault_in_both_modes(data: bytes, lenient: bool) -> None:
    for parts in every_cut(data):
        assert read(parts, 512, lenient=lenient) == [Fault.BARE_CR]


def test_h015_lenient_refuses_bare_cr_in_front_of_bare_lf() -> None:
    for parts in every_cut(b"NO\rOP\n"):
        assert read(parts, 512, lenient=True) == [Fault.BARE_CR]


def test_h073_rfc5321_4_5_3_1_4_line_of_exactly_the_limit() -> None:
    for parts in every_cut(b"a" * 2046 + b"\r\n" + b"b" * 2047 + b"\r\nNOOP\r\n"):
        assert read(parts, 2048, 65536) == [b"a" * 2046, Fault.LINE_TOO_LONG, b"NOOP"]


@pytest.mark.parametrize("lenient", [False, True], ids=["strict", "lenient"])
@pytest.mark.parametrize(
    ("end", "fault"),
    [
        (b"\r\n", Fault.LINE_TOO_LONG),
        (b"\n", Fault.BARE_LF),
        (b"\r\r\n", Fault.BARE_CR),
        (b"\rx\r\n", Fault.BARE_CR),
        (b"\r" + b"x" * 40 + b"\r\n", Fault.BARE_CR),
        (b"\rx\n", Fault.BARE_LF),
    ],
)
def test_h073_h014_h015_bare_newlines_are_seen_in_what_is_thrown_away(end: bytes, fault: Fault, lenient: bool) -> None:
    data = b"x" * 40 + end
    if lenient and fault is Fault.BARE_LF:
        fault = Fault.BARE_CR if b"\r" in end else Fault.LINE_TOO_LONG
    for parts in every_cut(data):
        assert read(parts, 16, 1000, lenient=lenient)[0] is fault


def test_h073_line_without_end_is_given_up_at_the_limit() -> None:
    whole = b"a" * 65534
    for size in (*SIZES, 65536):
        assert read(pieces(whole + b"\r\n" + b"NOOP\r\n", size), 2048, 65536) == [Fault.LINE_TOO_LONG, b"NOOP"]
        assert read(pieces(whole + b"a\r\n", size), 2048, 65536) == [Fault.LINE_ENDLESS]
        assert read(pieces(whole + b"aa", size), 2048, 65536) == [Fault.LINE_ENDLESS]


def test_h073_given_up_stays_given_up() -> None:
    lines = Lines(4, max_discard_bytes=8)
    for _ in range(3):
        lines.feed(b"a" * 8)
        with pytest.raises(WireError) as caught:
            lines.next_line()
        assert caught.value.fault is Fault.LINE_ENDLESS


def test_h073_discard_limit_below_the_line_limit_is_raised_to_it() -> None:
    assert read([b"a" * 8 + b"\r\n"], 10, 1) == [b"a" * 8]


def test_h073_memory_for_an_endless_line_is_the_limit_and_linear() -> None:
    lines = Lines(2048, max_discard_bytes=4 << 20)
    for _ in range(2 << 20):
        lines.feed(b"a")
        assert lines.next_line() is None
    assert lines.size <= 2049
    lines.feed(b"\r\nNOOP\r\n")
    with pytest.raises(WireError):
        lines.next_line()
    assert lines.next_line() == b"NOOP"


def test_many_lines_in_one_piece_are_linear() -> None:
    count = 1 << 19
    lines = Lines(512, max_discard_bytes=512)
    lines.feed(b"\r\n" * count)
    assert sum(1 for _ in iter(lines.next_line, None)) == count


def test_has_input_size_and_peek_tell_what_lies_here() -> None:
    lines = Lines(4, max_discard_bytes=100)
    assert (lines.has_input, lines.size, lines.peek()) == (False, 0, None)
    lines.feed(b"A\r\nB")
    assert (lines.has_input, lines.size, lines.peek()) == (True, 4, ord("A"))
    assert lines.next_line() == b"A"
    assert (lines.has_input, lines.size, lines.peek()) == (True, 1, ord("B"))
    lines.feed(b"\r\n")
    assert lines.next_line() == b"B"
    assert (lines.has_input, lines.size, lines.peek()) == (False, 0, None)


def test_has_input_while_a_long_line_is_thrown_away() -> None:
    lines = Lines(4, max_discard_bytes=100)
    lines.feed(b"abcdefgh")
    assert lines.next_line() is None
    assert lines.has_input
    assert lines.size == 1


def test_take_lends_octets_to_a_body_reader() -> None:
    lines = Lines(512, max_discard_bytes=512)
    lines.feed(b"BDAT 3\r\na\nb\nNOOP\r\nrest")
    assert lines.next_line() == b"BDAT 3"
    assert lines.take(0) == b""
    assert lines.take(3) == b"a\nb"
    assert lines.take(1) == b"\n"
    assert lines.next_line() == b"NOOP"
    assert lines.take() == b"rest"
    assert lines.take() == b""
    assert not lines.has_input


def test_take_all_from_the_beginning_and_more_than_there_is() -> None:
    lines = Lines(512, max_discard_bytes=512)
    lines.feed(b"abc")
    assert lines.take(10) == b"abc"
    lines.feed(b"def")
    assert lines.take() == b"def"
    lines.feed(b"NOOP\r\n")
    assert lines.next_line() == b"NOOP"


def test_put_back_comes_before_what_came_later() -> None:
    lines = Lines(512, max_discard_bytes=512)
    lines.feed(b"body.NOO")
    lines.take(4)
    assert lines.take(4) == b".NOO"
    lines.feed(b"\r\nQUIT\r\n")
    lines.put_back(b"NOOP")
    assert [lines.next_line(), lines.next_line(), lines.next_line()] == [b"NOOP", b"QUIT", None]


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=9), max_size=9), st.lists(st.integers(0, 9), max_size=20))
def test_take_gives_every_octet_once(parts: list[bytes], sizes: list[int]) -> None:
    lines = Lines(512, max_discard_bytes=512)
    taken = b""
    for part in parts:
        lines.feed(part)
        if sizes:
            taken += lines.take(sizes.pop())
    assert taken + lines.take() == b"".join(parts)


def test_h073_how_a_long_line_began_is_known_however_it_came() -> None:
    for size in (1, 7, 100):
        lines = Lines(20, max_discard_bytes=100)
        text = b"BDAT " + b" " * 40 + b"6\r\nNOOP\r\n"
        found: list[object] = []
        for start in range(0, len(text), size):
            lines.feed(text[start : start + size])
            try:
                while (line := lines.next_line()) is not None:
                    found.append(line)
            except WireError as error:
                found.append(error.fault)
                if (rest := lines.next_line()) is not None:
                    found.append(rest)
        assert found == [Fault.LINE_TOO_LONG, b"NOOP"]
        assert lines.long_line_head == b"BDAT            "
