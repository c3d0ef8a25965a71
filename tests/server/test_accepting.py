"""Who is let in, who is refused, and whom a balancer speaks for."""

import asyncio
import errno
import logging
import os
import resource
import socket
from pathlib import Path
from typing import Any, ClassVar

import pytest

from smtpx.protocol.limits import ServerLimits
from smtpx.server import listener as listener_module
from smtpx.server.accepting import _Admission
from smtpx.server.listener import Listener, Server
from smtpx.server.observer import ServerObserver
from smtpx.server.session import Session
from smtpx.server.settings import Deadlines
from tests.server.rig import (
    OPEN,
    RawClient,
    eventually,
    exchange,
    faulty,
    fresh_server_tls,
    recorders,
    running,
)

PROXY = b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 25\r\n"


async def test_s01_h085_accept_errors(caplog: pytest.LogCaptureFixture) -> None:
    """Temporary ones are logged once and survived, each time with a longer pause."""
    sock = faulty(errno.EMFILE, errno.ENFILE, errno.ECONNABORTED, errno.ENOBUFS)
    async with running(Session, listeners=[Listener(sock=sock)]) as server, await RawClient.open(server) as client:
        await exchange(client)
        assert sock.faults == []
    lines = [record for record in caplog.records if "can't accept connections" in record.getMessage()]
    assert len(lines) == 1
    assert lines[0].levelno == logging.WARNING


async def test_s01_an_accept_error_that_stays(caplog: pytest.LogCaptureFixture) -> None:
    sock = faulty(errno.EMFILE, errno.EBADF)
    async with running(Session, listeners=[Listener(sock=sock)]) as server:
        serving = asyncio.create_task(server.serve_forever())
        with socket.create_connection(("127.0.0.1", server.port)), pytest.raises(OSError, match="Bad file descriptor"):
            await serving
        with pytest.raises(OSError, match="Bad file descriptor"):
            await server.serve_forever()


async def test_pauses_between_accept_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await real(0)

    sock = faulty(*[errno.EMFILE] * 10)
    monkeypatch.setattr(listener_module.asyncio, "sleep", sleep)
    async with running(Session, listeners=[Listener(sock=sock)]) as server:
        with socket.create_connection(("127.0.0.1", server.port)):
            while sock.faults or server.connections != 1:
                await real(0.001)
    monkeypatch.undo()
    assert pauses[:10] == [0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0]


async def test_out_of_file_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with running(Session) as server:
        hoard: list[int] = []
        spare = socket.socket()
        highest = spare.fileno()
        spare.close()
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 10, hard))
            waiting = socket.socket()
            while True:
                try:
                    hoard.append(os.dup(waiting.fileno()))
                except OSError:
                    break
            waiting.setblocking(False)
            await asyncio.get_running_loop().sock_connect(waiting, ("127.0.0.1", server.port))
            await asyncio.sleep(0.1)
            assert server.connections == 0
        finally:
            for each in hoard:
                os.close(each)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await eventually(lambda: server.connections == 1)
        waiting.close()


async def test_many_at_once() -> None:
    async with running(Session) as server:
        socks = await asyncio.to_thread(
            lambda: [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
        )
        await eventually(lambda: server.connections == 200)
        for sock in socks:
            sock.close()
        await eventually(lambda: server.connections == 0)


async def test_a_session_that_can_not_be_made(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Session):
        def __init__(self) -> None:
            raise RuntimeError("no database")

    async with running(Broken) as server, await RawClient.open(server, greeting=False) as client:
        assert await client.codes(1) == ["421 4.3.0"]
        await client.closed()
    assert "can't serve a connection" in caplog.text
    assert "no database" in caplog.text


async def test_a_refused_connection_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "smtpx.server")
    nobody = ServerLimits(max_connections=0)
    async with running(Session, limits=nobody) as server, await RawClient.open(server, greeting=False) as client:
        assert await client.codes(1) == ["421 4.3.2"]
    assert any(line.startswith("refused 127.0.0.1:") for line in caplog.messages)


async def test_refused_under_implicit_tls_without_a_word() -> None:
    nobody = ServerLimits(max_connections=0)
    listeners = [Listener(port=0, tls=fresh_server_tls(), implicit_tls=True)]
    async with (
        running(Session, limits=nobody, listeners=listeners) as server,
        await RawClient.open(server, greeting=False) as client,
    ):
        await client.closed()


async def test_lost_while_it_is_attached(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The loop fails when the connection was made and lost already: it is counted out once."""
    async with running(Session) as server:
        loop = asyncio.get_running_loop()
        connect = loop.connect_accepted_socket

        async def failing(*args: Any) -> Any:  # noqa: ANN401
            transport, _ = await connect(*args)
            transport.abort()
            await eventually(lambda: server.connections == 0)
            raise OSError(errno.EIO, "no more of this")

        async with await RawClient.open(server) as client:
            monkeypatch.setattr(loop, "connect_accepted_socket", failing)
            other = await RawClient.open(server, greeting=False)
            client.sock.close()
            while await other.receive():
                pass
            await eventually(lambda: "can't serve a connection" in caplog.text)
            other.sock.close()
        assert server._guard.connections == 0


async def test_accepted_just_before_it_was_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a client is greeted, and told."""
    async with running(Session) as server:
        loop = asyncio.get_running_loop()
        begun, connect = asyncio.Event(), loop.connect_accepted_socket

        async def late(*args: Any) -> Any:  # noqa: ANN401
            begun.set()
            await eventually(lambda: not server.addresses)
            return await connect(*args)

        monkeypatch.setattr(loop, "connect_accepted_socket", late)
        async with await RawClient.open(server, greeting=False) as client:
            await begun.wait()
            draining = asyncio.create_task(server.drain(5))
            assert (await client.codes(2)) == ["220", "421 4.3.2"]
            client.sock.close()
            await draining


async def proxied(server: Server, *pieces: bytes) -> RawClient:
    """A client that has sent this, piece by piece."""
    client = await RawClient.open(server, greeting=False)
    for piece in pieces:
        await client.send_raw(piece)
        await asyncio.sleep(0.01)
    return client


@pytest.mark.parametrize("pieces", [(PROXY,), (PROXY[:9], PROXY[9:]), (b"PROXY UNKNOWN\r\n",)])
async def test_h093_the_client_behind_a_proxy(pieces: tuple[bytes, ...]) -> None:
    kind, made = recorders()
    async with running(kind, proxy_protocol=True) as server, await proxied(server, *pieces) as client:
        assert await client.codes(1) == ["220"]
        assert made[0].peer.address == ("192.0.2.1" if PROXY in b"".join(pieces) else "127.0.0.1")


@pytest.mark.parametrize("greeting_delay", [0.0, 60.0])
async def test_h093_what_comes_with_the_header_is_read(greeting_delay: float) -> None:
    async with (
        running(Session, proxy_protocol=True, greeting_delay=greeting_delay) as server,
        await proxied(server, PROXY + b"EHLO x\r\nQUIT\r\n") as client,
    ):
        assert await client.codes(3) == ["220", "250", "221 2.0.0"]


@pytest.mark.parametrize("octets", [b"EHLO x\r\n", PROXY[:9], b""])
async def test_h093_no_header_in_time_no_greeting(octets: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "smtpx.server")
    deadlines = Deadlines(proxy_header=0.05)
    async with (
        running(Session, proxy_protocol=True, deadlines=deadlines) as server,
        await proxied(server, octets) as client,
    ):
        if octets == PROXY[:9]:
            client.finish()
        await client.closed()
    assert any(line.startswith("closed 127.0.0.1:") for line in caplog.messages)


async def test_h093_who_is_not_trusted_is_closed() -> None:
    async with (
        running(Session, proxy_protocol=True, proxy_trusted=()) as server,
        await proxied(server) as client,
    ):
        await client.closed()


async def test_h093_limits_count_the_client() -> None:
    limits = ServerLimits(max_connections_per_ip=1)
    async with running(Session, proxy_protocol=True, limits=limits) as server:
        async with await proxied(server, PROXY) as first, await proxied(server, PROXY) as second:
            assert await first.codes(1) == ["220"]
            assert await second.codes(1) == ["421 4.7.0"]
        await eventually(lambda: server.connections == 0)


async def test_h093_a_header_that_is_not_waited_for() -> None:
    """Who ends the reading of it ends the connection."""
    async with running(Session, proxy_protocol=True) as server, await proxied(server) as client:
        await eventually(lambda: bool(server._house.attaching))
        for task in server._house.attaching:
            task.cancel()
        await client.closed()


async def test_descriptors_that_are_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "descriptor_limit", lambda: 10)
    async with running(Session) as server, await RawClient.open(server, greeting=False) as client:
        assert await client.codes(1) == ["421 4.3.2"]


@pytest.mark.parametrize("heard", [False, True])
async def test_h085_a_balancer_that_looks_and_goes(heard: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "smtpx.server")
    async with running(Session, proxy_protocol=True) as server:
        for vanish in (RawClient.finish, RawClient.reset):
            client = await RawClient.open(server, greeting=False)
            await client.send_raw(PROXY[:5] if heard else b"")
            await asyncio.sleep(0.02)
            vanish(client)
            await eventually(lambda: server._guard.connections == 0)
            client.sock.close()
    assert len(caplog.messages) == (2 if heard else 0)


async def test_paused_it_is_bound_but_takes_nobody(tmp_path: Path) -> None:
    kind, made = recorders()
    listeners = [Listener(port=0), Listener(port=0, tls=fresh_server_tls(), implicit_tls=True)]
    async with running(kind, listeners=listeners) as server:
        plain, implicit = (int(url.rpartition(":")[2]) for url in server.addresses)
        async with await RawClient.open(plain) as old:
            server.pause()
            server.pause()
            assert server.is_paused
            async with await RawClient.open(plain, greeting=False) as client:
                assert await client.codes(1) == ["421 4.3.2"]
                await client.closed()
            async with await RawClient.open(implicit, greeting=False) as client:
                await client.closed()  # no word in clear where TLS is expected
            assert (await old.say(OPEN, 4))[-1] == "354"
            assert await old.say("x\r\n.\r\n") == ["250 2.0.0"]
            server.resume()
            assert not server.is_paused
            async with await RawClient.open(plain) as client:
                await client.probe()
    assert len(made) == 2  # nobody was made a session for nothing


async def test_a_refusal_is_told_and_a_place_is_given_back_once() -> None:
    class Watching(ServerObserver):
        refused: ClassVar[list[tuple[str, str]]] = []

        def connection_refused(self, address: str, reason: str) -> None:
            self.refused.append((address, reason))

    async with running(Session, observer=Watching()) as server:
        server.pause()
        async with await RawClient.open(server, greeting=False) as client:
            assert await client.codes(1) == ["421 4.3.2"]
        admission = _Admission(server._house, "192.0.2.1")
        assert server._guard.admit("192.0.2.1", now=0) is None
        admission.release()
        admission.release()
        assert server._guard.connections == 0
        assert admission.move("192.0.2.2") is None
        admission.release()
    assert Watching.refused == [("127.0.0.1", "paused")]
