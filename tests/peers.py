"""Scripted servers: one in memory that drives flows, one on a loopback socket; and the two colours behind one face.

A dialogue is text, one line for each line on the wire:

    S: 220 ready          the server says this
    C: EHLO me            the client must have said this, octet for octet, before the server goes on
    P: 421 bye            lies there when the client looks without waiting
    TLS                   a handshake
    EOF                   the server closes
    LOST, LATE, NOTLS     in memory: the next write fails, the next wait ends, the handshake fails
    CLOSE                 in memory: the client must have closed
"""
# ruff: noqa: ANN401 - flows, and faces of either colour, have no common type

import asyncio
import inspect
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from smtpx.client.aio import AsyncClient, AsyncConnection
from smtpx.client.sync import Client, Connection
from smtpx.errors import ConnectionLost, DeadlineError, TLSError
from smtpx.flows.steps import Call, Close, NextChunk, Poll, Receive, Send, StartTLS, Step
from smtpx.protocol.facts import TLSFacts

__all__ = ["FACTS", "Colour", "Dialogue", "ScriptedServer", "colour_of"]

FACTS = TLSFacts("TLSv1.3", "TLS_AES_128_GCM_SHA256", verified=True)
Turn = tuple[str, bytes]
_WORDS = ("EOF", "LOST", "LATE", "TLS", "NOTLS", "CLOSE")


def turns(dialogue: str) -> list[Turn]:
    """The turns of a dialogue; lines of one side that follow each other are one turn."""
    found: list[Turn] = []
    for line in dialogue.strip().splitlines():
        text = line.strip()
        if not text:
            continue
        if text in _WORDS:
            found.append((text, b""))
            continue
        side, _, rest = text.partition(":")
        assert side in ("C", "S", "P"), text
        octets = (rest.removeprefix(" ") + "\r\n").encode()
        if found and found[-1][0] == side != "P":
            found[-1] = (side, found[-1][1] + octets)
        else:
            found.append((side, octets))
    return found


class Dialogue:
    """Drives flows against a script, whole or octet by octet, and keeps what the client wrote."""

    def __init__(self, text: str, *, cut: int | None = None, chunks: Sequence[bytes | Exception] = ()) -> None:
        self._turns = turns(text)
        self._cut = cut
        self._chunks = list(chunks)
        self._incoming = b""
        self._unmatched = b""
        self.written = b""
        self.writes: list[bytes] = []
        self.closed = False

    def read_from(self, source: Iterable[bytes]) -> None:
        """Content for the next flow; what its source raises comes where it would."""
        self._chunks = []
        try:
            self._chunks.extend(source)
        except Exception as error:
            self._chunks.append(error)

    def run(self, flow: Any) -> Any:
        """The flow's result; its exceptions pass."""
        try:
            step = next(flow)
            while True:
                try:
                    answer = self._perform(step)
                except Exception as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(answer)
        except StopIteration as stop:
            return stop.value

    def done(self) -> None:
        """See that the dialogue was played to its end."""
        self._match()
        assert not self._unmatched, f"said without being asked: {self._unmatched!r}"
        assert not self._turns, f"never happened: {self._turns}"
        assert not self._incoming, f"never read: {self._incoming!r}"

    def _next_is(self, *kinds: str) -> bool:
        return bool(self._turns) and self._turns[0][0] in kinds

    def _match(self) -> None:
        while self._next_is("C") and self._unmatched:
            expected = self._turns[0][1]
            got, self._unmatched = self._unmatched[: len(expected)], self._unmatched[len(expected) :]
            if len(got) < len(expected) and expected.startswith(got):
                self._unmatched = got
                return
            assert got == expected
            self._turns.pop(0)

    def _perform(self, step: Step) -> Any:
        match step:
            case Send(pieces, timeout):
                assert timeout >= 0
                self._match()
                if self._next_is("LOST"):
                    self._turns.pop(0)
                    raise ConnectionLost("the connection broke")
                octets = b"".join(pieces)
                self.writes.append(octets)
                self.written += octets
                self._unmatched += octets
            case Receive(timeout):
                assert timeout > 0
                return self._receive()
            case Poll():
                return self._poll()
            case NextChunk():
                return self._chunk()
            case StartTLS():
                self._match()
                kind = self._turns.pop(0)[0]
                if kind == "NOTLS":
                    raise TLSError("the handshake failed")
                assert kind == "TLS"
                return FACTS
            case Call(function):
                return function()
            case Close():
                self._match()
                if self._next_is("CLOSE"):
                    self._turns.pop(0)
                self.closed = True
        return None

    def _receive(self) -> bytes:
        self._match()
        if not self._incoming:
            assert not self._next_is("C"), f"waits, but should have said {self._turns[0][1]!r}"
            assert not self._unmatched, f"said without being asked: {self._unmatched!r}"
            kind, octets = self._turns.pop(0) if self._turns else ("EOF", b"")
            if kind == "LATE":
                raise DeadlineError("the server took too long")
            assert kind in ("S", "EOF"), kind
            self._incoming = octets
        size = self._cut or len(self._incoming)
        octets, self._incoming = self._incoming[:size], self._incoming[size:]
        return octets

    def _poll(self) -> bytes | None:
        self._match()
        if self._next_is("P"):
            return self._turns.pop(0)[1]
        if self._next_is("EOF"):
            self._turns.pop(0)
            return b""
        return None

    def _chunk(self) -> bytes | None:
        piece = self._chunks.pop(0) if self._chunks else None
        if isinstance(piece, Exception):
            raise piece
        return piece


class ScriptedServer:
    """A server on a loopback socket: each connection gets the next dialogue, the last one again and again.

    Args:
        tls: for `TLS` turns.
        small_buffers: socket buffers of 4 KiB.
        act: instead of dialogues, what to do with each connected socket.
        tolerant: what the client does against the script is no failure of the test.
    """

    def __init__(
        self,
        *dialogues: str,
        tls: ssl.SSLContext | None = None,
        small_buffers: bool = False,
        act: Callable[[socket.socket], None] | None = None,
        tolerant: bool = False,
    ) -> None:
        self._tolerant = tolerant
        self._dialogues = [turns(each) for each in dialogues]
        self._tls = tls
        self._act = act
        self._listener = socket.create_server(("127.0.0.1", 0))
        if small_buffers:
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                self._listener.setsockopt(socket.SOL_SOCKET, option, 4096)
        self.port: int = self._listener.getsockname()[1]
        self.heard: list[bytes] = []
        self.errors: list[str] = []
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._closing = False
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def connections(self) -> int:
        """How many there were."""
        return len(self.heard)

    def __enter__(self) -> "ScriptedServer":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._closing = True
        with socket.create_connection(("127.0.0.1", self.port)):
            pass
        self._accepting.join()
        self._listener.close()
        for thread in self._threads:
            thread.join(3)
        for sock in self._sockets:
            sock.close()
        if kind is None and not self._tolerant:
            assert not self.errors, self.errors

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            if self._closing:
                sock.close()
                return
            sock.settimeout(20)
            self._sockets.append(sock)
            index = len(self.heard)
            self.heard.append(b"")
            thread = threading.Thread(target=self._serve, args=(sock, index), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, index: int) -> None:
        try:
            if self._act is not None:
                self._act(sock)
            else:
                self._converse(sock, index, self._dialogues[min(index, len(self._dialogues) - 1)])
        except (OSError, ValueError) as error:
            if not self._closing:
                self.errors.append(f"{type(error).__name__}: {error}")

    def _converse(self, sock: socket.socket, index: int, script: list[Turn]) -> None:
        for kind, octets in script:
            if kind in ("S", "P"):
                sock.sendall(octets)
            elif kind == "TLS":
                assert self._tls is not None
                try:
                    sock = self._tls.wrap_socket(sock, server_side=True)
                except OSError:
                    return  # the client does not like our certificate
                self._sockets.append(sock)
            elif kind == "EOF":
                sock.shutdown(socket.SHUT_RDWR)
                return
            elif kind == "C" and not self._expect(sock, index, octets):
                return
        with suppress(ConnectionResetError):  # whoever leaves without reading our last word resets the connection
            while data := sock.recv(65536):
                self.heard[index] += data
                if script:
                    self.errors.append(f"said behind the end: {data!r}")

    def _expect(self, sock: socket.socket, index: int, expected: bytes) -> bool:
        got = b""
        while len(got) < len(expected):
            data = sock.recv(len(expected) - len(got))
            if not data:
                self.errors.append(f"closed instead of {expected[len(got) :]!r}, behind {got!r}")
                return False
            got += data
            self.heard[index] += data
        if got != expected:
            self.errors.append(f"{got!r} instead of {expected!r}")
        return got == expected


class Colour:
    """The blocking client, or the awaited one behind a blocking face."""

    def __init__(self, *, is_async: bool) -> None:
        self.is_async = is_async
        self._loop = asyncio.new_event_loop() if is_async else None

    def __repr__(self) -> str:
        return "async" if self.is_async else "sync"

    def open(self, url: str, **options: Any) -> Any:
        """An open connection."""
        if not self.is_async:
            return Connection.open(url, **options)
        return self.settle(AsyncConnection.open(url, **options))

    def client(self, url: str, **options: Any) -> Any:
        """A client."""
        return self.settle(AsyncClient(url, **options)) if self.is_async else Client(url, **options)

    def close(self) -> None:
        """End the loop; nothing may be left in it."""
        if self._loop is None:
            return
        self._loop.run_until_complete(asyncio.sleep(0))
        assert not asyncio.all_tasks(self._loop)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def settle(self, value: Any) -> Any:
        """A value, awaited and behind a blocking face where that is due."""
        assert self._loop is not None
        if inspect.isawaitable(value):
            value = self._loop.run_until_complete(_awaited(value))
        return _Face(self, value) if hasattr(value, "__aenter__") else value


class _Face:
    def __init__(self, colour: Colour, target: Any) -> None:
        self._colour = colour
        self._target = target

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value):
            return value
        return lambda *args, **options: self._colour.settle(value(*args, **options))

    def __enter__(self) -> Any:
        return self._colour.settle(self._target.__aenter__())

    def __exit__(self, *details: Any) -> None:
        self._colour.settle(self._target.__aexit__(*details))


async def _awaited(value: Any) -> Any:
    return await value


@contextmanager
def colour_of(name: str) -> Iterator[Colour]:
    """A colour by name, ended properly."""
    colour = Colour(is_async=name == "async")
    try:
        yield colour
    finally:
        colour.close()
