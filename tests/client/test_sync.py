"""The blocking client: shared by threads, light to import, and flat in memory."""

import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from smtpx.client.aio import AsyncClient
from smtpx.client.settings import Limits
from smtpx.client.sync import Client, send
from smtpx.errors import DeadlineError, LocalProtocolError
from smtpx.flows.steps import Timeouts
from tests.peers import Colour, ScriptedServer

BODY = b"Subject: hi\r\n\r\nhi\r\n"
HEAVY = "asyncio ssl email idna logging"


@pytest.mark.parametrize(
    "code",
    [
        "import smtpx",
        "import smtpx.client.sync",
        "import smtpx; smtpx.Client",
        "import smtpx; smtpx.Connection; smtpx.Password('u', 'p'); smtpx.Client('smtps://u:p@host')",
    ],
)
def test_imports_are_light(code: str) -> None:
    check = f"{code}\nimport sys\nprint(*[name for name in {HEAVY.split()!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_sending_in_clear_loads_no_ssl() -> None:
    script = "S: 220 x\nC: EHLO me\nS: 250 x\nC: QUIT\nS: 221 x"
    with ScriptedServer(script) as server:
        code = f"import smtpx\nwith smtpx.Connection.open('smtp://127.0.0.1:{server.port}?hello_name=me'): pass\n"
        code += f"import sys\nprint(*[name for name in {HEAVY.split()!r} if name in sys.modules])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


class Server:
    """Any number of connections, each answering everything with 250, slowly if asked to."""

    def __init__(self, delay: float = 0) -> None:
        self.busy = self.most = 0
        self._delay = delay

    def serve(self, sock: socket.socket) -> None:
        sock.sendall(b"220 x\r\n")
        file = sock.makefile("rb")
        for line in file:
            if line == b"DATA\r\n":
                sock.sendall(b"354 go\r\n")
                while file.readline() != b".\r\n":
                    pass
                time.sleep(self._delay)
            sock.sendall(b"250 ok\r\n")


def test_threads_share_a_client() -> None:
    with ScriptedServer(act=Server(0.01).serve) as server:
        limits = Limits(max_connections=3)
        with Client(f"smtp://127.0.0.1:{server.port}", limits=limits) as client, ThreadPoolExecutor(10) as pool:
            one = {"sender": "a@x.example", "recipients": ["b@x.example"]}
            results = list(pool.map(lambda _: client.send(BODY, **one), range(30)))  # type: ignore[arg-type]
        assert len(results) == 30
        assert server.connections <= 3


def test_p25_close_ends_those_that_wait() -> None:
    with ScriptedServer(act=Server(0.2).serve) as server, ThreadPoolExecutor(2) as pool:
        client = Client(f"smtp://127.0.0.1:{server.port}", limits=Limits(max_connections=1))
        one = lambda: client.send(BODY, sender="a@x.example", recipients=["b@x.example"])  # noqa: E731
        first = pool.submit(one)
        time.sleep(0.1)
        second = pool.submit(one)
        time.sleep(0.02)
        client.close()
        with pytest.raises(LocalProtocolError, match="closed"):
            second.result()
        assert first.result().accepted


def test_one_call() -> None:
    with ScriptedServer(act=Server().serve) as server:
        result = send(f"smtp://127.0.0.1:{server.port}", BODY, sender="a@x.example", recipients="b@x.example")
        assert result.reply is not None


def test_own_tests_of_the_session_library_b05_deadlock(colour: Colour) -> None:
    """5,000 recipients, small buffers, and a server that reads nothing while its write blocks."""

    def act(sock: socket.socket) -> None:
        sock.sendall(b"220 x\r\n")
        file = sock.makefile("rb")
        for line in file:
            answer = b"250-x\r\n250 PIPELINING\r\n" if line[:4] == b"EHLO" else b"250 " + b"x" * 190 + b"\r\n"
            if line == b"DATA\r\n":
                sock.sendall(b"354 go\r\n")
                while file.readline() != b".\r\n":
                    pass
            sock.sendall(answer)

    with (
        ScriptedServer(act=act, small_buffers=True) as server,
        colour.client(f"smtp://127.0.0.1:{server.port}") as client,
    ):
        to = [f"user{n}@x.example" for n in range(5000)]
        assert len(client.send(BODY, sender="a@x.example", recipients=to).accepted) == 5000


@pytest.mark.parametrize("extensions", ["PIPELINING", "CHUNKING"])
def test_d33_peer_that_never_reads(colour: Colour, extensions: str) -> None:
    done = threading.Event()

    def act(sock: socket.socket) -> None:
        sock.sendall(b"220 x\r\n")
        file = sock.makefile("rb", buffering=0)
        file.readline()
        sock.sendall(f"250-x\r\n250 {extensions}\r\n".encode())
        for answer in (b"250 m\r\n", b"250 r\r\n", b"354 go\r\n"):
            if answer[0] == 51 and extensions == "CHUNKING":
                break
            file.readline()
            sock.sendall(answer)
        done.wait(10)
        file.close()

    with ScriptedServer(act=act, small_buffers=True, tolerant=True) as server:
        with colour.client(f"smtp://127.0.0.1:{server.port}", timeouts=Timeouts(block=0.3)) as client:
            with pytest.raises(DeadlineError) as caught:
                client.send(pieces(40), sender="a@x.example", recipients=["b@x.example"])
            assert caught.value.stage in ("body", "final")
        done.set()


def pieces(megabytes: int) -> Iterator[bytes]:
    piece = (b"x" * 998 + b"\r\n") * 1000
    for _ in range(megabytes):
        yield piece


@pytest.mark.parametrize("extensions", ["PIPELINING", "CHUNKING"])
def test_200_mb_in_flat_memory(colour: Colour, extensions: str) -> None:
    taken = 0

    def act(sock: socket.socket) -> None:
        nonlocal taken
        sock.sendall(b"220 x\r\n")
        file = sock.makefile("rb", buffering=1 << 16)
        for line in file:
            if line[:4] == b"BDAT":
                left = int(line.split()[1])
                while left:
                    left -= len(file.read(min(left, 65536)))
                taken += int(line.split()[1])
            elif line == b"DATA\r\n":
                sock.sendall(b"354 go\r\n")
                tail = b""
                while tail != b"\r\n.\r\n":
                    data = file.readline()
                    taken += len(data)
                    tail = (tail + data)[-5:]
            sock.sendall(f"250-x\r\n250 {extensions}\r\n".encode() if line[:4] == b"EHLO" else b"250 ok\r\n")

    with ScriptedServer(act=act) as server, colour.client(f"smtp://127.0.0.1:{server.port}") as client:
        tracemalloc.start()
        try:
            assert client.send(pieces(200), sender="a@x.example", recipients=["b@x.example"]).accepted
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert taken >= 200_000_000
    assert most < 16_000_000


def test_clients_say_what_they_are_made_of() -> None:
    for cls in (Client, AsyncClient):
        assert cls("smtp://h").settings.target.host == "h"
        assert not cls("smtp://h").is_closed
