"""Where to connect, and what the endpoints of a socket mean."""

import ipaddress
import socket
from dataclasses import dataclass
from typing import cast

from smtpx.wire.address import ascii_domain

__all__ = ["Target", "endpoint_text", "hello_name_for", "is_local_peer", "is_loopback"]


@dataclass(frozen=True, slots=True)
class Target:
    """A server: host and port, or the path of a unix socket. `local_address` is the IP address to connect from."""

    host: str = ""
    port: int = 25
    unix_path: str | None = None
    local_address: str | None = None

    def __str__(self) -> str:
        if self.unix_path is not None:
            return self.unix_path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def tls_name(self) -> str | None:
        """The name a certificate must bear: without zone or root dot, an internationalised one in A-labels."""
        if ":" in self.host:
            return self.host.partition("%")[0]  # the zone of an IPv6 address means something on this host only
        return ascii_domain(self.host).removesuffix(".") if self.host else None

    @property
    def is_local(self) -> bool:
        """Whether the way there stays on this host."""
        return self.unix_path is not None or self.host == "localhost" or is_loopback(self.host)


def is_local_peer(peer: object) -> bool:
    """Whether a peer name is a loopback address or a unix socket: nobody in between can listen."""
    if isinstance(peer, tuple):
        return is_loopback(str(cast("tuple[object, ...]", peer)[0]))
    return isinstance(peer, str | bytes)


def is_loopback(host: str) -> bool:
    """Whether this is an IP address of this very host."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def endpoint_text(name: object) -> str:
    """A socket's own or peer name as text."""
    if isinstance(name, tuple):
        host, port = map(str, cast("tuple[object, ...]", name)[:2])
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if isinstance(name, bytes):
        return name.decode("utf-8", "replace").replace("\0", "@")
    return str(name) or "unix"


def hello_name_for(local: object) -> str:
    """What to call ourselves in a hello: the host's full name, else the address literal of the socket's own end.

    RFC 5321 4.1.1.1. Never `localhost` to another host.
    """
    name = socket.gethostname()
    if "." in name and name.isascii() and not name.startswith("localhost"):
        return name
    if not isinstance(local, tuple):
        return name if name and name.isascii() else "localhost"
    host = str(cast("tuple[object, ...]", local)[0]).partition("%")[0]
    return f"[IPv6:{host}]" if ":" in host else f"[{host}]"
