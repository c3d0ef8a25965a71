"""Parameters by typed key, judged in the order sent; xtext both ways."""

from typing import assert_type

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpx.wire.params import (
    NO_PARAMS,
    Param,
    Params,
    decode_xtext,
    encode_xtext,
    parse_flag,
    parse_params,
    write_flag,
)
from smtpx.wire.syntax import Fault, WireError


def parse_number(value: str | None) -> int:
    if value is None or not value.isascii() or not value.isdigit():
        raise WireError(Fault.ARGUMENT, "not a number")
    return int(value)


def parse_text(value: str | None) -> str:
    return value or ""


SIZE = Param[int]("SIZE", parse_number, str)
BODY = Param[str]("BODY", parse_text, str)
SMTPUTF8 = Param[bool]("SMTPUTF8", parse_flag, write_flag)
KNOWN = {param.keyword: param for param in (SIZE, BODY, SMTPUTF8)}


def fault(text: str) -> Fault:
    with pytest.raises(WireError) as caught:
        parse_params(text, KNOWN)
    return caught.value.fault


def test_parameters_are_typed_by_their_key() -> None:
    params = parse_params(" SIZE=10 BODY=8bitMIME SMTPUTF8", KNOWN)
    size = params.get(SIZE)
    assert_type(size, int | None)
    assert (size, params.get(BODY), params.get(SMTPUTF8)) == (10, "8bitMIME", True)
    assert NO_PARAMS.get(SIZE) is None


def test_params_are_a_value() -> None:
    params = Params({SIZE: 10, SMTPUTF8: True})
    assert params == parse_params(" smtputf8 size=10", KNOWN)
    assert hash(params) == hash(Params({SMTPUTF8: True, SIZE: 10}))
    assert params != Params({SIZE: 11, SMTPUTF8: True})
    assert params != {SIZE: 10}
    assert (SIZE in params, BODY in params, "SIZE" in params) == (True, False, False)
    assert list(params) == [SIZE, SMTPUTF8]
    assert (len(params), len(NO_PARAMS)) == (2, 0)
    assert repr(params) == "Params('SIZE=10 SMTPUTF8')"


def test_a_param_is_compared_by_identity() -> None:
    assert Params({SIZE: 1}).get(Param[int]("SIZE", parse_number, str)) is None


def test_params_keep_no_hold_of_what_they_were_made_from() -> None:
    values = {SIZE: 1}
    params = Params(values)
    values[SIZE] = 2
    assert params.get(SIZE) == 1


def test_rfc5321_4_1_1_11_written_as_they_stand_behind_a_path() -> None:
    assert Params({SIZE: 10, SMTPUTF8: True}).to_wire() == "SIZE=10 SMTPUTF8"
    assert NO_PARAMS.to_wire() == ""


@pytest.mark.parametrize("text", ["", " ", "   "])
def test_h067_no_parameters(text: str) -> None:
    assert parse_params(text, KNOWN) is NO_PARAMS


@pytest.mark.parametrize("text", ["  SIZE=10", " SIZE=10  ", "  SIZE=10   BODY=x ", " size=10", " SiZe=10"])
def test_h067_more_spaces_and_any_case_are_taken(text: str) -> None:
    assert parse_params(text, KNOWN).get(SIZE) == 10


@pytest.mark.parametrize("text", ["c@d.example", "SIZE=10", "\tSIZE=10", "> SIZE=10"])
def test_p22_h063_something_right_behind_the_path(text: str) -> None:
    assert fault(text) is Fault.ARGUMENT


@pytest.mark.parametrize(
    "text", [" SIZE=1 SIZE=1", " BODY=7BIT body=8BITMIME", " SMTPUTF8 smtputf8", " SIZE=1 BODY=a Size=2"]
)
def test_h068_d17_repeated(text: str) -> None:
    assert fault(text) is Fault.ARGUMENT


@pytest.mark.parametrize("text", [" FOO=1", " FOO", " foo=", " SIZE=1 X-Y=2"])
def test_h068_unknown(text: str) -> None:
    assert fault(text) is Fault.UNKNOWN_PARAMETER


@pytest.mark.parametrize("text", [" SIZE=-1", " SIZE=", " SIZE=1x", " SIZE", " SMTPUTF8=", " SMTPUTF8=1"])
def test_h068_bad_value(text: str) -> None:
    assert fault(text) is Fault.ARGUMENT


@pytest.mark.parametrize(
    "text",
    [
        " =1",
        " =",
        " BODY=a=b",
        " BODY=a=b=c",
        " -X=1",
        " X_Y=1",
        " Ü=1",
        " BODY=a\x85b",
        " BODY=a\u2028b",
        " BODY=\ud800",
        " BODY=a\tb",
        " BODY=a\x7f",
        " BODY=a\r\nRSET",
        " BODY=1\u3000SIZE=x=y",
        " SIZ\u017f=1",
    ],
)
def test_h050_h052_h068_not_a_parameter(text: str) -> None:
    assert fault(text) is Fault.ARGUMENT


def test_h068_values_keep_their_case_and_may_be_utf8() -> None:
    """RFC 6531 3.3 widens esmtp-value."""
    assert parse_params(" BODY=aBcÜ例", KNOWN).get(BODY) == "aBcÜ例"


def test_h052_other_spaces_separate_nothing() -> None:
    assert parse_params(" BODY=a\u3000SIZE", KNOWN).get(BODY) == "a\u3000SIZE"


def test_d20_two_faults_get_the_reply_of_the_first() -> None:
    for _ in range(100):
        assert fault(" SIZE=x FOO=y") is Fault.ARGUMENT
        assert fault(" FOO=y SIZE=x") is Fault.UNKNOWN_PARAMETER


def test_number_of_parameters_is_limited() -> None:
    known = {f"K{i}": Param[str](f"K{i}", parse_text, str) for i in range(21)}
    assert len(parse_params("".join(f" K{i}" for i in range(20)), known)) == 20
    with pytest.raises(WireError):
        parse_params("".join(f" K{i}" for i in range(21)), known)
    with pytest.raises(WireError):
        parse_params(" SIZE=1 BODY=x", KNOWN, max_params=1)


def test_h056_refused_parameters_are_shown_escaped_and_cut() -> None:
    for text in (" A\x1b[2J=1", " " + "x" * 1000, " SIZE=" + "\x07" * 1000):
        with pytest.raises(WireError) as caught:
            parse_params(text, KNOWN)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 400


@settings(deadline=None)
@given(st.text() | st.text(" =+-ASIZEBODYsmtpf8019\r\n\0ü").map(lambda text: " " + text))
def test_any_text_gives_params_or_wire_error(text: str) -> None:
    try:
        params = parse_params(text, KNOWN)
    except WireError as error:
        fault = error.fault
    else:
        fault = None
        assert params.get(BODY) == "" or parse_params(f" {params.to_wire()}", KNOWN) == params
    assert fault in (None, Fault.ARGUMENT, Fault.UNKNOWN_PARAMETER)


def test_flags_have_no_value() -> None:
    assert parse_flag(None) is True
    with pytest.raises(WireError):
        parse_flag("")
    assert SMTPUTF8.to_wire(True) == "SMTPUTF8"


# xtext ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "xtext"),
    [
        ("", ""),
        ("a@b.example", "a@b.example"),
        ("x=1", "x+3D1"),
        ("a+b c", "a+2Bb+20c"),
        ("\0\x01\t\x7f", "+00+01+09+7F"),
    ],
)
def test_rfc3461_4_c14_c15_xtext(text: str, xtext: str) -> None:
    assert encode_xtext(text) == xtext
    assert decode_xtext(xtext) == text


def test_d30_every_ascii_character_goes_through_xtext() -> None:
    for code in range(128):
        xtext = encode_xtext(chr(code))
        assert decode_xtext(xtext) == chr(code)
        assert len(xtext) == (1 if 33 <= code <= 126 and chr(code) not in "+=" else 3)


@settings(deadline=None)
@given(st.text(st.characters(codec="ascii")))
def test_rfc3461_4_decode_takes_back_what_encode_does(text: str) -> None:
    xtext = encode_xtext(text)
    assert all("!" <= char <= "~" and char != "=" for char in xtext)
    assert decode_xtext(xtext) == text


@pytest.mark.parametrize(
    "text", ["+A", "+YY", "+3d", "+4", "+", "a=b", "a b", "a\n", "ü", "+80", "+FF", "a+3D+", "\x7f"]
)
def test_h068_rfc3461_4_not_xtext(text: str) -> None:
    with pytest.raises(WireError) as caught:
        decode_xtext(text)
    assert caught.value.fault is Fault.ARGUMENT


@pytest.mark.parametrize("text", ["ü", "\x80", "\ud800"])
def test_xtext_holds_only_ascii(text: str) -> None:
    with pytest.raises(WireError) as caught:
        encode_xtext(text)
    assert caught.value.fault is Fault.ARGUMENT


@settings(deadline=None)
@given(st.text() | st.text("+0123456789ABCDEFabc="))
def test_any_text_is_xtext_or_wire_error(text: str) -> None:
    try:
        decoded = decode_xtext(text)
    except WireError:
        return
    assert decode_xtext(encode_xtext(decoded)) == decoded


def test_long_xtext_is_linear() -> None:
    text = "+" * 500_000
    assert decode_xtext(encode_xtext(text)) == text
    with pytest.raises(WireError):
        decode_xtext("+2B" * 500_000 + "+")
