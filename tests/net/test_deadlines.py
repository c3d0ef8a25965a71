"""The end of a whole call, above the waits of its steps."""

import pytest

from smtpx.errors import DeadlineError
from smtpx.net import deadlines
from smtpx.net.deadlines import Deadline


class Clock:
    time = 0.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(deadlines, "now", clock)
    return clock


def test_no_end() -> None:
    assert Deadline().limit(5) == 5


def test_what_is_left(clock: Clock) -> None:
    deadline = Deadline(10)
    assert deadline.limit(5) == 5
    clock.time = 8
    assert deadline.limit(5) == 2
    clock.time = 10
    with pytest.raises(DeadlineError):
        deadline.limit(5)


def test_a_wait_in_parts(clock: Clock) -> None:
    deadline = Deadline(100)
    assert deadline.limit_wait(5, continued=False) == 5
    clock.time = 3
    assert deadline.limit_wait(5, continued=True) == 2
    assert deadline.limit_wait(5, continued=False) == 5
    clock.time = 8
    with pytest.raises(DeadlineError):
        deadline.limit_wait(5, continued=True)
    clock.time = 99
    assert deadline.limit_wait(5, continued=False) == 1


def test_a_deadline_that_begins_again(clock: Clock) -> None:
    deadline = Deadline(10)
    clock.time = 9
    deadline.restart(10)
    clock.time = 18
    assert deadline.limit(5) == 1
    deadline.restart(None)
    clock.time = 1000
    assert deadline.limit(5) == 5
