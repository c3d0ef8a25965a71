"""Transfer encodings: what comes out again is what went in, and every line keeps to the rules."""

import binascii
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpx.message import bodies
from smtpx.message.bodies import (
    LineCheck,
    base64_size,
    canonical,
    choose,
    encode,
    encode_pieces,
    mime_charset,
    why_not,
)

HARD = [b"\r\n", b"\r", b"\n", b"From ", b".", b" ", b"\t", b"=", b"x" * 70, b"y" * 5, b"\xc3\xbc", b"\0", b"a", b"=20"]
contents = st.lists(st.sampled_from(HARD), max_size=30).map(b"".join) | st.binary(max_size=400)


def assert_good_lines(encoded: bytes) -> None:
    """RFC 2045 6.7, and what spoils lines on the way."""
    for line in encoded.split(b"\r\n"):
        assert len(line) <= 76
        assert b"\n" not in line
        assert b"\r" not in line
        assert not line.startswith(b"From ")
        assert not line.endswith((b" ", b"\t"))
        assert line != b"."


@given(contents)
def test_quoted_printable(content: bytes) -> None:
    encoded = encode(content, "quoted-printable")
    assert binascii.a2b_qp(encoded) == content
    assert_good_lines(encoded)


@given(contents)
def test_base64(content: bytes) -> None:
    encoded = encode(content, "base64")
    assert binascii.a2b_base64(encoded) == content
    assert len(encoded) == base64_size(len(content))
    assert not content or encoded.endswith(b"\r\n")
    assert_good_lines(encoded)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of two lines, so that short content has many of them."""
    import struct

    monkeypatch.setattr(bodies, "_BLOCK", 114)
    monkeypatch.setattr(bodies, "_CUT_BLOCK", struct.Struct("76s" * 2).unpack)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 114, 1000])
def test_in_pieces(small_blocks: None, size: int) -> None:
    @given(contents)
    def check(content: bytes) -> None:
        pieces = [content[start : start + size] for start in range(0, len(content), size)]
        encoded = b"".join(encode_pieces(pieces, "quoted-printable"))
        assert binascii.a2b_qp(encoded) == content
        assert_good_lines(encoded)
        assert b"".join(encode_pieces(pieces, "base64")) == encode(content, "base64")
        assert b"".join(encode_pieces(pieces, "8bit")) == content

    check()


def test_a_full_line_that_goes_on_in_the_next_block(small_blocks: None) -> None:
    """It may end within an escape, which must not be cut."""
    hidden = b"x" * 75 + b"From " + b"x" * 66 + b"="
    for size in range(100, 240):
        for content in (b"x" * size, b"=" * size, b"x" * 25 + b"=" * size, b"a\n" * size, hidden, hidden[:-1] + b"xxx"):
            encoded = b"".join(encode_pieces([content, content], "quoted-printable"))
            assert binascii.a2b_qp(encoded) == content * 2
            assert_good_lines(encoded)


def test_many_blocks_are_what_the_whole_is() -> None:
    content = bytes(range(256)) * 1000
    assert b"".join(encode_pieces([content[:5], content[5:]], "base64")) == encode(content, "base64")
    assert binascii.a2b_base64(encode(content, "base64")) == content
    lines = b"a line of text\r\n" * 20_000
    assert b"".join(encode_pieces([lines], "quoted-printable")) == lines
    endless = b"=" * 100_000
    assert quopri.decodestring(b"".join(encode_pieces([endless] * 2, "quoted-printable"))) == endless * 2


@pytest.mark.parametrize(
    ("content", "encoded"),
    [
        (b"From here\r\n", b"=46rom here\r\n"),
        (b"x\r\nFrom here\r\n", b"x\r\n=46rom here\r\n"),
        (b"blank \r\ntab\t\r\n", b"blank=20\r\ntab=09\r\n"),
        (b".\r\n", b"=2E\r\n"),
        (b".", b"=2E"),
        (b"..\r\n", b"..\r\n"),
        (b"y" * 75 + b".\r\n", b"y" * 75 + b"=\r\n=2E\r\n"),
        (b"a\nb", b"a=0Ab"),
        (b"From " + b"x" * 70 + b"\r\n", b"=46rom =\r\n" + b"x" * 70 + b"\r\n"),
        (b"", b""),
    ],
)
def test_quoted_printable_by_example(content: bytes, encoded: bytes) -> None:
    assert encode(content, "quoted-printable") == encoded


@pytest.mark.parametrize(
    ("content", "chosen"),
    [
        (b"", "7bit"),
        (b"plain\r\n", "7bit"),
        (b"x" * 998 + b"\r\n" + b"y" * 998, "7bit"),
        (b"x" * 999, "quoted-printable"),
        (b"x" * 999 + b"\r\n", "quoted-printable"),
        (b"a\nb\r\n", "quoted-printable"),
        (b"nul\0\r\n", "quoted-printable"),
        ("viele Grüße\r\n".encode(), "quoted-printable"),
        ("привет\r\n".encode(), "base64"),
        (b"\xff" * 50, "base64"),
    ],
)
def test_6_2_chosen_by_content(content: bytes, chosen: str) -> None:
    assert choose(content) == chosen


def test_why_not() -> None:
    assert why_not(b"x\r\n", "7bit") is None
    assert why_not("ü\r\n".encode(), "7bit") == "it is not ASCII"
    assert why_not("ü\r\n".encode(), "8bit") is None
    assert why_not(b"x\n", "8bit") is not None
    assert why_not(b"x" * 1000, "7bit") is not None
    assert why_not(b"\0", "base64") is None


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "a\rb", "a\r\nb\n"])
def test_lines_end_in_crlf_the_last_one_too(text: str) -> None:
    assert canonical(text, "utf-8") == b"a\r\nb\r\n"


def test_canonical() -> None:
    assert canonical("", "utf-8") == b""
    assert canonical("ü", "latin-1") == b"\xfc\r\n"
    with pytest.raises(ValueError, match=r"\\u20ac does not exist in latin-1"):
        canonical("5 €", "latin-1")


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("UTF-8", "utf-8"),
        ("utf8", "utf-8"),
        ("ascii", "us-ascii"),
        ("latin1", "iso-8859-1"),
        ("iso8859-15", "iso-8859-15"),
        ("cp1252", "windows-1252"),
        ("windows-1250", "windows-1250"),
        ("shift_jis", "shift_jis"),
        ("iso2022_jp", "iso-2022-jp"),
        ("euc_kr", "euc-kr"),
        ("koi8-r", "koi8-r"),
        ("big5", "big5"),
        ("mac_roman", "macintosh"),
        ("hz", "hz-gb-2312"),
    ],
)
def test_charsets_have_their_registered_names(codec: str, name: str) -> None:
    assert mime_charset(codec) == name
    assert "x".encode(name) == "x".encode(codec)


@pytest.mark.parametrize("codec", ["nonsense", "rot13", "base64", "punycode", "idna", "utf-8-sig", "a\0b", "ü"])
def test_what_is_no_charset(codec: str) -> None:
    with pytest.raises(ValueError, match="not a charset"):
        mime_charset(codec)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"good\r\n", None),
        (b"x" * 998 + b"\r\n", None),
        (b"x" * 999 + b"\r\n", "a line of more than 998 octets"),
        (b"y\r\n" + b"x" * 1500, "a line of more than 998 octets"),
        (b"a\nb", "a bare LF in the content"),
        (b"a\rb", "a bare CR in the content"),
        (b"end\r", "a bare CR at the end of the content"),
        (b"\0", "it has a NUL"),
        (b"\0" + b"x" * 2000, "it has a NUL"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 5000])
def test_lines_are_checked_across_any_cut(content: bytes, problem: str | None, size: int) -> None:
    check = LineCheck()
    for start in range(0, len(content), size):
        check.feed(content[start : start + size])
    check.end()
    assert check.problem == problem
    assert check.is_ascii


def test_lines_that_are_not_ascii() -> None:
    check = LineCheck()
    check.feed("ü\r\n".encode())
    check.feed(b"x\r\n")
    assert not check.is_ascii
