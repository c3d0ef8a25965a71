"""What became of each recipient, whatever was lost."""

from typing import Any

from smtpx.cli.report import Fates, as_object, fates_of
from smtpx.errors import ConnectionLost, PermanentRefusal, SMTPXError
from smtpx.flows.outcome import SendResult
from smtpx.wire.reply import Reply

RCPT, DONE = Reply(250, None, ("rcpt",)), Reply(250, None, ("done",))
LOST = ConnectionLost("gone", stage="final")


def fates(result: SendResult | None, error: SMTPXError | None, **options: Any) -> list[list[str]]:  # noqa: ANN401
    return [list(each) for each in fates_of(result, error, **options)]


def test_all_is_well() -> None:
    assert fates(SendResult({"a": RCPT}, {}, DONE), None) == [["a"], [], []]


def test_nothing_is_known_of_anybody() -> None:
    assert fates(None, LOST) == [[], [], []]


def test_the_verdict_was_lost() -> None:
    refusal = PermanentRefusal(Reply(550, None, ("no",)))
    assert fates(SendResult({"a": RCPT}, {"b": refusal}), LOST) == [[], ["b"], ["a"]]


def test_lost_before_the_end() -> None:
    lost = ConnectionLost("gone", stage="rcpt")
    assert fates(SendResult({"a": RCPT}, {}), lost) == [["a"], [], []]


def test_lost_in_the_second_of_two_transactions() -> None:
    first = SendResult({"a": RCPT}, {}, DONE)
    result = SendResult({"a": RCPT, "b": RCPT}, {}, DONE, parts=(first, SendResult({"b": RCPT}, {})))
    assert fates(result, LOST) == [["a"], [], ["b"]]


def test_lmtp_verdicts_that_came() -> None:
    result = SendResult({"a@x.example": DONE}, {}, verdicts=(("a@x.example", DONE),))
    everybody = ["a@x.example", "b@x.example"]
    assert fates(result, LOST, lmtp_recipients=everybody) == [["a@x.example"], [], ["b@x.example"]]


def test_json_of_somebody_nobody_answered_about() -> None:
    value = as_object(Fates({}, {}, {"a": None, "b": RCPT}), None, LOST)
    assert value["unknown"] == {
        "a": {"code": None, "enhanced": None, "text": None},
        "b": {"code": 250, "enhanced": None, "text": "rcpt"},
    }
