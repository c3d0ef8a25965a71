"""Content on its way to recipients that were accepted, by DATA or BDAT, and the verdicts on it."""

from collections.abc import Callable
from dataclasses import replace

from smtpx.errors import (
    ConnectionLost,
    DeadlineError,
    LocalProtocolError,
    RemoteProtocolError,
    SMTPXError,
    TransportError,
    UnsupportedError,
)
from smtpx.flows.content import Content, Pieces, bare_newline
from smtpx.flows.exchange import close, pending_answer, read_answer, reset, write, write_content
from smtpx.flows.outcome import SendResult, Tally, all_refused
from smtpx.flows.steps import Flow, Timeouts
from smtpx.protocol.client import Answer, ClientProtocol
from smtpx.wire.dots import DotEncoder, NewlineCheck
from smtpx.wire.syntax import WireError

__all__ = ["BodySender"]


class BodySender:
    """Sends one content, once.

    Attributes:
        committed: octets are on their way that may complete the message; who loses the connection now can't know.
    """

    def __init__(self, protocol: ClientProtocol, timeouts: Timeouts, tally: Tally, *, pipelining: bool) -> None:
        self._protocol = protocol
        self._timeouts = timeouts
        self._tally = tally
        self._pipelining = pipelining
        self._seven_bit = "8BITMIME" not in protocol.capabilities
        self.committed = False

    def send_data(self, content: Content) -> Flow[SendResult]:
        """Content behind a 354."""
        protocol = self._protocol
        protocol.open_body(tuple(self._tally.order))
        encoder, pieces = DotEncoder(), Pieces(content)
        octets = b""
        while (piece := (yield from self._next(pieces))) is not None:
            if octets:
                yield from self._write_content(octets)
                yield from self._expect_no_verdict()
            octets = yield from self._encoded(encoder.feed, piece)
        octets += yield from self._encoded(encoder.end)
        yield from self._expect_no_verdict()
        protocol.close_body()
        self.committed = True
        yield from write(protocol, self._timeouts, octets)
        return self.conclude((yield from self._read_verdicts()), used_chunking=False)

    def send_chunks(self, content: Content) -> Flow[SendResult]:
        """Content by BDAT. One piece is held back, so that the last one carries LAST; two may be unanswered."""
        protocol, pieces = self._protocol, Pieces(content)
        check = NewlineCheck() if content.data is None and not content.binary else None
        self._seven_bit = self._seven_bit and not content.binary
        held = (yield from self._next(pieces)) or b""
        while True:
            following = yield from self._next(pieces)
            last = following is None
            yield from self._checked(check, held, last)
            # In LMTP each recipient has a reply to LAST, but not when an earlier chunk was refused: wait for those.
            wait = not self._pipelining or (last and protocol.dialect.verdict_per_recipient)
            refusal = yield from self._read_chunk_answers(all_but=0 if wait else 1)
            if refusal is not None:
                return self.conclude([refusal], used_chunking=True)
            octets = protocol.command("BDAT", f"{len(held)} LAST" if last else str(len(held)))
            if last and protocol.dialect.verdict_per_recipient:
                protocol.expect_verdicts(tuple(self._tally.order))
            self.committed = last
            yield from self._write_content(octets, held)
            if following is None:
                break
            held = following
        if not protocol.dialect.verdict_per_recipient:
            refusal = yield from self._read_chunk_answers(all_but=1)
            if refusal is not None:
                return self.conclude([refusal], used_chunking=True)
        return (yield from self.conclude_chunks((yield from self._read_verdicts())))

    def conclude_chunks(self, answers: list[Answer]) -> Flow[SendResult]:
        """The result, by the answers to BDAT LAST.

        The end of DATA ends a transaction whatever its answer (RFC 5321 4.1.1.4). RFC 3030 does not say that of BDAT
        LAST: a server that still holds the recipients behind a refusal would give them the next message, so RSET goes
        first. All is known by then, so nobody waits for it longer than for a QUIT: the connection is closed instead.
        """
        if not (self._protocol.is_closed or any(answer.is_positive for answer in answers)):
            short = self._timeouts.quit
            yield from reset(self._protocol, replace(self._timeouts, other=short, block=short))
        return self.conclude(answers, used_chunking=True)

    def conclude(self, answers: list[Answer], *, used_chunking: bool) -> SendResult:
        """The result, by the answers to the whole message: one, or in LMTP one for each accepted recipient.

        Raises:
            RefusedError: if nobody got it.
        """
        tally, protocol = self._tally, self._protocol
        if protocol.dialect.verdict_per_recipient and len(answers) == len(tally.order):
            tally.take_verdicts(answers)
        elif not answers[0].is_positive:
            tally.refuse_all(answers[0], "final")
        best = next((answer for answer in answers if answer.is_positive), answers[0])
        result = tally.result(best.reply, protocol.tls, used_chunking=used_chunking)
        if not result.accepted:
            raise all_refused(result)
        return result

    # Pieces ----------------------------------------------------------------------------------------------------------

    def _next(self, pieces: Pieces) -> Flow[bytes | None]:
        """The next piece. If the source fails, the message is given up in a way that no server can take for its end."""
        try:
            piece = yield from pieces.next(self._protocol.limits.chunk_bytes)
            if self._seven_bit and piece is not None and not piece.isascii():
                text = "the message turned out to be 8-bit, and the server takes only 7-bit"
                raise UnsupportedError(text, keyword="8BITMIME", stage="body")
            return piece
        except SMTPXError:
            yield from self._give_up()
            raise
        except Exception as error:  # whatever a caller's iterator may raise
            yield from self._give_up()
            raise LocalProtocolError(f"the message could not be read: {error}", stage="body") from error

    def _encoded(self, encode: Callable[..., bytes], *piece: bytes) -> Flow[bytes]:
        try:
            return encode(*piece)
        except WireError as error:
            yield from self._give_up()
            raise bare_newline(error.detail) from error

    def _checked(self, check: NewlineCheck | None, piece: bytes, last: bool) -> Flow[None]:
        if check is None:
            return
        try:
            check.feed(piece)
            if last:
                check.end()
        except WireError as error:
            yield from self._give_up()
            raise bare_newline(error.detail) from error

    def _give_up(self) -> Flow[None]:
        if self._protocol.in_body:
            yield from close(self._protocol)  # without the end of data: no server takes what it has for a message
            return
        try:
            while self._protocol.owes:
                yield from read_answer(self._protocol, self._timeouts)
        except SMTPXError:
            yield from close(self._protocol)
        else:
            yield from reset(self._protocol, self._timeouts)

    # Octets and answers ----------------------------------------------------------------------------------------------

    def _write_content(self, *octets: bytes) -> Flow[None]:
        """Write content. A server that refuses, and then closes or reads no more, has its say."""
        try:
            yield from write_content(self._protocol, self._timeouts, *octets)
        except (ConnectionLost, DeadlineError):
            yield from self._expect_no_verdict()
            self._protocol.connection_closed()
            raise

    def _expect_no_verdict(self) -> Flow[None]:
        """Look for a refusal that came before the content was complete; it counts, and the connection is closed."""
        while (early := (yield from pending_answer(self._protocol))) is not None:
            if not early.is_positive:
                yield from close(self._protocol)
                self._tally.refuse_all(early, "final")
                raise all_refused(self._tally.result(early.reply, self._protocol.tls))

    def _read_chunk_answers(self, *, all_but: int) -> Flow[Answer | None]:
        """Answers to chunks that are not the last. A refusal ends the message; what is still owed is read first."""
        refusal: Answer | None = None
        while self._protocol.owes > all_but or (refusal is not None and self._protocol.owes):
            answer = yield from read_answer(self._protocol, self._timeouts)
            if answer.reply.code == 421:
                yield from close(self._protocol)
                return refusal or answer
            if refusal is None and not answer.is_positive:
                refusal = answer
        if refusal is not None:
            yield from reset(self._protocol, self._timeouts)
        return refusal

    def _read_verdicts(self) -> Flow[list[Answer]]:
        """Each verdict that is owed; behind a 421 those that still come, and the 421 for those that don't."""
        answers: list[Answer] = []
        closing: Answer | None = None
        owes = self._protocol.owes
        try:
            while self._protocol.owes:
                answers.append((yield from read_answer(self._protocol, self._timeouts)))
                if closing is None and answers[-1].reply.code == 421:
                    closing = answers[-1]
        except SMTPXError as error:
            if closing is None:
                known = isinstance(error, TransportError | RemoteProtocolError)
                if known and self._protocol.dialect.verdict_per_recipient:
                    self._tally.take_verdicts(answers)
                raise
        if closing is not None:
            yield from close(self._protocol)
            answers += [closing] * (owes - len(answers))
        return answers
