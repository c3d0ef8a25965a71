"""What happens in a client, put together for whoever looks on; both colours. Where nobody does there is no `Watch`."""

import sys
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from os import urandom
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

from smtpx.client.observer import ClientConnectionObserver, MessageObserver, TransactionOutcome
from smtpx.client.settings import ClientSettings
from smtpx.errors import SMTPXError
from smtpx.flows.flight import Job, Ledger
from smtpx.flows.outcome import SendResult
from smtpx.flows.steps import Flow
from smtpx.net.deadlines import now
from smtpx.net.targets import endpoint_text
from smtpx.protocol.capabilities import Capabilities
from smtpx.protocol.facts import TLSFacts
from smtpx.wire.reply import Reply

if TYPE_CHECKING:
    from smtpx.protocol.client import ClientProtocol

__all__ = ["BeginMessage", "Watch", "async_watched", "bulk_messages", "message_ended", "watch_for", "watched"]

P = ParamSpec("P")
S = TypeVar("S", bound="_Configured")
BeginMessage = Callable[[], MessageObserver | None]
_INFO = 20  # as in logging, which is not loaded for this
_HELLO = frozenset({"EHLO", "LHLO", "HELO"})


def watch_for(settings: ClientSettings) -> "Watch | None":
    """Somebody who looks on at a connection that is about to be made, if anybody wants to."""
    observers: list[ClientConnectionObserver] = []
    connection_id = ""
    if _is_logged():
        from smtpx.client.log import ConnectionLog

        connection_id = urandom(4).hex()
        observers.append(ConnectionLog(connection_id, settings.target))
    if settings.observer is not None:
        connection_id = connection_id or urandom(4).hex()
        try:
            observer = settings.observer.connection_started(connection_id, settings.target)
        except Exception as error:
            _report("connection_started", connection_id, error)
        else:
            observers += [observer] if observer is not None else []
    return Watch(connection_id, observers) if observers else None


def _is_logged() -> bool:
    """Whether anybody reads our log. A program that never loaded `logging` has set no level."""
    logging = sys.modules.get("logging")
    return logging is not None and logging.getLogger("smtpx.client").isEnabledFor(_INFO)


def _report(event: str, connection_id: str, error: Exception) -> None:
    import logging  # hardly anybody ever needs it here

    extra = {"connection": connection_id}
    logging.getLogger("smtpx.client").error(
        "[%s] %s of the observer raised", connection_id, event, exc_info=error, extra=extra
    )


class Watch:
    """One connection's events on their way to its observers.

    Attributes:
        id: names the connection in logs.
        protocol: the connection's; set by whoever makes it.
        is_open: it came to READY. Until then `failed` tells its end.
    """

    def __init__(self, connection_id: str, observers: Sequence[ClientConnectionObserver]) -> None:
        self.id = connection_id
        self.protocol: ClientProtocol | None = None
        self._observers = observers
        self._begun = self._tls_begun = self._auth_begun = now()
        self._mechanism = ""
        self._transactions = 0
        self.is_open = False
        self._is_over = False
        self._broken: set[str] = set()

    def tell(self, event: str, *args: object) -> None:
        """Call the observers; one that raises is logged, once for each event on a connection."""
        for observer in self._observers:
            try:
                getattr(observer, event)(*args)
            except Exception as error:
                if event not in self._broken:
                    self._broken.add(event)
                    _report(event, self.id, error)

    # The connection --------------------------------------------------------------------------------------------------

    def attempt_failed(self, address: str, reason: str) -> None:
        """One of the addresses did not answer as it should; others may."""
        self.tell("attempt_failed", address, reason)

    def connected(self, peer: object) -> None:
        """The socket is connected."""
        self._tls_begun = now()
        self.tell("connected", endpoint_text(peer), self._tls_begun - self._begun)

    def failed(self, error: BaseException) -> None:
        """Opening failed."""
        self.tell("open_failed", error, now() - self._begun)
        self.is_open = True
        self.closed()

    def closed(self) -> None:
        """Nothing more will be said."""
        if self.is_open and not self._is_over:
            self._is_over = True
            self.tell("closed", self._transactions, now() - self._begun)

    # What the protocol says and hears --------------------------------------------------------------------------------

    def said(self, command: str, line: str) -> None:
        """A command."""
        if command == "AUTH":
            self._mechanism = line.split(" ")[1]
            self._auth_begun = now()
        self.tell("command", command, line)

    def heard(self, command: str, reply: Reply) -> None:
        """A reply."""
        is_auth = command in ("AUTH", "AUTH RESPONSE")
        if is_auth:
            reply = Reply(reply.code, reply.enhanced, ("****",))
        self.tell("reply", command, reply)
        if is_auth and reply.code != 334:
            self.tell("authenticated", self._mechanism, reply, now() - self._auth_begun)
        elif command == "STARTTLS":
            self._tls_begun = now()
        elif command in _HELLO and reply.code < 300:
            self.tell("hello", self._capabilities)

    @property
    def _capabilities(self) -> Capabilities:
        assert self.protocol is not None  # noqa: S101 - who hears has a protocol
        return self.protocol.capabilities

    def secured(self, tls: TLSFacts) -> None:
        """A handshake is done."""
        self.tell("tls_started", tls, now() - self._tls_begun)

    # Messages --------------------------------------------------------------------------------------------------------

    def transaction(self, flow: Flow[SendResult]) -> Flow[SendResult]:
        """A message; `flow` sends it."""
        end = self.begin_transaction()
        try:
            result = yield from flow
        except BaseException as error:
            end(error)
            raise
        end(result)
        return result

    @contextmanager
    def transactions(self, ledger: Ledger) -> Generator[Ledger]:
        """Messages of a flight; its ledger is the one that is given."""
        books = _WatchedLedger(self, ledger)
        try:
            yield books
        except BaseException as error:
            books.give_up(error)
            raise

    def begin_transaction(self) -> "_End":
        """A message begins; what is given is to be called with what became of it."""
        self._transactions += 1
        name, begun = f"{self.id}.{self._transactions}", now()
        self.tell("transaction_started", name)

        def end(outcome: SendResult | BaseException) -> None:
            result, error = (outcome, None) if isinstance(outcome, SendResult) else (None, outcome)
            ended = TransactionOutcome(id=name, result=result, error=error, seconds=now() - begun)
            self.tell("transaction_ended", ended)

        return end


_End = Callable[[SendResult | BaseException], None]


class _WatchedLedger:
    """A ledger that tells of each job as of a transaction, from the time when a flight takes it."""

    def __init__(self, watch: Watch, ledger: Ledger) -> None:
        self._watch = watch
        self._ledger = ledger
        self._open: dict[int, _End] = {}

    def next_job(self) -> Job | None:
        job = self._ledger.next_job()
        if job is not None:
            self._open[id(job)] = self._watch.begin_transaction()
        return job

    def landed(self, job: Job, outcome: SendResult | SMTPXError) -> None:
        self._open.pop(id(job))(outcome)
        self._ledger.landed(job, outcome)

    def lost(self, job: Job, error: SMTPXError, *, begun: bool) -> None:
        self._open.pop(id(job))(error)
        self._ledger.lost(job, error, begun=begun)

    def give_up(self, error: BaseException) -> None:
        for end in self._open.values():
            end(error)
        self._open.clear()


# Calls of send -------------------------------------------------------------------------------------------------------


class _Configured(Protocol):
    settings: ClientSettings


@contextmanager
def _message(settings: ClientSettings) -> Generator[Callable[[SendResult], None]]:
    """Tell an observer of one message; the function that is given takes its result."""
    found: list[SendResult] = []
    observer = _begin(settings, bulk=False)
    try:
        yield found.append
    except BaseException as error:
        message_ended(observer, None, error)
        raise
    message_ended(observer, found[0], None)


def bulk_messages(settings: ClientSettings) -> BeginMessage | None:
    """What begins to tell of one message of many; None where nobody looks on."""
    return None if settings.observer is None else partial(_begin, settings, bulk=True)


def _begin(settings: ClientSettings, *, bulk: bool) -> MessageObserver | None:
    assert settings.observer is not None  # noqa: S101 - asked for before
    try:
        return settings.observer.message_started(settings.target, bulk=bulk)
    except Exception as error:
        _report("message_started", "-", error)
        return None


def message_ended(observer: MessageObserver | None, result: SendResult | None, error: BaseException | None) -> None:
    """Tell the observer of one message, if it has one, what became of it."""
    if observer is not None:
        try:
            observer.ended(result, error)
        except Exception as own:
            _report("ended", "-", own)


def watched(send: Callable[Concatenate[S, P], SendResult]) -> Callable[Concatenate[S, P], SendResult]:
    """For a method that sends one message: tells observers how it ends."""

    @wraps(send)
    def wrapper(self: S, /, *args: P.args, **options: P.kwargs) -> SendResult:
        if self.settings.observer is None:
            return send(self, *args, **options)
        with _message(self.settings) as take:
            take(result := send(self, *args, **options))
        return result

    return wrapper


def async_watched(
    send: Callable[Concatenate[S, P], Coroutine[Any, Any, SendResult]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, SendResult]]:
    """`watched`, for a method that is awaited."""

    @wraps(send)
    async def wrapper(self: S, /, *args: P.args, **options: P.kwargs) -> SendResult:
        if self.settings.observer is None:
            return await send(self, *args, **options)
        with _message(self.settings) as take:
            take(result := await send(self, *args, **options))
        return result

    return wrapper
