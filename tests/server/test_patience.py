"""Deadlines on a clock that only moves when it is told to."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from smtpx.server.patience import Alarm, Due, Patience
from smtpx.server.settings import Deadlines


class Handle:
    """A timer of the clock below. It does not know its time, as those of uvloop that are due at once don't."""

    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at = at
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """As much of an event loop as an alarm needs."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.handles: list[Handle] = []
        self.made = 0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[[], None]) -> Handle:
        self.made += 1
        handle = Handle(when, call)
        self.handles.append(handle)
        return handle

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [each for each in self.handles if not each.cancelled and each.at <= end]:
            first = min(due, key=lambda each: each.at)
            self.handles.remove(first)
            self.now = max(self.now, first.at)
            first.call()
        self.now = end


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def expired() -> list[Due]:
    return []


@pytest.fixture
def patience(clock: Clock, expired: list[Due]) -> Patience:
    return Patience(Deadlines(), cast("asyncio.AbstractEventLoop", clock), expired.append)


def test_an_alarm_goes_off_once(clock: Clock, expired: list[Due]) -> None:
    alarm = Alarm(cast("asyncio.AbstractEventLoop", clock), expired.append)
    alarm.set(Due.WRITE, 10)
    assert alarm.due is Due.WRITE
    clock.advance(9.9)
    assert expired == []
    clock.advance(0.2)
    assert expired == [Due.WRITE]
    assert alarm.due is None
    clock.advance(100)
    assert expired == [Due.WRITE]


def test_setting_it_later_costs_no_timer(clock: Clock, expired: list[Due]) -> None:
    alarm = Alarm(cast("asyncio.AbstractEventLoop", clock), expired.append)
    for _ in range(1000):
        alarm.set(Due.COMMAND, 300)
        clock.advance(0.1)
    assert clock.made == 1
    clock.advance(299.8)
    assert expired == []
    clock.advance(0.2)
    assert expired == [Due.COMMAND]
    assert clock.made == 2


def test_setting_it_earlier(clock: Clock, expired: list[Due]) -> None:
    alarm = Alarm(cast("asyncio.AbstractEventLoop", clock), expired.append)
    alarm.set(Due.COMMAND, 300)
    alarm.set(Due.TLS, 5)
    clock.advance(5.1)
    assert expired == [Due.TLS]
    alarm.set(Due.TLS, -5)
    clock.advance(0)
    assert expired == [Due.TLS, Due.TLS]


def test_clearing_it(clock: Clock, expired: list[Due]) -> None:
    alarm = Alarm(cast("asyncio.AbstractEventLoop", clock), expired.append)
    alarm.clear()
    alarm.set(Due.COMMAND, 5)
    alarm.clear()
    alarm.clear()
    clock.advance(100)
    assert expired == []


def test_a_timer_that_comes_too_late_to_be_cancelled(clock: Clock, expired: list[Due]) -> None:
    alarm = Alarm(cast("asyncio.AbstractEventLoop", clock), expired.append)
    alarm.set(Due.COMMAND, 5)
    (handle,) = clock.handles
    alarm.clear()
    handle.call()
    assert expired == []


@pytest.mark.parametrize(
    ("begin", "due", "seconds"),
    [
        (Patience.await_command, Due.COMMAND, 300),
        (Patience.await_auth, Due.AUTH, 60),
        (Patience.await_tls, Due.TLS, 60),
        (Patience.await_handler, Due.HANDLER, 60),
        (Patience.await_verdict, Due.FINAL, 300),
    ],
)
def test_what_the_deadlines_say(
    clock: Clock, patience: Patience, expired: list[Due], begin: Callable[[Patience], None], due: Due, seconds: float
) -> None:
    begin(patience)
    clock.advance(seconds - 0.1)
    assert expired == []
    clock.advance(0.2)
    assert expired == [due]


def test_delays_come_on_top(clock: Clock, patience: Patience, expired: list[Due]) -> None:
    patience.await_command(delay=10)
    clock.advance(305)
    assert expired == []
    patience.await_handler(delay=10)
    clock.advance(65)
    assert expired == []
    clock.advance(6)
    assert expired == [Due.HANDLER]


def test_an_auth_exchange_has_a_deadline_as_a_whole(clock: Clock, patience: Patience, expired: list[Due]) -> None:
    for _ in range(4):
        patience.await_auth()
        clock.advance(45)
    assert expired == [Due.AUTH]
    patience.await_command()
    patience.await_auth()
    clock.advance(59)
    assert expired == [Due.AUTH]


def test_ten_minutes_of_slow_content(clock: Clock, patience: Patience, expired: list[Due]) -> None:
    patience.begin_content()
    patience.await_content()
    for _ in range(600):
        clock.advance(1)
        patience.earn(600)
    assert expired == []
    clock.advance(180.1)
    assert expired == [Due.CONTENT]


@pytest.mark.parametrize("every", [1, 10, 60])
def test_h082_content_that_is_too_slow(clock: Clock, patience: Patience, expired: list[Due], every: int) -> None:
    patience.begin_content()
    patience.await_content()
    while not expired:
        clock.advance(every)
        if not expired:
            patience.earn(1)
    assert expired == [Due.CONTENT]
    assert clock.now <= 1000 + 180 + every + 1


def test_the_budget_never_grows_above_where_it_began(clock: Clock, patience: Patience, expired: list[Due]) -> None:
    patience.begin_content()
    patience.await_content()
    patience.earn(1 << 30)
    clock.advance(181)
    assert expired == [Due.CONTENT]


def test_time_the_session_takes_is_not_the_peer_s(clock: Clock, patience: Patience, expired: list[Due]) -> None:
    patience.begin_content()
    patience.await_content()
    clock.advance(100)
    patience.earn(0)
    patience.await_verdict()
    clock.advance(200)
    patience.earn(500)  # what came in the meantime
    patience.await_content()
    clock.advance(80)
    assert expired == []
    clock.advance(2)
    assert expired == [Due.CONTENT]


# The session as a whole, and pressure --------------------------------------------------------------------------------


def session_of(clock: Clock, expired: list[Due], seconds: float) -> Patience:
    return Patience(Deadlines(), cast("asyncio.AbstractEventLoop", clock), expired.append, session_seconds=seconds)


def test_a_session_ends_where_a_command_is_waited_for(clock: Clock, expired: list[Due]) -> None:
    patience = session_of(clock, expired, 400)
    for _ in range(3):
        patience.await_command()
        clock.advance(130)
    assert (expired, patience.session_is_over) == ([], False)
    patience.await_command()
    clock.advance(10.1)
    assert (expired, patience.session_is_over) == ([Due.COMMAND], True)
    patience.await_command()  # there is no time left at all
    clock.advance(0.0)
    assert expired == [Due.COMMAND] * 2


def test_a_session_does_not_end_in_content(clock: Clock, expired: list[Due]) -> None:
    patience = session_of(clock, expired, 100)
    patience.begin_content()
    patience.await_content()
    clock.advance(150)
    assert expired == []
    assert patience.session_is_over
    clock.advance(40)
    assert expired == [Due.CONTENT]


@pytest.mark.parametrize(
    ("await_it", "due", "seconds"),
    [
        (Patience.await_command, Due.COMMAND, 10),
        (Patience.await_auth, Due.AUTH, 10),
        (Patience.await_tls, Due.TLS, 10),
        (Patience.await_verdict, Due.FINAL, 120),
        (Patience.await_content, Due.CONTENT, 10),
    ],
)
def test_rule_5_what_is_waited_for_has_no_longer_than_under_pressure(
    clock: Clock, expired: list[Due], patience: Patience, await_it: Callable[[Patience], None], due: Due, seconds: int
) -> None:
    patience.begin_content()
    await_it(patience)
    clock.advance(1)
    patience.follow(Deadlines().under_pressure(), None)
    clock.advance(seconds - 0.1)
    assert expired == []
    clock.advance(0.2)
    assert expired == [due]
    patience.follow(Deadlines(), None)  # nothing is waited for: nothing happens
    clock.advance(1000)
    assert expired == [due]


def test_rule_5_nobody_is_given_more_time(clock: Clock, expired: list[Due], patience: Patience) -> None:
    for due, wait in ((Due.COMMAND, Patience.await_command), (Due.CONTENT, Patience.await_content)):
        expired.clear()
        patience.begin_content()
        patience.follow(Deadlines(), None)
        wait(patience)
        clock.advance(150)
        left = 150 if due is Due.COMMAND else 30
        patience.follow(Deadlines(), None)
        clock.advance(left - 0.1)
        assert expired == []
        clock.advance(0.2)
        assert expired == [due]


def test_rule_5_an_auth_exchange_as_a_whole(clock: Clock, expired: list[Due], patience: Patience) -> None:
    patience.await_auth()
    patience.follow(Deadlines(auth_exchange=1.0), None)
    patience.await_auth()
    clock.advance(1.1)
    assert expired == [Due.AUTH]


def test_rule_5_a_hook_keeps_its_time(clock: Clock, expired: list[Due], patience: Patience) -> None:
    patience.await_handler()
    patience.follow(Deadlines().under_pressure(), 1.0)
    clock.advance(59)
    assert expired == []
    clock.advance(2)
    assert expired == [Due.HANDLER]
