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
from smtpx.cli.interrupt import Interrupted, InterruptibleClient
from smtpx.cli.login import login_options
from smtpx.cli.output import complain, note, say
from smtpx.cli.report import as_object, fates_of, show
from smtpx.cli.sections import SectionedCommand, section
from smtpx.cli.status import Status, status_of
from smtpx.client.settings import ClientSettings
from smtpx.errors import LocalProtocolError, SMTPXError
from smtpx.extensions.dsn import ENVID, NOTIFY
from smtpx.flows.outcome import SendResult
from smtpx.wire.params import Param
from smtpx.wire.syntax import WireError, escape

__all__ = ["send"]

T = TypeVar("T")

_input = click.Path(allow_dash=True)  # one that is missing can't be read, like one that is locked: status 66
_certificates = click.Path(exists=True, dir_okay=False)
_MAX_TRACED = 1500
_MAX_SPOOLED_BYTES = 1 << 20
_server_option, _envelope, _message_option, _security, _report_option, _output = map(
    section, ("Server", "Envelope", "Message", "Security and login", "Delivery reports", "Output")
)


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


@click.command(cls=SectionedCommand)
@_server_option("--url", required=True, envvar="SMTPX_URL", help="Server, e.g. smtp://127.0.0.1:2525; or $SMTPX_URL.")
@_server_option("--helo", "hello_name", metavar="NAME", help="What to call ourselves.")
@_server_option("--local-address", metavar="IP", callback=_ip, help="Address to connect from.")
@_server_option("--proxy", metavar="URL", envvar="SMTPX_PROXY", help="Go through a proxy, see above; or $SMTPX_PROXY.")
@_server_option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Seconds for everything.")
@_server_option("--no-pipelining", is_flag=True, help="One command at a time.")
@_server_option("--no-chunking", is_flag=True, help="DATA instead of BDAT.")
@_envelope("--from", "sender", required=True, metavar="ADDR", help="Sender, '' for the null sender.")
@_envelope("--to", multiple=True, metavar="ADDR", help="Recipient.")
@_envelope("--cc", multiple=True, metavar="ADDR", help="Recipient, named in Cc.")
@_envelope("--bcc", multiple=True, metavar="ADDR", help="Recipient, named nowhere.")
@_message_option("--subject", help="Subject of the message.")
@_message_option("--text", help="Text body.")
@_message_option("--html", help="HTML body.")
@_message_option("--attach", multiple=True, type=_input, metavar="FILE", help="A file to attach.")
@_message_option("--header", "headers", multiple=True, metavar="'N: V'", help="One more header field.")
@_message_option("--eml", type=_input, metavar="FILE", help="A whole message, sent as it is; - = standard input.")
@_message_option("--normalize-newlines", is_flag=True, help="Turn bare LF of --eml into CRLF; else refused.")
@_security("--ca", "ca_file", type=_certificates, metavar="FILE", help="Certificates to trust (PEM).")
@_security("--insecure", is_flag=True, help="Check no certificate, passwords in clear. For tests.")
@_security("--client-cert", type=_certificates, metavar="FILE", help="Certificate to show (PEM); logs in by EXTERNAL.")
@_security("--client-key", type=_certificates, metavar="FILE", help="Its private key (PEM), if not in the same file.")
@_security("--auth-mechanism", "mechanisms", multiple=True, metavar="NAME", help="Log in by this one only.")
@_security("--auth-password-file", type=_input, metavar="FILE", help="Holds the password of the URL's user.")
@_security("--auth-token-file", type=_input, metavar="FILE", help="Holds an OAuth token of the URL's user.")
@_security("--auth-token-command", metavar="CMD", help="Prints such a token.")
@_report_option("--dsn-notify", metavar="WHEN", callback=_notify, help="success,failure,delay or never (RFC 3461).")
@_report_option("--dsn-ret", type=click.Choice(["hdrs", "full"]), help="How much of the message to return.")
@_report_option("--envid", metavar="ID", callback=_envid, help="An id that reports will repeat.")
@_output("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@_output("--trace", is_flag=True, help="Write the dialogue to standard error, passwords masked.")
def send(**options: Any) -> int:  # noqa: ANN401 - what click read; each option has a type of its own
    """Send one message.

    ADDR is an address, or 'Name <address>'. --to, --cc, --bcc, --attach, --header and --auth-mechanism may be repeated.
    A proxy is socks5://, socks5h://, socks4://, socks4a:// or http://[USER:PASSWORD@]HOST:PORT.

    URLs: smtp:// uses STARTTLS where offered; smtp+starttls:// and submission:// demand it, smtps:// and submissions://
    are TLS from the first byte, all four with a good certificate; smtp+plain:// is never TLS; lmtp://,
    lmtp+unix:///path.

    JSON has each recipient in one of three: "accepted", "refused" (has surely not got it; "code" is null where no reply
    of the server says so, and "error" why) and "unknown" (may have it: to send again may be to send twice).
    With wrong options and files that can't be read there is none.

    Exit status: 0 everybody accepted; 1 some refused; 64 usage; 65 bad message or address, or more than this server
    takes; 66 a file can't be read; 69 refused for good, or the server lacks what was required; 75 try again later,
    whoever is "unknown" may have it; 76 the server broke the protocol; 77 wrong credentials; 130
    and 143 interrupted.

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
        _report(options, recipients, error.result if isinstance(error.result, SendResult) else None, error)
        return error.status if isinstance(error, Interrupted) else status_of(error)
    except OSError as error:
        complain(f"can't read {error.filename or options['eml'] or 'a file'}: {error.strerror or error}")
        return Status.NO_INPUT
    _report(options, recipients, result)
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
    with InterruptibleClient(options["url"], **_client_options(options)) as client, _message(options) as message:
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


def _report(
    options: dict[str, Any], recipients: list[str], result: SendResult | None, error: SMTPXError | None = None
) -> None:
    fates = fates_of(result, error, recipients)
    if options["as_json"]:
        say(json.dumps(as_object(fates, result, error), indent=2))
    else:
        show(fates, result, error)


def _trace(direction: str, octets: bytes) -> None:
    shown = octets[:_MAX_TRACED]
    for line in shown.removesuffix(b"\r\n").split(b"\r\n"):
        note(f"{direction}: {escape(line, max_chars=_MAX_TRACED)}")
    if len(octets) > len(shown):
        note(f"{direction}: ... {len(octets) - len(shown)} more octets")
