"""The books of one `send_bulk`: what was taken, what became of each, told in order."""

import logging
from collections.abc import AsyncGenerator, AsyncIterable, Collection, Sequence
from itertools import islice

from smtpx.client.bulk import SendOutcome
from smtpx.errors import ConnectionLost, LocalProtocolError, SMTPXError
from smtpx.flows.outcome import SendResult
from smtpx.mailer.provider import BulkResult, NotTriedError, OnOutcome, Sendables, is_unknown
from smtpx.mailer.watch import BulkWatch, Facts
from smtpx.message.sendable import Sendable

__all__ = ["Ledger", "each_of", "lost", "tell_safely"]

_log = logging.getLogger("smtpx.mailer")


def lost(why: str) -> ConnectionLost:
    """The error of a message that was under way when somebody gave up: it may have been delivered."""
    return ConnectionLost(f"{why}: it is not known whether it was delivered", stage="final")


async def each_of(messages: Sendables) -> AsyncGenerator[Sendable, None]:
    """Messages of a source of either kind."""
    if isinstance(messages, AsyncIterable):
        async for message in messages:
            yield message
    else:
        for message in messages:
            yield message


def tell_safely(on_outcome: OnOutcome, outcome: SendOutcome) -> None:
    """Call it. What it raises is logged: the messages are on their way."""
    try:
        on_outcome(outcome)
    except Exception:
        _log.exception("on_outcome failed for message %d", outcome.index)


def _as_ours(error: Exception | None) -> SMTPXError:
    """The error of an outcome: what is not ours is its cause, and where nobody knows what that means, unknown."""
    if isinstance(error, SMTPXError):
        return error
    if error is None:
        return lost("there was no outcome")
    kind = type(error).__name__
    ours = lost(kind) if is_unknown(error) else LocalProtocolError(f"the message could not be sent: {kind}: {error}")
    ours.__cause__ = error
    return ours


class Ledger:
    """Outcomes come in any order and are told in that of the messages.

    Args:
        on_outcome: is told of each; see `tell_safely`.
        watch: is told of each when it is taken and when it is known.
    """

    def __init__(self, on_outcome: OnOutcome | None = None, watch: BulkWatch | None = None) -> None:
        self._on_outcome = on_outcome
        self._watch = watch
        self._ready: dict[int, Sendable] = {}  # as they were made ready, for the watch
        self._open: dict[int, Sendable] = {}
        self._known: dict[int, SendOutcome] = {}  # those that wait for one before them
        self._told: list[SendOutcome] = []
        self._begun: set[int] = set()
        self._taken = 0

    def begin(self, index: int, ready: Sendable) -> None:
        """From now on it may have been sent, as it was made ready."""
        self._begun.add(index)
        if self._watch is not None:
            self._ready[index] = ready

    def take(self, message: Sendable, facts: Facts | None = None) -> int:
        """One more message; gives its index. `facts` gives those of its provider, where that is not the one of all."""
        index = self._taken
        self._open[index] = message
        self._taken += 1
        if self._watch is not None:
            self._watch.take(index, facts)
        return index

    def postpone(self, index: int) -> None:
        """It was not sent, for certain, and will be tried again."""
        self._begun.discard(index)

    def settle(self, index: int, outcome: SendResult | Exception | None) -> None:
        """What became of a message; None if nobody says. Only the first word counts."""
        if index not in self._open:
            return
        message = self._open.pop(index)
        self._begun.discard(index)
        if isinstance(outcome, SendResult):
            settled = SendOutcome(index, message, outcome)
        else:
            settled = SendOutcome(index, message, error=_as_ours(outcome))
        self._known[index] = settled
        if self._watch is not None:
            self._watch.settle(index, self._ready.pop(index, message), settled.result, settled.error)
        while (known := self._known.pop(len(self._told), None)) is not None:
            self._told.append(known)
            if self._on_outcome is not None:
                tell_safely(self._on_outcome, known)

    @property
    def unsettled(self) -> Sequence[int]:
        """Those that were taken and nothing is known of."""
        return list(self._open)

    def give_up(self, why: str) -> None:
        """Nobody waits for what is under way any more."""
        for index in self.unsettled:
            self.settle(index, lost(why) if index in self._begun else NotTriedError(why))

    def leave_out(self, messages: Sendables, why: str) -> None:
        """The rest of a list or the like was not tried. What a generator would still give, nobody knows."""
        if isinstance(messages, Collection):
            for message in islice(messages, self._taken, None):
                self.settle(self.take(message), NotTriedError(why))

    def result(self) -> BulkResult:
        """The outcomes of all."""
        return BulkResult(tuple(self._told))
