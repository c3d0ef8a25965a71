"""What providers share, for ours and for yours: one method to write is enough.

>>> from smtpx.flows.outcome import SendResult
>>> from smtpx.wire.reply import Reply
>>> class Nowhere(BaseProvider):
...     provider_type = "nowhere"
...
...     async def deliver(self, message):
...         return SendResult({str(each): Reply(250, None) for each in message.posting().recipients}, {})
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

from smtpx.errors import ConnectionLost
from smtpx.flows.outcome import SendResult
from smtpx.mailer.ledger import Ledger, each_of
from smtpx.mailer.life import Life
from smtpx.mailer.observer import MailObserver, ProviderFacts
from smtpx.mailer.preparing import check_from, complete
from smtpx.mailer.provider import BulkResult, Health, HealthState, OnOutcome, Probe, ProviderClosedError, Sendables
from smtpx.mailer.rate_limit import RateLimit
from smtpx.mailer.watch import Watch, bulk_watch, message_watch, tell
from smtpx.message.sendable import Sendable
from smtpx.net.deadlines import now

if TYPE_CHECKING:
    from typing import Self

__all__ = ["CLOSED", "BaseProvider"]

CLOSED = "the provider was closed before its turn"


class BaseProvider(ABC):
    """A provider that sends one message after the other; see `Provider`.

    Override `deliver`, and what else is different. `release` is called once, when nothing is under way any more.

    Args:
        from_email: sender of messages that name none.
        rate_limit: how fast; None for no limit.
        close_seconds: how long `close` waits for what is being sent.

    Attributes:
        provider_type: see `Provider`.
        supports_bulk_sending: see `Provider`.
        from_email: as given.
        rate_limit: as given.

    Raises:
        ConfigurationError: naming the argument.
    """

    provider_type: str = "unknown"
    supports_bulk_sending: bool = False

    def __init__(
        self, *, from_email: str = "", rate_limit: RateLimit | None = None, close_seconds: float = 30.0
    ) -> None:
        self.from_email = check_from(from_email)
        self.rate_limit = rate_limit
        self._life = Life(self.name, close_seconds, self._forget)
        self._observer: MailObserver | None = None
        self._known_as = self.name
        self._logs = self._tells = True  # of messages; or whoever keeps it does

    @property
    def name(self) -> str:
        """For health and errors."""
        return f"EmailProvider ({self.provider_type})"

    @property
    def metadata(self) -> Mapping[str, Any]:
        """See `Provider`."""
        return {"from_email": self.from_email} if self.from_email else {}

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._life.is_closed

    def observe(self, observer: MailObserver | None) -> None:
        """Have an observer told of its messages, and of what is done for them; before the first one.

        A service tells its own observer, and needs no call of this.
        """
        self._observer = observer
        self._tells = True

    def adopt(self, name: str, observer: MailObserver | None) -> None:
        """A service, or another provider, keeps it by this name, and tells of the messages itself from now on.

        Args:
            observer: who is to be told of the rest; None leaves that as it is, and messages too.
        """
        self._known_as = name
        self._logs = False
        if observer is not None:
            self._observer = observer
            self._tells = False

    def facts(self) -> ProviderFacts:
        """What observers are told of it."""
        return ProviderFacts.of(self, self._known_as)

    def prepare(self, message: Sendable) -> Sendable:
        """What will be delivered: made and checked before it takes a token.

        A `Message` has a sender, a date and a Message-ID then.

        Raises:
            LocalProtocolError, ValueError: it can't be sent.
        """
        return complete(message, self.from_email)

    @abstractmethod
    async def deliver(self, message: Sendable) -> SendResult:
        """Send one message that was prepared.

        Raises:
            SMTPXError: nobody got it, or that is not known.
        """

    async def release(self) -> None:  # noqa: B027 - there may be nothing to let go of
        """Let go of everything."""

    def _forget(self) -> object:
        """The event loop is gone, or this is a child process: let go of what belonged there; returns it."""
        return None

    async def send(self, message: Sendable) -> SendResult:
        """See `Provider`.

        Raises:
            ProviderClosedError: it was closed.
        """
        observer = self._observer if self._tells else None
        watch = message_watch(observer, self.facts, logs=self._logs)
        if watch is None:
            return await self._send(message, None)
        with watch:
            watch.result = await self._send(message, watch)
            return watch.result

    async def _send(self, message: Sendable, watch: Watch | None) -> SendResult:
        async with self._life.turn() as turn:
            ready = self.prepare(message)
            if watch is not None:
                watch.message = ready
            await self._token()
            turn.has_begun = True
            return await self.deliver(ready)

    async def _token(self) -> None:
        if self.rate_limit is not None and not self.rate_limit.take_nowait():
            begun = now()
            try:
                await self.rate_limit.wait()
            finally:
                if self._observer is not None:
                    tell(self._observer.waited, self.facts(), now() - begun)

    async def send_bulk(self, messages: Sendables, *, on_outcome: OnOutcome | None = None) -> BulkResult:
        """See `Provider`. Closed in the middle it finishes what is under way, and the rest is not tried.

        Cancelled, it tells `on_outcome` of those that are cut off, and of the rest of a list, before it ends.

        Raises:
            ProviderClosedError: it was closed before.
            Exception: what the source raises, behind the outcomes of all it gave.
        """
        observer = self._observer if self._tells else None
        watch = bulk_watch(observer, self.facts, logs=self._logs)
        if watch is None:
            return await self._send_bulk(messages, Ledger(on_outcome))
        with watch:
            return await self._send_bulk(messages, Ledger(on_outcome, watch))

    async def _send_bulk(self, messages: Sendables, ledger: Ledger) -> BulkResult:
        turn = self._life.turn()
        try:
            async with turn:
                try:
                    await self._send_all(messages, ledger)
                except asyncio.CancelledError:
                    ledger.give_up("given up while it was under way")
                    ledger.leave_out(messages, "given up before its turn")
                    raise
        except (ConnectionLost, ProviderClosedError):
            if not turn.was_cut:
                raise
        ledger.leave_out(messages, CLOSED)
        return ledger.result()

    async def _send_all(self, messages: Sendables, ledger: Ledger) -> None:
        async for message in each_of(messages):
            index = ledger.take(message)
            try:
                ready = self.prepare(message)
                await self._token()
                ledger.begin(index, ready)
                ledger.settle(index, await self.deliver(ready))
            except Exception as error:
                ledger.settle(index, error)
            if self._life.is_closed:
                return

    async def check(self, probe: Probe = Probe.LIVENESS) -> Health:
        """See `Provider`: alive always, ready until it is closed."""
        if probe is Probe.READINESS and self.is_closed:
            return self._health(HealthState.DEGRADED, "closed")
        return self._health(HealthState.HEALTHY, "ready")

    def _health(self, state: HealthState, message: str, seconds: float = 0.0) -> Health:
        moment = datetime.now().astimezone()
        return Health(name=self.name, state=state, message=message, checked_at=moment, duration_seconds=seconds)

    async def close(self) -> None:
        """See `Provider`. What is not done after `close_seconds` is cut off, and may have been delivered."""
        await self._life.close(self.release)

    async def __aenter__(self) -> "Self":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()
