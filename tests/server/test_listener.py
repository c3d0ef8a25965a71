"""Sockets that listen, connections that are accepted or refused, and a server's beginning and end."""

import asyncio
import errno
import os
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from smtpx.errors import ConfigurationError
from smtpx.net.tls import server_tls
from smtpx.protocol.dialect import LMTP
from smtpx.protocol.limits import ServerLimits
from smtpx.server import listener as listener_module
from smtpx.server.crowd import Crowd
from smtpx.server.exposure import Exposure
from smtpx.server.listener import Listener, Server
from smtpx.server.session import Session
from tests.server.rig import (
    EHLO,
    OPEN,
    RawClient,
    certificate,
    eventually,
    exchange,
    faulty,
    fresh_server_tls,
    nothing_left,
    recorders,
    running,
)

# Where it listens ----------------------------------------------------------------------------------------------------


async def test_p15_the_port_is_the_bound_one() -> None:
    async with running(Session) as server:
        assert server.port > 0
        assert server.addresses == [f"smtp://127.0.0.1:{server.port}"]


async def test_before_and_behind_its_life() -> None:
    server = Server(Session, port=0)
    assert server.addresses == []
    with pytest.raises(ConfigurationError, match="listens on no TCP port"):
        _ = server.port
    await server.close()
    await server.drain()


@pytest.mark.parametrize("host", ["::1", None])
async def test_ipv6_and_both_families_on_one_port(host: str | None) -> None:
    async with running(Session, host=host) as server:
        ports = {url.rpartition(":")[2] for url in server.addresses}
        assert len(ports) == 1
        for address in {"::1": ["::1"]}.get(str(host), ["127.0.0.1", "::1"]):
            async with await RawClient.open(server, host=address) as client:
                await exchange(client)


@pytest.mark.parametrize("as_given", [str, Path])
async def test_a_unix_socket(tmp_path: Path, as_given: type[str] | type[Path]) -> None:
    path = str(tmp_path / "lmtp.sock")
    kind, made = recorders()
    async with running(kind, unix=as_given(path), dialect=LMTP) as server:
        assert server.addresses == [f"lmtp+unix://{path}"]
        assert [each.place for each in server.exposures] == [path]
        with pytest.raises(ConfigurationError):
            _ = server.port
        async with await RawClient.open(path) as client:
            await client.say("LHLO client.example\r\n" + OPEN.removeprefix(EHLO), 4)
            assert await client.say("x\r\n.\r\n") == ["250 2.0.0"]
            peer = made[0].peer
            assert (peer.address, peer.port, peer.is_local) == ("unix", 0, True)
    assert os.listdir(tmp_path) == []


async def test_several_listeners(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    listeners = [
        Listener(port=0),
        Listener(port=0, tls=fresh_server_tls()),
        Listener(port=0, tls=fresh_server_tls(), implicit_tls=True),
        Listener(unix=path),
    ]
    async with running(Session, listeners=listeners) as server:
        plain, starttls, implicit, unix = server.addresses
        assert plain == f"smtp://127.0.0.1:{server.port}"
        assert implicit.startswith("smtps://127.0.0.1:")
        assert unix == f"smtp+unix://{path}"
        for url, offers in ((plain, False), (starttls, True)):
            async with await RawClient.open(int(url.rpartition(":")[2])) as client:
                await client.send(EHLO)
                assert ("STARTTLS" in (await client.reply()).lines) is offers
        async with await RawClient.open(int(implicit.rpartition(":")[2]), greeting=False) as client:
            await client.start_tls()
            assert await client.codes(1) == ["220"]


async def test_a_socket_of_one_s_own() -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    async with running(Session, listeners=[Listener(sock=sock)]) as server:
        assert server.port == sock.getsockname()[1]
        async with await RawClient.open(server) as client:
            await exchange(client)
    assert sock.fileno() == -1


async def test_an_address_that_is_taken() -> None:
    async with running(Session) as server:
        other = Server(Session, listeners=[Listener(port=0), Listener(port=server.port)])
        with pytest.raises(OSError, match=rf"can't listen on 127\.0\.0\.1:{server.port}") as caught:
            await other.start()
        assert caught.value.errno == errno.EADDRINUSE
        assert other.addresses == []
        await nothing_left(other, asyncio.all_tasks())


# A server's life -----------------------------------------------------------------------------------------------------


async def test_started_twice() -> None:
    async with running(Session) as server:
        with pytest.raises(ConfigurationError, match="listens already"):
            await server.start()


def test_started_again_in_another_loop() -> None:
    server = Server(Session, port=0)

    async def serve() -> None:
        async with server:
            serving = asyncio.create_task(server.serve_forever())
            async with await RawClient.open(server) as client:
                await exchange(client)
                await server.close()
                await serving
        await nothing_left(server, asyncio.all_tasks())

    for _ in range(2):
        asyncio.run(serve())


async def test_serve_forever_ends_with_drain_and_not_before() -> None:
    async with running(Session) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        serving = asyncio.create_task(server.serve_forever())
        draining = asyncio.create_task(server.drain(5))
        await asyncio.sleep(0.05)
        assert not serving.done()
        await client.say(".\r\n", 2)
        client.sock.close()
        await draining
        await serving


async def test_closed_in_the_very_moment_somebody_connects() -> None:
    kind, made = recorders()
    for turns in range(6):
        async with running(kind) as server:
            with socket.create_connection(("127.0.0.1", server.port)) as sock:
                for _ in range(turns):
                    await asyncio.sleep(0)
                await server.close()
                sock.settimeout(1)
    assert all(session.calls in ([], ["connect", "close"], ["close"]) for session in made)


async def test_drained_in_the_very_moment_somebody_connects() -> None:
    for turns in range(6):
        async with running(Session) as server:
            with socket.create_connection(("127.0.0.1", server.port)) as sock:
                for _ in range(turns):
                    await asyncio.sleep(0)
                draining = asyncio.create_task(server.drain(5))
                await asyncio.sleep(0.01)
                sock.close()
                await draining


async def test_closed_while_it_is_closed() -> None:
    async with running(Session) as server, await RawClient.open(server):
        await asyncio.gather(server.close(), server.close(), server.drain(1))


# Ending --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_deadline", [True, False])
async def test_a_hook_that_outlives_its_server(by_deadline: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait_a_little(crowd: Crowd, seconds: float) -> None:
        await asyncio.sleep(0.02)

    monkeypatch.setattr(listener_module, "_CLOSE_SECONDS", 0.05)
    if not by_deadline:  # Python 3.11 traces no lines behind a deadline that has passed
        monkeypatch.setattr(Crowd, "wait_until_empty", wait_a_little)
    over = asyncio.Event()

    class Immortal(Session):
        async def connect(self) -> None:
            while not over.is_set():
                try:
                    await over.wait()
                except asyncio.CancelledError:
                    continue

    async with running(Immortal) as server, await RawClient.open(server, greeting=False):
        await eventually(lambda: server.connections == 1)
        await server.close()
        assert server.connections == 0
        over.set()


async def test_drained_after_the_last_client_left() -> None:
    async with running(Session) as server:
        first, second = await RawClient.open(server), await RawClient.open(server)
        first.sock.close()
        await eventually(lambda: server.connections == 1)
        second.sock.close()
        await eventually(lambda: server.connections == 0)
        await server.drain()


# Settings ------------------------------------------------------------------------------------------------------------


async def test_p06_limits_are_those_of_each_connection() -> None:
    async with running(Session) as server:
        first, second = await RawClient.open(server), await RawClient.open(server)
        for _ in range(10):
            await first.say(EHLO)
        line = f"NOOP {'x' * 2042}\r\n"
        for client in (first, second):
            assert await client.say(line) == ["500 5.5.2"]
            assert await client.say("NOOP\r\n") == ["250 2.0.0"]
            client.sock.close()


async def test_timeout_is_the_deadline_for_commands() -> None:
    async with running(Session, timeout=0.2) as server, await RawClient.open(server) as client:
        assert await client.codes(1) == ["421 4.4.2"]


# Limits (more in test_server_limits.py) -----------------------------------------------------------------------------


def test_tickets_can_be_switched_off() -> None:
    plans = [Listener(tls=fresh_server_tls()), Listener()]
    Server(Session, listeners=plans)
    assert plans[0].tls is not None
    assert plans[0].tls.num_tickets > 0
    Server(Session, listeners=plans, session_tickets=False)
    assert plans[0].tls.num_tickets == 0


async def test_pressure_comes_and_goes_with_connections(caplog: pytest.LogCaptureFixture) -> None:
    async with (
        running(Session, limits=ServerLimits(max_connections=2)) as server,
        await RawClient.open(server) as first,
        await RawClient.open(server),
    ):
        assert server._guard.limits.hard_error_limit == 2
        assert await first.say("XYZZY\r\n" * 2, 2) == ["500 5.5.2", "421 4.7.0"]
    assert "under pressure: limits are tight" in caplog.messages


async def test_drained_while_it_is_paused() -> None:
    async with running() as server:
        server.pause()
        assert server.is_paused
        server.resume()
        assert not server.is_paused
        server.pause()
        await server.drain(0.1)


async def test_listening_that_comes_to_an_end_by_itself() -> None:
    sock = faulty(errno.EBADF)
    async with running(Session, listeners=[Listener(sock=sock)]) as server:
        with socket.create_connection(("127.0.0.1", server.port)), pytest.raises(OSError, match="Bad file descriptor"):
            await server.serve_forever()
        assert server.health().problems == ("not listening",)


def test_exposures_are_judged_before_anything_listens() -> None:
    class Strict:
        def __call__(self) -> Session:
            return Session()

        def check_exposure(self, exposures: Sequence[Exposure]) -> None:
            raise ConfigurationError(f"{len(exposures)} too many")

    with pytest.raises(ConfigurationError, match="2 too many"):
        Server(Strict(), listeners=[Listener(), Listener()])


# Certificates ---------------------------------------------------------------------------------------------------------


async def test_certificates_are_reloaded_when_asked_and_when_files_change(tmp_path: Path) -> None:
    path = tmp_path / "both.pem"
    certificate().private_key_and_cert_chain_pem.write_to_path(str(path))
    async with running(tls=server_tls(path), tls_watch_seconds=0.01) as server:
        end = server.certificates.not_after
        assert end is not None
        path.write_text("garbage")
        with pytest.raises(ConfigurationError):
            server.reload_tls()
        assert (server.certificates.not_after, server.certificates.error is None) == (end, False)
        certificate().private_key_and_cert_chain_pem.write_to_path(str(path))
        await eventually(lambda: server.certificates.error is None)
