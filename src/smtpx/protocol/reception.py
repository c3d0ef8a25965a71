"""How a server takes a message: DATA or BDAT, octet for octet, to the last verdict."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from smtpx.protocol import replies
from smtpx.protocol.body import Intake
from smtpx.protocol.events import AbortCause, BodyAborted, BodyEnded, BodyReceived, BodyStarted, ChunkEnded, ResetAsked
from smtpx.wire.address import Mailbox
from smtpx.wire.commands import Chunk
from smtpx.wire.lines import Lines
from smtpx.wire.reply import Reply

if TYPE_CHECKING:
    from smtpx.protocol.server import Answers, ServerProtocol

__all__ = ["Reception"]

_SWALLOW_SLACK = 1024 * 1024  # a chunk this much above the message limit is not worth reading
_SMALL_CHUNK = 1024
_NO_CHUNK = Chunk(0, False)
_CONTENT_LIMITS = {
    replies.TOO_LARGE: "max_message_bytes",
    replies.HEADER_TOO_LARGE: "max_header_bytes",
    replies.MAIL_LOOP: "max_hops",
    replies.TEXT_LINE_TOO_LONG: "max_text_line_bytes",
}


class Reception:
    """One connection's messages, one after another; the one under way is in `machine.transaction`."""

    __slots__ = ("_chunk", "_left", "_lines", "_machine", "_refusal")

    def __init__(self, machine: "ServerProtocol", lines: Lines) -> None:
        self._machine = machine
        self._lines = lines
        self._chunk = _NO_CHUNK
        self._left = 0  # octets of the chunk
        self._refusal: Reply | None = None  # of the chunk; its octets go away

    def open_data(self) -> None:
        """DATA is in order: ask for the content."""
        machine = self._machine
        self._begin("DATA")
        machine.finish("DATA", replies.GO_AHEAD)
        machine.read = self._read_data

    def receive_chunk(self, chunk: Chunk, *, well_formed: bool) -> None:
        """Take the octets behind a BDAT: into the message, or away (RFC 3030 2)."""
        machine, settings = self._machine, self._machine.settings
        limit = settings.limits.max_message_bytes
        self._chunk, self._left, self._refusal = chunk, chunk.size, None
        if limit is not None and chunk.size > limit + _SWALLOW_SLACK:
            machine.limit_hit("max_message_bytes")
            machine.close(replies.TOO_LARGE, "a chunk far too large", AbortCause.REFUSED)
            return
        if "BDAT" not in settings.extensions.verbs:
            self._refusal = replies.NOT_IMPLEMENTED
        elif not well_formed:
            self._refusal = replies.BAD_CHUNK
        elif (refusal := machine.refusal("BDAT LAST" if chunk.last else "BDAT")) is not None:
            self._refusal = refusal
        elif machine.transaction.intake is None:
            self._begin("BDAT")
        intake = machine.transaction.intake
        if intake is None or chunk.size >= _SMALL_CHUNK or chunk.last or self._count_small(intake):
            machine.read = self._read_chunk

    def _count_small(self, intake: Intake) -> bool:
        """Small chunks are junk beyond a limit; False when one closed the connection."""
        intake.chunks += 1
        if intake.chunks <= self._machine.settings.limits.small_chunk_limit:
            return True
        self._machine.limit_hit("small_chunk_limit")
        return self._machine.count_junk()

    def _begin(self, command: str) -> None:
        machine = self._machine
        settings, transaction = machine.settings, machine.transaction
        body_type = settings.extensions.mail_params.get("BODY")
        binary = body_type is not None and transaction.mail_params.get(body_type) == "BINARYMIME"
        transaction.intake = Intake(settings, stuffed=command == "DATA", binary=binary)
        machine.emit(BodyStarted(command))

    # Reading ---------------------------------------------------------------------------------------------------------

    def _read_data(self) -> bool:
        lines, intake = self._lines, self._machine.transaction.intake
        if not lines.has_input or intake is None:
            return False
        content, rest = intake.feed_data(lines.take())
        if content:
            self._machine.emit(BodyReceived(content))
        if rest is not None:
            lines.put_back(rest)
            self._end("END OF DATA", intake)
        return True

    def _read_chunk(self) -> bool:
        machine = self._machine
        if self._left:
            if not self._lines.has_input:
                return False
            octets = self._lines.take(self._left)
            self._left -= len(octets)
            intake = machine.transaction.intake
            if intake is not None and self._refusal is None and (content := intake.feed(octets)):
                machine.emit(BodyReceived(content))
        if not self._left:
            machine.read = machine.read_command
            self._end_chunk()
        return True

    def _end_chunk(self) -> None:
        machine, refusal, intake = self._machine, self._refusal, self._machine.transaction.intake
        each = self._chunk.last and machine.settings.dialect.verdict_per_recipient
        if refusal is not None:
            if refusal is replies.BAD_CHUNK and machine.in_transaction:
                self._fail_chunk(refusal)
            else:
                machine.reply(refusal)
        elif intake is not None and intake.refusal is replies.TOO_LARGE and not each:
            machine.limit_hit("max_message_bytes")
            self._fail_chunk(replies.TOO_LARGE)
        elif intake is not None and self._chunk.last:
            if rest := intake.end():
                machine.emit(BodyReceived(rest))
            self._end("BDAT LAST", intake)
        else:
            machine.ask(ChunkEnded(self._chunk.size), self._answer_chunk)

    def _answer_chunk(self, reply: Reply | None) -> None:
        if reply is not None and reply.code >= 400:
            self._fail_chunk(reply)
        else:
            self._machine.finish("BDAT", replies.CHUNK_OK)

    def _fail_chunk(self, reply: Reply) -> None:
        """A failed BDAT ends the transaction; the chunks behind it will be swallowed and refused (RFC 3030 2)."""
        machine = self._machine
        machine.excuse()
        machine.reset("BDAT", AbortCause.REFUSED, lambda: machine.finish("BDAT", reply))

    # Verdicts --------------------------------------------------------------------------------------------------------

    def _end(self, command: str, intake: Intake) -> None:
        """The content is here: refuse it, or ask for the verdicts."""
        machine = self._machine
        machine.read = machine.read_command
        if machine.watcher is not None and command == "END OF DATA":
            machine.watcher.content_ended(intake.size)
        if intake.refusal is None:
            if machine.settings.dialect.verdict_per_recipient:
                machine.transaction.verdicts_sent = 0
            machine.ask_each(BodyEnded(intake.size), lambda answers: self._conclude(command, answers))
            return
        if (limit := _CONTENT_LIMITS.get(intake.refusal)) is not None:
            machine.limit_hit(limit)
        machine.emit(BodyAborted(AbortCause.REFUSED, intake.size))
        self._conclude(command, [intake.refusal])

    def answer_next(self, verdict: Reply) -> None:
        """Answer for the next recipient, ahead of the others; RuntimeError if no verdict is due."""
        transaction = self._machine.transaction
        sent = transaction.verdicts_sent
        if sent is None or sent >= len(transaction.recipients):
            raise RuntimeError("no verdict is due")
        self._machine.say(_verdict(verdict, transaction.recipients[sent]))
        transaction.verdicts_sent = sent + 1

    def _conclude(self, command: str, answers: "Answers") -> None:
        """Answer for the message and forget it."""
        machine = self._machine
        transaction = machine.transaction
        verdicts = [answer or replies.MESSAGE_OK for answer in answers or (None,)]
        if any(verdict.code < 300 for verdict in verdicts):
            machine.messages += 1
            machine.conduct.message_taken()
        machine.forget_transaction()
        if machine.settings.dialect.verdict_per_recipient:
            self._answer_each(command, verdicts, transaction.recipients, transaction.verdicts_sent or 0)
        else:
            machine.finish(command, verdicts[0])
        machine.afterwards(lambda: machine.ask(ResetAsked(command), lambda _: None))

    def _answer_each(self, command: str, verdicts: Sequence[Reply], recipients: Sequence[Mailbox], sent: int) -> None:
        """One reply for each recipient (RFC 2033 4.2); a lone verdict is everybody's, a missing one is no success."""
        machine = self._machine
        machine.move(command, replies.MESSAGE_OK.code)
        rest = verdicts[0] if len(verdicts) == 1 else replies.NO_VERDICT
        each = [*verdicts, *[rest] * len(recipients)][: len(recipients)]
        for reply, recipient in zip(each[sent:], recipients[sent:], strict=True):
            machine.say(_verdict(reply, recipient))
        machine.conduct.errors += all(reply.code >= 500 for reply in each)
        if any(reply.code == 421 or reply.close for reply in each):
            machine.close(None, "421 answered")


def _verdict(reply: Reply, recipient: Mailbox) -> Reply:
    first, *others = reply.lines
    return Reply(reply.code, reply.enhanced, (f"{recipient.to_path()} {first}".rstrip(), *others))
