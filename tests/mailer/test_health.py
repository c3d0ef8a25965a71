"""Asking for health safely, and answering a probe."""

import asyncio
from collections.abc import Mapping

from smtpx.client.stamp import now_here
from smtpx.mailer.health import http_answer, of_all, of_provider
from smtpx.mailer.local import MemoryProvider
from smtpx.mailer.provider import Health, HealthState, Probe


async def test_a_provider_without_a_probe_counts_as_healthy_and_says_skipped() -> None:
    health = await of_provider("mine", object(), Probe.READINESS)
    assert health.state is HealthState.HEALTHY
    assert health.message.startswith("skipped")
    assert health.name == "mine"


async def test_a_probe_that_raises_is_unhealthy_and_tells_nothing_internal() -> None:
    class Broken:
        async def check(self, probe: Probe) -> Health:
            raise RuntimeError("password=secret")

    health = await of_provider("mine", Broken(), Probe.READINESS)
    assert health.state is HealthState.UNHEALTHY
    assert "RuntimeError" in health.message
    assert "secret" not in health.message


async def test_an_answer_for_kubernetes() -> None:
    status, told = http_answer(await MemoryProvider().check())
    assert status == 200
    assert told["state"] == "HEALTHY"
    assert set(told) == {"name", "state", "message", "timestamp", "duration_ms", "dependencies"}
    for state, expected in ((HealthState.DEGRADED, 200), (HealthState.UNHEALTHY, 503)):
        health = Health(name="x", state=state, message="y", checked_at=now_here())
        assert http_answer(health)[0] == expected


async def test_of_several_each_is_asked_and_one_judges() -> None:
    def judge(states: Mapping[str, HealthState]) -> tuple[HealthState, str]:
        assert dict(states) == {"a": HealthState.HEALTHY, "b": HealthState.HEALTHY}
        return HealthState.DEGRADED, "so they say"

    health = await of_all("All", {"a": MemoryProvider(), "b": object()}, Probe.LIVENESS, judge)
    assert (health.name, health.state, health.message) == ("All", HealthState.DEGRADED, "so they say")
    assert len(health.dependencies) == 2


async def test_of_several_all_are_asked_at_once() -> None:
    meeting = asyncio.Barrier(3)

    class Meets(MemoryProvider):
        async def check(self, probe: Probe = Probe.LIVENESS) -> Health:
            await meeting.wait()
            return await super().check(probe)

    async with asyncio.timeout(2):
        health = await of_all(
            "All", {each: Meets() for each in "abc"}, Probe.READINESS, lambda states: (HealthState.HEALTHY, str(states))
        )
    assert len(health.dependencies) == 3


async def test_a_probe_that_never_ends_or_says_nothing_is_unhealthy() -> None:
    class Hangs:
        async def check(self, probe: Probe) -> Health:
            await asyncio.sleep(60)
            raise AssertionError

    class Mute:
        async def check(self, probe: Probe) -> None:
            pass

    hung = await of_provider("mine", Hangs(), Probe.READINESS, longest_seconds=0.01)
    assert (hung.state, hung.message) == (HealthState.UNHEALTHY, "its health check failed: TimeoutError")
    mute = await of_provider("mine", Mute(), Probe.READINESS)
    assert (mute.state, mute.message) == (HealthState.UNHEALTHY, "its health check failed: gave NoneType")
