"""The steps a flow asks its driver for, and the waits they may take.

A flow is a generator: it yields a step, is sent the answer, and returns its result. An exception that a step meets is
thrown into the flow.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeVar

__all__ = ["Close", "Flow", "NextChunk", "Poll", "Receive", "Send", "StartTLS", "Step", "Timeouts"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long each stage may take, in seconds (RFC 5321 4.5.3.2).

    `block` is for each piece of a body to get out, `final` for the reply to a whole message: shorter than the server
    needs means duplicates (RFC 1047).
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
    quit: float = 10.0

    def of(self, stage: str) -> float:
        """The wait for the reply at a stage."""
        return float(getattr(self, _FIELDS.get(stage, "other")))


_FIELDS = {
    "greeting": "greeting",
    "hello": "hello",
    "auth": "auth",
    "mail": "mail",
    "rcpt": "rcpt",
    "data": "data",
    "body": "final",
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
    """Wait for octets. Answer: bytes, empty when the peer has ended."""

    timeout_seconds: float


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
class Close:
    """Close the connection at once. Answer: None."""


Step = Send | Receive | Poll | StartTLS | NextChunk | Close
Flow = Generator[Step, Any, T]
