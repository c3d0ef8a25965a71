"""The server's half of a conversation: octets in, events out, octets to send. It never waits.

    protocol.receive_data(octets)
    while (event := protocol.next_event()) is not None:
        ...                                  # an event that asks: protocol.answer(reply) once, now or later
    transport.write(protocol.data_to_send())

The same octets give the same events and replies however they are cut, except where a rule is about what was sent too
early (`sync_check`, STARTTLS). Memory is bounded by the limits plus what one `receive_data` brought.
"""

import binascii
from collections import deque
from collections.abc import Callable, Sequence

from smtpx.protocol import commands, replies
from smtpx.protocol.authentication import Authentication, NextStep, Verdict
from smtpx.protocol.body import Intake
from smtpx.protocol.events import (
    AbortCause,
    AuthAsked,
    AuthFailed,
    BodyAborted,
    BodyEnded,
    BodyReceived,
    BodyStarted,
    ChunkEnded,
    ConnectAsked,
    ConnectionEnded,
    Event,
    LimitHit,
    LookupAsked,
    PauseAsked,
    ResetAsked,
    StartTLSAsked,
    VerbAsked,
)
from smtpx.protocol.facts import ServerFacts, TLSFacts
from smtpx.protocol.phases import Phase, after, allows
from smtpx.protocol.settings import ServerSettings
from smtpx.protocol.watcher import ServerWatcher
from smtpx.sasl import Challenge, Credentials, Lookup, ScramRecord, Secret
from smtpx.wire.address import Mailbox
from smtpx.wire.commands import Chunk, is_foreign, parse_command
from smtpx.wire.lines import Lines
from smtpx.wire.params import NO_PARAMS, Params
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import Fault, WireError, has_controls

__all__ = ["ServerProtocol"]

_CLOSING_FAULTS = frozenset({Fault.LINE_ENDLESS, Fault.BARE_LF, Fault.BARE_CR})
_NOT_COUNTED = frozenset({530, 538})  # the client did not err, it came too early
_SWALLOW_SLACK = 1024 * 1024  # a chunk this much above the message limit is not worth reading
_SMALL_CHUNK = 1024
_CONTENT_LIMITS = {
    replies.TOO_LARGE: "max_message_bytes",
    replies.HEADER_TOO_LARGE: "max_header_bytes",
    replies.MAIL_LOOP: "max_hops",
    replies.TEXT_LINE_TOO_LONG: "max_text_line_bytes",
}
_AUTH_WORDS = len("AUTH ") + 20 + len(" ")  # RFC 4422 3.1: a mechanism's name has at most 20 characters
OnAnswer = Callable[[Reply | None], None]
Answers = Sequence[Reply | None]


class ServerProtocol:
    """One connection, as the server sees it.

    Attributes:
        phase: where the conversation stands.
        facts: what is known of the client.
        sender, mail_params, recipients, rcpt_params: the envelope of the transaction under way.
        refused_recipients: how many RCPTs of it were refused.
        settings: may be exchanged for others that differ in limits.
        auth_failures: wrong guesses on this connection.
        watcher: who looks on; nobody at first.
    """

    def __init__(
        self, settings: ServerSettings, *, tls: TLSFacts | None = None, address: str = "", port: int = 0
    ) -> None:
        self.settings = settings
        self.facts = ServerFacts(tls=tls, address=address, port=port)
        self.phase = Phase.BANNER
        self.sender: Mailbox | None = None
        self.mail_params: Params = NO_PARAMS
        self.recipients: list[Mailbox] = []
        self.rcpt_params: list[Params] = []
        self.messages = 0
        self.watcher: ServerWatcher | None = None
        limits = settings.limits
        # AUTH lines may be long (RFC 4954 4); other commands are measured when they are read.
        longest = _AUTH_WORDS + limits.max_auth_line_bytes + len("\r\n")
        repair = settings.bare_newline == "normalize"
        self._lines = Lines(longest, max_discard_bytes=limits.max_discard_bytes, lenient_newlines=repair)
        self._output: list[bytes] = []
        self._events: deque[Event] = deque()
        self._on_answer: Callable[[Answers], None] | None = None
        self._synchronous = commands.SYNCHRONOUS[settings.sync_check]
        self._read: Callable[[], bool] = self._read_command
        self._first = True
        self._eof = False
        self._intake: Intake | None = None
        self._chunk = Chunk(0, False)
        self._chunk_left = 0
        self._chunk_reply: Reply | None = None
        self._verdicts_sent: int | None = None  # None while none is due
        self._auth = Authentication(limits.max_auth_line_bytes, self._proof_was_wrong)
        self._record: ScramRecord | Secret | None = None
        self._errors = 0
        self._junk = 0
        self._overshoot = 0
        self.refused_recipients = 0
        self._excused = 0
        self._commands = 0
        self._told: set[str] = set()  # limits that were hit since the last message
        self.auth_failures = 0

    # What a shell calls ----------------------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Take octets from the peer."""
        if self.phase is not Phase.CLOSED:
            self._lines.feed(data)

    def receive_eof(self) -> None:
        """The peer sends nothing more; what it sent before is still worked on by `next_event`."""
        self._eof = True

    def next_event(self) -> Event | None:
        """The next thing that happened; None when an answer or more octets are needed."""
        while not self._events:
            phase = self.phase
            if self._on_answer is not None or phase is Phase.CLOSED:
                return None
            if phase is Phase.BANNER or phase is Phase.TLS or not self._read():
                if not self._eof:
                    return None
                self._end("connection lost in phase " + phase.value, AbortCause.LOST, expected=self._intake is None)
        return self._events.popleft()

    def answer(self, *answers: Reply | None) -> None:
        """Answer the event that asked: nothing or None for the usual, a reply, or one for each recipient.

        Raises:
            RuntimeError: if nothing was asked.
        """
        on_answer = self._on_answer
        if on_answer is None:
            raise RuntimeError("nothing was asked")
        self._on_answer = None
        on_answer(answers)

    def answer_next(self, verdict: Reply) -> None:
        """Answer `BodyEnded` for the next recipient, ahead of the others; `answer` then gives all, this one too.

        Raises:
            RuntimeError: if no verdict is due: in SMTP, before the end of the message, and behind the last recipient.
        """
        sent = self._verdicts_sent
        if sent is None or sent >= len(self.recipients):
            raise RuntimeError("no verdict is due")
        self._say(_verdict(verdict, self.recipients[sent]))
        self._verdicts_sent = sent + 1

    def answer_lookup(self, record: ScramRecord | Secret | None) -> None:
        """Answer a `LookupAsked` with what is stored of the user; None: there is no such user.

        Raises:
            RuntimeError: if nothing was asked.
        """
        self._record = record
        self.answer()

    @property
    def is_asking(self) -> bool:
        """Whether an answer is due."""
        return self._on_answer is not None

    @property
    def has_input(self) -> bool:
        """Whether octets lie here that were not worked on."""
        return self._lines.has_input

    @property
    def unread_bytes(self) -> int:
        """How many octets lie here that were not worked on."""
        return self._lines.size

    @property
    def is_closed(self) -> bool:
        """Whether the conversation is over."""
        return self.phase is Phase.CLOSED

    @property
    def awaits_handshake(self) -> bool:
        """Whether STARTTLS was answered, so that nothing but a handshake may follow."""
        return self.phase is Phase.TLS

    @property
    def awaits_response(self) -> bool:
        """Whether the next line is the client's answer to an AUTH challenge."""
        return self.phase is Phase.AUTH

    @property
    def in_message(self) -> bool:
        """Whether content is under way."""
        return self._intake is not None

    def data_to_send(self) -> bytes:
        """Everything to send by now, in one piece."""
        if not self._output:
            return b""
        data = b"".join(self._output)
        self._output.clear()
        return data

    def greet(self, reply: Reply | None = None) -> None:
        """Send the greeting, or `reply` in its place and close."""
        self._greet("GREETING", reply)

    def _greet(self, command: str, refusal: Reply | None) -> None:
        settings = self.settings
        if refusal is not None:
            self.close(refusal, "refused at connect")
            return
        greeting = f"{settings.hostname} {settings.dialect.greeting_word} {settings.banner}"
        self._finish(command, Reply(220, None, (greeting,)))

    def tls_started(self, tls: TLSFacts) -> None:
        """The handshake is done: everything learnt before is forgotten (RFC 3207 4.2)."""
        self.facts = ServerFacts(tls=tls, address=self.facts.address, port=self.facts.port)
        if self.phase is Phase.TLS:
            self.phase = after(Phase.TLS, "HANDSHAKE", 220)
            if self._lines.has_input:  # it came in clear, and must not be taken for what is said under TLS
                self.close(replies.OUT_OF_TURN, "input ahead of the handshake")

    def expire(self) -> None:
        """A deadline has passed."""
        self.close(replies.DEADLINE_PASSED, "deadline passed in phase " + self.phase.value, AbortCause.DEADLINE)

    def close(self, reply: Reply | None, reason: str, cause: AbortCause = AbortCause.CLOSED) -> None:
        """Answer with `reply`, if any, and end the connection; a peer that waits for a handshake is told nothing."""
        if self.phase is Phase.CLOSED:
            return
        if reply is not None and self.phase is not Phase.TLS:
            self._say(reply)
        self._end(reason, cause, expected=False)

    # What verb handlers call -----------------------------------------------------------------------------------------

    def reply(self, reply: Reply) -> None:
        """Answer the command; refusals are counted, and delayed or turned into 421 when there are too many."""
        if reply.code >= 500 and self._is_counted(reply) and not self._count_error("too many errors"):
            return
        if reply.code == 421 or (reply.close and reply.code >= 400):
            self.close(reply, f"{reply.code} answered")
        elif self._errors > self.settings.limits.soft_error_limit:
            self._slow_down(reply)
        else:
            self._say(reply)

    def ask(self, event: Event, on_answer: OnAnswer) -> None:
        """Let the shell decide; `on_answer` gets its reply, or None for the usual one."""
        self._events.append(event)
        self._on_answer = lambda answers: on_answer(answers[0] if answers else None)

    def ask_session(self, verb: str, argument: str | None) -> None:
        """Let the session answer an extension's verb."""
        self.ask(VerbAsked(verb, argument), lambda reply: self._finish(verb, reply or replies.NOT_IMPLEMENTED))

    def finish(self, command: str, reply: Reply) -> None:
        """Answer `command` and move along the table."""
        self._finish(command, reply)

    def excuse(self) -> None:
        """A refusal whose followers in the same group are not the client's errors (RFC 2920)."""
        self._excused = self.settings.limits.recipient_overshoot

    def limit_hit(self, limit: str) -> None:
        """Tell that the peer ran into a limit, by its name; once for each message and each run of the same."""
        if limit not in self._told:
            self._told.add(limit)
            self._events.append(LimitHit(limit, getattr(self.settings.limits, limit)))

    def count_junk(self) -> bool:
        """Count a command that does nothing; False when it was one too many and the connection is closed."""
        self._junk += 1
        if self._junk <= self.settings.limits.junk_command_limit:
            return True
        self.limit_hit("junk_command_limit")
        return self._count_error("too many commands that do nothing")

    def count_overshoot(self, limit: str) -> bool:
        """Count a RCPT beyond a limit of recipients; False when it closed the connection."""
        self._overshoot += 1
        self.limit_hit(limit)
        if self._overshoot <= self.settings.limits.recipient_overshoot:
            return True
        self.limit_hit("recipient_overshoot")
        return self._count_error("too many recipients")

    @property
    def in_transaction(self) -> bool:
        """Whether MAIL was accepted."""
        return self.sender is not None

    def reset(self, command: str, cause: AbortCause, then: Callable[[], None]) -> None:
        """End the transaction, if there is one, tell the session, and go on with `then`."""
        self._abort(cause)
        self._forget_transaction()
        self.phase = after(self.phase, "RSET", replies.RESET_OK.code)
        self.ask(ResetAsked(command), lambda _: then())

    def open_data(self) -> None:
        """DATA is in order: ask for the content."""
        self._start_body("DATA")
        self._finish("DATA", replies.GO_AHEAD)
        self._read = self._read_data

    def refuse_data(self, reply: Reply) -> None:
        """Refuse DATA. What lies behind it already is content, which must not be taken for commands."""
        if self._lines.has_input:
            self.close(reply, "content behind a refused DATA", AbortCause.REFUSED)
        else:
            self.reply(reply)

    def receive_chunk(self, chunk: Chunk, *, well_formed: bool) -> None:
        """Take the octets behind a BDAT: into the message, or away (RFC 3030 2)."""
        limit = self.settings.limits.max_message_bytes
        command = "BDAT LAST" if chunk.last else "BDAT"
        self._chunk, self._chunk_left, self._chunk_reply = chunk, chunk.size, None
        if limit is not None and chunk.size > limit + _SWALLOW_SLACK:
            self.limit_hit("max_message_bytes")
            self.close(replies.TOO_LARGE, "a chunk far too large", AbortCause.REFUSED)
            return
        if "BDAT" not in self.settings.extensions.verbs:
            self._chunk_reply = replies.NOT_IMPLEMENTED
        elif not well_formed:
            self._chunk_reply = replies.BAD_CHUNK
        elif (refusal := self._refusal(command)) is not None:
            self._chunk_reply = refusal
        elif self._intake is None:
            self._start_body("BDAT")
        if self._intake is not None and chunk.size < _SMALL_CHUNK and not chunk.last:
            self._intake.chunks += 1
            if self._intake.chunks > self.settings.limits.small_chunk_limit:
                self.limit_hit("small_chunk_limit")
                if not self.count_junk():
                    return
        self._read = self._read_chunk

    def start_tls(self) -> None:
        """STARTTLS is in order: see that nothing was sent behind it, then ask (CVE-2011-0411, CVE-2024-34083)."""
        if self._lines.has_input:
            self.close(replies.OUT_OF_TURN, "input behind STARTTLS")
        elif self.in_transaction:
            self.reset("STARTTLS", AbortCause.STARTTLS, self._ask_tls)
        else:
            self._ask_tls()

    def restart(self, facts: ServerFacts) -> None:
        """Begin again as after connect, with these facts: the shell has its say first, as it had then."""
        self.facts = facts
        self.ask(ConnectAsked(), lambda reply: self._greet("XCLIENT", reply if reply and reply.code >= 400 else None))

    def start_auth(self, mechanism: str, initial: str | None) -> None:
        """Begin an AUTH exchange (RFC 4954 4)."""
        found = next((each for each in self.settings.mechanisms if each.name == mechanism.upper()), None)
        if found is None:
            self.reply(replies.UNKNOWN_MECHANISM)
        elif not self.settings.may_reveal(found, self.facts):
            self.reply(replies.ENCRYPTION_REQUIRED)
        elif not found.fits(context := self.settings.exchange_context(self.facts)):
            self.reply(replies.UNKNOWN_MECHANISM)
        else:
            self._authenticate("AUTH", self._auth.start(found, context, initial))

    # Reading ---------------------------------------------------------------------------------------------------------

    def _read_command(self) -> bool:
        lines = self._lines
        if self._first and (octet := lines.peek()) is not None:
            self._first = False
            if _is_foreign_octet(octet):
                self._end_foreign()
                return True
        try:
            raw = lines.next_line()
        except WireError as error:
            self._bad_line(error)
            return True
        if raw is None:
            return False
        self._commands += 1
        if self.watcher is not None:
            self.watcher.heard(raw)
        if len(raw) + 2 > self.settings.limits.max_command_line_bytes and raw[:5].upper() != b"AUTH ":
            self.limit_hit("max_command_line_bytes")
            self._unreadable(raw, replies.LINE_TOO_LONG)
            return True
        try:
            line = raw.decode()
        except UnicodeDecodeError:
            self._unreadable(raw, self._not_utf8(raw))
            return True
        if has_controls(line):
            self._unreadable(raw, replies.CONTROL_CHARACTER)
        else:
            self._dispatch(line)
        return True

    def _unreadable(self, raw: bytes, reply: Reply) -> None:
        """Refuse a line unread, unless nothing behind it can be trusted: it is foreign, or a BDAT of unknown size."""
        line = raw.decode("latin-1")
        if is_foreign(line, self.settings.foreign_verbs):
            self._end_foreign()
        elif line[:4].upper() == "BDAT" and not line[4:5].isalnum():
            self.close(replies.BAD_CHUNK, "a chunk of unknown size")
        else:
            self.reply(reply)

    def _end_foreign(self) -> None:
        self._events.append(LimitHit("foreign_verbs", 0))
        self.close(replies.FOREIGN_PROTOCOL, "not SMTP")

    def _not_utf8(self, raw: bytes) -> Reply:
        command = parse_command(raw.decode("ascii", "replace"))
        verb = command.verb if command is not None else ""
        known = verb in commands.VERBS or verb in self.settings.extensions.verbs
        return replies.NOT_UTF8 if known else replies.BAD_LINE

    def _bad_line(self, error: WireError) -> None:
        if error.fault is Fault.LINE_ENDLESS:
            self.limit_hit("max_discard_bytes")
        if error.fault in _CLOSING_FAULTS:
            self.close(replies.LINE_TOO_LONG if error.fault is Fault.LINE_ENDLESS else replies.BAD_NEWLINE, str(error))
        elif self.phase is Phase.AUTH:
            self._hear_response()
            self._authenticate("AUTH RESPONSE", self._auth.give_up(replies.AUTH_LINE_TOO_LONG))
        else:
            self.limit_hit("max_command_line_bytes")
            self._unreadable(self._lines.long_line_head, replies.LINE_TOO_LONG)

    def _dispatch(self, line: str) -> None:
        settings = self.settings
        if is_foreign(line, settings.foreign_verbs):
            self._end_foreign()
            return
        command = parse_command(line)
        limit = settings.limits.max_unauthenticated_commands
        if limit is not None and self._commands > limit and self.facts.identity is None:
            self.limit_hit("max_unauthenticated_commands")
            self.close(replies.NOT_AUTHENTICATED_IN_TIME, "too many commands without authentication")
        elif command is None:
            self.reply(replies.BAD_LINE)
        else:
            self._run(command.verb, command.argument)

    def _run(self, verb: str, argument: str | None) -> None:
        handler = commands.VERBS.get(verb) or self.settings.extensions.verbs.get(verb)
        if handler is None:
            commands.UNAVAILABLE.get(verb, commands.unknown)(self, argument)
        elif verb in self._synchronous and self._lines.has_input:
            self.close(replies.OUT_OF_TURN, f"input behind {verb}")
        elif verb != "BDAT" and (refusal := self._refusal(verb)) is not None:
            if verb == "DATA":
                self.refuse_data(refusal)
            else:
                self.reply(refusal)
        else:
            handler(self, argument)

    def _refusal(self, verb: str) -> Reply | None:
        """Why this verb can't come now, whatever its argument."""
        settings = self.settings
        if settings.require_tls and self.facts.tls is None and verb not in commands.WITHOUT_TLS:
            return replies.TLS_REQUIRED
        in_order = allows(self.phase, verb)
        if not in_order and self.phase is Phase.HELLO:
            return replies.HELLO_FIRST
        if settings.require_auth and self.facts.identity is None and verb in commands.NEED_AUTH:
            return replies.AUTH_REQUIRED
        return None if in_order else commands.out_of_order(self, verb)

    def _read_data(self) -> bool:
        if not self._lines.has_input or self._intake is None:
            return False
        content, rest = self._intake.feed_data(self._lines.take())
        if content:
            self._events.append(BodyReceived(content))
        if rest is not None:
            self._lines.put_back(rest)
            self._end_body("END OF DATA")
        return True

    def _read_chunk(self) -> bool:
        if self._chunk_left:
            if not self._lines.has_input:
                return False
            octets = self._lines.take(self._chunk_left)
            self._chunk_left -= len(octets)
            if self._intake is not None and self._chunk_reply is None and (content := self._intake.feed(octets)):
                self._events.append(BodyReceived(content))
        if not self._chunk_left:
            self._read = self._read_command
            self._end_chunk()
        return True

    def _read_auth(self) -> bool:
        try:
            raw = self._lines.next_line()
        except WireError as error:
            self._bad_line(error)
            return True
        if raw is None:
            return False
        self._hear_response()
        step = self._auth.give_up(replies.CANCELLED) if raw == b"*" else self._auth.respond(raw.decode("latin-1"))
        self._authenticate("AUTH RESPONSE", step)
        return True

    def _hear_response(self) -> None:
        if self.watcher is not None:
            self.watcher.responded()

    # Messages --------------------------------------------------------------------------------------------------------

    def _start_body(self, command: str) -> None:
        body_type = self.settings.extensions.mail_params.get("BODY")
        binary = body_type is not None and self.mail_params.get(body_type) == "BINARYMIME"
        self._intake = Intake(self.settings, stuffed=command == "DATA", binary=binary)
        self._events.append(BodyStarted(command))

    def _end_body(self, command: str) -> None:
        intake = self._intake
        assert intake is not None  # noqa: S101 - only called with content under way
        self._read = self._read_command
        if self.watcher is not None and command == "END OF DATA":
            self.watcher.content_ended(intake.size)
        if intake.refusal is not None:
            self._content_limit_hit(intake.refusal)
            self._events.append(BodyAborted(AbortCause.REFUSED, intake.size))
            self._end_message(command, [intake.refusal])
        else:
            self._events.append(BodyEnded(intake.size))
            self._verdicts_sent = 0 if self.settings.dialect.verdict_per_recipient else None
            self._on_answer = lambda answers: self._end_message(command, answers)

    def _end_message(self, command: str, answers: Answers) -> None:
        self._intake = None
        verdicts = [answer or replies.MESSAGE_OK for answer in answers or (None,)]
        recipients, sent = self.recipients, self._verdicts_sent or 0
        if any(verdict.code < 300 for verdict in verdicts):
            self.messages += 1
            self._errors = self._junk = 0
            self._told.clear()
        self._forget_transaction()
        if not self.settings.dialect.verdict_per_recipient:
            self._finish(command, verdicts[0])
        else:
            self._answer_each(command, recipients, verdicts, sent)
        self._later(lambda: self.ask(ResetAsked(command), lambda _: None))

    def _content_limit_hit(self, refusal: Reply) -> None:
        limit = _CONTENT_LIMITS.get(refusal)
        if limit is not None:
            self.limit_hit(limit)

    def _answer_each(self, command: str, recipients: Sequence[Mailbox], verdicts: Sequence[Reply], sent: int) -> None:
        """One reply for each recipient (RFC 2033 4.2); a lone verdict is everybody's, a missing one is no success."""
        self.phase = after(self.phase, command, replies.MESSAGE_OK.code)
        rest = verdicts[0] if len(verdicts) == 1 else replies.NO_VERDICT
        each = [*verdicts, *[rest] * len(recipients)][: len(recipients)]
        for reply, recipient in zip(each[sent:], recipients[sent:], strict=True):
            self._say(_verdict(reply, recipient))
        self._errors += all(reply.code >= 500 for reply in each)
        if any(reply.code == 421 or reply.close for reply in each):
            self._end("421 answered", AbortCause.CLOSED, expected=False)

    def _end_chunk(self) -> None:
        chunk, refusal, intake = self._chunk, self._chunk_reply, self._intake
        if refusal is not None:
            if refusal is replies.BAD_CHUNK and self.in_transaction:
                self._fail_chunk(refusal)
            else:
                self.reply(refusal)
        elif intake is not None and intake.refusal is replies.TOO_LARGE:
            self.limit_hit("max_message_bytes")
            self._fail_chunk(replies.TOO_LARGE)
        elif chunk.last and intake is not None:
            if rest := intake.end():
                self._events.append(BodyReceived(rest))
            self._end_body("BDAT LAST")
        else:
            self.ask(ChunkEnded(chunk.size), self._answer_chunk)

    def _answer_chunk(self, reply: Reply | None) -> None:
        if reply is not None and reply.code >= 400:
            self._fail_chunk(reply)
        else:
            self._finish("BDAT", replies.CHUNK_OK)

    def _fail_chunk(self, reply: Reply) -> None:
        """A failed BDAT ends the transaction; the chunks behind it will be swallowed and refused (RFC 3030 2)."""
        lmtp = self._chunk.last and self.settings.dialect.verdict_per_recipient and self.recipients
        if lmtp:
            self._abort(AbortCause.REFUSED)
            self._end_message("BDAT LAST", [reply])
            return
        self.excuse()
        self.reset("BDAT", AbortCause.REFUSED, lambda: self._finish("BDAT", reply))

    def _forget_transaction(self) -> None:
        self.sender = None
        self.mail_params = NO_PARAMS
        self.recipients, self.rcpt_params = [], []
        self.facts.forwarded = None
        self._intake = None
        self._overshoot = 0
        self.refused_recipients = 0
        self._verdicts_sent = None

    def _abort(self, cause: AbortCause) -> None:
        intake, self._intake = self._intake, None
        if intake is not None:
            self._events.append(BodyAborted(cause, intake.size))

    # AUTH and TLS ----------------------------------------------------------------------------------------------------

    def _authenticate(self, command: str, step: NextStep) -> None:
        """Do what the exchange says next."""
        if isinstance(step, Challenge):
            self._finish(command, Reply(334, None, (binascii.b2a_base64(step.data, newline=False).decode(),)))
            self._read = self._read_auth
        elif isinstance(step, Lookup):
            self.ask(LookupAsked(step.kind, step.username), lambda reply: self._looked_up(command, reply))
        elif isinstance(step, Credentials):
            self.ask(AuthAsked(step), lambda reply: self._judge(command, step, reply or replies.BAD_CREDENTIALS))
        else:
            self._end_auth(command, step)

    def _proof_was_wrong(self, mechanism: str, username: str) -> None:
        self._events.append(AuthFailed(mechanism, username))

    def _looked_up(self, command: str, refusal: Reply | None) -> None:
        record, self._record = self._record, None
        self._authenticate(command, self._auth.looked_up(record, refusal))

    def _judge(self, command: str, credentials: Credentials, reply: Reply) -> None:
        if reply.code < 300:
            self.facts.identity = credentials.authorization_id or credentials.username
        self._authenticate(command, self._auth.judged(reply))

    def _end_auth(self, command: str, verdict: Verdict) -> None:
        """Guesses are counted, and answered later each time."""
        reply, limits = verdict.reply, self.settings.limits
        self._read = self._read_command
        if reply is replies.AUTH_LINE_TOO_LONG:
            self.limit_hit("max_auth_line_bytes")
        if not verdict.is_judgement or reply.code < 500:
            self._finish(command, reply)
            return
        self.auth_failures += 1
        self._errors += 1
        if self.auth_failures >= limits.max_auth_failures:
            self.limit_hit("max_auth_failures")
            self.close(replies.TOO_MANY_AUTH_FAILURES, "too many authentication failures")
        elif reply.close:
            self.close(reply, f"{reply.code} answered")
        else:
            self.phase = after(self.phase, command, reply.code)
            self._pause(limits.auth_failure_delay_seconds * self.auth_failures, reply)

    def _ask_tls(self) -> None:
        self.ask(StartTLSAsked(), self._answer_tls)

    def _answer_tls(self, reply: Reply | None) -> None:
        if self._lines.has_input:
            self.close(replies.OUT_OF_TURN, "input behind STARTTLS")
        elif reply is not None:
            self._finish("STARTTLS", reply)
        else:  # never delayed: nothing may come in between
            self.phase = after(self.phase, "STARTTLS", replies.READY_FOR_TLS.code)
            self._say(replies.READY_FOR_TLS)

    # Answering -------------------------------------------------------------------------------------------------------

    def _say(self, reply: Reply) -> None:
        self._output.append(reply.to_bytes())
        if self.watcher is not None:
            self.watcher.said(reply)

    def _finish(self, command: str, reply: Reply) -> None:
        self.phase = after(self.phase, command, reply.code) if reply.code != 421 else self.phase
        if reply.code < 400:
            self._excused = 0
        self.reply(reply)

    def _count_error(self, reason: str) -> bool:
        """Count an error; False when it was one too many and the connection is closed."""
        self._errors += 1
        if self._errors < self.settings.limits.hard_error_limit:
            return True
        self.limit_hit("hard_error_limit")
        self.close(replies.TOO_MANY_ERRORS, reason)
        return False

    def _is_counted(self, reply: Reply) -> bool:
        if reply.code == 503 and self._excused:
            self._excused -= 1
            return False
        return reply.code not in _NOT_COUNTED

    def _slow_down(self, reply: Reply) -> None:
        self.limit_hit("soft_error_limit")
        self._pause(self.settings.limits.error_delay_seconds, reply)

    def _pause(self, seconds: float, reply: Reply) -> None:
        self._events.append(PauseAsked(seconds))
        self._on_answer = lambda _: self._say(reply)

    def _later(self, action: Callable[[], None]) -> None:
        """Do it now, or when the pause that is going on is over."""
        outer = self._on_answer
        if self.phase is Phase.CLOSED:
            return
        if outer is None:
            action()
            return

        def both(answers: Answers) -> None:
            outer(answers)
            action()

        self._on_answer = both

    def quit(self) -> None:
        """Answer QUIT; nothing behind it is read."""
        self._say(replies.BYE)
        self._end("QUIT", AbortCause.QUIT, expected=True)

    def _end(self, reason: str, cause: AbortCause, *, expected: bool) -> None:
        self.phase = Phase.CLOSED
        if self._on_answer is not None and self._events:
            self._events.pop()  # the question that nobody has seen yet
        self._on_answer = None
        self._abort(cause)
        self._forget_transaction()
        self._lines.take()
        self._events.append(ConnectionEnded(reason, expected))


def _is_foreign_octet(octet: int) -> bool:
    """A control character or an octet above 0x7F begins no line of SMTP, so no line end is waited for."""
    return octet >= 0x7F or (octet < 0x20 and octet not in b"\t\r\n")


def _verdict(reply: Reply, recipient: Mailbox) -> Reply:
    first, *others = reply.lines
    return Reply(reply.code, reply.enhanced, (f"{recipient.to_path()} {first}".rstrip(), *others))
