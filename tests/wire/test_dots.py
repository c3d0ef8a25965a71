"""Content in DATA form: one end of data, one dot off, one dot on, and bare line ends found or repaired."""

import re
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpx.wire.dots import END_OF_DATA, DotDecoder, DotEncoder, NewlineCheck, NewlineRepair
from smtpx.wire.syntax import Fault, WireError
from tests.wire.cuts import SIZES, cut, every_cut, octets, pieces, places

NEXT = b"NEXT\r\n"
CONTENT = octets(b"\r\n", b"\r", b"\n", b".", b"\r\n.", b"\r\n.\r\n", b"a")
CLEAN = octets(b"\r\n", b".", b"\r\n.", b"ab", b"\0").map(lambda text: re.sub(rb"\r(?!\n)|(?<!\r)\n", b"x", text))
ENDS = {  # X of the corpus: fake ends of data, and what normalize makes of `one` X `NOOP CRLF`
    "h001": (b"\n.\n", b"one\r\nNOOP\r\n"),
    "h002": (b"\r.\r", b"one . NOOP\r\n"),
    "h003": (b"\r.\n", b"one .\r\nNOOP\r\n"),
    "h004": (b"\n.\r", b"one\r\n NOOP\r\n"),
    "h005": (b"\n.\r\n", b"one\r\nNOOP\r\n"),
    "h006": (b"\r\n.\n", b"one\r\nNOOP\r\n"),
    "h007": (b"\r.\r\n", b"one .\r\nNOOP\r\n"),
    "h008": (b"\r\n.\r", b"one\r\n NOOP\r\n"),
    "h010a": (b"\r\n.\r\r\n", b"one\r\n \r\nNOOP\r\n"),
    "h010b": (b"\r\r\n.\r\r\n", b"one \r\n \r\nNOOP\r\n"),
}
fake_ends = pytest.mark.parametrize(("fake", "repaired"), ENDS.values(), ids=ENDS.keys())


def decode(parts: Iterable[bytes], *, stuffed: bool = True) -> tuple[bytes, bytes | None]:
    """The content, and what was behind the end of data; None when there was no end."""
    decoder = DotDecoder(stuffed=stuffed)
    content = b"".join(decoder.feed(part) for part in parts)
    return content, decoder.rest if decoder.ended else None


def model(data: bytes) -> tuple[bytes, bytes | None]:
    """The decoder again, octet by octet, as a table of states: slow and plain to see."""
    out, state = bytearray(), "line start"
    for index, octet in enumerate(data):
        char = bytes([octet])
        match state, char:
            case "line start", b".":
                state = "dot"
            case "dot", b"\r":
                state = "dot CR"
            case "dot CR", b"\n":
                return bytes(out), data[index + 1 :]
            case _:
                if state == "dot CR":
                    out += b"\r"
                    state = "CR"
                out += char
                state = "CR" if char == b"\r" else "line start" if (state, char) == ("CR", b"\n") else "inside"
    return bytes(out), None


def find_fault(parts: Iterable[bytes]) -> Fault | None:
    check = NewlineCheck()
    try:
        for part in parts:
            check.feed(part)
        check.end()
    except WireError as error:
        return error.fault
    return None


def repair(parts: Iterable[bytes], *, stuffed: bool) -> bytes:
    repair = NewlineRepair(stuffed=stuffed)
    return b"".join(repair.feed(part) for part in parts) + repair.end()


def repair_model(content: bytes, *, stuffed: bool) -> bytes:
    """The rules of normalize, applied to the whole."""
    out, entered_bare = b"", False
    *ended, last = content.split(b"\n")
    for line in ended:
        left_bare = not line.endswith(b"\r")
        text = line if left_bare else line[:-1]
        lone = stuffed and text == b"." and (entered_bare or left_bare)
        text = text[1:] if stuffed and text.startswith(b".") else text
        out += b"" if lone else text.replace(b"\r", b" ") + b"\r\n"
        entered_bare = left_bare
    last = last[1:] if stuffed and last.startswith(b".") else last
    return out + last.replace(b"\r", b" ")


def encode(parts: Iterable[bytes]) -> bytes:
    encoder = DotEncoder()
    return b"".join([*(encoder.feed(part) for part in parts), encoder.end()])


# Decoder ----------------------------------------------------------------------------------------------------------


def expect(data: bytes, content: bytes) -> None:
    """`data` decodes to `content` in pieces of any size, and what is behind it is untouched."""
    for parts in every_cut(data + NEXT):
        assert decode(parts) == (content, NEXT)
    assert model(data + NEXT) == (content, NEXT)


def test_x01_h012_end_as_the_first_thing() -> None:
    expect(b".\r\n", b"")


def test_x02_lines() -> None:
    expect(b"hello\r\nworld\r\n.\r\n", b"hello\r\nworld\r\n")


def test_x03_dots() -> None:
    expect(b"..one\r\n...two\r\n.\r\n", b".one\r\n..two\r\n")


def test_x04_bare_lf_is_no_line_start() -> None:
    expect(b"first\n.second\r\n.\r\n", b"first\n.second\r\n")
    assert find_fault([b"first\n.second\r\n"]) is Fault.BARE_LF


def test_x05_bare_cr_is_no_line_start() -> None:
    expect(b"first\rsecond\r\n.\r\n", b"first\rsecond\r\n")
    assert find_fault([b"first\rsecond\r\n"]) is Fault.BARE_CR


def test_x06_d13_j02_dot_cr_keeps_the_cr() -> None:
    expect(b".\rx\r\n.\ry\r\n.\r\n", b"\rx\r\n\ry\r\n")


def test_x07_both_bare() -> None:
    expect(b"a\rb\nc\rd\r\n.\r\n", b"a\rb\nc\rd\r\n")


def test_x08_long_line() -> None:
    expect(b"a" * 8193 + b"\r\n.\r\n", b"a" * 8193 + b"\r\n")


@pytest.mark.parametrize(
    "data",
    [b"hello\r\n", b"hello\r\n.", b"a\r\n.\r", b"a\r\n", b"a\r", b"a"],
    ids=["x09", "x10", "x11", "x12", "x13", "x14"],
)
def test_x09_to_x14_unfinished(data: bytes) -> None:
    for parts in every_cut(data):
        content, rest = decode(parts)
        assert rest is None
        assert model(data)[0].startswith(content)


def test_x16_body_pipelined_with_the_next_command() -> None:
    assert decode([b"hello\r\n..dot\r\n.\r\nNOOP\r\n"]) == (b"hello\r\n.dot\r\n", b"NOOP\r\n")


def test_x17_h011_needs_no_octet_behind_the_end() -> None:
    for parts in every_cut(b"Subject: t\r\n\r\none\r\n.\r\n"):
        assert decode(parts) == (b"Subject: t\r\n\r\none\r\n", b"")


def test_x18_empty_piece_changes_nothing() -> None:
    for at in range(6):
        assert decode([*cut(b".x\r\n.\r\n", [at, at, at])]) == (b"x\r\n", b"")


def test_x19_dots_octet_by_octet_are_linear() -> None:
    decoder = DotDecoder()
    given_out = 0
    for fed in range(2 << 20):
        given_out += len(decoder.feed(b"."))
        assert fed - given_out <= 4  # what is held back never grows, so each piece costs the same
    assert decoder.feed(b"\r\n.\r\n") == b"\r\n"
    assert decoder.ended


@pytest.mark.parametrize(
    "line", [b"\r\n", b"..\r\n", b"\r\n..", b"\r", b"\r\n..\r", b"a" * 74 + b"\r\n"], ids=lambda line: repr(line[:9])
)
def test_x19_hard_bodies_are_linear(line: bytes) -> None:
    data = line * ((256 << 10) // len(line)) + END_OF_DATA
    assert decode(pieces(data, 1)) == decode([data])


def test_h011_end_of_data_cut_at_every_octet() -> None:
    for at in range(len(END_OF_DATA) + 1):
        assert decode(cut(b"x" + END_OF_DATA + b"NOOP\r\n", [at + 1])) == (b"x\r\n", b"NOOP\r\n")


def test_h013_dot_stuffing_takes_off_exactly_one_dot() -> None:
    """RFC 5321 4.5.2."""
    data = b"..x\r\n..\r\n.x\r\n...\r\n. \r\n.\r\n"
    expect(data, b".x\r\n.\r\nx\r\n..\r\n \r\n")


@fake_ends
def test_h001_to_h010_are_no_end_of_data(fake: bytes, repaired: bytes) -> None:
    del repaired
    raw = b"Subject: t\r\n\r\none" + fake + b"NOOP\r\n"
    for parts in every_cut(raw + b".\r\n"):
        content, rest = decode(parts, stuffed=False)
        assert (content, rest) == (raw, b"")
        assert find_fault(pieces(content, 3)) is not None


def test_h009_nul_is_an_octet_like_any_other() -> None:
    expect(b"one\r\n\0.\r\nNOOP\r\n.\r\n", b"one\r\n\0.\r\nNOOP\r\n")
    expect(b"one\r\n.\0\r\nNOOP\r\n.\r\n", b"one\r\n\0\r\nNOOP\r\n")


def test_h010c_cr_in_front_of_the_real_end() -> None:
    for parts in every_cut(b"one\r\r\n.\r\nNOOP\r\n.\r\n"):
        assert decode(parts) == (b"one\r\r\n", b"NOOP\r\n.\r\n")


def test_h016_h017_smuggled_transaction_is_content() -> None:
    smuggled = b"x\n.\r\nMAIL FROM:<x@evil.example>\r\nRCPT TO:<b@server.example>\r\nDATA\r\nboo"
    for parts in every_cut(smuggled + b"\r\n.\r\n"):
        assert decode(parts) == (smuggled + b"\r\n", b"")


def test_h030_lone_dot_of_a_chunk_survives_the_way_out_by_data() -> None:
    content = b"a\r\n.\r\nb\r\n..\r\n"
    assert encode([content]) == b"a\r\n..\r\nb\r\n...\r\n.\r\n"
    assert decode([encode([content])]) == (content, b"")


def test_ms1560_after_the_end_nothing_more_is_content() -> None:
    decoder = DotDecoder()
    assert decoder.feed(b".\r\nNOOP\r\n") == b""
    assert decoder.feed(b"..x\r\n.\r\n") == b""
    assert decoder.feed(b"") == b""
    assert (decoder.ended, decoder.rest) == (True, b"NOOP\r\n..x\r\n.\r\n")


@settings(deadline=None)
@given(CONTENT, places)
def test_cr_and_its_lf_leave_in_one_piece(data: bytes, at: list[int]) -> None:
    decoder = DotDecoder()
    given_out = [content for part in cut(data, at) if (content := decoder.feed(part))]
    for one, next_one in pairwise(given_out):
        assert (one[-1:], next_one[:1]) != (b"\r", b"\n")


@settings(deadline=None)
@given(CONTENT, places)
def test_decoder_split_anywhere_agrees_with_the_states(data: bytes, at: list[int]) -> None:
    content, rest = model(data)
    for parts in ([data], cut(data, at), *(pieces(data, size) for size in SIZES)):
        decoded = decode(parts)
        assert decoded[1] == rest
        if rest is not None:
            assert decoded[0] == content
        else:
            assert content.startswith(decoded[0])
            assert len(content) - len(decoded[0]) <= 4
            assert decoded[0] == decode([data])[0]


@settings(deadline=None)
@given(CONTENT, places)
def test_decoder_that_keeps_the_dots_finds_the_same_end(data: bytes, at: list[int]) -> None:
    rest = model(data)[1]
    for parts in ([data], cut(data, at)):
        content, behind = decode(parts, stuffed=False)
        assert behind == rest
        assert data.startswith(content)
        if rest is not None:
            assert content + b".\r\n" + rest == data


# Encoder ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        (b".x\r\n", b"..x\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"\r\n.\r\n", b"\r\n..\r\n.\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b"a.\r\n.b.\r\n..", b"a.\r\n..b.\r\n...\r\n.\r\n"),
    ],
)
def test_rfc5321_4_5_2_dots_are_doubled_and_the_last_line_ended(content: bytes, wire: bytes) -> None:
    for parts in every_cut(content):
        assert encode(parts) == wire


def test_f26_nothing_written() -> None:
    assert encode([]) == encode([b"", b""]) == b".\r\n"


def test_j07_no_blank_line_is_added() -> None:
    assert decode([encode([b"text\r\n"])]) == (b"text\r\n", b"")


@pytest.mark.parametrize("parts", [[b"abc\n.def\n..ghi\n.jkl\n."], [b"abc\r", b"\n.def\r\n..ghi\r\n.jkl\r\n."]])
def test_f23_f24_dot_writer_under_normalize(parts: list[bytes]) -> None:
    wire = b"abc\r\n..def\r\n...ghi\r\n..jkl\r\n..\r\n.\r\n"
    assert encode([repair(parts, stuffed=False)]) == wire
    for cuts in every_cut(b"".join(parts)):
        assert encode([repair(cuts, stuffed=False)]) == wire


def test_f25_dot_writer_refuses_bare_cr_and_normalize_makes_it_a_space() -> None:
    content = b"...\r..ghi..."
    with pytest.raises(WireError) as caught:
        encode([content])
    assert caught.value.fault is Fault.BARE_CR
    assert encode([repair([content], stuffed=False)]) == b".... ..ghi...\r\n.\r\n"


@fake_ends
def test_h018_fake_ends_never_go_out(fake: bytes, repaired: bytes) -> None:
    del repaired
    content = b"Subject: t\r\n\r\none" + fake + b"NOOP\r\n"
    for parts in every_cut(content):
        with pytest.raises(WireError):
            encode(parts)
    wire = encode([repair([content], stuffed=False)])
    assert decode([wire])[1] == b""
    assert re.search(rb"\r(?!\n)|(?<!\r)\n|\r\n\.(?!\.)", wire[:-3]) is None


def test_h018_content_that_ends_in_cr_is_not_ended() -> None:
    encoder = DotEncoder()
    assert encoder.feed(b"a\r") == b"a\r"
    with pytest.raises(WireError) as caught:
        encoder.end()
    assert caught.value.fault is Fault.BARE_CR


@settings(deadline=None)
@given(CLEAN, places)
def test_h013_decode_takes_back_what_encode_does(content: bytes, at: list[int]) -> None:
    wire = encode([content])
    for parts in (cut(content, at), *(pieces(content, size) for size in SIZES)):
        assert encode(parts) == wire
    added = b"" if not content or content.endswith(b"\r\n") else b"\r\n"
    assert decode(cut(wire + NEXT, at)) == (content + added, NEXT)
    assert re.search(rb"(\A|\r\n)\.(?!\.)", wire[:-3]) is None


@settings(deadline=None)
@given(CONTENT, places)
def test_h018_any_content_is_encoded_or_refused(content: bytes, at: list[int]) -> None:
    faulty = re.search(rb"\r(?!\n)|(?<!\r)\n", content) is not None
    for parts in ([content], cut(content, at)):
        try:
            wire = encode(parts)
        except WireError:
            assert faulty
        else:
            assert not faulty
            assert decode([wire])[1] == b""


def test_encoder_octet_by_octet_is_linear() -> None:
    encoder = DotEncoder()
    written = sum(len(encoder.feed(b".")) for _ in range(1 << 19))
    assert written == (1 << 19) + 1
    written = sum(len(encoder.feed(part)) for part in pieces(b"\r\n." * (1 << 18), 1))
    assert written == 4 << 18


# Line ends --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", None),
        (b"a\r\nb\r\n", None),
        (b"\r\n\r\n", None),
        (b"a\nb", Fault.BARE_LF),
        (b"a\rb", Fault.BARE_CR),
        (b"a\r", Fault.BARE_CR),
        (b"\r\r\n", Fault.BARE_CR),
        (b"\r\n\n", Fault.BARE_LF),
        (b"\n\r", Fault.BARE_LF),
        (b"a\rb\nc", Fault.BARE_CR),
        (b"a\nb\rc", Fault.BARE_LF),
    ],
)
def test_h015_rfc5321_2_3_8_first_bare_newline_is_found(content: bytes, fault: Fault | None) -> None:
    for parts in every_cut(content):
        assert find_fault(parts) is fault


@settings(deadline=None)
@given(CONTENT, places)
def test_check_split_anywhere_finds_the_first_bare_newline(content: bytes, at: list[int]) -> None:
    first = re.search(rb"\r(?!\n)|(?<!\r)\n", content)
    expected = None if first is None else {b"\r": Fault.BARE_CR, b"\n": Fault.BARE_LF}[first[0]]
    for parts in ([content], cut(content, at), *(pieces(content, size) for size in SIZES)):
        assert find_fault(parts) is expected


@fake_ends
def test_h001_to_h010_repaired(fake: bytes, repaired: bytes) -> None:
    raw = b"one" + fake + b"NOOP\r\n"
    for parts in every_cut(raw + b".\r\n" + NEXT):
        decoder, fix = DotDecoder(stuffed=False), NewlineRepair(stuffed=True)
        stored = b"".join(fix.feed(decoder.feed(part)) for part in parts) + fix.end()
        assert (stored, decoder.rest) == (repaired, NEXT)


@pytest.mark.parametrize(
    ("content", "repaired"),
    [
        pytest.param(b"one\r\n\0.\r\nNOOP\r\n", b"one\r\n\0.\r\nNOOP\r\n", id="h009a"),
        pytest.param(b"one\r\n.\0\r\nNOOP\r\n", b"one\r\n\0\r\nNOOP\r\n", id="h009b"),
        pytest.param(b"one\r\r\n", b"one \r\n", id="h010c"),
        pytest.param(b"one\rtwo\r\n", b"one two\r\n", id="h015"),
        pytest.param(b".\rX\r\n", b" X\r\n", id="j02"),
        pytest.param(b"first\n.second\r\n", b"first\r\nsecond\r\n", id="x04"),
        pytest.param(b"a\rb\nc\rd\r\n", b"a b\r\nc d\r\n", id="x07"),
        pytest.param(b"..\n..x\n", b".\r\n.x\r\n", id="h013"),
        pytest.param(b".\n.\n.\r\n", b"", id="lone dots"),
        pytest.param(b"\n", b"\r\n", id="LF"),
        pytest.param(b"\n\r", b"\r\n ", id="CR at the end"),
        pytest.param(b"a\n.", b"a\r\n", id="dot at the end"),
        pytest.param(b".\r", b" ", id="dot and CR at the end"),
        pytest.param(b"a.\n", b"a.\r\n", id="dot inside"),
        pytest.param(b"", b"", id="nothing"),
    ],
)
def test_normalize_what_came_by_data(content: bytes, repaired: bytes) -> None:
    for parts in every_cut(content):
        assert repair(parts, stuffed=True) == repaired


def test_h018_lone_dot_that_is_not_in_data_form_is_kept() -> None:
    for parts in every_cut(b"a\n.\nb\n.x\r.\r\n"):
        assert repair(parts, stuffed=False) == b"a\r\n.\r\nb\r\n.x .\r\n"


@settings(deadline=None)
@given(CONTENT, places, st.booleans())
def test_repair_split_anywhere_agrees_with_the_rules(content: bytes, at: list[int], stuffed: bool) -> None:
    expected = repair_model(content, stuffed=stuffed)
    for parts in ([content], cut(content, at), *(pieces(content, size) for size in SIZES)):
        assert repair(parts, stuffed=stuffed) == expected
    assert find_fault([expected]) is None


@settings(deadline=None)
@given(CLEAN)
def test_repair_leaves_clean_content_alone(content: bytes) -> None:
    assert repair([content], stuffed=False) == content


@pytest.mark.parametrize("octet", [b".", b"\n", b"\r", b"a"])
def test_repair_octet_by_octet_is_linear(octet: bytes) -> None:
    fix = NewlineRepair(stuffed=True)
    total = 1 << 19
    written = sum(len(fix.feed(octet)) for _ in range(total)) + len(fix.end())
    assert written == {b".": total - 1, b"\n": 2 * total}.get(octet, total)
