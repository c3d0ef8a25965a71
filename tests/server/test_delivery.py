"""One message on its way to a session that may be slower than the peer."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from smtpx.protocol.events import AbortCause
from smtpx.server.body import Body, TransferAborted
from smtpx.server.delivery import Delivery
from smtpx.server.inline import InlineRunner, OnDone, Outcome

Data = Callable[[Body], Coroutine[Any, Any, Any]]


class Rig:
    """A delivery of at most 10 octets ahead."""

    def __init__(self, data: Data) -> None:
        loop = asyncio.get_running_loop()
        self.data = data
        self.runner = InlineRunner(loop)
        self.ready = 0
        self.held = 0
        self.delivery = Delivery(10, loop, self.run, self.on_ready, self.hold)

    def hold(self, octets: int) -> None:
        self.held += octets
        assert self.held == self.delivery.body.buffered_bytes

    def run(self, body: Body, on_done: OnDone) -> Outcome | None:
        return self.runner.run(self.data(body), on_done)

    def on_ready(self) -> None:
        self.ready += 1

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        if not self.runner.is_busy:
            self.runner.stop()
            await asyncio.sleep(0)


async def read(body: Body) -> bytes:
    return await body.read()


async def refuse(body: Body) -> bytes:
    raise ValueError


async def test_a_small_message_is_handed_over_when_it_is_complete() -> None:
    rig = Rig(read)
    assert rig.delivery.feed(b"abc")
    assert rig.delivery.outcome is None
    assert not rig.delivery.finish()  # called from a task of our own, so nothing runs in place
    await rig.settle()
    assert rig.delivery.outcome == Outcome(b"abc", None)
    assert rig.ready == 1
    assert rig.delivery.size == 3


async def test_a_session_that_keeps_up() -> None:
    rig = Rig(read)
    for turn in range(5):
        assert not rig.delivery.feed(b"x" * 20)
        await rig.settle()
        assert rig.ready == turn + 1
    assert not rig.delivery.finish()
    await rig.settle()
    assert rig.delivery.outcome == Outcome(b"x" * 100, None)


async def test_a_session_that_does_not_keep_up() -> None:
    release = asyncio.Event()

    async def slow(body: Body) -> int:
        await release.wait()
        await body.read(3)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert rig.ready == 0  # 17 octets are still here
        return await body.discard()

    rig = Rig(slow)
    assert not rig.delivery.feed(b"x" * 20)
    await rig.settle()
    assert rig.ready == 0
    release.set()
    await rig.settle()
    assert rig.ready == 1
    assert not rig.delivery.finish()
    await rig.settle()
    assert rig.delivery.outcome == Outcome(20, None)


async def test_a_session_that_has_its_verdict_early() -> None:
    rig = Rig(refuse)
    assert not rig.delivery.feed(b"x" * 20)
    await rig.settle()
    assert rig.ready == 1
    assert rig.delivery.feed(b"x" * 1000)
    assert rig.delivery.body.buffered_bytes == 0
    assert rig.delivery.size == 1020
    assert rig.delivery.end_chunk()
    assert rig.delivery.finish()
    assert isinstance((rig.delivery.outcome or Outcome(None, None)).error, ValueError)


async def test_a_chunk_is_complete_when_the_session_has_taken_it() -> None:
    rig = Rig(read)
    assert rig.delivery.feed(b"x")
    assert not rig.delivery.end_chunk()
    await rig.settle()
    assert rig.ready == 1
    assert rig.delivery.end_chunk()  # an empty one
    assert not rig.delivery.finish()
    await rig.settle()
    assert rig.delivery.outcome == Outcome(b"x", None)


@pytest.mark.parametrize("begun", [False, True])
async def test_given_up(begun: bool) -> None:
    rig = Rig(read)
    rig.delivery.feed(b"x" * (20 if begun else 1))
    await rig.settle()
    assert not rig.delivery.abort(AbortCause.LOST)
    await rig.settle()
    assert rig.delivery.outcome is not None
    assert isinstance(rig.delivery.outcome.error, TransferAborted)
    assert rig.ready == 1 + begun
    assert not rig.delivery.is_reported


async def test_in_place() -> None:
    """From a callback of the loop a session that does not wait is done at once."""
    rig = Rig(read)
    results: list[bool] = []
    asyncio.get_running_loop().call_soon(lambda: results.append(rig.delivery.feed(b"x") and rig.delivery.finish()))
    await rig.settle()
    assert results == [True]
    assert rig.ready == 0
