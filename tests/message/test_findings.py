"""Errors about messages."""

import pickle

from smtpx.errors import LocalProtocolError
from smtpx.message.findings import Finding, MessageError


def test_all_findings_are_told_and_kept() -> None:
    findings = [Finding.of("to", "a\r\nb" + "x" * 100, "bad"), Finding.of("from_", None, "missing")]
    error = MessageError(findings)
    assert str(error) == "to: bad; from_: missing"
    assert error.findings == tuple(findings)
    assert findings[0].value.startswith("a\\x0d\\x0ab")
    assert len(findings[0].value) < 100
    assert findings[1].value == ""
    assert isinstance(error, LocalProtocolError)
    assert isinstance(error, ValueError)


def test_a_long_list_is_cut_in_the_text_only() -> None:
    error = MessageError(Finding(f"f{number}", "", "bad") for number in range(12))
    assert str(error).endswith("f9: bad; and 2 more")
    assert len(error.findings) == 12


def test_pickled() -> None:
    error = pickle.loads(pickle.dumps(MessageError([Finding("to", "x", "bad")])))  # noqa: S301 - our own
    assert error.findings == (Finding("to", "x", "bad"),)
    assert str(error) == "to: bad"
