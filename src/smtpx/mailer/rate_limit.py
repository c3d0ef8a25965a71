"""How fast mail goes out: a token bucket, one token for each message.

>>> limit = RateLimit(per_second=10, burst=20)
>>> all(limit.take_nowait() for _ in range(20))
True
"""

import asyncio
import math
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from smtpx.errors import ConfigurationError
from smtpx.mailer.forks import anew_in_child
from smtpx.net.deadlines import now

__all__ = ["RateLimit"]

_NAP_SECONDS = 1.0  # whoever waits looks again after so long: a token may have been given back
_SLACK_SECONDS = 1e-6  # what sums of floats may be off by


class _Waiter(NamedTuple):
    loop: asyncio.AbstractEventLoop
    turn: "asyncio.Future[None]"


class RateLimit:
    """So many at once, and then so many in a second; who has to wait is served in order.

    The bucket is full at the start. One limit may be shared by providers, also by those of other threads. It keeps one
    number, by the generic cell rate algorithm.

    Args:
        per_second: tokens that come in a second; 0, less, or None: no limit.
        burst: tokens the bucket holds. 0: those of one second, at least one.
        clock: seconds, never going back.
        sleep: waits so many seconds.

    Raises:
        ConfigurationError: for what is no number, and for a negative burst.
    """

    def __init__(
        self,
        per_second: float | None = 10,
        burst: int = 20,
        *,
        clock: Callable[[], float] = now,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        rate = 0.0 if per_second is None else float(per_second)
        if math.isnan(rate):
            raise ConfigurationError("per_second is a number; 0 or None is for no limit")
        if burst < 0:
            raise ConfigurationError("burst must be at least 0")
        self.per_second = rate if 0 < rate < math.inf else None
        self.burst = 0 if self.per_second is None else burst or max(int(self.per_second), 1)
        self._seconds_each = 0.0 if self.per_second is None else 1 / self.per_second
        self._clock = clock
        self._sleep = sleep
        self._full_at = -math.inf  # when the bucket will be full again, if nothing is taken
        self.begin_anew()
        anew_in_child(self)

    def begin_anew(self) -> None:
        """In a child process nobody holds the lock any more, and nobody waits."""
        self._lock = threading.RLock()  # reentrant: a task that is collected while it is held leaves the queue
        self._waiters: deque[_Waiter] = deque()

    def __repr__(self) -> str:
        return f"RateLimit(per_second={self.per_second}, burst={self.burst})"

    @property
    def is_unlimited(self) -> bool:
        """Whether nobody ever waits."""
        return self.per_second is None

    def take_nowait(self) -> bool:
        """Take a token if there is one and nobody waits for it."""
        if self.per_second is None:
            return True
        with self._lock:
            return not self._waiters and self._take() <= 0

    async def wait(self) -> None:
        """Take a token, when it is there and our turn. Whoever is cancelled before that has taken none."""
        if self.take_nowait():
            return
        loop = asyncio.get_running_loop()
        waiter = _Waiter(loop, loop.create_future())
        with self._lock:
            self._waiters.append(waiter)
            is_first = self._waiters[0] is waiter
        try:
            if not is_first:
                await waiter.turn
            while (seconds := self._take_locked()) > 0:
                await self._sleep(min(seconds, _NAP_SECONDS))
        finally:
            self._leave(waiter)

    def give_back(self) -> None:
        """A token that was taken was not needed."""
        with self._lock:
            self._full_at -= self._seconds_each

    def _take(self) -> float:
        """Take a token: 0, or else the seconds until there is one, and none is taken."""
        at = self._clock()
        full_at = max(self._full_at, at) + self._seconds_each
        wait = full_at - at - self.burst * self._seconds_each
        if wait > _SLACK_SECONDS:
            return wait
        self._full_at = full_at
        return 0.0

    def _take_locked(self) -> float:
        with self._lock:
            return self._take()

    def _leave(self, waiter: _Waiter) -> None:
        """It has its token, or gave up; whoever is first now has the turn."""
        with self._lock:
            if waiter not in self._waiters:
                return  # its loop was closed under it
            self._waiters.remove(waiter)
            while self._waiters:
                first = self._waiters[0]
                try:
                    first.loop.call_soon_threadsafe(_give_turn, first.turn)
                    return
                except RuntimeError:  # its loop is closed: nobody waits there any more
                    self._waiters.popleft()


def _give_turn(turn: "asyncio.Future[None]") -> None:
    if not turn.done():
        turn.set_result(None)
