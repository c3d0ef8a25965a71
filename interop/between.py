"""Relays that stand between a client and a server: one that helps with manners, one that reads along."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

__all__ = ["Between", "hello_first", "read_along"]

_SECONDS = 30
Ends = tuple[socket.socket, socket.socket]


class Between:
    """Listens on a loopback port and joins each connection with one to another port, when `begin` is through."""

    def __init__(self, port: int, begin: Callable[[socket.socket, socket.socket], Ends]) -> None:
        self._target, self._begin = port, begin
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "Between":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(_SECONDS)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            for each in (client, server):
                each.settimeout(_SECONDS)
            with client, server, contextlib.suppress(OSError):
                ends = self._begin(client, server)
                with ends[0], ends[1]:
                    back = threading.Thread(target=_pump, args=(ends[1], ends[0]), daemon=True)
                    back.start()
                    _pump(*ends)
                    back.join(_SECONDS)


def hello_first(client: socket.socket, server: socket.socket) -> Ends:
    """Say EHLO for a client that says STARTTLS first, which RFC 3207 4 has no room for. TLS is between the two."""
    client.sendall(_reply(server))
    while not _line(client).startswith(b"STARTTLS"):
        pass
    server.sendall(b"EHLO between.example.org\r\n")
    _reply(server)
    server.sendall(b"STARTTLS\r\n")
    return client, server


def read_along(key_and_chain: Path) -> Callable[[socket.socket, socket.socket], Ends]:
    """As `hello_first`, with TLS of its own on both sides: whoever has the server's key can do that."""

    def begin(client: socket.socket, server: socket.socket) -> Ends:
        hello_first(client, server)
        ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ours.load_cert_chain(key_and_chain)
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        theirs.check_hostname, theirs.verify_mode = False, ssl.CERT_NONE
        for context in (ours, theirs):
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        client.sendall(_reply(server))
        return ours.wrap_socket(client, server_side=True), theirs.wrap_socket(server)

    return begin


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while octets := source.recv(65536):
            sink.sendall(octets)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _line(sock: socket.socket) -> bytes:
    """A line, and not an octet more."""
    octets = b""
    while not octets.endswith(b"\n"):
        octet = sock.recv(1)
        if not octet:
            raise ConnectionError("closed in the middle of a line")
        octets += octet
    return octets


def _reply(sock: socket.socket) -> bytes:
    lines = [_line(sock)]
    while lines[-1][3:4] == b"-":
        lines.append(_line(sock))
    return b"".join(lines)
