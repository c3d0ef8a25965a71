"""What one side knows about the other. STARTTLS replaces the whole object, so forgetting is complete (RFC 3207 4.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Claims", "ServerFacts", "TLSFacts"]


@dataclass(frozen=True, slots=True)
class TLSFacts:
    """What is known of the TLS layer under a connection.

    `verified`: the peer's certificate was checked against trusted authorities and its name. `server_name`: the name
    the client asked for (SNI), on a server. `group` names the key exchange, None where it had none. `bindings` name the
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a trusted peer says of the client that it speaks for (XCLIENT, XFORWARD).

    None: it did not say, or does not know. An `address` that it does not know is "unknown", so that nobody takes the
    peer's own for it.
    """

    name: str | None = None
    address: str | None = None
    port: int | None = None
    protocol: str | None = None
    hello_name: str | None = None
    login: str | None = None
    destination_address: str | None = None
    destination_port: int | None = None
    ident: str | None = None
    source: str | None = None


@dataclass(slots=True)
class ServerFacts:
    """What a server knows of its client.

    `address` and `port` are the socket's, "" where nobody told; `claims` is whom the client speaks for, `forwarded` the
    same for the logs of one transaction. `notes` is for extensions: each keeps what it likes under a key of its own.
    """

    tls: TLSFacts | None = None
    hello_name: str | None = None
    extended: bool = False  # the hello was one that asks for extensions
    identity: str | None = None
    address: str = ""
    port: int = 0
    claims: Claims | None = None
    forwarded: Claims | None = None
    notes: dict[Any, Any] = field(default_factory=dict[Any, Any])
