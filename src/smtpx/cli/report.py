"""What became of a message, recipient by recipient: for people, and as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from smtpx.cli.output import complain, note, say
from smtpx.errors import RefusedError, SMTPXError
from smtpx.flows.outcome import SendResult
from smtpx.protocol.facts import TLSFacts
from smtpx.wire.address import Mailbox
from smtpx.wire.reply import Reply

__all__ = ["Fates", "as_object", "fates_of", "show"]


class Fates(NamedTuple):
    """Whom the message has reached, whom not, and of whom nobody knows; a reply is None where there was none."""

    accepted: Mapping[str, Reply]
    refused: Mapping[str, RefusedError]
    unknown: Mapping[str, Reply | None]


def fates_of(result: SendResult | None, error: SMTPXError | None, *, lmtp_recipients: Sequence[str] = ()) -> Fates:
    """Each recipient's.

    Args:
        lmtp_recipients: all of them, if each was to have a verdict of its own: the result does not name those whose
            verdict was lost.
    """
    if result is None:
        return Fates({}, {}, {})
    if error is None or error.stage != "final" or isinstance(error, RefusedError):
        return Fates(result.accepted, result.refused, {})
    # The verdict was lost. RCPT's replies, which stand in `accepted` then, say nothing of the message (RFC 1047).
    safe = {to for part in result.parts if part.reply is not None for to in part.accepted}
    safe.update(to for to, verdict in result.verdicts if verdict.code < 300)  # LMTP
    unknown: dict[str, Reply | None] = {to: reply for to, reply in result.accepted.items() if to not in safe}
    names = dict.fromkeys(str(Mailbox.parse(each)) for each in lmtp_recipients)
    unknown |= dict.fromkeys(to for to in names if to not in result.accepted and to not in result.refused)
    return Fates({to: reply for to, reply in result.accepted.items() if to in safe}, result.refused, unknown)


def show(fates: Fates, result: SendResult | None, error: SMTPXError | None) -> None:
    """Lines for people: refusals and errors on standard error."""
    for address, reply in fates.accepted.items():
        say(f"accepted <{address}>: {reply}")
    for address, answer in fates.unknown.items():
        say(f"unknown <{address}>: " + (f"to RCPT {answer}" if answer is not None else "no reply"))
    for address, refusal in fates.refused.items():
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
        "refused": {address: _reply(refusal.reply) for address, refusal in fates.refused.items()},
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
