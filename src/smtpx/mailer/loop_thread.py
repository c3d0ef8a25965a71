"""An event loop in a thread of its own, for programs that have none."""

import asyncio
import atexit
import contextlib
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from smtpx.errors import LocalProtocolError
from smtpx.mailer.forks import anew_in_child
from smtpx.mailer.ledger import lost

__all__ = ["LoopThread"]

T = TypeVar("T")
_STOP_SECONDS = 10.0  # for what ignores that it is cancelled
_inherited: list[object] = []  # of the parent process: neither touched nor collected in a child


class LoopThread:
    """Runs coroutines for other threads.

    The thread is started when it is needed, anew in a child process, and does not keep the interpreter from ending.

    Args:
        name: of the thread.
        at_exit: called when the interpreter ends and the loop is still there.
    """

    def __init__(self, name: str, at_exit: Callable[[], object]) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        anew_in_child(self)
        call_reference, reference = weakref.WeakMethod(at_exit), weakref.ref(self)

        def leave() -> None:
            call, thread = call_reference(), reference()
            if call is not None and thread is not None and thread.is_running:
                with contextlib.suppress(Exception):
                    call()

        self._leave = leave
        atexit.register(leave)

    def begin_anew(self) -> None:
        """In a child process there is no loop and no thread: the old ones are neither touched nor collected."""
        if self._loop is not None:
            _inherited.append((self._loop, self._thread))
        self._lock = threading.Lock()
        self._loop = self._thread = None

    @property
    def is_running(self) -> bool:
        """Whether there is a loop, of this process."""
        return self._loop is not None

    def __del__(self) -> None:
        """Nobody has stopped it, and nobody can any more."""
        atexit.unregister(self._leave)
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._loop.stop)

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Have it run.

        Raises:
            LocalProtocolError: called from the loop itself, which would wait for itself; or no thread can be started,
                such as when the interpreter is about to end.
        """
        try:
            self._check_thread()
            with self._lock:
                if self._loop is None:
                    self._start()
                assert self._loop is not None  # noqa: S101 - it was started
                return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except LocalProtocolError:
            coroutine.close()
            raise

    def _check_thread(self) -> None:
        if self._thread is threading.current_thread():
            raise LocalProtocolError(
                "the blocking face was called from its own event loop, which can't wait for itself"
            )

    def _start(self) -> None:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=_serve, args=(loop,), name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            loop.close()
            raise LocalProtocolError(f"no thread can be started: {error}") from error
        self._loop, self._thread = loop, thread

    def run(self, coroutine: Coroutine[Any, Any, T], timeout_seconds: float | None = None) -> T:
        """What it returns or raises. Interrupted, it is cancelled.

        Raises:
            TimeoutError: it took longer, and is cancelled.
            ConnectionLost: the loop was stopped under it.
        """
        return self.result(self.submit(coroutine), timeout_seconds)

    def result(self, future: "Future[T]", timeout_seconds: float | None = None) -> T:
        """The same, of what was submitted."""
        try:
            return future.result(timeout_seconds)
        except CancelledError as error:
            raise lost("cut off because the event loop was stopped") from error
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """End the loop, and wait for it, ten seconds at most. May be called again; another call starts anew.

        Raises:
            LocalProtocolError: called from the loop itself.
        """
        self._check_thread()
        atexit.unregister(self._leave)
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_STOP_SECONDS)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(asyncio.sleep(0))  # what came last may end at once: with a better error than ours
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
