"""What a server protocol is told once, when its listener is made."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from smtpx.protocol.dialect import SMTP, Dialect
from smtpx.protocol.limits import ServerLimits
from smtpx.sasl import ExchangeContext, ServerMechanism
from smtpx.wire.commands import FOREIGN_VERBS

if TYPE_CHECKING:
    from smtpx.protocol.extension import ExtensionSet
    from smtpx.protocol.facts import ServerFacts

__all__ = ["ServerSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The rules of one listener, as far as the protocol goes.

    `starttls`: TLS can be had. `bare_newline`, `nul`: what happens to content that holds a CR or LF alone, or a NUL;
    with "normalize" an LF alone ends a command line too. `sync_check`: behind which commands no input may be waiting:
    "data" (and STARTTLS, always), "all" that RFC 2920 3.1 puts last in a group, or "off". `syntax`: "strict" refuses a
    space behind `FROM:`, "lenient" takes paths without brackets.
    """

    hostname: str
    extensions: "ExtensionSet"
    dialect: Dialect = SMTP
    limits: ServerLimits = field(default_factory=ServerLimits)
    mechanisms: tuple[ServerMechanism, ...] = ()
    starttls: bool = False
    require_tls: bool = False
    require_auth: bool = False
    allow_insecure_auth: bool = False
    bare_newline: Literal["reject", "normalize"] = "reject"
    nul: Literal["keep", "reject"] = "keep"
    sync_check: Literal["data", "all", "off"] = "data"
    syntax: Literal["normal", "strict", "lenient"] = "normal"
    source_routes: Literal["ignore", "reject"] = "ignore"
    foreign_verbs: frozenset[str] = FOREIGN_VERBS
    banner: str = "ready"

    def may_reveal(self, mechanism: ServerMechanism, facts: "ServerFacts") -> bool:
        """Whether the connection is protected enough for a mechanism.

        One that does not reveal the secret still lets a listener guess it (RFC 5802 9), so where there is STARTTLS all
        of them wait for it.
        """
        in_clear = not mechanism.reveals_secret and not self.starttls
        return facts.tls is not None or self.allow_insecure_auth or in_clear

    def exchange_context(self, facts: "ServerFacts") -> ExchangeContext:
        """What mechanisms may know of a connection, with the names of those that are offered on it."""
        tls = facts.tls
        if tls is None:
            context = ExchangeContext(host=self.hostname)
        else:
            context = ExchangeContext(bindings=tls.bindings, host=self.hostname, peer_identity=tls.peer_identity)
        names = (each.name for each in self.mechanisms if each.fits(context) and self.may_reveal(each, facts))
        return replace(context, offered=tuple(names))
