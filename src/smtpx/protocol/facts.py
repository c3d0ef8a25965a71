"""What one side knows about the other. STARTTLS replaces the whole object, so forgetting is complete (RFC 3207 4.2)."""

from dataclasses import dataclass

__all__ = ["ServerFacts", "TLSFacts"]


@dataclass(frozen=True, slots=True)
class TLSFacts:
    """What is known of the TLS layer under a connection.

    `verified`: the peer's certificate was checked against trusted authorities and its name. `server_name`: the name
    the client asked for (SNI), on a server. `group` is None where the running Python can't know it.
    """

    version: str
    cipher: str
    verified: bool = False
    server_name: str | None = None
    group: str | None = None


@dataclass(slots=True)
class ServerFacts:
    """What a server knows of its client."""

    tls: TLSFacts | None = None
    hello_name: str | None = None
    extended: bool = False  # the hello was one that asks for extensions
    identity: str | None = None
