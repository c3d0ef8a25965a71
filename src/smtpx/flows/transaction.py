"""One message on a connection that is READY: MAIL, RCPT, then DATA or BDAT, in groups where the server allows.

Whatever is refused, each reply that is owed is read, and the connection ends up either between transactions or closed.
One accepted recipient is enough to go on; if there is none, the message is not sent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from smtpx.errors import ConnectionLost, LocalProtocolError, RefusedError, RemoteProtocolError, SMTPXError, TransportError
from smtpx.flows.content import Content
from smtpx.flows.exchange import expect_quiet, pending_answer, read_answer, write
from smtpx.flows.outcome import SendResult, all_refused
from smtpx.flows.steps import Close, Flow, NextChunk, Timeouts
from smtpx.protocol.client import Answer, ClientProtocol
from smtpx.protocol.extension import ExtensionSet, MailFacts
from smtpx.protocol.phases import Phase
from smtpx.wire.address import Mailbox
from smtpx.wire.dots import DotEncoder, NewlineCheck, NewlineRepair
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import WireError

E = TypeVar("E", bound=SMTPXError)

__all__ = ["Envelope", "Transaction", "TransactionOptions"]


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sends to whom. `sender` is `NULL_SENDER` for reports; recipients keep the caller's order.

    `options` are wishes for extensions on MAIL, `recipient_options` on each RCPT, by name.
    """

    sender: Mailbox
    recipients: tuple[Mailbox, ...]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    recipient_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionOptions:
    """How to talk: `pipelining` and `chunking` may be switched off, `strict` gives up at the first refusal.

    `smtputf8` None means: when an address or the header needs it.
    """

    extensions: ExtensionSet
    timeouts: Timeouts = field(default_factory=Timeouts)
    pipelining: bool = True
    chunking: bool = True
    strict: bool = False
    smtputf8: bool | None = None


class Transaction:
    """One envelope on its way.

    `accepted` and `refused` are known once `open` is done. Then `send`, or `abandon`.
    """

    def __init__(self, protocol: ClientProtocol, envelope: Envelope, options: TransactionOptions) -> None:
        if not envelope.recipients:
            raise LocalProtocolError("a message needs at least one recipient", stage="rcpt")
        self._protocol = protocol
        self._options = options
        self._timeouts = options.timeouts
        self._pipelining = options.pipelining and "PIPELINING" in protocol.capabilities
        self._chunking = options.chunking and "CHUNKING" in protocol.capabilities
        unique = dict.fromkeys(envelope.recipients) if not protocol.dialect.verdict_per_recipient else envelope.recipients
        self._recipients = tuple(unique)
        self._envelope = envelope
        self.accepted: dict[str, Reply] = {}
        self.refused: dict[str, RefusedError] = {}
        self.committed = False  # octets are on their way that may complete the message
        self._order: list[str] = []  # accepted recipients, duplicates too: LMTP answers each

    # Envelope --------------------------------------------------------------------------------------------------------

    def open(self, content: Content | None) -> Flow[None]:
        """MAIL and RCPTs, and their replies. `content` may be unknown yet.

        Raises:
            RefusedError: MAIL was refused, or all recipients, or one with `strict`; the transaction is over.
            UnsupportedError, LocalProtocolError: nothing was sent.
        """
        lines = self._dress(content)
        yield from expect_quiet(self._protocol)
        yield from self._say(lines)
        yield from self._settle(None)

    def adopt(self, accepted: list[tuple[str, Reply]]) -> None:
        """Take over recipients that were accepted one by one."""
        self.accepted.update(accepted)
        self._order += [address for address, _ in accepted]

    def abandon(self) -> Flow[None]:
        """Give an open transaction up."""
        if self._protocol.phase in (Phase.SENDER, Phase.RECIPIENTS, Phase.CHUNKS):
            yield from self._reset()

    def _dress(self, content: Content | None) -> list[tuple[str, str, str | None]]:
        """The command lines, with parameters as content and server demand."""
        capabilities, options, envelope = self._protocol.capabilities, self._options, self._envelope
        content = content or Content(None)
        utf8_address = options.smtputf8 is not False and not all(
            _sendable(mailbox).is_ascii for mailbox in (envelope.sender, *self._recipients)
        )
        facts = MailFacts(
            size=content.size,
            eight_bit=content.eight_bit,
            needs_utf8=bool(options.smtputf8) or utf8_address or (content.utf8_header and options.smtputf8 is not False),
            options=envelope.options,
        )
        params = " ".join(
            word
            for extension in options.extensions.all
            for word in extension.dress_mail(facts, capabilities.offer(extension.keyword))
        )
        lines: list[tuple[str, str, str | None]] = [("MAIL", f"FROM:{self._path(envelope.sender, facts)} {params}".rstrip(), None)]
        for recipient in self._recipients:
            wishes = envelope.recipient_options.get(str(recipient), {})
            words = [
                word
                for extension in options.extensions.all
                for word in extension.dress_rcpt(wishes, capabilities.offer(extension.keyword))
            ]
            argument = " ".join([f"TO:{self._path(recipient, facts)}", *words])
            lines.append(("RCPT", argument, str(recipient)))
        return lines

    def _path(self, mailbox: Mailbox, facts: MailFacts) -> str:
        return (mailbox if facts.needs_utf8 else _sendable(mailbox)).to_path()

    def _say(self, lines: list[tuple[str, str, str | None]], *last: tuple[str, str | None]) -> Flow[Answer | None]:
        """The envelope, and perhaps the command that ends the group; gives the answer to the last one."""
        protocol, window = self._protocol, self._protocol.limits.max_unanswered_command_bytes
        if not self._pipelining:
            return (yield from self._say_one_by_one(lines))
        group: list[bytes] = []
        size = 0
        for verb, argument, recipient in lines:
            octets = protocol.command(verb, argument, recipient=recipient)
            if size + len(octets) > window:
                yield from write(protocol, self._timeouts, b"".join(group))
                yield from self._read_envelope(all_but=1)
                group, size = [], 0
            group.append(octets)
            size += len(octets)
        for verb, argument in last:
            group.append(protocol.command(verb, argument))
        yield from write(protocol, self._timeouts, b"".join(group))
        return (yield from self._read_envelope())

    def _say_one_by_one(self, lines: list[tuple[str, str, str | None]]) -> Flow[None]:
        for verb, argument, recipient in lines:
            yield from write(self._protocol, self._timeouts, self._protocol.command(verb, argument, recipient=recipient))
            yield from self._read_envelope()
        return None

    def _read_envelope(self, *, all_but: int = 0) -> Flow[Answer | None]:
        answer: Answer | None = None
        while self._protocol.owes > all_but:
            answer = yield from read_answer(self._protocol, self._timeouts)
            yield from self._note(answer)
        return answer

    def _note(self, answer: Answer) -> Flow[None]:
        """Keep what an envelope answer says; a refused MAIL or a 421 ends the matter once all that is owed was read."""
        if answer.reply.code == 421:
            yield from self._close()
            raise self._with_result(answer.refusal())
        recipient = answer.owed.recipient
        if recipient is None:
            if answer.owed.command == "MAIL" and not answer.is_positive:
                yield from self._mail_refused(answer)
        elif answer.is_positive:
            self._order.append(recipient)
            self.accepted[recipient] = answer.reply
        else:
            self.refused[recipient] = answer.refusal()

    def _mail_refused(self, mail: Answer) -> Flow[None]:
        while self._protocol.owes:
            answer = yield from read_answer(self._protocol, self._timeouts)
            if answer.owed.command == "DATA" and answer.is_positive:
                yield from self._end_empty_body()
            if answer.owed.command not in ("RCPT", "DATA") or answer.is_positive:
                yield from self._reset()
        raise mail.refusal()

    def _settle(self, data: Answer | None) -> Flow[None]:
        """Behind the envelope: go on only with at least one recipient (with `strict`: all of them)."""
        refused = self.refused and (self._options.strict or not self.accepted)
        if data is not None and not data.is_positive and not refused:
            self._refuse_all(data)
            refused = True
        if not refused:
            return
        if self._protocol.phase is Phase.BODY:
            yield from self._end_empty_body()
        else:
            yield from self._reset()
        raise all_refused(self._result(None))

    def _end_empty_body(self) -> Flow[None]:
        """A 354 that delivers to nobody: end it, and take no notice of what the server makes of it."""
        self._protocol.open_body(())
        self._protocol.close_body()
        yield from write(self._protocol, self._timeouts, b".\r\n")
        while self._protocol.owes:
            yield from read_answer(self._protocol, self._timeouts)

    def _reset(self) -> Flow[None]:
        """RSET. If that fails the connection is closed; what was sent before is not concerned."""
        try:
            yield from write(self._protocol, self._timeouts, self._protocol.command("RSET"))
            while self._protocol.owes:
                answer = yield from read_answer(self._protocol, self._timeouts)
                if not answer.is_positive and answer.owed.command == "RSET":
                    yield from self._close()
        except SMTPXError:
            yield from self._close()

    def _close(self) -> Flow[None]:
        self._protocol.connection_closed()
        yield Close()

    # Content ---------------------------------------------------------------------------------------------------------

    def deliver(self, content: Content) -> Flow[SendResult]:
        """Envelope and content together, in as few round trips as the server allows.

        Raises:
            RefusedError: nobody got the message (with `strict`: not everybody would have).
            UnsupportedError, LocalProtocolError: nothing was sent.
            TransportError, RemoteProtocolError: the connection is closed; stage "final": the outcome is unknown.
        """
        try:
            return (yield from self._deliver(content))
        except (TransportError, RemoteProtocolError) as error:
            raise self._with_result(error) from error.__cause__

    def _deliver(self, content: Content) -> Flow[SendResult]:
        lines = self._dress(content)
        protocol, data = self._protocol, content.data
        yield from expect_quiet(protocol)
        if self._chunking and self._pipelining and data is not None and not self._options.strict and self._is_small(lines, data):
            octets = [protocol.command(verb, argument, recipient=to) for verb, argument, to in lines]
            octets.append(protocol.command("BDAT", f"{len(data)} LAST"))
            self.committed = True
            yield from write(protocol, self._timeouts, b"".join(octets), data)
            yield from self._read_envelope(all_but=1)
            return (yield from self._finish_early())
        if self._chunking or not self._pipelining or self._options.strict:
            yield from self._say(lines)
            yield from self._settle(None)
            return (yield from self._send(content))
        yield from self._settle((yield from self._say(lines, ("DATA", None))))
        return (yield from self._send_data(content))

    def _is_small(self, lines: list[tuple[str, str, str | None]], data: bytes) -> bool:
        limits = self._protocol.limits
        commands = sum(len(argument) + 8 for _, argument, _ in lines)
        early = len(data) <= limits.max_early_body_bytes and not self._protocol.dialect.verdict_per_recipient
        return early and commands <= limits.max_unanswered_command_bytes

    def _finish_early(self) -> Flow[SendResult]:
        """The reply to content that went out together with its envelope."""
        final = yield from read_answer(self._protocol, self._timeouts)
        if not self.accepted:
            if self._protocol.phase is not Phase.READY or not final.is_positive:
                yield from self._reset()
            raise all_refused(self._result(None))
        return self._conclude([final], used_chunking=True)

    def send(self, content: Content) -> Flow[SendResult]:
        """Content for an open transaction; see `deliver`."""
        try:
            return (yield from self._send(content))
        except (TransportError, RemoteProtocolError) as error:
            raise self._with_result(error) from error.__cause__

    def _send(self, content: Content) -> Flow[SendResult]:
        if self._chunking:
            return (yield from self._send_chunks(content))
        yield from write(self._protocol, self._timeouts, self._protocol.command("DATA"))
        answer = yield from read_answer(self._protocol, self._timeouts)
        if answer.reply.code == 421:
            yield from self._close()
            raise self._with_result(answer.refusal())
        yield from self._settle(answer)
        return (yield from self._send_data(content))

    def _send_data(self, content: Content) -> Flow[SendResult]:
        protocol = self._protocol
        protocol.open_body(tuple(self._order))
        encoder = DotEncoder()
        pieces = _Pieces(content)
        octets = b""
        while (piece := (yield from self._next(pieces))) is not None:
            if octets:
                yield from self._write_body(octets)
                early = yield from pending_answer(protocol)
                if early is not None:
                    yield from self._close()
                    return self._conclude([early] * len(self._order), used_chunking=False)
            octets = yield from self._encoded(lambda piece=piece: encoder.feed(piece))
        octets += yield from self._encoded(encoder.end)
        protocol.close_body()
        self.committed = True
        yield from self._write_body(octets)
        return self._conclude((yield from self._read_verdicts()), used_chunking=False)

    def _encoded(self, encode: Callable[[], bytes]) -> Flow[bytes]:
        try:
            return encode()
        except WireError as error:
            yield from self._close()  # without the end of data: no server takes what it has for a message
            raise LocalProtocolError(error.detail, stage="body") from error

    def _send_chunks(self, content: Content) -> Flow[SendResult]:
        """Content by BDAT. One piece is held back, so that the last one carries LAST; two may be unanswered."""
        protocol = self._protocol
        pieces = _Pieces(content)
        check = NewlineCheck()
        held = (yield from self._next(pieces)) or b""
        while True:
            following = yield from self._next(pieces)
            last = following is None
            try:
                if content.size is None:
                    check.feed(held)
                    if last:
                        check.end()
            except WireError as error:
                yield from self._reset()
                raise LocalProtocolError(error.detail, stage="body") from error
            octets = protocol.command("BDAT", f"{len(held)} LAST" if last else str(len(held)))
            if last and protocol.dialect.verdict_per_recipient:
                protocol.expect_verdicts(tuple(self._order))
            self.committed = last
            yield from write(protocol, self._timeouts, octets, held)
            if following is None:
                break
            held = following
            refusal = yield from self._read_chunk_answers(all_but=1 if self._pipelining else 0)
            if refusal is not None:
                return self._conclude([refusal], used_chunking=True)
        refusal = yield from self._read_chunk_answers(all_but=len(self._order) if protocol.dialect.verdict_per_recipient else 1)
        if refusal is not None:
            return self._conclude([refusal], used_chunking=True)
        return self._conclude((yield from self._read_verdicts()), used_chunking=True)

    def _read_chunk_answers(self, *, all_but: int) -> Flow[Answer | None]:
        """Answers to chunks that are not the last. A refusal ends the message; what is still owed is read first."""
        refusal: Answer | None = None
        while self._protocol.owes > all_but or (refusal is not None and self._protocol.owes):
            answer = yield from read_answer(self._protocol, self._timeouts)
            if answer.reply.code == 421:
                yield from self._close()
                return answer
            if refusal is None and not answer.is_positive:
                refusal = answer
        if refusal is not None:
            yield from self._reset()
        return refusal

    def _next(self, pieces: "_Pieces") -> Flow[bytes | None]:
        """The next piece. If the source fails, the message is given up in a way that no server can take for its end."""
        try:
            return (yield from pieces.next(self._protocol.limits.chunk_bytes))
        except SMTPXError:
            yield from self._give_up()
            raise
        except Exception as error:
            yield from self._give_up()
            raise LocalProtocolError(f"the message could not be read: {error}", stage="body") from error

    def _give_up(self) -> Flow[None]:
        if self._protocol.phase is Phase.BODY:
            yield from self._close()
        else:
            yield from self._read_chunk_answers(all_but=0)
            yield from self._reset()

    def _write_body(self, octets: bytes) -> Flow[None]:
        """Write content. A server that refuses and closes in the middle has its say."""
        try:
            yield from write(self._protocol, self._timeouts, octets)
        except ConnectionLost as error:
            early = yield from pending_answer(self._protocol)
            if early is not None and not early.is_positive:
                yield from self._close()
                refusals = {address: _about(early, address, "final") for address in self._order}
                self.refused.update(refusals)
                self.accepted.clear()
                raise all_refused(self._result(early.reply)) from error
            raise

    def _read_verdicts(self) -> Flow[list[Answer]]:
        answers: list[Answer] = []
        try:
            while self._protocol.owes:
                answers.append((yield from read_answer(self._protocol, self._timeouts)))
        except TransportError:
            if self._protocol.dialect.verdict_per_recipient:
                self._take_verdicts(answers)
            raise
        return answers

    # Outcome ---------------------------------------------------------------------------------------------------------

    def _conclude(self, answers: list[Answer], *, used_chunking: bool) -> SendResult:
        if self._protocol.dialect.verdict_per_recipient and len(answers) == len(self._order):
            self._take_verdicts(answers)
        elif not answers[0].is_positive:
            self._refuse_all(answers[0])
        result = self._result(answers[0].reply, used_chunking=used_chunking)
        if not result.accepted:
            raise all_refused(result)
        return result

    def _take_verdicts(self, answers: list[Answer]) -> None:
        """One reply for each accepted RCPT, by position (RFC 2033 4.2)."""
        for address, answer in zip(self._order, answers, strict=False):
            if answer.is_positive:
                self.accepted[address] = answer.reply
                self.refused.pop(address, None)
            else:
                self.accepted.pop(address, None)
                self.refused[address] = _about(answer, address, "final")

    def _refuse_all(self, answer: Answer) -> None:
        stage = "data" if answer.owed.command == "DATA" else "final"
        self.refused.update({address: _about(answer, address, stage) for address in self._order})
        self.accepted.clear()

    def _result(self, reply: Reply | None, *, used_chunking: bool = False) -> SendResult:
        order = dict.fromkeys(str(recipient) for recipient in self._recipients)
        return SendResult(
            {address: self.accepted[address] for address in order if address in self.accepted},
            {address: self.refused[address] for address in order if address in self.refused},
            reply,
            self._protocol.tls,
            used_chunking=used_chunking,
        )

    def _with_result(self, error: E) -> E:
        error.result = self._result(None)
        return error


def _about(answer: Answer, address: str, stage: str) -> RefusedError:
    return RefusedError.of(answer.reply, command=answer.owed.line, recipient=address, stage=stage)


def _sendable(mailbox: Mailbox) -> Mailbox:
    """Without SMTPUTF8 a domain goes as A-labels (RFC 6531 3.2)."""
    return mailbox if mailbox.domain.isascii() else mailbox.to_ascii_domain()


class _Pieces:
    """Content in pieces of at most the chunk size."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._position = 0
        self._repair = NewlineRepair(stuffed=False) if content.repair else None

    def next(self, max_bytes: int) -> Flow[bytes | None]:
        if self._content.data is not None:
            return self._cut(max_bytes)
        while True:
            piece: bytes | None = yield NextChunk()
            if piece is None:
                rest, self._repair = self._repair.end() if self._repair else b"", None
                return rest or None
            if self._repair is not None:
                piece = self._repair.feed(piece)
            if piece:
                return piece

    def _cut(self, max_bytes: int) -> bytes | None:
        data, start = self._content.data or b"", self._position
        if start >= len(data):
            return None
        self._position = start + max_bytes
        return data if not start and len(data) <= max_bytes else data[start : self._position]
