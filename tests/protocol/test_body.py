"""Content on its way in: sizes, faults and their rank, in any cut."""

from collections.abc import Mapping
from typing import Literal

import pytest

from smtpx.protocol import replies
from smtpx.protocol.body import Intake
from smtpx.wire.reply import Reply
from tests.protocol.server_peer import make_settings

Newlines = Literal["reject", "normalize"]
Nul = Literal["keep", "reject"]
CUTS = (1, 2, 3, 17, 1 << 20)


def take(
    content: bytes,
    *,
    command: str = "BDAT",
    binary: bool = False,
    bare_newline: Newlines = "reject",
    nul: Nul = "keep",
    limits: Mapping[str, int | None] | None = None,
) -> tuple[bytes, int, Reply | None]:
    """Feed content in every cut; gives what passed, its size and the refusal. DATA needs its end in `content`."""
    settings = make_settings(limits=limits or {}, bare_newline=bare_newline, nul=nul)
    found: list[tuple[bytes, int, Reply | None]] = []
    for cut in CUTS:
        intake = Intake(settings, stuffed=command == "DATA", binary=binary)
        passed = bytearray()
        for start in range(0, len(content), cut):
            piece = content[start : start + cut]
            if command == "DATA":
                octets, rest = intake.feed_data(piece)
                assert (rest is not None) == (start + cut >= len(content))
                passed += octets
            else:
                passed += intake.feed(piece)
        if command == "BDAT":
            passed += intake.end()
        found.append((bytes(passed) if intake.refusal is None else b"", intake.size, intake.refusal))
    assert all(each == found[0] for each in found)
    return found[0]


def refusal(content: bytes, **limits: int | None) -> Reply | None:
    return take(content, limits=limits)[2]


def test_data_is_unstuffed_and_counted() -> None:
    assert take(b"..a\r\n.\r\n", command="DATA") == (b".a\r\n", 4, None)


def test_what_lies_behind_the_end_is_given_back() -> None:
    intake = Intake(make_settings(), stuffed=True)
    assert intake.feed_data(b"a\r\n.\r\nNOOP\r\n") == (b"a\r\n", b"NOOP\r\n")


def test_chunks_are_taken_as_they_are() -> None:
    assert take(b"..a\r\n.\r\nb") == (b"..a\r\n.\r\nb", 9, None)
    assert take(b"") == (b"", 0, None)


@pytest.mark.parametrize("content", [b"a\nb", b"a\rb", b"a\r", b"\n", b"a\r\r\n"])
def test_rfc5321_2_3_8_bare_newlines(content: bytes) -> None:
    assert take(content)[2] is replies.BARE_NEWLINE
    assert take(content, binary=True) == (content, len(content), None)


def test_bare_newlines_repaired() -> None:
    assert take(b"a\nb\rc\r\n", bare_newline="normalize") == (b"a\r\nb c\r\n", 8, None)
    assert take(b"a\n.\r\nb\n..c\r", bare_newline="normalize") == (b"a\r\n.\r\nb\r\n..c ", 13, None)
    assert take(b"a\n..b\r\n.\r\n", command="DATA", bare_newline="normalize") == (b"a\r\n.b\r\n", 7, None)


def test_repaired_content_is_measured_to_its_end() -> None:
    assert take(b"a\n\r", bare_newline="normalize", limits={"max_message_bytes": 3})[2] is replies.TOO_LARGE
    assert take(b"a\n\r", bare_newline="normalize", limits={"max_message_bytes": 4}) == (b"a\r\n ", 4, None)


@pytest.mark.parametrize("command", ["DATA", "BDAT"])
def test_rfc1870_5_the_limit_itself_is_accepted(command: str) -> None:
    end = b".\r\n" if command == "DATA" else b""
    assert take(b"12345678\r\n" + end, command=command, limits={"max_message_bytes": 10})[2] is None
    assert take(b"123456789\r\n" + end, command=command, limits={"max_message_bytes": 10}) == (
        b"",
        11,
        replies.TOO_LARGE,
    )


def test_without_limit() -> None:
    assert refusal(b"x" * 100, max_message_bytes=None, max_header_bytes=200) is None


def test_rfc5321_6_3_received_fields() -> None:
    hop = b"Received: x\r\n"
    assert refusal(hop * 2 + b"\r\n", max_hops=2) is None
    assert refusal(hop * 3 + b"\r\n", max_hops=2) is replies.MAIL_LOOP
    assert refusal(b"A: b\r\nReCeIvEd: x\r\n" * 3, max_hops=2) is replies.MAIL_LOOP
    assert refusal(hop * 2 + b"\r\n" + hop * 5, max_hops=2) is None  # text, not header
    assert refusal(b"X-Received: x\r\nReceived-SPF: x\r\n" * 5, max_hops=2) is None


def test_header_size() -> None:
    assert refusal(b"A: b\r\n\r\n" + b"x" * 50, max_header_bytes=6) is None
    assert refusal(b"A: b\r\n\r\n", max_header_bytes=5) is replies.HEADER_TOO_LARGE
    assert refusal(b"\r\n" + b"x" * 50, max_header_bytes=0) is None
    assert refusal(b"x" * 50, max_header_bytes=49) is replies.HEADER_TOO_LARGE


def test_a_header_of_any_length_ends_at_the_empty_line() -> None:
    for length in range(1, 40):
        header = b"A: " + b"x" * length + b"\r\n"
        assert refusal(header + b"\r\nbody\r\n", max_header_bytes=len(header)) is None
        assert refusal(header + b"\r\nbody\r\n", max_header_bytes=len(header) - 1) is replies.HEADER_TOO_LARGE


def test_nul() -> None:
    assert take(b"a\0b")[0] == b"a\0b"
    assert take(b"a\0b", nul="reject")[2] is replies.NUL_IN_MESSAGE
    assert take(b"a\0b", nul="reject", binary=True)[2] is None


@pytest.mark.parametrize(
    ("content", "refused"),
    [
        (b"12345\r\n", False),
        (b"123456\r\n", True),
        (b"12345", False),
        (b"123456", True),
        (b"1\r\n123456\r\n1\r\n", True),
        (b"1\r\n12345\r\n12345\r\n", False),
    ],
)
def test_h074_lines(content: bytes, refused: bool) -> None:
    assert refusal(content, max_text_line_bytes=5) is (replies.TEXT_LINE_TOO_LONG if refused else None)


def test_the_worst_fault_is_the_answer() -> None:
    lines, nul, long_line = b"a\nb\r\n", b"\0\r\n", b"x" * 50 + b"\r\n"
    hops, header = b"Received: x\r\n" * 3, b"A: " + b"x" * 60 + b"\r\n"

    def worst(*parts: bytes, size: int = 1000) -> Reply | None:
        options = {"max_hops": 2, "max_header_bytes": 150, "max_message_bytes": size, "max_text_line_bytes": 40}
        both = {take(b"".join(order), nul="reject", limits=options)[2] for order in (parts, parts[::-1])}
        assert len(both) == 1
        return both.pop()

    assert worst(long_line) is replies.TEXT_LINE_TOO_LONG
    assert worst(long_line, lines) is replies.BARE_NEWLINE
    assert worst(lines, nul) is replies.NUL_IN_MESSAGE
    assert worst(nul, hops) is replies.MAIL_LOOP
    assert worst(hops, header * 3) is replies.HEADER_TOO_LARGE
    assert worst(header * 3, lines, size=100) is replies.TOO_LARGE


def test_nothing_is_given_out_once_it_is_refused() -> None:
    intake = Intake(make_settings(), stuffed=False)
    assert intake.feed(b"good\r\n") == b"good\r\n"
    assert intake.feed(b"bad\n") == b""
    assert intake.feed(b"more\r\n") == b""
    assert intake.end() == b""
    assert intake.size == 16
