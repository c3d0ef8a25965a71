"""What an `SMTPProvider` is told, sorted into what its client has to know and what is its own conduct."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from smtpx.client.observer import ClientObserver
from smtpx.client.settings import ClientSettings, Limits, checked_host, settings_for
from smtpx.errors import ConfigurationError
from smtpx.flows.session import Authentication, Security
from smtpx.flows.steps import Timeouts
from smtpx.mailer.rate_limit import RateLimit
from smtpx.net.proxies import Proxy
from smtpx.net.targets import Target
from smtpx.protocol.extension import Extension, ExtensionSet
from smtpx.protocol.limits import ClientLimits

if TYPE_CHECKING:
    import ssl

__all__ = ["Conduct", "SMTPOptions", "login_of", "sorted_options", "target_of"]


class SMTPOptions(TypedDict, total=False):
    """Keyword arguments of `SMTPProvider`: those of `Conduct`, fields of `ClientSettings`, and shorthands for them."""

    rate_limit: RateLimit | Literal["default"] | None
    strict: bool
    smtputf8: bool | None
    probe: Literal["lazy", "connect"]
    check_seconds: float
    check_cache_seconds: float
    close_seconds: float
    security: Security
    max_connections: int
    token: "str | Callable[[], str]"
    auth: Authentication | None
    auth_mechanisms: Sequence[str] | None
    ssl_context: "ssl.SSLContext | None"
    ca_file: str | Path | None
    verify: bool
    hello_name: str | None
    local_address: str | None
    connect: Callable[[Target, float], object] | None
    proxy: Proxy | str | None
    timeout: float | None
    timeouts: Timeouts
    limits: Limits
    protocol_limits: ClientLimits
    extensions: ExtensionSet | Iterable[Extension]
    pipelining: bool
    chunking: bool
    trace: Callable[[str, bytes], None] | None
    observer: ClientObserver | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """How a provider goes about it, whatever the server.

    Attributes:
        rate_limit: how fast; "default" is ten a second with bursts of twenty, None no limit at all. May be shared.
        strict: one refused recipient stops the message for all.
        smtputf8: True demands it, False never uses it, None does where address or header need it.
        probe: what readiness asks before anything was sent: "lazy" nothing, "connect" the server.
        check_seconds: how long a readiness check may take.
        check_cache_seconds: how long its answer holds.
        close_seconds: how long `close` waits for what is being sent.

    Raises:
        ConfigurationError: naming what makes no sense.
    """

    rate_limit: RateLimit | Literal["default"] | None = "default"
    strict: bool = False
    smtputf8: bool | None = None
    probe: Literal["lazy", "connect"] = "lazy"
    check_seconds: float = 3.0
    check_cache_seconds: float = 5.0
    close_seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.probe not in ("lazy", "connect"):
            raise ConfigurationError('probe is "lazy" or "connect"')
        if not self.check_seconds > 0:
            raise ConfigurationError("check_seconds must be more than 0")
        if not self.check_cache_seconds >= 0:
            raise ConfigurationError("check_cache_seconds must be at least 0")

    def limit(self) -> RateLimit | None:
        """The limit itself: each provider has its own unless it was given one."""
        return RateLimit() if self.rate_limit == "default" else self.rate_limit


_OWN = frozenset(field.name for field in fields(Conduct))


def login_of(username: str, password: str, options: Mapping[str, Any]) -> dict[str, str]:
    """User name and password as options; blank ones are none.

    Raises:
        ConfigurationError: one is there without the other.
    """
    if not username and password:
        raise ConfigurationError("username is missing for the password")
    if username and not (password or "token" in options):
        raise ConfigurationError("password is missing for the user name, or token")
    return {name: text for name, text in (("username", username), ("password", password)) if text}


def sorted_options(where: str | ClientSettings, options: Mapping[str, Any]) -> tuple[ClientSettings, Conduct]:
    """What the client is told, and what is the provider's own. There is one connection unless something says more.

    Args:
        where: a URL, or settings to begin with.

    Raises:
        ConfigurationError: naming the argument.
    """
    own = {name: value for name, value in options.items() if name in _OWN}
    others = {name: value for name, value in options.items() if name not in _OWN}
    if isinstance(where, str) and "max_connections=" not in where and "limits" not in others:
        others.setdefault("max_connections", 1)
    return settings_for(where, **others), Conduct(**own)


def target_of(host: str, port: object) -> Target:
    """A server; IPv6 with or without brackets.

    Raises:
        ConfigurationError: naming what is wrong.
    """
    if not host:
        raise ConfigurationError("host must not be empty")
    if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535:
        raise ConfigurationError("port must be a number from 1 to 65535")
    in_brackets = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if in_brackets else host
    try:
        return Target(checked_host(bare, in_brackets=in_brackets or ":" in bare), port)
    except ConfigurationError:
        raise ConfigurationError("host is neither a host name nor an IP address") from None
