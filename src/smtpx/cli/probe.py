"""`smtpx probe`: what a server offers."""

import json
import sys
from typing import Any

import click

from smtpx.cli.certificates import Description, Problem, describe, problems_of
from smtpx.cli.output import complain, say
from smtpx.cli.sections import SectionedCommand, section
from smtpx.cli.status import Status, status_of
from smtpx.client.probe import ProbeReport, probe
from smtpx.client.settings import settings_for
from smtpx.errors import DeadlineError, SMTPXError, TLSError
from smtpx.extensions.limits import Limits
from smtpx.extensions.size import Size
from smtpx.flows.session import Security
from smtpx.protocol.capabilities import Capabilities
from smtpx.protocol.dialect import LMTP
from smtpx.protocol.facts import TLSFacts
from smtpx.wire.address import ascii_domain
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import CONTROLS, escape

__all__ = ["look"]

_SCHEMES_OF_PORTS = {"465": "smtps", "24": "lmtp"}
_REVEALING = frozenset({"PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"})
_file = click.Path(exists=True, dir_okay=False)
_server_option, _security, _output = map(section, ("Server", "Security", "Output"))
_NO_DETAILS = "the certificate is not described: this needs smtpx[tls]"


@click.command(name="probe", cls=SectionedCommand, short_help="See what a server offers.")
@click.argument("server", metavar="HOST[:PORT]|URL")
@_server_option("--lmtp", is_flag=True, help="HOST[:PORT] speaks LMTP.")
@_server_option("--helo", "hello_name", metavar="NAME", help="What to call ourselves.")
@_server_option("--proxy", metavar="URL", envvar="SMTPX_PROXY", help="Go through a proxy; see smtpx send.")
@_server_option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="S",
    help="Seconds for each connection.",
)
@_security("--ca", "ca_file", type=_file, metavar="FILE", help="Certificates to trust (PEM).")
@_security("--no-starttls", is_flag=True, help="Look at it in clear only.")
@_output("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def look(**options: Any) -> int:  # noqa: ANN401 - what click read; each option has a type of its own
    """See what a server offers: greeting, extensions, TLS, certificate, AUTH, limits. Sends no mail and no password.

    The certificate is checked; if it is not good, the probe says why and goes on without checking. HOST alone is port
    25; 465 means TLS from the first octet, 24 LMTP. Exit status: 0 all is well; 64 usage; 69 the server refuses, lacks
    the STARTTLS that the URL demands, or its certificate is not good; 75 no connection, or it broke, or 4yz; 76 what
    answers is no mail server.

    \b
    Examples:
      smtpx probe mail.example.org
      smtpx probe submission://mail.example.org
      smtpx probe mail.example.org:465 --json
      smtpx probe --lmtp 127.0.0.1:24 --no-starttls
    """
    names = ("ca_file", "hello_name", "timeout", "proxy")
    chosen: dict[str, Any] = {name: options[name] for name in names if options[name] is not None}
    if options["lmtp"]:
        chosen["dialect"] = LMTP
    settings = settings_for(_url(options["server"], lmtp=options["lmtp"]), **chosen)
    if options["no_starttls"] and settings.security is Security.IMPLICIT:
        raise click.UsageError("--no-starttls: this is TLS from the first octet")
    if options["no_starttls"]:
        settings = settings_for(settings, security=Security.NONE)
    finding = _Finding(probe(settings), ascii_domain(settings.target.host) if settings.target.host else "")
    if options["as_json"]:
        say(json.dumps(finding.as_object(), indent=2))
    else:
        _show(finding)
    return finding.status


def _url(server: str, *, lmtp: bool) -> str:
    if "://" in server:
        return server
    if "@" in server:
        raise click.UsageError("a probe logs in nowhere: give HOST or HOST:PORT")
    port = server.rpartition(":")[2]
    return f"{'lmtp' if lmtp else _SCHEMES_OF_PORTS.get(port, 'smtp')}://{server}"


class _Finding:
    """A report with what is to be thought of it."""

    def __init__(self, report: ProbeReport, host: str) -> None:
        self.report = report
        self.chain: list[Description] = []
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self._judge_certificate(host)
        self._judge_offers()

    def _judge_certificate(self, host: str) -> None:
        report = self.report
        try:
            self.problems = problems_of(report.chain, host, report.certificate_error)
            self.chain = [describe(der) for der in report.chain]
        except ImportError:
            self.notes.append(_NO_DETAILS)
            if report.certificate_error:
                self.problems = [Problem("not_trusted", report.certificate_error)]
        except ValueError:
            pass  # it stands among the problems
        if report.certificate_error and report.tls is not None:
            self.notes.append("the certificate is not good; what follows was seen without checking it")

    def _judge_offers(self) -> None:
        report = self.report
        clear, secure = (_mechanisms(each) for each in (report.offered, report.secure_offered))
        if revealing := [name for name in clear if name in _REVEALING]:
            self.notes.append(f"AUTH {' '.join(revealing)} is offered in clear: passwords can be read on the way")
        if report.tls is not None and (lost := [name for name in clear if name not in secure]):
            self.notes.append(f"AUTH {' '.join(lost)} is offered in clear and not under TLS")
        if report.hello is not None and report.tls is None and "STARTTLS" not in report.offered:
            self.notes.append("no STARTTLS is offered")
        if isinstance(report.error, DeadlineError) and report.error.stage == "greeting":
            self.notes.append("it says nothing: TLS from the first octet is smtps://HOST:PORT")
        if isinstance(report.error, TLSError) and report.security is Security.IMPLICIT and report.tls is None:
            self.notes.append("perhaps it begins in clear: smtp://HOST:PORT")

    @property
    def status(self) -> Status:
        """Of the command."""
        if self.report.error is not None:
            return status_of(self.report.error)
        return Status.UNAVAILABLE if self.problems else Status.OK

    def as_object(self) -> dict[str, Any]:
        """For programs."""
        report = self.report
        return {
            "target": report.target,
            "address": report.address,
            "greeting": _reply(report.greeting),
            "clear": _offers(report.hello, report.offered),
            "tls": _tls(report.tls),
            "secure": _offers(report.secure_hello, report.secure_offered),
            "certificates": [
                {
                    "subject": each.subject,
                    "issuer": each.issuer,
                    "names": list(each.names),
                    "not_before": each.not_before.isoformat(),
                    "not_after": each.not_after.isoformat(),
                    "key": each.key,
                    "signature": each.signature,
                }
                for each in self.chain
            ],
            "problems": [{"name": each.name, "text": each.text} for each in self.problems],
            "notes": self.notes,
            "seconds": {step: round(seconds, 6) for step, seconds in report.seconds.items()},
            "error": _error(report.error),
        }

    def rows(self) -> list[tuple[str, str]]:
        """For people."""
        report = self.report
        rows = [("server", report.target + (f" ({report.address})" if report.address else ""))]
        if report.greeting is not None:
            rows.append(("greeting", str(report.greeting)))
        rows += _offer_rows("in clear", report.hello, report.offered)
        if report.tls is not None:
            tls = report.tls
            rows.append(("TLS", f"{tls.version}, {tls.cipher}, key exchange {tls.group or 'unknown'}"))
        for index, each in enumerate(self.chain):
            until = f"{each.not_before:%Y-%m-%d} to {each.not_after:%Y-%m-%d}"
            rows.append(("issuer's certificate" if index else "certificate", each.subject or "no subject"))
            if each.names:
                rows.append(("  for", ", ".join(each.names)))
            rows.append(("  issued by", f"{each.issuer}, valid {until}, {each.key} bits, {each.signature}"))
        if report.tls is not None:
            rows.append(("verified", "yes" if report.tls.verified else "NO"))
        rows += [("problem", f"{each.name}: {each.text}") for each in self.problems]
        rows += _offer_rows("under TLS", report.secure_hello, report.secure_offered)
        rows += [("note", each) for each in self.notes]
        if report.seconds:
            rows.append(("latency", ", ".join(f"{step} {took * 1000:.1f} ms" for step, took in report.seconds.items())))
        return rows


def _mechanisms(offered: Capabilities) -> tuple[str, ...]:
    return offered.offer("AUTH") or ()


def _offer_rows(where: str, hello: Reply | None, offered: Capabilities) -> list[tuple[str, str]]:
    if hello is None:
        return []
    plain = [keyword for keyword in offered if keyword not in ("AUTH", "LIMITS", "SIZE")]
    rows = [(f"offers {where}", ", ".join(f"{each} {offered[each]}".strip() for each in plain) or "nothing")]
    rows.append((f"AUTH {where}", " ".join(_mechanisms(offered)) or "none"))
    limits = [f"{word}: {count}" for word, count in _limits(offered).items() if count is not None]
    return [*rows, (f"limits {where}", ", ".join(limits) or "none told")]


def _limits(offered: Capabilities) -> dict[str, int | None]:
    found = offered.get(Limits)
    return {
        "max_message_bytes": offered.get(Size),
        "max_recipients": found.max_recipients if found else None,
        "max_messages": found.max_messages if found else None,
        "max_recipient_domains": found.max_recipient_domains if found else None,
    }


def _offers(hello: Reply | None, offered: Capabilities) -> dict[str, Any] | None:
    if hello is None:
        return None
    return {
        "hello": _reply(hello),
        "extensions": dict(offered),
        "auth": list(_mechanisms(offered)),
        "limits": _limits(offered),
        "enhanced_codes": "ENHANCEDSTATUSCODES" in offered,
    }


def _reply(reply: Reply | None) -> dict[str, Any] | None:
    return None if reply is None else {"code": reply.code, "text": reply.text}


def _tls(tls: TLSFacts | None) -> dict[str, Any] | None:
    if tls is None:
        return None
    return {"version": tls.version, "cipher": tls.cipher, "group": tls.group, "verified": tls.verified}


def _error(error: SMTPXError | None) -> dict[str, Any] | None:
    return None if error is None else {"type": type(error).__name__, "stage": error.stage, "message": str(error)}


def _show(finding: _Finding) -> None:
    rows = [(name, CONTROLS.sub(lambda match: escape(match[0]), text)) for name, text in finding.rows()]
    if sys.stdout is not None and sys.stdout.isatty():
        _table(rows)
    else:
        for name, text in rows:
            say(f"{name.strip()}: {text}")
    if finding.report.error is not None:
        complain(str(finding.report.error))


def _table(rows: list[tuple[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    encoding = sys.stdout.encoding or "utf-8"
    table = Table(show_header=False)
    styles = {"problem": "bold red", "note": "yellow"}
    for name, text in rows:
        shown = text.encode(encoding, "backslashreplace").decode(encoding)
        table.add_row(Text(name), Text(shown, style=styles.get(name, "")))
    Console().print(table)
