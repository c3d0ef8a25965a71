"""The server: sockets that listen, and the connections they give.

async with Server(MySession, port=2525) as server:
    await server.serve_forever()
"""

import asyncio
import contextlib
import errno
import logging
import math
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network
from types import TracebackType
from typing import TYPE_CHECKING, Literal, TypeVar, cast

from smtpx.errors import ConfigurationError
from smtpx.extensions import STANDARD
from smtpx.extensions.trusted_peers import TrustedPeers
from smtpx.net.listening import Listening, descriptor_limit, listen
from smtpx.net.targets import endpoint_text, is_loopback
from smtpx.net.tls import without_tickets
from smtpx.protocol import replies
from smtpx.protocol.dialect import SMTP, Dialect
from smtpx.protocol.extension import Extension, ExtensionSet
from smtpx.protocol.limits import ServerLimits
from smtpx.protocol.settings import ServerSettings
from smtpx.sasl import LOGIN, PLAIN, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ServerMechanism
from smtpx.server.certificates import Certificates
from smtpx.server.connection import Connection
from smtpx.server.exposure import Exposure, is_reachable
from smtpx.server.guard import Guard, Refusal
from smtpx.server.health import MAX_STUCK, Health, problems_of
from smtpx.server.hooks import own_methods, own_methods_of
from smtpx.server.limit_report import report_limit
from smtpx.server.middleware import ChecksExposure
from smtpx.server.observer import ServerObserver, shielded
from smtpx.server.peer import SocketName
from smtpx.server.profiles import Profile, ProfileName, profile_of
from smtpx.server.proxy_header import DEFAULT_TRUSTED, ProxyError, ProxyHeader, ProxyParser, is_trusted
from smtpx.server.session import Session
from smtpx.server.settings import Deadlines, ShellSettings
from smtpx.server.transcript import Trace
from smtpx.wire.reply import Reply

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Listener", "Server", "host_name"]

_log = logging.getLogger("smtpx.server")
_ACCEPTS_AT_ONCE = 64
_MAIL_PROTOCOLS = frozenset({b"smtp", b"esmtp"})  # what Exim takes; none is registered
_RETRY_SECONDS = 0.005
_MAX_RETRY_SECONDS = 1.0
_LOG_SECONDS = 60.0
_CLOSE_SECONDS = 5.0  # for hooks to notice that they are cancelled, and for `Session.close`
_TEMPORARY = frozenset(
    getattr(errno, name)
    for name in ("ECONNABORTED", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EAGAIN", "EINTR", "EPROTO")
    if hasattr(errno, name)
)
_MECHANISMS = (SCRAM_SHA_256_PLUS, SCRAM_SHA_256, PLAIN, LOGIN)
_CANNOT_SERVE = replies.make(421, "4.3.0", "internal error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One place to listen: host and port (0: any free one), a unix socket's path, or a socket of your own.

    `tls` is the context for STARTTLS or, with `implicit_tls`, for TLS from the first octet; never share one between
    listeners, or a session ticket of one opens the other. With `proxy_protocol` every connection begins with a PROXY
    header of version 1 or 2 from a peer in `proxy_trusted`; who does not send one is closed without a word.
    """

    host: str | None = "127.0.0.1"
    port: int = 2525
    unix: str | None = None
    sock: socket.socket | None = None
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    proxy_protocol: bool = False


class Server:
    """An SMTP or LMTP server in the loop that runs.

    Args:
        session: makes a `Session` for each connection: the class, or any callable.
        profile: what the server is for: "dev", "submission" (users log in, under TLS), "mx" (anybody delivers). It sets
            what the keywords below leave open; `limits` and `deadlines` replace those of the profile as a whole.
        host, port, unix, tls, implicit_tls, proxy_protocol: the one listener; or give `listeners`.
        proxy_trusted: networks whose PROXY headers are believed; unix sockets always are.
        trusted_networks: peers that are spared default numbers per address (`DefaultCap`) and the greeting's delay, as
            loopback and unix sockets are spared those numbers.
        hostname: our name in greeting and hello; default the host's.
        dialect: `SMTP` or `LMTP`.
        limits, deadlines: see there. `timeout` sets the command deadline and caps those of AUTH and DATA.
        extensions: what EHLO offers.
        mechanisms: SASL mechanisms, best first; those that look users up are offered when the session overrides
            `lookup`, the others when it overrides `authenticate`.
        require_tls, require_auth: no MAIL before. allow_insecure_auth: passwords in clear, for tests.
        alpn: "require" closes on clients that ask TLS for other protocols than smtp or esmtp; those that ask for none
            are served.
        greeting_delay: seconds of silence before the greeting, in which honest clients don't talk. Who kept silent is
            spared it for a day, as are trusted networks and clients behind a balancer.
        session_tickets: False switches them off in the contexts that are given.
        bare_newline, nul, sync_check, syntax, source_routes: see `ServerSettings`.
        observer: told of what happens on all connections.
        trace: called with a connection's id, "C" or "S" and a line, AUTH masked, content as its size.
        tls_watch_seconds: how often certificate files are looked at, and reloaded when they are new; None: never.

    Raises:
        ConfigurationError: for settings that contradict each other.
    """

    def __init__(
        self,
        session: Callable[[], Session],
        *,
        profile: ProfileName | Profile = "dev",
        host: str | None = "127.0.0.1",
        port: int = 2525,
        unix: str | None = None,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        proxy_protocol: bool = False,
        proxy_trusted: Sequence[IPv4Network | IPv6Network] = DEFAULT_TRUSTED,
        trusted_networks: Iterable[str | IPv4Network | IPv6Network] = (),
        listeners: Sequence[Listener] | None = None,
        hostname: str | None = None,
        dialect: Dialect = SMTP,
        limits: ServerLimits | None = None,
        deadlines: Deadlines | None = None,
        timeout: float | None = None,
        extensions: Iterable[Extension] = STANDARD,
        mechanisms: Sequence[ServerMechanism] | None = None,
        require_tls: bool | None = None,
        require_auth: bool | None = None,
        allow_insecure_auth: bool = False,
        greeting_delay: float | None = None,
        alpn: Literal["any", "require"] = "any",
        bare_newline: Literal["reject", "normalize"] = "reject",
        nul: Literal["keep", "reject"] = "keep",
        sync_check: Literal["data", "all", "off"] | None = None,
        syntax: Literal["normal", "strict", "lenient"] = "normal",
        source_routes: Literal["ignore", "reject"] = "ignore",
        banner: str = "ready",
        session_tickets: bool | None = None,
        observer: ServerObserver | None = None,
        trace: Trace | None = None,
        tls_watch_seconds: float | None = 60.0,
    ) -> None:
        default = Listener(
            host=host, port=port, unix=unix, tls=tls, implicit_tls=implicit_tls, proxy_protocol=proxy_protocol
        )
        self._proxy_trusted = tuple(proxy_trusted)
        self._plans = tuple(listeners) if listeners is not None else (default,)
        self._session = session
        chosen = profile_of(profile)
        self._trusted = TrustedPeers(str(each) for each in trusted_networks)
        deadlines = deadlines or chosen.deadlines
        self._shell = ShellSettings(
            protocol=ServerSettings(
                hostname=hostname or host_name(),
                dialect=dialect,
                limits=limits or chosen.limits,
                extensions=ExtensionSet(extensions),
                mechanisms=_served(_given(mechanisms, _MECHANISMS if chosen.offers_auth else ()), session),
                require_tls=_given(require_tls, chosen.require_tls),
                require_auth=_given(require_auth, chosen.require_auth),
                allow_insecure_auth=allow_insecure_auth,
                bare_newline=bare_newline,
                nul=nul,
                sync_check=_given(sync_check, chosen.sync_check),
                syntax=syntax,
                source_routes=source_routes,
                banner=banner,
            ),
            deadlines=deadlines if timeout is None else deadlines.capped(timeout),
            greeting_delay_seconds=_given(greeting_delay, chosen.greeting_delay),
            observer=shielded(observer),
            trace=trace,
            alpn=_MAIL_PROTOCOLS if alpn == "require" else None,
        )
        self._check()
        if not _given(session_tickets, chosen.session_tickets):
            for plan in self._plans:
                without_tickets(plan.tls)
        contexts = (plan.tls for plan in self._plans if plan.tls is not None)
        self.certificates = Certificates(contexts, self._shell.observer)
        self._tls_watch_seconds = tls_watch_seconds
        self._is_paused = False
        self._guard = Guard(self._shell.protocol.limits, refuse_guessers=chosen.refuse_guessers)
        self._guard.load.on_change = self._feel_pressure
        self._first_reserved = math.inf
        self._listening: list[tuple[Listener, Listening]] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._attaching: set[asyncio.Task[None]] = set()
        self._connections: set[Connection] = set()
        self._empty = asyncio.Event()
        self._stopped = asyncio.Event()
        self._failure: Exception | None = None

    def _check(self) -> None:
        settings = self._shell.protocol
        for plan in self._plans:
            if plan.implicit_tls and plan.tls is None:
                raise ConfigurationError("implicit TLS needs a certificate: tls=server_tls(cert, key)")
            if settings.require_tls and plan.tls is None:
                raise ConfigurationError("require_tls without a certificate: nobody could send anything")
        if settings.require_auth and not settings.mechanisms:
            raise ConfigurationError("require_auth, but the session has no method for any mechanism")
        contexts = [plan.tls for plan in self._plans if plan.tls is not None]
        if len(set(contexts)) < len(contexts):
            raise ConfigurationError("listeners share a TLS context: a session ticket of one would open the other")
        maker: object = self._session
        if isinstance(maker, ChecksExposure):
            maker.check_exposure(self.exposures)

    @property
    def exposures(self) -> list[Exposure]:
        """Who can reach each listener, and whether they may log in there."""
        settings = self._shell.protocol
        found: list[Exposure] = []
        for plan in self._plans:
            place, is_public = is_reachable(plan.host, plan.unix, plan.sock)
            in_clear = settings.allow_insecure_auth or (
                plan.tls is None and any(not each.reveals_secret for each in settings.mechanisms)
            )
            has_auth = bool(settings.mechanisms)
            has_clear_auth = has_auth and in_clear and not plan.implicit_tls
            found.append(Exposure(place=place, is_public=is_public, has_auth=has_auth, has_clear_auth=has_clear_auth))
        return found

    # Where it listens ------------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port of the first TCP listener, the real one when 0 was asked for."""
        for _, listening in self._listening:
            name: SocketName = listening.sock.getsockname()
            if isinstance(name, tuple):
                return int(name[1])
        raise ConfigurationError("this server listens on no TCP port, or not yet")

    @property
    def addresses(self) -> list[str]:
        """What it listens on, as URLs: `smtp://127.0.0.1:2525`, `smtps://...`, `lmtp+unix:///run/x`."""
        return [_url(self._shell.protocol.dialect, plan, listening.sock) for plan, listening in self._listening]

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def start(self) -> None:
        """Listen. A server that was closed can be started again.

        Raises:
            ConfigurationError: if it listens already.
            OSError: naming the address that can't be had; nothing listens then.
        """
        if self._listening:
            raise ConfigurationError("this server listens already")
        self._empty, self._stopped, self._failure = asyncio.Event(), asyncio.Event(), None
        self._first_reserved = descriptor_limit() - self._shell.protocol.limits.descriptor_reserve
        try:
            for plan in self._plans:
                opened = listen(host=plan.host, port=plan.port, unix=plan.unix, sock=plan.sock)
                self._listening += [(plan, each) for each in opened]
        except BaseException:
            self._close_sockets()
            raise
        loop = asyncio.get_running_loop()
        for plan, listening in self._listening:
            self._accepting.append(loop.create_task(self._accept(plan, listening.sock)))
        self.certificates.start()
        if self._tls_watch_seconds is not None and self.certificates.are_reloadable:
            self._accepting.append(loop.create_task(self._watch_certificates(self._tls_watch_seconds)))

    # While it runs ---------------------------------------------------------------------------------------------------

    def reload_tls(self) -> None:
        """Read certificates and keys again, those that `server_tls` made contexts of, and use them for new handshakes.

        Open sessions keep theirs. All files are good, or nothing changes. May be called by any thread. What is in use
        and what went wrong last is told by `certificates`.

        Raises:
            ConfigurationError: naming what can't be read, does not match or is not in force. It is logged too.
        """
        self.certificates.reload()

    async def _watch_certificates(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            self.certificates.reload_if_changed()

    def pause(self) -> None:
        """Answer each new connection with 421 4.3.2 from now on; those that are open go on."""
        self._is_paused = True

    def resume(self) -> None:
        """Serve new connections again."""
        self._is_paused = False

    @property
    def is_paused(self) -> bool:
        """Whether new connections are turned away."""
        return self._is_paused

    # Accepting -------------------------------------------------------------------------------------------------------

    async def _accept(self, plan: Listener, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        settings = self._settings_of(plan)
        pause, logged_at = _RETRY_SECONDS, -_LOG_SECONDS
        while True:
            try:
                accepted = await loop.sock_accept(sock)
                pause = _RETRY_SECONDS
                self._take(settings, plan, *accepted)
                for _ in range(_ACCEPTS_AT_ONCE):
                    self._take(settings, plan, *sock.accept())
            except BlockingIOError:
                continue
            except (OSError, ValueError) as error:  # ValueError: somebody else has closed the socket
                if getattr(error, "errno", None) not in _TEMPORARY:
                    self._failure = error
                    self._stopped.set()
                    return
                if loop.time() - logged_at >= _LOG_SECONDS:
                    logged_at = loop.time()
                    _log.warning("can't accept connections just now: %s", error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _MAX_RETRY_SECONDS)

    def _settings_of(self, plan: Listener) -> ShellSettings:
        starttls = plan.tls is not None and not plan.implicit_tls
        return replace(self._shell, protocol=replace(self._shell.protocol, starttls=starttls)).with_pressed()

    def _take(self, settings: ShellSettings, plan: Listener, sock: socket.socket, name: SocketName) -> None:
        if self._is_paused:
            _log.info("refused %s: paused", endpoint_text(name))
            self._tell_refused(_address_of(name), "paused")
            _refuse(sock, plan, replies.PAUSED)
            return
        address = _address_of(name)
        if plan.proxy_protocol and not is_trusted(address, self._proxy_trusted):
            _log.info("refused %s: not trusted to speak for others", endpoint_text(name))
            self._tell_refused(address, "not trusted to speak for others")
            sock.close()
            return
        refusal = self._reserve_hit(sock) or self._guard.admit(
            address,
            now=asyncio.get_running_loop().time(),
            spared=plan.proxy_protocol or self._is_spared(address),
            speaks_for_others=plan.proxy_protocol,
        )
        if refusal is not None:
            self._reject(sock, plan, name, refusal)
            return
        sock.setblocking(False)
        admission = _Admission(self._guard, address, self._is_spared, self.forget)
        serving = self._serve_proxied if plan.proxy_protocol else self._attach
        task = asyncio.get_running_loop().create_task(serving(settings, plan, sock, admission, name))
        self._attaching.add(task)
        task.add_done_callback(self._attaching.discard)

    def _is_spared(self, address: str) -> bool:
        return address == "unix" or is_loopback(address) or self._trusted.include_address(address)

    def _reserve_hit(self, sock: socket.socket) -> Refusal | None:
        """The lowest free descriptor is taken always, so a high one says how few are left for stores and logs."""
        if sock.fileno() < self._first_reserved:
            return None
        reserve = self._shell.protocol.limits.descriptor_reserve
        return Refusal(replies.TOO_MANY_CONNECTIONS, "descriptor_reserve", reserve)

    def _reject(self, sock: socket.socket, plan: Listener, name: SocketName, refusal: Refusal) -> None:
        _log.info("refused %s: %s", endpoint_text(name), refusal.reply)
        report_limit(self._shell.observer, _write_log, _address_of(name), refusal.limit, refusal.value)
        self._tell_refused(_address_of(name), refusal.reply.text)
        _refuse(sock, plan, refusal.reply)

    def _feel_pressure(self) -> None:
        is_high = self._guard.load.is_high
        _log.warning("under pressure: limits are tight" if is_high else "no pressure any more: limits are as usual")
        self._guard.limits = self._shell.with_pressed().at(pressure=is_high).protocol.limits
        for connection in list(self._connections):
            connection.feel_pressure()

    async def _serve_proxied(
        self, settings: ShellSettings, plan: Listener, sock: socket.socket, admission: "_Admission", name: SocketName
    ) -> None:
        """Read the PROXY header, count the client instead of the balancer, and serve it."""
        deadlines = settings.at(pressure=self._guard.load.is_high).deadlines
        try:
            async with asyncio.timeout(deadlines.proxy_header):
                header, early = await _read_proxy_header(sock)
        except (ProxyError, TimeoutError, OSError) as error:
            level = logging.DEBUG if isinstance(error, _Silent) else logging.INFO
            _log.log(level, "closed %s: %s", endpoint_text(name), str(error) or "no PROXY header in time")
            self._tell_refused(_address_of(name), "no good PROXY header")
            if isinstance(error, TimeoutError):
                report_limit(
                    self._shell.observer, _write_log, _address_of(name), "proxy_header", deadlines.proxy_header
                )
            sock.close()
            admission.release()
            return
        except BaseException:
            sock.close()
            admission.release()
            raise
        if header.source is not None:
            name = header.source
            refusal = admission.move(name[0])
            if refusal is not None:
                self._reject(sock, plan, name, refusal)
                return
        await self._attach(settings, plan, sock, admission, name, early)

    async def _attach(
        self,
        settings: ShellSettings,
        plan: Listener,
        sock: socket.socket,
        admission: "_Admission",
        name: SocketName,
        early: bytes = b"",
    ) -> None:
        def make() -> Connection:
            connection = Connection(
                settings,
                self._session(),
                self._guard,
                admission,
                name=name,
                tls=lambda: self.certificates.current(plan.tls),
                implicit_tls=plan.implicit_tls,
                early=early,
                is_known=plan.proxy_protocol or self._trusted.include_address(admission.address),
            )
            self._connections.add(connection)
            self._empty.clear()
            return connection

        try:
            _, connection = await asyncio.get_running_loop().connect_accepted_socket(make, sock)
        except Exception:  # the session could not be made
            _log.exception("can't serve a connection")
            self._tell_refused(_address_of(name), _CANNOT_SERVE.text)
            _refuse(sock, plan, _CANNOT_SERVE)
            admission.release()
            return
        if not self._listening:  # accepted just before it was over
            connection.drain()

    def _tell_refused(self, address: str, reason: str) -> None:
        if self._shell.observer is not None:
            self._shell.observer.connection_refused(address, reason)

    def forget(self, connection: Connection) -> None:
        """A connection is over."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    # How it is -------------------------------------------------------------------------------------------------------

    def health(self) -> Health:
        """Whether it serves, and what hinders it. Ask in the loop; from another thread: `ServerThread.health`."""
        stuck = sum(connection.is_stuck for connection in self._connections)
        problems: list[str] = []
        if not self._listening or self._failure is not None:
            problems.append("not listening")
        if self._is_paused:
            problems.append("paused")
        if stuck > MAX_STUCK:
            problems.append(f"{stuck} methods of sessions ignore that they were cancelled")
        if self._guard.load.has_full_memory:
            problems.append("messages that wait for their sessions fill spool_total_memory_bytes")
        problems += problems_of(self._session)
        return Health(is_live=True, connections=len(self._connections), stuck=stuck, problems=tuple(problems))

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
        await self._stop_listening()
        for connection in list(self._connections):
            connection.drain()
        await self._wait_until_empty(timeout_seconds)
        await self.close()

    async def close(self) -> None:
        """Stop at once: hooks are cancelled, `Session.close` is awaited. May be called again."""
        try:
            await self._stop_listening()
            for connection in list(self._connections):
                connection.shut_down()
            await self._wait_until_empty(_CLOSE_SECONDS)
            for connection in list(self._connections):
                connection.abandon()
            await self._wait_until_empty(_CLOSE_SECONDS)
        finally:
            self._guard.load.stop()
            self._guard.limits = self._shell.protocol.limits
            self._stopped.set()

    async def _wait_until_empty(self, seconds: float) -> None:
        if self._connections:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._empty.wait()

    async def _stop_listening(self) -> None:
        accepting, self._accepting = self._accepting, []
        for task in accepting:
            task.cancel()
        try:
            await asyncio.gather(*accepting, return_exceptions=True)  # the loop must let go of a socket first
        finally:
            self._close_sockets()
        await asyncio.gather(*self._attaching, return_exceptions=True)

    def _close_sockets(self) -> None:
        for _, listening in self._listening:
            listening.close()
        self._listening.clear()

    async def __aenter__(self) -> "Self":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()


class _Admission:
    """One connection's place in the guard's counts, given back once."""

    __slots__ = ("_forget", "_guard", "_is_released", "_is_spared", "address")

    def __init__(
        self, guard: Guard, address: str, is_spared: Callable[[str], bool], forget: Callable[[Connection], None]
    ) -> None:
        self._guard = guard
        self._is_spared = is_spared
        self._forget = forget
        self._is_released = False
        self.address = address

    def connection_closed(self, connection: Connection) -> None:
        self._forget(connection)
        self.release()

    def move(self, address: str) -> Refusal | None:
        """Count another address in place of the first; or why it is refused, and nothing is counted."""
        if not self._is_released:
            self._guard.release(self.address)
        now = asyncio.get_running_loop().time()
        refusal = self._guard.admit(address, now=now, spared=self._is_spared(address))
        self.address = address
        self._is_released = refusal is not None
        return refusal

    def release(self) -> None:
        if not self._is_released:
            self._is_released = True
            self._guard.release(self.address)


class _Silent(ProxyError):
    """A connection that ended without an octet: somebody looked whether we are there."""


async def _read_proxy_header(sock: socket.socket) -> tuple[ProxyHeader, bytes]:
    loop, parser, was_heard = asyncio.get_running_loop(), ProxyParser(), False
    try:
        while octets := await loop.sock_recv(sock, 4096):
            if (found := parser.feed(octets)) is not None:
                return found
            was_heard = True
    except ConnectionError as error:
        if was_heard:
            raise
        raise _Silent("the connection broke") from error
    raise (ProxyError if was_heard else _Silent)("the connection ended in the PROXY header")


def _served(mechanisms: Sequence[ServerMechanism], session: Callable[[], Session]) -> tuple[ServerMechanism, ...]:
    """The mechanisms that the session has a method for."""
    maker: object = getattr(session, "func", session)  # functools.partial(MySession, ...)
    own = own_methods_of(cast("type[Session]", maker)) if isinstance(maker, type) else own_methods(session())
    return tuple(each for each in mechanisms if ("lookup" if each.needs_lookup else "authenticate") in own)


def host_name() -> str:
    """The host's name, as far as it can stand in a greeting."""
    name = socket.gethostname()
    return name if name.isascii() and " " not in name else "localhost"


T = TypeVar("T")


def _given(value: T | None, usual: T) -> T:
    return usual if value is None else value


def _address_of(name: SocketName) -> str:
    return str(name[0]) if isinstance(name, tuple) else "unix"


def _write_log(level: int, text: str, *args: object, error: BaseException | None = None) -> None:
    _log.log(level, text, *args, exc_info=error)


def _refuse(sock: socket.socket, plan: Listener, refusal: Reply) -> None:
    """Say no and close, without waiting for anybody: a new socket's buffer has room for a line."""
    with sock, contextlib.suppress(OSError):
        if not plan.implicit_tls:
            sock.setblocking(False)
            sock.send(refusal.to_bytes())


def _url(dialect: Dialect, plan: Listener, sock: socket.socket) -> str:
    name: SocketName = sock.getsockname()
    if not isinstance(name, tuple):
        return f"{dialect.scheme}+unix://{endpoint_text(name)}"
    scheme = f"{dialect.scheme}s" if plan.implicit_tls else dialect.scheme
    return f"{scheme}://{endpoint_text(name)}"
