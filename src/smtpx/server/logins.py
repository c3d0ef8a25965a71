"""One connection's logins: whether this peer may try, when it is its turn, and what the session says of it."""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from smtpx.protocol import replies
from smtpx.protocol.events import AuthAsked, AuthFailed, LookupAsked
from smtpx.protocol.server import ServerProtocol
from smtpx.sasl import ScramRecord, Secret
from smtpx.server.guard import Guard, Refusal, network_of
from smtpx.server.hooks import Hooks
from smtpx.server.inline import Outcome
from smtpx.server.turns import Turn
from smtpx.wire.reply import Reply

if TYPE_CHECKING:
    from smtpx.server.exchange import Exchange, Shell

__all__ = ["Logins"]


class Logins:
    """Asks the session about one login after another, on behalf of its exchange."""

    __slots__ = ("_core", "_exchange", "_guard", "_hooks", "_shell", "_turn")

    def __init__(self, exchange: "Exchange", core: ServerProtocol, hooks: Hooks, guard: Guard, shell: "Shell") -> None:
        self._exchange = exchange
        self._core = core
        self._hooks = hooks
        self._guard = guard
        self._shell = shell
        self._turn: Turn | None = None  # the check of a login, or the wait for it

    def check(self, event: AuthAsked) -> None:
        """Have credentials judged."""

        def ask() -> None:
            self._exchange.ask(lambda outcome: self._judged(event, outcome), "authenticate", event.credentials)

        self._begin(event.credentials.username, ask)

    def look_up(self, event: LookupAsked) -> None:
        """Have a user looked up."""

        def ask() -> None:
            self._exchange.ask(
                lambda outcome: self._looked_up(event, outcome), "lookup", event.mechanism, event.username
            )

        self._begin(event.username, ask)

    def failed(self, event: AuthFailed) -> None:
        """A proof was wrong; nobody was asked."""
        self._count_failure(event.mechanism, event.username)

    def end(self) -> None:
        """It was checked, or nobody waits for that any more."""
        if self._turn is not None:
            self._turn.end()
            self._turn = None

    def give_up(self) -> None:
        """There is nobody any more who waits for a turn."""
        if self._turn is not None and not self._turn.has_begun:
            self.end()
            self._exchange.is_waiting = False

    # Turns -----------------------------------------------------------------------------------------------------------

    def _begin(self, username: str, ask: Callable[[], None]) -> None:
        """Have a login checked when it is its turn, if this peer may try at all; if not, it is told so."""
        guard, address = self._guard, self._shell.peer.address
        now = asyncio.get_running_loop().time()
        if (refusal := guard.may_authenticate(address, now)) is not None:
            self._tell(refusal)
            self._core.answer(refusal.reply)
        elif (refusal := guard.may_be_guessed(username, now)) is not None:
            self._tell(refusal)
            self._refuse_late(refusal.reply)
        else:
            self._wait_for_turn(network_of(address, guard.limits.ipv6_prefix), ask)

    def _tell(self, refusal: Refusal) -> None:
        self._shell.limit_hit(refusal.limit, refusal.value)

    def _refuse_late(self, reply: Reply) -> None:
        """As late as a wrong password is refused, so that nobody learns how many others try."""
        seconds = self._core.settings.limits.auth_failure_delay_seconds * (self._core.auth_failures + 1)
        self._shell.patience.await_handler(delay=seconds)
        self._exchange.pause(seconds, lambda: self._exchange.answer(reply))

    def _wait_for_turn(self, key: str, ask: Callable[[], None]) -> None:
        turns = self._guard.auth_turns

        def go() -> None:
            self._exchange.is_waiting = False
            ask()
            self._shell.advance()

        self._turn = turn = turns.take(key, go)
        if turn.has_begun:
            ask()
            return
        self._exchange.is_waiting = True
        limit = "max_auth_checks_per_ip" if turns.is_full_for(key) else "max_auth_checks"
        self._shell.limit_hit(limit, getattr(self._guard.limits, limit))
        self._shell.patience.await_auth()

    # What came of it -------------------------------------------------------------------------------------------------

    def _judged(self, event: AuthAsked, outcome: Outcome) -> None:
        self.end()
        verdict = self._hooks.reply_to("authenticate", outcome) or replies.AUTHENTICATED
        if verdict.code >= 500:
            self._count_failure(event.credentials.mechanism, event.credentials.username)
        self._exchange.answer(verdict)

    def _looked_up(self, event: LookupAsked, outcome: Outcome) -> None:
        self.end()
        record = outcome.value
        if outcome.error is None and (record is None or isinstance(record, ScramRecord | Secret)):
            self._exchange.answer_lookup(record)
            return
        wrong = TypeError(f"lookup returned {type(record).__name__}, not a record or None")
        refusal = self._hooks.reply_to("lookup", Outcome(None, outcome.error or wrong))
        if refusal is not None and refusal.code >= 500:
            self._count_failure(event.mechanism, event.username)
        self._exchange.answer(refusal)

    def _count_failure(self, mechanism: str, username: str) -> None:
        self._guard.count_failure(self._shell.peer.address, username, asyncio.get_running_loop().time())
        self._shell.log(logging.INFO, "login failed with %s", mechanism)
