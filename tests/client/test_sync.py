"""The blocking client: shared by threads, light to import, and flat in memory."""

import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from smtpx.client.aio import AsyncClient
from smtpx.client.mail import Mail
from smtpx.client.settings import Limits
from smtpx.client.sync import Client, Connection, send
from smtpx.errors import DeadlineError, LocalProtocolError, PermanentRefusal, UnsupportedError
from smtpx.flows.session import Security
from smtpx.flows.steps import Timeouts
from smtpx.sasl import Password
from tests.client.conftest import Certificates
from tests.client.dialogues import BODY as MESSAGE_OCTETS
from tests.client.dialogues import BODY_WIRE, FROM, LOCK, MESSAGE, QUIT, START, TO, url
from tests.peers import Colour, ScriptedServer

BODY = b"Subject: hi\r\n\r\nhi\r\n"
EHLO = "C: EHLO me\n"
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


# Step by step ---------------------------------------------------------------------------------------------------------


def test_step_by_step(certificates: Certificates) -> None:
    script = f"{EHLO}S: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nTLS\n{EHLO}S: 250-x\nS: 250 AUTH PLAIN\n"
    script = "S: 220 x\n" + script + "C: AUTH PLAIN AHUAcA==\nS: 235 in\n"
    script += f"C: MAIL FROM:<{FROM}>\nS: 250 m\nC: RCPT TO:<{TO}>\nS: 250 r\nC: DATA\nS: 354 go\n{BODY_WIRE}S: 250 d\n"
    script += f"C: VRFY {TO}\nS: 252 v\nC: XTAGS a\nS: 250 x\nC: NOOP\nS: 250 n\nC: RSET\nS: 250 z\n{QUIT}"
    options: dict[str, Any] = {"security": Security.NONE, "ca_file": certificates.ca_file}
    with (
        ScriptedServer(script, tls=certificates.server) as server,
        Connection.open(url(server), **options) as connection,
    ):
        assert connection.is_open
        assert connection.peer.endswith(f":{server.port}")
        assert connection.tls is None
        assert connection.start_tls() == connection.tls
        assert connection.auth(Password("u", "p"), mechanisms=["PLAIN"]).text == "in"
        assert connection.capabilities["AUTH"] == "PLAIN"
        assert connection.hello_reply is not None
        assert connection.hello_reply.code == 250
        assert connection.mail(FROM).text == "m"
        assert connection.rcpt(TO).text == "r"
        assert connection.data(MESSAGE_OCTETS).text == "d"
        assert connection.verify(TO).code == 252
        assert connection.command("XTAGS", "a").text == "x"
        assert connection.noop().text == "n"
        assert connection.reset().text == "z"


def test_a_connection_sends_messages() -> None:
    with ScriptedServer(START + MESSAGE) as server:
        connection = Connection.open(url(server))
        assert connection.send(MESSAGE_OCTETS, sender=FROM, recipients=TO).accepted
        connection.close()
        assert not connection.is_open


def test_an_error_within_the_block_closes_without_a_word() -> None:
    with ScriptedServer(LOCK) as server:
        with pytest.raises(KeyError), Connection.open(url(server)) as connection:
            raise KeyError
        assert not connection.is_open


GROUP = f"C: MAIL FROM:<{FROM}>\nC: RCPT TO:<{TO}>\nC: RCPT TO:<c@y.example>\nS: 250 m\nS: 250 r\nS: 550 no\n"


def test_an_open_transaction() -> None:
    script = START + GROUP + f"C: DATA\nS: 354 go\n{BODY_WIRE}S: 250 done\n" + GROUP + "C: RSET\nS: 250 ok\n" + QUIT
    to = [TO, "c@y.example"]
    with ScriptedServer(script) as server, Connection.open(url(server)) as connection:
        with connection.transaction(FROM, to) as transaction:
            assert (list(transaction.accepted), list(transaction.refused)) == ([TO], ["c@y.example"])
            result = transaction.send(MESSAGE_OCTETS)
            assert result.reply is not None
            assert result.reply.text == "done"
            with pytest.raises(LocalProtocolError, match="over"):
                transaction.send(MESSAGE_OCTETS)
        with pytest.raises(KeyError), connection.transaction(FROM, to):
            raise KeyError  # given up: the connection goes on
        assert connection.is_open


@pytest.mark.parametrize("sent", [False, True])
def test_a_transaction_that_is_interrupted(sent: bool) -> None:
    script = START + GROUP + (f"C: DATA\nS: 354 go\n{BODY_WIRE}S: 250 done\n" + QUIT if sent else "")
    with ScriptedServer(script) as server:
        connection = Connection.open(url(server))
        transaction = connection.transaction(FROM, [TO, "c@y.example"])
        if sent:
            transaction.send(MESSAGE_OCTETS)
        with pytest.raises(SystemExit), transaction:
            raise SystemExit
        assert connection.is_open is sent  # nothing is waited for; but a message that is over concerns nobody
        connection.quit()


# The pool -------------------------------------------------------------------------------------------------------------


def test_a_connection_that_died_is_replaced() -> None:
    ends = START + MESSAGE + "EOF"
    with ScriptedServer(ends, ends, START + MESSAGE + QUIT) as server, Client(url(server)) as client:
        links = [client._acquire() for _ in range(2)]
        for link in links:
            link.send(Mail(MESSAGE_OCTETS, FROM, [TO]), {}, strict=False, smtputf8=None)
            client._release(link)
            assert link._stream.receive(10) == b""
        assert client.send(MESSAGE_OCTETS, sender=FROM, recipients=TO).accepted
        assert server.connections == 3  # the other one, as old, was not even tried


def test_an_error_is_raised_and_its_connection_gone() -> None:
    with (
        ScriptedServer("S: 554 no", START + "C: QUIT\n", tolerant=True) as server,
        Client(url(server), max_connections=1) as client,
    ):
        with pytest.raises(PermanentRefusal):
            client.send(MESSAGE_OCTETS, sender=FROM, recipients=TO)
        with pytest.raises(UnsupportedError):
            client.send(MESSAGE_OCTETS * 100, sender=FROM, recipients=TO)
        assert client._policy.open_connections == 1  # the second one, which is idle now
        for link in client._policy.drain():
            link.leave()


def test_a_connection_that_was_idle_for_long_is_left() -> None:
    first, second = START + MESSAGE + "C: QUIT\n", START + MESSAGE + QUIT
    with (
        ScriptedServer(first, second) as server,
        Client(url(server), limits=Limits(max_idle_seconds=0.01)) as client,
    ):
        client.send(MESSAGE_OCTETS, sender=FROM, recipients=TO)
        time.sleep(0.03)
        client.send(MESSAGE_OCTETS, sender=FROM, recipients=TO)
        assert server.connections == 2
        assert client._policy.open_connections == 1
