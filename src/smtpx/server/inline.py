"""Runs a session's coroutines: in place while they do not wait, in one task once they do.

Most hooks of most sessions never wait, and a task for each would cost more than the hook. So a coroutine is started in
place, under the name of the connection's task (`asyncio.current_task`), and only what really waits is carried on by
that task. `asyncio.timeout` and task groups work in hooks, since the task they see is the one that goes on with them.
"""

import asyncio
import contextvars
import types
from asyncio.tasks import _enter_task, _leave_task  # pyright: ignore[reportPrivateUsage] # made for task drivers
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, NamedTuple

__all__ = ["Hook", "InlineRunner", "OnDone", "Outcome"]


class Outcome(NamedTuple):
    """What became of a coroutine."""

    value: Any
    error: BaseException | None


OnDone = Callable[[Outcome], None]
Hook = Coroutine[Any, Any, Any]


class _Handed(NamedTuple):
    """A coroutine for the task to go on with, and the future it waits for; `started` or still to be."""

    coroutine: Hook
    waits_for: Any
    started: bool
    on_done: OnDone


class InlineRunner:
    """One connection's runner; one coroutine at a time.

    Args:
        context: what coroutines run in, so that variables which one sets are there for the next; default a new copy.
    """

    __slots__ = ("_cancel_first", "_cancels", "_context", "_handed", "_loop", "_running", "_stopped", "_task", "_wake")

    def __init__(self, loop: asyncio.AbstractEventLoop, context: contextvars.Context | None = None) -> None:
        self._loop = loop
        self._context = contextvars.copy_context() if context is None else context
        self._task: asyncio.Task[None] | None = None
        self._handed: _Handed | None = None
        self._running = False  # the task is at work on what was handed over
        self._wake: asyncio.Future[None] | None = None
        self._cancel_first = False  # cancel what was handed over as soon as the task has it
        self._cancels = 0  # our own requests to cancel the task that were not taken back
        self._stopped = False

    @property
    def is_busy(self) -> bool:
        """Whether a coroutine waits."""
        return self._running or self._handed is not None

    def run(self, coroutine: Hook, on_done: OnDone) -> Outcome | None:
        """Start `coroutine`. Its outcome if it did not wait; else None, and `on_done` is called later."""
        task = self._task
        if task is None or task.done():
            task = self._start_task()
        current = asyncio.current_task(self._loop)
        if current is not None and current is not task:  # called from somebody else's task: nothing can run in place
            self._hand_over(_Handed(coroutine, None, False, on_done))
            return None
        try:
            if current is task:
                waits_for = coroutine.send(None)
            else:
                _enter_task(self._loop, task)
                try:
                    waits_for = self._context.run(coroutine.send, None)
                finally:
                    _leave_task(self._loop, task)
        except StopIteration as stop:
            if task.cancelling():
                self._task = None  # as below; this is the way most hooks go
            return Outcome(stop.value, None)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # whatever a session raises, CancelledError too, is an outcome
            self._give_up_cancelled(task)
            return Outcome(None, error)
        self._hand_over(_Handed(coroutine, waits_for, True, on_done))
        return None

    def cancel(self) -> None:
        """Cancel what waits; its outcome is the CancelledError, unless it has a better one."""
        if self._handed is not None:
            self._cancel_first = True
        elif self._running and self._task is not None:
            self._cancels += 1
            self._task.cancel()

    def stop(self) -> None:
        """Nothing will run any more."""
        self._stopped = True
        self._wake_task()

    def _start_task(self) -> "asyncio.Task[None]":
        carry_on = self._carry_on()
        carry_on.send(None)  # begun already, so that a cancel ahead of the task's first step finds somebody at home
        self._task = self._loop.create_task(carry_on, context=self._context)
        return self._task

    def _hand_over(self, handed: _Handed) -> None:
        self._handed = handed
        self._wake_task()

    def _wake_task(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _carry_on(self) -> None:
        error = await _caught(_yield_once())
        me = asyncio.current_task(self._loop)
        while (
            self._task is me and me is not None
        ):  # else it was cancelled by somebody else, and another one has taken over
            if self._handed is not None:
                await self._finish(me, error)
                error = None
            elif self._stopped and error is None:
                return
            else:
                error = await _caught(self._idle(error))

    def _idle(self, error: BaseException | None) -> "asyncio.Future[None]":
        """What the task waits for with nothing in hand; if it was cancelled meanwhile, that ends it."""
        if error is not None:
            raise error
        self._wake = wake = self._loop.create_future()
        return wake

    async def _finish(self, me: "asyncio.Task[None]", error: BaseException | None) -> None:
        handed, self._handed, self._running = self._handed, None, True
        assert handed is not None  # noqa: S101 - only called with something in hand
        if self._cancel_first:
            self._cancel_first, error = False, asyncio.CancelledError()
        outcome = await _outcome_of(handed.coroutine, handed.waits_for, handed.started, error)
        self._running = False
        while self._cancels:
            self._cancels -= 1
            me.uncancel()
        self._give_up_cancelled(me)
        handed.on_done(outcome)

    def _give_up_cancelled(self, task: "asyncio.Task[None]") -> None:
        """A hook has cancelled its own task, or a loop that ends has: that must not hit the next hook."""
        if task.cancelling():
            self._task = None


@types.coroutine
def _yield_once() -> Generator[Any, Any, None]:
    yield


async def _caught(awaitable: Awaitable[None]) -> asyncio.CancelledError | None:
    """Wait; a cancel that ends the wait."""
    try:
        await awaitable
    except asyncio.CancelledError as error:
        return error
    return None


async def _outcome_of(coroutine: Hook, waits_for: object, started: bool, error: BaseException | None) -> Outcome:
    # An error's traceback keeps this frame and those below. They know nobody who knows the outcome, so whatever a
    # session held when it failed is let go of at once, and not with the next collection.
    try:
        return Outcome(await _go_on(coroutine, waits_for, started, error), None)
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as raised:  # whatever a session raises is an outcome
        return Outcome(None, raised)


@types.coroutine
def _go_on(coroutine: Hook, waits_for: object, started: bool, error: BaseException | None) -> Generator[Any, Any, Any]:
    """Go on with a coroutine that waits for a future: what a Task does, in the middle of a task."""
    try:
        if error is not None:
            waits_for = coroutine.throw(error)
        elif not started:
            waits_for = coroutine.send(None)
        while True:
            try:
                value = yield waits_for
            except GeneratorExit:  # the loop is gone
                coroutine.close()
                raise
            except BaseException as thrown:  # handed on, not handled
                waits_for = coroutine.throw(thrown)
            else:
                waits_for = coroutine.send(value)
    except StopIteration as stop:
        return stop.value
