"""One place to listen: where it is, who can reach it, and how it is called."""

import os
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from smtpx.errors import ConfigurationError
from smtpx.net.listening import UNIX_MODE, Listening, listen
from smtpx.net.targets import endpoint_text
from smtpx.protocol.settings import ServerSettings
from smtpx.server.exposure import Exposure, is_reachable
from smtpx.server.peer import SocketName

__all__ = ["Listener", "check_places"]

_NO_GROUP = 2**32 - 1  # for chown: leave it as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One place to listen: host and port (0: any free one), a unix socket's path, or a socket of your own.

    `unix_mode` and `unix_group` (a name or a number) are rights and group of the socket file: who may write to it may
    connect, by default our own user only. Names that begin with a NUL have no file, and are open to all of the host.

    `tls` is the context for STARTTLS or, with `implicit_tls`, for TLS from the first octet; never share one between
    listeners, or a session ticket of one opens the other. With `proxy_protocol` every connection begins with a PROXY
    header of version 1 or 2 from a peer in `proxy_trusted`; who does not send one is closed without a word.
    """

    host: str | None = "127.0.0.1"
    port: int = 2525
    unix: str | os.PathLike[str] | None = None
    unix_mode: int = UNIX_MODE
    unix_group: str | int | None = None
    sock: socket.socket | None = None
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    proxy_protocol: bool = False

    def listen(self) -> list[Listening]:
        """Open its sockets.

        Raises:
            OSError: naming the address; nothing listens then.
            ConfigurationError: for a group that there is not.
        """
        return listen(
            host=self.host,
            port=self.port,
            unix=self.unix,
            sock=self.sock,
            unix_mode=self.unix_mode,
            unix_group=_group_id(self.unix_group),
        )

    def exposure(self, settings: ServerSettings) -> Exposure:
        """Who can reach it, and whether they may log in there."""
        place, is_public = is_reachable(self.host, self.unix, self.sock)
        in_clear = settings.allow_insecure_auth or (
            self.tls is None and any(not each.reveals_secret for each in settings.mechanisms)
        )
        has_auth = bool(settings.mechanisms)
        has_clear_auth = has_auth and in_clear and not self.implicit_tls
        return Exposure(place=place, is_public=is_public, has_auth=has_auth, has_clear_auth=has_clear_auth)

    def url(self, scheme: str, name: SocketName) -> str:
        """What it is called when a socket of it is bound to this name."""
        if not isinstance(name, tuple):
            return f"{scheme}+unix://{endpoint_text(name)}"
        return f"{scheme}{'s' if self.implicit_tls else ''}://{endpoint_text(name)}"


def check_places(places: Iterable[Listener], settings: ServerSettings) -> None:
    """Raise ConfigurationError for what can't work, or is not safe."""
    contexts: set[ssl.SSLContext] = set()
    for place in places:
        _check_rights(place)
        if place.implicit_tls and place.tls is None:
            raise ConfigurationError("implicit TLS needs a certificate: tls=server_tls(cert, key)")
        if settings.require_tls and place.tls is None:
            raise ConfigurationError("require_tls without a certificate: nobody could send anything")
        if place.tls in contexts:
            raise ConfigurationError("listeners share a TLS context: a session ticket of one would open the other")
        if place.tls is not None:
            contexts.add(place.tls)
    if settings.require_auth and not settings.mechanisms:
        raise ConfigurationError("require_auth, but the session has no method for any mechanism")


def _check_rights(place: Listener) -> None:
    if not 0 <= place.unix_mode <= 0o777:
        raise ConfigurationError(f"unix_mode is 0 to 0o777, not {place.unix_mode:#o}")
    if place.unix_group is None:
        return
    if place.unix is None or os.fspath(place.unix).startswith("\0"):
        raise ConfigurationError("unix_group is for the path of a unix socket")
    _group_id(place.unix_group)


def _group_id(group: str | int | None) -> int | None:
    if group is None:
        return None
    if isinstance(group, int) or (group.isascii() and group.isdigit()):
        if not 0 <= int(group) < _NO_GROUP:
            raise ConfigurationError(f"{group} is no number of a group")
        return int(group)
    try:
        import grp

        return grp.getgrnam(group).gr_gid
    except (ImportError, KeyError):  # ImportError: on Windows
        raise ConfigurationError(f"there is no group {group!r}") from None
