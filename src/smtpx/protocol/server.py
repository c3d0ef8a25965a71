"""The server's half of a conversation: octets in, events out, octets to send. It never waits.

    protocol.receive_data(octets)
    while (event := protocol.next_event()) is not None:
        ...                                  # an event that asks: protocol.answer(reply) once, now or later
    transport.write(protocol.data_to_send())

The same octets give the same events and replies however they are cut, except where a rule is about what was sent too
early (`sync_check`, STARTTLS). Memory is bounded by the limits plus what one `receive_data` brought.
"""

from collections.abc import Callable, Sequence

from smtpx.protocol import commands, replies
from smtpx.protocol.conduct import Conduct
from smtpx.protocol.events import (
    AbortCause,
    BodyAborted,
    ConnectAsked,
    ConnectionEnded,
    Event,
    PauseAsked,
    ResetAsked,
    StartTLSAsked,
    VerbAsked,
)
from smtpx.protocol.facts import ServerFacts, TLSFacts
from smtpx.protocol.login import Login
from smtpx.protocol.phases import Phase, after, allows
from smtpx.protocol.reader import CommandReader
from smtpx.protocol.reception import Reception
from smtpx.protocol.settings import ServerSettings
from smtpx.protocol.transaction import Transaction
from smtpx.protocol.watcher import ServerWatcher
from smtpx.sasl import ScramRecord, Secret
from smtpx.wire.address import Mailbox
from smtpx.wire.commands import Chunk
from smtpx.wire.lines import Lines
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import Fault, WireError

__all__ = ["Answers", "ServerProtocol"]

_BARE = frozenset({Fault.BARE_LF, Fault.BARE_CR})
_AUTH_WORDS = len("AUTH ") + 20 + len(" ")  # RFC 4422 3.1: a mechanism's name has at most 20 characters
OnAnswer = Callable[[Reply | None], None]
Answers = Sequence[Reply | None]


class ServerProtocol:
    """One connection, as the server sees it.

    Attributes:
        phase: where the conversation stands.
        facts: what is known of the client.
        transaction: the one under way.
        messages: how many were taken.
        settings: may be exchanged for others that differ in limits.
        conduct: what the client did wrong.
        read: what reads on, a command or what has the word for now. True if there was something to read.
        read_command: what reads as a rule.
        watcher: who looks on; nobody at first.
    """

    __slots__ = (
        "_eof",
        "_events",
        "_lines",
        "_login",
        "_on_answer",
        "_output",
        "_reception",
        "conduct",
        "facts",
        "messages",
        "phase",
        "read",
        "read_command",
        "settings",
        "transaction",
        "watcher",
    )

    def __init__(
        self, settings: ServerSettings, *, tls: TLSFacts | None = None, address: str = "", port: int = 0
    ) -> None:
        self.settings = settings
        self.facts = ServerFacts(tls=tls, address=address, port=port)
        self.phase = Phase.BANNER
        self.transaction = Transaction()
        self.messages = 0
        self.watcher: ServerWatcher | None = None
        limits = settings.limits
        # AUTH lines may be long (RFC 4954 4); other commands are measured when they are read.
        longest = _AUTH_WORDS + limits.max_auth_line_bytes + len("\r\n")
        repair = settings.bare_newline == "normalize"
        self._lines = Lines(longest, max_discard_bytes=limits.max_discard_bytes, lenient_newlines=repair)
        self._output: list[bytes] = []
        self._events: list[Event] = []  # a few at most; an empty deque has 700 octets
        self._on_answer: Callable[[Answers], None] | None = None
        self._eof = False
        self.conduct = Conduct(self._events.append)
        self._reception = Reception(self, self._lines)
        self._login = Login(self, self._lines)
        self.read_command = CommandReader(self, self._lines).read
        self.read = self.read_command

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
            if phase is Phase.BANNER or phase is Phase.TLS or not self.read():
                if not self._eof:
                    return None
                self._end("connection lost in phase " + phase.value, AbortCause.LOST, expected=not self.in_message)
        return self._events.pop(0)

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
        self._reception.answer_next(verdict)

    def answer_lookup(self, record: ScramRecord | Secret | None) -> None:
        """Answer a `LookupAsked` with what is stored of the user; None: there is no such user.

        Raises:
            RuntimeError: if nothing was asked.
        """
        self._login.answer_lookup(record)

    @property
    def sender(self) -> Mailbox | None:
        """Who sends; None before MAIL was accepted."""
        return self.transaction.sender

    @property
    def mail_params(self) -> Params:
        """What was said with MAIL."""
        return self.transaction.mail_params

    @property
    def recipients(self) -> list[Mailbox]:
        """Who was accepted."""
        return self.transaction.recipients

    @property
    def rcpt_params(self) -> list[Params]:
        """What was said with each of their RCPTs."""
        return self.transaction.rcpt_params

    @property
    def auth_failures(self) -> int:
        """Wrong guesses on this connection."""
        return self.conduct.auth_failures

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
        return self.transaction.intake is not None

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
        self.finish(command, Reply(220, None, (greeting,)))

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

    def close(
        self, reply: Reply | None, reason: str, cause: AbortCause = AbortCause.CLOSED, *, expected: bool = False
    ) -> None:
        """Answer with `reply`, if any, and end the connection; a peer that waits for a handshake is told nothing."""
        if self.phase is Phase.CLOSED:
            return
        if reply is not None and self.phase is not Phase.TLS:
            self.say(reply)
        self._end(reason, cause, expected=expected)

    # What verb handlers call, and what reads -------------------------------------------------------------------------

    def reply(self, reply: Reply) -> None:
        """Answer the command; refusals are counted, and delayed or turned into 421 when there are too many."""
        conduct, limits = self.conduct, self.settings.limits
        if reply.code >= 500 and (ending := conduct.count_refusal(reply, limits)) is not None:
            self.close(*ending)
        elif reply.code == 421 or (reply.close and reply.code >= 400):
            self.close(reply, f"{reply.code} answered")
        elif conduct.errors > limits.soft_error_limit:
            self.limit_hit("soft_error_limit")
            self.pause(limits.error_delay_seconds, reply)
        else:
            self.say(reply)

    def ask(self, event: Event, on_answer: OnAnswer) -> None:
        """Let the shell decide; `on_answer` gets its reply, or None for the usual one."""
        self._events.append(event)
        self._on_answer = lambda answers: on_answer(answers[0] if answers else None)

    def ask_each(self, event: Event, on_answers: Callable[[Answers], None]) -> None:
        """As `ask`, where there may be an answer for each recipient."""
        self._events.append(event)
        self._on_answer = on_answers

    def ask_session(self, verb: str, argument: str | None) -> None:
        """Let the session answer an extension's verb."""
        self.ask(VerbAsked(verb, argument), lambda reply: self.finish(verb, reply or replies.NOT_IMPLEMENTED))

    def finish(self, command: str, reply: Reply) -> None:
        """Answer `command` and move along the table."""
        if reply.code != 421:
            self.phase = after(self.phase, command, reply.code)
        if reply.code < 400:
            self.conduct.excused = 0
        self.reply(reply)

    def move(self, command: str, code: int) -> None:
        """Move along the table, without an answer."""
        self.phase = after(self.phase, command, code)

    def refusal(self, verb: str) -> Reply | None:
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

    def emit(self, event: Event) -> None:
        """Tell the shell something that it need not answer."""
        self._events.append(event)

    def say(self, reply: Reply) -> None:
        """Send a reply and nothing else; `reply` and `finish` do what belongs to it."""
        self._output.append(reply.to_bytes())
        if self.watcher is not None:
            self.watcher.said(reply)

    def pause(self, seconds: float, reply: Reply) -> None:
        """Send a reply later."""
        self.ask_each(PauseAsked(seconds), lambda _: self.say(reply))

    def afterwards(self, action: Callable[[], None]) -> None:
        """Do something now, or behind the question that is open."""
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

    def excuse(self) -> None:
        """A refusal whose followers in the same group are not the client's errors (RFC 2920)."""
        self.conduct.excused = self.settings.limits.recipient_overshoot

    def limit_hit(self, limit: str) -> None:
        """Tell that the peer ran into a limit, by its name; once for each message and each run of the same."""
        self.conduct.limit_hit(limit, self.settings.limits)

    def count_junk(self) -> bool:
        """Count a command that does nothing; False when it was one too many and the connection is closed."""
        ending = self.conduct.count_junk(self.settings.limits)
        if ending is not None:
            self.close(*ending)
        return ending is None

    def count_overshoot(self, limit: str) -> bool:
        """Count a RCPT beyond a limit of recipients; False when it closed the connection."""
        self.limit_hit(limit)
        self.transaction.overshoot += 1
        ending = self.conduct.judge_overshoot(self.transaction.overshoot, self.settings.limits)
        if ending is not None:
            self.close(*ending)
        return ending is None

    @property
    def in_transaction(self) -> bool:
        """Whether MAIL was accepted."""
        return self.transaction.sender is not None

    def reset(self, command: str, cause: AbortCause, then: Callable[[], None]) -> None:
        """End the transaction, if there is one, tell the session, and go on with `then`."""
        self._abandon_transaction(cause)
        self.move("RSET", replies.RESET_OK.code)
        self.ask(ResetAsked(command), lambda _: then())

    def open_data(self) -> None:
        """DATA is in order: ask for the content."""
        self._reception.open_data()

    def refuse_data(self, reply: Reply) -> None:
        """Refuse DATA. What lies behind it already is content, which must not be taken for commands."""
        if self._lines.has_input:
            self.close(reply, "content behind a refused DATA", AbortCause.REFUSED)
        else:
            self.reply(reply)

    def receive_chunk(self, chunk: Chunk, *, well_formed: bool) -> None:
        """Take the octets behind a BDAT: into the message, or away (RFC 3030 2)."""
        self._reception.receive_chunk(chunk, well_formed=well_formed)

    def forget_transaction(self) -> None:
        """It is over, and what the client said of it means nothing any more."""
        self.transaction = Transaction()
        self.facts.forwarded = None

    def _abandon_transaction(self, cause: AbortCause) -> None:
        intake = self.transaction.intake
        self.forget_transaction()
        if intake is not None:
            self._events.append(BodyAborted(cause, intake.size))

    def closes_for(self, error: WireError) -> bool:
        """Close on a line behind which nothing can be trusted; False for one that is only too long."""
        if error.fault is Fault.LINE_ENDLESS:
            self.limit_hit("max_discard_bytes")
            self.close(replies.LINE_TOO_LONG, str(error))
        elif error.fault in _BARE:
            self.close(replies.BAD_NEWLINE, str(error))
        else:
            return False
        return True

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
        self._login.start(mechanism, initial)

    # TLS -------------------------------------------------------------------------------------------------------------

    def _ask_tls(self) -> None:
        self.ask(StartTLSAsked(), self._answer_tls)

    def _answer_tls(self, reply: Reply | None) -> None:
        if self._lines.has_input:
            self.close(replies.OUT_OF_TURN, "input behind STARTTLS")
        elif reply is not None:
            self.finish("STARTTLS", reply)
        else:  # never delayed: nothing may come in between
            self.move("STARTTLS", replies.READY_FOR_TLS.code)
            self.say(replies.READY_FOR_TLS)

    # The end ---------------------------------------------------------------------------------------------------------

    def quit(self) -> None:
        """Answer QUIT; nothing behind it is read."""
        self.say(replies.BYE)
        self._end("QUIT", AbortCause.QUIT, expected=True)

    def _end(self, reason: str, cause: AbortCause, *, expected: bool) -> None:
        self.phase = Phase.CLOSED
        if self._on_answer is not None and self._events:
            self._events.pop()  # the question that nobody has seen yet
        self._on_answer = None
        self._abandon_transaction(cause)
        self._lines.take()
        self._events.append(ConnectionEnded(reason, expected))
