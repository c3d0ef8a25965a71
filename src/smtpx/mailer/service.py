"""Mail for an application: providers by name, one of them the default, and what is done to each message before."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypedDict

from smtpx.client.stamp import new_id, now_here
from smtpx.flows.outcome import SendResult
from smtpx.mailer.builder import Builder
from smtpx.mailer.bulk_run import BulkRun
from smtpx.mailer.desk import Desk, Transform
from smtpx.mailer.failover import adopt, close_all
from smtpx.mailer.health import of_all
from smtpx.mailer.ledger import Ledger
from smtpx.mailer.observer import MailObserver
from smtpx.mailer.once import Once
from smtpx.mailer.preparing import Limits
from smtpx.mailer.provider import BulkResult, Health, HealthState, OnOutcome, Probe, Provider, Sendables, is_unknown
from smtpx.mailer.registry import ProviderInfo, Registry
from smtpx.mailer.retry import Retry
from smtpx.mailer.watch import Watch, bulk_watch, message_watch
from smtpx.message.sendable import Sendable

if TYPE_CHECKING:
    from typing import Self

    from smtpx.mailer.template import Templates

__all__ = ["MailService", "ProviderInfo", "ServiceOptions", "Transform"]


class ServiceOptions(TypedDict, total=False):
    """Keyword arguments of `MailService`, which says what they mean."""

    default: str | None
    owned: bool
    max_recipients: int
    max_message_bytes: int
    retry: Retry | None
    transforms: Sequence[Transform]
    clock: Callable[[], datetime]
    new_id: Callable[[str], str]
    max_keys: int
    templates: "Templates | None"
    observer: MailObserver | None


class MailService:
    """Sends mail by providers.

    Each message gets the provider's default sender if it has none, a date and a Message-ID; recipients that are named
    twice are cleaned up; it is checked, and then changed by `transforms`. A repeat sends the same octets.

    Args:
        providers: one, which is named "default", or several by name; more may be registered.
        default: the name of the one that sends what names none. A single provider is the default by itself.
        owned: closing the service closes the providers it was made with.
        max_recipients: for one message.
        max_message_bytes: for one message: of texts and attachments, before they are encoded.
        retry: what to do about temporary errors; None leaves them to the caller.
        transforms: called in order with each message that is ready; DKIM signing is one.
        clock: gives the date of a message that has none.
        new_id: makes a Message-ID for a domain.
        max_keys: so many keys of `send` are remembered.
        templates: what `new().template(...)` renders.
        observer: told of each message and what is done for it, such as `smtpx.telemetry.MailTelemetry()`. What is sent
            by a provider directly, past the service, it is not told.

    Raises:
        ConfigurationError: naming what is wrong.
    """

    def __init__(
        self,
        providers: Provider | Mapping[str, Provider] | None = None,
        *,
        default: str | None = None,
        owned: bool = True,
        max_recipients: int = 100,
        max_message_bytes: int = 26_214_400,
        retry: Retry | None = None,
        transforms: Sequence[Transform] = (),
        clock: Callable[[], datetime] = now_here,
        new_id: Callable[[str], str] = new_id,
        max_keys: int = 10_000,
        templates: "Templates | None" = None,
        observer: MailObserver | None = None,
    ) -> None:
        self._registry = Registry(default, clock)
        self._desk = Desk(
            self._registry,
            limits=Limits(max_recipients, max_message_bytes),
            retry=retry,
            transforms=transforms,
            clock=clock,
            new_id=new_id,
            observer=observer,
        )
        self._observer = observer
        self._once = Once(max_keys)
        self._templates = templates
        if providers is not None:
            for name, each in (providers if isinstance(providers, Mapping) else {"default": providers}).items():
                self.register(name, each, owned=owned)

    # Providers -------------------------------------------------------------------------------------------------------

    def register(self, name: str, provider: Provider, *, owned: bool = True) -> None:
        """Add a provider.

        Args:
            owned: closing the service closes it.

        Raises:
            ConfigurationError: the name is empty or taken, or there is no provider.
            ProviderClosedError: the service is closed.
        """
        self._desk.check_open()
        self._registry.register(name, provider, owned=owned)
        adopt(provider, name, self._observer)

    def set_default(self, name: str) -> None:
        """Say who sends what names no provider.

        Raises:
            ConfigurationError: no provider has this name.
        """
        self._registry.set_default(name)

    @property
    def default(self) -> str | None:
        """The name of the default provider; None if there is none, or several of which none was chosen."""
        return self._registry.default

    @property
    def providers(self) -> Sequence[str]:
        """Their names, sorted."""
        return self._registry.names

    def has_provider(self, name: str) -> bool:
        """Whether one has this name."""
        return name in self._registry.entries

    def provider(self, name: str | None = None) -> Provider:
        """A provider by name; the default one without.

        Raises:
            ConfigurationError: there is none.
        """
        return self._registry.entry(name).provider

    def list_providers(self) -> Sequence[ProviderInfo]:
        """All of them, sorted by name."""
        return self._registry.listing()

    # Sending ---------------------------------------------------------------------------------------------------------

    def new(self) -> "Builder[Coroutine[Any, Any, SendResult]]":
        """A message to put together: `await service.new().to("jane@home.example").subject("Hi").text("...").send()`."""
        return Builder(self.send, self._templates)

    async def send(self, message: Sendable, *, provider: str | None = None, key: str | None = None) -> SendResult:
        """Send one message.

        Args:
            provider: the name of the one to send it; default: what the message says, or the default provider.
            key: of what is to be sent once only, such as "invoice-17". It is remembered in memory, and free again when
                the message was not sent for certain.

        Raises:
            ConfigurationError: there is no such provider.
            DuplicateError: a message with this key was sent, or may have been.
            MessageError: it can't be sent; all findings at once.
            SMTPXError: nobody got it, or (`is_unknown`) that is not known.
        """
        watch = message_watch(self._observer, lambda: self._desk.facts(message, provider))
        if watch is None:
            return await self._send(message, provider, key, None)
        with watch:
            watch.result = await self._send(message, provider, key, watch)
            return watch.result

    async def _send(self, message: Sendable, provider: str | None, key: str | None, watch: Watch | None) -> SendResult:
        desk = self._desk
        desk.check_open()
        name = desk.name_for(message, provider)
        ready = desk.prepare(message, name)
        if watch is not None:
            watch.message = ready
        if key is None:
            return await desk.send(name, ready)
        self._once.take(key)
        try:
            return await desk.send(name, ready)
        except Exception as error:
            if not is_unknown(error):
                self._once.free(key)
            raise

    async def send_bulk(
        self, messages: Sendables, *, provider: str | None = None, on_outcome: OnOutcome | None = None
    ) -> BulkResult:
        """Send many: every message is tried, and those that can't be sent have an error in their place.

        Messages that name another provider than the rest are sent behind them, by that one.

        Args:
            provider: for all of them; else what each says, or the default provider.
            on_outcome: called for each, in order.

        Raises:
            ConfigurationError: there is no such provider, or no default.
            ProviderClosedError: the service is closed.
            Exception: what the source raises, behind the outcomes of all it gave.
        """
        self._desk.check_open()
        main = self._registry.name(provider)
        watch = bulk_watch(self._observer, lambda: self._desk.facts(None, main))
        if watch is None:
            return await self._send_bulk(messages, main, provider, Ledger(on_outcome))
        with watch:
            return await self._send_bulk(messages, main, provider, Ledger(on_outcome, watch))

    async def _send_bulk(self, messages: Sendables, main: str, provider: str | None, ledger: Ledger) -> BulkResult:
        bulk = BulkRun(self._desk, ledger, main=main, wanted=provider)
        try:
            await bulk.run(messages)
        except asyncio.CancelledError:
            ledger.give_up("given up while it was under way")
            ledger.leave_out(messages, "given up before its turn")
            raise
        ledger.leave_out(messages, "the mail service was closed before its turn")
        return ledger.result()

    # The rest --------------------------------------------------------------------------------------------------------

    async def check(self, probe: Probe = Probe.LIVENESS) -> Health:
        """How it is. Alive while there is a provider; ready as its providers are, above all the default one."""
        providers = {name: self.provider(name) for name in self.providers}
        return await of_all("EmailService", providers, probe, lambda states: self._judge(probe, states))

    def _judge(self, probe: Probe, states: Mapping[str, HealthState]) -> tuple[HealthState, str]:
        if not states:
            return HealthState.UNHEALTHY, "no provider is registered"
        if probe is Probe.LIVENESS:
            return HealthState.HEALTHY, f"{len(states)} registered"
        if states.get(self.default or "") is HealthState.UNHEALTHY:
            return HealthState.UNHEALTHY, f"the default provider {self.default!r} is unhealthy"
        troubled = [name for name, state in states.items() if state is not HealthState.HEALTHY]
        if troubled:
            return HealthState.DEGRADED, f"not all providers are healthy: {', '.join(troubled)}"
        return HealthState.HEALTHY, "all providers are healthy"

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._desk.is_closed

    async def close(self) -> None:
        """Take nothing more, and close the providers, which let finish what is under way. May be called again."""
        self._desk.close()
        await close_all(entry.provider for entry in list(self._registry.entries.values()) if entry.owned)

    async def __aenter__(self) -> "Self":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()
