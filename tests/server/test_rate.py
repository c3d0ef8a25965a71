"""The rate limiter against a clock of our own, and against a slow and simple model."""

import time
from collections.abc import Hashable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpx.errors import ConfigurationError
from smtpx.server.rate import Rate


def test_a_burst_and_then_one_at_a_time() -> None:
    rate = Rate(3, per_seconds=30)
    assert str(rate) == "3 in 30 s"
    assert [rate.wait_seconds("a", now=100.0) for _ in range(5)] == [0.0, 0.0, 0.0, 10.0, 10.0]
    assert rate.wait_seconds("a", now=105.0) == 5.0
    assert rate.wait_seconds("a", now=110.0) == 0.0
    assert rate.wait_seconds("a", now=110.0) == 10.0
    assert [rate.wait_seconds("a", now=1000.0) for _ in range(4)] == [0.0, 0.0, 0.0, 10.0]


def test_keys_do_not_know_each_other() -> None:
    rate = Rate(1)
    assert [rate.wait_seconds(key, now=0.0) for key in ("a", "b", ("a", 1))] == [0.0, 0.0, 0.0]
    assert rate.wait_seconds("a", now=0.0) == 60.0


def test_less_than_one_at_a_time_and_a_burst_of_ones_own() -> None:
    assert [Rate(0.5).wait_seconds("a", now=0.0), Rate(0.5).burst] == [0.0, 1]
    rate = Rate(60, burst=2)
    assert [rate.wait_seconds("a", now=0.0) for _ in range(3)] == [0.0, 0.0, 1.0]


def test_what_is_paid_off_is_forgotten() -> None:
    rate = Rate(1, per_seconds=1)
    for number in range(1000):
        rate.wait_seconds(number, now=number * 0.1)
    assert len(rate) < 30
    for _ in range(30):
        rate.wait_seconds("a", now=10_000.0)
        rate.wait_seconds("b", now=10_000.0)
    assert len(rate) <= 2


def test_memory_is_bounded_and_the_quiet_are_forgotten_first() -> None:
    rate = Rate(1, per_seconds=1000, max_keys=3)
    for key in "abc":
        rate.wait_seconds(key, now=0.0)
    assert rate.wait_seconds("a", now=0.0) > 0  # not quiet, though refused
    rate.wait_seconds("d", now=0.0)
    assert len(rate) == 3
    assert rate.wait_seconds("a", now=0.0) > 0
    assert rate.wait_seconds("b", now=0.0) == 0.0
    for number in range(100):
        rate.wait_seconds(number, now=0.0)
    assert len(rate) == 3


def test_by_the_clock() -> None:
    rate = Rate(1, per_seconds=3600)
    before = time.monotonic()
    assert rate.wait_seconds("a") == 0.0
    assert 0 < rate.wait_seconds("a") <= 3600
    assert rate.wait_seconds("a", now=before + 3700) == 0.0


@pytest.mark.parametrize(
    "options", [{"count": 0}, {"count": -1}, {"count": 1, "per_seconds": 0}, {"count": 1, "burst": 0}]
)
def test_numbers_that_make_no_sense(options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="positive numbers"):
        Rate(**options)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError):
        Rate(float("nan"), burst=1)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40)), max_size=60))
def test_it_is_a_bucket_that_leaks(events: list[tuple[Hashable, int]]) -> None:
    rate = Rate(4, per_seconds=32)  # one each 8 s, exact in binary
    level, at = {"a": 0.0, "b": 0.0}, {"a": 0.0, "b": 0.0}
    now = 0.0
    for key, step in events:
        now += step / 4
        name = str(key)
        level[name] = max(level[name] - (now - at[name]) / 8, 0.0)
        at[name] = now
        allowed = level[name] + 1 <= 4
        level[name] += allowed
        wait = rate.wait_seconds(key, now=now)
        assert (wait == 0.0) is allowed
        if not allowed:
            assert wait == (level[name] - 3) * 8
