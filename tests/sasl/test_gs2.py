"""The GS2 header (RFC 5801 4, RFC 5802 7)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpx.sasl.gs2 import GS2Header, escape_name, unescape_name
from smtpx.sasl.mechanism import SASLError


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("n,,", GS2Header("n")),
        ("y,,", GS2Header("y")),
        ("p=tls-server-end-point,,", GS2Header("p", "tls-server-end-point")),
        ("n,a=user@example.com,", GS2Header("n", "", "user@example.com")),
        ("p=tls-unique,a=a=2Cb=3Dc,", GS2Header("p", "tls-unique", "a,b=c")),
    ],
)
def test_rfc5801_4_headers(text: str, header: GS2Header) -> None:
    assert GS2Header.split(f"{text}n=rest") == (header, "n=rest")
    assert header.to_text() == text


@pytest.mark.parametrize(
    "text",
    ["", "n", "n,", "n=,", "x,,", "F,n,,", "p,,", "p=,,", "p=a b,,", "n,a=,", "n,b=x,", "n,a=x", "N,,", " n,,", "n,x,"],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(SASLError):
        GS2Header.split(text)


@pytest.mark.parametrize("name", ["a=b", "a=2c", "a=3d", "a=", "=2", "a\0b", "=="])
def test_rfc5802_5_1_bad_escapes_are_refused(name: str) -> None:
    with pytest.raises(SASLError):
        unescape_name(name)
    with pytest.raises(SASLError):
        GS2Header.split(f"n,a={name},")


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="\0")))
def test_rfc5802_5_1_any_name_comes_back(name: str) -> None:
    assert "," not in escape_name(name)
    assert unescape_name(escape_name(name)) == name


@settings(deadline=None)
@given(st.text(st.sampled_from("npya=,2CD3-\0x")))
def test_any_text_is_a_header_that_is_written_the_same_or_an_error(text: str) -> None:
    try:
        header, rest = GS2Header.split(text)
    except SASLError:
        return
    assert header.to_text() + rest == text  # what a server signs is what the client wrote
