"""The way through a SOCKS or HTTP CONNECT proxy (RFC 1928, RFC 9110 9.3.6). python-socks speaks with it.

>>> Proxy.parse("socks5h://me:secret@127.0.0.1")
Proxy(scheme='socks5h', host='127.0.0.1', port=1080, username='me')
"""

import socket
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from smtpx.errors import ConfigurationError, ConnectError
from smtpx.net.addresses import Told
from smtpx.net.deadlines import now
from smtpx.net.targets import Target
from smtpx.wire.address import ascii_domain
from smtpx.wire.syntax import escape, has_controls

__all__ = ["Passage", "Proxy", "proxy_target", "through", "unreachable"]

_RESOLVES_THERE = {"socks5": False, "socks5h": True, "socks4": False, "socks4a": True, "http": True}
_SOCKS_PORT = 1080
_MAX_WORD = 255  # RFC 1929 2: a length is one octet
_MAX_HEADER_BYTES = 16_384
_MAX_REASON_CHARS = 500


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy: `socks5` and `socks4` are given an address that was looked up here, `socks5h`, `socks4a` and `http` the
    name. The password never shows in a repr.

    Raises:
        ConfigurationError: naming the part that makes no sense.
    """

    scheme: str
    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.scheme not in _RESOLVES_THERE:
            raise ConfigurationError(f"unknown kind of proxy: {self.scheme!r}; known: {', '.join(_RESOLVES_THERE)}")
        if not self.host or has_controls(self.host) or any(char in self.host for char in " /@"):
            raise ConfigurationError("the proxy's host is neither a host name nor an IP address")
        if not 1 <= self.port <= 65535:
            raise ConfigurationError("the proxy's port is a number from 1 to 65535")
        for what in ("username", "password"):
            word: str = getattr(self, what)
            if has_controls(word) or not word.isascii() or len(word) > _MAX_WORD:
                raise ConfigurationError(f"the proxy's {what} is up to {_MAX_WORD} printable ASCII characters")
        self._check_credentials()

    def _check_credentials(self) -> None:
        if self.scheme.startswith("socks4") and self.password:
            raise ConfigurationError("SOCKS4 knows a user name and no password")
        if self.scheme.startswith("socks5") and bool(self.username) is not bool(self.password):
            raise ConfigurationError("SOCKS5 wants a user name and a password, or neither")
        if self.scheme == "http" and ((self.password and not self.username) or ":" in self.username):
            raise ConfigurationError("an HTTP proxy wants a user name without a colon, and a password")

    @classmethod
    def parse(cls, url: str) -> "Proxy":
        """Read `scheme://[user:password@]host[:port]`; user and password percent-encoded. Never shows a password.

        Raises:
            ConfigurationError.
        """
        if has_controls(url) or " " in url:
            raise ConfigurationError("a proxy's URL has no spaces and control characters")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise ConfigurationError("a proxy is given as scheme://host:port, an IPv6 address in brackets") from None
        if not parts.netloc or parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ConfigurationError("a proxy is given as scheme://host:port, as in socks5://127.0.0.1:1080")
        if port is None:
            if parts.scheme == "http":
                raise ConfigurationError("an HTTP proxy is given with its port")
            port = _SOCKS_PORT
        return cls(parts.scheme, unquote(host), port, unquote(parts.username or ""), unquote(parts.password or ""))

    def __str__(self) -> str:
        return f"{self.scheme}://{Target(self.host, self.port)}"


def proxy_target(proxy: Proxy, target: Target) -> Target:
    """Where to connect first."""
    return Target(proxy.host, proxy.port, local_address=target.local_address)


def unreachable(proxy: Proxy, target: Target, reason: object) -> ConnectError:
    """What is told of a way that was not found."""
    text = escape(str(reason), max_chars=_MAX_REASON_CHARS)
    return ConnectError(f"can't connect to {target} through {proxy}: {text}", stage="connect")


def through(proxy: Proxy, target: Target, timeout_seconds: float, told: Told | None = None) -> socket.socket:
    """A socket that is connected to `target` through a proxy; `told` hears of addresses of the proxy that fail.

    Raises:
        ConnectError: naming both.
        ConfigurationError: without python-socks.
    """
    from smtpx.net.sockets import connect

    end = now() + timeout_seconds
    passage = Passage(proxy, target, timeout_seconds)
    try:
        sock = connect(proxy_target(proxy, target), timeout_seconds, told)
    except ConnectError as error:
        raise unreachable(proxy, target, error.message) from error
    return passage.open(sock, end)


class Passage:
    """What is said to a proxy, blocking, and never beyond a deadline.

    Raises:
        ConfigurationError: without python-socks.
    """

    def __init__(self, proxy: Proxy, target: Target, timeout_seconds: float) -> None:
        try:
            import python_socks
            from python_socks.sync import Proxy as Speaker
        except ImportError as error:
            raise ConfigurationError("a proxy: this needs smtpx[proxy]") from error
        self._proxy = proxy
        self._target = target
        self._timeout_seconds = timeout_seconds
        self._failures = (python_socks.ProxyError, OSError, ValueError)
        self._make = Speaker
        self._kind = python_socks.ProxyType[proxy.scheme.removesuffix("h").removesuffix("a").upper()]

    def open(self, sock: socket.socket, end: float) -> socket.socket:
        """The same socket, which leads to the target now; it is closed if not.

        Raises:
            ConnectError.
        """
        proxy, target = self._proxy, self._target
        try:
            self._speak(_HeaderLine(sock, end) if proxy.scheme == "http" else _Line(sock, end))
        except BaseException as error:
            sock.close()
            if isinstance(error, TimeoutError):
                raise unreachable(proxy, target, f"no answer in {self._timeout_seconds:g} s") from error
            if isinstance(error, self._failures):
                raise unreachable(proxy, target, error) from error
            raise
        return sock

    def _speak(self, line: "_Line") -> None:
        proxy, target = self._proxy, self._target
        speaker = self._make(
            self._kind,
            proxy.host,
            proxy.port,
            proxy.username or None,
            proxy.password if proxy.username else None,
            rdns=_RESOLVES_THERE[proxy.scheme],
            forward=_Before(line),  # type: ignore[arg-type] # the public way to bring a connection of one's own
        )
        speaker.connect(ascii_domain(target.host), target.port)


class _Before:
    """The connection that python-socks goes on with."""

    def __init__(self, line: "_Line") -> None:
        self._line = line

    def connect(self, *_: object, **__: object) -> "_Line":
        return self._line


class _Line:
    """What python-socks takes for a socket: each wait ends at the deadline, however the answer drips."""

    def __init__(self, sock: socket.socket, end: float) -> None:
        self._sock = sock
        self._end = end

    def sendall(self, data: bytes) -> None:
        self._hurry()
        self._sock.sendall(data)

    def recv(self, size: int) -> bytes:
        self._hurry()
        return self._sock.recv(size)

    def close(self) -> None:
        self._sock.close()

    def _hurry(self) -> None:
        left = self._end - now()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)


class _HeaderLine(_Line):
    """Gives the header of an HTTP answer whole, and leaves what stands behind it: a mail server speaks first."""

    def recv(self, size: int) -> bytes:
        header = b""
        while not header.endswith(b"\r\n\r\n"):
            self._hurry()
            seen = self._sock.recv(4096, socket.MSG_PEEK)
            if not seen:
                raise ConnectionError("the proxy closed the connection")
            whole = header + seen
            stop = whole.find(b"\r\n\r\n") + 4
            header += self._sock.recv(len(seen) if stop == 3 else stop - len(header))
            if len(header) > _MAX_HEADER_BYTES or not (header.startswith(b"HTTP/") or b"HTTP/".startswith(header[:5])):
                raise ConnectionError("what answers is no HTTP proxy")
        return header
