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
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from smtpx.cli.accounts import MECHANISMS, Accounts, accounts_of, pairs
from smtpx.cli.log import start_logging
from smtpx.cli.output import note, say
from smtpx.cli.sections import SectionedCommand, section
from smtpx.cli.self_signed import make_certificate
from smtpx.errors import ConfigurationError
from smtpx.extensions import STANDARD, by_name
from smtpx.net.listening import UNIX_MODE
from smtpx.net.tls import server_tls
from smtpx.protocol.dialect import LMTP, SMTP
from smtpx.protocol.extension import Extension
from smtpx.protocol.limits import ServerLimits
from smtpx.sasl import ServerMechanism
from smtpx.server.body import Body
from smtpx.server.listener import Listener, Server, host_name
from smtpx.server.maildir import Maildir, MaildirSession
from smtpx.server.middleware import Stack
from smtpx.server.profiles import PROFILES
from smtpx.server.relay import AuthorizedRelay
from smtpx.server.run import inherited_listeners, run_until_signal
from smtpx.server.session import Session
from smtpx.wire.address import ascii_domain
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import WireError, escape

__all__ = ["serve"]

_HOSTNAME = re.compile(r"[A-Za-z0-9._-]{1,255}|\[[A-Za-z0-9.:]+\]")
_MODE = re.compile(r"0?[0-7]{3}")
_log = logging.getLogger("smtpx.serve")
_MAX_TRACED = 1500


class _Discard(Session):
    async def data(self, body: Body) -> Reply | None:
        await body.discard()
        return None


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


def _mode(_: click.Context, __: click.Parameter, value: str) -> int:
    if _MODE.fullmatch(value) is None:
        raise click.BadParameter(f"{value!r} is no mode in octal digits, as 660 is")
    return int(value, 8)


def _relay(options: dict[str, Any]) -> AuthorizedRelay | None:
    """The guard, where one is asked for; without it every recipient is taken, stored here, and sent to nobody."""
    local, trusted = options["local_domains"], options["relay_for"]
    return AuthorizedRelay(local, trusted_networks=trusted) if local or trusted else None


class _Seconds(click.FloatRange):
    """A time that ends."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{seconds} is not a number of seconds", param, ctx)
        return seconds


_positive = click.IntRange(min=1)
_seconds = _Seconds(min=0, min_open=True)
_file = click.Path(exists=True, dir_okay=False)
_where, _mail, _tls_option, _login, _limit, _output = map(
    section, ("Where and how to listen", "Mail", "TLS", "Login", "Limits", "Output")
)


@click.command(cls=SectionedCommand, context_settings={"show_default": True})
@_where("--host", default="127.0.0.1", help="Address or name to listen on.")
@_where("--port", default=2525, type=click.IntRange(0, 65535), metavar="N", help="Port to listen on; 0 = any free one.")
@_where("--unix", "unix_path", type=click.Path(dir_okay=False), metavar="PATH", help="A unix socket instead.")
@_where("--unix-mode", callback=_mode, default=f"{UNIX_MODE:o}", metavar="MODE", help="Its rights, as chmod has them.")
@_where("--unix-group", metavar="GROUP", help="Its group, a name or number.  [default: ours]")
@_where("--lmtp", is_flag=True, help="Speak LMTP (RFC 2033) instead of SMTP.")
@_where("--hostname", callback=_hostname, metavar="NAME", help="Our name in banner and EHLO.  [default: the host's]")
@_where("--proxy-protocol", is_flag=True, help="Every connection begins with a PROXY header.")
@_where("--profile", type=click.Choice(["dev", "submission", "mx"]), default="dev", help="What it is for, see above.")
@_mail("--maildir", type=click.Path(file_okay=False), metavar="DIR", help="Where it goes.  [default: ./Maildir]")
@_mail("--discard", is_flag=True, help="Accept messages and throw them away.")
@_mail(
    *("--local-domain", "local_domains"),
    multiple=True,
    metavar="DOMAIN",
    help="Take mail for it, *.DOMAIN: all below it.  [default: for all]",
)
@_mail("--relay-for", multiple=True, metavar="NETWORK", help="Take any mail from it; unix = from unix sockets.")
@_mail(
    "--bare-newline",
    type=click.Choice(["reject", "normalize"]),
    default="reject",
    metavar="HOW",
    help="reject or normalize CR or LF alone.",
)
@_mail(
    "--extensions",
    callback=_extensions,
    metavar="NAMES",
    help="What EHLO offers, or changes: +RRVS,-CHUNKING.",
)
@_tls_option("--tls-cert", type=_file, metavar="FILE", help="Certificate chain (PEM); enables STARTTLS.")
@_tls_option("--tls-key", type=_file, metavar="FILE", help="Its private key (PEM), if not in the same file.")
@_tls_option("--tls-self-signed", is_flag=True, help="Make a throw-away certificate; enables STARTTLS.")
@_tls_option("--implicit-tls", is_flag=True, help="TLS from the first byte, as on port 465.")
@_tls_option("--require-tls", is_flag=True, help="No MAIL before TLS (530 5.7.0).")
@_tls_option("--client-ca", type=_file, metavar="FILE", help="Who issues clients' certificates (PEM); see above.")
@_tls_option("--require-client-cert", is_flag=True, help="No TLS with clients that have none.")
@_login("--auth-user", "users", multiple=True, callback=pairs, metavar="USER:PASSWORD", help="A user; enables AUTH.")
@_login("--auth-token", "tokens", multiple=True, callback=pairs, metavar="USER:TOKEN", help="OAuth token, for tests.")
@_login(
    *("--auth-mechanism", "mechanisms"),
    multiple=True,
    type=click.Choice(list(MECHANISMS), case_sensitive=False),
    metavar="NAME",
    help="Offer this one, not the usual ones.",
)
@_login("--require-auth", is_flag=True, help="No MAIL before AUTH (530 5.7.0).")
@_login("--allow-insecure-auth", is_flag=True, help="Offer AUTH without TLS too.")
@_limit("--max-size", type=_positive, default=26_214_400, metavar="BYTES", help="Largest message.")
@_limit("--max-recipients", type=_positive, metavar="N", help="Most recipients of a message.  [default: 1000, mx 100]")
@_limit("--max-connections", type=_positive, default=1000, metavar="N", help="Most connections in all.")
@_limit(
    "--max-connections-per-ip",
    type=_positive,
    metavar="N",
    help="From one address.  [default: 50, mx 20, loopback free]",
)
@_limit(
    *("--trusted-network", "trusted_networks"),
    multiple=True,
    metavar="NETWORK",
    help="Spared defaults per address and mx's delay.",
)
@_limit("--timeout", type=_seconds, default=300, metavar="SECONDS", help="Longest wait for a command.")
@_output("--log-format", type=click.Choice(["text", "json"]), default="text", help="Of the log on standard error.")
@_output("--verbose", is_flag=True, help="Log connections too.")
@_output("--trace", is_flag=True, help="Write dialogues to standard error: logins masked, no content.")
def serve(**options: Any) -> None:  # noqa: ANN401 - what click read; each option has a type of its own
    """Receive mail.

    Each accepted message becomes one file in DIR/new, on disk before it is answered 250. SIGTERM or Ctrl-C lets
    messages under way finish and exits 0; a second one does not wait. SIGHUP reads certificates again; so does a change
    of their files, within a minute. Options that take USER:..., NAME, DOMAIN or NETWORK may be repeated.

    Profiles: submission wants TLS and a login, mx takes mail from everybody and keeps strangers short, dev is for
    programs under development. With --local-domain, mail for other domains is 550 5.7.1 but from users who are logged
    in, and from --relay-for; --trusted-network is about limits only. With --client-ca, clients that show a certificate
    of that authority may log in by EXTERNAL, as its e-mail address, else its common name.

    \b
    Examples:
      smtpx serve
      smtpx serve --maildir /tmp/mail --tls-self-signed --auth-user me:secret --require-auth
      smtpx serve --unix /tmp/lmtp.sock --lmtp --discard
      smtpx serve --host 0.0.0.0 --port 587 --profile submission --tls-cert mail.pem --auth-user me:secret
    """
    accounts = accounts_of(options)
    _check(options, accounts)
    start_logging(options["log_format"], verbose=options["verbose"])
    server = _server(options, accounts)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(run_until_signal(server, ready=lambda running: _announce(running, options, accounts)))


def _check(options: dict[str, Any], accounts: Accounts | None) -> None:
    if options["maildir"] and options["discard"]:
        raise click.UsageError("--maildir and --discard exclude each other")
    if options["tls_self_signed"] and (options["tls_cert"] or options["tls_key"]):
        raise click.UsageError("--tls-self-signed and --tls-cert exclude each other")
    if options["tls_key"] and not options["tls_cert"]:
        raise click.UsageError("--tls-key needs --tls-cert")
    has_tls = options["tls_cert"] or options["tls_self_signed"]
    for name in ("implicit_tls", "require_tls", "client_ca"):
        if options[name] and not has_tls:
            raise click.UsageError(f"--{name.replace('_', '-')} needs --tls-cert or --tls-self-signed")
    if options["require_client_cert"] and not options["client_ca"]:
        raise click.UsageError("--require-client-cert needs --client-ca")
    _check_login(options, accounts, has_tls=bool(has_tls))
    source = click.get_current_context().get_parameter_source
    for name in ("host", "port"):
        if options["unix_path"] and source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--unix and --{name} exclude each other")
    for name in ("unix_mode", "unix_group"):
        if not options["unix_path"] and source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name.replace('_', '-')} needs --unix")


def _check_login(options: dict[str, Any], accounts: Accounts | None, *, has_tls: bool) -> None:
    given = {"--auth-user": options["users"], "--auth-token": options["tokens"], "--client-ca": options["client_ca"]}
    secrets = next((name for name in ("--auth-user", "--auth-token") if given[name]), None)
    if options["require_auth"] and accounts is None:
        raise click.UsageError("--require-auth needs --auth-user, --auth-token or --client-ca")
    if options["profile"] == "submission" and not (has_tls and accounts is not None):
        raise click.UsageError("--profile submission needs --auth-user, and --tls-cert or --tls-self-signed")
    if options["profile"] == "mx" and accounts is not None:
        leave_out = " and ".join(name for name, value in given.items() if value)
        raise click.UsageError(f"--profile mx never offers a login: leave out {leave_out}")
    if secrets and not has_tls and not options["allow_insecure_auth"]:
        _log.warning("%s without TLS: nobody can log in; see --tls-cert and --allow-insecure-auth", secrets)


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
    if options["unix_path"] is not None:
        rights = {name: options[name] for name in ("unix_mode", "unix_group")}
        return [Listener(unix=options["unix_path"], tls=tls, **rights, **how)]
    return [Listener(host=options["host"], port=options["port"], tls=tls, **how)]


def _server(options: dict[str, Any], accounts: Accounts | None) -> Server:
    try:
        return Server(
            _session(options, accounts),
            listeners=_listeners(options),
            extensions=options["extensions"],
            hostname=options["hostname"],
            dialect=LMTP if options["lmtp"] else SMTP,
            profile=options["profile"],
            limits=_limits(options),
            timeout=options["timeout"],
            trusted_networks=options["trusted_networks"],
            require_tls=options["require_tls"] or None,
            require_auth=options["require_auth"] or None,
            allow_insecure_auth=options["allow_insecure_auth"],
            bare_newline=options["bare_newline"],
            mechanisms=_mechanisms(options, accounts),
            trace=_TRACES[options["log_format"]] if options["trace"] else None,
        )
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from error


def _mechanisms(options: dict[str, Any], accounts: Accounts | None) -> tuple[ServerMechanism, ...]:
    """Without TLS even those that keep the password secret are not offered, unless they were asked for by name."""
    if accounts is None:
        return ()
    has_tls = options["tls_cert"] or options["tls_self_signed"]
    if has_tls or options["allow_insecure_auth"] or options["mechanisms"]:
        return accounts.mechanisms
    return tuple(each for each in accounts.mechanisms if each.reveals_secret)


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


def _session(options: dict[str, Any], accounts: Accounts | None) -> Callable[[], Session]:
    if options["discard"]:
        kind: type[Session] = _Discard
        arguments: tuple[Any, ...] = ()
    else:
        kind = MaildirSession
        protocol = "LMTP" if options["lmtp"] else "SMTP"
        arguments = (_maildir(options["maildir"] or "Maildir"), options["hostname"] or host_name(), protocol)
    if accounts is not None:
        kind = accounts.login(kind)
    guard = _relay(options)
    sessions = partial(kind, *arguments)
    return sessions if guard is None else Stack(sessions, guard)


def _maildir(path: str) -> Maildir:
    try:
        return Maildir(path)
    except OSError as error:
        raise OSError(error.errno, f"can't use the Maildir {path}: {error.strerror}") from error


def _tls(options: dict[str, Any]) -> ssl.SSLContext | None:
    if options["tls_self_signed"]:
        with tempfile.TemporaryDirectory(prefix="smtpx-") as scratch:
            made = make_certificate(Path(scratch), options["hostname"] or host_name())
            return server_tls(*made, reloadable=False, **_clients(options))
    return server_tls(options["tls_cert"], options["tls_key"], **_clients(options)) if options["tls_cert"] else None


def _clients(options: dict[str, Any]) -> dict[str, Any]:
    how = "require" if options["require_client_cert"] else "request"
    return {"client_ca": options["client_ca"], "client_certificates": how}


def _announce(server: Server, options: dict[str, Any], accounts: Accounts | None) -> None:
    _warn_about_exposure(server, options, accounts)
    for address in server.addresses:
        say(f"listening on {address}")


def _warn_about_exposure(server: Server, options: dict[str, Any], accounts: Accounts | None) -> None:
    """What strangers may do, in one line."""
    places = [each.place for each in server.exposures if each.is_public]
    if not places:
        return
    required = options["profile"] == "submission"
    login = "required" if options["require_auth"] or required else "offered" if accounts is not None else "off"
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
