"""Results: what became of each recipient, and one error for all."""

import pickle

import pytest

from smtpx.errors import PermanentRefusal, RefusedError, TemporaryRefusal
from smtpx.flows.outcome import SendResult, Tally, all_refused
from smtpx.protocol.client import Answer, Owed
from smtpx.wire.reply import Reply

OK, LATER, NO = Reply(250, None, ("ok",)), Reply(450, None, ("later",)), Reply(550, None, ("no",))


def refusal(reply: Reply, address: str = "b@x.example") -> RefusedError:
    return RefusedError.of(reply, command="RCPT TO:<x>", recipient=address, stage="rcpt")


@pytest.mark.parametrize(
    ("text", "queue_id"),
    [
        ("2.0.0 Ok: queued as 4Zx1", "4Zx1"),
        ("OK id=1tXy-00 ", "1tXy-00"),
        ("queued as 42.", "42"),
        ("Message queued abc", "abc"),
        ("thanks", None),
    ],
)
def test_queue_id(text: str, queue_id: str | None) -> None:
    assert SendResult({}, {}, Reply(250, None, (text,))).queue_id == queue_id


def test_no_queue_id_without_a_reply() -> None:
    assert SendResult({}, {}).queue_id is None


def test_p23_raise_for_refused() -> None:
    result = SendResult({"a": OK}, {"b": refusal(NO)}, OK)
    assert result.refused
    with pytest.raises(PermanentRefusal) as caught:
        result.raise_for_refused()
    assert caught.value.result is result
    good = SendResult({"a": OK}, {}, OK)
    assert good.raise_for_refused() is good


def test_one_temporary_makes_all_temporary() -> None:
    error = all_refused(SendResult({}, {"a": refusal(NO), "b": refusal(LATER)}))
    assert isinstance(error, TemporaryRefusal)
    assert error.reply is LATER
    assert type(all_refused(SendResult({}, {"a": refusal(NO)}))) is PermanentRefusal


def test_p24_the_error_names_each_and_survives_pickling() -> None:
    error = all_refused(SendResult({}, {"a@x": refusal(NO, "a@x"), "b@x": refusal(LATER)}))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own octets
    for each in (error, again):
        assert "<a@x>: 550 no" in str(each)
        assert "<b@x>: 450 later" in str(each)


def test_tally_keeps_the_callers_order() -> None:
    tally = Tally(["c", "a", "b", "a"])
    for address in ("a", "b", "c"):
        tally.take(address, OK)
    assert list(tally.result(OK, None).accepted) == ["c", "a", "b"]
    assert not tally.is_hopeless
    tally.refuse_all(Answer(Owed("DATA", "DATA"), LATER), "data")
    assert tally.is_hopeless
    assert list(tally.result(None, None).refused) == ["c", "a", "b"]
    assert tally.refused["a"].stage == "data"


def test_p23_verdicts_of_lmtp_go_by_position() -> None:
    tally = Tally(["a", "b", "c"])
    for address in ("a", "b", "c"):
        tally.take(address, OK)
    no = Answer(Owed("DATA", "DATA"), NO)
    fine = Reply(250, None, ("fine",))
    tally.take_verdicts([Answer(Owed("DATA", "DATA"), fine), no])
    result = tally.result(fine, None)
    assert result.accepted == {"a": fine}
    assert list(result.refused) == ["b"]  # what became of c nobody knows
    assert (result.refused["b"].stage, result.refused["b"].recipient) == ("final", "b")
    assert result.verdicts == (("a", fine), ("b", NO))


@pytest.mark.parametrize("positive_first", [True, False])
def test_of_two_verdicts_on_one_recipient_the_positive_counts(positive_first: bool) -> None:
    tally = Tally(["a", "a"])
    for _ in range(2):
        tally.take("a", OK)
    answers = [Answer(Owed("DATA", "DATA"), reply) for reply in (OK, NO)]
    tally.take_verdicts(answers if positive_first else reversed(answers))
    result = tally.result(OK, None)
    assert (list(result.accepted), list(result.refused)) == (["a"], [])
    assert len(result.verdicts) == 2


def test_a_message_that_did_not_get_out_was_accepted_for_nobody() -> None:
    tally = Tally(["a", "b"])
    tally.take("a", OK)
    tally.refused["b"] = refusal(NO, "b")
    tally.forget_accepted()
    result = tally.result(None, None)
    assert (dict(result.accepted), list(result.refused)) == ({}, ["b"])
