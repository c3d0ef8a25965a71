"""`MailService` for programs without an event loop: the same, without await."""

import queue
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Unpack

from smtpx.client.bulk import SendOutcome
from smtpx.flows.outcome import SendResult
from smtpx.mailer.builder import Builder
from smtpx.mailer.ledger import tell_safely
from smtpx.mailer.loop_thread import LoopThread
from smtpx.mailer.provider import BulkResult, Health, OnOutcome, Probe, Provider
from smtpx.mailer.service import MailService, ProviderInfo, ServiceOptions
from smtpx.message.sendable import Sendable

if TYPE_CHECKING:
    from concurrent.futures import Future
    from typing import Self

__all__ = ["SyncMailService"]

_EXIT_SECONDS = 2.0  # what saying goodbye may take when the interpreter ends


class SyncMailService:
    """A mail service for threads; takes what `MailService` takes, and may be shared by any number of them.

    Providers work in a thread of its own, which is started by the first message; so they belong to this service and
    can't be used by another event loop as well. In a child process (fork) everything is made anew there, connections
    too. A program that ends without `close` does not hang.
    """

    def __init__(
        self,
        providers: Provider | Mapping[str, Provider] | None = None,
        **options: Unpack[ServiceOptions],
    ) -> None:
        self._service = MailService(providers, **options)
        self._templates = options.get("templates")
        self._thread = LoopThread("smtpx-mailer", self._at_exit)

    def register(self, name: str, provider: Provider, *, owned: bool = True) -> None:
        """See `MailService.register`."""
        self._service.register(name, provider, owned=owned)

    def set_default(self, name: str) -> None:
        """See `MailService.set_default`."""
        self._service.set_default(name)

    @property
    def default(self) -> str | None:
        """See `MailService.default`."""
        return self._service.default

    @property
    def providers(self) -> Sequence[str]:
        """See `MailService.providers`."""
        return self._service.providers

    def has_provider(self, name: str) -> bool:
        """See `MailService.has_provider`."""
        return self._service.has_provider(name)

    def provider(self, name: str | None = None) -> Provider:
        """See `MailService.provider`. Its methods run in the service's thread only."""
        return self._service.provider(name)

    def list_providers(self) -> Sequence[ProviderInfo]:
        """See `MailService.list_providers`."""
        return self._service.list_providers()

    def new(self) -> Builder[SendResult]:
        """A message to put together; see `MailService.new`."""
        return Builder(self.send, self._templates)

    def send(self, message: Sendable, *, provider: str | None = None, key: str | None = None) -> SendResult:
        """See `MailService.send`. Interrupted by Ctrl-C, the message is cut off."""
        return self._thread.run(self._service.send(message, provider=provider, key=key))

    def send_bulk(
        self, messages: Iterable[Sendable], *, provider: str | None = None, on_outcome: OnOutcome | None = None
    ) -> BulkResult:
        """See `MailService.send_bulk`. The messages are taken, and `on_outcome` is called, in the calling thread."""
        taken = list(messages)
        if on_outcome is None:
            return self._thread.run(self._service.send_bulk(taken, provider=provider))
        told: queue.SimpleQueue[SendOutcome | None] = queue.SimpleQueue()
        future: Future[BulkResult] = self._thread.submit(
            self._service.send_bulk(taken, provider=provider, on_outcome=told.put)
        )
        future.add_done_callback(lambda _: told.put(None))
        try:
            while (outcome := told.get()) is not None:
                tell_safely(on_outcome, outcome)
            return self._thread.result(future)
        except BaseException:
            future.cancel()
            raise

    def check(self, probe: Probe = Probe.LIVENESS) -> Health:
        """See `MailService.check`."""
        return self._thread.run(self._service.check(probe))

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._service.is_closed

    def close(self) -> None:
        """See `MailService.close`; the thread ends too. May be called again."""
        try:
            self._thread.run(self._service.close())
        finally:
            self._thread.stop()

    def _at_exit(self) -> None:
        self._thread.run(self._service.close(), _EXIT_SECONDS)

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
