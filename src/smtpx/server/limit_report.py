"""Every limit that a peer runs into is told: one line in the log, and the observer, if there is one."""

import logging

from smtpx.server.hooks import Log
from smtpx.server.observer import ServerObserver

__all__ = ["report_limit"]


def report_limit(observer: ServerObserver | None, log: Log, address: str, limit: str, value: float) -> None:
    """Tell of a limit.

    Args:
        observer: `shielded`, so it does not raise.
        limit: a field of `ServerLimits` or `Deadlines`.
        value: what it was at this moment.
    """
    log(logging.INFO, "%s ran into the limit %s of %g", address, limit, value)
    if observer is not None:
        observer.limit_hit(address, limit, value)
