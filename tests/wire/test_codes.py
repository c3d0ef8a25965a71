"""Severities and enhanced status codes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpx.wire.codes import EnhancedCode, Severity
from smtpx.wire.syntax import Fault, WireError


def test_rfc5321_4_2_1_severity_is_the_first_digit() -> None:
    assert [Severity(digit).name for digit in (2, 3, 4, 5)] == ["COMPLETED", "CONTINUE", "TEMPORARY", "PERMANENT"]


def test_rfc3463_2_enhanced_code_has_three_numbers() -> None:
    code = EnhancedCode.parse("5.1.10")
    assert code == EnhancedCode(5, 1, 10) == (5, 1, 10)
    assert str(code) == "5.1.10"


@pytest.mark.parametrize(
    "text", ["", "5", "5.1", "5.1.1 ", " 5.1.1", "5.1.1.1", "3.0.0", "1.0.0", "5.1.1000", "5.-1.0", "5.1.1\n", "5.1.٣"]
)
def test_rfc3463_2_other_forms_are_refused(text: str) -> None:
    with pytest.raises(WireError) as caught:
        EnhancedCode.parse(text)
    assert caught.value.fault is Fault.REPLY


def test_h056_a_refused_code_is_shown_escaped_and_cut() -> None:
    with pytest.raises(WireError) as caught:
        EnhancedCode.parse("\x1b]0;pwn\x07" + "x" * 1000)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 120


@settings(deadline=None)
@given(st.sampled_from([2, 4, 5]), st.integers(0, 999), st.integers(0, 999))
def test_rfc3463_2_written_code_reads_back(severity: int, subject: int, detail: int) -> None:
    code = EnhancedCode(severity, subject, detail)
    assert EnhancedCode.parse(str(code)) == code


@settings(deadline=None)
@given(st.text() | st.from_regex(r"[0-9.]{0,12}"))
def test_any_text_gives_a_code_or_wire_error(text: str) -> None:
    try:
        code = EnhancedCode.parse(text)
    except WireError:
        return
    assert code.severity in (2, 4, 5)
