"""One message on a connection that is READY: MAIL, RCPT, then DATA or BDAT, in groups where the server allows.

Whatever is refused, each reply that is owed is read, and the connection ends up either between transactions or closed.
One accepted recipient is enough to go on; if there is none, the message is not sent.
"""

from collections.abc import Iterable
from typing import TypeVar

from smtpx.errors import LocalProtocolError, RemoteProtocolError, SMTPXError, TransportError
from smtpx.flows.body import BodySender
from smtpx.flows.content import Content
from smtpx.flows.exchange import close, expect_quiet, read_answer, reset, write
from smtpx.flows.outcome import SendResult, Tally, all_refused
from smtpx.flows.plan import CommandLine, Envelope, Plan, TransactionOptions, check_content, plan_for
from smtpx.flows.steps import Flow
from smtpx.protocol.client import Answer, ClientProtocol
from smtpx.wire.reply import Reply

__all__ = ["Envelope", "Transaction", "TransactionOptions"]

T = TypeVar("T")

_UNKNOWN = Content(None)


class Transaction:
    """One envelope on its way.

    Attributes:
        accepted, refused: what became of each recipient; known once `open` is done. Then `send`, or `abandon`.
        has_begun: something of it may have been sent.
        is_over: nothing more can be done with it.
    """

    def __init__(self, protocol: ClientProtocol, envelope: Envelope, options: TransactionOptions) -> None:
        if not envelope.recipients:
            raise LocalProtocolError("a message needs at least one recipient", stage="rcpt")
        self._protocol = protocol
        self._options = options
        self._timeouts = options.timeouts
        self._pipelining = options.pipelining and "PIPELINING" in protocol.capabilities
        self._chunking = options.chunking and "CHUNKING" in protocol.capabilities
        self._envelope = envelope
        # In LMTP each RCPT has a verdict of its own, so what the caller named twice is sent twice.
        per_recipient = protocol.dialect.verdict_per_recipient
        self._recipients = envelope.recipients if per_recipient else tuple(dict.fromkeys(envelope.recipients))
        self._tally = Tally(str(recipient) for recipient in self._recipients)
        self.accepted, self.refused = self._tally.accepted, self._tally.refused
        self._body = BodySender(protocol, options.timeouts, self._tally, pipelining=self._pipelining)
        self._uses_utf8 = False
        self.has_begun = False
        self.is_over = False

    @property
    def committed(self) -> bool:
        """Whether octets are on their way that may complete the message."""
        return self._body.committed

    @property
    def is_binary(self) -> bool:
        """Whether MAIL asks for content without lines (RFC 3030 3)."""
        return str(self._envelope.options.get("body", "")).upper() == "BINARYMIME"

    # Envelope --------------------------------------------------------------------------------------------------------

    def open(self, content: Content | None) -> Flow[None]:
        """MAIL and RCPTs, and their replies. `content` may be unknown yet.

        Raises:
            RefusedError: MAIL was refused, or all recipients, or one with `strict`; the transaction is over.
            UnsupportedError, LocalProtocolError: nothing was sent.
        """
        yield from self._with_result(self._open(content or _UNKNOWN))

    def _open(self, content: Content) -> Flow[None]:
        plan = yield from self._begin(content)
        yield from self._say(plan.lines)
        yield from self._settle(None)
        self.is_over = False

    def _begin(self, content: Content) -> Flow[Plan]:
        self.is_over = True  # until it is open
        capabilities = self._protocol.capabilities
        plan = plan_for(self._envelope, self._recipients, content, self._options, capabilities, tls=self._protocol.tls)
        yield from expect_quiet(self._protocol)
        self.refused.update(plan.refused)
        self._uses_utf8 = plan.uses_utf8
        self._tally.dropped = plan.dropped
        self.has_begun = True
        return plan

    def adopt(self, accepted: Iterable[tuple[str, Reply]], *, uses_utf8: bool) -> None:
        """Take over recipients that were accepted one by one."""
        for address, reply in accepted:
            self._tally.take(address, reply)
        self._uses_utf8 = uses_utf8

    def abandon(self) -> Flow[None]:
        """Give an open transaction up."""
        self.is_over = True
        if self._protocol.in_transaction:
            yield from reset(self._protocol, self._timeouts)

    def _say(self, lines: list[CommandLine], *, with_data: bool = False) -> Flow[Answer | None]:
        """The envelope, perhaps with DATA at its end; gives the last answer."""
        protocol, window = self._protocol, self._protocol.limits.max_unanswered_command_bytes
        if not self._pipelining:
            window = 0
        group: list[bytes] = []
        size = 0
        for verb, argument, recipient in lines:
            length = len(argument.encode()) + 7
            if group and size + length > window:
                # Queued commands are what the server owes replies to: all of them are written before one is read.
                yield from write(protocol, self._timeouts, b"".join(group))
                yield from self._read_envelope()
                group, size = [], 0
            group.append(protocol.command(verb, argument, recipient=recipient))
            size += length
        if with_data:
            group.append(protocol.command("DATA"))
        yield from write(protocol, self._timeouts, b"".join(group))
        return (yield from self._read_envelope())

    def _read_envelope(self, *, all_but: int = 0) -> Flow[Answer | None]:
        answer: Answer | None = None
        while self._protocol.owes > all_but:
            answer = yield from read_answer(self._protocol, self._timeouts)
            yield from self._note(answer)
        return answer

    def _note(self, answer: Answer) -> Flow[None]:
        """Keep what an envelope answer says; a refused MAIL or a 421 ends the matter once all that is owed was read."""
        recipient = answer.owed.recipient
        if answer.reply.code == 421:
            self._body.committed = False  # what was written behind is not looked at any more
            yield from close(self._protocol)
            self._tally.refuse_all(answer, answer.owed.stage)
            if recipient is not None:
                self.refused[recipient] = answer.refusal()
            error = answer.refusal()
            error.result = self._result()
            raise error
        if recipient is None:
            if answer.owed.command == "MAIL" and not answer.is_positive:
                yield from self._mail_refused(answer)
        elif answer.is_positive:
            self._tally.take(recipient, answer.reply)
        else:
            self.refused[recipient] = answer.refusal()

    def _mail_refused(self, mail: Answer) -> Flow[None]:
        """What is still owed is read; a server that closes instead changes nothing about the refusal."""
        protocol, reset_due = self._protocol, False
        try:
            while protocol.owes and not protocol.is_closed:
                answer = yield from read_answer(protocol, self._timeouts)
                if answer.owed.command == "DATA" and answer.is_positive:
                    yield from self._end_empty_body()
                reset_due = reset_due or answer.owed.command not in ("RCPT", "DATA") or answer.is_positive
        except TransportError:
            yield from close(protocol)
        if protocol.is_closed:
            yield from close(protocol)
        elif reset_due:
            yield from reset(protocol, self._timeouts)
        raise mail.refusal()

    def _settle(self, data: Answer | None) -> Flow[None]:
        """Behind the envelope: go on only with at least one recipient (with `strict`: all of them)."""
        refused = bool(self.refused) and (self._options.strict or not self.accepted)
        if data is not None and not data.is_positive and not refused:
            self._tally.refuse_all(data, "data")
            refused = True
        if not refused:
            return
        if self._protocol.in_body:
            yield from self._end_empty_body()
        else:
            yield from reset(self._protocol, self._timeouts)
        raise all_refused(self._result())

    def _end_empty_body(self) -> Flow[None]:
        """A 354 that delivers to nobody: end it, and take no notice of what the server makes of it."""
        protocol = self._protocol
        if protocol.dialect.verdict_per_recipient:
            yield from close(protocol)  # who knows how many verdicts such a server sends
            return
        try:
            protocol.open_body()
            protocol.close_body()
            yield from write(protocol, self._timeouts, b".\r\n")
            while protocol.owes:
                yield from read_answer(protocol, self._timeouts)
        except SMTPXError:
            yield from close(protocol)

    # Content ---------------------------------------------------------------------------------------------------------

    def deliver(self, content: Content) -> Flow[SendResult]:
        """Envelope and content together, in as few round trips as the server allows.

        Raises:
            RefusedError: nobody got the message (with `strict`: not everybody would have).
            UnsupportedError, LocalProtocolError: nothing was sent.
            TransportError, RemoteProtocolError: the connection is closed; stage "final": the outcome is unknown.
        """
        return (yield from self._with_result(self._deliver(content)))

    def _deliver(self, content: Content) -> Flow[SendResult]:
        lines = (yield from self._begin(content)).lines
        pipelining, strict, data = self._pipelining, self._options.strict, content.data
        if pipelining and self._chunking and not strict and data is not None and self._is_small(lines, data):
            return (yield from self._deliver_at_once(lines, data))
        if not pipelining or self._chunking or strict:
            yield from self._say(lines)
            yield from self._settle(None)
            return (yield from self._send(content))
        yield from self._settle((yield from self._say(lines, with_data=True)))
        return (yield from self._body.send_data(content))

    def _is_small(self, lines: list[CommandLine], data: bytes) -> bool:
        limits = self._protocol.limits
        commands = sum(len(line.argument) + 8 for line in lines)
        early = len(data) <= limits.max_early_body_bytes and not self._protocol.dialect.verdict_per_recipient
        return early and commands <= limits.max_unanswered_command_bytes

    def _deliver_at_once(self, lines: list[CommandLine], data: bytes) -> Flow[SendResult]:
        """All of it in one write, before it is known that anybody wants it."""
        protocol = self._protocol
        octets = [protocol.command(verb, argument, recipient=to) for verb, argument, to in lines]
        octets.append(protocol.command("BDAT", f"{len(data)} LAST"))
        self._body.committed = True
        yield from write(protocol, self._timeouts, b"".join(octets), data)
        yield from self._read_envelope(all_but=1)
        final = yield from read_answer(protocol, self._timeouts)
        if self.accepted:
            return (yield from self._body.conclude_chunks([final]))
        yield from reset(protocol, self._timeouts)
        raise all_refused(self._result())

    def send(self, content: Content) -> Flow[SendResult]:
        """Content for an open transaction; see `deliver`. UnsupportedError leaves it open."""
        protocol = self._protocol
        check_content(
            self._envelope, content, self._options, protocol.capabilities, uses_utf8=self._uses_utf8, tls=protocol.tls
        )
        self.is_over = True
        return (yield from self._with_result(self._send_open(content)))

    def _send_open(self, content: Content) -> Flow[SendResult]:
        yield from expect_quiet(self._protocol, "data")
        return (yield from self._send(content))

    def _send(self, content: Content) -> Flow[SendResult]:
        if self._chunking:
            return (yield from self._body.send_chunks(content))
        yield from write(self._protocol, self._timeouts, self._protocol.command("DATA"))
        yield from self._settle((yield from self._read_envelope()))
        return (yield from self._body.send_data(content))

    # Outcome ---------------------------------------------------------------------------------------------------------

    def _result(self) -> SendResult:
        return self._tally.result(None, self._protocol.tls)

    def _with_result(self, flow: Flow[T]) -> Flow[T]:
        try:
            return (yield from flow)
        except (TransportError, RemoteProtocolError) as error:
            if self._tally.is_hopeless and isinstance(error, TransportError):
                raise all_refused(self._result()) from error
            if self.committed:
                error.stage = "final"  # whatever was owed: the server may have all of it (RFC 1047)
            else:
                self._tally.forget_accepted()
            error.result = self._result()
            raise
        finally:
            if self._protocol.is_closed:
                self.is_over = True
