"""Who is at the other end, as a session may see it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from smtpx.net.targets import endpoint_text, is_local_peer
from smtpx.protocol.facts import Claims, TLSFacts
from smtpx.server.envelope import Envelope

if TYPE_CHECKING:
    from smtpx.protocol.server import ServerProtocol
    from smtpx.server.verdicts import Verdicts

__all__ = ["Peer", "SocketName"]

SocketName = tuple[Any, ...] | str | bytes | None
"""What `getpeername` and `accept` call a peer; on a unix socket mostly nothing."""


class Peer:
    """A read-only view of one connection. Where a trusted peer speaks for a client (XCLIENT), it is that client's.

    Attributes:
        id: names the connection in logs and in replies about internal errors.
        transaction_id: names the transaction in logs, from MAIL to its end: `id`, a dot, a number. None between.
        verdicts: where `Session.verdict` puts them; None while no message is under way.
    """

    __slots__ = ("_name", "_protocol", "id", "transaction_id", "verdicts")

    def __init__(self, connection_id: str, name: SocketName, protocol: "ServerProtocol") -> None:
        self.id = connection_id
        self.transaction_id: str | None = None
        self.verdicts: Verdicts | None = None
        self._name = name
        self._protocol = protocol
        protocol.facts.address = str(name[0]) if isinstance(name, tuple) else endpoint_text(name)
        protocol.facts.port = int(name[1]) if isinstance(name, tuple) else 0

    @property
    def address(self) -> str:
        """IP address; "unix" for a unix socket without a name, "unknown" where who speaks for it does not know."""
        facts = self._protocol.facts
        return facts.address if facts.claims is None else facts.claims.address or facts.address

    @property
    def port(self) -> int:
        """TCP port; 0 on a unix socket, or when it is not known."""
        facts = self._protocol.facts
        return facts.port if facts.claims is None or facts.claims.address is None else facts.claims.port or 0

    @property
    def is_local(self) -> bool:
        """Whether it is a loopback address or a unix socket."""
        claims = self._protocol.facts.claims
        return is_local_peer(self._name if claims is None or claims.address is None else (claims.address, 0))

    @property
    def claims(self) -> Claims | None:
        """What a trusted peer says of the client that it speaks for (XCLIENT)."""
        return self._protocol.facts.claims

    @property
    def forwarded(self) -> Claims | None:
        """Where this message comes from, as a trusted peer says (XFORWARD). For logs, never for a right."""
        return self._protocol.facts.forwarded

    @property
    def notes(self) -> Mapping[Any, Any]:
        """What extensions keep about this connection, each under its own key."""
        return self._protocol.facts.notes

    @property
    def tls(self) -> TLSFacts | None:
        """Facts about TLS; None without."""
        return self._protocol.facts.tls

    @property
    def hello_name(self) -> str | None:
        """What it calls itself. Proves nothing."""
        facts = self._protocol.facts
        return (facts.claims.hello_name if facts.claims else None) or facts.hello_name

    @property
    def identity(self) -> str | None:
        """Who it is logged in as."""
        return self._protocol.facts.identity

    @property
    def envelope(self) -> Envelope:
        """The transaction under way."""
        return Envelope(self._protocol)

    @property
    def is_extended(self) -> bool:
        """Whether it said EHLO or LHLO."""
        return self._protocol.facts.extended

    def __repr__(self) -> str:
        return f"<Peer {self.id} {endpoint_text(self._name)}>"
