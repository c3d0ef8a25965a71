"""SASLprep (RFC 4013) and the trace profile of ANONYMOUS (RFC 4505 3)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpx.sasl.mechanism import SASLError
from smtpx.sasl.saslprep import check_trace, saslprep


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("", ""),
        ("pass word", "pass word"),
        ("a\u00a0b\u3000c", "a b c"),
        ("p\u00e4ss", "p\u00e4ss"),
        ("pa\u0308ss", "p\u00e4ss"),
        ("\u0627\u0628", "\u0627\u0628"),
    ],
)
def test_rfc4013_3_examples(text: str, prepared: str) -> None:
    assert saslprep(text) == saslprep(text, stored=True) == prepared


@pytest.mark.parametrize(
    "text",
    [
        "\x07",
        "a\0",
        "\x7f",
        "\u0627\u0031",
        "\u0627a\u0628",
        "a\u0627",
        "\ud800",
        "\ue000",
        "\u200e",
        "\u2ff0",
    ],
)
def test_rfc4013_2_3_prohibited(text: str) -> None:
    with pytest.raises(SASLError) as caught:
        saslprep(text)
    assert text not in str(caught.value)


def test_rfc4013_2_5_unassigned_code_points_are_not_stored() -> None:
    assert saslprep("\U0001f600") == "\U0001f600"
    with pytest.raises(SASLError):
        saslprep("\U0001f600", stored=True)


@settings(deadline=None)
@given(st.text())
def test_prepared_text_stays_as_it_is(text: str) -> None:
    try:
        prepared = saslprep(text, stored=True)
    except SASLError:
        return
    assert saslprep(prepared, stored=True) == prepared


def test_rfc4505_3_trace_is_not_changed_and_may_hold_spaces() -> None:
    check_trace("sirhc \u00a0 x")
    for text in ("a\0b", "\u0627a", "\ud800"):
        with pytest.raises(SASLError):
            check_trace(text)
