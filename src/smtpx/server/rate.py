"""How often something may happen: one limit, kept for many keys at once, in bounded memory.

>>> rate = Rate(2, per_seconds=60)
>>> [rate.wait_seconds("192.0.2.1", now=0.0) for _ in range(3)]
[0.0, 0.0, 30.0]
"""

import time
from collections.abc import Hashable

from smtpx.errors import ConfigurationError
from smtpx.server.allowances import Allowances

__all__ = ["Rate"]


class Rate:
    """The generic cell rate algorithm: `count` at once, and then one each `per_seconds / count`.

    It keeps one number for each key. Beyond `max_keys` those that nothing happened to for the longest are forgotten:
    who comes back is let in again.

    Args:
        count: how many in `per_seconds`, evenly.
        burst: how many at once; default `count`.

    Raises:
        ConfigurationError: for numbers that are not positive.
    """

    __slots__ = ("_allowances", "burst", "count", "per_seconds")

    def __init__(
        self, count: float, *, per_seconds: float = 60.0, burst: int | None = None, max_keys: int = 50_000
    ) -> None:
        burst = burst if burst is not None else max(int(count), 1)
        if not (count > 0 and per_seconds > 0 and burst > 0 and max_keys > 0):
            raise ConfigurationError(
                f"a rate has positive numbers, not {count:g} in {per_seconds:g} s, {burst} at once"
            )
        self.count = count
        self.per_seconds = per_seconds
        self.burst = burst
        self._allowances = Allowances(per_seconds / count * burst, max_keys)

    def __len__(self) -> int:
        """How many keys are kept."""
        return len(self._allowances)

    def __str__(self) -> str:
        return f"{self.count:g} in {self.per_seconds:g} s"

    def wait_seconds(self, key: Hashable, *, now: float | None = None) -> float:
        """Count one more; 0.0 if that is within the limit. Else it is not counted, and this is how long to wait.

        Args:
            now: the time in seconds, by a clock that never goes back; default `time.monotonic()`.
        """
        now = time.monotonic() if now is None else now
        wait = self._allowances.wait_seconds(key, self.burst, now)
        if wait == 0:
            self._allowances.count(key, self.burst, now)
        return wait
