"""An event loop in a thread of its own, for programs that have none."""

import asyncio
import atexit
import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from smtpx.errors import LocalProtocolError

__all__ = ["LoopThread"]

T = TypeVar("T")
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
        self._begin()
        call_reference, reference = weakref.WeakMethod(at_exit), weakref.ref(self)

        def leave() -> None:
            call, thread = call_reference(), reference()
            if call is not None and thread is not None and thread.is_running:
                with contextlib.suppress(Exception):
                    call()

        self._leave = leave
        atexit.register(leave)

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether there is a loop, of this process."""
        return self._loop is not None and self._process == os.getpid()

    def __del__(self) -> None:
        """Nobody has stopped it, and nobody can any more."""
        atexit.unregister(self._leave)
        if self.is_running and self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._loop.stop)

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Have it run.

        Raises:
            LocalProtocolError: called from the loop itself, which would wait for itself.
        """
        if self._process != os.getpid():
            _inherited.append((self._loop, self._thread, self._lock))
            self._begin()
        if self._thread is threading.current_thread():
            coroutine.close()
            raise LocalProtocolError(
                "the blocking face was called from its own event loop, which can't wait for itself"
            )
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name=self._name, daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def run(self, coroutine: Coroutine[Any, Any, T], timeout_seconds: float | None = None) -> T:
        """What it returns or raises. Interrupted, it is cancelled.

        Raises:
            TimeoutError: it took longer, and is cancelled.
        """
        future = self.submit(coroutine)
        try:
            return future.result(timeout_seconds)
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """End the loop, and wait for it. May be called again; another call starts anew."""
        atexit.unregister(self._leave)
        if self._process != os.getpid():
            return
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
