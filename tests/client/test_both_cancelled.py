"""T08: whatever step is interrupted, no half-used connection stays behind, and no task or thread."""
# ruff: noqa: ANN401 - steps and streams of either colour

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import smtpx
from smtpx.client.aio import AsyncClient
from smtpx.client.bulk import Outgoing
from smtpx.client.settings import Limits
from smtpx.client.sync import Client
from smtpx.extensions import STANDARD
from smtpx.net import drive
from tests.client.bulk_cases import threads
from tests.client.dialogues import BODY, FROM, TO
from tests.client.test_async_crew import leftovers

WITHOUT_CHUNKING = [each for each in STANDARD if each.keyword not in ("CHUNKING", "BINARYMIME")]
LARGE = [BODY * 2000] * 5
MANY = [Outgoing(BODY, FROM, [TO]), Outgoing(LARGE, FROM, [TO])] * 2 + [Outgoing(BODY, FROM, [TO])] * 6


class Steps:
    """Counts steps, and does something before one of them."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self.count = 0
        self._at, self._act = at, act

    def step(self) -> None:
        self.count += 1
        if self.count == self._at:
            self._act()


def interrupt() -> None:
    raise KeyboardInterrupt


def cancelling(running: list[asyncio.Task[bool]]) -> Callable[[], None]:
    """Cancel the task that called the client; in `send_many` the step is another task's."""

    def cancel() -> None:
        running[0].cancel()

    return cancel


@pytest.fixture(params=["chunks", "data"])
def address(request: pytest.FixtureRequest) -> Iterator[tuple[str, list[bytes]]]:
    bodies: list[bytes] = []

    class Keeping(smtpx.Session):
        async def data(self, body: Any) -> None:
            bodies.append(await body.read())

    extensions = STANDARD if request.param == "chunks" else WITHOUT_CHUNKING
    with smtpx.ServerThread(Keeping, port=0, extensions=extensions) as server:
        yield f"smtp+plain://127.0.0.1:{server.port}?hello_name=me", bodies


@pytest.mark.parametrize("many", [False, True])
def test_t08_interrupted_at_every_step(
    address: tuple[str, list[bytes]], many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, bodies = address
    perform = drive._perform
    for at in range(1, 200):
        steps = Steps(at, interrupt)

        def counted(*details: Any, steps: Steps = steps) -> object:
            steps.step()
            return perform(*details)

        monkeypatch.setattr(drive, "_perform", counted)
        client = Client(url, limits=Limits(max_connections=1))
        try:
            if many:
                assert all(each.result for each in client.send_many(MANY))
            else:
                client.send(BODY, sender=FROM, recipients=[TO])
            interrupted = False
        except KeyboardInterrupt:
            interrupted = True
        monkeypatch.setattr(drive, "_perform", perform)
        assert not threads()
        assert client._policy.open_connections == (0 if interrupted else 1)
        assert client.send(BODY, sender=FROM, recipients=[TO]).accepted
        client.close()
        if not interrupted:
            break
    else:
        raise AssertionError("it never ended")
    assert at > 5
    assert set(bodies) <= {BODY, b"".join(LARGE)}  # nobody took a part for the whole


@pytest.mark.parametrize("many", [False, True])
def test_t08_cancelled_at_every_step(
    address: tuple[str, list[bytes]], many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, bodies = address
    perform = drive._aperform

    async def attempt(client: AsyncClient) -> bool:
        """Whether it was cancelled, from within or from outside."""
        if not many:
            await client.send(BODY, sender=FROM, recipients=[TO])
        else:
            assert all([each.result async for each in client.send_many(MANY)])
        return False

    async def main() -> int:
        for at in range(1, 200):
            running: list[asyncio.Task[bool]] = []
            steps = Steps(at, cancelling(running))

            async def counted(*details: Any, steps: Steps = steps) -> object:
                steps.step()
                return await perform(*details)

            monkeypatch.setattr(drive, "_aperform", counted)
            client = AsyncClient(url, limits=Limits(max_connections=1))
            running.append(asyncio.create_task(attempt(client)))
            try:
                cancelled = await running[0]
            except asyncio.CancelledError:
                cancelled = True
            monkeypatch.setattr(drive, "_aperform", perform)
            assert not leftovers()
            if client._policy.open_connections:
                assert all(each[0].conversation.is_reusable for each in client._policy._idle)
                assert len(client._policy._idle) == client._policy.open_connections
            assert (await client.send(BODY, sender=FROM, recipients=[TO])).accepted
            await client.close()
            if not cancelled and steps.count < at:
                return at
        raise AssertionError("it never ended")

    assert asyncio.run(main()) > 5
    assert set(bodies) <= {BODY, b"".join(LARGE)}
