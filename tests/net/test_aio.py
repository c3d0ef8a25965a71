"""The awaited stream over real sockets, on asyncio's own loop and on uvloop where it is installed."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn

import pytest

from smtpx.errors import ConfigurationError, ConnectError, ConnectionLost, DeadlineError, TLSError
from smtpx.net import aio
from smtpx.net.aio import AsyncStream, Wire, connect
from smtpx.net.targets import Target
from smtpx.net.tls import TLSLayer, client_context
from smtpx.protocol.facts import TLSFacts
from tests.client.conftest import Certificates, certificates_for

Test = Callable[[AsyncStream, socket.socket], Awaitable[None]]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates_for(tmp_path_factory.mktemp("ca"), "localhost")


def new_loop(kind: str) -> asyncio.AbstractEventLoop:
    if kind == "asyncio":
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = pytest.importorskip("uvloop").new_event_loop()
    return loop


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Test], None]:
    """Runs a test with a stream and the plain socket at its other end; no task may be left."""

    def run_one(test: Test) -> None:
        loop = new_loop(request.param)
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)

        async def main() -> None:
            stream = await connect(
                Target("localhost", 1), lambda: client_context(verify=False), 5, dialler=lambda *_: ours
            )
            try:
                await test(stream, theirs)
            finally:
                stream.close()
                await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        try:
            loop.run_until_complete(main())
        finally:
            loop.close()
            theirs.close()

    return run_one


def test_send_receive_poll(run: Callable[[Test], None]) -> None:
    async def test(stream: AsyncStream, theirs: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        seen: list[tuple[str, bytes]] = []
        stream.trace = lambda side, octets: seen.append((side, octets))
        assert stream.poll() is None
        await stream.send((b"a", b"b"), 1)
        assert await loop.sock_recv(theirs, 10) == b"ab"
        theirs.send(b"hello")
        assert await stream.receive(1) == b"hello"
        theirs.send(b"more")
        await asyncio.sleep(0.02)
        assert stream.poll() == b"more"
        theirs.shutdown(socket.SHUT_WR)
        assert await stream.receive(1) == b""
        assert stream.poll() == b""
        await stream.send((b"still",), 1)
        assert await loop.sock_recv(theirs, 10) == b"still"
        assert seen == [("C", b"ab"), ("S", b"hello"), ("S", b"more"), ("C", b"still")]
        stream.close()
        stream.close()
        assert stream.is_closed
        with pytest.raises(ConnectionLost):
            await stream.send((b"x",), 1)

    run(test)


def test_deadlines_use_one_timer(run: Callable[[Test], None]) -> None:
    async def test(stream: AsyncStream, theirs: socket.socket) -> None:
        theirs.send(b"x")
        assert await stream.receive(100) == b"x"  # a late timer is armed
        begun = time.monotonic()
        with pytest.raises(DeadlineError):
            await stream.receive(0.05)
        assert time.monotonic() - begun < 1
        for _ in range(3):
            asyncio.get_running_loop().call_later(0.03, theirs.send, b"y")
            assert await stream.receive(0.06) == b"y"
        await asyncio.sleep(0.1)  # the timer ends with nobody waiting

    run(test)


def test_d33_peer_that_never_reads(run: Callable[[Test], None]) -> None:
    async def test(stream: AsyncStream, theirs: socket.socket) -> None:
        with pytest.raises(DeadlineError):
            await stream.send((b"x" * 8_000_000,), 0.05)

    run(test)


def test_a_slow_peer_is_waited_for_and_heard(run: Callable[[Test], None]) -> None:
    async def test(stream: AsyncStream, theirs: socket.socket) -> None:
        heard = 0

        async def read() -> None:
            nonlocal heard
            theirs.send(b"early")
            while heard < 8_000_000:
                heard += len(await asyncio.get_running_loop().sock_recv(theirs, 1 << 20))

        reading = asyncio.create_task(read())
        await stream.send((b"x" * 8_000_000,), 5)
        await reading
        assert heard == 8_000_000
        assert await stream.receive(1) == b"early"

    run(test)


def test_peer_that_is_gone(run: Callable[[Test], None]) -> None:
    async def test(stream: AsyncStream, theirs: socket.socket) -> None:
        theirs.send(b"421 why\r\n")
        theirs.close()
        await asyncio.sleep(0.01)  # a write that fails sooner would take what lies unread with it
        await stream.send((b"x" * 1_000_000,), 1)
        await asyncio.sleep(0.01)
        with pytest.raises(ConnectionLost):
            await stream.send((b"x" * 1_000_000,), 1)
        assert await stream.receive(1) == b"421 why\r\n"
        assert await stream.receive(1) == b""

    run(test)


def test_read_ahead_is_bounded(run: Callable[[Test], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio, "_MAX_READ_AHEAD", 1000)

    async def test(stream: AsyncStream, theirs: socket.socket) -> None:
        sent = 0
        for _ in range(50):
            try:
                sent += theirs.send(b"r" * 65536)
            except BlockingIOError:
                await asyncio.sleep(0.001)
        assert sent < 3_000_000
        got = 0
        while got < sent:
            got += len(await stream.receive(1))
        assert got == sent

    run(test)


def test_octets_in_clear_are_never_read_as_tls(run: Callable[[Test], None]) -> None:
    async def test(stream: AsyncStream, theirs: socket.socket) -> None:
        theirs.send(b"220 plain\r\n")
        await asyncio.sleep(0.02)
        with pytest.raises(TLSError, match="in clear"):
            await stream.start_tls(1)

    run(test)


def test_tls(run: Callable[[Test], None], certificates: Certificates) -> None:
    async def test(stream: AsyncStream, theirs: socket.socket) -> None:
        def peer() -> None:
            theirs.setblocking(True)
            tls = certificates.server.wrap_socket(theirs, server_side=True)
            tls.sendall(b"220 x\r\n")
            heard = 0
            while heard < 300_001:
                heard += len(tls.recv(65536))
            tls.unwrap()
            tls.close()

        peering = asyncio.create_task(asyncio.to_thread(peer))
        assert (await stream.start_tls(5)).version == "TLSv1.3"
        assert stream.has_tls
        assert stream.tls_layer is not None
        assert await stream.receive(5) == b"220 x\r\n"
        await stream.send((b"x" * 300_000, b"y"), 5)
        assert await stream.receive(5) == b""
        stream.close()
        await peering
        await asyncio.get_running_loop().shutdown_default_executor()

    run(test)


@pytest.mark.parametrize("answer", [b"", b"garbage, and not TLS at all\r\n"])
def test_handshake_that_fails(run: Callable[[Test], None], answer: bytes) -> None:
    async def test(stream: AsyncStream, theirs: socket.socket) -> None:
        starting = asyncio.create_task(stream.start_tls(5))
        assert (await asyncio.get_running_loop().sock_recv(theirs, 10))[:1] == b"\x16"
        if answer:
            theirs.send(answer)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(TLSError):
            await starting
        with pytest.raises(TLSError):
            await stream.receive(1)

    run(test)


def test_damaged_tls(run: Callable[[Test], None], certificates: Certificates) -> None:
    async def test(stream: AsyncStream, theirs: socket.socket) -> None:
        def peer() -> None:
            theirs.setblocking(True)
            tls = certificates.server.wrap_socket(theirs, server_side=True, do_handshake_on_connect=True)
            raw = socket.socket(fileno=tls.detach())
            raw.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
            raw.close()

        peering = asyncio.create_task(asyncio.to_thread(peer))
        await stream.start_tls(5)
        with pytest.raises(TLSError):
            await stream.receive(5)
        await peering
        await asyncio.get_running_loop().shutdown_default_executor()

    run(test)


def test_handshake_that_can_not_begin(run: Callable[[Test], None]) -> None:
    context = client_context(verify=False)
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2

    async def test(stream: AsyncStream, theirs: socket.socket) -> None:
        stream._make_context = lambda: context
        with pytest.raises(TLSError, match="handshake failed"):
            await stream.start_tls(1)

    run(test)


def test_handshake_that_never_ends(run: Callable[[Test], None]) -> None:
    async def test(stream: AsyncStream, theirs: socket.socket) -> None:
        with pytest.raises(DeadlineError):
            await stream.start_tls(0.05)

    run(test)


def test_connection_lost_in_the_handshake(run: Callable[[Test], None]) -> None:
    async def test(stream: AsyncStream, theirs: socket.socket) -> None:
        starting = asyncio.create_task(stream.start_tls(5))
        await asyncio.sleep(0.01)
        stream.connection_lost(ConnectionResetError("reset"))
        with pytest.raises(TLSError, match="closed the connection"):
            await starting

    run(test)


class Transport(asyncio.Transport):
    """Notes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True


def test_wire_of_a_server(certificates: Certificates) -> None:
    wire, transport = Wire(), Transport()
    wire.connection_made(transport)
    wire.write(b"clear")
    assert not wire.has_tls
    wire.pause_writing()
    assert wire.is_paused
    wire.resume_writing()
    wire.octets_received(b"")
    wire.tls_ready(TLSFacts("x", "y"))
    wire.tls_failed(TLSError("x"))
    assert wire.eof_received()
    wire.begin_tls(certificates.server, server_side=True)
    client = TLSLayer(client_context(ca_file=certificates.ca_file), server_hostname="localhost")
    client.start()
    transport.written = b""
    for _ in range(3):
        octets = client.output()
        if octets:
            wire.get_buffer(-1)[: len(octets)] = octets
            wire.buffer_updated(len(octets))
        if transport.written:
            client.receive(transport.written)
        transport.written = b""
    wire.write(b"secret")
    assert client.receive(transport.written) == b"secret"
    assert not wire.eof_received()
    wire.end()
    assert transport.closed


def test_a_wire_ends_in_clear_and_within_a_handshake_without_a_word(certificates: Certificates) -> None:
    for with_tls in (False, True):
        wire, transport = Wire(), Transport()
        wire.connection_made(transport)
        if with_tls:
            wire.begin_tls(certificates.server, server_side=True)
        wire.end()
        assert (transport.written, transport.closed, wire.has_tls) == (b"", True, with_tls)


def test_h048_a_client_that_wants_other_protocols_fails_before_tls_has_said_a_word(certificates: Certificates) -> None:
    failures: list[str] = []

    class Choosy(Wire):
        def tls_failed(self, error: TLSError) -> None:
            failures.append(str(error))

    context = client_context(ca_file=certificates.ca_file)
    context.set_alpn_protocols(["h2"])
    client = TLSLayer(context, server_hostname="localhost")
    client.start()
    wire, transport = Choosy(), Transport()
    wire.connection_made(transport)
    wire.begin_tls(certificates.server, server_side=True, alpn=frozenset({b"smtp"}))
    wire.raw_received(client.output())
    assert transport.written == b""
    assert len(failures) == 1
    assert "ALPN" in failures[0]


def test_connect_errors() -> None:
    async def main() -> None:
        def context() -> ssl.SSLContext:
            raise AssertionError

        with pytest.raises(ConnectError, match=r"127\.0\.0\.1 port 1: Connection refused"):
            await connect(Target("127.0.0.1", 1), context, 5)
        with pytest.raises(ConnectError, match=r"from 192\.0\.2\.7"):
            await connect(Target("127.0.0.1", 1, local_address="192.0.2.7"), context, 5)
        with pytest.raises(ConnectError, match="/no/such"):
            await connect(Target(unix_path="/no/such"), context, 5)

        async def slow(*_: object) -> socket.socket:
            await asyncio.sleep(5)
            raise AssertionError

        with pytest.raises(ConnectError, match="no answer"):
            await connect(Target("h"), context, 0.02, dialler=slow)

        async def refuse(*_: object) -> socket.socket:
            raise ConnectError("no way", stage="connect")

        with pytest.raises(ConnectError, match="no way"):
            await connect(Target("h"), context, 1, dialler=refuse)
        with pytest.raises(ConfigurationError):
            await connect(Target("h"), context, 1, dialler=lambda *_: socket.socket())

    asyncio.run(main())


def test_more_connect_errors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tmp_path / "s"))
            listening.listen()
            stream = await connect(Target(unix_path=str(tmp_path / "s")), client_context, 5)
            assert stream.peer == str(tmp_path / "s")
            stream.close()
        monkeypatch.delattr(socket, "AF_UNIX")
        with pytest.raises(ConnectError, match="no unix sockets"):
            await connect(Target(unix_path="/x"), client_context, 5)

        async def never(*_: object, **__: object) -> NoReturn:
            await asyncio.sleep(60)
            raise AssertionError

        monkeypatch.setattr(loop, "getaddrinfo", never)
        with pytest.raises(ConnectError, match=r"can't find mail\.invalid: no answer in 0\.02 s"):
            await connect(Target("mail.invalid"), client_context, 0.02)

        async def unknown(*_: object, **__: object) -> NoReturn:
            raise socket.gaierror(socket.EAI_NONAME, "not known")

        monkeypatch.setattr(loop, "getaddrinfo", unknown)
        with pytest.raises(ConnectError, match=r"can't find mail\.invalid: not known"):
            await connect(Target("mail.invalid"), client_context, 5)

    asyncio.run(main())


def test_f17_several_addresses_on_both_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        async def main() -> None:
            stream = await connect(Target("localhost", port), lambda: client_context(), 5)
            assert stream.peer[:2] == ("127.0.0.1", port)  # type: ignore[index] # an IPv4 socket's name
            stream.close()
            await asyncio.sleep(0)

        for kind in ("asyncio", "uvloop"):
            loop = new_loop(kind)
            loop.run_until_complete(main())
            loop.close()


def test_calls_of_the_callers_own(run: Callable[[Test], None]) -> None:
    async def test(stream: AsyncStream, _: socket.socket) -> None:
        async def coroutine() -> int:
            await asyncio.sleep(0)
            return 1

        async def slow() -> None:
            await asyncio.sleep(60)

        async def impatient() -> None:
            raise TimeoutError("mine")

        assert await stream.call(coroutine, 5) == 1
        assert await stream.call(lambda: 2, 5) == 2
        assert await stream.call(lambda: coroutine(), 5) == 1
        assert await stream.call(threading.current_thread, 5) is not threading.main_thread()
        with pytest.raises(DeadlineError):
            await stream.call(slow, 0.01)
        with pytest.raises(TimeoutError, match="mine"):
            await stream.call(impatient, 5)

    run(test)
