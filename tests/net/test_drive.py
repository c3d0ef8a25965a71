"""Both drivers do the same with the same steps."""

# ruff: noqa: ANN401 - answers of any type
import asyncio
import time
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

import pytest

from smtpx.errors import ConfigurationError, ConnectionLost, DeadlineError
from smtpx.flows.steps import Call, Close, NextChunk, Poll, Receive, Send, StartTLS
from smtpx.net.deadlines import Deadline
from smtpx.net.drive import arun, run
from tests.peers import FACTS


class Stream:
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def send(self, pieces: tuple[bytes, ...], timeout_seconds: float) -> None:
        self.calls.append(("send", pieces, timeout_seconds))
        if pieces == (b"fail",):
            raise ConnectionLost("broken")

    def receive(self, timeout_seconds: float) -> bytes:
        self.calls.append(("receive", round(timeout_seconds)))
        return b"in"

    def poll(self) -> bytes | None:
        return None

    def start_tls(self, timeout_seconds: float) -> Any:
        return FACTS

    def close(self) -> None:
        self.calls.append("close")


class AsyncStream:
    """The same, awaited."""

    def __init__(self) -> None:
        self.inner = Stream()
        self.calls = self.inner.calls
        self.poll, self.close = self.inner.poll, self.inner.close

    async def send(self, pieces: tuple[bytes, ...], timeout_seconds: float) -> None:
        self.inner.send(pieces, timeout_seconds)

    async def receive(self, timeout_seconds: float) -> bytes:
        return self.inner.receive(timeout_seconds)

    async def start_tls(self, timeout_seconds: float) -> Any:
        return self.inner.start_tls(timeout_seconds)

    async def call(self, function: Callable[[], object], timeout_seconds: float) -> object:
        assert timeout_seconds > 0
        return function()


def every_step() -> Generator[Any, Any, list[Any]]:
    found = [(yield Send((b"a",), 1)), (yield Receive(2)), (yield Receive(9, continued=True)), (yield Poll())]
    found += [(yield StartTLS(3)), (yield NextChunk()), (yield NextChunk())]
    try:
        yield Send((b"fail",), 1)
    except ConnectionLost as error:
        found.append(str(error))
    found.append((yield Close()))
    return found


async def chunk() -> AsyncIterator[bytes]:
    yield b"chunk"


def drive(colour: str, flow: Any, *, chunks: bool = True) -> tuple[Any, list[Any]]:
    if colour == "sync":
        stream = Stream()
        return run(flow, stream, Deadline(), iter([b"chunk"]) if chunks else None), stream.calls
    awaited = AsyncStream()
    return asyncio.run(arun(flow, awaited, Deadline(), chunk() if chunks else None)), awaited.calls


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_every_step(colour: str) -> None:
    result, calls = drive(colour, every_step())
    assert result == [None, b"in", b"in", None, FACTS, b"chunk", None, "broken", None]
    assert calls == [("send", (b"a",), 1), ("receive", 2), ("receive", 2), ("send", (b"fail",), 1), "close"]


def one(step: Any) -> Generator[Any, Any, Any]:
    return (yield step)


def nothing() -> Generator[Any, Any, int]:
    return 5
    yield


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_ends(colour: str) -> None:
    assert drive(colour, one(NextChunk()), chunks=False)[0] is None
    assert drive(colour, nothing())[0] == 5
    with pytest.raises(ConnectionLost):
        drive(colour, one(Send((b"fail",), 1)))
    assert drive(colour, one("something else"))[0] is None


def calling(function: Callable[[], object]) -> Generator[Any, Any, object]:
    return (yield Call(function, 5))


def test_what_a_call_gives_too_late_does_not_count() -> None:
    def late() -> str:
        time.sleep(0.02)
        return "late"

    def flow() -> Generator[Any, Any, object]:
        return (yield Call(late, 0.01))

    with pytest.raises(DeadlineError, match="too long"):
        run(flow(), Stream(), Deadline())
    with pytest.raises(DeadlineError, match="too long"):
        run(calling(late), Stream(), Deadline(0.01))
    with pytest.raises(DeadlineError, match="used up"):
        run(calling(lambda: 7), Stream(), Deadline(-1))


def test_calls_of_the_callers_own() -> None:
    assert run(calling(lambda: 7), Stream(), Deadline()) == 7
    assert asyncio.run(arun(calling(lambda: 7), AsyncStream(), Deadline())) == 7

    async def token() -> str:
        return "t"

    class Awaitable:
        def __await__(self) -> Generator[Any, Any, str]:
            yield from ()
            return "t"

    for function in (token, Awaitable):
        with pytest.raises(ConfigurationError, match="async"):
            run(calling(function), Stream(), Deadline())
