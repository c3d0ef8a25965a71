"""The asyncio side: one protocol class under client and server, and the stream that flows are driven over.

All connections of a loop read into one shared buffer, so an idle connection costs no buffer of its own; TLS is a layer
of ours above the transport, so no event loop's own TLS is involved.
"""

import asyncio
import contextlib
import inspect
import os
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from typing import cast

from smtpx.errors import ConnectError, ConnectionLost, DeadlineError, TLSError
from smtpx.net.addresses import Told
from smtpx.net.async_connect import Dialler, connected_socket
from smtpx.net.client_hello import AlpnWatch
from smtpx.net.proxies import Proxy
from smtpx.net.targets import Target
from smtpx.net.tls import TLSLayer
from smtpx.net.trace import Trace
from smtpx.protocol.facts import TLSFacts

__all__ = ["AsyncStream", "Wire", "connect"]

_READ_BYTES = 262_144
_HIGH_WATER = 1 << 20  # of a client's output; a server sets its own
_MAX_READ_AHEAD = 1 << 20


class _Shared(threading.local):
    """A loop fills the buffer and empties it in one go, so one is enough for all its connections."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(_READ_BYTES))


_shared = _Shared()


class Wire(asyncio.BufferedProtocol):
    """A connection in callbacks, with or without TLS. Subclasses say what happens with octets.

    Attributes:
        transport: set while connected.
        is_paused: the peer does not read as fast as we write.
    """

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._alpn: AlpnWatch | None = None
        self._layer: TLSLayer | None = None
        self._buffer = _shared.view
        self.is_paused = False

    # What subclasses fill in -----------------------------------------------------------------------------------------

    def octets_received(self, data: bytes) -> None:
        """Octets of SMTP have come."""

    def peer_ended(self) -> None:
        """The peer sends nothing more."""

    def tls_ready(self, facts: TLSFacts) -> None:
        """The handshake is done."""

    def tls_failed(self, error: TLSError) -> None:
        """The handshake failed, or the stream is damaged."""

    # What they use ---------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send octets of SMTP."""
        if self._layer is None:
            self.transport.write(data)
        else:
            self._layer.send(data)
            self._flush_tls()

    def begin_tls(
        self,
        context: "ssl.SSLContext",
        *,
        server_side: bool,
        server_hostname: str | None = None,
        alpn: frozenset[bytes] | None = None,
    ) -> None:
        """Start a handshake; ends in `tls_ready` or `tls_failed`.

        Args:
            alpn: protocols of which a client that names any must name one.
        """
        self._alpn = AlpnWatch(alpn) if alpn else None
        self._layer = TLSLayer(context, server_side=server_side, server_hostname=server_hostname)
        try:
            self._layer.start()
        except TLSError as error:
            self.tls_failed(error)
        self._flush_tls()

    @property
    def has_tls(self) -> bool:
        """Whether octets go through TLS, or through its handshake."""
        return self._layer is not None

    @property
    def tls_layer(self) -> TLSLayer | None:
        """The layer itself."""
        return self._layer

    def end(self) -> None:
        """Close, once everything is written."""
        if self._layer is not None and self._layer.is_ready:
            self._layer.close()
            self._flush_tls()
        self.transport.close()

    def _flush_tls(self) -> None:
        if self._layer is not None and (octets := self._layer.output()):
            self.transport.write(octets)

    # asyncio ---------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.raw_received(bytes(self._buffer[:nbytes]))

    def raw_received(self, data: bytes) -> None:
        """Octets as they came from the socket."""
        if self._layer is None:
            self.octets_received(data)
        else:
            self._tls_received(data)

    def _tls_received(self, data: bytes) -> None:
        layer = self._layer
        assert layer is not None  # noqa: S101 - only called with TLS
        was_ready = layer.is_ready
        if self._alpn is not None and not self._alpn.allows(data):
            self.tls_failed(TLSError("the client wants other protocols than mail (ALPN)", reason="alpn"))
            return
        try:
            octets = layer.receive(data)
        except TLSError as error:
            self._flush_tls()
            self.tls_failed(error)
            return
        self._flush_tls()
        if layer.is_ready and not was_ready:
            self.tls_ready(layer.facts)
        if octets:
            self.octets_received(octets)
        if layer.has_ended:
            self.peer_ended()

    def eof_received(self) -> bool:
        layer = self._layer
        if layer is not None and not layer.is_ready:
            self.tls_failed(TLSError("the peer closed the connection in the TLS handshake", reason="eof"))
        self.peer_ended()
        # We may still have something to say; but not to a TLS peer that did not take its leave: it is gone.
        return layer is None or layer.has_ended

    def pause_writing(self) -> None:
        self.is_paused = True

    def resume_writing(self) -> None:
        self.is_paused = False


class AsyncStream(Wire):
    """A client's connection, awaited by one task at a time.

    Args:
        tls: makes the context when TLS begins.
        tls_name: what the certificate must bear.
    """

    def __init__(self, tls: Callable[[], ssl.SSLContext], tls_name: str | None) -> None:
        super().__init__()
        self._make_context = tls
        self._tls_name = tls_name
        self._received: list[bytes] = []
        self._received_bytes = 0
        self._ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._wants_output = False
        self._expires = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self.trace: Trace | None = None
        self.local: object = None
        self.peer: object = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=_HIGH_WATER)
        self.local = transport.get_extra_info("sockname")
        self.peer = transport.get_extra_info("peername")
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family != getattr(socket, "AF_UNIX", None):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def send(self, pieces: tuple[bytes, ...], timeout_seconds: float) -> None:
        """Write; wait only while the peer does not keep up.

        Raises:
            ConnectionLost, DeadlineError.
        """
        self._check_alive()
        if self.trace is not None:
            self.trace("C", b"".join(pieces))
        self.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        while self.is_paused:
            self._wants_output = True
            await self._wait(timeout_seconds)
            self._check_alive()

    def _check_alive(self) -> None:
        if self._error is not None:
            raise ConnectionLost(f"the connection broke: {self._error}") from self._error
        if self.transport.is_closing():
            raise ConnectionLost("the connection is closed")

    async def receive(self, timeout_seconds: float) -> bytes:
        """Octets, empty at the end.

        Raises:
            ConnectionLost, DeadlineError, TLSError.
        """
        while not self._received:
            if isinstance(self._error, TLSError):
                raise self._error
            if self._ended:
                return b""
            await self._wait(timeout_seconds)
        return self._take()

    def poll(self) -> bytes | None:
        """Octets that are there already, empty at the end, or None."""
        if self._received:
            return self._take()
        return b"" if self._ended else None

    def _take(self) -> bytes:
        data = self._received[0] if len(self._received) == 1 else b"".join(self._received)
        self._received.clear()
        if self._received_bytes > _MAX_READ_AHEAD and not self._ended:
            self.transport.resume_reading()
        self._received_bytes = 0
        if self.trace is not None:
            self.trace("S", data)
        return data

    async def start_tls(self, timeout_seconds: float) -> TLSFacts:
        """Do the handshake.

        Raises:
            TLSError, DeadlineError.
        """
        if self._received:  # it came in clear, and must not be taken for what is said under TLS
            raise TLSError("the server sent octets in clear where TLS begins")
        self.begin_tls(self._make_context(), server_side=False, server_hostname=self._tls_name)
        until = self._loop.time() + timeout_seconds
        while True:
            if isinstance(self._error, TLSError):
                raise self._error
            layer = self._layer
            if layer is not None and layer.is_ready:
                return layer.facts
            if self._ended:
                raise TLSError("the server closed the connection in the TLS handshake", reason="eof")
            await self._wait(max(until - self._loop.time(), 0))

    async def call(self, function: Callable[[], object], timeout_seconds: float) -> object:
        """What a function gives: a coroutine function's is awaited, any other runs in a thread, for it may block.

        Raises:
            DeadlineError.
        """
        patience = asyncio.timeout(timeout_seconds)
        try:
            async with patience:
                found = function() if inspect.iscoroutinefunction(function) else await asyncio.to_thread(function)
                return await cast("Awaitable[object]", found) if inspect.isawaitable(found) else found
        except TimeoutError as error:
            if not patience.expired():
                raise
            raise DeadlineError("a callable of ours took too long") from error

    def close(self) -> None:
        """Close at once; may be called again."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.transport.is_closing():
            if self._layer is not None and self._layer.is_ready:
                self._layer.close()
                self._flush_tls()
            if self.transport.get_write_buffer_size():
                self.transport.abort()
            else:
                self.transport.close()
        self._wake()

    @property
    def is_closed(self) -> bool:
        """Whether it was closed here."""
        return self.transport.is_closing()

    # One timer for each stream, moved along lazily: arming it costs an assignment.

    async def _wait(self, timeout_seconds: float) -> None:
        self._waiter = waiter = self._loop.create_future()
        self._expires = self._loop.time() + timeout_seconds
        if self._timer is None or self._timer.when() > self._expires:
            self._arm()
        try:
            await waiter
        finally:
            self._waiter = None
            self._wants_output = False

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._expires, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if self._loop.time() < self._expires:
            self._arm()
        else:
            self._waiter.set_exception(DeadlineError("the server took too long"))

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def octets_received(self, data: bytes) -> None:
        self._received.append(data)
        self._received_bytes += len(data)
        if self._received_bytes > _MAX_READ_AHEAD:
            self.transport.pause_reading()
        if not self._wants_output:
            self._wake()

    def peer_ended(self) -> None:
        self._ended = True
        self._wake()

    def tls_ready(self, facts: TLSFacts) -> None:
        self._wake()

    def tls_failed(self, error: TLSError) -> None:
        self._error = error
        self.transport.abort()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._error = self._error or exc
        self._wake()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._wake()


async def connect(
    target: Target,
    tls: Callable[[], ssl.SSLContext],
    timeout_seconds: float,
    dialler: Dialler | None = None,
    proxy: Proxy | None = None,
    told: Told | None = None,
) -> AsyncStream:
    """A connected stream; several addresses of a host are tried side by side (RFC 8305).

    Args:
        tls: makes the context when TLS begins.
        dialler: gives a connected socket, or an awaitable of one, in place of our own connecting.
        proxy: to go through.
        told: hears of addresses that fail.

    Raises:
        ConnectError.
    """
    try:
        sock = await connected_socket(target, timeout_seconds, dialler, proxy, told)
        loop = asyncio.get_running_loop()
        _, stream = await loop.create_connection(lambda: AsyncStream(tls, target.tls_name), sock=sock)
    except TimeoutError as error:
        raise ConnectError(f"can't connect to {target}: no answer in {timeout_seconds:g} s", stage="connect") from error
    except ConnectError:
        raise
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise ConnectError(f"can't connect to {target}: {reason}", stage="connect") from error
    return stream
