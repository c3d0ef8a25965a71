"""Many messages in one call: what goes in, what comes out, and the bookkeeping in between, without I/O.

A `Run` is one call of `send_many`. Workers take orders from it, each with a connection of its own; a `Hold` is the time
that a worker keeps one connection.
"""

import copy
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from smtpx.client.conversation import Conversation
from smtpx.client.mail import Mail
from smtpx.client.observer import MessageObserver
from smtpx.client.settings import Limits
from smtpx.client.watch import BeginMessage, message_ended
from smtpx.client.wishes import Wishes, is_binary
from smtpx.errors import LocalProtocolError, RefusedError, RemoteProtocolError, SMTPXError, TransportError
from smtpx.flows.flight import Job
from smtpx.flows.outcome import SendResult
from smtpx.net.deadlines import Deadline, now

if TYPE_CHECKING:
    from collections.abc import Sequence
    from email.message import Message as EmailMessage

    from smtpx.client.mail import MessageSource
    from smtpx.message.sendable import Sendable
    from smtpx.wire.address import Mailbox

    Letter: TypeAlias = "Outgoing | Sendable | EmailMessage[Any, Any]"
    Messages: TypeAlias = "Iterable[Letter] | AsyncIterable[Letter]"

__all__ = ["GIVEN_UP", "Hold", "Order", "Outgoing", "Run", "SendManyOptions", "SendOutcome"]

_MAX_WAITING_BYTES = 16 << 20  # of content at hand that the source gave and that is not done
GIVEN_UP = "given up: nobody waits for it any more"
_TURN = 100  # after so many messages a connection goes to whoever else waits for one


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message for `send_many`, with its envelope.

    Nothing is checked before its turn comes, so that a mistake in one message concerns no other. None stands for what
    `send_many` was told, and for what the message itself says.
    """

    message: "MessageSource"
    sender: "str | Mailbox | None" = None
    recipients: "Sequence[str | Mailbox] | str | None" = None
    strict: bool | None = None
    smtputf8: bool | None = None
    normalize_newlines: bool | None = None
    wishes: Wishes = field(default_factory=Wishes)


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """What became of one message of many: a result or an error, never both.

    Attributes:
        index: its place among the messages, from 0.
        message: as it was given.
        result: what became of each recipient; at least one was accepted.
        error: why nobody got it, or why that is not known (`is_unknown`). What the message itself or other code of the
            caller's raised is its `__cause__`.
    """

    index: int
    message: object
    result: SendResult | None = None
    error: SMTPXError | None = None

    @property
    def is_unknown(self) -> bool:
        """Whether the connection was lost, or went out of step, before the verdict: it may have been delivered.

        Sending it again may deliver it twice (RFC 1047).
        """
        lost = isinstance(self.error, TransportError | RemoteProtocolError) and self.error.stage == "final"
        return self.result is None and lost

    def unwrap(self) -> SendResult:
        """The result.

        Raises:
            SMTPXError: the error, if there is one.
        """
        if self.result is None:
            raise self.error or ValueError("an outcome without result and error")
        return self.result


@dataclass(frozen=True, slots=True, kw_only=True)
class SendManyOptions:
    """What holds for all messages that don't say otherwise."""

    strict: bool = False
    smtputf8: bool | None = None
    normalize_newlines: bool = False
    wishes: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Order:
    """One message of a run on its way from the source to its outcome."""

    __slots__ = (
        *("attempts", "begun", "given", "index", "mail", "observer", "outcome"),
        *("smtputf8", "strict", "weight", "wishes"),
    )

    def __init__(self, index: int, given: object, options: SendManyOptions) -> None:
        own = given if isinstance(given, Outgoing) else None
        self.index = index
        self.given = given
        self.strict = options.strict if own is None or own.strict is None else own.strict
        self.smtputf8 = options.smtputf8 if own is None or own.smtputf8 is None else own.smtputf8
        self.wishes: Mapping[str, Any] = {**options.wishes, **own.wishes} if own and own.wishes else options.wishes
        self.weight = _weight(given if own is None else own.message)
        self.mail: Mail | None = None
        self.observer: MessageObserver | None = None
        self.outcome: SendOutcome | None = None
        self.attempts = 0
        self.begun = 0.0

    def prepare(self, options: SendManyOptions) -> Mail:
        """The message with its envelope.

        Raises:
            LocalProtocolError, TypeError: see `Mail`.
        """
        if self.mail is None:
            own = self.given if isinstance(self.given, Outgoing) else Outgoing(self.given)  # type: ignore[arg-type]
            normalize = options.normalize_newlines if own.normalize_newlines is None else own.normalize_newlines
            self.mail = Mail(
                own.message, own.sender, own.recipients, normalize_newlines=normalize, binary=is_binary(self.wishes)
            )
        return self.mail

    def write_ahead(self, server: Conversation, options: SendManyOptions) -> None:
        """Write a message that writes itself while the server is at work on those before it, and not in its turn."""
        with suppress(Exception):  # in its turn it is told
            self.weight += server.write_ahead(self.prepare(options), smtputf8=self.smtputf8)


def _weight(message: object) -> int:
    return len(message) if isinstance(message, bytes | bytearray) else 0


class Run:
    """One call of `send_many`: orders in the sequence they came, of which a bounded number is not done.

    Args:
        lock: held while anything changes; workers may be threads.
        wake: called, without the lock, when there is something new to take or to give out.
        begin: gives each message its observer, where anybody looks on.

    Attributes:
        is_stopped: nobody waits for what is left.
        has_ended: the source gives no more.
        crash: what ended a worker that should not have ended.
    """

    def __init__(
        self,
        limits: Limits,
        options: SendManyOptions,
        *,
        wake: Callable[[], None],
        lock: AbstractContextManager[Any] | None = None,
        begin: BeginMessage | None = None,
    ) -> None:
        self.options = options
        self.is_stopped = False
        self.has_ended = False
        self.crash: BaseException | None = None
        self._limits = limits
        self._wake = wake
        self._begin = begin
        self._lock = lock or nullcontext()
        self._window = 2 * limits.max_connections * limits.max_in_flight
        self._unfinished: deque[Order] = deque()
        self._waiting: deque[Order] = deque()
        self._server: Conversation | None = None  # what is known of the server; nothing is said to it here
        self._count = self._weight = 0
        self._max_workers = limits.max_connections
        self._workers = self._connected = self._new = self._idle = 0
        self._hopeless: Exception | None = None

    # The source's and the consumer's side ----------------------------------------------------------------------------

    @property
    def has_room(self) -> bool:
        """Whether another message may be taken from the source."""
        return len(self._unfinished) < self._window and self._weight < _MAX_WAITING_BYTES

    def add(self, given: object) -> bool:
        """Take one from the source; True when there is work enough for one more worker, which is then counted."""
        order = Order(self._count, given, self.options)
        if self._server is not None:
            order.write_ahead(self._server, self.options)
        with self._lock:
            self._count += 1
            self._weight += order.weight
            self._unfinished.append(order)
            self._waiting.append(order)
            coming = self._idle + self._new
            start = self._workers < self._max_workers and len(self._waiting) > coming * self._limits.max_in_flight
            if start:
                self._workers += 1
                self._new += 1
        self._wake()
        return start

    def next_outcome(self) -> SendOutcome | None:
        """The next in order, when it is known."""
        with self._lock:
            if not self._unfinished or self._unfinished[0].outcome is None:
                return None
            order = self._unfinished.popleft()
            self._weight -= order.weight
            return order.outcome

    @property
    def is_over(self) -> bool:
        """Whether everything was given out."""
        return self.has_ended and not self._unfinished

    def check(self) -> None:
        """See that somebody works on it.

        Raises:
            BaseException: what ended a worker.
            LocalProtocolError: the client was closed.
        """
        if self.crash is not None:
            raise self.crash
        if self.is_stopped:
            raise LocalProtocolError("this client is closed")

    def give_up(self) -> None:
        """Everybody has stopped: what was begun has come to nothing, as far as anybody here will ever know."""
        with self._lock:
            begun = [each for each in self._unfinished if each.begun and each.outcome is None]
        for order in begun:
            self._tell(order, None, LocalProtocolError(GIVEN_UP))

    # The workers' side -----------------------------------------------------------------------------------------------

    def knows(self, server: Conversation) -> None:
        """A worker has a connection, which tells what messages for this server look like."""
        self._server = server

    @property
    def has_work(self) -> bool:
        """Whether an order waits."""
        return bool(self._waiting)

    @property
    def needs_nobody(self) -> bool:
        """Whether a worker without an order may go home."""
        return self.is_stopped or self.is_over

    def take(self) -> Order | None:
        """The next order; None when none waits."""
        if not self._waiting or self.is_stopped:
            return None
        with self._lock:
            if self._hopeless is None:
                return self._waiting.popleft() if self._waiting else None
            failed, self._waiting = list(self._waiting), deque()
        for order in failed:
            self.settle(order, copy.copy(self._hopeless))
        return None

    def prepare(self, order: Order) -> Mail:
        """An order's turn has come; see `Order.prepare`."""
        self._start(order)
        return order.prepare(self.options)

    def _start(self, order: Order) -> None:
        if not order.begun:
            order.begun = now()
            order.observer = self._begin() if self._begin is not None else None

    def _tell(self, order: Order, result: SendResult | None, error: BaseException | None) -> None:
        """Once, whoever comes first: a thread that was given up may still end."""
        if self._begin is None:
            return
        if not self.is_stopped:
            self._start(order)
        with self._lock:
            observer, order.observer = order.observer, None
        message_ended(observer, result, error)

    def put_back(self, order: Order) -> None:
        """An order that was not begun, or begun in vain: it is the next one again."""
        with self._lock:
            later = [each for each in self._waiting if each.index < order.index]
            self._waiting.insert(len(later), order)
        self._wake()

    def settle(self, order: Order, outcome: "SendResult | Exception") -> None:
        """What became of an order."""
        if isinstance(outcome, SendResult):
            result = replace(outcome, duration_seconds=now() - order.begun)
            self._tell(order, result, None)
            order.outcome = SendOutcome(order.index, order.given, result)
        else:
            error = outcome if isinstance(outcome, SMTPXError) else _as_ours(outcome)
            if order.mail is not None:
                order.mail.add_parts(error)
            self._tell(order, None, error)
            order.outcome = SendOutcome(order.index, order.given, error=error)
        order.mail = None
        self._wake()

    def idles(self, change: int) -> None:
        """A worker begins (1) or ends (-1) to wait for orders."""
        self._idle += change

    def connected(self, *, first: bool) -> None:
        """A worker has a connection; `first`: its first one."""
        if first:
            with self._lock:
                self._new -= 1
                self._connected += 1

    def not_connected(self, order: Order, error: Exception) -> bool:
        """A worker could not get a connection for its order; False if the others are to go on without it."""
        with self._lock:
            same_for_all = isinstance(error, SMTPXError) and not (error.is_temporary or isinstance(error, RefusedError))
            if same_for_all and not self._connected:
                self._hopeless = copy.copy(error)  # nobody is to try a wrong password a thousand times
            leaves = self._workers > 1 and self._hopeless is None
            if leaves:
                self._workers -= 1  # here, and not when it is gone: two that fail at once must not both leave
                self._max_workers = min(self._max_workers, self._workers)  # more than this server takes
        if leaves:
            self.put_back(order)
        else:
            self.settle(order, error)
        return not leaves

    def leaves(self, *, connected: bool, crash: BaseException | None = None, gave_up: bool = False) -> None:
        """A worker has ended; `gave_up`: because `not_connected` told it to."""
        self.crash = self.crash or crash
        with self._lock:
            self._workers -= not gave_up
            self._connected -= connected
            self._new -= not connected
        self._wake()


class Hold:
    """A worker's time with one connection: the ledger that its flights are written to.

    Args:
        first: the order it begins with.
        wanted: whether somebody else waits for a connection.

    Attributes:
        alone: an order that can't fly; it is to be sent by itself.
        deadline: for what is going on; begins again with each message.
    """

    def __init__(self, run: Run, conversation: Conversation, first: Order, *, wanted: Callable[[], bool]) -> None:
        self.alone: Order | None = None
        self.deadline = Deadline(conversation.settings.timeout)
        self._run = run
        self._conversation = conversation
        self._first: Order | None = first
        self._wanted = wanted
        self._begun = 0
        self._used = conversation.messages > 0
        run.knows(conversation)

    def next_job(self) -> Job | None:
        """See `Ledger`."""
        conversation, run = self._conversation, self._run
        while (order := self._next_order()) is not None:
            try:
                mail = run.prepare(order)
                job = conversation.job(order, mail, order.wishes, strict=order.strict, smtputf8=order.smtputf8)
            except Exception as error:  # whatever a message of the caller's may raise is its own fate
                run.settle(order, error)
                continue
            if job is None:
                self.alone = order
            return job
        return None

    def _next_order(self) -> Order | None:
        order, self._first = self._first, None
        if order is None and self.alone is None and self._may_go_on():
            order = self._run.take()
        self._begun += order is not None
        return order

    def _may_go_on(self) -> bool:
        return self._conversation.has_room and (self._begun < _TURN or not self._wanted())

    def landed(self, job: Job, outcome: SendResult | SMTPXError) -> None:
        """See `Ledger`."""
        self._used = True
        self.deadline.restart(self._conversation.settings.timeout)
        self._run.settle(_order_of(job), outcome)

    def lost(self, job: Job, error: SMTPXError, *, begun: bool) -> None:
        """See `Ledger`. Once it is tried on another connection, if this one has been good for anything."""
        order = _order_of(job)
        order.attempts += begun
        if begun and (not self._used or order.attempts > 1):
            self._run.settle(order, error)
        else:
            self._run.put_back(order)

    def take_alone(self) -> Order | None:
        """The order that is to be sent by itself, while the connection is good."""
        if not self._conversation.is_reusable:
            return None
        order, self.alone = self.alone, None
        return order

    def sent_alone(self, order: Order, result: SendResult) -> None:
        """An order was sent by itself."""
        self._used = True
        self._run.settle(order, result)

    def failed_alone(self, order: Order, error: Exception) -> None:
        """An order that was sent by itself failed."""
        repeat = (
            isinstance(error, SMTPXError)
            and order.mail is not None
            and not order.attempts
            and self._conversation.may_repeat(order.mail, error)
        )
        if not repeat:
            self._run.settle(order, error)
        else:
            order.attempts += 1
            self._run.put_back(order)

    def end(self) -> None:
        """The connection is given back; what was not begun is for the next one."""
        for order in (self._first, self.alone):
            if order is not None:
                self._run.put_back(order)
        self._first = self.alone = None


def _as_ours(cause: Exception) -> SMTPXError:
    error = SMTPXError(f"the message could not be sent: {type(cause).__name__}: {cause}")
    error.__cause__ = cause
    return error


def _order_of(job: Job) -> Order:
    assert isinstance(job.key, Order)  # noqa: S101 - made by `next_job`
    return job.key
