"""`send_many` with threads."""
# ruff: noqa: ANN401 - any message may be given

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import smtpx
from smtpx.client.bulk import Outgoing, SendOutcome
from smtpx.client.settings import Limits
from smtpx.client.sync import Client
from smtpx.errors import LocalProtocolError
from tests.client.bulk_cases import BODY, ONE, THREE, BulkCases, Kept, mails, session, slow_server, spread, threads
from tests.client.dialogues import FROM, TO, url
from tests.peers import ScriptedServer


class TestCrew(BulkCases):
    def send_many(
        self, url: str, messages: Any, *, stop_after: int | None = None, options: Any = None, **wishes: Any
    ) -> list[SendOutcome]:
        options = dict(options or {})
        seen: list[SendOutcome] = options.pop("seen", [])
        with Client(url, **options) as client:
            for outcome in client.send_many(messages, **wishes):
                seen.append(outcome)
                if len(seen) == stop_after:
                    break
            assert not threads()
        return seen


def test_an_async_iterable_needs_the_other_client() -> None:
    async def source() -> Any:
        yield Outgoing(BODY, FROM, [TO])

    with pytest.raises(TypeError, match="async"), Client("smtp://localhost") as client:
        client.send_many(source())  # type: ignore[arg-type]


def test_results_come_while_the_source_takes_its_time() -> None:
    with (
        smtpx.ServerThread(session(Kept()), port=0) as server,
        Client(f"smtp+plain://127.0.0.1:{server.port}") as client,
    ):
        given: list[int] = []

        def source() -> Iterator[Outgoing]:
            for number, mail in enumerate(spread(mails(30))):
                given.append(number)
                yield mail

        behind = [len(given) - outcome.index for outcome in client.send_many(source())]
    assert max(behind) < 10


def test_other_threads_get_a_connection_too() -> None:
    kept = Kept()
    with (
        smtpx.ServerThread(session(kept), port=0) as server,
        Client(f"smtp+plain://127.0.0.1:{server.port}", limits=ONE) as client,
    ):
        many = client.send_many(mails(600))
        next(many)
        done: list[object] = []
        other = threading.Thread(target=lambda: done.append(client.send(BODY, sender=FROM, recipients=[TO])))
        other.start()
        first = next((outcome.index for outcome in many if done), None)
        assert first is not None
        assert first < 599
        assert len(list(many)) == 599 - first
        other.join()


def test_a_closed_client_ends_it() -> None:
    with smtpx.ServerThread(session(Kept()), port=0) as server:
        client = Client(f"smtp+plain://127.0.0.1:{server.port}", limits=ONE)
        many = client.send_many(mails(300))
        assert next(many).result
        client.close()
        assert not threads()
        with pytest.raises(LocalProtocolError, match="closed"):
            list(many)
        outcomes = client.send_many(THREE[:1])
        assert isinstance(next(outcomes).error, LocalProtocolError)
        outcomes.close()


def test_stopped_while_a_connection_is_opened_or_waited_for() -> None:
    with ScriptedServer(act=slow_server, tolerant=True) as server:
        client = Client(url(server), limits=ONE)
        started = threading.Event()

        def source() -> Iterator[Outgoing]:
            yield from THREE
            started.set()
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            list(client.send_many(source()))
        assert not threads()
        link = None
        with smtpx.ServerThread(session(Kept()), port=0) as real:
            client = Client(f"smtp+plain://127.0.0.1:{real.port}", limits=ONE)
            link = client._acquire()
            with pytest.raises(KeyboardInterrupt):
                list(client.send_many(source()))
            assert not threads()
            client._release(link)
            assert client.send(BODY, sender=FROM, recipients=[TO]).accepted
            client.close()


def test_more_workers_for_more_work() -> None:
    kept = Kept()
    with (
        smtpx.ServerThread(session(kept), port=0) as server,
        Client(f"smtp+plain://127.0.0.1:{server.port}", limits=Limits(max_connections=4)) as client,
    ):
        assert all(each.result for each in client.send_many(mails(300)))
    assert 1 < kept.most <= 4
