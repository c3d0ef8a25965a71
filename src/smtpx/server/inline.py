"""Runs a session's coroutines: in place while they do not wait, in one task once they do.

Most hooks of most sessions never wait, and a task for each would cost more than the hook. So a coroutine is started in
place, under the name of the connection's task (`asyncio.current_task`), and only what really waits is carried on by
that task. `asyncio.timeout` and task groups work in hooks, since the task they see is the one that goes on with them.
"""

import asyncio
import contextvars
import types
from asyncio.tasks import _enter_task, _leave_task  # type: ignore[attr-defined]  # documented for own task drivers
from collections.abc import Callable, Coroutine, Generator
from typing import Any, NamedTuple

__all__ = ["InlineRunner", "Outcome"]


class Outcome(NamedTuple):
    """What became of a coroutine."""

    value: Any
    error: BaseException | None


OnDone = Callable[[Outcome], None]


class InlineRunner:
    """One connection's runner; one coroutine at a time."""

    __slots__ = ("_cancelling", "_context", "_handed", "_loop", "_on_done", "_stopped", "_task", "_wake")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._context = contextvars.copy_context()
        self._task: asyncio.Task[None] | None = None
        self._handed: tuple[Coroutine[Any, Any, Any], Any, bool] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._on_done: OnDone | None = None
        self._cancelling = False
        self._stopped = False

    @property
    def is_busy(self) -> bool:
        """Whether a coroutine waits."""
        return self._on_done is not None

    def run(self, coroutine: Coroutine[Any, Any, Any], on_done: OnDone) -> Outcome | None:
        """Start `coroutine`. Its outcome if it did not wait; else None, and `on_done` is called later."""
        task = self._task
        if task is None:
            task = self._task = self._loop.create_task(self._carry_on(), context=self._context)
        current = asyncio.current_task(self._loop)
        if current is not None and current is not task:
            self._hand_over(coroutine, None, False, on_done)  # called from somebody else's task: nothing can run in place
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
            return Outcome(stop.value, None)
        except Exception as error:  # noqa: BLE001 - whatever a session raises is an outcome
            return Outcome(None, error)
        self._hand_over(coroutine, waits_for, True, on_done)
        return None

    def cancel(self) -> None:
        """Cancel what waits; its outcome is the CancelledError."""
        if self._on_done is not None and self._task is not None:
            self._cancelling = True
            self._task.cancel()

    def stop(self) -> None:
        """Nothing will run any more."""
        self._stopped = True
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _hand_over(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any, started: bool, on_done: OnDone) -> None:
        self._handed = (coroutine, waits_for, started)
        self._on_done = on_done
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _carry_on(self) -> None:
        while not self._stopped or self._handed is not None:
            early: asyncio.CancelledError | None = None
            try:
                if self._handed is None:
                    self._wake = self._loop.create_future()
                    await self._wake
            except asyncio.CancelledError as error:
                early = error
            self._wake = None
            if self._handed is None:
                if early is not None:
                    raise early
                continue
            (coroutine, waits_for, started), self._handed = self._handed, None
            outcome = await self._finish(coroutine, waits_for, started, early)
            on_done, self._on_done = self._on_done, None
            if on_done is not None:
                on_done(outcome)

    async def _finish(
        self, coroutine: Coroutine[Any, Any, Any], waits_for: Any, started: bool, early: BaseException | None
    ) -> Outcome:
        try:
            return Outcome(await _go_on(coroutine, waits_for, started, early), None)
        except asyncio.CancelledError as error:
            if not self._cancelling and self._task is not None and self._task.cancelling():
                raise  # not we: the loop is shutting down
            if self._cancelling and self._task is not None:
                self._task.uncancel()
            return Outcome(None, error)
        except Exception as error:  # noqa: BLE001 - whatever a session raises is an outcome
            return Outcome(None, error)
        finally:
            self._cancelling = False


@types.coroutine
def _go_on(
    coroutine: Coroutine[Any, Any, Any], waits_for: Any, started: bool, error: BaseException | None
) -> Generator[Any, Any, Any]:
    try:
        if error is not None:
            waits_for = coroutine.throw(error)
        elif not started:
            waits_for = coroutine.send(None)
        while True:
            try:
                value = yield waits_for
            except BaseException as thrown:  # noqa: BLE001 - handed on, not handled
                waits_for = coroutine.throw(thrown)
            else:
                waits_for = coroutine.send(value)
    except StopIteration as stop:
        return stop.value
