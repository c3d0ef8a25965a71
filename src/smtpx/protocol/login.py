"""How a server leads AUTH: what an `Authentication` says next, done on the connection (RFC 4954 4)."""

import binascii
from typing import TYPE_CHECKING

from smtpx.protocol import replies
from smtpx.protocol.authentication import Authentication, NextStep, Verdict
from smtpx.protocol.events import AuthAsked, AuthFailed, LookupAsked
from smtpx.sasl import Challenge, Credentials, Lookup, ScramRecord, Secret
from smtpx.wire.lines import Lines
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import WireError

if TYPE_CHECKING:
    from smtpx.protocol.server import ServerProtocol

__all__ = ["Login"]

_RESPONSE = "AUTH RESPONSE"


class Login:
    """One connection's logins, one after another."""

    __slots__ = ("_exchange", "_lines", "_machine", "_record")

    def __init__(self, machine: "ServerProtocol", lines: Lines) -> None:
        self._machine = machine
        self._lines = lines
        self._exchange = Authentication(machine.settings.limits.max_auth_line_bytes, self._proof_was_wrong)
        self._record: ScramRecord | Secret | None = None

    def start(self, mechanism: str, initial: str | None) -> None:
        """Begin; `initial` is base64, `=` or None."""
        machine, settings, facts = self._machine, self._machine.settings, self._machine.facts
        found = next((each for each in settings.mechanisms if each.name == mechanism.upper()), None)
        if found is None:
            machine.reply(replies.UNKNOWN_MECHANISM)
        elif not settings.may_reveal(found, facts):
            machine.reply(replies.ENCRYPTION_REQUIRED)
        elif not found.fits(context := settings.exchange_context(facts)):
            machine.reply(replies.UNKNOWN_MECHANISM)
        else:
            self._proceed("AUTH", self._exchange.start(found, context, initial))

    def answer_lookup(self, record: ScramRecord | Secret | None) -> None:
        """What is stored of the user."""
        self._record = record
        self._machine.answer()

    def _proceed(self, command: str, step: NextStep) -> None:
        """Do what the exchange says next."""
        machine = self._machine
        if isinstance(step, Challenge):
            machine.finish(command, Reply(334, None, (binascii.b2a_base64(step.data, newline=False).decode(),)))
            machine.read = self._read_response
        elif isinstance(step, Lookup):
            machine.ask(LookupAsked(step.kind, step.username), lambda reply: self._looked_up(command, reply))
        elif isinstance(step, Credentials):
            machine.ask(AuthAsked(step), lambda reply: self._judge(command, step, reply or replies.BAD_CREDENTIALS))
        else:
            self._end(command, step)

    def _read_response(self) -> bool:
        machine, exchange = self._machine, self._exchange
        try:
            raw = self._lines.next_line()
        except WireError as error:
            if machine.closes_for(error):
                return True
            step: NextStep = exchange.give_up(replies.AUTH_LINE_TOO_LONG)
        else:
            if raw is None:
                return False
            step = exchange.give_up(replies.CANCELLED) if raw == b"*" else exchange.respond(raw.decode("latin-1"))
        if machine.watcher is not None:
            machine.watcher.responded()
        self._proceed(_RESPONSE, step)
        return True

    def _proof_was_wrong(self, mechanism: str, username: str) -> None:
        self._machine.emit(AuthFailed(mechanism, username))

    def _looked_up(self, command: str, refusal: Reply | None) -> None:
        record, self._record = self._record, None
        self._proceed(command, self._exchange.looked_up(record, refusal))

    def _judge(self, command: str, credentials: Credentials, reply: Reply) -> None:
        if reply.code < 300:
            self._machine.facts.identity = credentials.authorization_id or credentials.username
        self._proceed(command, self._exchange.judged(reply))

    def _end(self, command: str, verdict: Verdict) -> None:
        """Guesses are counted, and answered later each time."""
        machine, reply = self._machine, verdict.reply
        machine.read = machine.read_command
        if reply is replies.AUTH_LINE_TOO_LONG:
            machine.limit_hit("max_auth_line_bytes")
        if not verdict.is_judgement or reply.code < 500:
            machine.finish(command, reply)
            return
        conduct, limits = machine.conduct, machine.settings.limits
        ending = conduct.count_auth_failure(limits)
        if ending is not None:
            machine.close(*ending)
        elif reply.close:
            machine.close(reply, f"{reply.code} answered")
        else:
            machine.move(command, reply.code)
            machine.pause(limits.auth_failure_delay_seconds * conduct.auth_failures, reply)
