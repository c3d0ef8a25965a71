"""What a hostile or broken server may do to a client, as rows: where it happens, what is done, what must come of it."""

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from smtpx.errors import (
    AuthenticationError,
    ConnectionLost,
    DeadlineError,
    PermanentRefusal,
    RemoteProtocolError,
    TemporaryRefusal,
)
from tests.cli.peers import FakeServer

__all__ = ["ROWS", "Row", "tls_servers"]

Act = Callable[[socket.socket], None]
_MIB = 1024 * 1024
_STAGES = ("greeting", "EHLO", "MAIL", "RCPT", "DATA", ".")
_NAMES = {"greeting": "greeting", "EHLO": "hello", "MAIL": "mail", "RCPT": "rcpt", "DATA": "data", ".": "final"}
_USUAL = {
    "greeting": b"220 fake.example ESMTP\r\n",
    "EHLO": b"250-fake.example\r\n250 8BITMIME\r\n",
    "DATA": b"354 go\r\n",
}


def endless(octets: bytes, *, at_most: int = 100 * _MIB, pause_seconds: float = 0) -> Act:
    """Says the same again and again; the client must have closed before the end of it."""

    def act(connection: socket.socket) -> None:
        sent = 0
        with contextlib.suppress(OSError):
            while sent < at_most:
                connection.sendall(octets)
                sent += len(octets)
                time.sleep(pause_seconds)
            raise AssertionError("the client took all of it")

    return act


def say(*pieces: bytes, pause_seconds: float = 0.02) -> Act:
    """Says this in pieces."""

    def act(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause_seconds)

    return act


def vanish(said: bytes = b"") -> Act:
    """Closes, perhaps in the middle of a reply."""

    def act(connection: socket.socket) -> None:
        connection.sendall(said)
        connection.shutdown(socket.SHUT_RDWR)

    return act


def half_close(said: bytes = b"") -> Act:
    """Says nothing more, and goes on listening."""

    def act(connection: socket.socket) -> None:
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while connection.recv(65536):
                pass

    return act


def reset(said: bytes = b"") -> Act:
    """Ends the connection by RST."""

    def act(connection: socket.socket) -> None:
        connection.sendall(said)
        time.sleep(0.02)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionResetError("the server closes now")

    return act


def silence(connection: socket.socket) -> None:
    """Waits for the client to close."""
    with contextlib.suppress(OSError):
        while connection.recv(65536):
            pass


@dataclass(frozen=True)
class Row:
    """One behaviour. `where`: the verb it happens at, "greeting", or "." for the end of the data.

    `error` is what a client raises, None when the message counts as sent; `status` is that of `smtpx send`.
    """

    name: str
    where: str
    act: Act | bytes
    error: type[Exception] | None
    status: int
    offers: Sequence[str] = ("8BITMIME",)
    stage: str | None = None
    options: dict[str, str] = field(default_factory=dict[str, str])
    user: str = ""
    timeout_seconds: float = 5.0

    def server(self) -> FakeServer:
        """A server that behaves so."""
        if self.where == "greeting":
            return FakeServer(offers=self.offers, greeting=self.act)
        return FakeServer({self.where: self.act}, offers=self.offers)


def _usual(where: str) -> bytes:
    return _USUAL.get(where, b"250 2.0.0 ok\r\n")


def _broken(name: str, act: Act | bytes, where: Sequence[str] = _STAGES) -> list[Row]:
    """A breach of the protocol at each of these stages."""
    return [Row(f"{name} at {each}", each, act, RemoteProtocolError, 76, stage=_NAMES[each]) for each in where]


def _gone(name: str, act: Act) -> list[Row]:
    return [Row(f"{name} at {each}", each, act, ConnectionLost, 75, stage=_NAMES[each]) for each in _STAGES]


def _late(name: str, act: Act) -> list[Row]:
    return [
        Row(f"{name} at {each}", each, act, DeadlineError, 75, stage=_NAMES[each], timeout_seconds=0.5)
        for each in _STAGES
    ]


def _more_at(where: str, more: bytes, name: str, error: type[Exception] | None, status: int) -> Row:
    return Row(f"{name} behind {where}", where, say(_usual(where) + more), error, status)


ROWS: tuple[Row, ...] = (
    # H057: replies without measure
    *_broken("h057 endless continuation lines", endless(b"250-x\r\n" * 1000)),
    *_broken("h057 endless continuation lines of two letters", endless(b"250-\r\n" * 1000), ["EHLO"]),
    *_broken("h057 a line of 100 MB", endless(b"x" * _MIB)),
    *_broken("h057 a line of 100 MB that begins well", endless(b"250 " + b"x" * _MIB), ["EHLO", "."]),
    *_broken("h057 100 MB of NULs", endless(bytes(_MIB)), ["greeting", "MAIL"]),
    *_broken("h057 a flood of replies", endless(b"999 ok\r\n" * 10_000), ["greeting", "MAIL"]),
    # H057: what is no reply
    *_broken("NULs", bytes(100) + b"\r\n"),
    *_broken("an empty line", b"\r\n", ["greeting", "EHLO", "MAIL"]),
    *_broken("a code of two digits", b"25 x\r\n", ["greeting", "MAIL"]),
    *_broken("a code of four digits", b"2500 x\r\n", ["greeting", "MAIL"]),
    *_broken("a code below 200", b"199 x\r\n", ["greeting", "MAIL"]),
    *_broken("a code above 599", b"600 x\r\n", ["greeting", "MAIL"]),
    *_broken("a code in other digits", "٢٥٠ x\r\n".encode(), ["MAIL"]),
    *_broken("two codes in one reply", b"250-a\r\n550 b\r\n"),
    *_broken("an LF alone", b"250 a\n250 b\n", ["greeting", "EHLO", "MAIL"]),
    *_broken("a CR alone", b"250 a\rb\r\n", ["MAIL"]),
    *_broken("HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n", ["greeting"]),
    *_broken("SSH", b"SSH-2.0-OpenSSH_9.9\r\n", ["greeting"]),
    *_broken("a TLS alert", b"\x15\x03\x01\x00\x02\x02\x28\r\n", ["greeting"]),
    # Codes that make no sense where they stand
    *_broken("250", b"250 ok\r\n", ["greeting", "DATA"]),
    *_broken("354", b"354 go\r\n", ["greeting", "EHLO", "MAIL", "RCPT", "."]),
    *_broken("334", b"334 eA==\r\n", ["greeting", "EHLO", "MAIL", "."]),
    *_broken("235", b"235 ok\r\n", ["greeting", "DATA"]),
    # H058: replies nobody asked for
    _more_at("greeting", b"250 early\r\n", "h058 a reply", RemoteProtocolError, 76),
    _more_at("EHLO", b"250 again\r\n", "h058 a reply", RemoteProtocolError, 76),
    _more_at("MAIL", b"250 injected\r\n", "h058 a reply", RemoteProtocolError, 76),
    _more_at("RCPT", b"354 injected\r\n", "h058 a reply", RemoteProtocolError, 76),
    _more_at("DATA", b"250 taken\r\n", "h058 success before the end", RemoteProtocolError, 76),
    _more_at("DATA", b"552 5.3.4 too much\r\n", "h058 a refusal before the end", PermanentRefusal, 69),
    _more_at("DATA", b"421 4.3.2 later\r\n", "h058 a 421 before the end", TemporaryRefusal, 75),
    _more_at(".", b"250 once more\r\n" * 5, "h058 success said again", None, 0),
    _more_at(".", b"550 no after all\r\n", "h058 a change of mind", None, 0),
    # Those who vanish
    *_gone("vanishes", vanish()),
    *_gone("vanishes in a reply", vanish(b"250-x\r\n25")),
    *_gone("half-closes", half_close()),
    *_gone("half-closes in a reply", half_close(b"2")),
    *_gone("resets", reset()),
    *_gone("resets in a reply", reset(b"250-x\r\n")),
    # Those who take their time
    *_late("says nothing", silence),
    *_late("one octet now and then", endless(b"2", pause_seconds=0.05)),
    *_late("one line now and then", endless(b"250-x\r\n", pause_seconds=0.05)),
    *_late("half a reply, and nothing more", lambda sock: (sock.sendall(b"250-x\r\n"), silence(sock))[1]),
    # T15: 421 wherever it likes
    *[Row(f"421 at {each}", each, b"421 4.3.2 bye\r\n", TemporaryRefusal, 75) for each in _STAGES],
    # EHLO
    Row(
        "ehlo a thousand keywords",
        "EHLO",
        b"250-X%d\r\n" * 1000 % (*range(1000),) + b"250 x\r\n",
        RemoteProtocolError,
        76,
    ),
    Row("ehlo long keywords", "EHLO", (b"250-" + b"X" * 4000 + b"\r\n") * 30 + b"250 x\r\n", RemoteProtocolError, 76),
    Row("ehlo what fits", "EHLO", b"250-X%d\r\n" * 250 % (*range(250),) + b"250 x\r\n", None, 0),
    Row(
        "ehlo keywords of nonsense",
        "EHLO",
        b"250-x\r\n250-SIZE \xff\r\n250-=\r\n250-AUTH=\r\n250-SIZE 99999999999999999999999\r\n250-LIMITS =\r\n"
        b"250-PIPELINING PIPELINING\r\n250-\0\x1b[2J\r\n250 \r\n",
        None,
        0,
    ),
    Row("ehlo refused, helo broken", "EHLO", b"500 what?\r\n502 what?\r\n", RemoteProtocolError, 76),
    # AUTH
    Row(
        "auth questions without end",
        "AUTH",
        b"334 eA==\r\n",
        RemoteProtocolError,
        76,
        offers=["AUTH PLAIN"],
        user="u:p@",
    ),
    Row("auth not base64", "AUTH", b"334 ***\r\n", RemoteProtocolError, 76, offers=["AUTH PLAIN"], user="u:p@"),
    Row("auth 354", "AUTH", b"354 go\r\n", RemoteProtocolError, 76, offers=["AUTH PLAIN"], user="u:p@"),
    Row("auth vanishes", "AUTH", vanish(), ConnectionLost, 75, offers=["AUTH PLAIN"], user="u:p@"),
    Row(
        "auth scram believed at once",
        "AUTH",
        b"235 ok\r\n",
        AuthenticationError,
        77,
        offers=["AUTH SCRAM-SHA-256"],
        user="u:p@",
    ),
    # The end
    Row("quit never answered", "QUIT", silence, None, 0, timeout_seconds=1.0),
    Row("quit flooded", "QUIT", endless(b"250-x\r\n" * 1000), None, 0),
    Row("quit garbage", "QUIT", bytes(500), None, 0, timeout_seconds=1.0),
    Row("quit reset", "QUIT", reset(), None, 0),
)
assert len({row.name for row in ROWS}) == len(ROWS)


def _behind_220(octets: bytes, then: Act) -> Act:
    """A 220 to STARTTLS, and when the ClientHello has come, this in place of a handshake."""

    def act(connection: socket.socket) -> None:
        connection.sendall(b"220 go\r\n")
        connection.recv(1)
        connection.sendall(octets)
        then(connection)
        raise ConnectionAbortedError("nothing behind it is SMTP")

    return act


def _first(octets: bytes, then: Act) -> Act:
    """This in place of a handshake, to a client that begins with one."""

    def act(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(octets)
        then(connection)
        raise ConnectionAbortedError("nothing behind it is SMTP")

    return act


# The beginning of a handshake, and what does not belong there: 75 whatever it is.
HANDSHAKES: dict[str, tuple[bytes, Act]] = {
    "garbage": (bytes(range(256)) * 8, silence),
    "SMTP in clear": (b"250-x\r\n250 AUTH PLAIN\r\n", silence),
    "a fatal alert": (b"\x15\x03\x03\x00\x02\x02\x28", silence),
    "half a record": (b"\x16\x03\x03\x40\x00\x02", silence),
    "half a record, and vanishes": (b"\x16\x03\x03\x40\x00\x02", vanish()),
    "nothing, and vanishes": (b"", vanish()),
    "nothing, and resets": (b"", reset()),
    "nothing, and half-closes": (b"", half_close()),
    "nothing": (b"", silence),
    "octets now and then": (b"\x16\x03\x03\x40\x00", endless(b"\x02", pause_seconds=0.05)),
    "records without end": (b"", endless(b"\x16\x03\x03\x40\x00" + b"\x02" * 0x4000)),
    "HelloRequests without end, which OpenSSL overlooks": (
        b"",
        endless(b"\x16\x03\x03\x40\x00" + bytes(0x4000), at_most=1 << 40),
    ),
}


def tls_servers() -> list[tuple[str, str, Callable[[], FakeServer]]]:
    """Names, URL schemes, and servers whose handshakes are none."""
    rows: list[tuple[str, str, Callable[[], FakeServer]]] = []
    for name, (octets, then) in HANDSHAKES.items():
        first, behind = _first(octets, then), _behind_220(octets, then)
        rows.append((f"{name}, at once", "smtps", partial(FakeServer, greeting=first)))
        rows.append(
            (f"{name}, behind 220", "submission", partial(FakeServer, {"STARTTLS": behind}, offers=["STARTTLS"]))
        )
    return rows
