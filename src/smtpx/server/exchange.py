"""What the protocol asks, answered by the session: each question by one hook, each message by one delivery."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

from smtpx.protocol import replies
from smtpx.protocol.events import (
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
    HelloAsked,
    LimitHit,
    LookupAsked,
    MailAsked,
    PauseAsked,
    RcptAsked,
    ResetAsked,
    StartTLSAsked,
    VerbAsked,
)
from smtpx.protocol.server import ServerProtocol
from smtpx.sasl import ScramRecord, Secret
from smtpx.server.body import Body, TransferAborted
from smtpx.server.delivery import Delivery
from smtpx.server.guard import Guard
from smtpx.server.hooks import Hooks, Log
from smtpx.server.inline import OnDone, Outcome
from smtpx.server.logins import Logins
from smtpx.server.patience import Patience
from smtpx.server.peer import Peer
from smtpx.server.session import Reject
from smtpx.server.verdicts import Verdicts
from smtpx.server.watch import Watch
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import escape

__all__ = ["Exchange", "Shell"]

_log = logging.getLogger("smtpx.server")
_MAX_LOGGED_REFUSALS = 20  # of recipients, in one transaction: whoever guesses names must not fill the disk
_MAX_LOGGED_ADDRESS = 320
_NO_VERDICTS = Verdicts((), lambda: None)  # before the first message


class Shell(Protocol):
    """The connection around an exchange."""

    peer: Peer
    patience: Patience

    @property
    def has_peer(self) -> bool:
        """Whether the client may still be there: nothing was heard of its end."""
        ...

    @property
    def log(self) -> Log:
        """Writes to the log under the connection's name."""
        ...

    def flush(self) -> None:
        """Send what the protocol has to say."""
        ...

    def advance(self) -> None:
        """Go on with what was received."""
        ...

    def start_tls(self) -> None:
        """Begin the handshake."""
        ...

    @property
    def limit_hit(self) -> Callable[[str, float], None]:
        """Tells log and observer that the peer ran into a limit, by its name and value."""
        ...

    def recount(self) -> Reply | None:
        """Count the connection for whom it speaks for; or the reply that refuses it."""
        ...

    def protocol_ended(self, event: ConnectionEnded) -> None:
        """The conversation is over."""
        ...


class Exchange:
    """One connection's questions and answers.

    Args:
        watch: sees each event first; None when nobody looks on.

    Attributes:
        is_waiting: for a hook, a turn, a pause, or a session that takes a message: no event may be handled now.
        logins: what is about AUTH.
    """

    __slots__ = (
        "_content_command",
        "_core",
        "_delivery",
        "_guard",
        "_hooks",
        "_is_hurried",
        "_loop",
        "_own",
        "_pause",
        "_refused",
        "_shell",
        "_then",
        "_transactions",
        "_verdicts",
        "_watch",
        "is_waiting",
        "logins",
    )

    def __init__(
        self, core: ServerProtocol, hooks: Hooks, guard: Guard, shell: Shell, watch: Watch | None = None
    ) -> None:
        self._core = core
        self._hooks = hooks
        self._own = hooks.own
        self._guard = guard
        self._shell = shell
        self._watch = watch
        self._loop = asyncio.get_running_loop()
        self._delivery: Delivery | None = None
        self._verdicts = _NO_VERDICTS
        self._content_command = ""  # DATA or BDAT
        self._then: Callable[[], None] | None = None  # what the delivery is waited for to do
        self._pause: asyncio.TimerHandle | None = None
        self._is_hurried = False  # no pauses any more
        self._refused = 0
        self._transactions = 0
        self.is_waiting = False
        self.logins = Logins(self, core, hooks, guard, shell)

    def handle(self, event: Event) -> None:
        """Deal with an event of the protocol."""
        if self._watch is not None:
            self._watch.saw(event, self._loop.time())
        try:
            self._HANDLERS[type(event)](self, event)
        except Exception as error:
            self._break_off(error)

    def next_event(self) -> Event | None:
        """The protocol's next event."""
        try:
            return self._core.next_event()
        except Exception as error:
            self._break_off(error)
            return self._core.next_event()

    def _break_off(self, error: Exception) -> None:
        """What sessions raise is dealt with elsewhere: this is an extension or mechanism of somebody's, or our mistake.

        Nobody knows in which state it has left the conversation, so that ends with 421 4.3.0, and in good order.
        """
        self._shell.log(logging.ERROR, "an extension raised, or we made a mistake", error=error)
        self._core.close(replies.BROKEN, "internal error")

    # Hooks -----------------------------------------------------------------------------------------------------------

    def ask(self, then: OnDone, name: str, *args: object) -> None:
        """Call a method of the session, then `then`, now or later."""

        def done(outcome: Outcome) -> None:
            self.is_waiting = False
            then(outcome)
            self._shell.advance()

        self.is_waiting = True  # also while it runs in place, for whatever it may call
        outcome = self._hooks.start(name, args, done)
        if outcome is None:
            self._shell.patience.await_handler()
        else:
            self.is_waiting = False
            then(outcome)

    def _ask_and_answer(self, name: str, *args: object) -> None:
        self.ask(lambda outcome: self.answer(self._hooks.reply_to(name, outcome)), name, *args)

    def answer(self, *answers: Reply | None) -> None:
        """Answer the protocol, if it still asks."""
        if self._core.is_asking:  # else the connection was closed in the meantime
            try:
                self._core.answer(*answers)
            except Exception as error:
                self._break_off(error)

    def answer_lookup(self, record: ScramRecord | Secret | None) -> None:
        """Answer a `LookupAsked`, if the protocol still asks."""
        if self._core.is_asking:
            try:
                self._core.answer_lookup(record)
            except Exception as error:
                self._break_off(error)

    def _on_connect(self, event: ConnectAsked) -> None:
        self._shell.log(logging.INFO, "speaks for %s", self._shell.peer.address)
        if (refusal := self._shell.recount()) is not None:
            self._core.answer(refusal)
        elif "connect" in self._own:
            self.ask(lambda outcome: self.answer(self._hooks.reply_to("connect", outcome, close=True)), "connect")
        else:
            self._core.answer()

    def _on_hello(self, event: HelloAsked) -> None:
        if "hello" in self._own:
            self._ask_and_answer("hello", event.verb, event.name)
        else:
            self._core.answer()

    def _on_mail(self, event: MailAsked) -> None:
        self._transactions += 1
        self._shell.peer.transaction_id = f"{self._shell.peer.id}.{self._transactions}"
        if "mail" in self._own:
            self.ask(self._sender_judged, "mail", event.sender, event.params)
        else:
            self._core.answer()

    def _sender_judged(self, outcome: Outcome) -> None:
        self.answer(self._hooks.reply_to("mail", outcome))
        if not self._core.in_transaction:
            self._shell.peer.transaction_id = None

    def _on_rcpt(self, event: RcptAsked) -> None:
        if "rcpt" in self._own:
            self.ask(lambda outcome: self._recipient_judged(event, outcome), "rcpt", event.recipient, event.params)
        else:
            self._core.answer()

    def _recipient_judged(self, event: RcptAsked, outcome: Outcome) -> None:
        reply = self._hooks.reply_to("rcpt", outcome)
        if reply is not None and reply.code >= 400:
            self._refused += 1
            if self._refused <= _MAX_LOGGED_REFUSALS:
                self._shell.log(logging.INFO, "recipient <%s> refused: %s", _shown(event.recipient), reply)
        self.answer(reply)

    def _on_verb(self, event: VerbAsked) -> None:
        self._ask_and_answer("command", event.verb, event.argument)

    def _on_limit_hit(self, event: LimitHit) -> None:
        self._shell.limit_hit(event.limit, event.value)

    def _on_auth(self, event: AuthAsked) -> None:
        self.logins.check(event)

    def _on_auth_failed(self, event: AuthFailed) -> None:
        self.logins.failed(event)

    def _on_lookup(self, event: LookupAsked) -> None:
        self.logins.look_up(event)

    def _on_reset(self, event: ResetAsked) -> None:
        if self._refused > _MAX_LOGGED_REFUSALS:
            self._shell.log(logging.INFO, "%d more recipients refused", self._refused - _MAX_LOGGED_REFUSALS)
        self._refused = 0
        if "reset" in self._own:
            self.ask(self._was_reset, "reset")
        else:
            self._shell.peer.transaction_id = None
            self._core.answer()

    def _was_reset(self, outcome: Outcome) -> None:
        self._shell.peer.transaction_id = None
        if outcome.error is not None and (refusal := self._hooks.reply_to("reset", outcome, close=True)) is not None:
            self._core.close(refusal, "reset failed")
        else:
            self.answer()

    def _on_starttls(self, event: StartTLSAsked) -> None:
        self._core.answer()
        if self._core.awaits_handshake:
            self._shell.flush()
            self._shell.start_tls()

    def _on_connection_ended(self, event: ConnectionEnded) -> None:
        self._shell.protocol_ended(event)

    # Pauses ----------------------------------------------------------------------------------------------------------

    def pause(self, seconds: float, then: Callable[[], None]) -> None:
        """Do nothing for a while, then `then`; at once when there is nobody any more whom it could teach."""
        if self._is_hurried:
            then()
            return

        def over() -> None:
            self._pause, self.is_waiting = None, False
            then()
            self._shell.advance()

        self.is_waiting = True
        self._pause = self._loop.call_later(seconds, over)

    def end_pause(self) -> None:
        """There is nobody any more whom a pause could teach, or whose login could be checked."""
        self._is_hurried = True
        self.logins.give_up()
        if self._pause is not None:
            self._pause.cancel()
            self._pause, self.is_waiting = None, False
            self.answer()

    def _on_pause(self, event: PauseAsked) -> None:
        self._shell.flush()
        if not self._is_hurried:
            self._shell.patience.await_handler(delay=event.seconds)
        self.pause(event.seconds, self.answer)

    # Messages --------------------------------------------------------------------------------------------------------

    def _on_body_started(self, event: BodyStarted) -> None:
        limits, load = self._core.settings.limits, self._guard.load
        ahead_bytes = limits.body_ahead_bytes
        if load.held_bytes >= limits.spool_total_memory_bytes:
            self._shell.limit_hit("spool_total_memory_bytes", limits.spool_total_memory_bytes)
            ahead_bytes = 1  # straight to the session, which sets the pace
        self._delivery = Delivery(ahead_bytes, self._loop, self._start_data, self._delivery_ready, load.hold)
        self._content_command = event.command
        self._verdicts = self._shell.peer.verdicts = Verdicts(self._core.recipients, self._verdict_given)
        self._shell.patience.begin_content()

    def _start_data(self, body: Body, on_done: OnDone) -> Outcome | None:
        return self._hooks.start("data", (body,), on_done)

    def _on_body_received(self, event: BodyReceived) -> None:
        if not self._current.feed(event.data):
            self._wait_for_delivery(None)

    def _on_chunk_ended(self, event: ChunkEnded) -> None:
        self._when(self._current.end_chunk(), self._answer_chunk)

    def _on_body_ended(self, event: BodyEnded) -> None:
        is_decided = self._current.finish()
        if not is_decided:
            self._tell_verdicts()
        self._when(is_decided, self._conclude)

    def _verdict_given(self) -> None:
        """It leaves at once where nothing but verdicts is waited for; else with what the connection sends next."""
        if self._then == self._conclude and self._tell_verdicts():
            self._shell.flush()
            self._shell.patience.await_verdict()

    def _tell_verdicts(self) -> bool:
        """Answer for as many recipients as can be; whether there were any."""
        core, count = self._core, 0
        if core.is_asking and core.settings.dialect.verdict_per_recipient:
            while (verdict := self._verdicts.take_next()) is not None:
                core.answer_next(verdict)
                count += 1
        return count > 0

    def _on_body_aborted(self, event: BodyAborted) -> None:
        text = "%s in %s after %d octets: nothing is stored"
        self._shell.log(logging.INFO, text, event.cause.value, self._content_command, event.size)
        if self._delivery is not None:  # else it was concluded, but the connection closed before that could be said
            self._when(self._delivery.abort(event.cause), self._forget_delivery)

    @property
    def _current(self) -> Delivery:
        assert self._delivery is not None  # noqa: S101 - BodyStarted comes first
        return self._delivery

    def _when(self, is_ready: bool, then: Callable[[], None]) -> None:
        if is_ready:
            then()
        else:
            self._wait_for_delivery(then)

    def _wait_for_delivery(self, then: Callable[[], None] | None) -> None:
        self.is_waiting = True
        self._then = then
        self._shell.patience.await_verdict()

    def _delivery_ready(self) -> None:
        self.is_waiting = False
        then, self._then = self._then, None
        if then is not None:
            then()
        self._shell.advance()

    def _answer_chunk(self) -> None:
        """A refusal comes with the chunk it is about, unless recipients have verdicts of their own."""
        outcome = self._current.outcome
        refusal = None
        if outcome is not None and not isinstance(outcome.value, Mapping) and not self._verdicts.is_used:
            reply = self._hooks.reply_to("data", outcome)
            refusal = reply if reply is not None and reply.code >= 400 else None
            self._current.is_reported = refusal is not None
        self.answer(refusal)

    def _forget_delivery(self) -> None:
        outcome = self._current.outcome
        reported = self._current.is_reported
        self._delivery = self._shell.peer.verdicts = None
        if outcome is not None and not reported and not isinstance(outcome.error, TransferAborted | Reject | None):
            self._hooks.reply_to("data", outcome)

    def _conclude(self) -> None:
        delivery, core = self._current, self._core
        self._delivery = self._shell.peer.verdicts = None
        recipients, sender = core.recipients, core.sender
        rest = self._hooks.verdicts_of(delivery.outcome or Outcome(None, None), recipients)
        verdicts = self._verdicts.completed(rest)
        if not core.settings.dialect.verdict_per_recipient:
            verdicts = [_worst(verdicts)]
        is_heard = core.is_asking and self._shell.has_peer
        self.answer(*verdicts)
        if _log.isEnabledFor(logging.INFO):
            text = "message from <%s> to %d recipients, %d octets: %s"
            self._shell.log(logging.INFO, text, _shown(sender), len(recipients), delivery.size, _summary(verdicts))
            if not is_heard:
                self._shell.log(logging.INFO, "client gone before reply")

    _HANDLERS: ClassVar[Mapping[type[Any], Callable[[Any, Any], None]]] = {
        ConnectAsked: _on_connect,
        HelloAsked: _on_hello,
        LimitHit: _on_limit_hit,
        AuthAsked: _on_auth,
        AuthFailed: _on_auth_failed,
        LookupAsked: _on_lookup,
        MailAsked: _on_mail,
        RcptAsked: _on_rcpt,
        BodyStarted: _on_body_started,
        BodyReceived: _on_body_received,
        ChunkEnded: _on_chunk_ended,
        BodyEnded: _on_body_ended,
        BodyAborted: _on_body_aborted,
        ResetAsked: _on_reset,
        StartTLSAsked: _on_starttls,
        VerbAsked: _on_verb,
        PauseAsked: _on_pause,
        ConnectionEnded: _on_connection_ended,
    }


def _worst(verdicts: list[Reply | None]) -> Reply | None:
    """Where one reply speaks for all recipients, it is a refusal if there is one: a message twice, but none lost."""
    refusals = [verdict for verdict in verdicts if verdict is not None and verdict.code >= 400]
    return refusals[0] if refusals else verdicts[0]


def _summary(verdicts: list[Reply | None]) -> str:
    each = [verdict or replies.MESSAGE_OK for verdict in verdicts]
    return str(each[0]) if len(each) == 1 else " ".join(str(verdict.code) for verdict in each)


def _shown(address: object) -> str:
    return escape(str(address), max_chars=_MAX_LOGGED_ADDRESS)
