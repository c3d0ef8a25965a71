"""The port between applications and whatever takes their mail: what a provider is, and what it answers.

A provider of your own is a class with these methods; `smtpx.testing.provider_contract` checks it.
"""

from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

from smtpx.client.bulk import SendOutcome
from smtpx.errors import RemoteProtocolError, SMTPXError, TransportError
from smtpx.flows.outcome import SendResult
from smtpx.message.sendable import Sendable

__all__ = [
    "BulkError",
    "BulkResult",
    "Health",
    "HealthState",
    "NotTriedError",
    "OnOutcome",
    "Probe",
    "Provider",
    "ProviderClosedError",
    "Sendables",
    "is_unknown",
]

Sendables: TypeAlias = "Iterable[Sendable] | AsyncIterable[Sendable]"
OnOutcome: TypeAlias = Callable[[SendOutcome], object]


class Probe(StrEnum):
    """Which question a health check asks: is it alive, or could it send now?"""

    LIVENESS = "liveness"
    READINESS = "readiness"


class HealthState(StrEnum):
    """How well it is, worst last."""

    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    UNHEALTHY = "UNHEALTHY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The answer to a health check.

    Attributes:
        name: whose health, such as "EmailProvider (SMTP)".
        state: how well it is.
        message: why, in a sentence; nothing secret.
        checked_at: when it was found out: a cached answer keeps its time.
        duration_seconds: how long finding out took.
        dependencies: of what it stands on.
    """

    name: str
    state: HealthState
    message: str
    checked_at: datetime
    duration_seconds: float = 0.0
    dependencies: tuple["Health", ...] = ()

    @property
    def is_ok(self) -> bool:
        """Whether a probe should succeed: degraded is still at work."""
        return self.state is not HealthState.UNHEALTHY

    def to_json(self) -> dict[str, Any]:
        """As JSON for a probe's answer; seconds become milliseconds, the time is ISO 8601."""
        return {
            "name": self.name,
            "state": self.state.value,
            "message": self.message,
            "timestamp": self.checked_at.isoformat(),
            "duration_ms": round(self.duration_seconds * 1000, 3),
            "dependencies": [each.to_json() for each in self.dependencies],
        }


class NotTriedError(SMTPXError):
    """The message was not tried: whoever sent many stopped before its turn. It may be sent later."""

    is_temporary = True


class ProviderClosedError(NotTriedError):
    """The provider or the service was closed and takes no more."""

    is_temporary = False


def is_unknown(error: BaseException) -> bool:
    """Whether it is not known if the message was delivered: sending it again may deliver it twice (RFC 1047).

    So it is for everything that is no error of smtpx: nobody can say where that happened.
    """
    if not isinstance(error, SMTPXError):
        return not isinstance(error, ValueError | TypeError)  # of the message, before anything was sent
    return isinstance(error, TransportError | RemoteProtocolError) and error.stage == "final"


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What became of many messages, one outcome for each, in their order."""

    outcomes: Sequence[SendOutcome] = field(default=())

    @property
    def failed(self) -> tuple[SendOutcome, ...]:
        """Those that nobody got, or where that is not known."""
        return tuple(each for each in self.outcomes if each.error is not None)

    @property
    def succeeded(self) -> tuple[SendOutcome, ...]:
        """Those that at least one recipient got."""
        return tuple(each for each in self.outcomes if each.error is None)

    def raise_for_failed(self) -> "BulkResult":
        """The result itself when every message got out.

        Raises:
            BulkError: naming how many did not, and each error.
        """
        if self.failed:
            raise BulkError(self)
        return self


class BulkError(SMTPXError):
    """Some of many messages were not sent.

    Attributes:
        result: what became of each.
    """

    def __init__(self, result: BulkResult) -> None:
        failed = result.failed
        each = "; ".join(f"{outcome.index}: {outcome.error}" for outcome in failed[:10])
        more = f"; and {len(failed) - 10} more" if len(failed) > 10 else ""
        super().__init__(f"{len(failed)} of {len(result.outcomes)} messages were not sent: {each}{more}")
        self.result = result


class Provider(Protocol):
    """Takes mail. Concurrent calls are safe."""

    @property
    def provider_type(self) -> str:
        """Its kind, such as "smtp"; for listings."""
        ...

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Facts for listings: host, port, default sender. Nothing secret."""
        ...

    @property
    def supports_bulk_sending(self) -> bool:
        """Whether what stands behind it takes many messages in one request. SMTP does not."""
        ...

    async def send(self, message: Sendable) -> SendResult:
        """Send one message, and wait for the answer.

        Raises:
            SMTPXError: nobody got it, or (`is_unknown`) that is not known.
        """
        ...

    async def send_bulk(self, messages: Sendables, *, on_outcome: OnOutcome | None = None) -> BulkResult:
        """Send many: all are tried, whatever becomes of one. `on_outcome` is called for each, in order."""
        ...

    async def check(self, probe: Probe = Probe.LIVENESS) -> Health:
        """How it is. Never raises; never disturbs what is being sent."""
        ...

    async def close(self) -> None:
        """Let what is being sent finish, then release everything. May be called again."""
        ...
