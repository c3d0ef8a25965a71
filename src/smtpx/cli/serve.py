"""`smtpx serve`: receive mail into a Maildir."""

import asyncio
import importlib
import logging
import math
import re
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from smtpx.cli.log import start_logging
from smtpx.cli.output import note, say
from smtpx.cli.self_signed import make_certificate
from smtpx.errors import ConfigurationError
from smtpx.extensions import STANDARD, by_name
from smtpx.net.tls import server_tls
from smtpx.protocol.dialect import LMTP, SMTP
from smtpx.protocol.extension import Extension
from smtpx.protocol.limits import ServerLimits
from smtpx.sasl import Credentials, ScramRecord
from smtpx.server.body import Body
from smtpx.server.listener import Listener, Server, host_name
from smtpx.server.maildir import Maildir, MaildirSession
from smtpx.server.middleware import Stack
from smtpx.server.profiles import PROFILES
from smtpx.server.relay import AuthorizedRelay
from smtpx.server.run import inherited_listeners, run_until_signal
from smtpx.server.session import Reject, Session
from smtpx.server.users import Users
from smtpx.wire.address import ascii_domain
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import WireError, escape

__all__ = ["serve"]

_HOSTNAME = re.compile(r"[A-Za-z0-9._-]{1,255}|\[[A-Za-z0-9.:]+\]")
_log = logging.getLogger("smtpx.serve")
_MAX_TRACED = 1500


class _Discard(Session):
    async def data(self, body: Body) -> Reply | None:
        await body.discard()
        return None


def _with_users(kind: type[Session], users: Users) -> type[Session]:
    """The session class with a login that `users` decide."""

    class WithUsers(kind):  # type: ignore[misc, valid-type]
        async def authenticate(self, identity: Credentials) -> None:
            if not await users.accepts(identity):
                raise Reject.bad_credentials()

        async def lookup(self, mechanism: str, username: str) -> ScramRecord | None:
            return users.lookup(mechanism, username)

    return WithUsers


def _user(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    users: dict[str, str] = {}
    for value in values:
        name, colon, password = value.partition(":")
        if not colon or not name or not password:
            raise click.BadParameter("give USER:PASSWORD")
        users[name] = password
    return users


def _seconds(_: click.Context, __: click.Parameter, value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a number of seconds")
    return value


def _hostname(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    try:
        name = value and ascii_domain(value)
    except WireError as error:
        raise click.BadParameter(error.detail) from None
    if name is not None and _HOSTNAME.fullmatch(name) is None:
        raise click.BadParameter(f"not a host name: {value!r}")
    return name


def _extensions(_: click.Context, __: click.Parameter, value: str | None) -> tuple[Extension, ...]:
    try:
        return STANDARD if value is None else by_name(value)
    except ConfigurationError as error:
        raise click.BadParameter(str(error)) from None


def _relay(options: dict[str, Any]) -> AuthorizedRelay | None:
    """The guard, where one is asked for; without it every recipient is taken, stored here, and sent to nobody."""
    local, trusted = options["local_domains"], options["relay_for"]
    return AuthorizedRelay(local, trusted_networks=trusted) if local or trusted else None


_positive = click.IntRange(min=1)


@click.command(context_settings={"show_default": True})
@click.option(
    "--profile",
    type=click.Choice(["dev", "submission", "mx"]),
    default="dev",
    help="What it is for: submission wants TLS and a login, mx takes mail from everybody and keeps strangers short.",
)
@click.option("--host", default="127.0.0.1", help="Address or name to listen on.")
@click.option("--port", default=2525, type=click.IntRange(0, 65535), help="Port to listen on; 0 = any free one.")
@click.option("--unix", "unix_path", type=click.Path(dir_okay=False), help="Listen on a unix socket instead.")
@click.option("--maildir", type=click.Path(file_okay=False), help="Where messages go.  [default: ./Maildir]")
@click.option("--discard", is_flag=True, help="Accept messages and throw them away.")
@click.option("--lmtp", is_flag=True, help="Speak LMTP (RFC 2033) instead of SMTP.")
@click.option("--hostname", callback=_hostname, help="Name in the banner and the EHLO reply.  [default: the host's]")
@click.option(
    "--tls-cert", type=click.Path(exists=True, dir_okay=False), help="Certificate chain (PEM); enables STARTTLS."
)
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False), help="Its private key (PEM).")
@click.option("--tls-self-signed", is_flag=True, help="Make a throw-away certificate; enables STARTTLS.")
@click.option("--implicit-tls", is_flag=True, help="TLS from the first byte, as on port 465.")
@click.option("--require-tls", is_flag=True, help="No MAIL before TLS (530 5.7.0).")
@click.option(
    "--auth-user", "users", multiple=True, callback=_user, metavar="USER:PASSWORD", help="A user; enables AUTH."
)
@click.option("--require-auth", is_flag=True, help="No MAIL before AUTH (530 5.7.0).")
@click.option("--allow-insecure-auth", is_flag=True, help="Offer AUTH without TLS too.")
@click.option("--max-size", type=_positive, default=26_214_400, metavar="BYTES", help="Largest message.")
@click.option(
    "--max-recipients", type=_positive, metavar="N", help="Most recipients of a message.  [default: 1000; mx 100]"
)
@click.option("--max-connections", type=_positive, default=1000, metavar="N", help="Most connections in all.")
@click.option(
    "--max-connections-per-ip",
    type=_positive,
    metavar="N",
    help="Most connections from one address.  [default: 50, mx 20; loopback free]",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=300.0,
    callback=_seconds,
    metavar="SECONDS",
    help="Longest wait for a command.",
)
@click.option(
    "--bare-newline", type=click.Choice(["reject", "normalize"]), default="reject", help="CR or LF that stand alone."
)
@click.option(
    "--local-domain",
    "local_domains",
    multiple=True,
    metavar="DOMAIN",
    help="Take mail for this domain (*.DOMAIN: all below it), and none for others but from users who are logged in and "
    "--relay-for: 550 5.7.1.  [default: take all]",
)
@click.option(
    "--relay-for",
    multiple=True,
    metavar="NETWORK",
    help="Take mail for any domain from this network; unix = unix sockets.",
)
@click.option("--proxy-protocol", is_flag=True, help="Every connection begins with a PROXY header, version 1 or 2.")
@click.option(
    "--extensions",
    callback=_extensions,
    metavar="NAMES",
    help="EHLO keywords to offer, or changes: +RRVS,-CHUNKING.  [default: the standard ones]",
)
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", help="Form of the log on standard error."
)
@click.option("--verbose", is_flag=True, help="Log connections too.")
@click.option(
    "--trace", is_flag=True, help="Write the dialogues to standard error: logins masked, messages as their size."
)
def serve(**options: Any) -> None:  # noqa: ANN401 - what click read; each option has a type of its own
    """Receive mail.

    Each accepted message becomes one file in DIR/new, on disk before it is answered 250. SIGTERM or Ctrl-C lets
    messages under way finish and exits 0; a second one does not wait. SIGHUP reads certificates again; so does a change
    of their files, within a minute.

    \b
    Examples:
      smtpx serve
      smtpx serve --port 2525 --maildir /tmp/mail --tls-self-signed --auth-user me:secret --require-auth
      smtpx serve --unix /tmp/lmtp.sock --lmtp --discard
    """
    _check(options)
    start_logging(options["log_format"], verbose=options["verbose"])
    server = _server(options)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(run_until_signal(server, ready=lambda running: _announce(running, options)))


def _check(options: dict[str, Any]) -> None:
    if options["maildir"] and options["discard"]:
        raise click.UsageError("--maildir and --discard exclude each other")
    if options["tls_self_signed"] and (options["tls_cert"] or options["tls_key"]):
        raise click.UsageError("--tls-self-signed and --tls-cert exclude each other")
    if options["tls_key"] and not options["tls_cert"]:
        raise click.UsageError("--tls-key needs --tls-cert")
    has_tls = options["tls_cert"] or options["tls_self_signed"]
    for name in ("implicit_tls", "require_tls"):
        if options[name] and not has_tls:
            raise click.UsageError(f"--{name.replace('_', '-')} needs --tls-cert or --tls-self-signed")
    if options["require_auth"] and not options["users"]:
        raise click.UsageError("--require-auth needs --auth-user")
    if options["profile"] == "submission" and not (has_tls and options["users"]):
        raise click.UsageError("--profile submission needs --auth-user, and --tls-cert or --tls-self-signed")
    if options["profile"] == "mx" and options["users"]:
        raise click.UsageError("--profile mx never offers a login: leave out --auth-user")
    if options["users"] and not has_tls and not options["allow_insecure_auth"]:
        raise click.UsageError("--auth-user without TLS needs --allow-insecure-auth")
    if options["allow_insecure_auth"] and not options["users"]:
        raise click.UsageError("--allow-insecure-auth needs --auth-user")
    source = click.get_current_context().get_parameter_source
    for name in ("host", "port"):
        if options["unix_path"] and source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--unix and --{name} exclude each other")


def _listeners(options: dict[str, Any]) -> list[Listener]:
    """Where to listen: on what a service manager has opened for us, else as the options say."""
    tls, how = _tls(options), {name: options[name] for name in ("implicit_tls", "proxy_protocol")}
    if inherited := inherited_listeners(tls, **how):
        source = click.get_current_context().get_parameter_source
        for name in ("host", "port", "unix_path"):
            if source(name) is ParameterSource.COMMANDLINE:
                option = name.removesuffix("_path")
                raise click.UsageError(f"sockets were handed over (LISTEN_FDS): leave out --{option}")
        return inherited
    return [Listener(host=options["host"], port=options["port"], unix=options["unix_path"], tls=tls, **how)]


def _server(options: dict[str, Any]) -> Server:
    try:
        return Server(
            _session(options),
            listeners=_listeners(options),
            extensions=options["extensions"],
            hostname=options["hostname"],
            dialect=LMTP if options["lmtp"] else SMTP,
            profile=options["profile"],
            limits=_limits(options),
            timeout=options["timeout"],
            require_tls=options["require_tls"] or None,
            require_auth=options["require_auth"] or None,
            allow_insecure_auth=options["allow_insecure_auth"],
            bare_newline=options["bare_newline"],
            trace=_TRACES[options["log_format"]] if options["trace"] else None,
        )
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from error


def _limits(options: dict[str, Any]) -> ServerLimits:
    """Those of the profile, with what was asked for."""
    given = {
        "max_message_bytes": options["max_size"],
        "max_recipients": options["max_recipients"],
        "max_connections": options["max_connections"],
        "max_connections_per_ip": options["max_connections_per_ip"],
    }
    limits = PROFILES[options["profile"]].limits
    return replace(limits, **{name: value for name, value in given.items() if value is not None})


def _trace(connection: str, direction: str, line: str) -> None:
    note(f"[{connection}] {direction}: {escape(line, max_chars=_MAX_TRACED)}")


def _trace_as_json(connection: str, direction: str, line: str) -> None:
    """An object a line, as the log beside it."""
    text = f"{direction}: {escape(line, max_chars=_MAX_TRACED)}"
    logging.getLogger("smtpx.trace").info("%s", text, extra={"connection": connection})


_TRACES = {"text": _trace, "json": _trace_as_json}


def _session(options: dict[str, Any]) -> Callable[[], Session]:
    if options["discard"]:
        kind: type[Session] = _Discard
        arguments: tuple[Any, ...] = ()
    else:
        kind = MaildirSession
        protocol = "LMTP" if options["lmtp"] else "SMTP"
        arguments = (_maildir(options["maildir"] or "Maildir"), options["hostname"] or host_name(), protocol)
    if options["users"]:
        kind = _with_users(kind, Users(options["users"]))
    guard = _relay(options)
    sessions = _Factory(kind, arguments)
    return sessions if guard is None else Stack(sessions, guard)


def _maildir(path: str) -> Maildir:
    try:
        return Maildir(path)
    except OSError as error:
        raise OSError(error.errno, f"can't use the Maildir {path}: {error.strerror}") from error


class _Factory:
    """Makes sessions; `func` lets the server see their class."""

    def __init__(self, kind: type[Session], arguments: tuple[Any, ...]) -> None:
        self.func = kind
        self._arguments = arguments

    def __call__(self) -> Session:
        return self.func(*self._arguments)


def _tls(options: dict[str, Any]) -> ssl.SSLContext | None:
    if options["tls_self_signed"]:
        with tempfile.TemporaryDirectory(prefix="smtpx-") as scratch:
            made = make_certificate(Path(scratch), options["hostname"] or host_name())
            return server_tls(*made, reloadable=False)
    return server_tls(options["tls_cert"], options["tls_key"]) if options["tls_cert"] else None


def _announce(server: Server, options: dict[str, Any]) -> None:
    _warn_about_exposure(server, options)
    for address in server.addresses:
        say(f"listening on {address}")


def _warn_about_exposure(server: Server, options: dict[str, Any]) -> None:
    """What strangers may do, in one line."""
    places = [each.place for each in server.exposures if each.is_public]
    if not places:
        return
    required = options["profile"] == "submission"
    login = "required" if options["require_auth"] or required else "offered" if options["users"] else "off"
    has_tls = options["tls_cert"] or options["tls_self_signed"]
    needs_tls = options["require_tls"] or options["implicit_tls"] or required
    tls = "required" if needs_tls else "offered" if has_tls else "off"
    guard = _relay(options)
    policy = str(guard) if guard is not None else "mail to anybody from everybody"
    text = "listening beyond this host (%s): login %s, TLS %s; nothing is relayed; kept here is %s"
    _log.warning(text, ", ".join(places), login, tls, policy)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where it is installed, else the standard one."""
    try:
        module = importlib.import_module("uvloop")
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = module.new_event_loop
    return factory
