"""The blocking stream: one socket that is read while it is written to, so that two full buffers never stop both sides."""

import select
import socket
import ssl
from collections.abc import Callable
from typing import Any

from smtpx.errors import ConnectError, ConnectionLost, DeadlineError, TLSError
from smtpx.net.deadlines import now
from smtpx.net.targets import Target
from smtpx.net.tls import TLSLayer
from smtpx.net.trace import Trace
from smtpx.protocol.facts import TLSFacts

__all__ = ["SocketStream", "connect"]

_READ_BYTES = 65536
_MAX_READ_AHEAD = 1 << 20  # what is kept of a peer that talks while we write


def connect(target: Target, timeout_seconds: float) -> socket.socket:
    """A connected socket; each address of the host is tried in turn.

    Raises:
        ConnectError: naming every address tried and why it failed.
    """
    if target.unix_path is not None:
        return _connect_one(socket.AF_UNIX, target.unix_path, None, target, timeout_seconds)
    end = now() + timeout_seconds
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConnectError(f"can't find {target.host}: {error}", stage="connect") from error
    family = _family(target.local_address)
    found = [each for each in found if family in (None, each[0])]
    if not found:
        raise ConnectError(f"{target.host} has no address of the family of {target.local_address}", stage="connect")
    failures: list[str] = []
    for kind, _, _, _, address in found:
        try:
            return _connect_one(kind, address, target.local_address, target, max(end - now(), 0.001))
        except ConnectError as error:
            failures.append(error.message)
    raise ConnectError("; ".join(failures), stage="connect")


def _family(local_address: str | None) -> int | None:
    if local_address is None:
        return None
    return socket.AF_INET6 if ":" in local_address else socket.AF_INET


def _connect_one(kind: int, address: Any, local: str | None, target: Target, timeout_seconds: float) -> socket.socket:
    sock = socket.socket(kind, socket.SOCK_STREAM)
    try:
        if local is not None:
            sock.bind((local, 0))
        sock.settimeout(timeout_seconds)
        sock.connect(address)
        if kind != getattr(socket, "AF_UNIX", None):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        sock.close()
        where = f"{address[0]} port {address[1]}" if isinstance(address, tuple) else str(address)
        from_where = f" from {local}" if local else ""
        raise ConnectError(f"can't connect to {where}{from_where}: {error.strerror or error}", stage="connect") from error
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

    def __init__(self, sock: socket.socket, tls: Callable[[], ssl.SSLContext], tls_name: str | None) -> None:
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
        self.local: Any = sock.getsockname()
        self.peer: Any = sock.getpeername()

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
                self._wait(select.POLLOUT | (select.POLLIN if self._may_read() else 0), end)
                self._read_available()
            except OSError as error:
                self._read_available()
                raise ConnectionLost(f"the connection broke while writing: {error.strerror or error}") from error

    def _may_read(self) -> bool:
        return not self._ended and self._received_bytes < _MAX_READ_AHEAD

    def _wait(self, events: int, end: float) -> None:
        poll = select.poll()
        poll.register(self._sock, events)
        if not poll.poll(max(end - now(), 0) * 1000):
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
                self._wait(select.POLLIN, end)
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
        if self._layer is not None:
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
        end = now() + timeout_seconds
        layer = TLSLayer(self._make_context(), server_hostname=self._tls_name)
        try:
            layer.start()
            while not layer.is_ready:
                self._write(layer.output(), max(end - now(), 0))
                self._wait(select.POLLIN, end)
                data = self._recv_for_handshake()
                if not data:
                    raise TLSError("the server closed the connection in the TLS handshake", stage="starttls")
                early = layer.receive(data)
                if early:
                    self._received.append(early)
                    self._received_bytes += len(early)
        except TLSError:
            self._write_quietly(layer.output())
            raise
        self._write(layer.output(), max(end - now(), 0.001))
        self._layer = layer
        return layer.facts

    def _recv_for_handshake(self) -> bytes:
        try:
            return self._sock.recv(_READ_BYTES)
        except OSError as error:
            raise TLSError(f"the connection broke in the TLS handshake: {error.strerror or error}") from error

    def _write_quietly(self, data: bytes) -> None:
        try:
            self._sock.send(data)
        except OSError:
            pass  # it is closed in any case

    def close(self) -> None:
        """Close at once; may be called again."""
        if self._closed:
            return
        self._closed = self._ended = True
        if self._layer is not None:
            self._layer.close()
            self._write_quietly(self._layer.output())
        self._sock.close()

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed
