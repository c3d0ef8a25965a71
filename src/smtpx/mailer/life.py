"""The life of a provider: it serves one event loop, and closing it lets what is under way finish."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from types import TracebackType

from smtpx.errors import ConfigurationError, LocalProtocolError
from smtpx.mailer.ledger import lost
from smtpx.mailer.provider import ProviderClosedError

__all__ = ["Life"]

_inherited: list[object] = []  # of the parent process: not to be touched, nor collected, in a child


class Life:
    """Counts what is under way.

    A provider belongs to the event loop that uses it first, since its connections do. Once that loop is closed, and in
    a child process, it begins anew: `forget` is called, and whatever that returns is kept untouched for good.

    Args:
        name: in errors.
        close_seconds: how long closing waits for what is under way.
        forget: lets go of everything that belonged to a loop which is gone.

    Raises:
        ConfigurationError: for a negative time.
    """

    def __init__(self, name: str, close_seconds: float, forget: Callable[[], object]) -> None:
        if not close_seconds >= 0:
            raise ConfigurationError("close_seconds must be at least 0")
        self._name = name
        self._close_seconds = close_seconds
        self._forget = forget
        self._process = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turns: set[Turn] = set()
        self._quiet = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self.is_closed = False

    @property
    def is_elsewhere(self) -> bool:
        """Whether another event loop, still there, uses it."""
        if self._loop is None or self._loop is asyncio.get_running_loop():
            return False
        return not self._loop.is_closed() and self._process == os.getpid()

    def come_home(self) -> None:
        """Serve the running loop.

        Raises:
            LocalProtocolError: another one uses it.
        """
        loop = asyncio.get_running_loop()
        if self._loop is loop and self._process == os.getpid():
            return
        if self.is_elsewhere:
            text = "is used by another event loop: give each loop its own, or use SyncMailService from threads"
            raise LocalProtocolError(f"{self._name} {text}")
        if self._loop is not None:
            old = (self._loop, self._forget(), self._turns, self._closing)
            if self._process != os.getpid():
                _inherited.append(old)
        self._process, self._loop = os.getpid(), loop
        self._turns, self._closing, self._quiet = set(), None, asyncio.Event()

    def turn(self) -> "Turn":
        """For `async with`: something is under way."""
        return Turn(self, self._name)

    async def close(self, release: Callable[[], Awaitable[None]]) -> None:
        """Take nothing more, let what is under way finish, cut off what takes too long, and call `release`, once.

        Raises:
            LocalProtocolError: another event loop uses it, and goes on to.
        """
        self.come_home()
        self.is_closed = True
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close(release))
        await asyncio.shield(self._closing)

    async def _close(self, release: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(self._close_seconds):
                await self._wait_quiet()
        except TimeoutError:
            for turn in self._turns:
                turn.cut()
            await self._wait_quiet()
        await release()

    async def _wait_quiet(self) -> None:
        while self._turns:
            self._quiet.clear()
            await self._quiet.wait()

    def enter(self, turn: "Turn") -> None:
        """A turn begins.

        Raises:
            ProviderClosedError, LocalProtocolError.
        """
        if self.is_closed:
            raise ProviderClosedError(f"{self._name} is closed")
        self.come_home()
        self._turns.add(turn)

    def leave(self, turn: "Turn") -> None:
        """A turn ends."""
        self._turns.discard(turn)
        if not self._turns:
            self._quiet.set()


class Turn:
    """Something under way; closing may cut it off.

    Attributes:
        was_cut: closing did.
        has_begun: a message may have left; to be set by whoever sends one.
    """

    def __init__(self, life: Life, name: str) -> None:
        self._life = life
        self._name = name
        self.has_begun = False
        self._end = asyncio.timeout(None)
        self.was_cut = False

    def cut(self) -> None:
        """Cut it off now."""
        self.was_cut = True
        self._end.reschedule(asyncio.get_running_loop().time())

    async def __aenter__(self) -> "Turn":
        self._life.enter(self)
        await self._end.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._life.leave(self)
        try:
            await self._end.__aexit__(kind, error, tb)
        except TimeoutError as timeout:
            if not self.was_cut:
                raise
            if self.has_begun:
                raise lost("given up because the provider was closed") from timeout
            raise ProviderClosedError(f"{self._name} was closed before the message had its turn") from timeout
