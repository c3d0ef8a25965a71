"""One message on its way from the connection to `Session.data`, which may be slower than the peer."""

import asyncio
from collections.abc import Callable

from smtpx.protocol.events import AbortCause
from smtpx.server.body import Body
from smtpx.server.inline import OnDone, Outcome

__all__ = ["Delivery"]


class Delivery:
    """Feeds a body to the session and keeps what the session says.

    `feed`, `end_chunk`, `finish` and `abort` give True when the connection may go on at once; else it waits until
    `on_ready` is called, which happens once.

    Args:
        ahead_bytes: content collected before the session is called, and while it is busy.
        run: starts `Session.data`.
        hold: told how many octets are kept here more than before.

    Attributes:
        body: what the session reads.
        size: octets of content received.
        outcome: what became of `data`; None while it runs.
        is_reported: whether the peer or the log was told of the outcome.
    """

    __slots__ = (
        "_ahead",
        "_held",
        "_hold",
        "_is_met",
        "_looking",
        "_loop",
        "_on_ready",
        "_run",
        "_started",
        "body",
        "is_reported",
        "outcome",
        "size",
    )

    def __init__(
        self,
        ahead_bytes: int,
        loop: asyncio.AbstractEventLoop,
        run: Callable[[Body, OnDone], Outcome | None],
        on_ready: Callable[[], None],
        hold: Callable[[int], None],
    ) -> None:
        self._ahead = ahead_bytes
        self._loop = loop
        self._run = run
        self._on_ready = on_ready
        self._hold = hold
        self._held = 0
        self._is_met: Callable[[], bool] | None = None  # what the connection waits for
        self._looking = False
        self._started = False
        self.body = Body(self._taken)
        self.size = 0
        self.outcome: Outcome | None = None
        self.is_reported = False

    def feed(self, octets: bytes) -> bool:
        """Content has come. Once the session has its verdict, the rest is only read."""
        self.size += len(octets)
        if self.outcome is not None:
            return True
        self.body.feed(octets)
        self._count()
        if self.body.buffered_bytes < self._ahead:
            return True
        self._start()
        return self._check(self._has_room)

    def end_chunk(self) -> bool:
        """A chunk is complete: once the session has taken it, a refusal can come with the chunk it is about."""
        self._start()
        return self._check(self._is_taken)

    def finish(self) -> bool:
        """The message is complete: the session's verdict is waited for."""
        self.body.finish()
        self._start()
        return self._check(self._is_decided)

    def abort(self, cause: AbortCause) -> bool:
        """The message will not be complete: the end of `data` is waited for."""
        self.body.abort(cause)
        self._count()
        self._start()
        return self._check(self._is_decided)

    def _has_room(self) -> bool:
        return self._is_decided() or self.body.buffered_bytes < self._ahead

    def _is_taken(self) -> bool:
        return self._is_decided() or self.body.is_wanted

    def _is_decided(self) -> bool:
        return self.outcome is not None

    def _check(self, is_met: Callable[[], bool]) -> bool:
        if is_met():
            return True
        self._is_met = is_met
        return False

    def _start(self) -> None:
        if not self._started:
            self._started = True
            outcome = self._run(self.body, self._done)
            if outcome is not None:
                self._take(outcome)

    def _done(self, outcome: Outcome) -> None:
        self._take(outcome)
        self._look()

    def _take(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.body.drop()
        self._count()

    def _count(self) -> None:
        more = self.body.buffered_bytes - self._held
        if more:
            self._held += more
            self._hold(more)

    def _taken(self) -> None:
        """The session took a piece, or waits for one; called from inside its coroutine, so hardly anything is done."""
        self._count()
        if self._is_met is not None and not self._looking:
            self._looking = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._looking = False
        if self._is_met is not None and self._is_met():
            self._is_met = None
            self._on_ready()
