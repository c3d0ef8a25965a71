"""One connection: sockets to protocol, protocol to session, answers back. Knows time; knows no rule of SMTP.

All replies to one read leave in one write. Session hooks that do not wait run in place; while one waits, input is kept
up to a bound and then not read any more.
"""

import asyncio
import logging
import secrets
import socket
import ssl
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from smtpx.errors import TLSError
from smtpx.net.aio import Wire
from smtpx.protocol import replies
from smtpx.protocol.events import (
    AbortCause,
    AuthAsked,
    AuthFailed,
    BodyAborted,
    BodyEnded,
    BodyReceived,
    BodyStarted,
    ChunkEnded,
    ConnectionEnded,

    HelloAsked,
    LookupAsked,
    MailAsked,
    PauseAsked,
    RcptAsked,
    ResetAsked,
    StartTLSAsked,
    VerbAsked,
)
from smtpx.protocol.facts import TLSFacts
from smtpx.protocol.phases import Phase
from smtpx.protocol.server import ServerProtocol
from smtpx.sasl import ScramRecord, Secret
from smtpx.server.body import Body, TransferAborted
from smtpx.server.guard import Guard
from smtpx.server.inline import InlineRunner, Outcome
from smtpx.server.peer import Peer
from smtpx.server.session import Reject, Session
from smtpx.server.settings import ShellSettings
from smtpx.wire.reply import Reply

__all__ = ["Connection", "Owner"]

_log = logging.getLogger("smtpx.server")
_EVENTS_PER_FLUSH = 64
_LINGER_SECONDS = 2.0
_INTERNAL_ERROR = "internal error; reference"
_overridden: dict[type[Session], frozenset[str]] = {}


def _hooks_of(kind: type[Session]) -> frozenset[str]:
    """The methods a session class has of its own: the others need not be called."""
    if kind not in _overridden:
        names = ("connect", "hello", "authenticate", "lookup", "mail", "rcpt", "data", "command", "reset", "close")
        _overridden[kind] = frozenset(name for name in names if getattr(kind, name) is not getattr(Session, name))
    return _overridden[kind]


class Owner(Protocol):
    """Whom a connection tells of its end."""

    def connection_closed(self, connection: "Connection") -> None: ...


class Connection(Wire):
    """A client of ours.

    Args:
        session: made for this connection.
        tls: the context for STARTTLS or implicit TLS; None: neither.
        implicit_tls: TLS from the first octet.
    """

    def __init__(
        self,
        settings: ShellSettings,
        session: Session,
        guard: Guard,
        owner: Owner,
        *,
        tls: ssl.SSLContext | None,
        implicit_tls: bool,
    ) -> None:
        super().__init__()
        self._settings = settings
        self._deadlines = settings.deadlines
        self._limits = settings.protocol.limits
        self._loop = asyncio.get_running_loop()
        self._core = ServerProtocol(settings.protocol)
        self._session = session
        self._hooks = _hooks_of(type(session))
        self._guard = guard
        self._owner = owner
        self._tls_context = tls
        self._implicit_tls = implicit_tls
        self._runner: InlineRunner | None = None
        self._body: Body | None = None
        self._data: Outcome | None = None  # what became of the session's `data`
        self._data_runs = False
        self._when_data_done: Callable[[], None] | None = None
        self._chunk_waits = False
        self._waiting = False  # for a hook, a pause, a verdict
        self._pause: asyncio.TimerHandle | None = None
        self._reading_paused = False
        self._greeted = False
        self._ended = False  # the peer sends nothing more
        self._lost = False  # nothing can be sent either
        self._closing = False
        self._draining = False
        self._timer: asyncio.TimerHandle | None = None
        self._deadline_at = 0.0
        self._deadline_for = ""
        self._auth_until = 0.0
        self._budget = 0.0
        self._budget_at = 0.0
        self._unsent = 0
        self._references = 0

    # From asyncio and from the wire ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=self._limits.max_unsent_bytes)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.peer = self._session.peer = Peer(secrets.token_hex(4), transport.get_extra_info("peername"), self._core)
        self._log(logging.DEBUG, "connected")
        if self._implicit_tls and self._tls_context is not None:
            self._arm("tls", self._deadlines.tls_handshake)
            self.begin_tls(self._tls_context, server_side=True)
        else:
            self._welcome()

    def octets_received(self, data: bytes) -> None:
        if self._closing:
            return
        core = self._core
        core.receive_data(data)
        if core.in_message:
            self._refill(len(data))
        if self._waiting or self.is_paused:
            self._bound_input()
        else:
            self._advance()

    def peer_ended(self) -> None:
        self._ended = True
        if self._closing:
            self.transport.close()
        elif not self._waiting:
            self._advance()

    def tls_ready(self, facts: TLSFacts) -> None:
        self._core.tls_started(facts)
        self._log(logging.DEBUG, "TLS %s %s", facts.version, facts.cipher)
        if self._greeted:
            self._arm("command", self._deadlines.command)
        else:
            self._welcome()

    def tls_failed(self, error: TLSError) -> None:
        self._log(logging.INFO, "%s", error)
        self._give_up("TLS handshake failed")

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = self._ended = True
        self._cancel_pause()
        if not self._waiting:
            self._advance()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent = self.transport.get_write_buffer_size()
        self._arm("write", self._deadlines.write)
        self._pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self._closing:
            self._arm("command", self._deadlines.command)
            if not self._waiting:
                self._advance()

    # What the server calls -------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Finish what is under way and close as soon as nothing is (RFC 5321 3.8)."""
        self._draining = True
        if self._waiting or self._closing:
            return
        if self._core.in_transaction and not self._core.in_message:
            self._loop.call_later(self._deadlines.drain_envelope, self._drain_envelope)
        self._advance()

    def _drain_envelope(self) -> None:
        if not self._core.in_message and not self._closing and not self._waiting:
            self._core.close(replies.SHUTTING_DOWN, "drained")
            self._advance()

    def shut_down(self) -> None:
        """End it now: what waits is cancelled."""
        if self._closing:
            self.transport.abort()
            return
        self._cancel_pause()
        if self._runner is not None and self._runner.is_busy:
            self._runner.cancel()
        self._core.close(replies.SHUTTING_DOWN, "shut down")
        if not self._waiting:
            self._advance()

    # The loop --------------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Work on everything that can be worked on now, then send all replies at once."""
        core, handlers = self._core, _HANDLERS
        count = 0
        while not self._waiting and not self.is_paused:
            event = core.next_event()
            if event is None:
                if not self._is_over():
                    break
            else:
                handlers[type(event)](self, event)
                count += 1
                if count % _EVENTS_PER_FLUSH == 0:
                    self._flush()
        self._flush()
        if self._waiting or self.is_paused:
            self._bound_input()
        elif self._reading_paused and not self._closing:
            self._reading_paused = False
            self.transport.resume_reading()

    def _is_over(self) -> bool:
        """Nothing more to do with what is here: see whether that was all; True if that made an event."""
        core = self._core
        if core.phase is Phase.CLOSED or self._closing or core.is_asking:
            return False
        if self._lost:
            core.close(None, f"connection lost in phase {core.phase.value}", AbortCause.LOST)
        elif self._ended:
            core.receive_eof()
        elif self._draining and not core.in_transaction and not core.in_message and core.phase is not Phase.TLS:
            core.close(replies.SHUTTING_DOWN, "drained")
        else:
            self._await_command()
            return False
        return True

    def _flush(self) -> None:
        if octets := self._core.data_to_send():
            if self._deadline_for == "command":
                self._arm("command", self._deadlines.command)
            if not self._lost:
                self._send(octets)

    def _send(self, octets: bytes) -> None:
        try:
            self.write(octets)
        except TLSError as error:
            self._log(logging.INFO, "%s", error)
            self.transport.abort()

    def _await_command(self) -> None:
        if self._core.in_message:
            return
        if self._core.phase is Phase.AUTH:
            now = self._loop.time()
            if self._deadline_for != "auth":
                self._auth_until = now + self._deadlines.auth_exchange
            self._arm("auth", min(self._deadlines.auth_step, self._auth_until - now))
        elif self._deadline_for not in ("command", "tls"):
            self._arm("command", self._deadlines.command)

    def _bound_input(self) -> None:
        if self._core.unread_bytes > self._limits.max_unread_bytes:
            self._pause_reading()

    def _pause_reading(self) -> None:
        if not self._reading_paused and not self._lost and not self._closing:
            self._reading_paused = True
            self.transport.pause_reading()

    # Beginning and end -----------------------------------------------------------------------------------------------

    def _welcome(self) -> None:
        delay = self._settings.greeting_delay_seconds
        self._arm("command", self._deadlines.command + delay)
        if delay > 0:
            self._waiting = True
            self._pause = self._loop.call_later(delay, self._delay_over)
        else:
            self._connect()

    def _delay_over(self) -> None:
        self._pause, self._waiting = None, False
        if self._core.has_input:
            self._greet(replies.OUT_OF_TURN)
        else:
            self._connect()

    def _connect(self) -> None:
        if "connect" not in self._hooks:
            self._greet(None)
        else:
            self._hook(self._session.connect(), self._connected)

    def _connected(self, outcome: Outcome) -> None:
        refusal = self._reply(outcome, "connect", close=True)
        self._greet(refusal if refusal is not None and refusal.code >= 400 else None)

    def _greet(self, refusal: Reply | None) -> None:
        self._greeted = True
        self._core.greet(refusal)
        self._advance()

    def _give_up(self, reason: str) -> None:
        """Close without another octet."""
        self._lost = True
        self.transport.abort()
        self._core.close(None, reason, AbortCause.LOST)
        if not self._waiting:
            self._advance()

    def _connection_ended(self, event: ConnectionEnded) -> None:
        self._log(logging.DEBUG if event.expected else logging.INFO, "closing: %s", event.reason)
        self._flush()
        self._closing = True
        self._disarm()
        if "close" in self._hooks:
            self._hook(self._session.close(), self._session_closed)
        else:
            self._session_closed(Outcome(None, None))

    def _session_closed(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self._reply(outcome, "close")
        self._closing = True
        if self._runner is not None:
            self._runner.stop()
        self._owner.connection_closed(self)
        if self._lost:
            return
        if self._ended or self._guard.connections > self._limits.max_connections * 4 // 5:
            self.end()
        else:
            self._linger()

    def _linger(self) -> None:
        """End our direction and wait a moment for the peer's: a close with input unread would destroy the last reply."""
        layer = self.tls_layer
        if layer is not None:
            layer.close()
            self._flush_tls()
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()
        if self._reading_paused:
            self.transport.resume_reading()
        self._timer = self._loop.call_later(_LINGER_SECONDS, self.transport.abort)

    # Hooks -----------------------------------------------------------------------------------------------------------

    def _run(self, coroutine: Coroutine[Any, Any, Any], on_done: Callable[[Outcome], None]) -> Outcome | None:
        if self._runner is None:
            self._runner = InlineRunner(self._loop)
        return self._runner.run(coroutine, on_done)

    def _hook(self, coroutine: Coroutine[Any, Any, Any], then: Callable[[Outcome], None]) -> None:
        """Run a hook, then `then`, now or later."""

        def done(outcome: Outcome) -> None:
            self._waiting = False
            then(outcome)
            self._advance()

        outcome = self._run(coroutine, done)
        if outcome is None:
            self._waiting = True
            self._arm("handler", self._deadlines.handler)
        else:
            then(outcome)

    def _ask(self, name: str, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._hook(coroutine, lambda outcome: self._answer(self._reply(outcome, name)))

    def _answer(self, *answers: Reply | None) -> None:
        if self._core.is_asking:
            self._core.answer(*answers)

    def _reply(self, outcome: Outcome, name: str, *, close: bool = False) -> Reply | None:
        """What a hook's outcome means. An exception's text stays here."""
        value, error = outcome
        if error is None:
            if value is None or isinstance(value, Reply):
                return value
            error = TypeError(f"{name} returned {type(value).__name__}, not a Reply or None")
        if isinstance(error, Reject):
            return error.reply
        code = 421 if close else 451
        if isinstance(error, asyncio.CancelledError):
            self._log(logging.ERROR, "%s took too long and was cancelled", name)
            return replies.make(code, "4.3.0", "took too long; try again later")
        self._references += 1
        reference = f"{self.peer.id}-{self._references}"
        self._log(logging.ERROR, "%s raised (reference %s)", name, reference, error=error)
        return replies.make(code, "4.3.0", f"{_INTERNAL_ERROR} {reference}")

    def _on_hello(self, event: HelloAsked) -> None:
        if "hello" in self._hooks:
            self._ask("hello", self._session.hello(event.verb, event.name))
        else:
            self._core.answer()

    def _on_mail(self, event: MailAsked) -> None:
        if "mail" in self._hooks:
            self._ask("mail", self._session.mail(event.sender, event.params))
        else:
            self._core.answer()

    def _on_rcpt(self, event: RcptAsked) -> None:
        if "rcpt" in self._hooks:
            self._ask("rcpt", self._session.rcpt(event.recipient, event.params))
        else:
            self._core.answer()

    def _on_verb(self, event: VerbAsked) -> None:
        self._ask("command", self._session.command(event.verb, event.argument))

    def _on_auth(self, event: AuthAsked) -> None:
        if not self._guard.may_authenticate(self.peer.address, self._loop.time()):
            self._log(logging.WARNING, "too many failed logins from this network")
            self._core.answer(replies.CANNOT_AUTHENTICATE_NOW)
            return
        self._hook(self._session.authenticate(event.credentials), lambda outcome: self._judged(event, outcome))

    def _judged(self, event: AuthAsked, outcome: Outcome) -> None:
        verdict = self._reply(outcome, "authenticate") or replies.AUTHENTICATED
        if verdict.code >= 500:
            self._guard.count_failure(self.peer.address, self._loop.time())
            self._log(logging.INFO, "login failed with %s", event.credentials.mechanism)
        elif verdict.code >= 400 and outcome.error is not None and not isinstance(outcome.error, Reject):
            verdict = replies.CANNOT_AUTHENTICATE_NOW
        self._answer(verdict)

    def _on_auth_failed(self, event: AuthFailed) -> None:
        self._guard.count_failure(self.peer.address, self._loop.time())
        self._log(logging.INFO, "login failed with %s", event.mechanism)

    def _on_lookup(self, event: LookupAsked) -> None:
        if not self._guard.may_authenticate(self.peer.address, self._loop.time()):
            self._log(logging.WARNING, "too many failed logins from this network")
            self._core.answer(replies.CANNOT_AUTHENTICATE_NOW)
            return
        self._hook(self._session.lookup(event.mechanism, event.username), self._looked_up)

    def _looked_up(self, outcome: Outcome) -> None:
        value, error = outcome
        if not self._core.is_asking:
            return
        if error is None and (value is None or isinstance(value, ScramRecord | Secret)):
            self._core.answer_lookup(value)
            return
        error = error or TypeError(f"lookup returned {type(value).__name__}, not a record or None")
        refusal = self._reply(Outcome(None, error), "lookup")
        if refusal is not None and refusal.code >= 500:
            self._guard.count_failure(self.peer.address, self._loop.time())
        self._core.answer(refusal if isinstance(error, Reject) else replies.CANNOT_AUTHENTICATE_NOW)

    def _on_reset(self, event: ResetAsked) -> None:
        self._body = None
        if "reset" in self._hooks:
            self._hook(self._session.reset(), self._was_reset)
        else:
            self._core.answer()

    def _was_reset(self, outcome: Outcome) -> None:
        if outcome.error is not None and (refusal := self._reply(outcome, "reset", close=True)) is not None:
            self._core.close(refusal, "reset failed")
        else:
            self._answer()

    def _on_starttls(self, event: StartTLSAsked) -> None:
        self._core.answer()
        if self._core.phase is Phase.TLS and self._tls_context is not None:
            self._flush()
            self._arm("tls", self._deadlines.tls_handshake)
            self.begin_tls(self._tls_context, server_side=True)

    def _on_pause(self, event: PauseAsked) -> None:
        self._waiting = True
        self._flush()
        self._arm("handler", self._deadlines.handler + event.seconds)
        self._pause = self._loop.call_later(event.seconds, self._pause_over)

    def _pause_over(self) -> None:
        self._pause, self._waiting = None, False
        self._answer()
        self._advance()

    def _cancel_pause(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause, self._waiting = None, False
            self._answer()

    # Messages --------------------------------------------------------------------------------------------------------

    def _on_body_started(self, event: BodyStarted) -> None:
        self._body = Body(self._body_taken)
        self._data, self._data_runs, self._when_data_done = None, False, None
        self._budget, self._budget_at = self._deadlines.data, self._loop.time()
        self._arm("data", self._budget)

    def _refill(self, received: int) -> None:
        """The data budget: time takes from it, content adds to it (the rule Postfix documents)."""
        now = self._loop.time()
        earned = received / self._deadlines.min_data_rate
        self._budget = min(self._budget - (now - self._budget_at) + earned, self._deadlines.data)
        self._budget_at = now
        if self._deadline_for == "data":
            self._arm("data", self._budget)

    def _on_body_received(self, event: BodyReceived) -> None:
        body = self._body
        if body is None or self._data is not None:
            return  # the session has its verdict already: the rest is only read
        body.feed(event.data)
        if body.buffered_bytes >= self._limits.body_ahead_bytes:
            self._start_data()
            if self._data is None and body.buffered_bytes >= self._limits.body_ahead_bytes:
                self._pause_reading()
                self._hold_body()

    def _hold_body(self) -> None:
        """The session is slower than the peer: stop working on input until it has caught up."""
        self._waiting = True
        self._arm("handler", self._deadlines.final)

    def _body_taken(self) -> None:
        """The session took a piece, or waits for one; called from inside its coroutine, so nothing is done here."""
        body = self._body
        if body is None or not self._waiting or self._when_data_done is not None:
            return
        if self._chunk_waits and body.is_wanted:
            self._loop.call_soon(self._chunk_taken)
        elif not self._chunk_waits and body.buffered_bytes < self._limits.body_ahead_bytes:
            self._loop.call_soon(self._body_caught_up)

    def _body_caught_up(self) -> None:
        if self._waiting and not self._chunk_waits and self._when_data_done is None and self._data is None:
            self._waiting = False
            self._budget_at = self._loop.time()
            self._arm("data", self._budget)
            self._advance()

    def _start_data(self) -> None:
        body = self._body
        if body is None or self._data_runs or self._data is not None:
            return
        self._data_runs = True
        outcome = self._run(self._session.data(body), self._data_done)
        if outcome is not None:
            self._take_outcome(outcome)

    def _take_outcome(self, outcome: Outcome) -> None:
        self._data_runs, self._data = False, outcome
        if self._body is not None:
            self._body.drop()

    def _data_done(self, outcome: Outcome) -> None:
        self._take_outcome(outcome)
        then, self._when_data_done = self._when_data_done, None
        if self._waiting:
            self._waiting = False
            if then is not None:
                then()
            elif self._chunk_waits:
                self._answer_chunk()
            self._advance()

    def _on_chunk_ended(self, event: ChunkEnded) -> None:
        """A chunk is answered once the session has taken it, so a refusal comes with the chunk it is about."""
        self._start_data()
        if self._data is not None or (self._body is not None and self._body.is_wanted):
            self._answer_chunk()
        else:
            self._chunk_waits = self._waiting = True
            self._arm("handler", self._deadlines.final)

    def _chunk_taken(self) -> None:
        if self._chunk_waits and self._waiting:
            self._waiting = False
            self._budget_at = self._loop.time()
            self._answer_chunk()
            self._advance()

    def _answer_chunk(self) -> None:
        self._chunk_waits = False
        refusal = self._reply(self._data, "data") if self._data is not None and self._data.error is not None else None
        self._answer(refusal)
        if self._core.in_message:
            self._arm("data", self._budget)

    def _on_body_ended(self, event: BodyEnded) -> None:
        if self._body is not None:
            self._body.finish()
        self._start_data()
        self._after_data(self._conclude, self._deadlines.final)

    def _on_body_aborted(self, event: BodyAborted) -> None:
        self._log(logging.INFO, "message given up after %d octets: %s", event.size, event.cause.value)
        if self._body is not None:
            self._body.abort(event.cause)
        self._start_data()
        self._after_data(self._forget_body, self._deadlines.handler)

    def _after_data(self, then: Callable[[], None], seconds: float) -> None:
        if self._data is not None:
            then()
            return
        self._waiting = True
        self._when_data_done = then
        self._flush()
        self._arm("handler", seconds)

    def _forget_body(self) -> None:
        outcome = self._data
        if outcome is not None and not isinstance(outcome.error, TransferAborted | Reject | None):
            self._reply(outcome, "data")
        self._body = None

    def _conclude(self) -> None:
        outcome, core = self._data or Outcome(None, None), self._core
        verdicts = self._verdicts(outcome)
        sender, size = core.sender, self._body.size if self._body else 0
        count = len(core.recipients)
        self._answer(*verdicts)
        reply = verdicts[0] if verdicts and verdicts[0] else replies.MESSAGE_OK
        self._log(logging.INFO, "message from <%s> to %d recipients, %d octets: %s", sender, count, size, reply)
        if self._lost:
            self._log(logging.INFO, "client gone before reply")

    def _verdicts(self, outcome: Outcome) -> list[Reply | None]:
        if outcome.error is None and isinstance(outcome.value, Mapping):
            by_address = {str(address): reply for address, reply in outcome.value.items()}
            missing = replies.make(451, "4.3.0", "no verdict")
            return [by_address.get(str(recipient), missing) for recipient in self._core.recipients]
        return [self._reply(outcome, "data")]

    # Time: one timer for each connection, moved along lazily ----------------------------------------------------------

    def _arm(self, what: str, seconds: float) -> None:
        self._deadline_for = what
        self._deadline_at = self._loop.time() + max(seconds, 0)
        if self._timer is None or self._timer.when() > self._deadline_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(self._deadline_at, self._tick)

    def _disarm(self) -> None:
        self._deadline_for = ""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        if not self._deadline_for:
            return
        if self._loop.time() < self._deadline_at:
            self._timer = self._loop.call_at(self._deadline_at, self._tick)
        else:
            self._expired(self._deadline_for)

    def _expired(self, what: str) -> None:
        if what == "handler":
            if self._runner is not None:
                self._runner.cancel()
        elif what == "write" and 0 < self.transport.get_write_buffer_size() < self._unsent:
            self._unsent = self.transport.get_write_buffer_size()
            self._arm("write", self._deadlines.write)
        elif what in ("write", "tls"):
            self._log(logging.INFO, "deadline passed: %s", what)
            self._give_up(f"deadline passed: {what}")
        else:
            self._core.expire()
            if not self._waiting:
                self._advance()

    def _log(self, level: int, text: str, *args: object, error: BaseException | None = None) -> None:
        if _log.isEnabledFor(level):
            extra = {"connection": self.peer.id, "peer": self.peer.address}
            _log.log(level, "[%s] " + text, self.peer.id, *args, exc_info=error, extra=extra)


_HANDLERS: Mapping[type[Any], Callable[[Connection, Any], None]] = {
    HelloAsked: Connection._on_hello,
    AuthAsked: Connection._on_auth,
    AuthFailed: Connection._on_auth_failed,
    LookupAsked: Connection._on_lookup,
    MailAsked: Connection._on_mail,
    RcptAsked: Connection._on_rcpt,
    BodyStarted: Connection._on_body_started,
    BodyReceived: Connection._on_body_received,
    ChunkEnded: Connection._on_chunk_ended,
    BodyEnded: Connection._on_body_ended,
    BodyAborted: Connection._on_body_aborted,
    ResetAsked: Connection._on_reset,
    StartTLSAsked: Connection._on_starttls,
    VerbAsked: Connection._on_verb,
    PauseAsked: Connection._on_pause,
    ConnectionEnded: Connection._connection_ended,
}
