"""How often something may happen: an allowance for each key that fills up again by itself."""

from itertools import islice

__all__ = ["Rate"]

_MAX_KEYS = 50_000
_ROUNDING = 1e-6


class Rate:
    """So many events in so many seconds; all of them at once if nothing came before (GCRA, as in ATM Forum TM 4.0).

    One number is kept for each key, the time at which its allowance is whole again, and there are no timers. Beyond
    50,000 keys those that nothing happened to for the longest are forgotten.
    """

    __slots__ = ("_max_keys", "_seconds", "_whole_at")

    def __init__(self, seconds: float, max_keys: int = _MAX_KEYS) -> None:
        self._seconds = seconds
        self._max_keys = max_keys
        self._whole_at: dict[str | int, float] = {}  # least recently counted first

    def __len__(self) -> int:
        return len(self._whole_at)

    def has_room(self, key: str | int, number: int, now: float) -> bool:
        """Whether one more event is within `number` in our time."""
        whole_at = max(self._whole_at.get(key, now), now)
        return number > 0 and whole_at - now <= self._seconds - self._seconds / number + _ROUNDING

    def count(self, key: str | int, number: int, now: float) -> None:
        """It happened, within the allowance or not."""
        if number <= 0:
            return
        whole_at = max(self._whole_at.pop(key, now), now) + self._seconds / number
        self._whole_at[key] = min(whole_at, now + self._seconds)
        if len(self._whole_at) > self._max_keys:
            for oldest in list(islice(self._whole_at, self._max_keys // 8 + 1)):
                del self._whole_at[oldest]
