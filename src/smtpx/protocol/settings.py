"""What a server protocol is told once, when its listener is made."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from smtpx.protocol.dialect import SMTP, Dialect
from smtpx.protocol.limits import ServerLimits
from smtpx.sasl import ServerMechanism
from smtpx.wire.commands import FOREIGN_VERBS

if TYPE_CHECKING:
    from smtpx.protocol.extension import ExtensionSet

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
