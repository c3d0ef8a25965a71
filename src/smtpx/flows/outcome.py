"""What became of a message, recipient by recipient."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from smtpx.errors import RefusedError, TemporaryRefusal
from smtpx.protocol.client import Answer
from smtpx.protocol.facts import TLSFacts
from smtpx.wire.reply import Reply

__all__ = ["SendResult", "Tally", "all_refused"]

_QUEUE_ID = re.compile(
    r"(?:queued as|queued message|id=|Message queued|queue id:?)\s*([A-Za-z0-9.@_+-]+)", re.IGNORECASE
)


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
        verdicts: LMTP's replies to the message, one for each accepted RCPT in order, also where a recipient was named
            twice; empty in SMTP.
        parts: where the message took several transactions (LIMITS), the result of each that is done; `reply` is then
            that of the last one in which anybody was accepted.
        dropped: keywords of extensions that the server does not offer and whose options were left out
            (`on_unsupported="drop"`).
    """

    accepted: Mapping[str, Reply]
    refused: Mapping[str, RefusedError]
    reply: Reply | None = None
    tls: TLSFacts | None = None
    duration_seconds: float = 0.0
    used_chunking: bool = False
    dropped: tuple[str, ...] = field(default=())
    verdicts: tuple[tuple[str, Reply], ...] = field(default=())
    parts: tuple["SendResult", ...] = field(default=())

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


class Tally:
    """What is known about each recipient so far.

    Attributes:
        accepted, refused: by address.
        order: accepted recipients in the order of their RCPTs; in LMTP duplicates too, because each has a verdict.
    """

    def __init__(self, recipients: Iterable[str]) -> None:
        self._recipients = tuple(dict.fromkeys(recipients))
        self.accepted: dict[str, Reply] = {}
        self.refused: dict[str, RefusedError] = {}
        self.order: list[str] = []
        self.dropped: tuple[str, ...] = ()
        self.verdicts: tuple[tuple[str, Reply], ...] = ()

    @property
    def is_hopeless(self) -> bool:
        """Whether every recipient was refused."""
        return len(self.refused) == len(self._recipients)

    def take(self, address: str, reply: Reply) -> None:
        """A RCPT was accepted."""
        self.order.append(address)
        self.accepted[address] = reply

    def refuse_all(self, answer: Answer, stage: str) -> None:
        """An answer that concerns everybody who was accepted."""
        self.refused.update({address: _about(answer, address, stage) for address in self.order})
        self.accepted.clear()

    def forget_accepted(self) -> None:
        """The message did not get out: nobody has it, whatever RCPT was answered."""
        self.accepted.clear()

    def take_verdicts(self, answers: Iterable[Answer]) -> None:
        """One reply for each accepted RCPT, by position (RFC 2033 4.2). Of a recipient named twice a 250 counts.

        With fewer answers than recipients it is not known what became of the others: they are in neither set.
        """
        delivered: set[str] = set()
        self.accepted.clear()
        pairs = list(zip(self.order, answers, strict=False))
        self.verdicts = tuple((address, answer.reply) for address, answer in pairs)
        for address, answer in pairs:
            if answer.is_positive:
                self.accepted[address] = answer.reply
                self.refused.pop(address, None)
                delivered.add(address)
            elif address not in delivered:
                self.accepted.pop(address, None)
                self.refused[address] = _about(answer, address, "final")

    def result(self, reply: Reply | None, tls: TLSFacts | None, *, used_chunking: bool = False) -> SendResult:
        """The result as of now, in the caller's order."""
        return SendResult(
            {address: self.accepted[address] for address in self._recipients if address in self.accepted},
            {address: self.refused[address] for address in self._recipients if address in self.refused},
            reply,
            tls,
            used_chunking=used_chunking,
            dropped=self.dropped,
            verdicts=self.verdicts,
        )


def _about(answer: Answer, address: str, stage: str) -> RefusedError:
    return RefusedError.of(answer.reply, command=answer.owed.line, recipient=address, stage=stage)
