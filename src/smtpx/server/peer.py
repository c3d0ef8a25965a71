"""Who is at the other end, as a session may see it."""

from typing import TYPE_CHECKING, Any

from smtpx.net.targets import endpoint_text, is_local_peer
from smtpx.protocol.facts import TLSFacts

if TYPE_CHECKING:
    from smtpx.protocol.server import ServerProtocol

__all__ = ["Peer", "SocketName"]

SocketName = tuple[Any, ...] | str | bytes | None
"""What `getpeername` and `accept` call a peer; on a unix socket mostly nothing."""


class Peer:
    """A read-only view of one connection.

    Attributes:
        id: names the connection in logs and in replies about internal errors.
        address: IP address, or "unix" for a unix socket without a name.
        port: TCP port, 0 on a unix socket.
    """

    __slots__ = ("_name", "_protocol", "address", "id", "port")

    def __init__(self, connection_id: str, name: SocketName, protocol: "ServerProtocol") -> None:
        self.id = connection_id
        self._name = name
        self.address = str(name[0]) if isinstance(name, tuple) else endpoint_text(name)
        self.port = int(name[1]) if isinstance(name, tuple) else 0
        self._protocol = protocol

    @property
    def is_local(self) -> bool:
        """Whether it is a loopback address or a unix socket."""
        return is_local_peer(self._name)

    @property
    def tls(self) -> TLSFacts | None:
        """Facts about TLS; None without."""
        return self._protocol.facts.tls

    @property
    def hello_name(self) -> str | None:
        """What it calls itself. Proves nothing."""
        return self._protocol.facts.hello_name

    @property
    def identity(self) -> str | None:
        """Who it is logged in as."""
        return self._protocol.facts.identity

    @property
    def is_extended(self) -> bool:
        """Whether it said EHLO or LHLO."""
        return self._protocol.facts.extended

    def __repr__(self) -> str:
        return f"<Peer {self.id} {endpoint_text(self._name)}>"
