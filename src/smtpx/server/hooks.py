"""Calls a session's methods, and makes replies of what comes of them."""

import asyncio
import contextvars
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from types import CoroutineType
from typing import Any, Protocol, cast
from weakref import WeakKeyDictionary

from smtpx.protocol import replies
from smtpx.server.context import CURRENT
from smtpx.server.inline import InlineRunner, OnDone, Outcome
from smtpx.server.middleware import Middleware
from smtpx.server.session import Reject, Session
from smtpx.wire.address import Mailbox
from smtpx.wire.reply import Reply

__all__ = ["Hooks", "Log", "own_methods", "own_methods_of"]

_NAMES = ("connect", "hello", "authenticate", "lookup", "mail", "rcpt", "data", "command", "reset", "close")
_overridden: WeakKeyDictionary[type[Session], frozenset[str]] = WeakKeyDictionary()


class Log(Protocol):
    """Writes a line to the log, under a connection's name."""

    def __call__(self, level: int, text: str, *args: object, error: BaseException | None = None) -> None: ...


class Hooks:
    """One session's methods.

    Attributes:
        own: names of the methods the session has of its own; the others need not be called.
    """

    __slots__ = (
        "_cancelled",
        "_context",
        "_log",
        "_loop",
        "_reference",
        "_references",
        "_runner",
        "_second",
        "_session",
        "own",
    )

    def __init__(self, session: Session, loop: asyncio.AbstractEventLoop, log: Log, reference: str) -> None:
        self._session = session
        self._loop = loop
        self._log = log
        self._reference = reference
        self._references = 0
        self._runner: InlineRunner | None = None
        self._second: InlineRunner | None = None
        self._cancelled: Reply | None = None  # what a cancel of ours is answered with
        self._context: contextvars.Context | None = None  # one for both runners
        self.own = own_methods(session)

    def start(self, name: str, args: tuple[Any, ...], on_done: OnDone) -> Outcome | None:
        """Call a method. Its outcome if it did not wait; else None, and `on_done` is called later."""
        self._cancelled = None
        try:
            coroutine: Any = getattr(self._session, name)(*args)
            if coroutine.__class__ is not CoroutineType:
                _check(name, coroutine)
        except Exception as error:  # a wrong signature, or no coroutine function
            return Outcome(None, error)
        runner = self._runner
        if runner is None or runner.is_busy:
            runner = self._free_runner()
        return runner.run(coroutine, on_done)

    def _free_runner(self) -> InlineRunner:
        """A runner; the second one where `data` waits for its next chunk while a command is asked about."""
        if self._context is None:
            self._context = contextvars.copy_context()
            self._context.run(CURRENT.set, self._session)
        if self._runner is None:
            self._runner = InlineRunner(self._loop, self._context)
            return self._runner
        if self._second is None:
            self._second = InlineRunner(self._loop, self._context)
        return self._second

    @property
    def is_cancelled(self) -> bool:
        """Whether the method that was started last was told to end."""
        return self._cancelled is not None

    def cancel(self, answer: Reply, *, everything: bool = False) -> None:
        """Cancel the method that was started last, if it waits; `answer` is the reply to what it was asked."""
        self._cancelled = answer
        for runner in (self._second, self._runner):
            if runner is not None and runner.is_busy:
                runner.cancel()
                if not everything:
                    return

    def stop(self) -> None:
        """Nothing will be called any more."""
        for runner in (self._runner, self._second):
            if runner is not None:
                runner.stop()

    def reply_to(self, name: str, outcome: Outcome, *, close: bool = False) -> Reply | None:
        """What an outcome means to the peer; None for the usual reply. The text of an exception stays here.

        Args:
            close: an error ends the connection.
        """
        value, error = outcome
        if error is None:
            if value is None or isinstance(value, Reply):
                return _closing_properly(value)
            error = TypeError(f"{name} returned {type(value).__name__}, not a Reply or None")
        if isinstance(error, Reject):
            return _closing_properly(error.reply)
        if isinstance(error, asyncio.CancelledError) and self._cancelled is not None:
            return self._cancelled_reply(name, self._cancelled, close=close)
        self._references += 1
        reference = f"{self._reference}-{self._references}"
        self._report(name, reference, error)
        return replies.make(421 if close else 451, "4.3.0", f"internal error; reference {reference}")

    def _report(self, name: str, reference: str, error: BaseException) -> None:
        self._log(logging.ERROR, "%s raised (reference %s)", name, reference, error=error)

    def _cancelled_reply(self, name: str, answer: Reply, *, close: bool) -> Reply:
        if answer is not replies.HANDLER_TIMED_OUT:
            self._log(logging.INFO, "%s was cancelled: %s", name, answer)
            return answer
        self._log(logging.ERROR, "%s took too long and was cancelled", name)
        return replies.make(421, "4.3.0", answer.text) if close else answer

    def verdicts_of(self, outcome: Outcome, recipients: Sequence[Mailbox]) -> list[Reply | None]:
        """What `data` says about a message: one reply, or one for each recipient."""
        value: object = outcome.value
        if outcome.error is not None or not isinstance(value, Mapping):
            return [self.reply_to("data", outcome)]
        each = cast("Mapping[object, object]", value).items()
        verdicts = {str(to): self.reply_to("data", Outcome(verdict, None)) for to, verdict in each}
        return [verdicts.get(str(recipient), replies.NO_VERDICT) for recipient in recipients]


def _check(name: str, made: object) -> None:
    if not isinstance(made, Coroutine):  # what an extension module makes may be one too
        raise TypeError(f"{name} of a session must be written with async def")


def _closing_properly(reply: Reply | None) -> Reply | None:
    """A connection ends behind 421 or 5yz, never behind success, and a temporary refusal that ends it is a 421."""
    if reply is None or not reply.close or reply.code >= 500 or reply.code == 421:
        return reply
    return replace(reply, code=421) if reply.code >= 400 else replace(reply, close=False)


def own_methods(session: Session) -> frozenset[str]:
    """Names of the methods that a session has of its own, or that one inside it has."""
    own = own_methods_of(type(session))
    return own | own_methods(session.inner) if isinstance(session, Middleware) else own


def own_methods_of(kind: type[Session]) -> frozenset[str]:
    """Names of the methods that a class has of its own, whatever there will be inside."""
    own = _overridden.get(kind)
    if own is None:
        usual = Middleware if issubclass(kind, Middleware) else Session
        own = frozenset(name for name in _NAMES if getattr(kind, name) is not getattr(usual, name))
        _overridden[kind] = own
    return own
