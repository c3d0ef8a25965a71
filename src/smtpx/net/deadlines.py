"""Time on the clock that never jumps."""

import time

from smtpx.errors import DeadlineError

__all__ = ["Deadline", "now"]

now = time.monotonic


class Deadline:
    """The end of everything a call may take, above the waits of its steps.

    Args:
        seconds: from now; None for no end.
    """

    __slots__ = ("_end", "_wait_end")

    def __init__(self, seconds: float | None = None) -> None:
        self._end = None if seconds is None else now() + seconds
        self._wait_end = 0.0

    def restart(self, seconds: float | None) -> None:
        """Begin again."""
        self._end = None if seconds is None else now() + seconds

    def limit(self, seconds: float) -> float:
        """`seconds`, or what is left if that is less.

        Raises:
            DeadlineError: if nothing is left.
        """
        if self._end is None:
            return seconds
        left = self._end - now()
        if left <= 0:
            raise DeadlineError("the time for the whole call is used up")
        return min(seconds, left)

    def limit_wait(self, seconds: float, *, continued: bool) -> float:
        """As `limit`, for a wait in several parts: with `continued`, what is left of the time of its first part.

        Raises:
            DeadlineError: if nothing is left.
        """
        if not continued:
            self._wait_end = now() + seconds
            return self.limit(seconds)
        left = self._wait_end - now()
        if left <= 0:
            raise DeadlineError("the server took too long")
        return self.limit(left)
