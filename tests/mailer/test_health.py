"""Asking for health safely, and answering a probe."""

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
