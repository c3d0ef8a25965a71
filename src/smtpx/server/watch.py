"""What happens on one connection, put together for whoever looks on. Where nobody does there is no `Watch`."""

import asyncio
import re
from collections.abc import Sequence
from logging import ERROR
from typing import Any

from smtpx.protocol import commands
from smtpx.protocol.events import (
    AbortCause,
    BodyAborted,
    BodyEnded,
    BodyStarted,
    ConnectionEnded,
    Event,
    MailAsked,
    ResetAsked,
)
from smtpx.protocol.server import ServerProtocol
from smtpx.server.hooks import Hooks, Log
from smtpx.server.inline import OnDone, Outcome
from smtpx.server.observer import ConnectionSummary, ServerConnectionObserver, TransactionSummary
from smtpx.server.peer import Peer
from smtpx.server.session import Session
from smtpx.server.settings import ShellSettings
from smtpx.server.transcript import Transcript
from smtpx.wire.commands import parse_command
from smtpx.wire.reply import Reply

__all__ = ["Watch", "WatchedHooks", "watch_for"]

_MECHANISM = re.compile(r"[A-Z][A-Z0-9_-]{0,19}")  # RFC 4422 3.1; a word in other letters might be a secret
_VERDICT = frozenset({"END OF DATA", "BDAT LAST"})
_MASK = "****"


def watch_for(settings: ShellSettings, core: ServerProtocol, peer: Peer, log: Log, now: float) -> "Watch | None":
    """Somebody who looks on, if anybody wants to."""
    observers: list[ServerConnectionObserver] = []
    if settings.trace is not None:
        observers.append(Transcript(peer, settings.trace))
    if settings.observer is not None and (observer := settings.observer.connection_opened(peer)) is not None:
        observers.append(observer)
    return Watch(core, peer, observers, log, now) if observers else None


class _Transaction:
    """What is known so far of the transaction under way."""

    def __init__(self, sender: str, now: float) -> None:
        self.id = ""
        self.sender = sender
        self.begun = self.content_begun = self.content_ended = now
        self.is_accepted = False  # MAIL was
        self.recipients = self.refused_recipients = self.octets = 0
        self.command = ""
        self.verdicts: list[Reply] = []
        self.given_up: AbortCause | None = None

    def summary(self, now: float) -> TransactionSummary:
        return TransactionSummary(
            id=self.id,
            sender=self.sender,
            recipients=self.recipients,
            refused_recipients=self.refused_recipients,
            command=self.command,
            octets=self.octets,
            verdicts=tuple(self.verdicts),
            given_up=self.given_up,
            seconds=now - self.begun,
            content_seconds=self.content_ended - self.content_begun,
            verdict_seconds=now - self.content_ended if self.command and self.given_up is None else 0.0,
        )


class Watch:
    """One connection's events on their way to its observers.

    Attributes:
        octets_in, octets_out: counted by the connection.
    """

    __slots__ = (
        "_begun",
        "_behind_auth",
        "_broken",
        "_command",
        "_core",
        "_is_answered",
        "_log",
        "_mechanism",
        "_now",
        "_observers",
        "_reason",
        "_reply_is_due",
        "_transaction",
        "octets_in",
        "octets_out",
        "peer",
    )

    def __init__(
        self, core: ServerProtocol, peer: Peer, observers: Sequence[ServerConnectionObserver], log: Log, now: float
    ) -> None:
        self._core = core
        self.peer = peer
        self._observers = observers
        self._log = log
        self._now = self._begun = now
        self._command = "GREETING"
        self._is_answered = False
        self._mechanism = ""
        self._behind_auth = False  # a client that did not hear our refusal may go on to say its password
        self._transaction: _Transaction | None = None
        self._reply_is_due = False  # the transaction is over, but for the reply that says so
        self._reason = ""
        self._broken: set[str] = set()
        self.octets_in = self.octets_out = 0

    def tell(self, event: str, *args: object) -> None:
        """Call the observers; one that raises is logged, once for each event on a connection."""
        for observer in self._observers:
            try:
                getattr(observer, event)(*args)
            except Exception as error:
                if event not in self._broken:
                    self._broken.add(event)
                    self._log(ERROR, "%s of the observer raised", event, error=error)

    # What the protocol hears and says --------------------------------------------------------------------------------

    def heard(self, line: bytes) -> None:
        """A command line."""
        text = line.decode("utf-8", "backslashreplace")
        command = parse_command(text)
        verb, argument = ("", None) if command is None else command
        if not self._knows(verb):
            self._behind_auth |= text.lstrip()[:4].upper() == "AUTH"  # a client's slip
            text, verb = _MASK if self._behind_auth else text, ""
        elif verb == "AUTH":
            self._behind_auth = True
            text = self._masked(text, argument or "")
        else:
            self._behind_auth = False
            if verb == "BDAT" and (argument or "").lower().endswith(" last"):
                verb = "BDAT LAST"
        self._heard(verb, text)

    def _knows(self, verb: str) -> bool:
        return verb in commands.VERBS or verb in commands.UNAVAILABLE or verb in self._core.settings.extensions.verbs

    def _masked(self, text: str, argument: str) -> str:
        name, _, initial = argument.partition(" ")
        offered = any(each.name == name.upper() for each in self._core.settings.mechanisms)
        self._mechanism = name.upper() if offered else ""
        shown = name if offered or _MECHANISM.fullmatch(name) else _MASK
        words = [text.partition(" ")[0], shown if name else "", _MASK if initial else ""]
        return " ".join(word for word in words if word)

    def responded(self) -> None:
        """An answer to an AUTH challenge."""
        self._heard("AUTH RESPONSE", _MASK)

    def content_ended(self, size: int) -> None:
        """The end of data."""
        self._heard("END OF DATA", f"<{size} octets>")

    def _heard(self, command: str, text: str) -> None:
        self._command, self._is_answered = command, False
        self.tell("command", command, text)

    def said(self, reply: Reply) -> None:
        """A reply; those of LMTP to one message all answer its end."""
        command = "" if self._is_answered else self._command
        self._is_answered = not (command in _VERDICT and self._core.settings.dialect.verdict_per_recipient)
        self.tell("reply", command, reply)
        if command in ("AUTH", "AUTH RESPONSE") and reply.code != 334:
            self._behind_auth = reply.code != 235
            self.tell("authenticated", self._mechanism, reply)
        if self._transaction is not None and command:
            self._note(self._transaction, command, reply)
            if self._reply_is_due:
                self._end_transaction()

    def _note(self, transaction: _Transaction, command: str, reply: Reply) -> None:
        if command == "MAIL" and not transaction.is_accepted:
            transaction.is_accepted = reply.code < 300
            if transaction.is_accepted:
                transaction.id = self.peer.transaction_id or ""
                self.tell("transaction_started", transaction.id, transaction.sender)
            else:
                self._transaction = None
        elif command == "RCPT":
            transaction.recipients += reply.code < 300
            transaction.refused_recipients += reply.code >= 300
        elif command in _VERDICT or (command == "BDAT" and reply.code >= 400):
            transaction.verdicts.append(reply)

    # What the protocol asks and tells --------------------------------------------------------------------------------

    def saw(self, event: Event, now: float) -> None:
        """An event, before anybody has acted on it."""
        self._now = now
        transaction = self._transaction
        match event:
            case MailAsked(sender):
                self._transaction = _Transaction(str(sender), now)
            case BodyStarted(command) if transaction is not None:
                transaction.command = command
                transaction.content_begun = transaction.content_ended = now
            case BodyEnded(size) if transaction is not None:
                transaction.octets, transaction.content_ended = size, now
            case BodyAborted(cause, size) if transaction is not None:
                transaction.octets, transaction.given_up, transaction.content_ended = size, cause, now
            case ResetAsked("BDAT"):
                self._reply_is_due = True
            case ResetAsked():
                self._end_transaction()
            case ConnectionEnded(reason):
                self._reason = reason
                self._end_transaction()
            case _:
                pass

    def _end_transaction(self) -> None:
        transaction, self._transaction, self._reply_is_due = self._transaction, None, False
        if transaction is not None and transaction.is_accepted:
            self.tell("transaction_ended", transaction.summary(self._now))

    # What the connection tells ---------------------------------------------------------------------------------------

    def closed(self, now: float, *, was_silent: bool) -> None:
        """It is over."""
        self._now = now
        self._end_transaction()
        summary = ConnectionSummary(
            reason=self._reason,
            octets_in=self.octets_in,
            octets_out=self.octets_out,
            messages=self._core.messages,
            seconds=now - self._begun,
            was_silent=was_silent,
        )
        self.tell("closed", summary)


class WatchedHooks(Hooks):
    """A session's methods, while somebody looks on."""

    __slots__ = ("_watch",)

    def __init__(self, session: Session, loop: asyncio.AbstractEventLoop, log: Log, watch: Watch) -> None:
        super().__init__(session, loop, log, watch.peer.id)
        self._watch = watch

    def start(self, name: str, args: tuple[Any, ...], on_done: OnDone) -> Outcome | None:
        """Call a method, and tell how long it took."""
        begun = self._loop.time()

        def done(outcome: Outcome) -> None:
            self._watch.tell("hook_ended", name, self._loop.time() - begun)
            on_done(outcome)

        outcome = super().start(name, args, done)
        if outcome is not None:
            self._watch.tell("hook_ended", name, self._loop.time() - begun)
        return outcome

    def _report(self, name: str, reference: str, error: BaseException) -> None:
        super()._report(name, reference, error)
        self._watch.tell("hook_failed", name, reference, error)
