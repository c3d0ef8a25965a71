"""The blocking stream: a socket that is read while it is written to, so that two full buffers never stop both sides."""

import select
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from smtpx.errors import ConfigurationError, ConnectError, ConnectionLost, DeadlineError, TLSError
from smtpx.net.addresses import Failures, Told, not_found, places
from smtpx.net.deadlines import now
from smtpx.net.lookup import look_up
from smtpx.net.race import race
from smtpx.net.targets import Target
from smtpx.net.trace import Trace
from smtpx.protocol.facts import TLSFacts

if TYPE_CHECKING:
    import ssl

    from smtpx.net.tls import TLSLayer

__all__ = ["SocketStream", "connect", "dial"]

_READ_BYTES = 65536
_MAX_READ_AHEAD = 1 << 20  # what is kept of a peer that talks while we write
_IN, _OUT = 1, 4  # as POLLIN and POLLOUT are everywhere
_AF_UNIX = getattr(socket, "AF_UNIX", None)


def dial(dialler: Callable[[Target, float], object], target: Target, timeout_seconds: float) -> socket.socket:
    """A connected socket from a caller's own dialler.

    Raises:
        ConnectError: if it raises an OSError.
        ConfigurationError: if what it gives is not connected.
    """
    try:
        sock = cast("socket.socket", dialler(target, timeout_seconds))
    except ConnectError:
        raise
    except OSError as error:
        raise ConnectError(f"can't connect to {target}: {error}", stage="connect") from error
    check_connected(sock)
    return sock


def check_connected(sock: socket.socket) -> None:
    """See that a dialler's socket has a peer; it is closed if not.

    Raises:
        ConfigurationError.
    """
    try:
        sock.getpeername()
    except OSError as error:
        sock.close()
        raise ConfigurationError(f"the dialler gave a socket that is not connected: {error}") from error


def connect(target: Target, timeout_seconds: float, told: Told | None = None) -> socket.socket:
    """A connected socket; several addresses of a host are tried side by side (RFC 8305).

    Raises:
        ConnectError: naming every address tried and why it failed.
    """
    if target.unix_path is not None:
        return _connect_unix(target.unix_path, timeout_seconds)
    end = now() + timeout_seconds
    try:
        found = look_up(target.host, target.port, timeout_seconds)
    except (OSError, UnicodeError) as error:
        raise not_found(target, error) from error
    return race(places(target, found), target.local_address, end - now(), Failures(target, told))


def _connect_unix(path: str, timeout_seconds: float) -> socket.socket:
    if _AF_UNIX is None:
        raise ConnectError("this system has no unix sockets", stage="connect")
    sock = socket.socket(_AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_seconds)
        sock.connect(path)
    except OSError as error:
        sock.close()
        raise ConnectError(f"can't connect to {path}: {error.strerror or error}", stage="connect") from error
    except BaseException:
        sock.close()
        raise
    return sock


class SocketStream:
    """A connected socket, with or without TLS.

    Args:
        sock: is owned from now on.
        tls: makes the context when TLS begins; only then is it needed.
        tls_name: what the certificate must bear.
    """

    def __init__(self, sock: socket.socket, tls: "Callable[[], ssl.SSLContext]", tls_name: str | None) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._make_context = tls
        self._tls_name = tls_name
        self._layer: TLSLayer | None = None
        self._received: list[bytes] = []
        self._received_bytes = 0
        self._ended = False
        self._closed = False
        self.trace: Trace | None = None
        self.local: object = sock.getsockname()
        self.peer: object = sock.getpeername()

    def send(self, pieces: tuple[bytes, ...], timeout_seconds: float) -> None:
        """Write all of it.

        Raises:
            ConnectionLost, DeadlineError.
        """
        if self.trace is not None:
            self.trace("C", b"".join(pieces))
        if self._layer is None:
            for piece in pieces if len(pieces) == 1 or sum(map(len, pieces)) > _READ_BYTES else (b"".join(pieces),):
                self._write(piece, timeout_seconds)
        else:
            for piece in pieces:
                self._layer.send(piece)
            self._write(self._layer.output(), timeout_seconds)

    def _write(self, data: bytes, timeout_seconds: float) -> None:
        view = memoryview(data)
        end = now() + timeout_seconds
        while view:
            try:
                view = view[self._sock.send(view) :]
                end = now() + timeout_seconds  # the wait is for progress, not for the whole
            except (BlockingIOError, InterruptedError):
                self._wait(_OUT | (_IN if self._may_read() else 0), end)
                self._read_available()
            except OSError as error:
                self._read_available()
                raise ConnectionLost(f"the connection broke while writing: {error.strerror or error}") from error

    def _may_read(self) -> bool:
        return not self._ended and self._received_bytes < _MAX_READ_AHEAD

    def _wait(self, events: int, end: float) -> None:
        if not _ready(self._sock, events, max(end - now(), 0)):
            raise DeadlineError("the server took too long")

    def receive(self, timeout_seconds: float) -> bytes:
        """Octets, empty at the end.

        Raises:
            ConnectionLost, DeadlineError, TLSError.
        """
        end = now() + timeout_seconds
        while not self._received:
            if self._ended:
                return b""
            if not self._read_available():
                self._wait(_IN, end)
        data = self._received.pop(0)
        self._received_bytes -= len(data)
        if self.trace is not None:
            self.trace("S", data)
        return data

    def poll(self) -> bytes | None:
        """Octets that are there already, empty at the end, or None."""
        if not self._received and not self._ended:
            self._read_available()
        if self._received:
            return self.receive(0)
        return b"" if self._ended else None

    def _read_available(self) -> bool:
        """Read once; False when nothing is there."""
        if not self._may_read():
            return False
        try:
            data = self._sock.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""  # reset by the peer: what came before still counts
        self._ended = not data
        if self._layer is not None and (data or self._layer.is_ready):
            data = self._layer.receive(data)
            self._ended = self._ended or self._layer.has_ended
        if data:
            self._received.append(data)
            self._received_bytes += len(data)
        return True

    def start_tls(self, timeout_seconds: float) -> TLSFacts:
        """Do the handshake.

        Raises:
            TLSError, ConnectionLost, DeadlineError.
        """
        from smtpx.net.tls import TLSLayer  # who sends in clear never loads ssl

        if self._received:  # it came in clear, and must not be taken for what is said under TLS
            raise TLSError("the server sent octets in clear where TLS begins")
        end = now() + timeout_seconds
        self._layer = layer = TLSLayer(self._make_context(), server_hostname=self._tls_name)
        layer.start()
        while not layer.is_ready:
            self._write(layer.output(), max(end - now(), 0))
            self._wait(_IN, end)
            self._read_available()
            if self._ended and not layer.is_ready:
                raise TLSError("the server closed the connection in the TLS handshake", reason="eof")
        self._write(layer.output(), max(end - now(), 0))
        return layer.facts

    def interrupt(self) -> None:
        """For another thread: end what is waited for here, as if the peer had gone. `close` is still due."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close at once; may be called again."""
        if self._closed:
            return
        self._closed = self._ended = True
        if self._layer is not None:
            self._layer.close()
            with suppress(OSError):
                self._sock.send(self._layer.output())  # an alert; if it can't be sent at once, then not at all
        self._sock.close()

    @property
    def tls_layer(self) -> "TLSLayer | None":
        """The layer itself."""
        return self._layer

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed


def _ready(sock: socket.socket, events: int, seconds: float) -> bool:
    if hasattr(select, "poll"):  # which has no limit on descriptor numbers; Windows lacks it
        poll = select.poll()
        poll.register(sock, events)
        return bool(poll.poll(seconds * 1000))
    reading, writing = [sock] * bool(events & _IN), [sock] * bool(events & _OUT)
    return any(select.select(reading, writing, writing, seconds))
