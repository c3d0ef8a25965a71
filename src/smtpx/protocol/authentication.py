"""A server's half of an AUTH exchange (RFC 4954 4): base64 and mechanism in, what to do next out.

Knows no phase and sends nothing; the protocol object does both.
"""

import binascii
from collections.abc import Callable
from dataclasses import dataclass

from smtpx.protocol import replies
from smtpx.sasl import (
    Challenge,
    Credentials,
    ExchangeContext,
    Lookup,
    ProofError,
    SASLError,
    ScramRecord,
    Secret,
    ServerExchange,
    ServerMechanism,
)
from smtpx.wire.reply import Reply

__all__ = ["Authentication", "NextStep", "Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The exchange is over. `is_judgement`: somebody's credentials were judged, and a refusal counts as a guess."""

    reply: Reply
    is_judgement: bool = False


NextStep = Challenge | Lookup | Credentials | Verdict
"""Ask the client, ask for what is stored of a user, ask for an opinion about credentials, or answer and end."""


class Authentication:
    """One connection's exchanges, one after another.

    Args:
        max_line_bytes: of base64 in one message.
        on_wrong_proof: told the mechanism and the user name when a proof was wrong, which nobody is asked about.
    """

    __slots__ = ("_exchange", "_max_line", "_mechanism", "_on_wrong_proof", "_refusal")

    def __init__(self, max_line_bytes: int, on_wrong_proof: Callable[[str, str], None]) -> None:
        self._max_line = max_line_bytes
        self._on_wrong_proof = on_wrong_proof
        self._mechanism: ServerMechanism | None = None
        self._exchange: ServerExchange | None = None
        self._refusal: Reply | None = None  # of credentials; it waits until the mechanism's own words were answered

    def start(self, mechanism: ServerMechanism, context: ExchangeContext, initial: str | None) -> NextStep:
        """Begin; `initial` is base64, `=`, or None."""
        self._mechanism, self._exchange = mechanism, mechanism.start(context)
        if initial is None:
            return self._proceed(None)
        if not mechanism.accepts_initial:
            return self.give_up(replies.SERVER_SPEAKS_FIRST)
        next(self._exchange)
        return self.respond("" if initial == "=" else initial)

    def respond(self, text: str) -> NextStep:
        """The client's answer, in base64."""
        if self._refusal is not None:
            return self.give_up(self._refusal)  # whatever it says
        if len(text) > self._max_line:
            return self.give_up(replies.AUTH_LINE_TOO_LONG)
        try:
            response = binascii.a2b_base64(text.encode("latin-1"), strict_mode=True)
        except ValueError:
            return self.give_up(replies.NOT_BASE64)
        return self._proceed(response)

    def looked_up(self, record: ScramRecord | Secret | None, refusal: Reply | None) -> NextStep:
        """What is stored of the user, or a reply that says why that can't be told."""
        if refusal is None:
            return self._proceed(record)
        return self._refuse(refusal) if refusal.code >= 500 else self.give_up(refusal)

    def judged(self, reply: Reply) -> NextStep:
        """The opinion about the credentials."""
        return self._refuse(reply) if reply.code >= 500 else self._end(Verdict(reply, is_judgement=True))

    def give_up(self, reply: Reply) -> Verdict:
        """End before there is a verdict; if there is one, it stands."""
        if self._refusal is not None:
            return self._end(Verdict(self._refusal, is_judgement=True))
        return self._end(Verdict(reply))

    def _proceed(self, value: bytes | ScramRecord | Secret | None) -> NextStep:
        exchange, mechanism = self._exchange, self._mechanism
        assert exchange is not None and mechanism is not None  # noqa: PT018, S101 - set by start
        try:
            return exchange.send(value)
        except ProofError as error:
            self._on_wrong_proof(mechanism.name, error.username)
            return self._refuse(replies.BAD_CREDENTIALS)
        except SASLError:
            return self.give_up(replies.BAD_AUTH_MESSAGE)
        except StopIteration as stop:
            credentials: Credentials = stop.value
            return credentials

    def _refuse(self, reply: Reply) -> NextStep:
        """Some mechanisms tell in words of their own why, and want those answered before the reply."""
        if self._mechanism is not None and self._mechanism.refusal:
            self._refusal = reply
            return Challenge(self._mechanism.refusal)
        return self._end(Verdict(reply, is_judgement=True))

    def _end(self, verdict: Verdict) -> Verdict:
        self._mechanism = self._exchange = self._refusal = None
        return verdict
