"""Characters that may and may not get through, and the exception of the wire package."""

import pickle
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpx.wire.syntax import ATEXT, CONTROLS, Fault, WireError, escape, has_controls


@pytest.mark.parametrize("char", ["\r", "\n", "\0", "\t", "\x0b", "\x0c", "\x1b", "\x7f", "\x1f"])
def test_h050_ascii_controls_are_controls(char: str) -> None:
    assert has_controls(f"a{char}b")
    assert has_controls(f"ü{char}b")


@pytest.mark.parametrize("char", ["\x80", "\x85", "\x9f", "\u2028", "\u2029", "\ud800", chr(0xDFFF)])
def test_h052_what_turns_into_line_ends_is_a_control(char: str) -> None:
    assert has_controls(f"a{char}b")
    assert re.fullmatch(ATEXT, char) is None


@pytest.mark.parametrize("text", ["", "a b", "~ !", "ü", "\xa0", "\u560a\u560d", "\u2027\u202a", "\ue000\U0010ffff"])
def test_h052_other_text_has_no_controls(text: str) -> None:
    assert not has_controls(text)


@settings(deadline=None)
@given(st.text(st.characters() | st.characters(categories=["Cs", "Cc", "Zl", "Zp"])))
def test_h050_has_controls_agrees_with_the_pattern(text: str) -> None:
    assert has_controls(text) == (CONTROLS.search(text) is not None)


def test_rfc5321_4_1_2_atext_is_letters_digits_and_these_signs() -> None:
    signs = {chr(code) for code in range(128) if re.fullmatch(ATEXT, chr(code))}
    assert {char for char in signs if not char.isalnum()} == set("!#$%&'*+-/=?^_`{|}~")
    assert len(signs) == 26 + 26 + 10 + 19


def test_rfc6531_3_3_atext_is_widened_by_non_ascii() -> None:
    assert re.fullmatch(f"{ATEXT}+", "üß例え𝒳\xa0")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("", ""),
        ("plain ~", "plain ~"),
        ("\x1b[2Jx", "\\x1b[2Jx"),
        (b"\x1b[2J\xff", "\\x1b[2J\\xff"),
        ("\r\n\0\x7f", "\\x0d\\x0a\\x00\\x7f"),
        ("ü\u2028\U0001f600\ud800", "\\xfc\\u2028\\U0001f600\\ud800"),
    ],
)
def test_h056_foreign_text_is_escaped(raw: bytes | str, shown: str) -> None:
    assert escape(raw) == shown


@pytest.mark.parametrize("raw", ["a" * 300_000, b"a" * 300_000])
def test_h056_foreign_text_is_cut(raw: bytes | str) -> None:
    assert escape(raw) == "a" * 64 + "..."
    assert escape(raw[:64]) == "a" * 64
    assert escape(raw[:65], max_chars=3) == "aaa..."


@settings(deadline=None)
@given(st.binary() | st.text(st.characters() | st.characters(categories=["Cs"])))
def test_h056_escaped_text_is_printable_ascii(raw: bytes | str) -> None:
    shown = escape(raw)
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) <= 64 * 10 + 3


def test_wire_error_says_what_and_why() -> None:
    error = WireError(Fault.ADDRESS, "not a mailbox")
    assert (error.fault, error.detail, str(error)) == (Fault.ADDRESS, "not a mailbox", "not a mailbox")
    assert isinstance(error, ValueError)


def test_wire_error_is_pickled() -> None:
    error = pickle.loads(pickle.dumps(WireError(Fault.REPLY, "why")))  # noqa: S301 - our own octets
    assert (type(error), error.fault, str(error)) == (WireError, Fault.REPLY, "why")
