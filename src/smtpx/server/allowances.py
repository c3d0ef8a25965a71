"""How often something may happen: an allowance for each key that fills up again by itself."""

from collections.abc import Hashable
from itertools import islice
from math import inf

__all__ = ["Allowances"]

_MAX_KEYS = 50_000
_ROUNDING = 1e-6


class Allowances:
    """So many events in so many seconds; all of them at once if nothing came before (GCRA, as in ATM Forum TM 4.0).

    One number is kept for each key, the time at which its allowance is whole again, and there are no timers. Keys with
    a whole allowance are forgotten by and by, and beyond 50,000 those that nothing happened to for the longest.
    """

    __slots__ = ("_max_keys", "_seconds", "_whole_at")

    def __init__(self, seconds: float, max_keys: int = _MAX_KEYS) -> None:
        self._seconds = seconds
        self._max_keys = max_keys
        self._whole_at: dict[Hashable, float] = {}  # the quietest first

    def __len__(self) -> int:
        return len(self._whole_at)

    def wait_seconds(self, key: Hashable, number: int, now: float) -> float:
        """How long until one more event is within `number` in our time; 0.0: it is now. Who has to wait is remembered
        as if it had just been counted."""
        if number <= 0:
            return inf
        whole_at = self._whole_at.get(key, now)
        wait = whole_at - now + self._seconds / number - self._seconds
        if wait <= _ROUNDING:
            return 0.0
        self._whole_at[key] = self._whole_at.pop(key)
        self._forget(now)
        return wait

    def has_room(self, key: Hashable, number: int, now: float) -> bool:
        """Whether one more event is within `number` in our time."""
        return self.wait_seconds(key, number, now) == 0

    def count(self, key: Hashable, number: int, now: float) -> None:
        """It happened, within the allowance or not."""
        if number <= 0:
            return
        whole_at = max(self._whole_at.pop(key, now), now) + self._seconds / number
        self._whole_at[key] = min(whole_at, now + self._seconds)
        self._forget(now)

    def _forget(self, now: float) -> None:
        """Two of the quietest, if their allowance is whole: more go than come. Many of them, if there are too many."""
        for quiet in list(islice(self._whole_at, 2)):
            if self._whole_at[quiet] <= now:
                del self._whole_at[quiet]
        if len(self._whole_at) > self._max_keys:
            for quiet in list(islice(self._whole_at, self._max_keys // 8 + 1)):
                del self._whole_at[quiet]
