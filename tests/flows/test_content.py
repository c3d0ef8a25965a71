"""Content: what is found out about it before it is sent, in pieces of any size."""
# ruff: noqa: ANN401 - flows, and faces of either colour, have no common type

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpx.errors import DeadlineError, LocalProtocolError
from smtpx.flows.content import Content, Pieces, Scan, look_ahead
from smtpx.flows.steps import NextChunk
from tests.peers import Dialogue
from tests.wire.cuts import octets, pieces

CONTENT = octets(b"\r\n", b"\r", b"\n", b"a", b".", "ü".encode(), b"\xff", b"\r\n\r\n")


@given(CONTENT, st.booleans(), st.sampled_from([1, 2, 3, 17]))
def test_scan_is_the_same_however_content_is_cut(data: bytes, normalize: bool, size: int) -> None:
    def outcome(parts: list[bytes]) -> Any:
        scan = Scan(normalize_newlines=normalize)
        try:
            for part in parts:
                scan.feed(part)
            return scan.content(None)
        except LocalProtocolError:
            return None

    assert outcome([data]) == outcome(pieces(data, size))


def test_facts() -> None:
    assert Content.of(b"a\r\n") == Content(b"a\r\n", 3, False, utf8_header=False)
    assert Content.of(b"S: x\r\n\r\n\xff\r\n").eight_bit
    assert Content.of("S: ü\r\n\r\nx\r\n".encode()).utf8_header
    assert not Content.of("S: x\r\n\r\nü\r\n".encode()).utf8_header
    assert not Content.of("\r\nü\r\n".encode()).utf8_header  # no header at all
    assert not Content.of(b"S: \xff\r\n\r\nx\r\n").utf8_header  # 8-bit, but no UTF-8


def test_header_without_end_is_looked_at_so_far_only() -> None:
    scan = Scan()
    for _ in range(20):
        scan.feed(b"x" * 99_998 + b"\r\n")
    scan.feed("ü".encode())
    content = scan.content(None)
    assert content.eight_bit
    assert not content.utf8_header


@pytest.mark.parametrize("bad", [b"a\nb", b"a\rb", b"a\r\n\r", b"\n", b"\r\r\n"])
def test_h018_p43_bare_newline(bad: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="normalize_newlines=True") as caught:
        Content.of(bad)
    assert caught.value.stage == "body"


def test_h018_normalized() -> None:
    content = Content.of(b"a\nb\rc\r\n.\n", normalize_newlines=True)
    assert content.data == b"a\r\nb c\r\n.\r\n"
    assert content.size == 11
    scan = Scan(normalize_newlines=True)
    scan.feed("S: x\n\nü\n".encode())
    again = scan.content(None)
    assert again == Content(None, 12, True, utf8_header=False, repair=True)


def taken(content: Content, size: int, chunks: list[bytes] | None = None) -> list[bytes]:
    dialogue, source, found = Dialogue("", chunks=chunks or []), Pieces(content), []
    while (piece := dialogue.run(source.next(size))) is not None:
        found.append(piece)
    assert dialogue.run(source.next(size)) is None
    return found


def test_pieces() -> None:
    data = b"abcdefg"
    assert taken(Content(data), 3) == [b"abc", b"def", b"g"]
    assert taken(Content(data), 7)[0] is data
    assert taken(Content(b"abcdef"), 3) == [b"abc", b"def"]
    assert taken(Content(b""), 3) == []
    whole = b"abc"
    assert taken(Content(None), 3, [whole])[0] is whole


# Looking ahead -------------------------------------------------------------------------------------------------------


def ahead(pieces: Iterable[bytes], *, repair: bool = False, max_bytes: int = 20) -> tuple[Content, list[bytes]]:
    """The content with what its beginning tells, and what was left in the source."""
    source = iter(pieces)
    flow = look_ahead(Content(None, repair=repair), max_bytes)
    try:
        step = next(flow)
        while True:
            assert isinstance(step, NextChunk)
            try:
                piece = next(source, None)
            except OSError as error:
                step = flow.throw(error)
            else:
                step = flow.send(piece)
    except StopIteration as stop:
        found: Content = stop.value
        return found, list(source)


def test_h098_short_content_is_known_whole() -> None:
    content, rest = ahead([b"Subject: \xc3\xbc\r\n", b"", b"\r\nhi\r\n"])
    assert content == Content.of(b"Subject: \xc3\xbc\r\n\r\nhi\r\n")
    assert (content.size, content.eight_bit, content.utf8_header, rest) == (19, True, True, [])


def test_h098_of_long_content_the_beginning_is_known() -> None:
    content, rest = ahead([b"Subject: x\r\n\r\n", b"0123456789\r\n", b"more\r\n"])
    assert (content.data, content.size, content.eight_bit, content.utf8_header) == (None, None, None, False)
    assert content.head == (b"Subject: x\r\n\r\n", b"0123456789\r\n")
    assert rest == [b"more\r\n"]
    content, _ = ahead([b"S: \xc3\xbc\r\n\r\n", b"0123456789\r\n", b"more\r\n"])
    assert (content.eight_bit, content.utf8_header) == (True, True)


def test_what_is_known_already_is_not_looked_at_again() -> None:
    for content in (Content.of(b"x\r\n"), Content(None, 5), Content(None, head=(b"x",))):
        with pytest.raises(StopIteration) as stop:
            next(look_ahead(content, 10))
        assert stop.value.value is content


def test_h018_a_bare_newline_at_the_beginning_shows_before_mail() -> None:
    with pytest.raises(LocalProtocolError, match="octet 13"):
        ahead([b"Subject: x\r\n", b"a\nb\r\n"])
    content, _ = ahead([b"Subject: x\n", b"\n", b"a\r"], repair=True)
    assert content.data == b"Subject: x\r\n\r\na "


def test_d32_a_source_that_fails_at_once_costs_nothing() -> None:
    def broken() -> Iterator[bytes]:
        yield b"Subject: x\r\n"
        raise OSError("disk gone")

    with pytest.raises(LocalProtocolError, match="disk gone"):
        ahead(broken())


def test_an_error_of_ours_passes_as_it_is() -> None:
    flow = look_ahead(Content(None), 10)
    next(flow)
    with pytest.raises(DeadlineError):
        flow.throw(DeadlineError("too late"))


def test_pieces_begin_with_the_head() -> None:
    assert taken(Content(None, head=(b"a", b"b")), 2, [b"c"]) == [b"ab", b"c"]
    assert taken(Content(None, head=(b"a", b"b")), 1, [b"c"]) == [b"a", b"b", b"c"]


def test_small_pieces_are_put_together_and_large_ones_cut() -> None:
    """A chunk for each line of a generator would be a round trip for each line, and more than servers put up with."""
    assert taken(Content(None), 4, [b"ab", b"", b"cd", b"ef", b"g"]) == [b"abcd", b"efg"]
    assert taken(Content(None), 4, [b"abcdefghi"]) == [b"abcd", b"efgh", b"i"]
    assert taken(Content(None, repair=True), 4, [b"a\n", b"b\r"]) == [b"a\r\nb", b" "]
    sizes = [len(each) for each in taken(Content(None), 1 << 18, [b"x" * 100] * 1000)]
    assert sizes == [32_800, 32_800, 32_800, 1600]  # a slow source is not waited for any longer


@given(st.binary(max_size=200), st.integers(1, 50))
def test_binary_content_may_be_any_octets(data: bytes, size: int) -> None:
    scan = Scan(binary=True)
    for start in range(0, len(data), size):
        scan.feed(data[start : start + size])
    assert scan.content(data) == Content.of(data, binary=True)
    assert Content.of(data, binary=True).binary
    assert Content.of(data, binary=True).data == data
    assert scan.beginning((data,), repair=False).binary
