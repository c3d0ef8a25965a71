"""`smtpx send`: send one message."""

import ipaddress
import json
import shutil
import sys
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any, TypeVar

import click

from smtpx.cli.compose import compose, party
from smtpx.cli.login import login_options
from smtpx.cli.output import complain, note, say
from smtpx.cli.status import Status, status_of
from smtpx.client.settings import ClientSettings
from smtpx.client.sync import Client
from smtpx.errors import LocalProtocolError, RefusedError, SMTPXError
from smtpx.extensions.dsn import ENVID, NOTIFY
from smtpx.flows.outcome import SendResult
from smtpx.protocol.facts import TLSFacts
from smtpx.wire.params import Param
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import WireError, escape

__all__ = ["send"]

T = TypeVar("T")

_file = click.Path(exists=True, dir_okay=False)
_MAX_TRACED = 1500
_MAX_SPOOLED_BYTES = 1 << 20


def _ip(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    try:
        return value and str(ipaddress.ip_address(value))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not an IP address") from None


def _check(param: Param[T], value: T | None) -> None:
    try:
        if value is not None:
            param.parse(param.write(value))
    except WireError as error:
        raise click.BadParameter(error.detail) from None


def _notify(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    words = None if value is None else tuple(word.strip() for word in value.split(","))
    _check(NOTIFY, words)
    return words


def _envid(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    _check(ENVID, value)
    return value


@click.command()
@click.option(
    "--url", required=True, envvar="SMTPX_URL", help="Server, e.g. submission://user@mail.example.org; or $SMTPX_URL."
)
@click.option("--from", "sender", required=True, metavar="ADDR", help="Sender, '' for the null sender.")
@click.option(
    "--to", multiple=True, metavar="ADDR", help="Recipient. Repeatable, like --cc, --bcc, --attach, --header."
)
@click.option("--cc", multiple=True, metavar="ADDR", help="Recipient, named in Cc.")
@click.option("--bcc", multiple=True, metavar="ADDR", help="Recipient, named nowhere.")
@click.option("--subject", help="Subject of the message.")
@click.option("--text", help="Text body.")
@click.option("--html", help="HTML body.")
@click.option("--attach", multiple=True, type=_file, metavar="FILE", help="A file to attach.")
@click.option("--header", "headers", multiple=True, metavar="'N: V'", help="One more header field.")
@click.option(
    "--eml",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="A whole message, sent as it is; - = standard input.",
)
@click.option("--normalize-newlines", is_flag=True, help="Turn bare LF of --eml into CRLF instead of refusing it.")
@click.option("--ca", "ca_file", type=_file, metavar="FILE", help="Certificates to trust (PEM).")
@click.option("--insecure", is_flag=True, help="Don't check certificates, and send passwords in clear. For tests.")
@click.option("--helo", "hello_name", metavar="NAME", help="What to call ourselves.")
@click.option("--client-cert", type=_file, metavar="FILE", help="Certificate to show (PEM); logs in with EXTERNAL.")
@click.option("--client-key", type=_file, metavar="FILE", help="Its private key (PEM).")
@click.option("--auth-mechanism", "mechanisms", multiple=True, metavar="NAME", help="Log in with this. Repeatable.")
@click.option("--auth-password-file", type=_file, metavar="FILE", help="Holds the password of the URL's user.")
@click.option("--auth-token-file", type=_file, metavar="FILE", help="Holds an OAuth token of the URL's user.")
@click.option("--auth-token-command", metavar="CMD", help="Prints such a token; asked again when it is refused.")
@click.option(
    "--proxy",
    metavar="URL",
    envvar="SMTPX_PROXY",
    help="socks5://, socks5h://, socks4://, socks4a:// or http://[USER:PASSWORD@]HOST:PORT; or $SMTPX_PROXY.",
)
@click.option("--local-address", metavar="IP", callback=_ip, help="Address to connect from.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Seconds for everything.")
@click.option(
    "--dsn-notify", metavar="success,failure,delay", callback=_notify, help="When to be told (RFC 3461), or never."
)
@click.option("--dsn-ret", type=click.Choice(["hdrs", "full"]), help="How much of the message a report returns.")
@click.option("--envid", metavar="ID", callback=_envid, help="An id that reports will repeat.")
@click.option("--no-pipelining", is_flag=True, help="One command at a time.")
@click.option("--no-chunking", is_flag=True, help="DATA instead of BDAT.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.option("--trace", is_flag=True, help="Write the dialogue to standard error, passwords masked.")
def send(**options: Any) -> int:  # noqa: ANN401 - what click read; each option has a type of its own
    """Send one message.

    ADDR is an address, or 'Name <address>'. Exit status: 0 everybody accepted; 1 some refused; 64 usage; 65 bad message
    or address, or more than this server takes; 66 a file can't be read; 69 refused for good, or the server lacks what
    was required; 75 try again later; 76 the server broke the protocol; 77 wrong credentials.

    \b
    Examples:
      smtpx send --url smtp://127.0.0.1:2525 --from a@example.org --to b@example.org --subject Hi --text 'Hello'
      smtpx send --url submission://me:secret@mail.example.org --from me@example.org --to b@example.net --eml mail.eml
      smtpx send --url smtps://mail.example.org --from a@example.org --to 'Bob <b@example.net>' --attach report.pdf
      smtpx send --url submission://me@mail.example.org --auth-token-command 'get-token me' --from me@example.org ...
    """
    recipients = [party(each).address for name in ("to", "cc", "bcc") for each in options[name]]
    _check_options(options, recipients)
    try:
        result = _send(options, recipients)
    except SMTPXError as error:
        _report(error.result if isinstance(error.result, SendResult) else None, error, as_json=options["as_json"])
        return status_of(error)
    except OSError as error:
        complain(f"can't read {error.filename or options['eml']}: {error.strerror}")
        return Status.NO_INPUT
    _report(result, None, as_json=options["as_json"])
    return Status.SOME_REFUSED if result.refused else Status.OK


def _check_options(options: dict[str, Any], recipients: list[str]) -> None:
    if not recipients:
        raise click.UsageError("no recipient: give --to, --cc or --bcc")
    composed = [name for name in ("subject", "text", "html", "attach", "headers") if options[name] not in (None, ())]
    if options["eml"] and composed:
        raise click.UsageError(f"--eml is a whole message: it can't go with --{composed[0].removesuffix('s')}")
    if options["normalize_newlines"] and not options["eml"]:
        raise click.UsageError("--normalize-newlines goes with --eml")
    if options["eml"] == "-" and sys.stdin is None:
        raise click.UsageError("--eml -: standard input is closed")


def _check_url(settings: ClientSettings, options: dict[str, Any]) -> None:
    if options["local_address"] and settings.target.unix_path is not None:
        raise click.UsageError("--local-address: this URL is that of a unix socket")


def _send(options: dict[str, Any], recipients: list[str]) -> SendResult:
    with Client(options["url"], **_client_options(options)) as client, _message(options) as message:
        _check_url(client.settings, options)
        return client.send(
            message,
            sender=party(options["sender"]).address,
            recipients=recipients,
            normalize_newlines=options["normalize_newlines"],
            **_dsn(options),
        )


def _message(options: dict[str, Any]) -> AbstractContextManager[Any]:
    if options["eml"]:
        return _open(options["eml"])
    try:
        return nullcontext(compose(options))
    except ValueError as error:
        raise LocalProtocolError(str(error)) from error


def _client_options(options: dict[str, Any]) -> dict[str, Any]:
    names = ("ca_file", "hello_name", "local_address", "timeout", "proxy")
    chosen: dict[str, Any] = {name: options[name] for name in names if options[name] is not None}
    if options["insecure"]:
        chosen["verify"] = False
    if options["no_pipelining"]:
        chosen["pipelining"] = False
    if options["no_chunking"]:
        chosen["chunking"] = False
    if options["trace"]:
        chosen["trace"] = _trace
    return {**chosen, **login_options(options)}


def _dsn(options: dict[str, Any]) -> dict[str, Any]:
    wishes = {"notify": options["dsn_notify"], "ret": options["dsn_ret"], "envid": options["envid"]}
    return {name: value for name, value in wishes.items() if value is not None}


def _open(path: str) -> IO[bytes]:
    """A file that can be read twice: what is wrong with it then shows before anything is sent."""
    if path != "-":
        return Path(path).open("rb")
    if sys.stdin.buffer.seekable():
        return sys.stdin.buffer
    spool = tempfile.SpooledTemporaryFile(max_size=_MAX_SPOOLED_BYTES)  # noqa: SIM115 - the caller closes it
    shutil.copyfileobj(sys.stdin.buffer, spool)
    spool.seek(0)
    return spool


def _report(result: SendResult | None, error: SMTPXError | None, *, as_json: bool) -> None:
    if as_json:
        say(json.dumps(_as_object(result, error), indent=2))
        return
    if result is not None:
        for address, reply in result.accepted.items():
            state = "accepted" if error is None else "unknown"
            say(f"{state} <{address}>: {reply}")
        for address, refusal in result.refused.items():
            note(f"refused <{address}>: {refusal.reply}")
        if result.reply is not None and error is None:
            say(f"server: {result.reply}")
    if error is not None and not (isinstance(error, RefusedError) and error.refusals):
        complain(_text(error))


def _as_object(result: SendResult | None, error: SMTPXError | None) -> dict[str, Any]:
    accepted = {address: _reply(reply) for address, reply in result.accepted.items()} if result else {}
    refused = {address: _reply(refusal.reply) for address, refusal in result.refused.items()} if result else {}
    failure = {"type": type(error).__name__, "stage": error.stage, "message": _text(error)} if error else None
    return {
        "accepted": accepted,
        "refused": refused,
        "reply": _reply(result.reply) if result else None,
        "tls": _tls(result.tls) if result else None,
        "error": failure,
    }


def _text(error: SMTPXError) -> str:
    return str(error).replace("normalize_newlines=True", "--normalize-newlines")


def _reply(reply: Reply | None) -> dict[str, Any] | None:
    if reply is None:
        return None
    return {"code": reply.code, "enhanced": str(reply.enhanced) if reply.enhanced else None, "text": reply.text}


def _tls(tls: TLSFacts | None) -> dict[str, Any] | None:
    if tls is None:
        return None
    return {"version": tls.version, "cipher": tls.cipher, "verified": tls.verified, "group": tls.group}


def _trace(direction: str, octets: bytes) -> None:
    shown = octets[:_MAX_TRACED]
    for line in shown.removesuffix(b"\r\n").split(b"\r\n"):
        note(f"{direction}: {escape(line, max_chars=_MAX_TRACED)}")
    if len(octets) > len(shown):
        note(f"{direction}: ... {len(octets) - len(shown)} more octets")
