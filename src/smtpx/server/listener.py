"""The server: sockets that listen, and the connections they give.

async with Server(MySession, port=2525) as server:
    await server.serve_forever()
"""

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from smtpx.errors import ConfigurationError
from smtpx.extensions import STANDARD
from smtpx.extensions.trusted_peers import TrustedPeers
from smtpx.net.listening import UNIX_MODE, Listening, descriptor_limit
from smtpx.net.tls import without_tickets
from smtpx.protocol.dialect import SMTP, Dialect
from smtpx.protocol.extension import Extension, ExtensionSet
from smtpx.protocol.limits import ServerLimits
from smtpx.protocol.settings import ServerSettings
from smtpx.sasl import ServerMechanism
from smtpx.server.accepting import Acceptor, House
from smtpx.server.certificates import Certificates
from smtpx.server.defaults import MECHANISMS, given, host_name, served_by
from smtpx.server.exposure import Exposure
from smtpx.server.guard import Guard
from smtpx.server.health import MAX_STUCK, Health, problems_of
from smtpx.server.middleware import ChecksExposure
from smtpx.server.observer import ServerObserver, shielded
from smtpx.server.peer import SocketName
from smtpx.server.place import Listener, check_places
from smtpx.server.profiles import Profile, ProfileName, profile_of
from smtpx.server.proxy_header import DEFAULT_TRUSTED, beyond_default
from smtpx.server.session import Session
from smtpx.server.settings import Deadlines, ShellSettings
from smtpx.server.transcript import Trace

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Listener", "Server", "host_name"]

_log = logging.getLogger("smtpx.server")
_MAIL_PROTOCOLS = frozenset({b"smtp", b"esmtp"})  # what Exim takes; none is registered
_CLOSE_SECONDS = 5.0  # for hooks to notice that they are cancelled, and for `Session.close`


class Server:
    """An SMTP or LMTP server in the loop that runs.

    Args:
        session: makes a `Session` for each connection: the class, or any callable.
        profile: what the server is for: "dev", "submission" (users log in, under TLS), "mx" (anybody delivers). It sets
            what the keywords below leave open; `limits` and `deadlines` replace those of the profile as a whole.
        host, port, unix, unix_mode, unix_group, tls, implicit_tls, proxy_protocol: the one `Listener`; or give
            `listeners`.
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
        unix: str | os.PathLike[str] | None = None,
        unix_mode: int = UNIX_MODE,
        unix_group: str | int | None = None,
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
        one = Listener(
            host=host,
            port=port,
            unix=unix,
            unix_mode=unix_mode,
            unix_group=unix_group,
            tls=tls,
            implicit_tls=implicit_tls,
            proxy_protocol=proxy_protocol,
        )
        chosen = profile_of(profile)
        deadlines = deadlines or chosen.deadlines
        rules = ServerSettings(
            hostname=hostname or host_name(),
            dialect=dialect,
            limits=limits or chosen.limits,
            extensions=ExtensionSet(extensions),
            mechanisms=served_by(session, given(mechanisms, MECHANISMS if chosen.offers_auth else ())),
            require_tls=given(require_tls, chosen.require_tls),
            require_auth=given(require_auth, chosen.require_auth),
            allow_insecure_auth=allow_insecure_auth,
            bare_newline=bare_newline,
            nul=nul,
            sync_check=given(sync_check, chosen.sync_check),
            syntax=syntax,
            source_routes=source_routes,
            banner=banner,
        )
        self._shell = ShellSettings(
            protocol=rules,
            deadlines=deadlines if timeout is None else deadlines.capped(timeout),
            greeting_delay_seconds=given(greeting_delay, chosen.greeting_delay),
            observer=shielded(observer),
            trace=trace,
            alpn=_MAIL_PROTOCOLS if alpn == "require" else None,
        )
        self._places = tuple(listeners) if listeners is not None else (one,)
        self._check(session)
        self._tls_watch_seconds = tls_watch_seconds
        self.certificates = self._certificates(tickets=given(session_tickets, chosen.session_tickets))
        self._guard = Guard(rules.limits, refuse_guessers=chosen.refuse_guessers)
        self._guard.load.on_change = self._feel_pressure
        self._house = House(
            session=session,
            guard=self._guard,
            certificates=self.certificates,
            proxy_trusted=tuple(proxy_trusted),
            trusted=TrustedPeers(str(each) for each in trusted_networks),
        )
        self._connections = self._house.connections
        self._listening: list[tuple[Listener, Listening]] = []
        self._running: list[asyncio.Task[None]] = []
        self._stopped = asyncio.Event()
        self._failure: Exception | None = None

    def _check(self, session: Callable[[], Session]) -> None:
        """See that the settings fit together, and let whoever makes sessions see who can reach them."""
        check_places(self._places, self._shell.protocol)
        maker: object = session
        if isinstance(maker, ChecksExposure):
            maker.check_exposure(self.exposures)

    def _certificates(self, *, tickets: bool) -> Certificates:
        contexts = [place.tls for place in self._places if place.tls is not None]
        if not tickets:
            for context in contexts:
                without_tickets(context)
        return Certificates(contexts, self._shell.observer)

    @property
    def exposures(self) -> list[Exposure]:
        """Who can reach each listener, and whether they may log in there."""
        return [place.exposure(self._shell.protocol) for place in self._places]

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
        scheme = self._shell.protocol.dialect.scheme
        return [place.url(scheme, listening.sock.getsockname()) for place, listening in self._listening]

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
        self._stopped, self._failure = asyncio.Event(), None
        self._house.first_reserved = descriptor_limit() - self._shell.protocol.limits.descriptor_reserve
        try:
            for place in self._places:
                self._listening += [(place, each) for each in place.listen()]
        except BaseException:
            self._close_sockets()
            raise
        public = beyond_default(self._house.proxy_trusted)
        if public and any(place.proxy_protocol for place in self._places):
            _log.warning("PROXY headers are believed from addresses that are not private: %s", ", ".join(public))
        loop = asyncio.get_running_loop()
        self._house.is_listening = True
        for place, listening in self._listening:
            self._running.append(loop.create_task(self._accept(place, listening.sock)))
        self.certificates.start()
        if self._tls_watch_seconds is not None and self.certificates.are_reloadable:
            self._running.append(loop.create_task(self._watch_certificates(self._tls_watch_seconds)))

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
        self._house.is_paused = True

    def resume(self) -> None:
        """Serve new connections again."""
        self._house.is_paused = False

    @property
    def is_paused(self) -> bool:
        """Whether new connections are turned away."""
        return self._house.is_paused

    async def _accept(self, place: Listener, sock: socket.socket) -> None:
        try:
            await Acceptor(place, self._settings_of(place), self._house).run(sock)
        except (OSError, ValueError) as error:
            self._failure = error
            self._stopped.set()

    def _settings_of(self, place: Listener) -> ShellSettings:
        starttls = place.tls is not None and not place.implicit_tls
        return replace(self._shell, protocol=replace(self._shell.protocol, starttls=starttls)).with_pressed()

    def _feel_pressure(self) -> None:
        is_high = self._guard.load.is_high
        _log.warning("under pressure: limits are tight" if is_high else "no pressure any more: limits are as usual")
        self._guard.limits = self._shell.with_pressed().at(pressure=is_high).protocol.limits
        for connection in self._connections:
            connection.feel_pressure()

    # How it is -------------------------------------------------------------------------------------------------------

    def health(self) -> Health:
        """Whether it serves, and what hinders it. Ask in the loop; from another thread: `ServerThread.health`."""
        stuck = sum(connection.is_stuck for connection in list(self._connections))  # gauges are read by other threads
        problems: list[str] = []
        if not self._listening or self._failure is not None:
            problems.append("not listening")
        if self.is_paused:
            problems.append("paused")
        if stuck > MAX_STUCK:
            problems.append(f"{stuck} methods of sessions ignore that they were cancelled")
        if self._guard.load.has_full_memory:
            problems.append("messages that wait for their sessions fill spool_total_memory_bytes")
        problems += problems_of(self._house.session)
        return Health(
            is_live=True,
            connections=len(self._connections),
            stuck=stuck,
            problems=tuple(problems),
            held_bytes=self._guard.load.held_bytes,
        )

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
        for connection in self._connections:
            connection.drain()
        await self._connections.wait_until_empty(timeout_seconds)
        await self.close()

    async def close(self) -> None:
        """Stop at once: hooks are cancelled, `Session.close` is awaited. May be called again."""
        try:
            await self._stop_listening()
            for connection in self._connections:
                connection.shut_down()
            await self._connections.wait_until_empty(_CLOSE_SECONDS)
            for connection in self._connections:
                connection.abandon()
            await self._connections.wait_until_empty(_CLOSE_SECONDS)
        finally:
            self._guard.load.stop()
            self._guard.limits = self._shell.protocol.limits
            self._stopped.set()

    async def _stop_listening(self) -> None:
        running, self._running = self._running, []
        for task in running:
            task.cancel()
        try:
            await asyncio.gather(*running, return_exceptions=True)  # the loop must let go of a socket first
        finally:
            self._close_sockets()
        await asyncio.gather(*self._house.attaching, return_exceptions=True)

    def _close_sockets(self) -> None:
        for _, listening in self._listening:
            listening.close()
        self._listening.clear()
        self._house.is_listening = False

    async def __aenter__(self) -> "Self":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()
