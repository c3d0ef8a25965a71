"""The circuit breaker, with a clock of its own."""

import pytest

from smtpx.errors import ConfigurationError
from smtpx.mailer.circuit_breaker import BreakerOpenError, CircuitBreaker


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def broken(clock: Clock) -> CircuitBreaker:
    breaker = CircuitBreaker(clock=clock)
    for _ in range(5):
        breaker.enter()
        breaker.failed()
    return breaker


def test_five_failures_in_a_row_open_it_for_a_minute() -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock=clock)
    for _ in range(4):
        breaker.enter()
        breaker.failed()
    assert not breaker.is_open
    breaker.enter()
    breaker.failed()
    assert breaker.is_open
    clock.now += 59.9
    with pytest.raises(BreakerOpenError, match="left alone") as caught:
        breaker.enter()
    assert caught.value.is_temporary


def test_a_success_between_means_that_they_are_not_in_a_row() -> None:
    breaker = CircuitBreaker(2, clock=Clock())
    for _ in range(5):
        breaker.enter()
        breaker.failed()
        breaker.enter()
        breaker.succeeded()
    assert not breaker.is_open


def test_failures_are_forgotten_when_nothing_was_tried_for_a_while() -> None:
    clock = Clock()
    breaker = CircuitBreaker(2, clock=clock)
    breaker.enter()
    breaker.failed()
    clock.now += 10.1
    breaker.enter()
    breaker.failed()
    assert not breaker.is_open
    breaker.enter()
    clock.now += 30  # it took so long to fail: that is no pause
    breaker.failed()
    assert breaker.is_open


def test_one_trial_decides() -> None:
    clock = Clock()
    breaker = broken(clock)
    clock.now += 60
    breaker.enter()
    with pytest.raises(BreakerOpenError, match="until a trial has ended"):
        breaker.enter()
    breaker.failed()
    with pytest.raises(BreakerOpenError):
        breaker.enter()
    clock.now += 60
    breaker.enter()
    breaker.succeeded()
    breaker.enter()
    assert not breaker.is_open


def test_a_trial_that_says_nothing_leaves_room_for_another() -> None:
    clock = Clock()
    breaker = broken(clock)
    clock.now += 60
    breaker.enter()
    breaker.left()
    breaker.enter()
    assert breaker.is_open


def test_a_twin_has_the_numbers_and_not_the_failures() -> None:
    breaker = broken(Clock())
    twin = breaker.twin()
    assert not twin.is_open
    assert (twin.failures, twin.open_seconds, twin.clear_seconds) == (5, 60, 10)


@pytest.mark.parametrize("arguments", [{"failures": 0}, {"open_seconds": 0}, {"clear_seconds": -1}])
def test_what_makes_no_sense(arguments: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="positive"):
        CircuitBreaker(**arguments)  # type: ignore[arg-type]
