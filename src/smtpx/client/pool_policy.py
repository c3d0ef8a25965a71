"""Which connection a message goes over: decisions only, with the clock passed in."""

from collections import deque
from dataclasses import replace
from typing import Generic, TypeVar

from smtpx.client.settings import ClientSettings, Limits
from smtpx.errors import RemoteProtocolError, SMTPXError

__all__ = ["Decision", "PoolPolicy", "after_error"]

C = TypeVar("C")


class Decision(Generic[C]):
    """What to do: use `connection`, or open a new one if `may_open`, or else wait. `expired` are to be closed."""

    __slots__ = ("connection", "expired", "may_open")

    def __init__(self, connection: C | None, may_open: bool, expired: list[C]) -> None:
        self.connection = connection
        self.may_open = may_open
        self.expired = expired


class PoolPolicy(Generic[C]):
    """Counts connections and remembers idle ones; the youngest is used first, so that the others may grow old."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._idle: deque[tuple[C, float]] = deque()
        self._open = 0

    @property
    def open_connections(self) -> int:
        """All there are, idle or in use."""
        return self._open

    def acquire(self, now: float) -> Decision[C]:
        """Decide for one message. A connection that is given out, or opened, counts until `release`."""
        expired = self._expire(now)
        if self._idle:
            return Decision(self._idle.pop()[0], False, expired)
        if self._open < self._limits.max_connections:
            self._open += 1
            return Decision(None, True, expired)
        return Decision(None, False, expired)

    def release(self, connection: C | None, now: float, *, reusable: bool) -> bool:
        """Take one back; True when it is kept. None: it never came to be."""
        if connection is not None and reusable and self._limits.max_idle_seconds > 0:
            self._idle.append((connection, now))
            return True
        self._open -= 1
        return False

    def drain(self) -> list[C]:
        """All idle ones, to be closed."""
        idle = [connection for connection, _ in self._idle]
        self._idle.clear()
        self._open -= len(idle)
        return idle

    def _expire(self, now: float) -> list[C]:
        expired: list[C] = []
        while self._idle and now - self._idle[0][1] > self._limits.max_idle_seconds:
            expired.append(self._idle.popleft()[0])
        self._open -= len(expired)
        return expired


def after_error(settings: ClientSettings, error: SMTPXError) -> ClientSettings:
    """How later connections are made: a server that broke the protocol may not be up to command groups."""
    return replace(settings, pipelining=False) if isinstance(error, RemoteProtocolError) else settings
