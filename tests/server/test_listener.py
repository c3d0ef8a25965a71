"""Sockets that listen, connections that are accepted or refused, and a server's beginning and end."""

import asyncio
import errno
import functools
import logging
import os
import resource
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from smtpx.errors import ConfigurationError
from smtpx.net.tls import server_tls
from smtpx.protocol.dialect import LMTP
from smtpx.protocol.limits import ServerLimits
from smtpx.server import listener as listener_module
from smtpx.server.exposure import Exposure
from smtpx.server.listener import Listener, Server, host_name
from smtpx.server.session import Session
from smtpx.server.settings import Deadlines
from tests.server.rig import (
    EHLO,
    OPEN,
    RawClient,
    Recorder,
    certificate,
    eventually,
    fresh_server_tls,
    nothing_left,
    recorders,
    running,
)

PROXY = b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 25\r\n"


class Faulty(socket.socket):
    """A listening socket whose `accept` fails as often as it is told."""

    faults: list[int]

    def accept(self) -> tuple[socket.socket, Any]:
        if self.faults:
            number = self.faults.pop(0)
            raise OSError(number, os.strerror(number))
        return super().accept()


def faulty(*faults: int) -> Faulty:
    sock = Faulty()
    sock.bind(("127.0.0.1", 0))
    sock.faults = list(faults)
    return sock


async def exchange(client: RawClient) -> None:
    """See that the server works."""
    assert await client.say(EHLO + "NOOP\r\n", 2) == ["250", "250 2.0.0"]


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


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "lmtp.sock")
    kind, made = recorders()
    async with running(kind, unix=path, dialect=LMTP) as server:
        assert server.addresses == [f"lmtp+unix://{path}"]
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


# Accepting -----------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("by_deadline", [True, False])
async def test_a_hook_that_outlives_its_server(by_deadline: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait_a_little(server: Server, seconds: float) -> None:
        await asyncio.sleep(0.02)

    monkeypatch.setattr(listener_module, "_CLOSE_SECONDS", 0.05)
    if not by_deadline:  # Python 3.11 traces no lines behind a deadline that has passed
        monkeypatch.setattr(Server, "_wait_until_empty", wait_a_little)
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


async def test_drained_after_the_last_client_left() -> None:
    async with running(Session) as server:
        first, second = await RawClient.open(server), await RawClient.open(server)
        first.sock.close()
        await eventually(lambda: server.connections == 1)
        second.sock.close()
        await eventually(lambda: server.connections == 0)
        await server.drain()


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


# PROXY headers (more in test_proxied.py) -----------------------------------------------------------------------------


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
        await eventually(lambda: bool(server._attaching))
        for task in server._attaching:
            task.cancel()
        await client.closed()


# Settings ------------------------------------------------------------------------------------------------------------


class Authenticating(Session):
    async def authenticate(self, identity: Any) -> None:  # noqa: ANN401
        """Everybody is welcome."""


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"implicit_tls": True}, "implicit TLS needs a certificate"),
        ({"require_tls": True}, "require_tls without a certificate"),
        ({"require_auth": True}, "no method for any mechanism"),
        ({"listeners": [Listener(), Listener(implicit_tls=True)]}, "implicit TLS needs a certificate"),
    ],
)
def test_settings_that_contradict_each_other(options: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        Server(Session, **options)


@pytest.mark.parametrize(
    ("make", "offered"),
    [
        (Session, False),
        (Recorder, True),
        (Authenticating, True),
        (lambda: Authenticating(), True),
        (lambda: Session(), False),
        (functools.partial(Authenticating), True),
        (functools.partial(Session), False),
    ],
)
async def test_auth_is_offered_by_sessions_that_authenticate(make: Any, offered: bool) -> None:  # noqa: ANN401
    async with running(make, allow_insecure_auth=True) as server, await RawClient.open(server) as client:
        await client.send(EHLO)
        assert ("AUTH PLAIN LOGIN" in (await client.reply()).lines) is offered


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


def test_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "mx.example.org")
    assert host_name() == "mx.example.org"
    for odd in ("m\u00fcller", "two words"):
        monkeypatch.setattr(socket, "gethostname", lambda odd=odd: odd)
        assert host_name() == "localhost"


# Limits (more in test_server_limits.py) -----------------------------------------------------------------------------


def test_tickets_can_be_switched_off() -> None:
    plans = [Listener(tls=fresh_server_tls()), Listener()]
    Server(Session, listeners=plans)
    assert plans[0].tls is not None
    assert plans[0].tls.num_tickets > 0
    Server(Session, listeners=plans, session_tickets=False)
    assert plans[0].tls.num_tickets == 0


async def test_descriptors_that_are_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "descriptor_limit", lambda: 10)
    async with running(Session) as server, await RawClient.open(server, greeting=False) as client:
        assert await client.codes(1) == ["421 4.3.2"]


async def test_pressure_comes_and_goes_with_connections(caplog: pytest.LogCaptureFixture) -> None:
    async with (
        running(Session, limits=ServerLimits(max_connections=2)) as server,
        await RawClient.open(server) as first,
        await RawClient.open(server),
    ):
        assert server._guard.limits.hard_error_limit == 2
        assert await first.say("XYZZY\r\n" * 2, 2) == ["500 5.5.2", "421 4.7.0"]
    assert "under pressure: limits are tight" in caplog.messages


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


# Pause ---------------------------------------------------------------------------------------------------------------


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


async def test_drained_while_it_is_paused() -> None:
    async with running() as server:
        server.pause()
        await server.drain(0.1)


# Certificates and exposure -------------------------------------------------------------------------------------------


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


def test_one_context_for_two_listeners() -> None:
    shared = fresh_server_tls()
    with pytest.raises(ConfigurationError, match="share a TLS context"):
        Server(Session, listeners=[Listener(tls=shared), Listener(tls=shared)])


def test_what_strangers_see_is_shown_to_whoever_judges_it() -> None:
    class Judge:
        seen: Sequence[Exposure] = ()

        def __call__(self) -> Session:
            return Authenticating()

        def check_exposure(self, exposures: Sequence[Exposure]) -> None:
            self.seen = exposures

    listeners = [
        Listener(),
        Listener(host="0.0.0.0", tls=fresh_server_tls()),
        Listener(host="0.0.0.0", tls=fresh_server_tls(), implicit_tls=True),
    ]
    for clear in (False, True):
        judge = Judge()
        server = Server(judge, listeners=listeners, allow_insecure_auth=clear)
        assert judge.seen == server.exposures
        assert [each.is_public for each in judge.seen] == [False, True, True]
        assert all(each.has_auth for each in judge.seen)
        assert [each.has_clear_auth for each in judge.seen] == [clear, clear, False]
