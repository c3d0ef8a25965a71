"""Replies: what is written is well formed, whatever the text; what is read is a reply or an error, within bounds."""

import dataclasses
import pickle
import re
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpx.wire.codes import EnhancedCode, Severity
from smtpx.wire.reply import Reply, ReplyParser
from smtpx.wire.syntax import Fault, WireError
from tests.wire.cuts import SIZES, cut, every_cut, octets, pieces, places

OK = EnhancedCode(2, 1, 0)
INPUT = octets(b"250", b"550", b"-", b" ", b"5.1.1 ", b"2.0.0", b"\r\n", b"\n", b"\r", b"250-a\r\n", b"250 b\r\n")
REPLIES = st.builds(
    Reply,
    st.integers(200, 599),
    st.none(),
    st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=4).map(tuple),
)


def read(parts: Iterable[bytes], *, lenient: bool = False, **limits: int) -> list[Reply | Fault]:
    """The replies, to the first fault."""
    parser = ReplyParser(lenient_newlines=lenient, **limits)
    out: list[Reply | Fault] = []
    try:
        for part in parts:
            parser.feed(part)
            while (reply := parser.next_reply()) is not None:
                out.append(reply)
    except WireError as error:
        out.append(error.fault)
    return out


def one(data: bytes) -> Reply:
    [reply] = read([data])
    assert isinstance(reply, Reply)
    return reply


# The value --------------------------------------------------------------------------------------------------------


def test_reply_has_severity_text_and_str() -> None:
    reply = Reply(550, EnhancedCode(5, 1, 1), ("no such user", "try again"))
    assert reply.severity is Severity.PERMANENT
    assert reply.text == "no such user\ntry again"
    assert str(reply) == "550 5.1.1 no such user / try again"
    assert str(Reply(354, None)) == "354"


@pytest.mark.parametrize("code", [-1, 0, 25, 99, 199, 600, 2500])
def test_rfc5321_4_2_code_begins_with_2_to_5(code: int) -> None:
    with pytest.raises(WireError) as caught:
        Reply(code, None)
    assert caught.value.fault is Fault.REPLY


def test_rfc5321_4_2_1_a_reply_has_a_line() -> None:
    with pytest.raises(WireError):
        Reply(250, None, ())


def test_reply_is_a_value() -> None:
    reply = Reply(250, OK, ("ok",))
    wire = reply.to_bytes()
    assert reply == Reply(250, OK, ("ok",))
    assert hash(reply) == hash(Reply(250, OK, ("ok",)))
    assert repr(reply) == repr(Reply(250, OK, ("ok",)))
    assert pickle.loads(pickle.dumps(reply)) == reply  # noqa: S301 - our own octets
    assert reply.to_bytes() is wire
    assert dataclasses.replace(reply, code=251).to_bytes() == b"251 2.1.0 ok\r\n"


@pytest.mark.parametrize(
    ("reply", "wire"),
    [
        (Reply(250, OK, ("ok",)), b"250 2.1.0 ok\r\n"),
        (Reply(250, None, ("mx.example", "PIPELINING")), b"250-mx.example\r\n250 PIPELINING\r\n"),
        (Reply(220, None), b"220 \r\n"),
        (Reply(334, None, ("",)), b"334 \r\n"),
        (Reply(250, OK), b"250 2.1.0 \r\n"),
    ],
)
def test_rfc5321_4_2_1_octets_of_a_reply(reply: Reply, wire: bytes) -> None:
    assert reply.to_bytes() == wire


def test_d23_enhanced_code_stands_on_each_line() -> None:
    """RFC 2034 4."""
    wire = Reply(550, EnhancedCode(5, 7, 1), ("one", "two\nthree")).to_bytes()
    assert wire == b"550-5.7.1 one\r\n550-5.7.1 two\r\n550 5.7.1 three\r\n"


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("a\r\n250 b", b"550-5.0.0 a\r\n550 5.0.0 250 b\r\n"),
        ("a\x1b[0m", b"550 5.0.0 a\\x1b[0m\r\n"),
        ("a\rb\0\tü", b"550 5.0.0 a\\x0db\\x00\\x09\\xfc\r\n"),
    ],
)
def test_d41_h056_text_of_a_handler_is_made_safe(text: str, wire: bytes) -> None:
    assert Reply(550, EnhancedCode(5, 0, 0), (text,)).to_bytes() == wire


def test_d41_rfc5321_4_5_3_1_5_long_text_is_wrapped_at_512_octets() -> None:
    reply = Reply(550, EnhancedCode(5, 0, 0), ("x" * 5000,))
    lines = reply.to_bytes().splitlines(keepends=True)
    assert [len(line) for line in lines[:-1]] == [512] * (len(lines) - 1)
    assert b"".join(line[10:-2] for line in lines) == b"x" * 5000
    assert one(reply.to_bytes()).enhanced == (5, 0, 0)


@settings(deadline=None)
@given(REPLIES, st.none() | st.builds(EnhancedCode, st.sampled_from([2, 4, 5]), st.integers(0, 999), st.integers(0, 9)))
def test_d41_any_text_gives_one_well_formed_reply(reply: Reply, enhanced: EnhancedCode | None) -> None:
    wire = dataclasses.replace(reply, enhanced=enhanced).to_bytes()
    assert re.fullmatch(rb"(?:[2-5]\d\d-[ -~]*\r\n)*[2-5]\d\d [ -~]*\r\n", wire)
    assert max(map(len, wire.split(b"\n"))) <= 511
    assert one(wire).code == reply.code


# The parser -------------------------------------------------------------------------------------------------------


def test_rfc5321_4_2_1_replies_however_they_arrive() -> None:
    data = b"220 mx ready\r\n250-mx.example\r\n250-SIZE 10\r\n250 HELP\r\n250\r\n354 go\r\n"
    expected = [
        Reply(220, None, ("mx ready",)),
        Reply(250, None, ("mx.example", "SIZE 10", "HELP")),
        Reply(250, None, ("",)),
        Reply(354, None, ("go",)),
    ]
    for parts in every_cut(data):
        assert read(parts) == expected


def test_c03_enhanced_code_is_cut_from_every_line_that_has_it() -> None:
    assert one(b"500 5.0.0 a\r\n") == Reply(500, EnhancedCode(5, 0, 0), ("a",))
    assert one(b"500 b\r\n") == Reply(500, None, ("b",))
    assert one(b"500-5.0.0 c\r\n500 5.0.0 d\r\n") == Reply(500, EnhancedCode(5, 0, 0), ("c", "d"))


def test_f31_long_multi_line_refusal() -> None:
    lines = b"".join(b"550%c5.1.1 line %d\r\n" % (sep, i) for i, sep in enumerate(b"--- "))
    assert one(lines) == Reply(550, EnhancedCode(5, 1, 1), ("line 0", "line 1", "line 2", "line 3"))


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b"250-hello\r\n250 2.0.0 ok\r\n", Reply(250, EnhancedCode(2, 0, 0), ("hello", "ok"))),
        (b"550 5.1.1\r\n", Reply(550, EnhancedCode(5, 1, 1), ("",))),
        (b"550 5.01.001 no\r\n", Reply(550, EnhancedCode(5, 1, 1), ("no",))),
        (b"550 4.1.1 no\r\n", Reply(550, None, ("4.1.1 no",))),
        (b"354 2.0.0 go\r\n", Reply(354, None, ("2.0.0 go",))),
        (b"550-5.1.1 a\r\n550 5.1.10 b\r\n", Reply(550, EnhancedCode(5, 1, 1), ("a", "5.1.10 b"))),
        (b"250 2.0.0ok\r\n", Reply(250, None, ("2.0.0ok",))),
    ],
    ids=["last line only", "nothing else", "zeros", "other class", "3yz", "longer code", "no space"],
)
def test_rfc2034_4_enhanced_code_where_its_class_is_the_first_digit(data: bytes, reply: Reply) -> None:
    assert one(data) == reply


def test_f30_text_without_code_is_no_reply() -> None:
    for parts in every_cut(b"230-a\r\ntext without code\r\n230 b\r\n"):
        assert read(parts) == [Fault.REPLY]


def test_f30_three_lines_with_crlf_and_with_lf() -> None:
    for parts in every_cut(b"400-A\r\n400-B\r\n400 C\r\n"):
        assert read(parts) == [Reply(400, None, ("A", "B", "C"))]
    for parts in every_cut(b"400-A\n400-B\n400 C\n"):
        assert read(parts) == [Fault.BARE_LF]


def test_h057_f_lenient_newlines_take_lf_as_a_line_end() -> None:
    for parts in every_cut(b"400-A\n400-B\r\n400 C\n220\n"):
        assert read(parts, lenient=True) == [Reply(400, None, ("A", "B", "C")), Reply(220, None)]
    for parts in every_cut(b"400 A\rB\n"):
        assert read(parts, lenient=True) == [Fault.BARE_CR]
    assert read([b"a" * 4096], lenient=True) == [Fault.LINE_ENDLESS]


def test_h057_a_endless_line_ends_at_4096_octets() -> None:
    for size in SIZES:
        parser = ReplyParser()
        fed = 0
        with pytest.raises(WireError) as caught:  # noqa: PT012 - how much was fed by then is what is looked at
            for part in pieces(b"x" * 1_000_000, size):
                parser.feed(part)
                fed += len(part)
                assert parser.next_reply() is None
        assert caught.value.fault is Fault.LINE_ENDLESS
        assert 4096 <= fed < 4096 + size


def test_h057_a_line_of_exactly_4096_octets_is_read() -> None:
    for parts in every_cut(b"250 " + b"x" * 4090 + b"\r\n"):
        assert read(parts) == [Reply(250, None, ("x" * 4090,))]
    assert read([b"250 " + b"x" * 4091 + b"\r\n"]) == [Fault.LINE_ENDLESS]


def test_h057_b_g_reply_of_at_most_256_lines() -> None:
    assert len(one(b"250-a\r\n" * 255 + b"250 b\r\n").lines) == 256
    for size in (*SIZES, 1 << 20):
        assert read(pieces(b"250-a\r\n" * 10_000, size)) == [Fault.REPLY]
    assert read([b"250-a\r\n" * 256]) == [Fault.REPLY]
    assert read([b"250-a\r\n" * 255]) == []


def test_h057_b_g_reply_of_at_most_64_kib() -> None:
    line = b"250-" + b"x" * 1018 + b"\r\n"
    last = line.replace(b"-", b" ")
    assert one(line * 63 + last).code == 250
    assert read([line * 63 + b"250 " + b"x" * 1019 + b"\r\n"]) == [Fault.REPLY]
    assert read([line * 65]) == [Fault.REPLY]


def test_h057_c_two_codes_in_one_reply() -> None:
    for parts in every_cut(b"250-a\r\n550 b\r\n"):
        assert read(parts) == [Fault.REPLY]


@pytest.mark.parametrize(
    "line",
    [b"abc hello", b"25 x", b"2500 x", b"099 x", b"199 x", b"600 x", b"250x", b"250\tx", b" 250 x", b"", b"\xff"],
)
def test_h057_d_what_is_not_a_reply(line: bytes) -> None:
    for parts in every_cut(line + b"\r\n250 ok\r\n"):
        assert read(parts) == [Fault.REPLY]


def test_h057_d_the_error_shows_the_line_escaped_and_cut() -> None:
    parser = ReplyParser()
    parser.feed(b"\x1b]0;pwn\x07" + b"x" * 1000 + b"\r\n")
    with pytest.raises(WireError) as caught:
        parser.next_reply()
    assert "\\x1b]0;pwn\\x07" in str(caught.value)
    assert len(str(caught.value)) < 120


def test_h057_e_octets_above_7f_are_kept_or_escaped() -> None:
    assert one(b"550 gr\xc3\xbc\xc3\x9fe\r\n").lines == ("grüße",)
    assert one(b"550 gr\xfc\xdfe\r\n").lines == ("gr\\xfc\\xdfe",)


def test_h056_reply_of_a_peer_steers_no_terminal() -> None:
    reply = one(b"550 \x1b]0;pwn\x07 \xc2\x9b2J\r\n")
    assert str(reply) == "550 \\x1b]0;pwn\\x07 \\x9b2J"
    assert len(str(Reply(550, None, ("x" * 65536,)))) < 2100


def test_h058_two_replies_in_one_piece_stay_two() -> None:
    parser = ReplyParser()
    parser.feed(b"250 ok\r\n250 injected\r\n")
    assert parser.next_reply() == Reply(250, None, ("ok",))
    assert parser.has_input
    assert parser.next_reply() == Reply(250, None, ("injected",))
    assert not parser.has_input
    assert parser.next_reply() is None


@pytest.mark.parametrize("injected", [b"250-injected\r\n", b"250", b"2"])
def test_h036_unfinished_reply_is_input(injected: bytes) -> None:
    parser = ReplyParser()
    parser.feed(b"220 go\r\n" + injected)
    assert parser.next_reply() == Reply(220, None, ("go",))
    assert parser.next_reply() is None
    assert parser.has_input


def test_limits_can_be_set() -> None:
    assert read([b"250-a\r\n250 b\r\n"], max_lines=1) == [Fault.REPLY]
    assert read([b"250 abc\r\n"], max_bytes=8) == [Fault.REPLY]
    assert read([b"250 abc\r\n"], max_line_bytes=8) == [Fault.LINE_ENDLESS]


@settings(deadline=None)
@given(INPUT, places, st.booleans())
def test_h057_split_anywhere_gives_the_same_replies(data: bytes, at: list[int], lenient: bool) -> None:
    limits = {"max_line_bytes": 40, "max_lines": 4, "max_bytes": 60}
    expected = read([data], lenient=lenient, **limits)
    for parts in (cut(data, at), *(pieces(data, size) for size in SIZES)):
        assert read(parts, lenient=lenient, **limits) == expected


@settings(deadline=None)
@given(st.lists(REPLIES, max_size=4), places)
def test_written_replies_read_back(replies: list[Reply], at: list[int]) -> None:
    wire = b"".join(reply.to_bytes() for reply in replies)
    again = read(cut(wire, at))
    assert [reply.code for reply in again if isinstance(reply, Reply)] == [reply.code for reply in replies]
