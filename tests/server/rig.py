"""A server on a real port, a client that does exactly what it is told, and a look at what they left behind."""

import asyncio
import contextlib
import gc
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import trustme

from smtpx.net.tls import TLSLayer
from smtpx.protocol.limits import ServerLimits
from smtpx.sasl import Credentials
from smtpx.server.body import Body
from smtpx.server.listener import Server
from smtpx.server.session import Reject, Session, ok
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply, ReplyParser

__all__ = [
    "BDAT",
    "EHLO",
    "ENV",
    "FAST",
    "MAIL",
    "OPEN",
    "RCPT",
    "Message",
    "RawClient",
    "Recorder",
    "client_tls",
    "eventually",
    "fresh_client_tls",
    "fresh_server_tls",
    "recorders",
    "running",
]

SECONDS = 5.0  # nothing in these tests takes as long, unless it hangs
EHLO = "EHLO client.example\r\n"
MAIL = "MAIL FROM:<a@client.example>\r\n"
RCPT = "RCPT TO:<b@server.example>\r\n"
ENV = MAIL + RCPT
OPEN = EHLO + ENV + "DATA\r\n"
BDAT = EHLO + ENV
FAST = ServerLimits(error_delay_seconds=0.0, auth_failure_delay_seconds=0.0)


@cache
def authority() -> trustme.CA:
    """Who signs our certificates."""
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@cache
def certificate() -> trustme.LeafCert:
    """The server's."""
    return authority().issue_cert("localhost", "127.0.0.1", "::1", key_type=trustme.KeyType.ECDSA)


def fresh_server_tls() -> ssl.SSLContext:
    """A context for one listener."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["smtp"])
    certificate().configure_cert(context)
    return context


def fresh_client_tls() -> ssl.SSLContext:
    """A context that trusts our authority."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context


@cache
def client_tls() -> ssl.SSLContext:
    """The same, shared."""
    return fresh_client_tls()


@dataclass(frozen=True)
class Message:
    """What a session was given."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    identity: str | None = None
    tls: bool = False


class Recorder(Session):
    """Keeps what it is given. Login: user, secret.

    Attributes:
        calls: names of the methods called, in order.
        messages: those that were complete.
    """

    made: list["Recorder"] = []  # noqa: RUF012 - replaced by `recorders`

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.messages: list[Message] = []
        self.sender: Mailbox | None = None
        self.recipients: list[str] = []
        self.made.append(self)

    async def connect(self) -> Reply | None:
        self.calls.append("connect")
        return None

    async def authenticate(self, identity: Credentials) -> Reply | None:
        self.calls.append("authenticate")
        if identity.username != "user" or not identity.is_password("secret"):
            raise Reject.bad_credentials()
        return None

    async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
        self.calls.append("mail")
        self.sender = sender
        return None

    async def rcpt(self, recipient: Mailbox, params: Params) -> Reply | None:
        self.calls.append("rcpt")
        self.recipients.append(str(recipient))
        return None

    async def data(self, body: Body) -> Any:  # noqa: ANN401 - sessions of tests return what they must not
        self.calls.append("data")
        content = await body.read()
        self.keep(content)
        return ok("kept")

    def keep(self, content: bytes) -> None:
        """A message is complete."""
        message = Message(
            str(self.sender), tuple(self.recipients), content, self.peer.identity, self.peer.tls is not None
        )
        self.messages.append(message)

    async def reset(self) -> None:
        self.calls.append("reset")
        self.sender, self.recipients = None, []

    async def close(self) -> None:
        self.calls.append("close")


def recorders(kind: type[Recorder] = Recorder) -> tuple[Callable[[], Recorder], list[Recorder]]:
    """A class of sessions, and the list of those that are made of it."""
    made: list[Recorder] = []
    return type(kind.__name__, (kind,), {"made": made}), made


@contextlib.asynccontextmanager
async def running(session: Callable[[], Session] = Session, **options: Any) -> AsyncIterator[Server]:  # noqa: ANN401
    """A server on a free port of 127.0.0.1 (or as `options` say); when it is closed nothing of it is left."""
    before = asyncio.all_tasks()
    options.setdefault("hostname", "server.example")
    options.setdefault("limits", FAST)
    if "listeners" not in options and "unix" not in options:
        options.setdefault("port", 0)
    server = Server(session, **options)
    async with server:
        yield server
    await nothing_left(server, before)


async def nothing_left(server: Server, before: Iterable[asyncio.Task[Any]] = ()) -> None:
    """See that a closed server has no connection, no count and no task."""
    assert server.connections == 0
    assert server._guard.connections == 0
    assert not server._guard._by_network
    assert server._guard.auth_turns.is_idle
    assert server._guard.load.held_bytes == 0
    await eventually(lambda: not asyncio.all_tasks() - set(before) - {asyncio.current_task()})
    gc.collect()


async def eventually(is_true: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(seconds):
        while not is_true():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.002)


class RawClient:
    """Octets out, replies in."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.layer: TLSLayer | None = None
        self._loop = asyncio.get_running_loop()
        self._parser = ReplyParser(max_lines=2000, max_bytes=1 << 20)
        self._ended = False
        self.received = b""

    @classmethod
    async def open(cls, server: Server | int | str, *, greeting: bool = True, **options: Any) -> Self:  # noqa: ANN401
        """Connect to a server, a port or a unix path, and read the greeting."""
        if isinstance(server, str):
            sock = socket.socket(socket.AF_UNIX)
            address: Any = server
        else:
            host = options.get("host", "127.0.0.1")
            sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            address = (host, server if isinstance(server, int) else server.port)
        for option in options.get("sockopts", ()):
            sock.setsockopt(*option)
        sock.setblocking(False)
        client = cls(sock)
        try:
            await client._loop.sock_connect(sock, address)
            if greeting:
                assert (await client.reply()).code == 220
        except BaseException:
            sock.close()
            raise
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: object) -> None:
        self.sock.close()

    async def send(self, data: str | bytes) -> None:
        """Send octets, through TLS if it is on."""
        octets = data.encode() if isinstance(data, str) else data
        if self.layer is not None:
            self.layer.send(octets)
            octets = self.layer.output()
        await self.send_raw(octets)

    async def send_raw(self, octets: bytes) -> None:
        """Send octets as they are."""
        async with asyncio.timeout(SECONDS):
            await self._loop.sock_sendall(self.sock, octets)

    async def receive(self) -> bytes:
        """Some octets; empty at the end, however it comes."""
        async with asyncio.timeout(SECONDS):
            try:
                octets = await self._loop.sock_recv(self.sock, 65536)
            except ConnectionError:
                octets = b""
        self.received += octets
        return octets

    async def reply(self) -> Reply:
        """The next reply."""
        while (reply := self._parser.next_reply()) is None:
            octets = await self.receive()
            assert octets, "the server closed where a reply was expected"
            if self.layer is not None:
                octets = self.layer.receive(octets)
            self._parser.feed(octets)
        return reply

    def feed(self, octets: bytes) -> None:
        """Octets for `reply` that came in some other way."""
        self._parser.feed(octets)

    async def codes(self, count: int) -> list[str]:
        """Basic and enhanced code of the next replies."""
        return [self.code_of(await self.reply()) for _ in range(count)]

    async def say(self, data: str | bytes, count: int = 1) -> list[str]:
        """Send, and read so many replies."""
        await self.send(data)
        return await self.codes(count)

    @staticmethod
    def code_of(reply: Reply) -> str:
        """`250 2.0.0`, or `354`."""
        return f"{reply.code} {reply.enhanced}" if reply.enhanced else str(reply.code)

    async def silence(self, seconds: float = 0.05) -> None:
        """See that nothing comes for a while."""
        assert not self._parser.has_input
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                octets = await self._loop.sock_recv(self.sock, 65536)
            raise AssertionError(f"unexpected: {octets!r}")

    async def closed(self) -> None:
        """See that the server closes, and says nothing more."""
        assert not self._parser.has_input
        octets = await self.receive()
        if self.layer is not None and octets:
            assert self.layer.receive(octets) == b""
            assert self.layer.has_ended
            octets = await self.receive()
        assert octets == b""

    async def probe(self) -> None:
        """See that the connection still works, and owes nothing."""
        assert await self.say("NOOP\r\n") == ["250 2.0.0"]
        await self.silence(0.02)

    async def start_tls(self, context: ssl.SSLContext | None = None, *, name: str = "localhost") -> None:
        """Do a handshake."""
        layer = TLSLayer(context or client_tls(), server_hostname=name)
        layer.start()
        await self.send_raw(layer.output())
        while not layer.is_ready:
            octets = await self.receive()
            assert octets, "the server closed in the handshake"
            self._parser.feed(layer.receive(octets))
            if output := layer.output():
                await self.send_raw(output)
        self.layer = layer

    def finish(self) -> None:
        """End our direction."""
        if self.layer is not None:
            self.layer.close()
            self.sock.send(self.layer.output())
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Vanish with an RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


async def exchange(client: RawClient) -> None:
    """See that the server works."""
    assert await client.say(EHLO + "NOOP\r\n", 2) == ["250", "250 2.0.0"]


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
