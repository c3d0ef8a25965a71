"""Who can reach a listener, and what it lets them do: what start-up checks judge."""

import os
import socket
from dataclasses import dataclass

from smtpx.net.targets import endpoint_text, is_local_peer, is_loopback

__all__ = ["Exposure", "is_reachable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """One listener, as strangers see it.

    Attributes:
        place: where it listens, for messages.
        is_public: other hosts can reach it.
        has_auth: clients may log in.
        has_clear_auth: they may do so without TLS.
    """

    place: str
    is_public: bool
    has_auth: bool
    has_clear_auth: bool


def is_reachable(host: str | None, unix: str | os.PathLike[str] | None, sock: socket.socket | None) -> tuple[str, bool]:
    """Where a listener with these settings is, and whether other hosts can reach it."""
    if sock is not None:
        name: object = sock.getsockname()
        return endpoint_text(name), not is_local_peer(name)
    if unix is not None:
        return os.fspath(unix), False
    return host or "all addresses", host is None or not (host == "localhost" or is_loopback(host))
