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
        self._idle: deque[tuple[C, float, float]] = deque()  # since when idle, since when open
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

    def release(self, connection: C | None, now: float, *, reusable: bool, opened: float | None = None) -> bool:
        """Take one back; True when it is kept. None: it never came to be. `opened`: since when it is open."""
        opened = now if opened is None else opened
        young = self._limits.max_idle_seconds > 0 and not self._is_too_old(opened, now)
        if connection is not None and reusable and young:
            self._idle.append((connection, now, opened))
            return True
        self._open -= 1
        return False

    def drain(self) -> list[C]:
        """All idle ones, to be closed."""
        idle = [connection for connection, _, _ in self._idle]
        self._idle.clear()
        self._open -= len(idle)
        return idle

    def _expire(self, now: float) -> list[C]:
        limit = self._limits.max_idle_seconds
        old = [each for each in self._idle if now - each[1] > limit or self._is_too_old(each[2], now)]
        for each in old:
            self._idle.remove(each)
        self._open -= len(old)
        return [each[0] for each in old]

    def _is_too_old(self, opened: float, now: float) -> bool:
        return self._limits.max_age_seconds is not None and now - opened > self._limits.max_age_seconds


def after_error(settings: ClientSettings, error: SMTPXError) -> ClientSettings:
    """How later connections are made: a server that broke the protocol may not be up to command groups."""
    return replace(settings, pipelining=False) if isinstance(error, RemoteProtocolError) else settings
