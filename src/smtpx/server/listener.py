"""The server: sockets that listen, and the connections they give.

    async with Server(MySession, port=2525) as server:
        await server.serve_forever()
"""

import asyncio
import contextlib
import errno
import logging
import os
import socket
import ssl
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from smtpx.errors import ConfigurationError
from smtpx.extensions import STANDARD
from smtpx.net.targets import endpoint_text, is_local_peer
from smtpx.protocol.dialect import SMTP, Dialect
from smtpx.protocol.extension import Extension, ExtensionSet
from smtpx.protocol.limits import ServerLimits
from smtpx.protocol.settings import ServerSettings
from smtpx.sasl import LOGIN, PLAIN, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ServerMechanism
from smtpx.server.connection import Connection
from smtpx.server.guard import Guard
from smtpx.server.session import Session
from smtpx.server.settings import Deadlines, ShellSettings

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Listener", "Server", "host_name"]

_log = logging.getLogger("smtpx.server")
_BACKLOG = 1024  # a short burst must not lose a SYN
_ACCEPTS_AT_ONCE = 64
_RETRY_SECONDS = 0.005
_MAX_RETRY_SECONDS = 1.0
_TEMPORARY = frozenset(
    {errno.ECONNABORTED, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN, errno.EINTR, errno.EPROTO}
)
_MECHANISMS = (SCRAM_SHA_256_PLUS, SCRAM_SHA_256, PLAIN, LOGIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One place to listen: host and port (0: any free one), a unix socket's path, or a socket of your own.

    `tls` is the context for STARTTLS or, with `implicit_tls`, for TLS from the first octet; never share one between
    listeners, or a session ticket of one opens the other.
    """

    host: str | None = "127.0.0.1"
    port: int = 2525
    unix: str | None = None
    sock: socket.socket | None = None
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False


class Server:
    """An SMTP or LMTP server in the loop that runs.

    Args:
        session: makes a `Session` for each connection: the class, or any callable.
        host, port, unix, tls, implicit_tls: the one listener; or give `listeners`.
        hostname: our name in greeting and hello; default the host's.
        dialect: `SMTP` or `LMTP`.
        limits, deadlines: see there. `timeout` sets the command deadline and caps those of AUTH and DATA.
        extensions: what EHLO offers.
        mechanisms: SASL mechanisms, best first; those that look users up are offered when the session overrides
            `lookup`, the others when it overrides `authenticate`.
        require_tls, require_auth: no MAIL before. allow_insecure_auth: passwords in clear, for tests.
        greeting_delay: seconds of silence before the greeting, in which honest clients don't talk.
        bare_newline, nul, sync_check, syntax, source_routes: see `ServerSettings`.

    Raises:
        ConfigurationError: for settings that contradict each other.
    """

    def __init__(
        self,
        session: Callable[[], Session],
        *,
        host: str | None = "127.0.0.1",
        port: int = 2525,
        unix: str | None = None,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        listeners: Sequence[Listener] | None = None,
        hostname: str | None = None,
        dialect: Dialect = SMTP,
        limits: ServerLimits | None = None,
        deadlines: Deadlines | None = None,
        timeout: float | None = None,
        extensions: Iterable[Extension] = STANDARD,
        mechanisms: Sequence[ServerMechanism] = _MECHANISMS,
        require_tls: bool = False,
        require_auth: bool = False,
        allow_insecure_auth: bool = False,
        greeting_delay: float = 0.0,
        bare_newline: Literal["reject", "normalize"] = "reject",
        nul: Literal["keep", "reject"] = "keep",
        sync_check: Literal["data", "all", "off"] = "data",
        syntax: Literal["normal", "strict", "lenient"] = "normal",
        source_routes: Literal["ignore", "reject"] = "ignore",
        banner: str = "ready",
    ) -> None:
        default = Listener(host=host, port=port, unix=unix, tls=tls, implicit_tls=implicit_tls)
        self._plans = tuple(listeners) if listeners is not None else (default,)
        self._session = session
        deadlines = deadlines or Deadlines()
        self._shell = ShellSettings(
            protocol=ServerSettings(
                hostname=hostname or host_name(),
                dialect=dialect,
                limits=limits or ServerLimits(),
                extensions=ExtensionSet(extensions),
                mechanisms=_served(mechanisms, session),
                require_tls=require_tls,
                require_auth=require_auth,
                allow_insecure_auth=allow_insecure_auth,
                bare_newline=bare_newline,
                nul=nul,
                sync_check=sync_check,
                syntax=syntax,
                source_routes=source_routes,
                banner=banner,
            ),
            deadlines=deadlines if timeout is None else deadlines.capped(timeout),
            greeting_delay_seconds=greeting_delay,
        )
        self._check()
        self._guard = Guard(self._shell.protocol.limits)
        self._sockets: list[socket.socket] = []
        self._unix_paths: list[str] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._connections: set[Connection] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._stopped = asyncio.Event()

    def _check(self) -> None:
        settings = self._shell.protocol
        for plan in self._plans:
            if plan.implicit_tls and plan.tls is None:
                raise ConfigurationError("implicit TLS needs a certificate: tls=server_tls(cert, key)")
            if settings.require_tls and plan.tls is None:
                raise ConfigurationError("require_tls without a certificate: nobody could send anything")
        if settings.require_auth and not settings.mechanisms:
            raise ConfigurationError("require_auth, but the session has no method for any mechanism")

    # Where it listens ------------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port of the first TCP listener, the real one when 0 was asked for."""
        for sock in self._sockets:
            name = sock.getsockname()
            if isinstance(name, tuple):
                return int(name[1])
        raise ConfigurationError("this server listens on no TCP port, or not yet")

    @property
    def addresses(self) -> list[str]:
        """What it listens on, as URLs: `smtp://127.0.0.1:2525`, `smtps://...`, `lmtp+unix:///run/x`."""
        return [_url(self._shell.protocol.dialect, plan, sock) for plan, sock in zip(self._bound, self._sockets, strict=True)]

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: naming the address that can't be had; nothing listens then.
        """
        self._bound: list[Listener] = []
        self._stopped.clear()
        try:
            for plan in self._plans:
                for sock in self._open(plan):
                    self._sockets.append(sock)
                    self._bound.append(plan)
        except BaseException:
            self._close_sockets()
            raise
        loop = asyncio.get_running_loop()
        for plan, sock in zip(self._bound, self._sockets, strict=True):
            self._accepting.append(loop.create_task(self._accept(plan, sock)))

    def _open(self, plan: Listener) -> list[socket.socket]:
        if plan.sock is not None:
            plan.sock.setblocking(False)
            return [plan.sock]
        if plan.unix is not None:
            return [self._open_unix(plan.unix)]
        try:
            found = socket.getaddrinfo(plan.host, plan.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except socket.gaierror as error:
            raise OSError(f"can't listen on {plan.host}: {error.strerror}") from error
        opened: list[socket.socket] = []
        port = plan.port
        try:
            for family, address in dict.fromkeys((each[0], each[4]) for each in found):
                sock = _listen(family, (address[0], port, *address[2:]))
                opened.append(sock)
                port = port or sock.getsockname()[1]  # the second family on the port the first one got
        except BaseException:
            for sock in opened:
                sock.close()
            raise
        return opened

    def _open_unix(self, path: str) -> socket.socket:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.stat(path).st_mode):
                with socket.socket(socket.AF_UNIX) as probe:
                    if probe.connect_ex(path) == 0:
                        raise OSError(errno.EADDRINUSE, f"something listens on {path} already")
                os.unlink(path)  # left behind by a server that is gone
        sock = _listen(socket.AF_UNIX, path)
        self._unix_paths.append(path)
        return sock

    # Accepting -------------------------------------------------------------------------------------------------------

    async def _accept(self, plan: Listener, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        settings = self._settings_of(plan)
        pause, logged_at = _RETRY_SECONDS, -60.0
        while True:
            try:
                accepted = await loop.sock_accept(sock)
                pause = _RETRY_SECONDS
                self._take(settings, plan, *accepted)
                for _ in range(_ACCEPTS_AT_ONCE):
                    self._take(settings, plan, *sock.accept())
            except BlockingIOError:
                continue
            except OSError as error:
                if error.errno not in _TEMPORARY:
                    if not self._stopped.is_set():
                        self._failure = error
                        self._stopped.set()
                    return
                if loop.time() - logged_at >= 60:
                    logged_at = loop.time()
                    _log.warning("can't accept connections just now: %s", error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _MAX_RETRY_SECONDS)

    _failure: OSError | None = None

    def _settings_of(self, plan: Listener) -> ShellSettings:
        starttls = plan.tls is not None and not plan.implicit_tls
        return replace(self._shell, protocol=replace(self._shell.protocol, starttls=starttls))

    def _take(self, settings: ShellSettings, plan: Listener, sock: socket.socket, name: object) -> None:
        address = str(name[0]) if isinstance(name, tuple) else "unix"
        refusal = self._guard.admit(address, local=is_local_peer(name))
        if refusal is not None:
            _log.info("refused %s: %s", endpoint_text(name), refusal)
            _refuse(sock, b"" if plan.implicit_tls else refusal.to_bytes())
            return

        def make() -> Connection:
            return Connection(
                settings, self._session(), self._guard, owner, tls=plan.tls, implicit_tls=plan.implicit_tls
            )

        owner = _Admission(self, address)
        sock.setblocking(False)
        task = asyncio.get_running_loop().create_task(self._attach(make, sock, owner))
        owner.task = task

    async def _attach(self, make: Callable[[], Connection], sock: socket.socket, owner: "_Admission") -> None:
        try:
            _, connection = await asyncio.get_running_loop().connect_accepted_socket(make, sock)
        except Exception:
            sock.close()
            owner.release()
            _log.exception("can't serve a connection")
            return
        if not owner.is_released:
            self._connections.add(connection)
            self._empty.clear()
            if not self._sockets:
                connection.drain()

    def forget(self, connection: Connection) -> None:
        """A connection is over."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    # Ending ----------------------------------------------------------------------------------------------------------

    async def serve_forever(self) -> None:
        """Wait until `drain` or `close` was called.

        Raises:
            OSError: if listening came to an end by itself.
        """
        await self._stopped.wait()
        if self._failure is not None:
            raise self._failure

    async def drain(self, timeout_seconds: float = 30.0) -> None:
        """Stop listening, let messages under way finish, then close. May be called again."""
        self._close_sockets()
        for connection in list(self._connections):
            connection.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._empty.wait()
        await self.close()

    async def close(self) -> None:
        """Stop at once: hooks are cancelled, `Session.close` is awaited. May be called again."""
        self._close_sockets()
        for connection in list(self._connections):
            connection.shut_down()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5.0):
                await self._empty.wait()
        for task in self._accepting:
            task.cancel()
        self._accepting.clear()
        self._stopped.set()

    def _close_sockets(self) -> None:
        for task in self._accepting:
            task.cancel()
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()
        for path in self._unix_paths:
            with contextlib.suppress(OSError):
                os.unlink(path)
        self._unix_paths.clear()

    async def __aenter__(self) -> "Self":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()


class _Admission:
    """One connection's place in the guard's counts, given back once."""

    __slots__ = ("_address", "_server", "is_released", "task")

    def __init__(self, server: Server, address: str) -> None:
        self._server = server
        self._address = address
        self.is_released = False
        self.task: asyncio.Task[None] | None = None

    def connection_closed(self, connection: Connection) -> None:
        self._server.forget(connection)
        self.release()

    def release(self) -> None:
        if not self.is_released:
            self.is_released = True
            self._server._guard.release(self._address)


def _served(mechanisms: Sequence[ServerMechanism], session: Callable[[], Session]) -> tuple[ServerMechanism, ...]:
    """The mechanisms that the session has a method for."""
    kind = _class_of(session)
    judges, looks_up = kind.authenticate is not Session.authenticate, kind.lookup is not Session.lookup
    return tuple(each for each in mechanisms if (looks_up if each.needs_lookup else judges))


def _class_of(session: Callable[[], Session]) -> type[Session]:
    kind = session if isinstance(session, type) else getattr(session, "func", None)
    if isinstance(kind, type) and issubclass(kind, Session):
        return kind
    return type(session())


def host_name() -> str:
    """The host's name, as far as it can stand in a greeting."""
    name = socket.gethostname()
    return name if name.isascii() and " " not in name else "localhost"


def _listen(family: int, address: object) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if family != socket.AF_UNIX and os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(address)  # type: ignore[arg-type]
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"can't listen on {endpoint_text(address)}: {error.strerror}") from error
    return sock


def _refuse(sock: socket.socket, octets: bytes) -> None:
    """Say no and close, without waiting for anybody."""
    with sock, contextlib.suppress(OSError):
        sock.setblocking(False)
        sock.send(octets)


def _url(dialect: Dialect, plan: Listener, sock: socket.socket) -> str:
    name = sock.getsockname()
    if not isinstance(name, tuple):
        return f"{dialect.scheme}+unix://{endpoint_text(name)}"
    scheme = f"{dialect.scheme}s" if plan.implicit_tls else dialect.scheme
    return f"{scheme}://{endpoint_text(name)}"
