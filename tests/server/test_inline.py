"""Coroutines started in place and carried on by one task: what asyncio promises to a coroutine holds all the same."""

import asyncio
import contextvars
import gc
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
import uvloop

from smtpx.server.inline import InlineRunner, Outcome

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")
Body = Callable[["Rig"], Awaitable[None]]


class Rig:
    """A runner whose hooks are started from a callback of the loop, as a connection's are."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.runner = InlineRunner(self.loop)
        self.later: asyncio.Future[Outcome] = self.loop.create_future()

    async def start(self, coroutine: Coroutine[Any, Any, Any]) -> Outcome | None:
        """Start a hook; its outcome if it did not wait."""
        self.later = self.loop.create_future()
        started: asyncio.Future[Outcome | None] = self.loop.create_future()

        def call() -> None:
            started.set_result(self.runner.run(coroutine, self.later.set_result))

        self.loop.call_soon(call)
        return await started

    async def run(self, coroutine: Coroutine[Any, Any, Any]) -> Outcome:
        """A hook's outcome, however long it takes."""
        outcome = await self.start(coroutine)
        return outcome if outcome is not None else await self.later


@pytest.fixture(params=sorted(LOOPS))
def play(request: pytest.FixtureRequest) -> Callable[[Body], None]:
    """Runs a test's body with a rig, under one loop or the other, and sees that nothing is left over."""

    def run(body: Body) -> None:
        problems: list[dict[str, Any]] = []

        async def main() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
            rig = Rig()
            await body(rig)
            rig.runner.stop()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            gc.collect()

        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(main())
        assert problems == []

    return run


Play = Callable[[Body], None]


async def no_wait() -> str:
    return "done"


async def one_wait() -> str:
    await asyncio.sleep(0.001)
    return "waited"


def test_a_hook_that_does_not_wait_has_its_outcome_at_once(play: Play) -> None:
    async def body(rig: Rig) -> None:
        assert await rig.start(no_wait()) == Outcome("done", None)
        assert not rig.runner.is_busy

    play(body)


def test_a_hook_that_waits_has_its_outcome_later(play: Play) -> None:
    async def body(rig: Rig) -> None:
        for _ in range(3):
            assert await rig.start(one_wait()) is None
            assert rig.runner.is_busy
            assert await rig.later == Outcome("waited", None)
            assert not rig.runner.is_busy

    play(body)


def test_all_ways_of_waiting(play: Play) -> None:
    async def hook() -> list[Any]:
        await asyncio.sleep(0)
        future = asyncio.get_running_loop().create_future()
        future.set_result("ready")
        event = asyncio.Event()
        asyncio.get_running_loop().call_later(0.001, event.set)
        await event.wait()
        return [await future, await asyncio.to_thread(lambda: "thread"), await asyncio.create_task(one_wait())]

    async def body(rig: Rig) -> None:
        assert (await rig.run(hook())).value == ["ready", "thread", "waited"]

    play(body)


def test_the_task_is_the_same_in_all_hooks_and_on_both_sides_of_a_wait(play: Play) -> None:
    seen: list[asyncio.Task[Any] | None] = []

    async def hook(wait: bool) -> None:
        seen.append(asyncio.current_task())
        if wait:
            await asyncio.sleep(0)
            seen.append(asyncio.current_task())

    async def body(rig: Rig) -> None:
        for wait in (False, True, False, True):
            await rig.run(hook(wait))
        assert seen[0] is not None
        assert seen[0] is not asyncio.current_task()
        assert set(seen) == {seen[0]}
        assert asyncio.current_task() is not seen[0]

    play(body)


def test_context_variables_are_kept_from_hook_to_hook_and_do_not_leak(play: Play) -> None:
    async def set_it(wait_first: bool, value: str) -> None:
        if wait_first:
            await asyncio.sleep(0)
        VARIABLE.set(value)

    async def get_it(wait_first: bool) -> str:
        if wait_first:
            await asyncio.sleep(0)
        return VARIABLE.get()

    async def body(rig: Rig) -> None:
        for wait_in_set in (False, True):
            for wait_in_get in (False, True):
                value = f"{wait_in_set} {wait_in_get}"
                await rig.run(set_it(wait_in_set, value))
                assert (await rig.run(get_it(wait_in_get))).value == value
        assert VARIABLE.get() == "unset"
        other = Rig()
        assert (await other.run(get_it(False))).value == "unset"
        other.runner.stop()

    play(body)


@pytest.mark.parametrize("error", [ValueError("x"), asyncio.CancelledError(), StopAsyncIteration(), TimeoutError()])
@pytest.mark.parametrize("wait", [False, True])
def test_what_a_hook_raises_is_its_outcome(play: Play, error: BaseException, wait: bool) -> None:
    async def hook() -> None:
        if wait:
            await asyncio.sleep(0)
        raise error

    async def body(rig: Rig) -> None:
        assert await rig.run(hook()) == Outcome(None, error)
        assert await rig.run(one_wait()) == Outcome("waited", None)

    play(body)


@pytest.mark.parametrize("wait", [False, True])
def test_a_hook_that_awaits_something_cancelled(play: Play, wait: bool) -> None:
    async def hook() -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        if wait:
            await asyncio.sleep(0)
        await future

    async def body(rig: Rig) -> None:
        assert isinstance((await rig.run(hook())).error, asyncio.CancelledError)
        assert await rig.run(one_wait()) == Outcome("waited", None)

    play(body)


@pytest.mark.parametrize("seconds", [0, 0.01])
def test_asyncio_timeout_begun_in_place(play: Play, seconds: float) -> None:
    async def hook() -> str:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.sleep(10)
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
        return "went on"

    async def body(rig: Rig) -> None:
        for _ in range(2):
            assert (await rig.run(hook())).value == "went on"

    play(body)


def test_a_task_group_begun_in_place(play: Play) -> None:
    async def fail() -> None:
        await asyncio.sleep(0.001)
        raise ValueError("one of them")

    async def hook() -> str:
        async with asyncio.TaskGroup() as group:
            first, second = group.create_task(one_wait()), group.create_task(no_wait())
        with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012 - the block is what is tested
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                await asyncio.sleep(10)
        assert isinstance(caught.value.exceptions[0], ValueError)
        return first.result() + second.result()

    async def body(rig: Rig) -> None:
        for _ in range(2):
            assert (await rig.run(hook())).value == "waiteddone"

    play(body)


@pytest.mark.parametrize("turns", [0, 1, 2, 5])
def test_one_cancel_hits_exactly_the_hook_that_waits(play: Play, turns: int) -> None:
    async def body(rig: Rig) -> None:
        for _ in range(3):
            assert await rig.start(asyncio.sleep(10)) is None
            for _ in range(turns):
                await asyncio.sleep(0)
            rig.runner.cancel()
            assert isinstance((await rig.later).error, asyncio.CancelledError)
            assert await rig.run(one_wait()) == Outcome("waited", None)

    play(body)


def test_cancel_ahead_of_the_first_step_of_the_task(play: Play) -> None:
    async def body(rig: Rig) -> None:
        outcomes: list[Outcome] = []

        def call() -> None:
            assert rig.runner.run(asyncio.sleep(10), outcomes.append) is None
            rig.runner.cancel()

        rig.loop.call_soon(call)
        await asyncio.sleep(0.01)
        assert isinstance(outcomes[0].error, asyncio.CancelledError)
        assert await rig.run(one_wait()) == Outcome("waited", None)

    play(body)


def test_cancel_without_anything_that_waits(play: Play) -> None:
    async def body(rig: Rig) -> None:
        rig.runner.cancel()
        assert await rig.run(no_wait()) == Outcome("done", None)
        rig.runner.cancel()
        assert await rig.run(one_wait()) == Outcome("waited", None)

    play(body)


def test_a_hook_that_cleans_up_when_it_is_cancelled(play: Play) -> None:
    async def hook() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0.001)

    async def body(rig: Rig) -> None:
        await rig.start(hook())
        await asyncio.sleep(0)
        rig.runner.cancel()
        assert isinstance((await rig.later).error, asyncio.CancelledError)

    play(body)


def test_a_hook_that_ignores_a_cancel_and_the_group_in_the_next_one(play: Play) -> None:
    async def stubborn() -> str:
        for _ in range(2):
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                continue
        return "done all the same"

    async def fail() -> None:
        raise ValueError

    async def grouped() -> str:
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        with pytest.raises(ExceptionGroup):  # noqa: PT012 - the block is what is tested
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                await asyncio.sleep(10)
        return "group"

    async def body(rig: Rig) -> None:
        await rig.start(stubborn())
        for _ in range(2):
            await asyncio.sleep(0.005)
            rig.runner.cancel()
        assert await rig.later == Outcome("done all the same", None)
        assert await rig.run(grouped()) == Outcome("group", None)

    play(body)


@pytest.mark.parametrize("wait", [False, True])
def test_a_hook_that_cancels_its_own_task_hits_no_other(play: Play, wait: bool) -> None:
    async def hook() -> str:
        if wait:
            await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return "returned"

    async def hit() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(10)
        return "not reached"

    async def body(rig: Rig) -> None:
        for _ in range(2):
            assert await rig.run(hook()) == Outcome("returned", None)
            assert await rig.run(one_wait()) == Outcome("waited", None)
            assert isinstance((await rig.run(hit())).error, asyncio.CancelledError)
            assert await rig.run(no_wait()) == Outcome("done", None)

    play(body)


def test_cancelled_by_somebody_else(play: Play) -> None:
    """As a loop does that shuts down: the task ends, its hook has an outcome, and the next hook gets a new task."""
    tasks: list[asyncio.Task[Any]] = []

    async def hook() -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        await asyncio.sleep(10)

    async def body(rig: Rig) -> None:
        await rig.start(hook())
        await asyncio.sleep(0)
        tasks[0].cancel()
        assert isinstance((await rig.later).error, asyncio.CancelledError)
        await asyncio.wait(tasks, timeout=1)
        assert tasks[0].done()
        await rig.start(hook())
        assert tasks[1] is not tasks[0]
        rig.runner.cancel()
        await rig.later
        tasks[1].cancel()  # while it is idle
        await asyncio.wait(tasks, timeout=1)
        assert tasks[1].cancelled()
        assert await rig.run(one_wait()) == Outcome("waited", None)

    play(body)


def test_started_from_another_task(play: Play) -> None:
    async def body(rig: Rig) -> None:
        for hook in (no_wait, one_wait):
            later: asyncio.Future[Outcome] = rig.loop.create_future()
            assert rig.runner.run(hook(), later.set_result) is None
            assert rig.runner.is_busy
            assert (await later).error is None

    play(body)


def test_started_from_another_task_and_cancelled_before_it_began(play: Play) -> None:
    async def body(rig: Rig) -> None:
        later: asyncio.Future[Outcome] = rig.loop.create_future()
        rig.runner.run(no_wait(), later.set_result)
        rig.runner.cancel()
        assert isinstance((await later).error, asyncio.CancelledError)

    play(body)


@pytest.mark.parametrize("chain", [[no_wait, one_wait, no_wait], [one_wait, one_wait], [no_wait, no_wait]])
def test_hooks_started_when_the_one_before_is_done(play: Play, chain: list[Callable[[], Any]]) -> None:
    """What a connection does with pipelined commands: the next hook starts inside the task that ended the last."""

    async def body(rig: Rig) -> None:
        outcomes: list[Outcome] = []
        finished = asyncio.Event()
        rest = list(chain)

        def done(outcome: Outcome | None) -> None:
            while outcome is not None:
                outcomes.append(outcome)
                if not rest:
                    finished.set()
                    return
                outcome = rig.runner.run(rest.pop(0)(), done)

        rig.loop.call_soon(lambda: done(rig.runner.run(one_wait(), done)))
        await finished.wait()
        assert [outcome.error for outcome in outcomes] == [None] * (1 + len(chain))

    play(body)


def test_stopped_by_the_last_hook(play: Play) -> None:
    async def body(rig: Rig) -> None:
        done = asyncio.Event()

        def ended(outcome: Outcome) -> None:
            rig.runner.stop()
            done.set()

        rig.loop.call_soon(rig.runner.run, one_wait(), ended)
        await done.wait()

    play(body)


def test_a_runner_that_never_ran_stops(play: Play) -> None:
    async def body(rig: Rig) -> None:
        rig.runner.stop()

    play(body)


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("name", sorted(LOOPS))
def test_ctrl_c_inside_a_hook_ends_the_loop(wait: bool, name: str) -> None:
    async def hook() -> None:
        if wait:
            await asyncio.sleep(0)
        raise KeyboardInterrupt

    async def main() -> None:
        rig = Rig()
        await rig.run(hook())

    with pytest.raises(KeyboardInterrupt), asyncio.Runner(loop_factory=LOOPS[name]) as runner:
        runner.run(main())
    gc.collect()


@pytest.mark.parametrize("name", sorted(LOOPS))
def test_a_loop_that_ends_with_a_hook_under_way(name: str) -> None:
    """`asyncio.run` cancels all tasks at its end: none hangs, none is destroyed while it is pending."""
    outcomes: list[Outcome] = []

    async def main() -> None:
        idle, busy = Rig(), Rig()
        await idle.run(no_wait())
        busy.loop.call_soon(busy.runner.run, asyncio.sleep(10), outcomes.append)
        await asyncio.sleep(0.01)

    with asyncio.Runner(loop_factory=LOOPS[name]) as runner:
        runner.run(main())
    assert isinstance(outcomes[0].error, asyncio.CancelledError)
    gc.collect()


def test_a_loop_that_is_gone() -> None:
    """Closed with a hook under way: what is left is collected, and no answer comes from beyond."""
    outcomes: list[Outcome] = []
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # "Task was destroyed but it is pending"

    async def main() -> InlineRunner:
        runner = InlineRunner(loop)
        loop.call_soon(runner.run, asyncio.sleep(10), outcomes.append)
        await asyncio.sleep(0.01)
        return runner

    runner = loop.run_until_complete(main())
    loop.close()
    assert runner.is_busy
    del runner
    gc.collect()
    assert outcomes == []
