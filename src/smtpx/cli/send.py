"""`smtpx send`: send one message."""

import json
import sys
from pathlib import Path
from typing import Any, BinaryIO

import click

from smtpx.cli.compose import compose
from smtpx.cli.status import Status, status_of
from smtpx.client.sync import Client
from smtpx.errors import LocalProtocolError, RefusedError, SMTPXError
from smtpx.flows.outcome import SendResult
from smtpx.protocol.facts import TLSFacts
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import escape

__all__ = ["send"]

_file = click.Path(exists=True, dir_okay=False, readable=True)
_MAX_TRACED = 1500


@click.command()
@click.option("--url", required=True, help="Server, e.g. submission://user:password@mail.example.org")
@click.option("--from", "sender", required=True, metavar="ADDR", help="Envelope sender; '' is the null sender.")
@click.option("--to", multiple=True, metavar="ADDR", help="Recipient. May be repeated, like --cc, --bcc, --attach, --header.")
@click.option("--cc", multiple=True, metavar="ADDR", help="Recipient, named in Cc.")
@click.option("--bcc", multiple=True, metavar="ADDR", help="Recipient, named nowhere.")
@click.option("--subject", help="Subject of the message.")
@click.option("--text", help="Text body.")
@click.option("--html", help="HTML body.")
@click.option("--attach", multiple=True, type=_file, metavar="FILE", help="A file to attach.")
@click.option("--header", "headers", multiple=True, metavar="'N: V'", help="One more header field.")
@click.option("--eml", type=click.Path(exists=True, dir_okay=False, allow_dash=True), metavar="FILE", help="A whole message, sent as it is; - = standard input.")
@click.option("--normalize-newlines", is_flag=True, help="Turn bare LF of the message into CRLF instead of refusing it.")
@click.option("--ca", "ca_file", type=_file, metavar="FILE", help="Certificates to trust (PEM).")
@click.option("--insecure", is_flag=True, help="Don't check certificates, and send passwords in clear. For tests.")
@click.option("--helo", "hello_name", metavar="NAME", help="What to call ourselves.")
@click.option("--local-address", metavar="IP", help="Address to connect from.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Seconds for everything.")
@click.option("--dsn-notify", metavar="success,failure,delay", help="When to be told (RFC 3461), or never.")
@click.option("--dsn-ret", type=click.Choice(["hdrs", "full"]), help="How much of the message a report returns.")
@click.option("--envid", metavar="ID", help="An id that reports will repeat.")
@click.option("--no-pipelining", is_flag=True, help="One command at a time.")
@click.option("--no-chunking", is_flag=True, help="DATA instead of BDAT.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.option("--trace", is_flag=True, help="Write the dialogue to standard error, passwords masked.")
def send(**options: Any) -> int:
    """Send one message.

    Exit status: 0 everybody accepted; 1 some refused; 64 usage; 65 bad message or address; 69 refused for good, or the
    server lacks what was required; 75 try again later; 76 the server broke the protocol; 77 wrong credentials.

    \b
    Examples:
      smtpx send --url smtp://127.0.0.1:2525 --from a@example.org --to b@example.org --subject Hi --text 'Hello'
      smtpx send --url submission://me:secret@mail.example.org --from me@example.org --to b@example.net --eml mail.eml
    """
    recipients = [*options["to"], *options["cc"], *options["bcc"]]
    if not recipients:
        raise click.UsageError("no recipient: --to, --cc or --bcc")
    composed = [name for name in ("subject", "text", "html", "attach", "headers") if options[name]]
    if options["eml"] and composed:
        raise click.UsageError(f"--eml is a whole message: it can't go with --{composed[0].removesuffix('s')}")
    try:
        result = _send(options, recipients)
    except SMTPXError as error:
        _report(error.result if isinstance(error.result, SendResult) else None, error, as_json=options["as_json"])
        return status_of(error)
    _report(result, None, as_json=options["as_json"])
    return Status.SOME_REFUSED if result.refused else Status.OK


def _send(options: dict[str, Any], recipients: list[str]) -> SendResult:
    with Client(options["url"], **_client_options(options)) as client:
        if options["eml"]:
            message: Any = _open(options["eml"])
        else:
            try:
                message = compose(options)
            except ValueError as error:
                raise LocalProtocolError(str(error)) from error
        return client.send(
            message,
            sender=options["sender"],
            recipients=recipients,
            normalize_newlines=options["normalize_newlines"],
            **_dsn(options),
        )


def _client_options(options: dict[str, Any]) -> dict[str, Any]:
    chosen: dict[str, Any] = {
        name: options[name] for name in ("ca_file", "hello_name", "local_address", "timeout") if options[name] is not None
    }
    if options["insecure"]:
        chosen["verify"] = False
    if options["no_pipelining"]:
        chosen["pipelining"] = False
    if options["no_chunking"]:
        chosen["chunking"] = False
    if options["trace"]:
        chosen["trace"] = _trace
    return chosen


def _dsn(options: dict[str, Any]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    if options["dsn_notify"]:
        chosen["notify"] = tuple(word.strip() for word in options["dsn_notify"].split(","))
    if options["dsn_ret"]:
        chosen["ret"] = options["dsn_ret"]
    if options["envid"]:
        chosen["envid"] = options["envid"]
    return chosen


def _open(path: str) -> BinaryIO:
    return sys.stdin.buffer if path == "-" else Path(path).open("rb")  # noqa: SIM115 - closed at exit, read until then


def _report(result: SendResult | None, error: SMTPXError | None, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_as_object(result, error), indent=2))
        return
    if result is not None:
        for address, reply in result.accepted.items():
            state = "accepted" if error is None else "unknown"
            click.echo(f"{state} <{address}>: {reply}")
        for address, refusal in result.refused.items():
            click.echo(f"refused <{address}>: {refusal.reply}", err=True)
        if result.reply is not None and error is None:
            click.echo(f"server: {result.reply}")
    if error is not None and not (isinstance(error, RefusedError) and error.refusals):
        click.echo(f"smtpx: {error}", err=True)


def _as_object(result: SendResult | None, error: SMTPXError | None) -> dict[str, Any]:
    accepted = {address: _reply(reply) for address, reply in result.accepted.items()} if result else {}
    refused = {address: _reply(refusal.reply) for address, refusal in result.refused.items()} if result else {}
    failure = {"type": type(error).__name__, "stage": error.stage, "message": str(error)} if error else None
    return {
        "accepted": accepted,
        "refused": refused,
        "reply": _reply(result.reply) if result else None,
        "tls": _tls(result.tls) if result else None,
        "error": failure,
    }


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
        click.echo(f"{direction}: {escape(line, max_chars=_MAX_TRACED)}", err=True)
    if len(octets) > len(shown):
        click.echo(f"{direction}: ... {len(octets) - len(shown)} more octets", err=True)
