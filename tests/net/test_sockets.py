"""The blocking stream over real sockets."""

import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from smtpx.errors import ConfigurationError, ConnectError, ConnectionLost, DeadlineError, TLSError
from smtpx.net import sockets
from smtpx.net.sockets import SocketStream, connect, dial
from smtpx.net.targets import Target
from smtpx.net.tls import client_context
from tests.client.conftest import Certificates, certificates_for

Ends = tuple[SocketStream, socket.socket]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates_for(tmp_path_factory.mktemp("ca"), "localhost")


@pytest.fixture(params=["poll", "select"])
def ends(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    if request.param == "select":
        monkeypatch.delattr(select, "poll")  # as on Windows
    ours, theirs = socket.socketpair()
    for sock in (ours, theirs):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    stream = SocketStream(ours, lambda: client_context(verify=False), "localhost")
    yield stream, theirs
    stream.close()
    theirs.close()


def test_send_receive_poll(ends: Ends) -> None:
    stream, theirs = ends
    seen: list[tuple[str, bytes]] = []
    stream.trace = lambda side, octets: seen.append((side, octets))
    assert stream.poll() is None
    stream.send((b"a", b"b", b""), 1)
    assert theirs.recv(10) == b"ab"
    theirs.sendall(b"hello")
    assert stream.receive(1) == b"hello"
    theirs.sendall(b"more")
    assert stream.poll() == b"more"
    assert seen == [("C", b"ab"), ("S", b"hello"), ("S", b"more")]
    theirs.shutdown(socket.SHUT_WR)
    assert stream.receive(1) == b""
    assert stream.poll() == b""
    assert not stream.is_closed
    stream.close()
    stream.close()
    assert stream.is_closed


def test_nothing_comes(ends: Ends) -> None:
    begun = time.monotonic()
    with pytest.raises(DeadlineError):
        ends[0].receive(0.05)
    assert time.monotonic() - begun < 1


def test_d33_peer_that_never_reads(ends: Ends) -> None:
    with pytest.raises(DeadlineError):
        ends[0].send((b"x" * 1_000_000, b"y" * 1_000_000), 0.05)


def test_peer_that_is_gone(ends: Ends) -> None:
    stream, theirs = ends
    theirs.sendall(b"421 why\r\n")
    theirs.close()
    with pytest.raises(ConnectionLost):
        stream.send((b"x" * 1_000_000,), 1)
    assert stream.receive(1) == b"421 why\r\n"  # what it said still counts
    assert stream.receive(1) == b""


def test_both_sides_write_at_once(ends: Ends) -> None:
    stream, theirs = ends
    heard = 0

    def peer() -> None:
        nonlocal heard
        theirs.sendall(b"r" * 500_000)  # reads nothing while its write blocks
        while heard < 500_000:
            heard += len(theirs.recv(65536))

    thread = threading.Thread(target=peer)
    thread.start()
    stream.send((b"c" * 500_000,), 5)
    thread.join()
    got = 0
    while got < 500_000:
        got += len(stream.receive(1))
    assert (heard, got) == (500_000, 500_000)


def test_read_ahead_is_bounded(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    stream, theirs = ends
    monkeypatch.setattr(sockets, "_MAX_READ_AHEAD", 1000)
    theirs.setblocking(False)
    theirs.send(b"r" * 2000)
    with pytest.raises(DeadlineError):
        stream.send((b"c" * 1_000_000,), 0.1)
    theirs.setblocking(True)
    while len(theirs.recv(65536)) == 65536:
        pass
    theirs.sendall(b"more")
    assert not stream._read_available()  # what lies here has to be taken first
    assert len(stream.receive(1)) == 2000
    assert stream.receive(1) == b"more"


def test_reset_by_the_peer_is_an_end(listener: socket.socket) -> None:
    stream = SocketStream(connect(Target("127.0.0.1", PORT), 5), client_context, None)
    theirs, _ = listener.accept()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()
    assert stream.receive(1) == b""
    stream.close()


def test_octets_in_clear_are_never_read_as_tls(ends: Ends) -> None:
    stream, theirs = ends
    theirs.sendall(b"x")
    theirs.setblocking(False)
    with pytest.raises(DeadlineError):
        stream.send((b"c" * 1_000_000,), 0.05)  # reads while it waits
    with pytest.raises(TLSError, match="in clear"):
        stream.start_tls(1)


def test_tls(ends: Ends, certificates: Certificates) -> None:
    stream, theirs = ends

    def peer() -> None:
        tls = certificates.server.wrap_socket(theirs, server_side=True)
        tls.sendall(b"220 x\r\n")
        while tls.recv(65536):
            pass
        tls.close()

    thread = threading.Thread(target=peer)
    thread.start()
    assert stream.start_tls(5).version == "TLSv1.3"
    assert stream.receive(5) == b"220 x\r\n"
    stream.send((b"x" * 300_000, b"y"), 5)
    stream.close()
    thread.join()


@pytest.mark.parametrize("answer", [b"", b"garbage, and not TLS at all\r\n"])
def test_handshake_that_fails(ends: Ends, answer: bytes) -> None:
    stream, theirs = ends
    theirs.sendall(answer)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(TLSError):
        stream.start_tls(5)
    assert theirs.recv(1) == b"\x16"


def test_handshake_that_never_ends(ends: Ends) -> None:
    with pytest.raises(DeadlineError):
        ends[0].start_tls(0.05)


def found(*addresses: str) -> object:
    family = {True: socket.AF_INET6, False: socket.AF_INET}
    return lambda *_, **__: [(family[":" in a], socket.SOCK_STREAM, 6, "", (a, PORT)) for a in addresses]


PORT = 0


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    global PORT
    with socket.create_server(("127.0.0.1", 0)) as sock:
        PORT = sock.getsockname()[1]
        yield sock


@pytest.mark.parametrize("addresses", [("127.0.0.2", "127.0.0.1"), ("127.0.0.1", "127.0.0.2"), ("::1", "127.0.0.1")])
def test_f17_several_addresses(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...]
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", found(*addresses))
    with connect(Target("mail.example", PORT), 5) as sock:
        assert sock.getpeername()[0] == "127.0.0.1"
    with connect(Target("mail.example", PORT, local_address="127.0.0.1"), 5) as sock:
        assert sock.getsockname()[0] == "127.0.0.1"


def test_every_address_that_failed_is_named(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", found("127.0.0.2", "127.0.0.3"))
    with pytest.raises(ConnectError, match=r"127\.0\.0\.2.*127\.0\.0\.3"):
        connect(Target("mail.example", PORT), 5)
    with pytest.raises(ConnectError, match="no address of the family of ::1"):
        connect(Target("mail.example", PORT, local_address="::1"), 5)


def test_interrupted_connect_leaves_no_socket(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(socket.socket, "connect", interrupt)
    with pytest.raises(KeyboardInterrupt):
        connect(Target(unix_path="/x"), 5)


def test_no_unix_sockets_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "_AF_UNIX", None)
    with pytest.raises(ConnectError, match="no unix sockets"):
        connect(Target(unix_path="/x"), 5)


def test_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with pytest.raises(ConnectError, match=r"can't connect to .*/s: "):
        connect(Target(unix_path=path), 1)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        with connect(Target(unix_path=path, local_address="127.0.0.1"), 1) as sock:
            assert sock.getpeername() == path


def test_a_name_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    given_up = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: given_up.wait(60))
    with pytest.raises(ConnectError, match=r"can't find mail\.example: no answer in 0\.02 s") as caught:
        connect(Target("mail.example", 25), 0.02)
    given_up.set()
    assert caught.value.stage == "connect"


@pytest.mark.parametrize(
    "error", [socket.gaierror(socket.EAI_NONAME, "not known"), UnicodeError("label too long"), OSError("broken")]
)
def test_a_name_that_is_not_found(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(ConnectError, match=r"can't find mail\.example: (not known|label too long|broken)") as caught:
        connect(Target("mail.example", 25), 1)
    assert (caught.value.stage, caught.value.__cause__) == ("connect", error)


def test_own_dialler() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert dial(lambda *_: ours, Target("h", 25), 1) is ours


def test_an_own_dialler_that_fails() -> None:
    refusal = ConnectError("no way", stage="connect")
    for error, text in ((OSError("no route"), "can't connect to h:25: no route"), (refusal, "no way")):

        def fail(*_: object, error: OSError = error) -> NoReturn:
            raise error

        with pytest.raises(ConnectError) as caught:
            dial(fail, Target("h", 25), 1)
        assert text in str(caught.value)


def test_an_own_dialler_that_did_not_connect() -> None:
    sock = socket.socket()
    with pytest.raises(ConfigurationError, match="not connected"):
        dial(lambda *_: sock, Target("h", 25), 1)
    assert sock.fileno() == -1


def test_another_thread_ends_a_wait(ends: Ends) -> None:
    stream, _ = ends
    got: list[bytes] = []
    waiting = threading.Thread(target=lambda: got.append(stream.receive(20)))
    waiting.start()
    stream.interrupt()
    waiting.join(10)
    assert got == [b""]
    stream.close()
    stream.interrupt()
