"""Content: what is found out about it before it is sent, in pieces of any size."""
# ruff: noqa: ANN401 - flows, and faces of either colour, have no common type

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpx.errors import LocalProtocolError
from smtpx.flows.content import Content, Pieces, Scan
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
    assert taken(Content(None), 3, [b"a", b"", b"bcdef"]) == [b"a", b"bcdef"]
    assert taken(Content(None, repair=True), 3, [b"a\n", b"b\r"]) == [b"a\r\n", b"b", b" "]
