"""Several messages under way on one connection (RFC 2920 3.1, RFC 3030 4.2).

With CHUNKING whole messages are written before the verdict on those ahead of them is known. Whatever may have become of
these, RSET goes first: a server that still holds the recipients of a transaction that failed would else give them the
next message. Until the server has shown that it knows RSET only one message is under way. With PIPELINING alone the
next envelope goes behind the final dot, where no transaction can be open.

Replies come in the order of commands, so each one belongs to the oldest message under way.
"""

import copy
from collections import deque
from typing import NamedTuple, Protocol

from smtpx.errors import (
    ConnectionLost,
    RefusedError,
    RemoteProtocolError,
    SMTPXError,
    TransportError,
)
from smtpx.flows.body import BodySender
from smtpx.flows.content import Content
from smtpx.flows.exchange import close, expect_quiet, pending_answer, read_answer, reset, write_content
from smtpx.flows.outcome import SendResult, Tally, all_refused
from smtpx.flows.plan import Envelope, TransactionOptions, plan_for
from smtpx.flows.steps import Flow, Timeouts
from smtpx.protocol.client import Answer, ClientProtocol
from smtpx.wire.dots import DotEncoder

__all__ = ["Flight", "Job", "Ledger", "can_fly"]


_MAX_RECIPIENTS = 50  # more of them are commands enough to be waited for


class Job(NamedTuple):
    """One message to send; `key` is for whoever gave it."""

    key: object
    envelope: Envelope
    content: Content
    options: TransactionOptions


class Ledger(Protocol):
    """Where jobs come from, and who is told what became of them. Nothing here waits."""

    def next_job(self) -> Job | None:
        """The next job; None when there is none just now."""
        ...

    def landed(self, job: Job, outcome: SendResult | SMTPXError) -> None:
        """What became of a job."""
        ...

    def lost(self, job: Job, error: SMTPXError, *, begun: bool) -> None:
        """The connection is gone, and nobody can have got this message. `begun`: it was its turn."""
        ...


def can_fly(protocol: ClientProtocol, job: Job) -> bool:
    """Whether a message may have company on its connection: short, at hand, and with nothing to wait for."""
    options, data = job.options, job.content.data
    pipelining = options.pipelining and "PIPELINING" in protocol.capabilities
    if not pipelining or options.strict or protocol.dialect.verdict_per_recipient or data is None:
        return False
    few = len(job.envelope.recipients) <= _MAX_RECIPIENTS
    return few and len(data) <= protocol.limits.max_early_body_bytes


class _Parcel:
    """One message from its first octet to its verdict.

    Raises:
        UnsupportedError, LocalProtocolError: nothing of it can be sent.
    """

    def __init__(self, protocol: ClientProtocol, job: Job) -> None:
        self.job = job
        self.data = job.content.data or b""
        self._protocol = protocol
        recipients = tuple(dict.fromkeys(job.envelope.recipients))
        self.tally = Tally(str(each) for each in recipients)
        self.committed = False
        self._mail_refused: RefusedError | None = None
        capabilities = protocol.capabilities
        plan = plan_for(job.envelope, recipients, job.content, job.options, capabilities, tls=protocol.tls)
        self._lines = plan.lines
        self.tally.refused.update(plan.refused)
        self.tally.dropped = plan.dropped
        self.command_bytes = sum(len(line.argument.encode()) + 7 for line in plan.lines) + 32

    def envelope(self, *, with_reset: bool) -> bytes:
        """The commands before the content; their replies are owed from now on."""
        command = self._protocol.command
        octets = [command("RSET")] if with_reset else []
        octets += [command(verb, argument, recipient=recipient) for verb, argument, recipient in self._lines]
        return b"".join(octets)

    def note(self, answer: Answer) -> None:
        """The answer to a command before the content."""
        owed = answer.owed
        if owed.command == "MAIL":
            self._mail_refused = None if answer.is_positive else answer.refusal()
        elif owed.recipient is not None and answer.is_positive:
            self.tally.take(owed.recipient, answer.reply)
        elif owed.recipient is not None:
            self.tally.refused[owed.recipient] = answer.refusal()

    def outcome(self, final: Answer, *, used_chunking: bool) -> SendResult | SMTPXError:
        """By the answer to the whole message."""
        if self._mail_refused is not None:
            return self._mail_refused
        body = BodySender(self._protocol, self.job.options.timeouts, self.tally, pipelining=True)
        try:
            return body.conclude([final], used_chunking=used_chunking)
        except RefusedError as error:
            return error

    def refuse(self, answer: Answer) -> SMTPXError:
        """By the refusal of a command before the content, which concerns everybody who was accepted."""
        if self._mail_refused is not None:
            return self._mail_refused  # behind it, all that is said of recipients is that they are out of order
        self.tally.refuse_all(answer, answer.owed.stage)
        error = self.known_fate() or answer.refusal()
        error.result = error.result or self._result()
        return error

    def known_fate(self) -> SMTPXError | None:
        """The refusal, where it is certain before there is a verdict."""
        if self._mail_refused is not None or not self.tally.is_hopeless:
            return self._mail_refused
        return all_refused(self._result())

    def loss(self, error: SMTPXError) -> SMTPXError:
        """The loss of the connection, as it concerns this message: it may have been delivered (RFC 1047), or not."""
        mine = copy.copy(error)
        mine.__cause__ = error.__cause__
        if self.committed:
            mine.stage = "final"
        else:
            self.tally.forget_accepted()
        mine.result = self._result()
        return mine

    def _result(self) -> SendResult:
        return self.tally.result(None, self._protocol.tls)


class Flight:
    """Messages one behind the other on one connection, whenever it is READY.

    Args:
        max_in_flight: so many may be without a verdict.
    """

    _ledger: Ledger

    def __init__(self, protocol: ClientProtocol, *, max_in_flight: int) -> None:
        self._protocol = protocol
        self._max = max_in_flight
        self._under_way: deque[_Parcel] = deque()
        self._held: _Parcel | None = None  # the next one, for which there is no room yet
        self._resets_work: bool | None = None
        self._may_be_open = False  # a transaction that failed may still stand open on the server
        self._is_broken = False
        self._has_ended = False  # by a 421 to a whole message
        self._timeouts = Timeouts()

    def fly(self, ledger: Ledger) -> Flow[SMTPXError | None]:
        """Send all there is. Each job is told to the ledger; gives the error that ended the connection, if one did."""
        self._ledger = ledger
        try:
            self._held = self._next_parcel()
            if self._held is None:
                return None
            yield from expect_quiet(self._protocol)
            if self._held.job.options.chunking and "CHUNKING" in self._protocol.capabilities:
                yield from self._fly_in_chunks()
            else:
                yield from self._fly_in_data()
            if self._may_be_open:
                yield from reset(self._protocol, self._timeouts)
                self._may_be_open = False
        except (TransportError, RemoteProtocolError, RefusedError) as error:
            yield from close(self._protocol)
            self._settle(error)
            return error
        return None

    def _next_parcel(self) -> _Parcel | None:
        while (job := self._ledger.next_job()) is not None:
            try:
                parcel = _Parcel(self._protocol, job)
            except SMTPXError as error:
                self._ledger.landed(job, error)
            else:
                self._timeouts = job.options.timeouts
                return parcel
        return None

    def _settle(self, error: SMTPXError) -> None:
        """The connection is gone. Replies came in order: what is behind a 421 was not looked at any more."""
        left = [*self._under_way, *([self._held] if self._held is not None else [])]
        self._under_way.clear()
        self._held = None
        for turn, parcel in enumerate(left):
            if isinstance(error, RefusedError):
                self._ledger.lost(parcel.job, error, begun=turn == 0 and not self._has_ended)
            elif (fate := parcel.known_fate()) is not None or parcel.committed:
                self._ledger.landed(parcel.job, fate or parcel.loss(error))
            else:
                self._ledger.lost(parcel.job, parcel.loss(error), begun=turn == 0 and not self._has_ended)

    def _write(self, *octets: bytes) -> Flow[None]:
        """Write. If the server has gone, the replies that came before tell what became of what was sent before."""
        try:
            yield from write_content(self._protocol, self._timeouts, *octets)
        except ConnectionLost:
            self._is_broken = True

    def _read(self) -> Flow[Answer]:
        """The next answer owed."""
        answer = yield from read_answer(self._protocol, self._timeouts)
        self._check(answer)
        return answer

    def _check(self, answer: Answer) -> None:
        """A 421 ends everything; what is certain already of the oldest message is told first."""
        if answer.reply.code != 421 or answer.owed.stage == "final":
            return
        parcel = self._under_way[0]
        if (fate := parcel.known_fate()) is not None:
            self._under_way.popleft()
            self._ledger.landed(parcel.job, fate)
            self._has_ended = True
            raise answer.refusal()
        parcel.note(answer)
        raise parcel.refuse(answer)

    def _land(self, answer: Answer, *, used_chunking: bool) -> None:
        """The verdict on the oldest message."""
        parcel = self._under_way.popleft()
        self._ledger.landed(parcel.job, parcel.outcome(answer, used_chunking=used_chunking))
        if answer.reply.code == 421:
            self._has_ended = True
            raise answer.refusal()

    def _clear(self) -> Flow[None]:
        """RSET, alone: nobody knows yet what this server makes of one, and the next message depends on it."""
        yield from reset(self._protocol, self._timeouts)
        if self._protocol.is_closed:
            raise ConnectionLost("the server refused RSET", stage="reset")
        self._may_be_open, self._resets_work = False, True

    # With CHUNKING ---------------------------------------------------------------------------------------------------

    def _fly_in_chunks(self) -> Flow[None]:
        protocol = self._protocol
        while True:
            if self._may_be_open and not self._resets_work:
                yield from self._clear()
            if pieces := self._board():
                yield from self._write(*pieces)
            if not self._under_way:
                return
            self._take((yield from self._read()))
            while protocol.owes and (answer := protocol.next_answer()) is not None:
                self._check(answer)
                self._take(answer)

    def _board(self) -> list[bytes]:
        """The octets of as many messages as there is room for."""
        pieces: list[bytes] = []
        while not self._is_broken:
            parcel = self._held = self._held or self._next_parcel()
            if parcel is None or not self._has_room(parcel):
                break
            company = bool(self._under_way) or self._may_be_open
            unproven = self._resets_work is None and self._max > 1
            pieces.append(parcel.envelope(with_reset=company or unproven))
            pieces[-1] += self._protocol.command("BDAT", f"{len(parcel.data)} LAST")
            pieces.append(parcel.data)
            parcel.committed = True
            self._under_way.append(parcel)
            self._held, self._may_be_open = None, False
        return pieces

    def _has_room(self, parcel: _Parcel) -> bool:
        if not self._under_way:
            return True
        limits, together = self._protocol.limits, (*self._under_way, parcel)
        return (
            bool(self._resets_work)
            and len(together) <= self._max
            and sum(each.command_bytes for each in together) <= limits.max_unanswered_command_bytes
            and sum(len(each.data) for each in together) <= limits.max_bodies_in_flight_bytes
        )

    def _take(self, answer: Answer) -> None:
        """Give an answer to the oldest message."""
        if answer.owed.command == "RSET":
            self._resets_work = answer.is_positive
        elif answer.owed.command != "BDAT LAST":
            self._under_way[0].note(answer)
        else:
            is_done = answer.is_positive and not self._protocol.in_transaction  # 250, though nobody was accepted?
            self._may_be_open = not is_done and len(self._under_way) == 1
            self._land(answer, used_chunking=True)

    # With DATA -------------------------------------------------------------------------------------------------------

    def _fly_in_data(self) -> Flow[None]:
        tail = b""  # what ends the message before; the next envelope goes behind it
        while self._held is not None or tail:
            if self._may_be_open and not self._resets_work:
                yield from self._clear()
            parcel, envelope = self._held, b""
            if parcel is not None:
                envelope = parcel.envelope(with_reset=self._may_be_open) + self._protocol.command("DATA")
                self._under_way.append(parcel)
                self._held, self._may_be_open = None, False
            yield from self._write(tail, envelope)
            if tail:
                self._land((yield from self._read()), used_chunking=False)
            tail = b"" if parcel is None else (yield from self._read_envelope(parcel))
            self._held = None if self._is_broken else self._next_parcel()

    def _read_envelope(self, parcel: _Parcel) -> Flow[bytes]:
        """What the server says to an envelope; gives the octets to end it with, nothing if DATA was refused."""
        while (answer := (yield from self._read())).owed.command != "DATA":
            parcel.note(answer)
        protocol = self._protocol
        if not answer.is_positive:
            self._under_way.popleft()
            self._may_be_open = True
            self._ledger.landed(parcel.job, parcel.refuse(answer))
            return b""
        protocol.open_body()
        early = yield from pending_answer(protocol)
        if early is not None:  # a refusal before there was anything to refuse
            self._has_ended = True
            self._land(early, used_chunking=False)
            raise early.refusal()
        protocol.close_body()
        if parcel.known_fate() is not None:  # a 354 for nobody: end it, whatever the server makes of it
            yield from self._write(b".\r\n")
            self._land((yield from self._read()), used_chunking=False)
            self._may_be_open = True
            return b""
        encoder = DotEncoder()
        parcel.committed = True
        return encoder.feed(parcel.data) + encoder.end()
