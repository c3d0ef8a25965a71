"""The token bucket, with a clock of its own, and in several loops."""

import asyncio
import math
import os
import threading

import pytest

from smtpx.errors import ConfigurationError
from smtpx.mailer.rate_limit import RateLimit


class Clock:
    """Time that passes only when somebody sleeps; sleepers wake in the order of their times."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)
        self.now += seconds


def limit_with(clock: Clock, *args: float) -> RateLimit:
    return RateLimit(*args, clock=clock, sleep=clock.sleep)  # type: ignore[arg-type]


def at_once(limit: RateLimit) -> int:
    """How many tokens there are now."""
    count = 0
    while limit.take_nowait():
        count += 1
        assert count < 1000
    return count


async def test_twenty_at_once_and_the_next_waits_100_ms() -> None:
    clock = Clock()
    limit = limit_with(clock)
    for _ in range(20):
        await limit.wait()
    assert clock.slept == []
    await limit.wait()
    assert clock.slept == [pytest.approx(0.1)]
    assert clock.now == pytest.approx(1000.1)


def test_a_second_idle_from_empty_gives_ten_and_never_more_than_twenty() -> None:
    clock = Clock()
    limit = limit_with(clock)
    assert at_once(limit) == 20
    clock.now += 1
    assert at_once(limit) == 10
    clock.now += 3600
    assert at_once(limit) == 20
    clock.now += 0.0999
    assert at_once(limit) == 0
    clock.now += 0.0001
    assert at_once(limit) == 1


def test_sums_of_floats_do_not_lose_tokens() -> None:
    clock = Clock()
    clock.now = 123456.789
    limit = limit_with(clock, 3, 7)
    assert at_once(limit) == 7
    for _ in range(1000):
        clock.now += 1 / 3
        assert at_once(limit) == 1


async def test_whoever_is_cancelled_has_taken_none() -> None:
    clock = Clock()
    limit = RateLimit(10, 1, clock=clock)
    await limit.wait()
    waiting = asyncio.create_task(limit.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not limit.take_nowait()
    clock.now += 0.1
    assert limit.take_nowait()


async def test_waiters_are_served_in_order_and_a_cancelled_one_passes_its_turn_on() -> None:
    limit = RateLimit(200, 1)
    served: list[int] = []

    async def one(number: int) -> None:
        await limit.wait()
        served.append(number)

    assert limit.take_nowait()
    tasks = [asyncio.create_task(one(number)) for number in range(6)]
    await asyncio.sleep(0)
    assert not limit.take_nowait()  # nobody overtakes them
    tasks[0].cancel()
    tasks[3].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert served == [1, 2, 4, 5]


async def test_cancelled_in_the_moment_of_its_turn() -> None:
    limit = RateLimit(100, 1)
    limit.take_nowait()
    tasks = [asyncio.create_task(limit.wait()) for _ in range(3)]
    await tasks[0]
    tasks[1].cancel()  # it has just been given the turn
    async with asyncio.timeout(2):
        await tasks[2]
    assert tasks[1].cancelled()


@pytest.mark.parametrize("rate", [0, None, -1, 0.0, math.inf])
async def test_no_rate_is_no_limit(rate: float | None) -> None:
    limit = RateLimit(rate, 0)
    assert limit.is_unlimited
    for _ in range(1000):
        await limit.wait()


def test_p15_half_a_token_a_second_and_burst_0_holds_one() -> None:
    clock = Clock()
    limit = limit_with(clock, 0.5, 0)
    assert limit.burst == 1
    assert at_once(limit) == 1
    clock.now += 1.9
    assert at_once(limit) == 0
    clock.now += 0.1
    assert at_once(limit) == 1
    assert RateLimit(7.9, 0).burst == 7
    assert repr(limit) == "RateLimit(per_second=0.5, burst=1)"


def test_a_token_that_was_not_needed_is_given_back() -> None:
    limit = limit_with(Clock(), 10, 2)
    assert at_once(limit) == 2
    limit.give_back()
    assert at_once(limit) == 1


async def test_whoever_waits_long_finds_a_token_that_is_given_back_meanwhile() -> None:
    clock = Clock()
    limit = limit_with(clock, 0.001, 1)
    assert limit.take_nowait()
    waiting = asyncio.create_task(limit.wait())
    await asyncio.sleep(0)
    limit.give_back()
    await waiting
    assert clock.slept == [1.0]
    assert not limit.take_nowait()


def test_what_makes_no_sense() -> None:
    with pytest.raises(ConfigurationError, match="per_second"):
        RateLimit(math.nan)
    with pytest.raises(ConfigurationError, match="burst"):
        RateLimit(1, -1)


def test_shared_by_loops_in_several_threads() -> None:
    limit = RateLimit(500, 1)
    served: list[float] = []

    async def some() -> None:
        for _ in range(10):
            await limit.wait()
            served.append(limit._clock())

    threads = [threading.Thread(target=lambda: asyncio.run(some())) for _ in range(3)]
    begun = limit._clock()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(served) == 30
    assert max(served) - begun >= 29 / 500 - 0.001  # together they were not faster than one


def test_a_loop_that_is_gone_does_not_hold_the_turn() -> None:
    limit = RateLimit(5, 1)
    limit.take_nowait()
    gone = asyncio.new_event_loop()

    async def stay() -> None:
        first = asyncio.ensure_future(limit.wait())
        left = gone.create_task(limit.wait())
        await asyncio.sleep(0)
        assert len(limit._waiters) == 1
        gone.call_soon(gone.stop)
        await asyncio.to_thread(gone.run_forever)
        assert len(limit._waiters) == 2
        last = asyncio.ensure_future(limit.wait())
        await asyncio.sleep(0)
        left.get_loop()
        gone.close()
        async with asyncio.timeout(2):
            await asyncio.gather(first, last)
        left._log_destroy_pending = False  # type: ignore[attr-defined]

    asyncio.run(stay())
    assert not limit._waiters


async def test_a_waiter_that_was_given_the_turn_and_passed_over() -> None:
    limit = RateLimit(20, 1)
    limit.take_nowait()
    tasks = [asyncio.create_task(limit.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    limit._waiters.popleft()  # as when its loop was found closed
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    limit._waiters[0].turn.set_result(None)
    await tasks[1]
    assert not limit._waiters


def test_a_child_process_waits_for_nobody() -> None:
    limit = RateLimit(10, 1)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with limit._lock:
            held.set()
            done.wait()

    holding = threading.Thread(target=hold)
    holding.start()
    held.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if limit.take_nowait() else 1)
    done.set()
    holding.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert limit.take_nowait()


async def test_a_task_that_is_collected_while_the_lock_is_held_leaves_the_queue() -> None:
    limit = RateLimit(10, 1)
    limit.take_nowait()
    waiting = limit.wait()
    waiting.send(None)
    with limit._lock:
        waiting.close()  # as the garbage collector does, in whichever thread it runs
    assert not limit._waiters
