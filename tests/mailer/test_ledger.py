"""The books of one `send_bulk`."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from smtpx.mailer.ledger import Ledger, each_of, lost
from smtpx.mailer.observer import ProviderFacts
from smtpx.mailer.provider import NotTriedError
from smtpx.mailer.watch import BulkWatch, Facts
from tests.mailer.rig import letters, result_for


def test_outcomes_come_in_any_order_and_are_told_in_that_of_the_messages() -> None:
    told: list[int] = []
    ledger = Ledger(lambda each: told.append(each.index))
    messages = letters(4)
    for message in messages:
        ledger.take(message)
    ledger.settle(2, ValueError("no"))
    ledger.settle(1, result_for(messages[1]))
    assert told == []
    ledger.settle(0, result_for(messages[0]))
    assert told == [0, 1, 2]
    ledger.settle(2, result_for(messages[2]))  # only the first word counts
    ledger.settle(3, None)
    outcomes = ledger.result().outcomes
    assert [each.message for each in outcomes] == messages
    assert [each.error is None for each in outcomes] == [True, True, False, False]
    assert outcomes[3].is_unknown  # nobody says


def test_given_up_what_was_begun_is_unknown_and_the_rest_was_not_tried() -> None:
    ledger = Ledger()
    messages = letters(6)
    for message in messages[:4]:
        ledger.take(message)
    ledger.settle(0, result_for(messages[0]))
    for index in (1, 2):
        ledger.begin(index, messages[index])
    ledger.postpone(2)
    assert list(ledger.unsettled) == [1, 2, 3]
    ledger.give_up("enough")
    ledger.leave_out(messages, "too late")
    outcomes = ledger.result().outcomes
    assert [each.is_unknown for each in outcomes] == [False, True, False, False, False, False]
    assert all(isinstance(each.error, NotTriedError) for each in outcomes[2:])
    assert "too late" in str(outcomes[5].error)


def test_what_a_generator_would_still_give_nobody_knows() -> None:
    ledger = Ledger()
    ledger.leave_out(iter(letters(3)), "x")
    assert ledger.result().outcomes == ()


def test_a_callback_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def broken(outcome: Any) -> None:  # noqa: ANN401 - an outcome
        raise RuntimeError("no bar")

    ledger = Ledger(broken)
    with caplog.at_level(logging.ERROR, "smtpx.mailer"):
        ledger.settle(ledger.take(letters(1)[0]), lost("x"))
    assert "no bar" in caplog.text
    assert len(ledger.result().outcomes) == 1


async def test_sources_of_both_kinds() -> None:
    messages = letters(3)

    async def source() -> AsyncIterator[Any]:
        for message in messages:
            yield message

    assert [each async for each in each_of(messages)] == messages
    assert [each async for each in each_of(source())] == messages


def test_errors_of_others_are_the_cause_of_ours_and_stay_unknown_where_nobody_knows() -> None:
    ledger = Ledger()
    messages = letters(2)
    known, unknown = ValueError("no"), RuntimeError("password=secret")
    for message, error in zip(messages, (known, unknown), strict=True):
        ledger.settle(ledger.take(message), error)
    first, second = ledger.result().outcomes
    assert (str(first.error), first.is_unknown) == ("the message could not be sent: ValueError: no", False)
    assert second.is_unknown
    assert "secret" not in str(second.error)
    assert [each.error and each.error.__cause__ for each in (first, second)] == [known, unknown]


def test_a_watch_is_told_of_each_when_it_is_taken_and_when_it_is_known_as_it_was_made_ready() -> None:
    told: list[object] = []

    class Watching(BulkWatch):
        def take(self, index: int, facts: Facts | None = None) -> None:
            told.append((index, facts and facts()))

        def settle(self, index: int, message: object, result: object, error: object) -> None:
            told.append((index, message, result is None, error is None))

    ledger = Ledger(watch=Watching(None, None, logs=False))
    messages, ready = letters(2), letters(1)[0]
    facts = ProviderFacts("b", "memory")
    ledger.take(messages[0])
    ledger.take(messages[1], lambda: facts)
    ledger.begin(0, ready)
    ledger.settle(1, None)
    ledger.settle(0, result_for(ready))
    assert told == [(0, None), (1, facts), (1, messages[1], True, False), (0, ready, False, True)]
