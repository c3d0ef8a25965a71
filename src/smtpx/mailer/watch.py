"""What happens to messages, on its way to the log and to an observer. Where nobody looks on there is no watch."""

import logging
from collections.abc import Callable
from types import TracebackType
from typing import ParamSpec, TypeVar

from smtpx.client.observer import MessageObserver
from smtpx.errors import LocalProtocolError, SMTPXError
from smtpx.flows.outcome import SendResult
from smtpx.mailer.observer import BulkObserver, MailObserver, ProviderFacts
from smtpx.message.findings import MessageError
from smtpx.message.sendable import Sendable
from smtpx.wire.syntax import escape

__all__ = ["BulkWatch", "Facts", "Watch", "bulk_watch", "message_watch", "tell"]

P = ParamSpec("P")
R = TypeVar("R")
Facts = Callable[[], ProviderFacts | None]
_log = logging.getLogger("smtpx.mailer")


def tell(event: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """Call a method of an observer. What it raises is logged."""
    try:
        return event(*args, **kwargs)
    except Exception:
        _log.exception("%s of the observer raised", getattr(event, "__qualname__", event))
        return None


def message_watch(observer: MailObserver | None, facts: Facts, *, logs: bool = True) -> "Watch | None":
    """A watch over one message that is about to be sent; None where nobody looks on.

    Args:
        facts: gives those of the provider; asked only if somebody looks on.
        logs: whether it is for the log too.
    """
    logs = logs and _log.isEnabledFor(logging.INFO)
    if observer is None and not logs:
        return None
    return Watch(observer, tell(facts), logs)


def bulk_watch(observer: MailObserver | None, facts: Facts, *, logs: bool = True) -> "BulkWatch | None":
    """The same for many."""
    logs = logs and _log.isEnabledFor(logging.INFO)
    if observer is None and not logs:
        return None
    return BulkWatch(observer, tell(facts), logs)


class Watch:
    """Over one message, by `with`: what leaves the block is how it failed.

    Attributes:
        message: as it was made ready, once it is.
        result: to be set when there is one.
    """

    __slots__ = ("_facts", "_logs", "_observer", "message", "result")

    def __init__(self, observer: MailObserver | None, facts: ProviderFacts | None, logs: bool) -> None:
        self.message: Sendable | None = None
        self.result: SendResult | None = None
        self._facts = facts
        self._logs = logs
        self._observer = None if observer is None else tell(observer.message_started, facts)

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        _end(self._observer, self._facts, self.message, self.result, error, logs=self._logs)


class BulkWatch:
    """Over many messages, by `with`; `take` and `settle` are for each of them."""

    def __init__(self, observer: MailObserver | None, facts: ProviderFacts | None, logs: bool) -> None:
        self._facts = facts
        self._logs = logs
        self._observer: BulkObserver | None = None if observer is None else tell(observer.bulk_started, facts)
        self._open: dict[int, tuple[MessageObserver | None, ProviderFacts | None]] = {}

    def take(self, index: int, facts: Facts | None = None) -> None:
        """A message was taken from the source. `facts` gives those of its provider if it is not that of all."""
        known = self._facts if facts is None else tell(facts)
        observer = None if self._observer is None else tell(self._observer.message_started, known)
        self._open[index] = observer, known

    def settle(self, index: int, message: Sendable, result: SendResult | None, error: BaseException | None) -> None:
        """What became of it."""
        observer, facts = self._open.pop(index)
        _end(observer, facts, message, result, error, logs=self._logs)

    def __enter__(self) -> "BulkWatch":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if error is not None:  # neither an outcome nor a cancellation: what was taken ends with it
            for observer, facts in self._open.values():
                _end(observer, facts, None, None, error, logs=self._logs)
        if self._observer is not None:
            tell(self._observer.ended, error)


def _end(
    observer: MessageObserver | None,
    facts: ProviderFacts | None,
    message: Sendable | None,
    result: SendResult | None,
    error: BaseException | None,
    *,
    logs: bool,
) -> None:
    if observer is not None:
        tell(observer.ended, result, error)
    if not logs:
        return
    named = getattr(message, "message_id", None)
    message_id = escape(str(named), 200) if named else "without Message-ID"
    by = "no provider" if facts is None else facts.name
    extra = {"message_id": message_id, "provider": by, "outcome": "sent" if error is None else type(error).__name__}
    if result is not None:
        text = "message %s sent by %s: accepted for %d recipients, refused for %d: %s"
        _log.info(text, message_id, by, len(result.accepted), len(result.refused), result.reply, extra=extra)
    else:
        _log.info("message %s not sent by %s: %s", message_id, by, _reason(error), extra=extra)


def _reason(error: BaseException | None) -> str:
    """As much as a log may have: findings come with values of the message, errors of others with who knows what."""
    several: dict[str, Exception] | None = getattr(error, "errors", None)
    if isinstance(several, dict):
        return "; ".join(f"{name}: {_reason(each)}" for name, each in several.items())
    if isinstance(error, MessageError):
        return "MessageError: " + ", ".join(dict.fromkeys(finding.field for finding in error.findings))
    if isinstance(error, SMTPXError) and not isinstance(error, LocalProtocolError):
        return f"{type(error).__name__}: {error}"
    return type(error).__name__
