"""What is done to each message of a service before it goes to a provider, and when it goes there again."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias

from smtpx.flows.outcome import SendResult
from smtpx.mailer.observer import MailObserver, ProviderFacts
from smtpx.mailer.preparing import Limits, named_provider, prepared
from smtpx.mailer.provider import ProviderClosedError
from smtpx.mailer.registry import Registry
from smtpx.mailer.retry import Retry, may_repeat
from smtpx.mailer.watch import tell
from smtpx.message.sendable import Sendable

__all__ = ["Desk", "Transform"]

Transform: TypeAlias = Callable[[Sendable], Sendable]


class Desk:
    """See `MailService`, which passes its arguments on.

    Attributes:
        is_closed: nothing is taken, and nothing tried again.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        limits: Limits,
        retry: Retry | None,
        transforms: Sequence[Transform],
        clock: Callable[[], datetime],
        new_id: Callable[[str], str],
        observer: MailObserver | None = None,
    ) -> None:
        self.registry = registry
        self._limits = limits
        self._retry = retry
        self._transforms = tuple(transforms)
        self._clock = clock
        self._new_id = new_id
        self._observer = observer
        self._pauses: set[asyncio.Future[None]] = set()
        self.is_closed = False

    def check_open(self) -> None:
        """See that messages are taken.

        Raises:
            ProviderClosedError: no.
        """
        if self.is_closed:
            raise ProviderClosedError("this mail service is closed")

    def close(self) -> None:
        """Take nothing more; whoever waits for another attempt gives up."""
        self.is_closed = True
        for pause in self._pauses:
            if not pause.done():
                pause.set_result(None)

    def name_for(self, message: Sendable, wanted: str | None) -> str:
        """Who is to send a message: as wanted, as it says, or the default one.

        Raises:
            ConfigurationError: there is none of that name.
        """
        return self.registry.name(wanted or named_provider(message))

    def facts(self, message: Sendable | None, wanted: str | None) -> ProviderFacts | None:
        """What observers are told of who is to send a message; None if there is none."""
        named = None if message is None else named_provider(message)
        name = wanted or named or self.registry.default
        entry = self.registry.entries.get(name or "")
        return None if name is None or entry is None else ProviderFacts.of(entry.provider, name)

    def prepare(self, message: Sendable, name: str) -> Sendable:
        """The message as it will be sent by this provider, however often.

        Raises:
            MessageError: it can't be sent.
        """
        sender: str = getattr(self.registry.entries[name].provider, "from_email", "")
        ready = prepared(message, sender, self._limits, self._clock, self._new_id)
        for transform in self._transforms:
            ready = transform(ready)
        return ready

    async def send(self, name: str, message: Sendable) -> SendResult:
        """Send one message, by as many attempts as are allowed."""
        attempt = 1
        while True:
            try:
                return await self.registry.entries[name].provider.send(message)
            except Exception as error:
                attempt += 1
                if not self.may_repeat(error, attempt):
                    raise
                self.tell_retry(name, attempt, error)
                await self.pause(attempt)
                if self.is_closed:
                    raise

    def may_repeat(self, error: BaseException, attempt: int) -> bool:
        """Whether there may be this attempt, after such an error."""
        retry = self._retry
        return retry is not None and attempt <= retry.attempts and may_repeat(error) and not self.is_closed

    def tell_retry(self, name: str, attempt: int, error: BaseException) -> None:
        """Tell who looks on that a message goes again."""
        if self._observer is not None and (facts := self.facts(None, name)) is not None:
            tell(self._observer.retried, facts, attempt, error)

    async def pause(self, attempt: int) -> None:
        """Wait before an attempt; closing ends it."""
        seconds = self._retry.seconds_before(attempt) if self._retry is not None else 0.0
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pauses.add(woken)
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken, seconds)
        finally:
            self._pauses.discard(woken)
