"""Who looks on at `send_many` is told of each message once, whatever becomes of it: all the cases again, watched."""
# ruff: noqa: ANN401 - any message may be given

from collections import Counter
from typing import Any

import pytest

import smtpx
from smtpx.client.bulk import Outgoing, SendOutcome
from smtpx.client.observer import ClientConnectionObserver, ClientObserver, MessageObserver, TransactionOutcome
from smtpx.errors import ConnectionLost, LocalProtocolError
from smtpx.flows.outcome import SendResult
from smtpx.net.targets import Target
from tests.client.bulk_cases import BULK, FINE, ONE, THREE, Kept, chunk, mails, session
from tests.client.dialogues import FROM, TO, url
from tests.client.test_async_crew import TestAsyncCrew as AsyncMany
from tests.client.test_crew import TestCrew as Many
from tests.peers import ScriptedServer


class Books(ClientObserver):
    """Keeps what it is told of each message and each transaction."""

    def __init__(self) -> None:
        self.begun: list[_Message] = []
        self.transactions: list[str] = []
        self.ended: list[TransactionOutcome] = []

    def message_started(self, target: Target, *, bulk: bool) -> MessageObserver:
        assert bulk
        self.begun.append(_Message())
        return self.begun[-1]

    def connection_started(self, connection_id: str, target: Target) -> ClientConnectionObserver:
        return _Connection(connection_id, target, self)

    def check(self, seen: list[SendOutcome]) -> None:
        """See that everything was told, and once."""
        assert [len(each.outcomes) for each in self.begun] == [1] * len(self.begun)
        assert Counter(self.transactions) == Counter(each.id for each in self.ended)
        assert len({*self.transactions}) == len(self.transactions)
        assert all((each.result is None) is not (each.error is None) for each in self.ended)
        told = [(id(result), id(error)) for each in self.begun for result, error in each.outcomes]
        for outcome in seen:
            assert told.count((id(outcome.result), id(outcome.error))) == 1
        good = [each.result.reply for each in seen if each.result is not None]
        assert Counter(good) <= Counter(each.result.reply for each in self.ended if each.result is not None)


class _Message(MessageObserver):
    def __init__(self) -> None:
        self.outcomes: list[tuple[SendResult | None, BaseException | None]] = []

    def ended(self, result: SendResult | None, error: BaseException | None) -> None:
        self.outcomes.append((result, error))


class _Connection(ClientConnectionObserver):
    def __init__(self, connection_id: str, target: Target, books: Books) -> None:
        super().__init__(connection_id, target)
        self._books = books

    def transaction_started(self, transaction_id: str) -> None:
        self._books.transactions.append(transaction_id)

    def transaction_ended(self, transaction: TransactionOutcome) -> None:
        self._books.ended.append(transaction)

    def closed(self, messages: int, seconds: float) -> None:
        prefix = f"{self.id}."
        assert messages == sum(each.startswith(prefix) for each in self._books.transactions)


def watched(many: type[Many | AsyncMany], books: Books, *arguments: Any, **options: Any) -> list[SendOutcome]:
    given = dict(options.pop("options", None) or {})
    seen = given.setdefault("seen", [])
    try:
        return many().send_many(*arguments, options={**given, "observer": books}, **options)
    finally:
        books.check(seen)


class TestWatchedCrew(Many):
    def send_many(self, *arguments: Any, **options: Any) -> list[SendOutcome]:
        return watched(Many, Books(), *arguments, **options)


class TestWatchedAsyncCrew(AsyncMany):
    def send_many(self, *arguments: Any, **options: Any) -> list[SendOutcome]:
        return watched(AsyncMany, Books(), *arguments, **options)


both = pytest.mark.parametrize("many", [Many, AsyncMany])


@both
def test_messages_in_flight_and_alone_are_transactions_of_their_connection(many: type[Many]) -> None:
    books, kept = Books(), Kept()
    messages = [
        *mails(5),
        Outgoing(b"x" * 70_000 + b"\r\n", FROM, [TO]),
        Outgoing(b"x\r\n", FROM, ["nobody@y.example"]),
    ]
    with smtpx.ServerThread(session(kept), port=0) as server:
        address = f"smtp+plain://127.0.0.1:{server.port}"
        outcomes = watched(many, books, address, [*messages, *mails(5)], options={"limits": ONE})
    assert [each.error is None for each in outcomes] == [True] * 6 + [False] + [True] * 5
    assert [each.rpartition(".")[2] for each in books.transactions] == [str(1 + number) for number in range(12)]
    assert [each.error for each in books.ended] == [each.error for each in outcomes]
    assert [each.outcomes for each in books.begun] == [[(each.result, each.error)] for each in outcomes]
    assert all(each.seconds > 0 for each in books.ended)


@both
def test_what_is_lost_and_what_is_sent_again(many: type[Many]) -> None:
    books = Books()
    first = BULK + FINE + chunk(reset=False) + chunk() + "S: 421 enough for today\nEOF"
    second = BULK + FINE + chunk(reset=False) + "S: 250 m\nS: 250 r\nS: 250 done\nC: QUIT\nS: 221 bye\n"
    with ScriptedServer(first, second) as server:
        watched(many, books, url(server), THREE, options={"limits": ONE})
    assert len(books.begun) == 3
    assert len(books.transactions) == 5  # two of them on either connection
    assert [type(each.error).__name__ for each in books.ended].count("TemporaryRefusal") == 2


@both
def test_what_is_cut_off_is_told_of_too(many: type[Many]) -> None:
    books = Books()
    script = BULK + FINE + chunk(reset=False) + chunk() + chunk() + "S: 250 m\n"
    with ScriptedServer(script, tolerant=True) as server:
        (first,) = watched(many, books, url(server), THREE * 3, stop_after=1, options={"limits": ONE})
    fates = [error for each in books.begun for _, error in each.outcomes]
    assert fates[0] is first.error is None
    assert len(fates) > 1
    assert all(isinstance(each, ConnectionLost | LocalProtocolError) for each in fates[1:])


@both
def test_what_has_no_turn_any_more_is_told_when_its_fate_is(many: type[Many]) -> None:
    """A wrong password is tried once; the others never begin, and still count."""
    books = Books()
    script = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AHUAcA==\nS: 535 no\nC: QUIT\nS: 221 b\n"
    with ScriptedServer(script) as server:
        options = {"username": "u", "password": "p", "limits": ONE}
        watched(many, books, url(server), THREE, options=options)
    assert len(books.begun) == 3
    assert books.transactions == []


@both
def test_observers_that_raise_or_do_not_care_change_nothing(many: type[Many], caplog: pytest.LogCaptureFixture) -> None:
    class Careless(ClientObserver):
        def message_started(self, target: Target, *, bulk: bool) -> MessageObserver | None:
            if bulk:
                raise ZeroDivisionError
            return None

    with smtpx.ServerThread(session(Kept()), port=0) as server:
        address = f"smtp+plain://127.0.0.1:{server.port}"
        for observer in (Careless(), ClientObserver()):
            outcomes = many().send_many(address, mails(3), options={"observer": observer})
            assert all(each.result for each in outcomes)
    assert "message_started of the observer raised" in caplog.text
