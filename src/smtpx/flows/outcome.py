"""What became of a message, recipient by recipient."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from smtpx.errors import RefusedError, TemporaryRefusal
from smtpx.protocol.facts import TLSFacts
from smtpx.wire.reply import Reply

__all__ = ["SendResult", "all_refused"]

_QUEUE_ID = re.compile(r"(?:queued as|queued message|id=|Message queued|queue id:?)\s*([A-Za-z0-9.@_+-]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SendResult:
    """The outcome for each recipient of one message.

    Attributes:
        accepted: address to the reply that accepted it (to RCPT; in LMTP the verdict).
        refused: address to the error that says why not.
        reply: the reply to the whole message, with the server's text; None when the message was not sent.
        tls: facts about the TLS layer; None without.
        duration_seconds: from the first octet to the last reply.
        used_chunking: whether the content went by BDAT.
        dropped: options left out because the server does not offer their extension (`on_unsupported="drop"`).
    """

    accepted: Mapping[str, Reply]
    refused: Mapping[str, RefusedError]
    reply: Reply | None = None
    tls: TLSFacts | None = None
    duration_seconds: float = 0.0
    used_chunking: bool = False
    dropped: tuple[str, ...] = field(default=())

    @property
    def queue_id(self) -> str | None:
        """The server's name for the message, where its text has one of the known forms."""
        match = _QUEUE_ID.search(self.reply.text) if self.reply else None
        return match[1].rstrip(".") if match else None

    def raise_for_refused(self) -> "SendResult":
        """The result itself when everybody was accepted.

        Raises:
            RefusedError: carrying this result, when anybody was refused.
        """
        if self.refused:
            raise all_refused(self)
        return self


def all_refused(result: SendResult) -> RefusedError:
    """One error for all refusals of a result: temporary if at least one of them is."""
    errors = list(result.refused.values())
    first = next((error for error in errors if error.is_temporary), errors[0])
    cls = TemporaryRefusal if first.is_temporary else type(first)
    error = cls(first.reply, command=first.command, recipient=first.recipient, stage=first.stage)
    error.refusals = dict(result.refused)
    error.result = result
    return error
