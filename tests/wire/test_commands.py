"""Command lines: verb and argument, written and read; what belongs to another protocol; BDAT."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpx.wire.commands import Chunk, Command, is_foreign, parse_bdat, parse_command, split_from, split_to
from smtpx.wire.syntax import Fault, WireError

CONTROLS = ["\r\n", "\r", "\n", "\0", "\t", "\x0b", "\x0c", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\ud800"]


def every_case(line: str) -> list[str]:
    """`line` with its first word in upper, lower and mixed case."""
    verb, space, argument = line.partition(" ")
    return [word + space + argument for word in (verb.upper(), verb.lower(), verb.capitalize(), verb.swapcase())]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("NOOP", Command("NOOP")),
        ("NOOP hello", Command("NOOP", "hello")),
        ("NOOP  hello ", Command("NOOP", "hello")),
        ("QUIT ", Command("QUIT")),
        ("RSET ", Command("RSET")),
        ("BDAT 10 LAST", Command("BDAT", "10 LAST")),
        ("STARTTLS", Command("STARTTLS")),
        ("STARTTLSX", Command("STARTTLSX")),
        ("STARTTL", Command("STARTTL")),
        ("STARTTLS x", Command("STARTTLS", "x")),
        ("XCLIENT NAME=a ADDR=192.0.2.1", Command("XCLIENT", "NAME=a ADDR=192.0.2.1")),
        ("XFORWARD", Command("XFORWARD")),
        ("MAILX FROM:<a@b>", Command("MAILX", "FROM:<a@b>")),
        ("MAI", Command("MAI")),
        ("M", Command("M")),
        ("MAIL", Command("MAIL")),
        ("X25 a", Command("X25", "a")),
    ],
)
def test_verbs_rows_h037_h067_d14_in_any_case(line: str, command: Command) -> None:
    for written in every_case(line):
        assert parse_command(written) == command


@pytest.mark.parametrize(
    "line",
    ["MAILFROM:<a@b>", " MAIL FROM:<a@b>", "\tNOOP", "1234", "M@IL x", "", " ", "É", "NOOPé x", "NO\0OP", "٣", "X-Y a"],
)
def test_verbs_rows_not_a_command(line: str) -> None:
    assert parse_command(line) is None


def test_h052_only_spaces_are_taken_off_an_argument() -> None:
    assert parse_command("VRFY \u3000a\u3000 ") == Command("VRFY", "\u3000a\u3000")


@settings(deadline=None)
@given(st.text() | st.text("MAIL noop12 \u017f:@"))
def test_any_line_gives_a_command_or_none(line: str) -> None:
    command = parse_command(line)
    if command is None:
        return
    assert command.verb.isascii()
    assert command.verb.isupper()
    assert command.verb[0].isalpha()
    assert command.argument is None or command.argument.strip(" ") == command.argument != ""
    is_foreign(line)


# Writing ----------------------------------------------------------------------------------------------------------


def test_c01_line_has_no_space_at_its_end() -> None:
    assert Command("NOOP").to_bytes() == b"NOOP\r\n"
    assert Command("AUTH", "FOOAUTH").to_bytes() == b"AUTH FOOAUTH\r\n"
    assert Command("RCPT", "TO:<ü@例.example>").to_bytes() == "RCPT TO:<ü@例.example>\r\n".encode()


@pytest.mark.parametrize("char", CONTROLS)
@pytest.mark.parametrize(
    ("verb", "shape"),
    [
        ("EHLO", "x{}MAIL FROM:<>"),
        ("MAIL", "FROM:<a{}@b.example>"),
        ("MAIL", "FROM:<a@b.example> SIZE=1{}RSET"),
        ("RCPT", 'TO:<"a{}RCPT TO:<x@evil.example>"@b.example>'),
        ("NOOP", "{}"),
    ],
)
def test_h050_h051_h052_c02_c07_f20_no_control_character_gets_out(verb: str, shape: str, char: str) -> None:
    with pytest.raises(WireError) as caught:
        Command(verb, shape.format(char)).to_bytes()
    assert caught.value.fault is Fault.ARGUMENT
    assert str(caught.value) == f"a control character in the argument of {verb}"


@pytest.mark.parametrize("verb", ["", "RS\r\nET", "\n", "AUTH PLAIN c2VjcmV0\r", "\x1b" * 100])
def test_h050_h055_no_control_character_in_the_verb_and_no_secret_in_the_error(verb: str) -> None:
    with pytest.raises(WireError) as caught:
        Command(verb, "\n").to_bytes()
    assert str(caught.value).isprintable()
    assert "c2VjcmV0" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_h052_characters_whose_low_octets_are_cr_and_lf_are_not_narrowed() -> None:
    assert Command("NOOP", "\u560d\u560a").to_bytes() == b"NOOP \xe5\x98\x8d\xe5\x98\x8a\r\n"


@settings(deadline=None)
@given(st.text(), st.none() | st.text(st.characters() | st.characters(categories=["Cs", "Cc"])))
def test_h052_cr_and_lf_only_at_the_end(verb: str, argument: str | None) -> None:
    try:
        line = Command(verb, argument).to_bytes()
    except WireError:
        return
    assert line.endswith(b"\r\n")
    assert b"\r" not in line[:-2]
    assert b"\n" not in line[:-2]


# Other protocols --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "GET / HTTP/1.1",
        "get /",
        "POST / HTTP/1.1",
        "CONNECT h:25 HTTP/1.0",
        "HEAD /",
        "PUT /",
        "DELETE /",
        "OPTIONS *",
        "PATCH /",
        "TRACE /",
        "PRI * HTTP/2.0",
        "SSH-2.0-x",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 25",
        "Subject: x",
        "Content-Length: 9",
        "Host:",
    ],
)
def test_h047_lines_of_other_protocols(line: str) -> None:
    assert is_foreign(line)


@pytest.mark.parametrize(
    "line",
    ["", "NOOP", "MAIL FROM:<a@b.example>", "MAILFROM:<a@b>", "EHLO get", "GETX /", "VRFY a: b", "1: x", "PROXY"],
)
def test_h047_lines_of_smtp(line: str) -> None:
    assert not is_foreign(line)


def test_h047_verbs_can_be_chosen() -> None:
    assert is_foreign("xyzzy 1", frozenset({"XYZZY"}))
    assert not is_foreign("GET /", frozenset())


# FROM and TO ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["FROM:", "from:", "FrOm:"])
def test_h067_from_in_any_case(word: str) -> None:
    assert split_from(f"{word}<a@b.example> SIZE=1") == "<a@b.example> SIZE=1"
    assert split_from(f"{word}<a@b.example>", spaces=False) == "<a@b.example>"


@pytest.mark.parametrize("word", ["TO:", "to:", "tO:"])
def test_h067_to_in_any_case(word: str) -> None:
    assert split_to(f"{word}<a@b.example>") == "<a@b.example>"


def test_h067_r43_space_in_front_of_the_path_unless_strict() -> None:
    assert split_from("FROM:  <a@b.example>") == "<a@b.example>"
    assert split_to("TO: <a@b.example>") == "<a@b.example>"
    for split, argument in ((split_from, "FROM: <>"), (split_to, "TO: <a@b>")):
        with pytest.raises(WireError) as caught:
            split(argument, spaces=False)
        assert caught.value.fault is Fault.ARGUMENT


@pytest.mark.parametrize("spaces", [True, False])
@pytest.mark.parametrize("argument", [None, "", "FROM:", "FROM:  ", "FROM <a@b>", "<a@b>", "TO:<a@b>", "FROM"])
def test_h066_h067_s05_from_is_missing(argument: str | None, spaces: bool) -> None:
    with pytest.raises(WireError) as caught:
        split_from(argument, spaces=spaces)
    assert (caught.value.fault, str(caught.value)) == (Fault.ARGUMENT, "FROM:<address> is missing")


@pytest.mark.parametrize("argument", [None, "", "TO:", "FROM:<a@b>", "TO <a@b>"])
def test_h066_h067_to_is_missing(argument: str | None) -> None:
    with pytest.raises(WireError) as caught:
        split_to(argument)
    assert (caught.value.fault, str(caught.value)) == (Fault.ARGUMENT, "TO:<address> is missing")


# BDAT -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "chunk"),
    [
        ("0", Chunk(0, False)),
        ("10", Chunk(10, False)),
        ("0 LAST", Chunk(0, True)),
        ("5 last", Chunk(5, True)),
        ("5  LaSt", Chunk(5, True)),
        ("007", Chunk(7, False)),
        ("99999999999999999999", Chunk(99999999999999999999, False)),
    ],
)
def test_h025_r116_d18_bdat(argument: str, chunk: Chunk) -> None:
    """RFC 3030 2; 20 digits, without wrapping."""
    assert parse_bdat(argument) == (chunk, True)


@pytest.mark.parametrize(
    "argument", ["5 FIRST", "5 LAST x", "5 x LAST", "5 LAS", "5 LA\u017fT", "5 LA\ufb06", "5 LAST LAST"]
)
def test_h025d_r113_size_is_known_though_the_rest_is_wrong(argument: str) -> None:
    assert parse_bdat(argument) == (Chunk(5, False), False)


@pytest.mark.parametrize(
    "argument",
    [None, "", "LAST", "-1", "+5", "0x10", "1e3", "\u0661", "1" * 21, " 5", "5\tLAST", "5LAST", "\xb2", "5,"],
)
def test_h025b_r112_size_is_unknown(argument: str | None) -> None:
    with pytest.raises(WireError) as caught:
        parse_bdat(argument)
    assert caught.value.fault is Fault.ARGUMENT


@settings(deadline=None)
@given(st.none() | st.text() | st.text("0159 LASTlast+-"))
def test_any_argument_gives_a_chunk_or_wire_error(argument: str | None) -> None:
    try:
        chunk, well_formed = parse_bdat(argument)
    except WireError:
        return
    assert 0 <= chunk.size < 10**20
    assert well_formed or not chunk.last
