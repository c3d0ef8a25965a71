"""Live, ready, and why not."""

import asyncio
import contextlib
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from smtpx.protocol.limits import ServerLimits
from smtpx.server import listener
from smtpx.server.health import Health
from smtpx.server.listener import Server
from smtpx.server.maildir import Maildir
from smtpx.server.run import ServerThread
from smtpx.server.session import Session
from smtpx.server.settings import Deadlines
from smtpx.server.threads import BlockingSession, ThreadPool, in_threads
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply
from tests.server.rig import EHLO, MAIL, RawClient, eventually, running


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
        server._guard.load.hold(949)
        assert (server.health().held_bytes, server.health().is_ready) == (949, True)
        server._guard.load.hold(1)
        assert server.health().problems == ("the memory for messages that wait for their sessions is full",)
        server._guard.load.hold(-950)
        assert server.health().is_ready


async def test_section_11_more_than_eight_abandoned_threads_are_not_healthy() -> None:
    opened = threading.Event()
    pool = ThreadPool(16)

    class Hanging(BlockingSession):
        def mail(self, sender: Mailbox, params: Params) -> None:
            opened.wait(20)

    options: dict[str, Any] = {"deadlines": Deadlines(handler=0.1), "checks": [pool.problem]}
    async with running(in_threads(Hanging, pool=pool), **options) as server:
        clients = [await RawClient.open(server) for _ in range(9)]
        for number, client in enumerate(clients, 1):
            assert await client.say(EHLO + MAIL, 2) == ["250", "451 4.3.0"]
            assert server.health().is_ready is (number <= 8)
        assert server.health().problems == ("9 blocking calls were abandoned and go on",)
        opened.set()
        await eventually(lambda: server.health().is_ready)
        for client in clients:
            client.sock.close()


async def test_a_store_that_can_not_be_written_to(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path)
    async with running(checks=[maildir.problem]) as server:
        assert server.health().is_ready
        maildir.is_healthy = False
        assert server.health().problems == (f"the Maildir {tmp_path} could not be written to",)


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
