"""How much of a server is in use, and whether that is so much that it has to be short with its peers."""

import asyncio
from collections.abc import Callable

__all__ = ["Load"]

_HIGH, _LOW = 8, 6  # tenths
_FULL = 95  # hundredths
_CALM_SECONDS = 30.0  # so long it must be low again
_LOOK_SECONDS = 1.0


class Load:
    """Connections, and octets of messages that wait for their sessions.

    While more than 80 % of either is in use the server is under pressure, until both were below 60 % for 30 s.

    Attributes:
        is_high: under pressure.
        on_change: called when that changes.
    """

    def __init__(self, max_connections: int, max_bytes: int) -> None:
        self._max_connections = max_connections
        self._max_bytes = max_bytes
        self._calm_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.on_change: Callable[[], None] = _nobody
        self.connections = 0
        self.held_bytes = 0
        self.is_high = False

    def connect(self) -> None:
        """One connection more."""
        self.connections += 1
        self._feel()

    def disconnect(self) -> None:
        """One connection less."""
        self.connections -= 1

    def hold(self, octets: int) -> None:
        """So many octets more; less, if negative."""
        self.held_bytes += octets
        if octets > 0:
            self._feel()

    @property
    def has_full_memory(self) -> bool:
        """Whether messages that wait for their sessions take more than 95 % of their memory."""
        return self.held_bytes * 100 > self._max_bytes * _FULL

    def stop(self) -> None:
        """The server is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.is_high = False

    def _exceeds(self, tenths: int) -> bool:
        """Below 60 % is low, above 80 % is high; in between it stays as it is."""
        crowd, memory = self.connections * 10, self.held_bytes * 10
        if self.is_high:
            return crowd >= self._max_connections * tenths or memory >= self._max_bytes * tenths
        return crowd > self._max_connections * tenths or memory > self._max_bytes * tenths

    def _feel(self) -> None:
        if not self.is_high and self._exceeds(_HIGH):
            self.is_high, self._calm_at = True, None
            self._timer = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look)
            self.on_change()

    def _look(self) -> None:
        """Once a second, under pressure only."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._exceeds(_LOW):
            self._calm_at = None
        elif self._calm_at is None:
            self._calm_at = now
        elif now - self._calm_at >= _CALM_SECONDS:
            self._timer, self.is_high = None, False
            self.on_change()
            return
        self._timer = loop.call_later(_LOOK_SECONDS, self._look)


def _nobody() -> None:
    pass
