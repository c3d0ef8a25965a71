"""An event loop in a thread of its own."""

import asyncio
import gc
import os

import pytest

from smtpx.errors import LocalProtocolError
from smtpx.mailer.loop_thread import LoopThread


class _Owner:
    def __init__(self) -> None:
        self.exits = 0
        self.thread = LoopThread("test-loop", self.at_exit)

    def at_exit(self) -> None:
        self.exits += 1
        raise RuntimeError("whatever")


def test_thread_stops_starts_anew_and_cancels_what_is_left() -> None:
    owner = _Owner()
    owner.thread.stop()  # never started
    hanging = owner.thread.submit(asyncio.sleep(60))
    assert owner.thread.run(asyncio.sleep(0, "a")) == "a"
    owner.thread.stop()
    assert hanging.cancelled()
    assert owner.thread.run(asyncio.sleep(0, "b")) == "b"
    owner.thread.stop()


def test_thread_at_exit_is_called_only_for_a_loop_that_is_there() -> None:
    owner = _Owner()
    leave = owner.thread._leave
    leave()
    assert owner.exits == 0
    owner.thread.run(asyncio.sleep(0))
    leave()
    assert owner.exits == 1
    owner.thread.stop()
    leave()
    assert owner.exits == 1
    del owner
    leave()


def test_thread_ends_when_nobody_has_it_any_more() -> None:
    owner = _Owner()
    owner.thread.run(asyncio.sleep(0))
    thread, loop = owner.thread._thread, owner.thread._loop
    assert thread is not None
    assert loop is not None
    del owner
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()
    assert loop.is_closed()
    again = _Owner()
    again.thread.run(asyncio.sleep(0))
    again.thread._loop, running = loop, again.thread._loop  # closed already, by whomever
    del again.thread
    assert running is not None
    running.call_soon_threadsafe(running.stop)


def test_thread_with_a_time_limit() -> None:
    owner = _Owner()
    with pytest.raises(TimeoutError):
        owner.thread.run(asyncio.sleep(60), 0.02)
    owner.thread.stop()


def test_its_own_thread_can_not_wait_for_itself() -> None:
    owner = _Owner()

    async def inside() -> None:
        with pytest.raises(LocalProtocolError, match="own event loop"):
            owner.thread.run(asyncio.sleep(0))

    owner.thread.run(inside())
    owner.thread.stop()


def test_a_child_process_has_a_thread_of_its_own() -> None:
    owner = _Owner()
    owner.thread.run(asyncio.sleep(0))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if owner.thread.run(asyncio.sleep(0, 7), 10) == 7 else 2
            owner.thread.stop()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert owner.thread.run(asyncio.sleep(0, 8)) == 8
    owner.thread._process += 1  # as in a child that never used it
    owner.thread.stop()
    owner.thread._process -= 1
    assert owner.thread.run(asyncio.sleep(0, 9)) == 9
    thread, loop = owner.thread._thread, owner.thread._loop
    owner.thread._process += 1
    assert owner.thread.run(asyncio.sleep(0, 10)) == 10  # the old loop is left alone
    assert owner.thread._loop is not loop
    owner.thread.stop()
    assert loop is not None
    assert thread is not None
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
