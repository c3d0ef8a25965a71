"""Live, ready, and why not."""

import asyncio
import contextlib
import threading
import time
from collections import deque
from functools import partial
from pathlib import Path

import pytest

from smtpx.protocol.limits import ServerLimits
from smtpx.server import listener
from smtpx.server.health import Health, problems_of
from smtpx.server.listener import Server
from smtpx.server.maildir import Maildir, MaildirSession
from smtpx.server.middleware import Stack
from smtpx.server.run import ServerThread
from smtpx.server.session import Session
from smtpx.server.settings import Deadlines
from smtpx.server.threads import BlockingSession, ThreadPool, in_threads
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply
from tests.server.rig import EHLO, FAST, MAIL, RawClient, eventually, running


async def test_a_server_that_listens_is_ready() -> None:
    server = Server(Session, port=0)
    assert not server.health().is_ready
    async with server, await RawClient.open(server) as client:
        await client.say("EHLO x\r\n")
        assert server.health() == Health(is_live=True, connections=1, stuck=0, problems=())
        assert server.health().is_ready
    assert server.health().problems == ("not listening",)


async def test_methods_that_ignore_their_cancel_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "MAX_STUCK", 0)
    release = asyncio.Event()

    class Stubborn(Session):
        async def hello(self, verb: str, name: str) -> Reply | None:
            while not release.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await release.wait()
            return None

    async with (
        running(Stubborn, deadlines=Deadlines(handler=0.05)) as server,
        await RawClient.open(server) as client,
    ):
        await client.send("EHLO x\r\n")
        await eventually(lambda: server.health().stuck == 1)
        assert server.health().problems == ("1 methods of sessions ignore that they were cancelled",)
        assert not server.health().is_ready
        release.set()
        await client.reply()
        assert server.health().is_ready


async def test_memory_for_messages_that_is_full() -> None:
    server = Server(Session, port=0, limits=ServerLimits(spool_total_memory_bytes=1000))
    async with server:
        server._guard.load.hold(950)
        assert (server.health().held_bytes, server.health().is_ready) == (950, True)
        server._guard.load.hold(1)
        assert server.health().problems == ("messages that wait for their sessions fill spool_total_memory_bytes",)
        server._guard.load.hold(-951)
        assert server.health().is_ready


async def test_section_11_more_than_eight_abandoned_threads_are_not_healthy() -> None:
    opened = threading.Event()
    pool = ThreadPool(16)

    class Hanging(BlockingSession):
        def mail(self, sender: Mailbox, params: Params) -> None:
            opened.wait(20)

    async with running(in_threads(Hanging, pool=pool), deadlines=Deadlines(handler=0.1)) as server:
        clients = [await RawClient.open(server) for _ in range(9)]
        for number, client in enumerate(clients, 1):
            assert await client.say(EHLO + MAIL, 2) == ["250", "451 4.3.0"]
            assert server.health().is_ready is (number <= 8)
        assert server.health().problems == ("9 blocking calls go on that nobody waits for",)
        opened.set()
        await eventually(lambda: server.health().is_ready)
        for client in clients:
            client.sock.close()


def test_asked_from_another_thread() -> None:
    thread = ServerThread(Session, port=0)
    assert thread.health().problems == ("not running",)
    with thread:
        assert thread.health().is_ready
        loop = thread._loop
        assert loop is not None
        loop.call_soon_threadsafe(time.sleep, 0.3)  # somebody blocks the loop
        assert thread.health(0.05).problems == ("the event loop did not answer in 0.05 s",)
        assert not thread.health(0.01).is_live
        assert thread.health(5).is_live
    assert not thread.health().is_live


def test_a_loop_that_ended_by_itself() -> None:
    with ServerThread(Session, port=0) as thread:
        loop, stop = thread._loop, thread._stop
        assert loop is not None
        assert stop is not None
        loop.call_soon_threadsafe(stop.set)
        assert thread._thread is not None
        thread._thread.join()
        assert not thread.health().is_live


# What a server is made of ---------------------------------------------------------------------------------------------


class Ill:
    """A store, a middleware's maker, whatever there may be."""

    def __init__(self, *problems: str) -> None:
        self.problems = list(problems)

    def __call__(self, inner: Session) -> Session:
        return inner

    def health_problems(self) -> list[str]:
        if not self.problems:
            raise OSError("the disk said \x1b")
        return self.problems


def anything(*args: object, **options: object) -> Session:
    return Session()


def test_what_can_not_tell_is_a_problem(caplog: pytest.LogCaptureFixture) -> None:
    assert problems_of(Ill()) == ["Ill can't tell how it is"]
    assert "health_problems of Ill raised" in caplog.text
    assert problems_of(Session) == []
    assert problems_of(partial(anything, Ill("a"), x=Ill("b"))) == ["a", "b"]


async def test_stacks_stores_and_pools_are_asked(tmp_path: Path) -> None:
    store, pool = Maildir(tmp_path / "m"), ThreadPool(max_abandoned=0)
    sessions = Stack(partial(MaildirSession, store, "x"), Ill("greylist is lost"))
    async with running(sessions) as server:
        assert server.health().problems == ("greylist is lost",)
        store.is_healthy = False
        assert server.health().problems == ("greylist is lost", f"the Maildir {tmp_path}/m can't be written to")
        await asyncio.to_thread(store.check)
        assert server.health().problems == ("greylist is lost",)
    async with running(in_threads(BlockingSession, pool=pool)) as server:
        assert server.health().is_ready
        release = threading.Event()
        call = asyncio.ensure_future(pool.run(release.wait))
        await eventually(lambda: pool._waiting == deque() and pool._threads == 1)
        call.cancel()
        await eventually(lambda: not server.health().is_ready)
        assert server.health().problems == ("1 blocking calls go on that nobody waits for",)
        release.set()
        await eventually(lambda: server.health().is_ready)


async def test_full_memory_and_pauses() -> None:
    async with running(Session) as server:
        server._guard.load.hold(FAST.spool_total_memory_bytes)
        assert server.health().problems == ("messages that wait for their sessions fill spool_total_memory_bytes",)
        server._guard.load.hold(-FAST.spool_total_memory_bytes)
        server.pause()
        assert server.health().problems == ("paused",)
        server.resume()
        assert server.health().is_ready
