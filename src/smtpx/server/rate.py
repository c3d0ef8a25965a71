"""How often something may happen: one limit, kept for many keys at once, in bounded memory.

>>> rate = Rate(2, per_seconds=60)
>>> [rate.wait_seconds("192.0.2.1", now=0.0) for _ in range(3)]
[0.0, 0.0, 30.0]
"""

import time
from collections.abc import Hashable

from smtpx.errors import ConfigurationError

__all__ = ["Rate"]

_MAX_KEYS = 100_000


class Rate:
    """The generic cell rate algorithm: `count` at once, and then one each `per_seconds / count`.

    It keeps one number for each key, and forgets keys that have nothing to wait for. When there are more than
    `max_keys` the one that was quiet longest is forgotten first: who comes back is let in again.

    Args:
        count: how many in `per_seconds`, evenly.
        burst: how many at once; default `count`.

    Raises:
        ConfigurationError: for numbers that are not positive.
    """

    __slots__ = ("_interval", "_max_keys", "_tolerance", "_until", "burst", "count", "per_seconds")

    def __init__(
        self, count: float, *, per_seconds: float = 60.0, burst: int | None = None, max_keys: int = _MAX_KEYS
    ) -> None:
        burst = burst if burst is not None else max(int(count), 1)
        if not (count > 0 and per_seconds > 0 and burst > 0 and max_keys > 0):
            raise ConfigurationError(
                f"a rate has positive numbers, not {count:g} in {per_seconds:g} s, {burst} at once"
            )
        self.count = count
        self.per_seconds = per_seconds
        self.burst = burst
        self._interval = per_seconds / count
        self._tolerance = self._interval * burst
        self._max_keys = max_keys
        self._until: dict[Hashable, float] = {}  # by key, the quiet ones first: when all of its past is paid off

    def __len__(self) -> int:
        """How many keys are kept."""
        return len(self._until)

    def __str__(self) -> str:
        return f"{self.count:g} in {self.per_seconds:g} s"

    def wait_seconds(self, key: Hashable, *, now: float | None = None) -> float:
        """Count one more; 0.0 if that is within the limit. Else it is not counted, and this is how long to wait.

        Args:
            now: the time in seconds, by a clock that never goes back; default `time.monotonic()`.
        """
        now = time.monotonic() if now is None else now
        until = max(self._until.pop(key, now), now) + self._interval
        # Sums of many intervals are not exact: a millionth of one is nobody's advantage.
        wait = until - now - self._tolerance
        is_too_often = wait > self._interval * 1e-6
        self._until[key] = until - self._interval if is_too_often else until
        self._forget(now)
        return wait if is_too_often else 0.0

    def _forget(self, now: float) -> None:
        """Look at the two that were quiet longest: more leave than come, so that what is done with does not pile up."""
        for _ in range(2):
            first = next(iter(self._until))
            if self._until[first] > now and len(self._until) <= self._max_keys:
                return
            del self._until[first]
