"""What a client is told: by URL, by keyword arguments, or both (RFC 6186's services, RFC 8314's ports)."""

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
from urllib.parse import parse_qsl, unquote

from smtpx.client.observer import ClientObserver
from smtpx.errors import ConfigurationError, LocalProtocolError
from smtpx.extensions import ALL
from smtpx.flows.session import Authentication, Security, check_hello_name
from smtpx.flows.steps import Timeouts
from smtpx.net.proxies import Proxy
from smtpx.net.targets import Target
from smtpx.protocol.dialect import LMTP, SMTP, Dialect
from smtpx.protocol.extension import Extension, ExtensionSet
from smtpx.protocol.limits import ClientLimits
from smtpx.sasl import Password
from smtpx.wire.address import ascii_domain
from smtpx.wire.syntax import WireError, has_controls

if TYPE_CHECKING:
    import ssl

__all__ = ["ClientOptions", "ClientSettings", "Limits", "checked_host", "for_blocking", "settings_for"]

_PLACE = re.compile(r"(?:\[(?P<v6>[^][]+)\]|(?P<host>[^][:]+))(?::(?P<port>[0-9]{1,5}))?")
_BAD_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(r"[A-Za-z0-9_.\-\u00a1-\U0010ffff]+")
_ZONE = re.compile(r"[A-Za-z0-9_.~:-]+")  # of an address that is local to a link: the name of an interface

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

# Spellings of other programs, whose names for TLS are not ours.
_CANONICAL = {"smtp+tls": "smtp+starttls", "smtp+ssl": "smtps"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How a client uses connections.

    `max_idle_seconds` is how long an unused connection is kept; `max_age_seconds` how long after it was opened it is
    used for another message, and `max_messages_per_connection` for how many (None: for ever). `max_in_flight` is how
    many short messages of `send_many` may be under way on one connection, where the server allows that.
    `overflow_transactions`: how many more transactions one message may take for recipients that a server answered 452
    4.5.3, too many recipients; with 0 they are refused, and what to do is the caller's choice (RFC 5321 4.5.3.1.10).
    """

    max_connections: int = 10
    max_idle_seconds: float = 60.0
    max_age_seconds: float | None = 3600.0
    max_messages_per_connection: int | None = 1000
    max_in_flight: int = 4
    overflow_transactions: int = 0

    def __post_init__(self) -> None:
        for name in ("max_connections", "max_in_flight", "max_messages_per_connection"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigurationError(f"{name} must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Everything a connection needs to know. `settings_for` makes it from a URL and keyword arguments.

    Attributes:
        security: how the connection is protected; follows from the URL's scheme.
        auth: credentials, or None.
        auth_mechanisms: names to narrow the choice of mechanism to, best first.
        ssl_context: instead of the one made from `ca_file` and `verify`.
        verify: False switches certificate checks off and lets secrets travel anyway. For tests.
        hello_name: what we call ourselves; None: the host's full name, else an address literal.
        local_address: the IP address to connect from.
        proxy: to go through, such as `socks5h://user:password@127.0.0.1:1080`; needs smtpx[proxy].
        connect: a dialler of your own; gives a connected socket (for the blocking client) for a target and a time.
        timeout: seconds that one call may take in all; None for no limit beyond `timeouts`.
        timeouts: seconds for each stage.
        pipelining, chunking: False: as if the server did not offer it.
        trace: called with "C" or "S" and octets, AUTH masked.
        observer: told of what happens to messages and on connections.
    """

    target: Target
    security: Security = Security.STARTTLS
    dialect: Dialect = SMTP
    auth: Authentication | None = None
    auth_mechanisms: Sequence[str] | None = None
    ssl_context: "ssl.SSLContext | None" = field(default=None, repr=False)
    ca_file: str | Path | None = None
    verify: bool = True
    hello_name: str | None = None
    connect: Callable[[Target, float], object] | None = None
    proxy: Proxy | None = None
    timeout: float | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    limits: Limits = field(default_factory=Limits)
    protocol_limits: ClientLimits = field(default_factory=ClientLimits)
    extensions: ExtensionSet = field(default_factory=lambda: ExtensionSet(ALL), repr=False)
    pipelining: bool = True
    chunking: bool = True
    trace: Callable[[str, bytes], None] | None = field(default=None, repr=False)
    observer: ClientObserver | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.hello_name == "":
            raise ConfigurationError("hello_name is empty; None is for the host's own name")
        if self.hello_name is not None:
            try:
                check_hello_name(self.hello_name)
            except LocalProtocolError as error:
                raise ConfigurationError(f"hello_name: {error.message}") from None
        if self.timeout is not None and not self.timeout > 0:
            raise ConfigurationError("timeout must be more than 0 seconds; None is for no limit")
        if self.ssl_context is not None and self.ca_file is not None:
            raise ConfigurationError("give ssl_context or ca_file: the context brings its own authorities")
        if self.proxy is not None:
            self._check_proxied()

    def _check_proxied(self) -> None:
        if self.connect is not None:
            raise ConfigurationError("give proxy or connect, not both")
        if self.target.unix_path is not None:
            raise ConfigurationError("no proxy leads to a unix socket")
        try:
            ascii_domain(self.target.host)
        except WireError as error:
            raise ConfigurationError(f"a proxy can't be asked for this host: {error.detail}") from None
        if has_controls(self.target.host) or " " in self.target.host:
            raise ConfigurationError("a proxy can't be asked for a host with spaces or control characters")


class ClientOptions(TypedDict, total=False):
    """Keyword arguments wherever a URL is taken: the fields of `ClientSettings`, and shorthands.

    `username` with `password` or `token` stand for `auth`, a `proxy` may be a URL, `local_address` stands for a field
    of `target`, `max_connections` for one of `limits`; `extensions` may be any iterable.
    """

    target: Target
    security: Security
    dialect: Dialect
    auth: Authentication | None
    auth_mechanisms: Sequence[str] | None
    ssl_context: "ssl.SSLContext | None"
    ca_file: str | Path | None
    verify: bool
    hello_name: str | None
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
    username: str
    password: str
    token: str | Callable[[], str]
    local_address: str | None
    max_connections: int


# Keys that may stand in a URL's query, with how their text is read.
_QUERY: Mapping[str, Callable[[str], Any]] = {
    "timeout": float,
    "ca_file": str,
    "hello_name": str,
    "local_address": str,
    "max_connections": int,
}


def settings_for(url: str | ClientSettings, **options: Unpack[ClientOptions]) -> ClientSettings:
    """Settings from a URL, with keyword arguments on top.

    Raises:
        ConfigurationError: naming what can't be understood, or contradicts itself. Never shows a password.
    """
    try:
        return _settings(url, options)
    except ConfigurationError as error:
        error.__context__ = None
        raise error.with_traceback(None) from None  # the frames below hold the password; some tools show variables
    finally:
        del url, options


def _settings(url: str | ClientSettings, options: ClientOptions) -> ClientSettings:
    if isinstance(url, ClientSettings):
        return _apply(url, dict(options))
    if has_controls(url) or " " in url:  # urlsplit drops some of them without a word
        raise ConfigurationError("a URL has no spaces and control characters")
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator:
        raise ConfigurationError("a URL begins with its scheme, as in smtp://mail.example.org")
    if scheme in _CANONICAL:
        import logging  # hardly anybody needs it here

        canonical = _CANONICAL[scheme]
        logging.getLogger("smtpx.client").warning("%s:// is taken for %s://; please write that", scheme, canonical)
        scheme = canonical
    if scheme not in _SCHEMES:
        raise ConfigurationError(f"unknown scheme {scheme!r}{_suggest(scheme, _SCHEMES)}")
    security, dialect, default_port = _SCHEMES[scheme]
    _check_security(scheme, security, options.get("security", security))
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    user, at, place = authority.rpartition("@")
    if "#" in rest + query:
        raise ConfigurationError("a URL of a mail server has no #fragment; in a password it is written %23")
    target = _target(scheme, place, slash + path, default_port)
    changes = {**_query(query), **options}
    if at:
        _take_user(changes, user)
    return _apply(ClientSettings(target=target, security=security, dialect=dialect), changes)


def for_blocking(settings: ClientSettings) -> ClientSettings:
    """The settings themselves.

    Raises:
        ConfigurationError: if they need asyncio.
    """
    if getattr(settings.auth, "is_async", False):
        raise ConfigurationError("a coroutine function for the token needs the async client")
    return settings


def _check_security(scheme: str, implied: Security, wanted: Security) -> None:
    if wanted is not implied and implied is not Security.OPPORTUNISTIC:
        raise ConfigurationError(f"security={wanted.name} contradicts {scheme}://")


def _target(scheme: str, place: str, path: str, default_port: int) -> Target:
    if scheme == "lmtp+unix":
        if place or path in ("", "/"):
            raise ConfigurationError("lmtp+unix:// needs a path and no host: lmtp+unix:///run/lmtp.sock")
        return Target(unix_path=unquote(path))
    if path not in ("", "/"):
        raise ConfigurationError("a URL of a mail server has no path; in a password a slash is written %2F")
    match = _PLACE.fullmatch(place)
    if match is None:
        raise ConfigurationError("a server is given as host, host:port, [IPv6] or [IPv6]:port")
    port = default_port if match["port"] is None else int(match["port"])
    if not 1 <= port <= 65535:
        raise ConfigurationError("a port is a number from 1 to 65535")
    return Target(checked_host(unquote(match["v6"] or match["host"]), in_brackets=match["v6"] is not None), port)


def checked_host(host: str, *, in_brackets: bool) -> str:
    """The host itself.

    Raises:
        ConfigurationError: if it is neither a name nor an IP address; IPv6 stands in brackets, which are gone already.
    """
    try:
        if in_brackets:
            zone = ipaddress.IPv6Address(host).scope_id
            if zone is not None and _ZONE.fullmatch(zone) is None:
                raise ValueError
        elif _HOST.fullmatch(host) is None:
            raise ValueError
        else:
            ascii_domain(host)
    except ValueError:
        raise ConfigurationError("the URL's host is neither a host name nor an IP address") from None
    return host


def _take_user(changes: dict[str, Any], user: str) -> None:
    """User and password of a URL; the password may also come as an option, so that no URL has to hold it."""
    if changes.get("auth") is not None or "username" in changes:
        raise ConfigurationError("a user name in the URL and another in the options")
    if _BAD_PERCENT.search(user):
        raise ConfigurationError("in a URL's user name and password a percent sign is written %25")
    name, colon, password = user.partition(":")
    changes["username"] = unquote(name)
    if colon:
        if "password" in changes:
            raise ConfigurationError("a password in the URL and another in the options")
        changes["password"] = unquote(password)


def _query(query: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for key, text in parse_qsl(query, keep_blank_values=True):
        if key not in _QUERY:
            # Only what looks like an option is shown: it could be a part of a password.
            shown = repr(key) if key.isidentifier() else "something"
            raise ConfigurationError(f"unknown option in the URL: {shown}{_suggest(key, _QUERY)}")
        try:
            options[key] = _QUERY[key](text)
        except ValueError:
            raise ConfigurationError(f"option {key} in the URL is not a number") from None
    return options


def _apply(settings: ClientSettings, changes: dict[str, Any]) -> ClientSettings:
    known = ClientOptions.__annotations__
    for key in changes:
        if key not in known:
            raise ConfigurationError(f"unknown option {key!r}{_suggest(key, known)}")
    if "local_address" in changes:
        changes["target"] = replace(changes.get("target", settings.target), local_address=changes.pop("local_address"))
    if isinstance(changes.get("proxy"), str):
        changes["proxy"] = Proxy.parse(changes["proxy"])
    if "max_connections" in changes:
        limits = changes.get("limits", settings.limits)
        changes["limits"] = replace(limits, max_connections=changes.pop("max_connections"))
    if not changes.keys().isdisjoint(("username", "password", "token")):
        changes["auth"] = _credentials(changes)
    if "extensions" in changes and not isinstance(changes["extensions"], ExtensionSet):
        changes["extensions"] = ExtensionSet(changes["extensions"])
    return replace(settings, **changes)


def _credentials(changes: dict[str, Any]) -> Authentication:
    username, password, token = (changes.pop(name, None) for name in ("username", "password", "token"))
    if changes.get("auth") is not None or not username or (password is None) is (token is None):
        raise ConfigurationError("give user name and password, both, or auth=")
    try:
        if token is None:
            return Password(username, password)
        from smtpx.sasl.oauth import BearerToken  # hardly anybody needs it

        return BearerToken(username, token)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _suggest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(sorted(known))}"
