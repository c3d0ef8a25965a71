"""The table of what ran, for the terminal, and with the names of the checks for docs/interop.md."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Row", "as_document", "as_text"]

_HEAD = ("peer", "version", "direction", "TLS", "AUTH", "result")


@dataclass(slots=True)
class Row:
    """One test: who talked to whom, how, and what came out."""

    peer: str
    version: str
    direction: str
    what: str
    tls: str = "-"
    auth: str = "-"
    result: str = "did not run"

    @property
    def group(self) -> tuple[str, str, str, str, str]:
        """What rows of one line of the compact table have in common."""
        return (self.peer, self.version, self.direction, self.tls, self.auth)


def as_text(rows: Sequence[Row]) -> str:
    """One line per peer, direction, TLS and AUTH, with the number of tests per result."""
    return "\n".join(_aligned([_HEAD, *_summed(rows)]))


def as_document(rows: Sequence[Row], system: str) -> str:
    """The whole docs/interop.md."""
    checks: dict[tuple[str, str], Counter[str]] = {}
    for row in rows:
        checks.setdefault((row.direction, row.what), Counter())[row.result] += 1
    details = [(*check, _counts(results)) for check, results in checks.items()]
    return _DOCUMENT.format(
        system=system,
        summary=_markdown([_HEAD, *_summed(rows)]),
        details=_markdown([("direction", "what", "result"), *details]),
    )


def _summed(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    groups: dict[tuple[str, str, str, str, str], Counter[str]] = {}
    for row in rows:
        groups.setdefault(row.group, Counter())[row.result] += 1
    return [(*group, _counts(results)) for group, results in sorted(groups.items())]


def _counts(results: Counter[str]) -> str:
    return ", ".join(f"{number} {result}" for result, number in sorted(results.items()))


def _aligned(lines: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    head, *rest = lines
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *rest))


_DOCUMENT = """\
# Interoperability

Written by `scripts/interop --write-docs` on {system}; do not edit. Each line counts what was seen to work, or not,
between smtpx and a program that others wrote. Unless the line says otherwise, certificates are verified against a
throw-away authority by whoever is the client (swaks checks the chain only, Postfix at level "encrypt" nothing). What
arrives is compared octet by octet with what was sent, after the trace headers that servers put first. "smtpx serve" is
the command; "smtpx.Server" a program written with the library, for SASL mechanisms and refusals that the command does
not have. Lines marked "control" prove the peers, mostly without smtpx, and that a changed message is noticed.

gsasl is libgsasl's own client: it logs in and leaves. It says STARTTLS before EHLO, so a relay says EHLO for it; TLS
goes through untouched. On TLS 1.2 it binds SCRAM to the channel by `tls-unique`, and a relay that has the server's own
key and reads along is found out. On TLS 1.3 it knows `tls-exporter` only, which a Python that can't export refuses.
msmtp 1.8.23 knows no -PLUS.

## Who with whom

{summary}

## What was checked

{details}
"""
