"""What one side knows about the other. STARTTLS replaces the whole object, so forgetting is complete (RFC 3207 4.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["ServerFacts", "TLSFacts"]


@dataclass(frozen=True, slots=True)
class TLSFacts:
    """What is known of the TLS layer under a connection.

    `verified`: the peer's certificate was checked against trusted authorities and its name. `server_name`: the name
    the client asked for (SNI), on a server. `group` is None where the running Python can't know it. `bindings` name the
    channel, by channel binding type, best first (RFC 5056); they differ for each connection and don't count when facts
    are compared. `peer_identity` is whom the peer's verified certificate names: an e-mail address, else a common name.
    """

    version: str
    cipher: str
    verified: bool = False
    server_name: str | None = None
    group: str | None = None
    bindings: Mapping[str, bytes] = field(default_factory=dict[str, bytes], repr=False, compare=False)
    peer_identity: str | None = None


@dataclass(slots=True)
class ServerFacts:
    """What a server knows of its client."""

    tls: TLSFacts | None = None
    hello_name: str | None = None
    extended: bool = False  # the hello was one that asks for extensions
    identity: str | None = None
