"""The two drivers: the same steps, without and with `await`. Nothing else in the package exists twice."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Protocol, TypeVar

from smtpx.errors import ConfigurationError, DeadlineError
from smtpx.flows.steps import Call, Close, Flow, NextChunk, Poll, Receive, Send, StartTLS, Step
from smtpx.net.deadlines import Deadline, now
from smtpx.protocol.facts import TLSFacts

__all__ = ["AsyncByteStream", "ByteStream", "arun", "run"]

T = TypeVar("T")


class ByteStream(Protocol):
    """A connection that blocks."""

    def send(self, pieces: tuple[bytes, ...], timeout_seconds: float) -> None: ...
    def receive(self, timeout_seconds: float) -> bytes: ...
    def poll(self) -> bytes | None: ...
    def start_tls(self, timeout_seconds: float) -> TLSFacts: ...
    def close(self) -> None: ...


class AsyncByteStream(Protocol):
    """A connection that is awaited."""

    async def send(self, pieces: tuple[bytes, ...], timeout_seconds: float) -> None: ...
    async def receive(self, timeout_seconds: float) -> bytes: ...
    def poll(self) -> bytes | None: ...
    async def start_tls(self, timeout_seconds: float) -> TLSFacts: ...
    async def call(self, function: Callable[[], object], timeout_seconds: float) -> object: ...
    def close(self) -> None: ...


def run(flow: Flow[T], stream: ByteStream, deadline: Deadline, chunks: Iterator[bytes] | None = None) -> T:
    """Drive `flow` to its end over a blocking stream.

    Args:
        chunks: where `NextChunk` takes from.
    """
    try:
        step: Step = next(flow)
        while True:
            try:
                answer = _perform(step, stream, deadline, chunks)
            except BaseException as error:
                step = flow.throw(error)
            else:
                step = flow.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result


def _perform(step: Step, stream: ByteStream, deadline: Deadline, chunks: Iterator[bytes] | None) -> object:
    match step:
        case Send(pieces, timeout):
            stream.send(pieces, deadline.limit(timeout))
        case Receive(timeout, continued):
            return stream.receive(deadline.limit_wait(timeout, continued=continued))
        case Poll():
            return stream.poll()
        case NextChunk():
            return None if chunks is None else next(chunks, None)
        case StartTLS(timeout):
            return stream.start_tls(deadline.limit(timeout))
        case Call(function, timeout):
            return _call(function, deadline.limit(timeout))
        case Close():
            stream.close()
    return None


def _call(function: Callable[[], object], timeout_seconds: float) -> object:
    """What a function gives. It can't be hurried in the caller's thread, but too late it does not count."""
    end = now() + timeout_seconds
    answer = function()
    if hasattr(answer, "__await__"):
        getattr(answer, "close", lambda: None)()  # so that nobody warns of a coroutine that was never awaited
        raise ConfigurationError("a callable that is to be awaited needs the async client")
    if now() > end:
        raise DeadlineError("a callable of ours took too long")
    return answer


async def arun(
    flow: Flow[T], stream: AsyncByteStream, deadline: Deadline, chunks: AsyncIterator[bytes] | None = None
) -> T:
    """Drive `flow` to its end over a stream that is awaited."""
    try:
        step: Step = next(flow)
        while True:
            try:
                answer = await _aperform(step, stream, deadline, chunks)
            except BaseException as error:
                step = flow.throw(error)
            else:
                step = flow.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def _aperform(
    step: Step, stream: AsyncByteStream, deadline: Deadline, chunks: AsyncIterator[bytes] | None
) -> object:
    match step:
        case Send(pieces, timeout):
            await stream.send(pieces, deadline.limit(timeout))
        case Receive(timeout, continued):
            return await stream.receive(deadline.limit_wait(timeout, continued=continued))
        case Poll():
            return stream.poll()
        case NextChunk():
            return None if chunks is None else await anext(chunks, None)
        case StartTLS(timeout):
            return await stream.start_tls(deadline.limit(timeout))
        case Call(function, timeout):
            return await stream.call(function, deadline.limit(timeout))
        case Close():
            stream.close()
    return None
