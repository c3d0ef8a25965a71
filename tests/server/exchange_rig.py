"""An exchange between a protocol and a connection that are stand-ins."""

import asyncio
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from smtpx.protocol.dialect import SMTP, Dialect
from smtpx.protocol.events import (
    AuthAsked,
    ConnectionEnded,
    Event,
)
from smtpx.protocol.limits import ServerLimits
from smtpx.sasl import Credentials
from smtpx.server.exchange import Exchange, Shell
from smtpx.server.guard import Guard
from smtpx.server.hooks import Hooks
from smtpx.server.session import Reject, Session
from smtpx.wire.address import NULL_SENDER, Mailbox
from smtpx.wire.reply import Reply

TO = Mailbox("b", "server.example")


LOGIN = AuthAsked(Credentials("PLAIN", "user"))


class Core:
    """A protocol that asks and notes what it is answered."""

    def __init__(self, dialect: Dialect) -> None:
        limits = ServerLimits(body_ahead_bytes=10)
        self.settings = SimpleNamespace(limits=limits, dialect=dialect)
        self.is_asking = True
        self.awaits_handshake = self.in_transaction = False
        self.sender = NULL_SENDER
        self.recipients = [TO]
        self.answers: list[tuple[Any, ...]] = []
        self.early: list[Reply] = []
        self.closed: Reply | None = None
        self.auth_failures = 0

    def answer(self, *answers: Reply | None) -> None:
        self.answers.append(answers)

    def answer_next(self, verdict: Reply) -> None:
        self.early.append(verdict)

    answer_lookup = answer

    def close(self, refusal: Reply | None, reason: str) -> None:
        self.closed = refusal


class Rig:
    """An exchange, and everything it did to its surroundings. It is its own shell."""

    def __init__(self, session: Session | None = None, *, dialect: Dialect = SMTP, **limits: int) -> None:
        self.core = Core(dialect)
        self.done: list[str] = []
        self.lines: list[str] = []
        self.has_peer = True
        self.peer: Any = SimpleNamespace(address="192.0.2.1", id="id", transaction_id=None, verdicts=None)
        self.patience = SimpleNamespace(
            await_handler=lambda **delay: self.done.append("await handler"),
            await_verdict=lambda: self.done.append("await verdict"),
            await_auth=lambda: self.done.append("await turn"),
            begin_content=lambda: None,
        )
        hooks = Hooks(session or Session(), asyncio.get_running_loop(), self.log, "id")
        self.hooks = hooks
        if session is not None:
            session.peer = self.peer
        self.guard = Guard(ServerLimits(**limits))
        self.refusal: Reply | None = None  # of whom a peer speaks for
        self.exchange = Exchange(cast("Any", self.core), hooks, self.guard, cast("Shell", self))

    def log(self, level: int, text: str, *args: object, error: BaseException | None = None) -> None:
        self.lines.append(f"{logging.getLevelName(level)} {text % args}")

    def limit_hit(self, limit: str, value: float) -> None:
        self.lines.append(f"{limit} {value:g}")

    def recount(self) -> Reply | None:
        return self.refusal

    def flush(self) -> None:
        self.done.append("flush")

    def advance(self) -> None:
        self.done.append("advance")

    def start_tls(self) -> None:
        self.done.append("start TLS")

    def protocol_ended(self, event: ConnectionEnded) -> None:
        self.done.append(event.reason)

    async def handle(self, *events: Event) -> "Rig":
        """Handle events in a callback of the loop, as a connection does; each when the one before is dealt with."""
        for event in events:
            asyncio.get_running_loop().call_soon(self.exchange.handle, event)
            await asyncio.sleep(0)
            async with asyncio.timeout(2):
                while self.exchange.is_waiting:  # noqa: ASYNC110 - what is waited for sets no event
                    await asyncio.sleep(0)
        self.hooks.stop()
        await asyncio.sleep(0)
        return self

    @property
    def answers(self) -> list[Any]:
        """What the protocol was answered, where that was one thing."""
        return [answer[0] if answer else None for answer in self.core.answers]


def session(wait: bool, **methods: Callable[..., Any]) -> Session:
    """A session with hooks that return what these functions give, or raise what they raise."""

    def hook(function: Callable[..., Any]) -> Any:  # noqa: ANN401
        async def call(self: Session, *args: Any) -> Any:  # noqa: ANN401
            if wait:
                await asyncio.sleep(0)
            return function(*args)

        return call

    return type("Made", (Session,), {name: hook(function) for name, function in methods.items()})()


def refuse(*args: object) -> None:
    raise Reject(550, "5.7.1", "no")


def fail(*args: object) -> None:
    raise RuntimeError
