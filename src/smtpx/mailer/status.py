"""What became of each recipient, in one word."""

from collections.abc import Mapping
from enum import StrEnum

from smtpx.errors import LocalProtocolError, RefusedError, SMTPXError
from smtpx.flows.outcome import SendResult
from smtpx.mailer.provider import is_unknown
from smtpx.message.compose import Message
from smtpx.message.sendable import Sendable
from smtpx.wire.reply import Reply

__all__ = ["Status", "statuses"]


class Status(StrEnum):
    """What a mail service says of a recipient."""

    SENT = "sent"  # the next server has taken it
    QUEUED = "queued"  # it waits here
    FAILED = "failed"  # not now; it may be sent again
    REJECTED = "rejected"  # not ever
    INVALID = "invalid"  # the message or the address is not good
    UNKNOWN = "unknown"  # it may have been delivered; sending it again may deliver it twice


def statuses(message: Sendable, outcome: SendResult | Exception) -> dict[str, Status]:
    """The status of each recipient, by address.

    Args:
        outcome: what `send` returned or raised, or what stands in a `SendOutcome`.

    Raises:
        ValueError: the message names no recipients.
    """
    result: SendResult | None
    accepted: Mapping[str, Reply]
    if isinstance(outcome, SendResult):
        result, rest = outcome, Status.UNKNOWN
        accepted = result.accepted
    else:
        result, rest = getattr(outcome, "result", None), _of_error(outcome)
        # What was accepted at RCPT is nobody's yet when the verdict did not come.
        accepted = result.accepted if result is not None and rest is not Status.UNKNOWN else {}
    refused = dict(result.refused) if result is not None else {}
    if isinstance(outcome, RefusedError):
        refused |= outcome.refusals
    found: dict[str, Status] = {}
    if isinstance(message, Message):
        message = message.with_(envelope_from="")  # one without a sender got the provider's own
    for address in map(str, message.posting().recipients):
        is_refused = address in refused
        found[address] = Status.SENT if address in accepted else _of_error(refused[address]) if is_refused else rest
    return found


def _of_error(error: Exception) -> Status:
    if is_unknown(error):
        return Status.UNKNOWN
    if isinstance(error, LocalProtocolError) or not isinstance(error, SMTPXError):
        return Status.INVALID
    return Status.FAILED if error.is_temporary else Status.REJECTED
