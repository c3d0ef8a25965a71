"""Sessions whose methods block: ordinary functions, run in threads beside the loop."""

import asyncio
import contextlib
import contextvars
import functools
import io
import logging
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from errno import EDQUOT, ENOSPC
from typing import Any, BinaryIO, TypeVar, cast

from smtpx.errors import ConfigurationError
from smtpx.protocol.replies import make
from smtpx.sasl import Credentials, ScramRecord, Secret
from smtpx.server.body import Body, add_piece
from smtpx.server.context import Context
from smtpx.server.peer import Peer
from smtpx.server.session import Reject, Session
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply

__all__ = ["BlockingSession", "ThreadPool", "in_threads"]

T = TypeVar("T")
_log = logging.getLogger("smtpx.server")
_BUSY = make(451, "4.3.0", "too busy; try again later")
_STILL_BUSY = make(421, "4.3.0", "still busy with what was asked before; try again later")
_IDLE_SECONDS = 10.0  # then a thread with nothing to do ends
_VERDICT_SECONDS = 60.0  # a loop that hangs so long is lost
_SPOOL_MEMORY = 262_144  # a larger message goes to a temporary file


class _Job:
    """A call on its way through a thread."""

    __slots__ = ("afterwards", "call", "future", "is_abandoned", "is_over", "is_started", "loop")

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[tuple[Any, BaseException | None]] = self.loop.create_future()
        self.afterwards: list[Callable[[], object]] = []  # to be called in its thread, once it is over
        self.is_started = False
        self.is_abandoned = False
        self.is_over = False

    def tell(self, value: object, error: BaseException | None) -> None:
        if not self.future.done():
            self.future.set_result((value, error))


class ThreadPool:
    """Threads for calls that block, and a queue before them. Beyond that is 451 4.3.0.

    A call can't be stopped. When nobody waits for it any more it is abandoned: its thread goes on until the call
    returns, and another one takes its place, up to `max_abandoned`. Threads don't keep the process from ending.

    Args:
        threads: at work at once. They are started when they are needed, and end when they are not.
        queue: calls that wait.
        max_abandoned: with more than that it is unhealthy.
    """

    def __init__(self, threads: int = 32, *, queue: int = 256, max_abandoned: int = 8) -> None:
        if threads < 1 or queue < 0 or max_abandoned < 0:
            raise ConfigurationError("a thread pool has at least one thread, and no negative numbers")
        self._max_threads = threads
        self._max_queue = queue
        self._max_abandoned = max_abandoned
        self._changed = threading.Condition()
        self._waiting: deque[_Job] = deque()
        self._threads = 0
        self._idle = 0  # or about to begin
        self._abandoned = 0

    @property
    def abandoned(self) -> int:
        """How many calls go on that nobody waits for."""
        return self._abandoned

    @property
    def is_healthy(self) -> bool:
        """Whether there are at most `max_abandoned` of them."""
        return self._abandoned <= self._max_abandoned

    def health_problems(self) -> Iterable[str]:
        """What is wrong with it, for `Server.health`."""
        return () if self.is_healthy else (f"{self._abandoned} blocking calls go on that nobody waits for",)

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """What `function(*args)` gives or raises, called in a thread, in the context of this task.

        Raises:
            Reject: 451 4.3.0, if threads and queue are full.
        """
        return cast("T", await self.result(self.submit(function, *args)))

    def submit(self, function: Callable[..., Any], *args: object, is_urgent: bool = False) -> _Job:
        """Have a call made; `result` waits for it.

        Args:
            is_urgent: it waits however many there are.

        Raises:
            Reject: 451 4.3.0, if threads and queue are full.
        """
        context = contextvars.copy_context()
        job = _Job(lambda: context.run(function, *args))
        with self._changed:
            busy = self._threads - self._idle
            if len(self._waiting) + busy >= self._limit() + self._max_queue and not is_urgent:
                raise Reject.of(_BUSY)
            self._waiting.append(job)
            self._provide()
        return job

    async def result(self, job: _Job) -> Any:  # noqa: ANN401 - what the call gives
        """What a call gives or raises. Who is cancelled while it waits abandons the call."""
        try:
            value, error = await job.future
        except asyncio.CancelledError:
            self._abandon(job)
            raise
        if error is not None:
            raise error
        return value

    def _limit(self) -> int:
        return self._max_threads + min(self._abandoned, self._max_abandoned)

    def _provide(self) -> None:
        """Wake or start a thread for what waits. Under the lock."""
        if self._idle < len(self._waiting) and self._threads < self._limit():
            self._threads += 1
            self._idle += 1
            threading.Thread(target=self._work, name="smtpx-blocking", daemon=True).start()
        else:
            self._changed.notify()

    def _abandon(self, job: _Job) -> None:
        with self._changed:
            if not job.is_started:
                self._waiting.remove(job)
                job.is_over = True
            elif not job.is_over:
                job.is_abandoned = True
                self._abandoned += 1
                _log.error("a blocking call was abandoned; %d of them go on", self._abandoned)
                if self._waiting:
                    self._provide()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            value: object = None
            error: BaseException | None = None
            try:
                value = job.call()
            except BaseException as raised:  # goes to whoever waits
                error = raised
            self._end(job)
            with contextlib.suppress(RuntimeError):  # the loop is closed
                job.loop.call_soon_threadsafe(job.tell, value, error)
            del job, value, error  # nothing is held while nothing is done

    def _next(self) -> _Job | None:
        with self._changed:
            woken = True
            while not self._waiting and woken and self._threads <= self._limit():
                woken = self._changed.wait(_IDLE_SECONDS)
            self._idle -= 1
            if not self._waiting or self._threads > self._limit():
                self._threads -= 1
                self._changed.notify()  # what this one was woken for is somebody else's
                return None
            job = self._waiting.popleft()
            job.is_started = True
            return job

    def _end(self, job: _Job) -> None:
        while True:
            with self._changed:
                if not job.afterwards:
                    job.is_over = True
                    self._abandoned -= job.is_abandoned
                    self._idle += 1
                    return
                call = job.afterwards.pop(0)
            try:
                call()
            except Exception:
                _log.exception("behind an abandoned call")

    def after(self, job: _Job, call: Callable[[], object]) -> bool:
        """Have something called when a job that goes on is over, by its thread; False if it is over already."""
        with self._changed:
            if job.is_over:
                return False
            job.afterwards.append(call)
            return True


class BlockingSession:
    """One connection, like `Session`, but its methods are ordinary functions that may block: `in_threads` serves it.

    Each may return a Reply, or None for the usual one, and raise `Reject`. One method runs at a time, not always in the
    same thread. Methods that are not overridden are not called.
    """

    peer: Peer
    """Who is there."""

    context: Context
    """What is kept about the connection, for this session and middlewares."""

    _tell_verdict: Callable[[Mailbox | str, Reply], None]

    def verdict(self, recipient: Mailbox | str, reply: Reply) -> None:
        """In `data`: see `Session.verdict`. From a thread, and waits until the event loop has taken it.

        Raises:
            ValueError: if no (further) verdict on this recipient is due, or the reply is none.
            RuntimeError: if no message is under way, nobody waits for this call any more, or the loop does not answer.
        """
        self._tell_verdict(recipient, reply)

    def connect(self) -> Reply | None:
        """See `Session.connect`."""

    def hello(self, verb: str, name: str) -> Reply | None:
        """See `Session.hello`."""

    def authenticate(self, identity: Credentials) -> Reply | None:
        """See `Session.authenticate`."""

    def lookup(self, mechanism: str, username: str) -> ScramRecord | Secret | None:
        """See `Session.lookup`."""

    def mail(self, sender: Mailbox, params: Params) -> Reply | None:
        """See `Session.mail`."""

    def rcpt(self, recipient: Mailbox, params: Params) -> Reply | None:
        """See `Session.rcpt`."""

    def data(self, message: BinaryIO) -> Reply | Mapping[str, Reply] | None:
        """Take the message: all of it, as a file. `message.read()` gives its octets.

        In memory up to 256 KiB, else in a temporary file; it is closed when this returns. A message that does not
        arrive in full is not shown. See `Session.data` for what a 250 means.
        """

    def command(self, verb: str, argument: str | None) -> Reply | None:
        """See `Session.command`."""

    def reset(self) -> None:
        """See `Session.reset`."""

    def close(self) -> None:
        """See `Session.close`. Waits for a method that was abandoned."""


_HOOKS = ("connect", "hello", "authenticate", "lookup", "mail", "rcpt", "command", "reset")


def in_threads(session: Callable[[], BlockingSession], *, pool: ThreadPool | None = None) -> Callable[[], Session]:
    """Makes a session for `Server` or `Stack` out of one whose methods block.

    Args:
        session: a subclass of `BlockingSession`, or `functools.partial` of one.
        pool: default one of its own, 32 threads and a queue of 256.

    Raises:
        ConfigurationError: if it is no such class.
    """
    maker: object = getattr(session, "func", session)
    if not (isinstance(maker, type) and issubclass(maker, BlockingSession)):
        raise ConfigurationError("in_threads takes a subclass of BlockingSession, or functools.partial of one")
    shared = pool or ThreadPool()
    own = {name for name in (*_HOOKS, "data", "close") if getattr(maker, name) is not getattr(BlockingSession, name)}
    methods: dict[str, Any] = {name: _in_thread(name) for name in _HOOKS if name in own}
    methods |= {
        name: method for name, method in (("data", _InThreads.deliver), ("close", _InThreads.finish)) if name in own
    }

    def begin(self: _InThreads) -> None:
        _InThreads.__init__(self, session(), shared)

    methods["__init__"] = begin
    methods["health_problems"] = staticmethod(shared.health_problems)
    return cast("type[Session]", type(maker.__name__, (_InThreads,), methods))


class _InThreads(Session):
    """A session that hands on to a blocking one; `in_threads` gives it the methods that the other one has."""

    def __init__(self, inner: BlockingSession, pool: ThreadPool) -> None:
        self.blocking = inner
        self.pool = pool
        self._job: _Job | None = None

    async def call(self, function: Callable[..., Any], *args: object, is_urgent: bool = False) -> Any:  # noqa: ANN401
        """Call in a thread, unless one that was abandoned still works for this session."""
        if self._job is not None and not self._job.is_over:
            raise Reject.of(_STILL_BUSY)
        blocking = self.blocking
        blocking.peer, blocking.context = self.peer, self.context
        blocking._tell_verdict = self.tell_verdict  # pyright: ignore[reportPrivateUsage]
        self._job = self.pool.submit(function, *args, is_urgent=is_urgent)
        return await self.pool.result(self._job)

    def tell_verdict(self, recipient: Mailbox | str, reply: Reply) -> None:
        """Give a verdict, from a thread."""
        job = self._job
        if job is None or job.is_over or job.is_abandoned:
            raise RuntimeError("there is no message to give a verdict on")
        taken: Future[None] = Future()

        def give() -> None:
            try:
                # A call that was abandoned since then must not speak on what came after it.
                if job.is_abandoned:
                    raise RuntimeError("nobody waits for a verdict any more")
                self.verdict(recipient, reply)
                taken.set_result(None)
            except Exception as error:  # goes to the caller
                taken.set_exception(error)

        job.loop.call_soon_threadsafe(give)
        try:
            taken.result(_VERDICT_SECONDS)
        except TimeoutError:
            raise RuntimeError(f"the event loop did not take a verdict in {_VERDICT_SECONDS:g} s") from None

    async def spool(self, body: Body) -> BinaryIO:
        """All of a body, in memory or in a file."""
        file: BinaryIO | None = None
        pieces: list[bytes] = []
        size = 0
        try:
            async for piece in body:
                add_piece(pieces, piece)
                size += len(piece)
                if size > _SPOOL_MEMORY:
                    if file is None:
                        file = await self.call(tempfile.TemporaryFile)
                    await self.call(_write, file, b"".join(pieces))
                    pieces, size = [], 0
            if file is None:
                return io.BytesIO(b"".join(pieces))
            await self.call(_finish, file, b"".join(pieces))
        except BaseException as error:
            if file is not None:
                self.discard(file)
            if isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT):
                raise Reject.storage_full() from error
            raise
        return file

    def discard(self, file: BinaryIO) -> None:
        """Close a file as soon as nobody is at work on it."""
        if self._job is None or not self.pool.after(self._job, file.close):
            file.close()

    async def deliver(self, body: Body) -> Reply | Mapping[str, Reply] | None:
        """What `data` is here."""
        message = await self.spool(body)
        try:
            return cast("Reply | Mapping[str, Reply] | None", await self.call(self.blocking.data, message))
        finally:
            self.discard(message)

    async def finish(self) -> None:
        """What `close` is here: behind whatever is still at work."""
        close = functools.partial(contextvars.copy_context().run, self.blocking.close)
        if self._job is None or not self.pool.after(self._job, close):
            await self.call(self.blocking.close, is_urgent=True)


def _write(file: BinaryIO, data: bytes) -> None:
    file.write(data)


def _finish(file: BinaryIO, rest: bytes) -> None:
    file.write(rest)
    file.seek(0)


def _in_thread(name: str) -> Any:  # noqa: ANN401 - a method of any kind
    async def method(self: _InThreads, *args: object) -> object:
        return await self.call(getattr(self.blocking, name), *args, is_urgent=name == "reset")

    method.__name__ = name
    return method
