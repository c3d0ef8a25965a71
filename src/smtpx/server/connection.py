"""One connection: octets to the protocol, answers back, and how long each may take. Knows no rule of SMTP.

All replies to one read leave in one write. Session hooks that do not wait run in place; while one waits, input is kept
up to a bound and then not read any more.
"""

import asyncio
import contextlib
import logging
import secrets
import socket
import ssl
from collections.abc import Callable
from typing import Protocol

from smtpx.errors import TLSError
from smtpx.extensions.trusted_peers import UNKNOWN
from smtpx.net.aio import Wire
from smtpx.protocol import replies
from smtpx.protocol.events import AbortCause, ConnectionEnded
from smtpx.protocol.facts import TLSFacts
from smtpx.protocol.server import ServerProtocol
from smtpx.server.exchange import Exchange
from smtpx.server.guard import Guard, Refusal
from smtpx.server.hooks import Hooks
from smtpx.server.inline import Outcome
from smtpx.server.patience import Alarm, Due, Patience
from smtpx.server.peer import Peer, SocketName
from smtpx.server.session import Session
from smtpx.server.settings import ShellSettings
from smtpx.server.telling import Teller
from smtpx.server.watch import WatchedHooks, watch_for
from smtpx.wire.reply import Reply

__all__ = ["Connection", "Owner"]

_EVENTS_PER_TURN = 64  # then the other connections have theirs: much can stand in one read
_PARTING_SECONDS = 0.2  # for whoever was only told that we stop: it is not in the middle of saying something
_STOPPING_SECONDS = 2.0


class Owner(Protocol):
    """Whom a connection tells of its end."""

    def connection_closed(self, connection: "Connection") -> None:
        """Called once, when session and socket are closed."""
        ...

    def move(self, address: str) -> Refusal | None:
        """Count it for another address, that it speaks for; or why it is refused."""
        ...


class Connection(Wire):
    """A client of ours.

    Args:
        session: made for this connection.
        name: what `accept` called the peer.
        tls: gives the context for STARTTLS or implicit TLS when it begins; None: neither.
        implicit_tls: TLS from the first octet.
        is_known: it need not wait for the greeting.
    """

    def __init__(
        self,
        settings: ShellSettings,
        session: Session,
        guard: Guard,
        owner: Owner,
        *,
        name: SocketName,
        tls: Callable[[], ssl.SSLContext | None],
        implicit_tls: bool,
        early: bytes = b"",
        is_known: bool = False,
    ) -> None:
        super().__init__()
        self._calm = settings
        settings = settings.at(pressure=guard.load.is_high)
        self._settings = settings
        self._limits = settings.protocol.limits
        self._loop = asyncio.get_running_loop()
        self._core = ServerProtocol(settings.protocol)
        self._guard = guard
        self._owner = owner
        self._tls_context = tls
        self._implicit_tls = implicit_tls
        self._early = early
        self.peer = session.peer = Peer(secrets.token_hex(4), name, self._core)
        teller = Teller(self.peer, settings.observer)
        self.log, self.limit_hit, self._tell = teller.log, teller.limit_hit, teller.tell
        self._teller = teller
        self.patience = Patience(
            settings.deadlines, self._loop, self._expired, session_seconds=self._limits.max_session_seconds
        )
        watch = watch_for(settings, self._core, self.peer, self.log, self._loop.time())
        self._watch = teller.watch = self._core.watcher = watch
        if watch is None:
            self._hooks = Hooks(session, self._loop, self.log, self.peer.id)
        else:
            self._hooks = WatchedHooks(session, self._loop, self.log, watch)
        self._exchange = Exchange(self._core, self._hooks, guard, self, watch)
        self._write_alarm: Alarm | None = None
        self._unsent = 0  # what the peer had not taken when we last looked
        self._advancing = False
        self._replied = False  # since the deadline for input was set
        self._reading_paused = False
        self._is_known = is_known
        self._was_heard = False  # it sent an octet, be it not SMTP
        self._greeted = False
        self._ended = False  # the peer sends nothing more
        self._lost = False  # nothing can be sent either
        self._gone = False  # the socket is closed
        self._closing = False  # the protocol is over
        self._session_closed = False
        self._released = False  # the owner was told
        self._drain_until: float | None = None
        self._stopping = False
        self._ignores_cancel = False  # a method of the session did so

    # From asyncio and from the wire ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=self._limits.max_unsent_bytes)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            with contextlib.suppress(OSError):  # gone already
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.log(logging.DEBUG, "connected")
        if self._implicit_tls:
            self.start_tls()
        else:
            self._welcome()
        if self._early:
            self.raw_received(self._early)

    def raw_received(self, data: bytes) -> None:
        self._was_heard = True
        super().raw_received(data)

    def octets_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._watch is not None:
            self._watch.octets_in += len(data)
        core = self._core
        core.receive_data(data)
        if core.in_message:
            self.patience.earn(len(data))
        if self._exchange.is_waiting or self.is_paused:
            self._bound_input()
        else:
            self.advance()

    def peer_ended(self) -> None:
        self._ended = True
        if self._closing:
            self.transport.close()
        else:
            self._look_again()

    def tls_ready(self, facts: TLSFacts) -> None:
        self._core.tls_started(facts)
        self.patience.clear()
        self.log(logging.DEBUG, "TLS %s %s", facts.version, facts.cipher)
        self._tell("tls_started", facts)
        if self._greeted:
            self.advance()
        else:
            self._welcome()

    def tls_failed(self, error: TLSError) -> None:
        self.log(logging.INFO if self._was_heard else logging.DEBUG, "%s", error)
        self._tell("tls_failed", error.reason)
        self._give_up("TLS failed")

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        self._lose()
        self._exchange.end_pause()
        self._look_again()
        self._release()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent = self.transport.get_write_buffer_size()
        if self._write_alarm is None:
            self._write_alarm = Alarm(self._loop, self._expired)
        self._write_alarm.set(Due.WRITE, self._settings.deadlines.write)
        if not self._exchange.is_waiting and not self._closing:
            self.patience.clear()  # who is not read to can't be late
        self._pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_alarm is not None:
            self._write_alarm.clear()
        self._look_again()

    # What the server calls -------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Finish what is under way and close as soon as nothing is (RFC 5321 3.8)."""
        if self._drain_until is None:
            seconds = self._settings.deadlines.drain_envelope
            self._drain_until = self._loop.time() + seconds
            self._loop.call_later(seconds, self._look_again)
        self._look_again()

    def shut_down(self) -> None:
        """End it now: what waits is cancelled, then the session is closed."""
        self._stopping = True
        if self._session_closed:
            self.transport.abort()
        elif not self._closing:
            self.is_paused = False  # a peer that does not read is not waited for
            self._exchange.end_pause()
            self._hooks.cancel(replies.SHUTTING_DOWN, everything=True)
            self._look_again()

    def abandon(self) -> None:
        """Forget a session that does not let itself be ended."""
        self.log(logging.ERROR, "the session ignores that it is cancelled, and is abandoned")
        self._session_closed = True
        self._hooks.cancel(replies.SHUTTING_DOWN, everything=True)
        self._hooks.stop()
        self._give_up("abandoned")
        self._release()

    def feel_pressure(self) -> None:
        """The server is nearly full, or not any more: other limits and deadlines hold, for what is waited for too."""
        self._settings = settings = self._calm.at(pressure=self._guard.load.is_high)
        self._limits = settings.protocol.limits
        self._core.settings = settings.protocol
        self.patience.follow(settings.deadlines, self._limits.max_session_seconds)

    @property
    def has_peer(self) -> bool:
        """Whether the client may still be there: nothing was heard of its end."""
        return not self._ended

    @property
    def is_stuck(self) -> bool:
        """Whether a method of the session goes on although it was cancelled, and a whole deadline ago."""
        return self._ignores_cancel and self._hooks.is_cancelled and self._exchange.is_waiting

    # The loop --------------------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Work on what can be worked on now, for a turn, then send all replies at once."""
        if self._advancing:
            return  # called by a hook that runs in place: the loop below goes on with whatever has changed
        self._advancing = True
        core, exchange = self._core, self._exchange
        count = 0
        while not exchange.is_waiting and not self.is_paused and count < _EVENTS_PER_TURN:
            if self._stopping and not core.is_asking:
                core.close(replies.SHUTTING_DOWN, "shut down")
            event = exchange.next_event()
            if event is not None:
                exchange.handle(event)
                count += 1
            elif not self._is_over():
                break
        self.flush()
        self._advancing = False
        if exchange.is_waiting or self.is_paused:
            self._bound_input()
        elif count == _EVENTS_PER_TURN:
            if self._replied:
                self.patience.clear()  # it waits for us
            self._bound_input()
            self._loop.call_soon(self._look_again)
        elif not self._closing:
            self._await_input()

    def _look_again(self) -> None:
        if not self._exchange.is_waiting and not self._closing:
            self.advance()

    def _is_over(self) -> bool:
        """Nothing more to do with what is here: see whether that was all; True if that made an event."""
        core = self._core
        if core.is_closed:
            return False
        if self._lost:
            reason = f"connection lost in phase {core.phase.value}"
            core.close(None, reason, AbortCause.LOST, expected=not core.in_message)
        elif self._ended:
            core.receive_eof()
        elif self._is_drained():
            core.close(replies.SHUTTING_DOWN, "drained")
        else:
            return False
        return True

    def _is_drained(self) -> bool:
        core = self._core
        if self._drain_until is None or core.in_message:
            return False
        is_idle = not core.in_transaction and not core.awaits_handshake
        return is_idle or self._loop.time() >= self._drain_until

    def flush(self) -> None:
        """Send what the protocol has to say."""
        octets = self._core.data_to_send()
        if not octets:
            return
        self._replied = True
        if self._watch is not None:
            self._watch.octets_out += len(octets)
        layer = self.tls_layer
        if self.transport.is_closing() or (layer is not None and not layer.is_ready):
            return  # nobody there, or somebody who understands nothing but a handshake
        try:
            self.write(octets)
        except TLSError as error:
            self.log(logging.INFO, "%s", error)
            self.transport.abort()

    def _await_input(self) -> None:
        """Read on. The deadline begins anew when the peer was told something, not with each octet it sends."""
        core, patience = self._core, self.patience
        if not core.awaits_handshake:
            if core.in_message:
                if self._replied or patience.due is not Due.CONTENT:
                    patience.await_content()
            elif core.awaits_response:
                if self._replied or patience.due is not Due.AUTH:
                    patience.await_auth()
            elif self._replied or patience.due is not Due.COMMAND:
                patience.await_command()
        self._replied = False
        if self._reading_paused:
            self._reading_paused = False
            self.transport.resume_reading()

    def _bound_input(self) -> None:
        if self._core.unread_bytes > self._limits.max_unread_bytes:
            self._pause_reading()

    def _pause_reading(self) -> None:
        if not self._reading_paused and not self._lost and not self._closing:
            self._reading_paused = True
            self.transport.pause_reading()

    # The beginning ---------------------------------------------------------------------------------------------------

    def start_tls(self) -> None:
        """Begin the handshake."""
        context = self._tls_context()
        assert context is not None  # noqa: S101 - a listener without offers no TLS
        self.patience.await_tls()
        self.begin_tls(context, server_side=True, alpn=self._settings.alpn)

    def _welcome(self) -> None:
        delay = self._settings.greeting_delay_seconds
        if delay > 0 and (self._is_known or self._guard.has_waited(self.peer.address, self._loop.time())):
            delay = 0.0
        self.patience.await_command(delay=delay)
        if delay > 0:
            self._exchange.pause(delay, self._delay_over)
        else:
            self._connect()

    def _delay_over(self) -> None:
        if self._core.has_input:
            self.limit_hit("greeting_delay", self._settings.greeting_delay_seconds)
            self._greet(replies.OUT_OF_TURN)
        else:
            if not self._ended:
                self._guard.count_wait(self.peer.address, self._loop.time())
            self._connect()

    def _connect(self) -> None:
        if "connect" in self._hooks.own:
            self._exchange.ask(self._connected, "connect")
        else:
            self._greet(None)

    def _connected(self, outcome: Outcome) -> None:
        refusal = self._hooks.reply_to("connect", outcome, close=True)
        self._greet(refusal if refusal is not None and refusal.code >= 400 else None)

    def _greet(self, refusal: Reply | None) -> None:
        self._greeted = True
        if not self._core.is_closed and not self._stopping:
            self._core.greet(refusal)
        self.advance()

    # The end ---------------------------------------------------------------------------------------------------------

    def protocol_ended(self, event: ConnectionEnded) -> None:
        """The conversation is over: close the session, then the socket."""
        expected = event.expected or not self._was_heard  # who says nothing was only looking
        self.log(logging.DEBUG if expected else logging.INFO, "closing: %s", event.reason)
        self.flush()
        self._closing = True
        self.patience.clear()
        if "close" in self._hooks.own:
            self._exchange.ask(self._close, "close")
        else:
            self._close(Outcome(None, None))

    def _close(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self._hooks.reply_to("close", outcome)
        self._session_closed = True
        self._hooks.stop()
        if not self._gone:
            self._part()
        self._release()

    def _part(self) -> None:
        """End our direction, then wait for the peer's: to close with input unread would destroy the last reply."""
        crowded = self._guard.connections > self._limits.max_connections * 4 // 5
        if self._ended or self._stopping or crowded or not self.transport.can_write_eof():
            self.end()
        else:
            layer = self.tls_layer
            if layer is not None:
                layer.close()
                self._flush_tls()
            if not self.transport.is_closing():
                try:
                    self.transport.write_eof()
                except OSError:  # it was reset, and the event loop does not know it yet
                    self.end()
                else:
                    self.transport.resume_reading()
        self._unsent = self.transport.get_write_buffer_size()
        seconds = self._settings.deadlines.close
        if self._drain_until is not None:
            seconds = min(seconds, _PARTING_SECONDS)
        elif self._stopping:
            seconds = min(seconds, _STOPPING_SECONDS)
        self.patience.set(Due.CLOSE, seconds)

    def _give_up(self, reason: str) -> None:
        """Close without another octet."""
        self._lose()
        self.transport.abort()
        if not self._exchange.is_waiting:
            self._core.close(None, reason, AbortCause.LOST)
            self._look_again()

    def _lose(self) -> None:
        self._lost = self._ended = True
        self.is_paused = False
        if self._write_alarm is not None:
            self._write_alarm.clear()

    def _release(self) -> None:
        if self._gone and self._session_closed and not self._released:
            self._released = True
            self.patience.clear()
            self._exchange.logins.end()
            if self._watch is not None:
                self._watch.closed(self._loop.time(), was_silent=not self._was_heard)
            self._owner.connection_closed(self)

    # Time ------------------------------------------------------------------------------------------------------------

    def _expired(self, due: Due) -> None:
        if due is not Due.WRITE and due is not Due.CLOSE:
            self._deadline_hit(due)
            self._tell("deadline_passed", due.name.lower())
        if due is Due.HANDLER or due is Due.FINAL:
            self._ignores_cancel = self._hooks.is_cancelled
            self._hooks.cancel(replies.HANDLER_TIMED_OUT)
            self.patience.await_handler()  # in case it does not mind
        elif due is Due.WRITE or due is Due.CLOSE:
            self._check_progress(due)
        elif due is Due.TLS:
            self.log(logging.INFO, "deadline passed: %s", due.value)
            self._tell("tls_failed", "timeout")
            self._give_up("no handshake in time")
        else:
            self._exchange.end_pause()  # a login may wait for its turn
            self._core.expire()
            self._look_again()

    def _check_progress(self, due: Due) -> None:
        """A peer that takes single octets is alive; one that takes none is not."""
        unsent = self.transport.get_write_buffer_size()
        if 0 < unsent < self._unsent:
            self._unsent = unsent
            alarm, seconds = (self._write_alarm, self._settings.deadlines.write)
            if due is Due.CLOSE or alarm is None:
                alarm, seconds = self.patience, self._settings.deadlines.close
            alarm.set(due, seconds)
        elif due is Due.CLOSE:
            self.transport.abort()
        else:
            self._deadline_hit(due)
            self.log(logging.INFO, "deadline passed: %s", due.value)
            self._tell("deadline_passed", "write")
            self._give_up("the peer does not read")

    def _deadline_hit(self, due: Due) -> None:
        if due is Due.COMMAND and self.patience.session_is_over:
            self.limit_hit("max_session_seconds", self._limits.max_session_seconds or 0.0)
        else:
            self._teller.deadline_hit(due, self._settings.deadlines)

    def recount(self) -> Reply | None:
        """Count the connection for whom it speaks for; or the reply that refuses it."""
        claims = self._core.facts.claims
        if claims is None or claims.address is None or claims.address == UNKNOWN:
            return None  # nobody else to count it for
        refusal = self._owner.move(claims.address)
        if refusal is None:
            return None
        self.limit_hit(refusal.limit, refusal.value)
        return refusal.reply
