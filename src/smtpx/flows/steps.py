"""The steps a flow asks its driver for, and the waits they may take.

A flow is a generator: it yields a step, is sent the answer, and returns its result. An exception that a step meets is
thrown into the flow.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

__all__ = ["Call", "Close", "Flow", "NextChunk", "Poll", "Receive", "Send", "StartTLS", "Step", "Timeouts"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long each stage may take, in seconds (RFC 5321 4.5.3.2).

    `block` is for octets to get out, and for the reply to a BDAT chunk that is not the last; `final` for the reply to a
    whole message: shorter than the server needs means duplicates (RFC 1047). `quit` is short: RFC 5321 4.1.1.10 wants
    the reply to QUIT waited for, but all is settled by then, and whoever called waits too. `other` is for all other
    replies.
    """

    connect: float = 60.0
    tls: float = 60.0
    greeting: float = 300.0
    hello: float = 300.0
    auth: float = 300.0
    mail: float = 300.0
    rcpt: float = 300.0
    data: float = 120.0
    block: float = 180.0
    final: float = 600.0
    other: float = 300.0
    quit: float = 2.0

    def of(self, stage: str) -> float:
        """The wait for a whole reply at a stage, whatever stages there are."""
        seconds: float = getattr(self, _FIELDS.get(stage, "other"))
        return seconds


_FIELDS = {
    "greeting": "greeting",
    "hello": "hello",
    "auth": "auth",
    "mail": "mail",
    "rcpt": "rcpt",
    "data": "data",
    "body": "block",
    "final": "final",
    "quit": "quit",
}


@dataclass(frozen=True, slots=True)
class Send:
    """Write octets, in order. The driver goes on receiving while it writes. Answer: None."""

    pieces: tuple[bytes, ...]
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Receive:
    """Wait for octets. Answer: bytes, empty when the peer has ended.

    `continued`: for more of what the last wait was for, whose time goes on: a reply that drips in ends all the same.
    """

    timeout_seconds: float
    continued: bool = False


@dataclass(frozen=True, slots=True)
class Poll:
    """Look for octets without waiting. Answer: bytes (empty: the peer has ended), or None when there are none."""


@dataclass(frozen=True, slots=True)
class StartTLS:
    """Do the TLS handshake. Answer: TLSFacts."""

    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class NextChunk:
    """Take the next piece of the body from its source. Answer: bytes, or None at its end."""


@dataclass(frozen=True, slots=True)
class Call:
    """Call something of the caller's that may block, or give something to await. Answer: what comes of it."""

    function: Callable[[], object]
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection at once. Answer: None."""


Step = Send | Receive | Poll | StartTLS | NextChunk | Call | Close
Flow = Generator[Step, Any, T]
