"""What becomes of sockets that were accepted: a connection, or a line that says why not."""

import asyncio
import contextlib
import errno
import logging
import math
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from smtpx.extensions.trusted_peers import TrustedPeers
from smtpx.net.targets import endpoint_text, is_loopback
from smtpx.protocol import replies
from smtpx.server.certificates import Certificates
from smtpx.server.connection import Connection
from smtpx.server.crowd import Crowd
from smtpx.server.guard import Guard, Refusal
from smtpx.server.limit_report import report_limit
from smtpx.server.peer import SocketName
from smtpx.server.place import Listener
from smtpx.server.proxy_header import ProxyError, ProxyHeader, ProxyParser, is_trusted
from smtpx.server.session import Session
from smtpx.server.settings import ShellSettings
from smtpx.wire.reply import Reply

__all__ = ["Acceptor", "House"]

_log = logging.getLogger("smtpx.server")
_SAID_NOTHING = "said nothing"  # somebody looked whether we are there
_ACCEPTS_AT_ONCE = 64
_RETRY_SECONDS = 0.005
_MAX_RETRY_SECONDS = 1.0
_LOG_SECONDS = 60.0
_TEMPORARY = frozenset(
    getattr(errno, name)
    for name in ("ECONNABORTED", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EAGAIN", "EINTR", "EPROTO")
    if hasattr(errno, name)
)


@dataclass(slots=True, kw_only=True)
class House:
    """What all listeners of a server share.

    Attributes:
        proxy_trusted: whose PROXY headers are believed.
        trusted: who is spared default numbers, and the greeting's delay.
        connections: those that are open.
        attaching: tasks of those that are accepted and not open yet.
        is_listening: else whoever gets in is told at once that it is over.
        is_paused: everybody is turned away.
        first_reserved: the first file descriptor that is not for connections.
    """

    session: Callable[[], Session]
    guard: Guard
    certificates: Certificates
    proxy_trusted: tuple[IPv4Network | IPv6Network, ...]
    trusted: TrustedPeers
    connections: Crowd = field(default_factory=Crowd)
    attaching: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    is_listening: bool = False
    is_paused: bool = False
    first_reserved: float = math.inf

    def is_spared(self, address: str) -> bool:
        """Whether default numbers are not for this peer."""
        return address == "unix" or is_loopback(address) or self.trusted.include_address(address)


class Acceptor:
    """Lets the clients of one listener in."""

    def __init__(self, place: Listener, settings: ShellSettings, house: House) -> None:
        self._place = place
        self._settings = settings
        self._house = house
        self._guard = house.guard

    async def run(self, sock: socket.socket) -> None:
        """Accept for ever; what is only temporary is waited for.

        Raises:
            OSError: if the socket is of no use any more.
            ValueError: if somebody else has closed it.
        """
        loop = asyncio.get_running_loop()
        pause, logged_at = _RETRY_SECONDS, -_LOG_SECONDS
        while True:
            try:
                accepted = await loop.sock_accept(sock)
                pause = _RETRY_SECONDS
                self._take(*accepted)
                for _ in range(_ACCEPTS_AT_ONCE):
                    self._take(*sock.accept())
            except BlockingIOError:
                continue
            except OSError as error:
                if error.errno not in _TEMPORARY:
                    raise
                if loop.time() - logged_at >= _LOG_SECONDS:
                    logged_at = loop.time()
                    _log.warning("can't accept connections just now: %s", error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _MAX_RETRY_SECONDS)

    def _take(self, sock: socket.socket, name: SocketName) -> None:
        house, proxied = self._house, self._place.proxy_protocol
        address = _address_of(name)
        if house.is_paused:
            self._refuse(sock, name, replies.PAUSED, "paused")
            return
        if proxied and not is_trusted(address, house.proxy_trusted):
            self._refuse(sock, name, None, "not trusted to speak for others")
            return
        loop = asyncio.get_running_loop()
        refusal = self._reserve_hit(sock) or self._guard.admit(
            address, now=loop.time(), spared=proxied or house.is_spared(address), speaks_for_others=proxied
        )
        if refusal is not None:
            self._reject(sock, name, refusal)
            return
        sock.setblocking(False)
        serving = self._serve_proxied if proxied else self._attach
        task = loop.create_task(serving(sock, _Admission(house, address), name))
        house.attaching.add(task)
        task.add_done_callback(house.attaching.discard)

    def _reserve_hit(self, sock: socket.socket) -> Refusal | None:
        """The lowest free descriptor is taken always, so a high one says how few are left for stores and logs."""
        if sock.fileno() < self._house.first_reserved:
            return None
        reserve = self._settings.protocol.limits.descriptor_reserve
        return Refusal(replies.TOO_MANY_CONNECTIONS, "descriptor_reserve", reserve)

    async def _serve_proxied(self, sock: socket.socket, admission: "_Admission", name: SocketName) -> None:
        """Read the PROXY header, count the client instead of the balancer, and serve it."""
        seconds = self._settings.at(pressure=self._guard.load.is_high).deadlines.proxy_header
        try:
            async with asyncio.timeout(seconds):
                header, early = await _read_proxy_header(sock)
        except (ProxyError, TimeoutError, OSError) as error:
            level = logging.DEBUG if isinstance(error, _Silent) else logging.INFO
            _log.log(level, "closed %s: %s", endpoint_text(name), str(error) or "no PROXY header in time")
            self._tell_refused(name, _SAID_NOTHING if isinstance(error, _Silent) else "no good PROXY header")
            if isinstance(error, TimeoutError):
                self._limit_hit(name, "proxy_header", seconds)
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
                self._reject(sock, name, refusal)
                return
        await self._attach(sock, admission, name, early)

    async def _attach(self, sock: socket.socket, admission: "_Admission", name: SocketName, early: bytes = b"") -> None:
        house, place = self._house, self._place

        def make() -> Connection:
            connection = Connection(
                self._settings,
                house.session(),
                house.guard,
                admission,
                name=name,
                tls=lambda: house.certificates.current(place.tls),
                implicit_tls=place.implicit_tls,
                early=early,
                is_known=place.proxy_protocol or house.trusted.include_address(admission.address),
            )
            house.connections.add(connection)
            return connection

        try:
            _, connection = await asyncio.get_running_loop().connect_accepted_socket(make, sock)
        except Exception:  # the session could not be made
            _log.exception("can't serve a connection")
            self._tell_refused(name, replies.BROKEN.text)
            self._send_away(sock, replies.BROKEN)
            admission.release()
            return
        if not house.is_listening:  # accepted just before it was over
            connection.drain()

    # Refusing --------------------------------------------------------------------------------------------------------

    def _reject(self, sock: socket.socket, name: SocketName, refusal: Refusal) -> None:
        _log.info("refused %s: %s", endpoint_text(name), refusal.reply)
        self._limit_hit(name, refusal.limit, refusal.value)
        self._tell_refused(name, refusal.reply.text)
        self._send_away(sock, refusal.reply)

    def _refuse(self, sock: socket.socket, name: SocketName, reply: Reply | None, reason: str) -> None:
        _log.info("refused %s: %s", endpoint_text(name), reason)
        self._tell_refused(name, reason)
        self._send_away(sock, reply)

    def _send_away(self, sock: socket.socket, reply: Reply | None) -> None:
        """Say no and close, without waiting for anybody: a new socket's buffer has room for a line."""
        with sock, contextlib.suppress(OSError):
            if reply is not None and not self._place.implicit_tls:
                sock.setblocking(False)
                sock.send(reply.to_bytes())

    def _limit_hit(self, name: SocketName, limit: str, value: float) -> None:
        report_limit(self._settings.observer, _write_log, _address_of(name), limit, value)

    def _tell_refused(self, name: SocketName, reason: str) -> None:
        if self._settings.observer is not None:
            self._settings.observer.connection_refused(_address_of(name), reason)


class _Admission:
    """One connection's place in the guard's counts, given back once."""

    __slots__ = ("_house", "_is_released", "address")

    def __init__(self, house: House, address: str) -> None:
        self._house = house
        self._is_released = False
        self.address = address

    def connection_closed(self, connection: Connection) -> None:
        self._house.connections.remove(connection)
        self.release()

    def move(self, address: str) -> Refusal | None:
        """Count another address in place of the first; or why it is refused, and nothing is counted."""
        guard = self._house.guard
        if not self._is_released:
            guard.release(self.address)
        now = asyncio.get_running_loop().time()
        refusal = guard.admit(address, now=now, spared=self._house.is_spared(address))
        self.address = address
        self._is_released = refusal is not None
        return refusal

    def release(self) -> None:
        if not self._is_released:
            self._is_released = True
            self._house.guard.release(self.address)


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


def _address_of(name: SocketName) -> str:
    return str(name[0]) if isinstance(name, tuple) else "unix"


def _write_log(level: int, text: str, *args: object, error: BaseException | None = None) -> None:
    _log.log(level, text, *args, exc_info=error)
