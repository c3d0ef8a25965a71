"""What became of a message, recipient by recipient: for people, and as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from smtpx.cli.output import complain, note, say
from smtpx.errors import RefusedError, SMTPXError
from smtpx.flows.outcome import SendResult
from smtpx.protocol.facts import TLSFacts
from smtpx.wire.address import Mailbox
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import WireError

__all__ = ["Fates", "as_object", "fates_of", "show"]


class Fates(NamedTuple):
    """Whom the message has reached, whom it has surely not, and of whom nobody knows.

    A reply is None where there was none. One of `refused` is the recipient's own, or else that of the error which ended
    it all before the recipient's turn.
    """

    accepted: Mapping[str, Reply]
    refused: Mapping[str, Reply | None]
    unknown: Mapping[str, Reply | None]


def fates_of(result: SendResult | None, error: SMTPXError | None, recipients: Sequence[str]) -> Fates:
    """Each recipient's: everybody is in one of the three.

    Args:
        recipients: all of them, as they were given. A result does not name those whom nobody was asked about, nor those
            whose verdict was lost.
    """
    result = result or SendResult({}, {})
    refused: dict[str, Reply | None] = {to: refusal.reply for to, refusal in result.refused.items()}
    if error is None:
        return Fates(result.accepted, refused, {})
    safe = _safe(result)
    accepted = {to: reply for to, reply in result.accepted.items() if to in safe}
    names = list(dict.fromkeys((*result.accepted, *map(_name, recipients))))
    if error.stage == "final" and not isinstance(error, RefusedError):
        # The verdict was lost. RCPT's replies, which stand in `accepted` then, say nothing of the message (RFC 1047).
        unknown = {to: result.accepted.get(to) for to in names if to not in safe}
        unknown = {to: reply for to, reply in unknown.items() if reply is not None or to not in refused}
        return Fates(accepted, {to: reply for to, reply in refused.items() if to not in unknown}, unknown)
    reply = getattr(error, "reply", None)
    for to in names:
        if to not in safe:
            refused.setdefault(to, reply)
    return Fates(accepted, refused, {})


def _safe(result: SendResult) -> set[str]:
    """Who has got it although the message failed for others: by another transaction, or by a verdict of LMTP."""
    parts = result.parts or (() if result.reply is None else (result,))
    safe = {to for part in parts if part.reply is not None for to in part.accepted}
    return safe | {to for to, verdict in result.verdicts if verdict.code < 300}


def _name(recipient: str) -> str:
    """A recipient as results name it."""
    try:
        return str(Mailbox.parse(recipient))
    except WireError:
        return recipient


def show(fates: Fates, result: SendResult | None, error: SMTPXError | None) -> None:
    """Lines for people: refusals and errors on standard error."""
    for address, reply in fates.accepted.items():
        say(f"accepted <{address}>: {reply}")
    for address, answer in fates.unknown.items():
        say(f"unknown <{address}>: " + (f"to RCPT {answer}" if answer is not None else "no reply"))
    for address, refusal in result.refused.items() if result is not None else ():
        note(f"refused <{address}>: {refusal.reply}")
    if result is not None and result.reply is not None and error is None:
        say(f"server: {result.reply}")
    if error is not None and not (isinstance(error, RefusedError) and error.refusals):
        complain(_text(error))


def as_object(fates: Fates, result: SendResult | None, error: SMTPXError | None) -> dict[str, Any]:
    """The same for programs."""
    failure = {"type": type(error).__name__, "stage": error.stage, "message": _text(error)} if error else None
    return {
        "accepted": {address: _reply(reply) for address, reply in fates.accepted.items()},
        "refused": {address: _reply(reply) or _NO_REPLY for address, reply in fates.refused.items()},
        "unknown": {address: _reply(reply) or _NO_REPLY for address, reply in fates.unknown.items()},
        "reply": _reply(result.reply) if result else None,
        "tls": _tls(result.tls) if result else None,
        "error": failure,
    }


_NO_REPLY = {"code": None, "enhanced": None, "text": None}


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
