"""An event loop in a thread of its own."""

import asyncio
import gc
import os
import threading

import pytest

from smtpx.errors import ConnectionLost, LocalProtocolError
from smtpx.mailer import loop_thread
from smtpx.mailer.loop_thread import LoopThread
from smtpx.mailer.provider import is_unknown


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
    thread, loop = owner.thread._thread, owner.thread._loop
    owner.thread.begin_anew()  # as in a child
    owner.thread.begin_anew()  # and its child, which never used it
    owner.thread._leave()
    assert owner.exits == 0
    assert owner.thread.run(asyncio.sleep(0, 10)) == 10  # the old loop is left alone
    assert owner.thread._loop is not loop
    owner.thread.stop()
    assert loop is not None
    assert thread is not None
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def test_its_own_thread_can_not_stop_it() -> None:
    owner = _Owner()

    async def inside() -> None:
        with pytest.raises(LocalProtocolError, match="own event loop"):
            owner.thread.stop()

    owner.thread.run(inside())
    assert owner.thread.is_running
    owner.thread.stop()


def test_without_a_thread_there_is_an_error_and_no_hanging(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = _Owner()

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        for _ in range(2):
            with pytest.raises(LocalProtocolError, match="can't start new thread"):
                owner.thread.run(asyncio.sleep(0))
    assert not owner.thread.is_running
    assert owner.thread.run(asyncio.sleep(0, "a")) == "a"
    owner.thread.stop()


def test_whoever_waits_while_it_is_stopped_gets_an_error_of_ours() -> None:
    owner = _Owner()
    errors: list[BaseException] = []
    begun = threading.Event()

    async def work() -> None:
        begun.set()
        await asyncio.sleep(60)

    def wait() -> None:
        try:
            owner.thread.run(work())
        except BaseException as error:
            errors.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    begun.wait()
    owner.thread.stop()
    waiting.join(5)
    assert [type(each) for each in errors] == [ConnectionLost]
    assert is_unknown(errors[0])


def test_what_ignores_the_end_does_not_keep_whoever_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_thread, "_STOP_SECONDS", 0.05)
    owner = _Owner()
    begun, end = threading.Event(), threading.Event()

    async def stubborn() -> None:
        begun.set()
        end.wait()

    owner.thread.submit(stubborn())
    begun.wait()
    thread = owner.thread._thread
    assert thread is not None
    owner.thread.stop()
    assert thread.is_alive()
    end.set()
    thread.join(5)
    assert not thread.is_alive()


def test_many_threads_start_and_stop_it() -> None:
    owner = _Owner()
    results: list[object] = []

    def use() -> None:
        for number in range(50):
            try:
                results.append(owner.thread.run(asyncio.sleep(0, number)))
            except ConnectionLost as error:
                results.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for each in threads:
        each.start()
    for _ in range(50):
        owner.thread.stop()
    for each in threads:
        each.join(20)
    assert not any(each.is_alive() for each in threads)
    assert len(results) == 200
    owner.thread.stop()
