"""`send_many` with tasks."""
# ruff: noqa: ANN401 - any message may be given

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import smtpx
from smtpx.client.aio import AsyncClient
from smtpx.client.bulk import Outgoing, SendOutcome
from smtpx.errors import LocalProtocolError
from tests.client.bulk_cases import BODY, BULK, FINE, ONE, THREE, BulkCases, Kept, chunk, mails, session
from tests.client.dialogues import FROM, TO, url
from tests.peers import ScriptedServer


class TestAsyncCrew(BulkCases):
    def send_many(
        self, url: str, messages: Any, *, stop_after: int | None = None, options: Any = None, **wishes: Any
    ) -> list[SendOutcome]:
        options = dict(options or {})
        seen: list[SendOutcome] = options.pop("seen", [])

        async def main() -> None:
            async with AsyncClient(url, **options) as client:
                async for outcome in client.send_many(messages, **wishes):
                    seen.append(outcome)
                    if len(seen) == stop_after:
                        break
            assert not leftovers()

        asyncio.run(main())
        return seen


def leftovers() -> set[asyncio.Task[Any]]:
    """Tasks beside this one, and beside the finalizer of a generator that was left."""
    return {task for task in asyncio.all_tasks() if "_work" in str(task) or "_feed" in str(task)}


async def slowly(count: int, given: list[int]) -> AsyncIterator[Outgoing]:
    for number, mail in enumerate(mails(count)):
        await asyncio.sleep(0.005)
        given.append(number)
        yield mail


def test_an_async_source_that_takes_its_time() -> None:
    async def main() -> None:
        given: list[int] = []
        with smtpx.ServerThread(session(Kept()), port=0) as server:
            async with AsyncClient(f"smtp+plain://127.0.0.1:{server.port}") as client:
                behind = [len(given) - each.index async for each in client.send_many(slowly(50, given))]
        assert len(behind) == 50
        assert max(behind) < 30

    asyncio.run(main())


def test_an_async_source_that_raises() -> None:
    async def source() -> AsyncIterator[Outgoing]:
        for mail in mails(3):
            yield mail
        raise ZeroDivisionError

    seen: list[SendOutcome] = []

    async def main() -> None:
        with smtpx.ServerThread(session(Kept()), port=0) as server:
            async with AsyncClient(f"smtp+plain://127.0.0.1:{server.port}") as client:
                async for outcome in client.send_many(source()):
                    assert outcome.index == len(seen)
                    seen.append(outcome)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(main())
    assert [each.error for each in seen] == [None] * 3


def test_other_tasks_get_a_connection_too() -> None:
    async def main() -> None:
        with smtpx.ServerThread(session(Kept()), port=0) as server:
            async with AsyncClient(f"smtp+plain://127.0.0.1:{server.port}", limits=ONE) as client:
                many = client.send_many(mails(600))
                await anext(many)
                other = asyncio.create_task(client.send(BODY, sender=FROM, recipients=[TO]))
                first = None
                async for outcome in many:
                    if other.done():
                        first = outcome.index
                        break
                assert first is not None
                assert first < 599
                assert len([each async for each in many]) == 599 - first
                await other

    asyncio.run(main())


def test_a_closed_client_ends_it() -> None:
    async def main() -> None:
        with smtpx.ServerThread(session(Kept()), port=0) as server:
            client = AsyncClient(f"smtp+plain://127.0.0.1:{server.port}", limits=ONE)
            many = client.send_many(mails(300))
            await anext(many)
            await client.close()
            assert not leftovers()
            with pytest.raises(LocalProtocolError, match="closed"):
                async for _ in many:
                    pass

    asyncio.run(main())


@pytest.mark.parametrize("script", [BULK, BULK + FINE + chunk(reset=False)])
def test_cancelled_wherever_it_waits(script: str) -> None:
    async def main() -> None:
        with ScriptedServer(script, tolerant=True) as server:
            async with AsyncClient(url(server), limits=ONE) as client:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        async with contextlib.aclosing(client.send_many(THREE)) as many:
                            async for _ in many:
                                pass
                assert not leftovers()
                assert client._policy.open_connections == 0

    asyncio.run(main())


def test_content_that_is_cancelled_ends_the_run() -> None:
    def content() -> Iterator[bytes]:
        yield b"x\r\n"
        raise SystemExit(3)

    async def main() -> None:
        with smtpx.ServerThread(session(Kept()), port=0) as server:
            async with AsyncClient(f"smtp+plain://127.0.0.1:{server.port}", limits=ONE) as client:
                async for _ in client.send_many([Outgoing(content(), FROM, [TO])]):
                    pass

    with pytest.raises(SystemExit):
        asyncio.run(main())
