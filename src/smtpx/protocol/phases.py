"""THE table: which command may come in which phase, and where its reply leads (RFC 5321 4.1.4).

In SMTP the command and the first digit of its reply fix every transition, and both peers see both; so one table serves
client and server. A pair that is absent is out of order: a server answers 503 5.5.1 and nothing changes. 421 closes
from everywhere. Only `after` moves along the table.

One rule stands outside: the octets a BDAT announces are swallowed in every phase, whatever the answer (RFC 3030 2).
"""

from collections.abc import Mapping
from enum import Enum

from smtpx.wire.codes import Severity

__all__ = ["TABLE", "Phase", "after", "allows"]


class Phase(Enum):
    """Where a conversation stands."""

    BANNER = "banner"  # connected, not greeted
    HELLO = "hello"  # greeted, or TLS begun: a hello is due
    READY = "ready"  # between transactions
    SENDER = "sender"  # MAIL accepted
    RECIPIENTS = "recipients"  # at least one RCPT accepted
    BODY = "body"  # DATA answered 354: content until the end of data
    CHUNKS = "chunks"  # at least one BDAT accepted, the last one not seen
    AUTH = "auth"  # 334 sent: an answer is due
    TLS = "tls"  # STARTTLS answered 220: a handshake is due
    CLOSED = "closed"


P = Phase
_OK, _GO, _TMP, _PERM = Severity.COMPLETED, Severity.CONTINUE, Severity.TEMPORARY, Severity.PERMANENT
Row = Mapping[Severity, Phase]


def _row(stay: Phase, *, ok: Phase | None = None, go: Phase | None = None, no: Phase | None = None) -> Row:
    refused = no or stay
    row = {_TMP: refused, _PERM: refused}
    if ok:
        row[_OK] = ok
    if go:
        row[_GO] = go
    return row


def _table() -> dict[tuple[Phase, str], Row]:
    table: dict[tuple[Phase, str], Row] = {
        (P.BANNER, "GREETING"): _row(P.BANNER, ok=P.HELLO, no=P.CLOSED),
        (P.READY, "MAIL"): _row(P.READY, ok=P.SENDER),
        (P.SENDER, "RCPT"): _row(P.SENDER, ok=P.RECIPIENTS),
        (P.RECIPIENTS, "RCPT"): _row(P.RECIPIENTS, ok=P.RECIPIENTS),
        (P.RECIPIENTS, "DATA"): _row(P.RECIPIENTS, go=P.BODY),
        (P.BODY, "END OF DATA"): _row(P.READY, ok=P.READY),
        (P.RECIPIENTS, "BDAT"): _row(P.READY, ok=P.CHUNKS),
        (P.CHUNKS, "BDAT"): _row(P.READY, ok=P.CHUNKS),
        (P.RECIPIENTS, "BDAT LAST"): _row(P.READY, ok=P.READY),
        (P.CHUNKS, "BDAT LAST"): _row(P.READY, ok=P.READY),
        (P.READY, "AUTH"): _row(P.READY, ok=P.READY, go=P.AUTH),
        (P.READY, "XCLIENT"): _row(P.READY, ok=P.HELLO),
        (P.AUTH, "AUTH RESPONSE"): _row(P.READY, ok=P.READY, go=P.AUTH),
        (P.TLS, "HANDSHAKE"): _row(P.CLOSED, ok=P.HELLO),
    }
    in_transaction = (P.SENDER, P.RECIPIENTS, P.CHUNKS)
    for phase in (P.HELLO, P.READY, *in_transaction):
        for verb in ("EHLO", "HELO", "LHLO"):
            table[phase, verb] = _row(phase, ok=P.READY)
        table[phase, "RSET"] = _row(phase, ok=P.HELLO if phase is P.HELLO else P.READY)
        table[phase, "QUIT"] = _row(phase, ok=P.CLOSED)
        for verb in ("NOOP", "VRFY", "EXPN", "HELP"):
            table[phase, verb] = _row(phase, ok=phase)
        if phase is not P.HELLO:
            table[phase, "STARTTLS"] = _row(phase, ok=P.TLS)
    return table


TABLE: Mapping[tuple[Phase, str], Row] = _table()


def allows(phase: Phase, command: str) -> bool:
    """Whether `command` is in order. A verb that the table never mentions (an extension's own) is, once greeted."""
    if (phase, command) in TABLE:
        return True
    return command not in _COMMANDS and phase in (P.READY, P.SENDER, P.RECIPIENTS, P.CHUNKS)


_COMMANDS = frozenset(command for _, command in TABLE)


def after(phase: Phase, command: str, code: int) -> Phase:
    """The phase behind the reply `code` to `command`.

    A refusal of what was out of order changes nothing. A 354 opens a body even where none was due: a client whose
    recipients were all refused may meet one, and has to end that body (RFC 2920 3.1).
    """
    if code == 421:
        return P.CLOSED
    severity = Severity(code // 100)
    row = TABLE.get((phase, command))
    if row is not None and severity in row:
        return row[severity]
    return P.BODY if command == "DATA" and severity is _GO else phase
