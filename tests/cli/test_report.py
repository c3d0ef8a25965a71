"""What became of each recipient, whatever was lost."""

from collections.abc import Sequence

import pytest

from smtpx.cli.report import Fates, as_object, fates_of
from smtpx.errors import (
    AuthenticationError,
    ConnectionLost,
    LocalProtocolError,
    PermanentRefusal,
    SMTPXError,
    TemporaryRefusal,
)
from smtpx.flows.outcome import SendResult
from smtpx.wire.reply import Reply

RCPT, DONE = Reply(250, None, ("rcpt",)), Reply(250, None, ("done",))
LOST = ConnectionLost("gone", stage="final")


def fates(
    result: SendResult | None, error: SMTPXError | None, recipients: Sequence[str] = ("a", "b")
) -> list[list[str]]:
    return [list(each) for each in fates_of(result, error, recipients)]


def test_all_is_well() -> None:
    assert fates(SendResult({"a": RCPT, "b": RCPT}, {}, DONE), None) == [["a", "b"], [], []]


def test_nothing_is_known_of_anybody() -> None:
    assert fates(None, LOST) == [[], [], ["a", "b"]]


def test_the_verdict_was_lost() -> None:
    refusal = PermanentRefusal(Reply(550, None, ("no",)))
    assert fates(SendResult({"a": RCPT}, {"b": refusal}), LOST) == [[], ["b"], ["a"]]


def test_the_verdict_was_lost_and_who_was_asked_about_is_not_known() -> None:
    assert fates(SendResult({"a": RCPT}, {}), LOST, ["a", "b", "c"]) == [[], [], ["a", "b", "c"]]


def test_a_recipient_named_twice_and_answered_differently_is_unknown() -> None:
    refusal = PermanentRefusal(Reply(550, None, ("no",)))
    assert fates(SendResult({"a": RCPT}, {"a": refusal}), LOST, ["a", "a"]) == [[], [], ["a"]]


@pytest.mark.parametrize("stage", ["connect", "starttls", "auth", "mail", "rcpt"])
def test_lost_before_the_end(stage: str) -> None:
    lost = ConnectionLost("gone", stage=stage)
    found = fates_of(SendResult({"a": RCPT}, {}) if stage == "rcpt" else None, lost, ["a", "b"])
    assert found == ({}, {"a": None, "b": None}, {})


def test_a_refused_mail_is_everybodys_refusal() -> None:
    refusal = PermanentRefusal(Reply(550, None, ("no",)), stage="mail")
    assert fates_of(None, refusal, ["a", "b"]) == ({}, {"a": refusal.reply, "b": refusal.reply}, {})


def test_a_421_is_the_refusal_of_those_not_asked_about_yet() -> None:
    own, closing = PermanentRefusal(Reply(550, None, ("no",))), TemporaryRefusal(Reply(421, None, ("bye",)))
    result = SendResult({}, {"a": own, "b": closing})
    found = fates_of(result, closing, ["a", "b", "c"])
    assert found.refused == {"a": own.reply, "b": closing.reply, "c": closing.reply}


def test_a_421_behind_a_transaction_that_is_done() -> None:
    closing = TemporaryRefusal(Reply(421, None, ("bye",)))
    first = SendResult({"a": RCPT}, {}, DONE)
    assert fates(first, closing) == [["a"], ["b"], []]


def test_wrong_credentials_are_everybodys_refusal() -> None:
    reply = Reply(535, None, ("no",))
    error = AuthenticationError("no", mechanism="PLAIN", reply=reply)
    assert fates_of(None, error, ["a"]) == ({}, {"a": reply}, {})


def test_a_recipient_that_is_no_address() -> None:
    assert fates(None, LocalProtocolError("no address", stage="rcpt"), ["a", "B@X.example"]) == [
        [],
        ["a", "B@X.example"],
        [],
    ]


def test_lost_in_the_second_of_two_transactions() -> None:
    first = SendResult({"a": RCPT}, {}, DONE)
    result = SendResult({"a": RCPT, "b": RCPT}, {}, DONE, parts=(first, SendResult({"b": RCPT}, {})))
    assert fates(result, LOST) == [["a"], [], ["b"]]


def test_lmtp_verdicts_that_came() -> None:
    result = SendResult({"a@x.example": DONE}, {}, verdicts=(("a@x.example", DONE),))
    everybody = ["a@x.example", "b@x.example"]
    assert fates(result, LOST, everybody) == [["a@x.example"], [], ["b@x.example"]]


def test_json_of_somebody_nobody_answered_about() -> None:
    value = as_object(Fates({}, {"c": None}, {"a": None, "b": RCPT}), None, LOST)
    assert value["unknown"] == {
        "a": {"code": None, "enhanced": None, "text": None},
        "b": {"code": 250, "enhanced": None, "text": "rcpt"},
    }
    assert value["refused"] == {"c": {"code": None, "enhanced": None, "text": None}}
