"""A server without an event loop of one's own."""

import asyncio
import contextlib
import errno
import logging
import os
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from smtpx.errors import ConfigurationError
from smtpx.net.tls import server_tls
from smtpx.server.listener import Listener, Server
from smtpx.server.run import ServerThread, inherited_listeners, run_until_signal, serve
from smtpx.server.session import Session
from tests.server.rig import OPEN, RawClient, Recorder, eventually, nothing_left, recorders


def send_one(host: str, port: int) -> None:
    with smtplib.SMTP(host, port, local_hostname="client.example") as client:
        client.sendmail("a@client.example", ["b@server.example"], b"Subject: x\r\n\r\nbody\r\n")


# In a thread ---------------------------------------------------------------------------------------------------------


def test_in_a_thread() -> None:
    kind, made = recorders()
    with ServerThread(kind, port=0) as server:
        assert server.url == f"smtp://127.0.0.1:{server.port}"
        send_one("127.0.0.1", server.port)
    assert made[0].messages[0].content == b"Subject: x\r\n\r\nbody\r\n"
    server.stop()
    assert not any(thread.name == "smtpx-server" for thread in threading.enumerate())


def test_in_a_thread_again() -> None:
    server = ServerThread(Session, port=0)
    for _ in range(2):
        server.start()
        with pytest.raises(ConfigurationError, match="running already"):
            server.start()
        send_one("127.0.0.1", server.port)
        server.stop()


def test_in_a_thread_on_a_unix_socket(tmp_path: Path) -> None:
    with ServerThread(Session, unix=str(tmp_path / "sock")) as server:
        assert server.url == f"smtp+unix://{tmp_path / 'sock'}"
        assert server.port == 0


def test_a_thread_drains_what_is_under_way() -> None:
    kind, made = recorders()
    server = ServerThread(kind, port=0)
    server.start()
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        file = sock.makefile("rb")
        sock.sendall(OPEN.replace("DATA\r\n", "").encode())
        while b"250 2.1.5" not in file.readline():
            pass
        sock.sendall(b"DATA\r\n")
        assert file.readline().startswith(b"354")
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        sock.sendall(b"x\r\n.\r\n")
        assert file.readline().startswith(b"250")
        assert file.readline().startswith(b"421 4.3.2")
        sock.close()
        file.close()
        stopping.join()
    assert len(made[0].messages) == 1


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"implicit_tls": True}, ConfigurationError),
        ({"host": "192.0.2.1", "port": 0}, OSError),
        ({"nonsense": 1}, TypeError),
    ],
)
def test_a_thread_that_can_not_start(options: dict[str, Any], error: type[Exception]) -> None:
    server = ServerThread(Session, **options)
    for _ in range(2):
        with pytest.raises(error):
            server.start()
    server.stop()


def test_a_thread_whose_server_dies() -> None:
    class Dying(socket.socket):
        def accept(self) -> Any:  # noqa: ANN401
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    sock = Dying()
    sock.bind(("127.0.0.1", 0))
    server = ServerThread(Session, listeners=[Listener(sock=sock)])
    server.start()
    thread = server._thread
    assert thread is not None
    thread.join(5)
    with pytest.raises(OSError, match="Bad file descriptor"):
        server.stop()
    server.stop()


def test_stopped_by_somebody_else_while_it_fails_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no loop yet, and never will be: nobody hangs, and somebody is told."""

    class Counting(threading.Event):
        waiting = 0

        def wait(self, timeout: float | None = None) -> bool:
            self.waiting += 1
            return super().wait(timeout)

    server = ServerThread(Session, port=0)
    server._started = started = Counting()
    errors: list[OSError] = []

    def call(method: Callable[[], None]) -> None:
        try:
            method()
        except OSError as error:
            errors.append(error)

    stopping = threading.Thread(target=call, args=(server.stop,))

    def no_loop(main: Coroutine[Any, Any, None]) -> None:
        main.close()
        stopping.start()
        while started.waiting < 2:
            threading.Event().wait(0.001)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(asyncio, "run", no_loop)
    call(server.start)
    stopping.join(5)
    assert not stopping.is_alive()
    assert errors
    server.stop()


# Until a signal comes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains(number: signal.Signals) -> None:
    kind, made = recorders()
    server = Server(kind, port=0)
    ready: list[Server] = []
    running = asyncio.create_task(run_until_signal(server, ready=ready.append))
    await eventually(lambda: ready == [server])
    async with await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        os.kill(os.getpid(), number)
        await client.silence(0.05)
        await client.send("x\r\n.\r\n")
        assert await client.codes(2) == ["250 2.0.0", "421 4.3.2"]
    await running
    assert len(made[0].messages) == 1
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)
    await nothing_left(server, asyncio.all_tasks())


async def test_a_second_signal_ends_it_at_once() -> None:
    server = Server(Recorder, port=0)
    running = asyncio.create_task(run_until_signal(server))
    await eventually(lambda: bool(server.addresses))
    async with await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        os.kill(os.getpid(), signal.SIGTERM)
        await client.silence(0.05)
        assert not running.done()
        os.kill(os.getpid(), signal.SIGTERM)
        assert await client.codes(1) == ["421 4.3.2"]
        async with asyncio.timeout(2):
            await running
    await nothing_left(server, asyncio.all_tasks())


async def test_who_never_ends_its_message_is_not_waited_for() -> None:
    kind, made = recorders()
    server = Server(kind, port=0)
    running = asyncio.create_task(run_until_signal(server, drain_seconds=0.2))
    await eventually(lambda: bool(server.addresses))
    async with await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await client.codes(1) == ["421 4.3.2"]
        await client.closed()
        await running
    assert made[0].messages == []
    await nothing_left(server, asyncio.all_tasks())


async def test_drained_without_a_signal() -> None:
    server = Server(Session, port=0)
    running = asyncio.create_task(run_until_signal(server))
    await eventually(lambda: bool(server.addresses))
    await server.drain()
    await running


async def test_where_there_are_no_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_here(*args: object) -> None:
        raise NotImplementedError

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "add_signal_handler", not_here)
    monkeypatch.setattr(loop, "remove_signal_handler", not_here)
    server = Server(Session, port=0)
    running = asyncio.create_task(run_until_signal(server))
    await eventually(lambda: bool(server.addresses))
    await server.close()
    await running


def test_an_error_while_listening_is_raised() -> None:
    class Dying(socket.socket):
        def accept(self) -> Any:  # noqa: ANN401
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    sock = Dying()
    sock.bind(("127.0.0.1", 0))

    server = Server(Session, listeners=[Listener(sock=sock)])
    with pytest.raises(OSError, match="Bad file descriptor"):
        asyncio.run(run_until_signal(server))


def test_serve_blocks_until_sigterm() -> None:
    script = """
        import smtpx

        class Ready(smtpx.Session):
            async def connect(self):
                print("connected", flush=True)

        print("up", flush=True)
        smtpx.serve(Ready, port=PORT)
        print("down", flush=True)
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    code = textwrap.dedent(script).replace("PORT", str(port))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        for _ in range(500):
            try:
                with socket.create_connection(("127.0.0.1", port)):
                    break
            except ConnectionRefusedError:
                threading.Event().wait(0.01)
        assert child.stdout.readline() == "connected\n"
        child.send_signal(signal.SIGTERM)
        assert child.stdout.read() == "down\n"
        assert child.wait() == 0


def test_serve_says_what_is_wrong() -> None:
    with pytest.raises(ConfigurationError):
        serve(Session, implicit_tls=True)
    with pytest.raises(OSError, match=r"192\.0\.2\.1"):
        serve(Session, host="192.0.2.1", port=0)


# A service manager ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Somebody to be told; gives what was said next."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield lambda: sock.recv(1000).decode().partition("\n")[0]


async def test_a_manager_is_told_of_every_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    leaf = trustme.CA().issue_cert("localhost")
    leaf.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    with manager(tmp_path, monkeypatch) as told:
        server = Server(Session, port=0, tls=server_tls(tmp_path / "both.pem"))
        running = asyncio.create_task(run_until_signal(server))
        assert await asyncio.to_thread(told) == "READY=1"
        (tmp_path / "both.pem").write_text("garbage")
        for word in ("not reloaded", "were reloaded"):
            caplog.clear()
            caplog.set_level(logging.INFO, "smtpx.server")
            os.kill(os.getpid(), signal.SIGHUP)
            assert await asyncio.to_thread(told) == "RELOADING=1"
            assert await asyncio.to_thread(told) == "READY=1"
            assert word in caplog.text
            leaf.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.to_thread(told) == "STOPPING=1"
        await running
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


async def test_nothing_to_reload(caplog: pytest.LogCaptureFixture) -> None:
    """SIGHUP does not end a server that has no certificates."""
    caplog.set_level(logging.INFO, "smtpx.server")
    server = Server(Session, port=0)
    running = asyncio.create_task(run_until_signal(server))
    await eventually(lambda: bool(server.addresses))
    os.kill(os.getpid(), signal.SIGHUP)
    await eventually(lambda: "no certificates to reload" in caplog.text)
    await server.drain()
    await running


async def test_where_there_is_no_sighup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smtpx.server.run._RELOAD", None)
    server = Server(Session, port=0)
    running = asyncio.create_task(run_until_signal(server))
    await eventually(lambda: bool(server.addresses))
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    await server.drain()
    await running


def hand_over(monkeypatch: pytest.MonkeyPatch, *sockets: socket.socket) -> None:
    """As if this process had been started with sockets."""
    copies = [sock.dup().detach() for sock in sockets]
    assert copies == list(range(copies[0], copies[0] + len(copies)))
    monkeypatch.setattr("smtpx.net.systemd._FIRST", copies[0])
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", str(len(copies)))


def test_listeners_on_sockets_that_were_handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert inherited_listeners() == []
    leaf = trustme.CA().issue_cert("localhost")
    leaf.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    context = server_tls(tmp_path / "both.pem")
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        hand_over(monkeypatch, one, other)
        found = inherited_listeners(context, implicit_tls=True)
        assert [each.sock.getsockname() for each in found if each.sock] == [one.getsockname(), other.getsockname()]
        assert found[0].tls is context
        assert found[1].tls not in (None, context)
        assert all(each.implicit_tls for each in found)
        for each in found:
            assert each.sock is not None
            each.sock.close()
        hand_over(monkeypatch, one, other)
        with pytest.raises(ConfigurationError, match="made by server_tls"):
            inherited_listeners(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        hand_over(monkeypatch, one)
        (alone,) = inherited_listeners()
        assert alone.sock is not None
        alone.sock.close()


SERVED = """
    import os, sys, smtpx
    os.dup2({number}, 3)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
    smtpx.serve(smtpx.Session{options})
"""


@pytest.mark.parametrize("options", ["", ", implicit_tls=False, proxy_protocol=False"])
def test_serve_on_a_socket_that_was_handed_over(options: str) -> None:
    """Who connects before the server runs is served, not refused."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        code = textwrap.dedent(SERVED).format(number=sock.fileno(), options=options)
        with (
            socket.create_connection(sock.getsockname()) as early,
            subprocess.Popen([sys.executable, "-c", code], pass_fds=[sock.fileno()]) as child,
        ):
            sock.close()
            early.settimeout(20)
            assert early.recv(1000).startswith(b"220 ")
            child.send_signal(signal.SIGTERM)
            assert early.recv(1000).startswith(b"421 4.3.2")
            assert child.wait() == 0


def test_serve_listens_where_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        hand_over(monkeypatch, sock)
        with pytest.raises(OSError, match=r"192\.0\.2\.1"):
            serve(Session, host="192.0.2.1", port=0)


def test_a_thread_is_paused_and_reloaded_from_outside(tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    leaf = trustme.CA().issue_cert("localhost")
    leaf.private_key_and_cert_chain_pem.write_to_path(str(both))
    server = ServerThread(Session, port=0, tls=server_tls(both))
    for call in (server.pause, server.resume, server.reload_tls):
        with pytest.raises(ConfigurationError, match="not running"):
            call()
    with server:
        server.pause()
        with pytest.raises(smtplib.SMTPConnectError) as refused:
            send_one("localhost", server.port)
        assert refused.value.smtp_code == 421
        server.resume()
        send_one("localhost", server.port)
        server.reload_tls()
        both.write_text("garbage")
        with pytest.raises(ConfigurationError, match="can't use certificate"):
            server.reload_tls()
        loop, stop = server._loop, server._stop
        assert loop is not None
        assert stop is not None
        loop.call_soon_threadsafe(stop.set)
        assert server._thread is not None
        server._thread.join()
        with pytest.raises(ConfigurationError, match="its event loop does not answer"):
            server.pause()
