"""When a message is tried again by itself: only where it can't have been sent."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from smtpx.errors import ConfigurationError, SMTPXError
from smtpx.mailer.provider import NotTriedError, is_unknown

__all__ = ["Retry", "may_repeat"]

_BODY = ("body", "final")


def may_repeat(error: BaseException) -> bool:
    """Whether the same may work later, and nothing of the message's content was sent."""
    if not isinstance(error, SMTPXError) or isinstance(error, NotTriedError) or is_unknown(error):
        return False
    has_it = getattr(error.result, "accepted", None)
    return error.is_temporary and error.stage not in _BODY and not has_it


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often, and after what time. The times grow, and are spread by chance so that not all come back at once.

    Attributes:
        attempts: in all, the first included.
        first_seconds: before the second one.
        factor: by which each wait is longer than the one before.
        max_seconds: no wait is longer.
        jitter_seconds: at most so much is added by chance.
        dice: gives a number from 0 to 1.

    Raises:
        ConfigurationError: for numbers that make no sense.
    """

    attempts: int = 4
    first_seconds: float = 5.0
    factor: float = 2.0
    max_seconds: float = 300.0
    jitter_seconds: float = 1.0
    dice: Callable[[], float] = field(default=random.random, repr=False)

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ConfigurationError("attempts must be at least 1")
        if not self.factor >= 1:
            raise ConfigurationError("factor must be at least 1")
        for name in ("first_seconds", "max_seconds", "jitter_seconds"):
            if not getattr(self, name) >= 0:
                raise ConfigurationError(f"{name} must be at least 0")

    def seconds_before(self, attempt: int) -> float:
        """How long to wait before this attempt; the first is 1."""
        wait = min(self.first_seconds * self.factor ** max(attempt - 2, 0), self.max_seconds)
        return wait + self.jitter_seconds * self.dice()
