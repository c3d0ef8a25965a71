"""How providers and a service are: asked safely, put together, and answered to a probe of Kubernetes."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from smtpx.mailer.provider import Health, HealthState, Probe
from smtpx.net.deadlines import now

__all__ = ["http_answer", "of_all", "of_provider"]

_LONGEST_SECONDS = 30.0  # for providers without a deadline of their own: whoever probes has given up long before


def _moment() -> datetime:
    return datetime.now().astimezone()


async def of_provider(
    name: str, provider: object, probe: Probe, *, longest_seconds: float = _LONGEST_SECONDS
) -> Health:
    """A provider's own answer. One that can't be asked counts as healthy; one that raises, or never ends, does not."""
    check = getattr(provider, "check", None)
    if check is None:
        return Health(
            name=name, state=HealthState.HEALTHY, message="skipped: it has no health check", checked_at=_moment()
        )
    begun = now()
    try:
        async with asyncio.timeout(longest_seconds):
            health = await check(probe)
        if isinstance(health, Health):
            return health
        why = f"gave {type(health).__name__}"
    except Exception as error:
        why = type(error).__name__  # what it says may be internal
    return Health(
        name=name,
        state=HealthState.UNHEALTHY,
        message=f"its health check failed: {why}",
        checked_at=_moment(),
        duration_seconds=now() - begun,
    )


async def of_all(
    name: str,
    providers: Mapping[str, object],
    probe: Probe,
    judge: Callable[[Mapping[str, HealthState]], tuple[HealthState, str]],
) -> Health:
    """The health of what stands on several providers, which are asked at the same time.

    Args:
        judge: the state, and why, from those of the providers by name.
    """
    begun = now()
    answers = await asyncio.gather(*(of_provider(each, provider, probe) for each, provider in providers.items()))
    state, message = judge({each: health.state for each, health in zip(providers, answers, strict=True)})
    return Health(
        name=name,
        state=state,
        message=message,
        checked_at=_moment(),
        duration_seconds=now() - begun,
        dependencies=tuple(answers),
    )


def http_answer(health: Health) -> tuple[int, dict[str, Any]]:
    """Status and JSON for an HTTP probe: 200 while it is at work, 503 when it is not."""
    return (200 if health.is_ok else 503), health.to_json()
