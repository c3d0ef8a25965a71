"""Leaves alone for a while what fails again and again."""

from collections.abc import Callable

from smtpx.errors import ConfigurationError, SMTPXError
from smtpx.net.deadlines import now

__all__ = ["BreakerOpenError", "CircuitBreaker"]


class BreakerOpenError(SMTPXError):
    """It was not even tried: it has failed too often of late. That is no attempt, and no word about the message."""

    is_temporary = True


class CircuitBreaker:
    """Opens after failures in a row; once it has been open for a time, one trial decides.

    Args:
        failures: so many open it.
        open_seconds: how long it stays open.
        clear_seconds: when nothing was tried for so long behind a failure, failures so far are forgotten.
        clock: seconds, never going back.

    Raises:
        ConfigurationError: for numbers that are not positive.
    """

    def __init__(
        self,
        failures: int = 5,
        *,
        open_seconds: float = 60.0,
        clear_seconds: float = 10.0,
        clock: Callable[[], float] = now,
    ) -> None:
        if failures < 1 or not (open_seconds > 0 and clear_seconds > 0):
            raise ConfigurationError("a circuit breaker has positive numbers")
        self.failures = failures
        self.open_seconds = open_seconds
        self.clear_seconds = clear_seconds
        self._clock = clock
        self._count = 0
        self._failed_at = 0.0
        self._opened_at: float | None = None
        self._on_trial = False

    def twin(self) -> "CircuitBreaker":
        """A closed one with the same numbers."""
        return CircuitBreaker(
            self.failures, open_seconds=self.open_seconds, clear_seconds=self.clear_seconds, clock=self._clock
        )

    @property
    def is_open(self) -> bool:
        """Whether nothing, or just a trial, is let through."""
        return self._opened_at is not None

    def enter(self) -> None:
        """Something is to be tried: let it through or not. One of the three below has to follow.

        Raises:
            BreakerOpenError: it is not let through.
        """
        at = self._clock()
        if self._opened_at is None:
            if at - self._failed_at > self.clear_seconds:
                self._count = 0
            return
        left = self._opened_at + self.open_seconds - at
        if left > 0 or self._on_trial:
            when = f"for another {left:.0f} s" if left > 0 else "until a trial has ended"
            raise BreakerOpenError(f"left alone {when}, after failing again and again")
        self._on_trial = True

    def succeeded(self) -> None:
        """It worked."""
        self._count, self._opened_at, self._on_trial = 0, None, False

    def failed(self) -> None:
        """It did not work, and that was its own fault."""
        at = self._clock()
        self._count += 1
        self._failed_at = at
        if self._on_trial or self._count >= self.failures:
            self._opened_at, self._on_trial = at, False

    def left(self) -> None:
        """Nobody can say: it was cancelled, or the message's own fault."""
        self._on_trial = False
