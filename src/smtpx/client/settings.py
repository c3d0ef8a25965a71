"""What a client is told: by URL, by keyword arguments, or both (RFC 6186's services, RFC 8314's ports)."""

import difflib
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from smtpx.errors import ConfigurationError
from smtpx.extensions import STANDARD
from smtpx.flows.session import Authentication, Security
from smtpx.flows.steps import Timeouts
from smtpx.net.targets import Target
from smtpx.protocol.dialect import LMTP, SMTP, Dialect
from smtpx.protocol.extension import ExtensionSet
from smtpx.protocol.limits import ClientLimits
from smtpx.sasl import Password
from smtpx.wire.address import ascii_domain
from smtpx.wire.syntax import WireError

__all__ = ["ClientSettings", "Limits", "settings_for"]

_SCHEMES: Mapping[str, tuple[Security, Dialect, int]] = {
    "smtp": (Security.OPPORTUNISTIC, SMTP, 25),
    "smtp+starttls": (Security.STARTTLS, SMTP, 587),
    "submission": (Security.STARTTLS, SMTP, 587),
    "smtps": (Security.IMPLICIT, SMTP, 465),
    "submissions": (Security.IMPLICIT, SMTP, 465),
    "smtp+plain": (Security.NONE, SMTP, 25),
    "lmtp": (Security.OPPORTUNISTIC, LMTP, 24),
    "lmtp+unix": (Security.NONE, LMTP, 0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How a client uses connections.

    `max_idle_seconds` is how long an unused connection is kept; `max_messages_per_connection` after how many messages a
    new one is made (None: never).
    """

    max_connections: int = 10
    max_idle_seconds: float = 60.0
    max_messages_per_connection: int | None = 1000

    def __post_init__(self) -> None:
        if self.max_connections < 1:
            raise ConfigurationError("max_connections must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Everything a connection needs to know. `settings_for` makes it from a URL and keyword arguments.

    Attributes:
        security: how the connection is protected; follows from the URL's scheme.
        auth: credentials, or None.
        auth_mechanisms: names to narrow the choice of mechanism to.
        ssl_context: instead of the one made from `ca_file` and `verify`.
        verify: False switches certificate checks off and lets secrets travel anyway. For tests.
        hello_name: what we call ourselves; None: the host's full name, else an address literal.
        local_address: the IP address to connect from.
        connect: a dialler of your own; gives a connected socket (for the blocking client) for a target and a time.
        timeout: seconds that one call may take in all; None for no limit beyond `timeouts`.
        timeouts: seconds for each stage.
        pipelining, chunking: False: as if the server did not offer it.
        trace: called with "C" or "S" and octets, AUTH masked.
    """

    target: Target
    security: Security = Security.STARTTLS
    dialect: Dialect = SMTP
    auth: Authentication | None = None
    auth_mechanisms: Sequence[str] | None = None
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    ca_file: str | Path | None = None
    verify: bool = True
    hello_name: str | None = None
    connect: Callable[[Target, float], Any] | None = None
    timeout: float | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    limits: Limits = field(default_factory=Limits)
    protocol_limits: ClientLimits = field(default_factory=ClientLimits)
    extensions: ExtensionSet = field(default_factory=lambda: ExtensionSet(STANDARD), repr=False)
    pipelining: bool = True
    chunking: bool = True
    trace: Callable[[str, bytes], None] | None = field(default=None, repr=False)


# Keys that may stand in a URL's query, with how their text is read.
_QUERY: Mapping[str, Callable[[str], Any]] = {
    "timeout": float,
    "ca_file": str,
    "hello_name": str,
    "local_address": str,
    "max_connections": int,
}


def settings_for(url: str | ClientSettings, **options: Any) -> ClientSettings:
    """Settings from a URL, with keyword arguments on top.

    Raises:
        ConfigurationError: naming what can't be understood, or contradicts itself. Never shows a password.
    """
    if isinstance(url, ClientSettings):
        return _apply(url, options)
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in _SCHEMES:
        raise ConfigurationError(f"unknown scheme {scheme or 'of nothing'!r}{_suggest(scheme, _SCHEMES)}")
    security, dialect, default_port = _SCHEMES[scheme]
    settings = ClientSettings(
        target=_target(scheme, parts, default_port), security=security, dialect=dialect, auth=_auth(parts)
    )
    return _apply(settings, {**_query(parts.query), **options})


def _target(scheme: str, parts: Any, default_port: int) -> Target:
    if scheme == "lmtp+unix":
        path = unquote(parts.path)
        if parts.hostname or not path:
            raise ConfigurationError("lmtp+unix:// needs a path and no host: lmtp+unix:///run/lmtp.sock")
        return Target(unix_path=path)
    if parts.path not in ("", "/") or parts.fragment:
        raise ConfigurationError("a URL of a mail server has no path")
    try:
        host, port = unquote(parts.hostname or ""), parts.port
    except ValueError as error:
        raise ConfigurationError(f"bad port: {error}") from None
    if not host or parts.netloc.endswith(":"):
        raise ConfigurationError("the host is missing, or a port behind the colon")
    if port == 0:
        raise ConfigurationError("a port is a number from 1 to 65535")
    if ":" not in host:
        try:
            ascii_domain(host)
        except WireError as error:
            raise ConfigurationError(error.detail) from None
    return Target(host, port or default_port)


def _auth(parts: Any) -> Password | None:
    if parts.username is None:
        if parts.password is not None:
            raise ConfigurationError("a password without a user name")
        return None
    try:
        return Password(unquote(parts.username), unquote(parts.password or ""))
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _query(query: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for key, text in parse_qsl(query, keep_blank_values=True):
        if key not in _QUERY:
            raise ConfigurationError(f"unknown option {key!r} in the URL{_suggest(key, _QUERY)}")
        try:
            options[key] = _QUERY[key](text)
        except ValueError:
            raise ConfigurationError(f"option {key} in the URL: {text!r} is not a number") from None
    return options


def _apply(settings: ClientSettings, options: Mapping[str, Any]) -> ClientSettings:
    changes = dict(options)
    known = {*ClientSettings.__dataclass_fields__, *_QUERY, "username", "password"}
    for key in changes:
        if key not in known:
            raise ConfigurationError(f"unknown option {key!r}{_suggest(key, known)}")
    if "local_address" in changes:
        changes["target"] = replace(changes.get("target", settings.target), local_address=changes.pop("local_address"))
    if "max_connections" in changes:
        changes["limits"] = replace(changes.get("limits", settings.limits), max_connections=changes.pop("max_connections"))
    if "username" in changes or "password" in changes:
        changes["auth"] = _credentials(changes)
    if "extensions" in changes and not isinstance(changes["extensions"], ExtensionSet):
        changes["extensions"] = ExtensionSet(changes["extensions"])
    return replace(settings, **changes)


def _credentials(changes: dict[str, Any]) -> Password:
    username, password = changes.pop("username", None), changes.pop("password", None)
    if changes.get("auth") is not None or username is None or password is None:
        raise ConfigurationError("give user name and password, both, or auth=")
    try:
        return Password(username, password)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _suggest(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(sorted(known))}"
