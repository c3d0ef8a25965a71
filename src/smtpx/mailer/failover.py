"""Several providers as one: if the first can't, the next one sends; or each in its turn."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Any

from smtpx.errors import (
    AuthenticationError,
    ConfigurationError,
    RefusedError,
    RemoteProtocolError,
    SMTPXError,
    TransportError,
    UnsupportedError,
)
from smtpx.flows.outcome import SendResult
from smtpx.mailer.base import CLOSED, BaseProvider
from smtpx.mailer.circuit_breaker import BreakerOpenError, CircuitBreaker
from smtpx.mailer.groups import send_group
from smtpx.mailer.health import of_all
from smtpx.mailer.ledger import Ledger, each_of
from smtpx.mailer.observer import MailObserver
from smtpx.mailer.provider import Health, HealthState, NotTriedError, Probe, Provider, Sendables, is_unknown
from smtpx.mailer.watch import tell
from smtpx.message.sendable import Sendable

__all__ = ["FailoverError", "FailoverProvider", "RoundRobinProvider", "adopt", "another_may", "close_all"]

_ABOUT_US = frozenset({"connect", "greeting", "hello", "starttls", "auth"})  # before any message is named
_LOGIN_CODES = frozenset({530, 534, 535, 538})  # wherever they come: the server wants another login
_TROUBLE = (TransportError, RemoteProtocolError, AuthenticationError, ConfigurationError)


class FailoverError(SMTPXError):
    """No provider could send it. `errors` has what each said, by its name."""

    def __init__(self, errors: Mapping[str, Exception]) -> None:
        told = "; ".join(f"{name}: {error}" for name, error in errors.items())
        super().__init__(f"no provider could send it: {told}")
        self.errors = dict(errors)
        self.is_temporary = any(getattr(error, "is_temporary", False) for error in errors.values())
        stages = [getattr(error, "stage", None) for error in errors.values()]
        self.stage = next((stage for stage in stages if stage in ("body", "final")), None)


def another_may(error: BaseException) -> bool:
    """Whether another provider may send it: nobody can have it, and it is not the message's fault."""
    if is_unknown(error) or getattr(getattr(error, "result", None), "accepted", None):
        return False
    if isinstance(error, RefusedError):
        return error.is_temporary or _is_about_us(error)
    own = isinstance(error, (*_TROUBLE, UnsupportedError, NotTriedError))
    return own or (isinstance(error, SMTPXError) and error.is_temporary)


def _is_about_us(error: RefusedError) -> bool:
    return error.stage in _ABOUT_US or error.reply.code in _LOGIN_CODES


class _Member:
    """One of the providers, with its breaker."""

    def __init__(self, name: str, provider: Provider, breaker: CircuitBreaker) -> None:
        self.name = name
        self.provider = provider
        self.breaker = breaker
        self.observer: MailObserver | None = None

    async def send(self, message: Sendable) -> SendResult:
        self.breaker.enter()
        try:
            result = await self.provider.send(message)
        except BaseException as error:
            self.judge(error)
            raise
        self.judge(None)
        return result

    def judge(self, error: BaseException | None) -> None:
        """Keep in mind how it went. A refusal is no trouble of the provider, unless it is about us or 421."""
        was_open = self.breaker.is_open
        self._judge(error)
        if self.observer is not None and self.breaker.is_open is not was_open:
            tell(self.observer.breaker_changed, self.name, is_open=not was_open)

    def _judge(self, error: BaseException | None) -> None:
        if error is None:
            self.breaker.succeeded()
        elif isinstance(error, RefusedError) and (error.reply.code == 421 or _is_about_us(error)):
            self.breaker.failed()
        elif isinstance(error, RefusedError):
            self.breaker.succeeded()  # it answers
        elif isinstance(error, _TROUBLE):
            self.breaker.failed()
        else:
            self.breaker.left()

    def failed_over(self, error: Exception) -> None:
        """Tell who looks on that the message goes to another one."""
        if self.observer is not None:
            tell(self.observer.failed_over, self.name, error)


class FailoverProvider(BaseProvider):
    """Sends by the first provider that can.

    The next one is tried when a provider can't be reached, breaks off, does not let us in or lacks what the message
    needs, and when it refuses the message for now. A message that was refused for good is not tried elsewhere, nor is
    one of which it is not known whether it was sent. In bulk only those that were not sent go on.

    A provider that fails again and again is left alone for a while: see `CircuitBreaker`.

    Args:
        providers: best first, by name or in a list.
        breaker: with the numbers for each of them.
        owned: closing this closes them.
        from_email: sender of messages that name none; default: that of the first provider which has one.

    Raises:
        ConfigurationError: there are none.
    """

    provider_type = "failover"

    def __init__(
        self,
        providers: Mapping[str, Provider] | Sequence[Provider],
        *,
        breaker: CircuitBreaker | None = None,
        owned: bool = True,
        from_email: str = "",
        close_seconds: float = 30.0,
    ) -> None:
        if isinstance(providers, Mapping):
            named = dict(providers)
        else:
            named = {f"{each.provider_type} {number}": each for number, each in enumerate(providers, 1)}
        if not named:
            raise ConfigurationError("providers: at least one is needed")
        found = (getattr(each, "from_email", "") for each in named.values())
        super().__init__(from_email=from_email or next(filter(None, found), ""), close_seconds=close_seconds)
        breaker = breaker or CircuitBreaker()
        self._members = [_Member(name, each, breaker.twin()) for name, each in named.items()]
        self._owned = owned
        self._adopt_members()

    def observe(self, observer: MailObserver | None) -> None:
        """See `BaseProvider.observe`; its providers are observed too."""
        super().observe(observer)
        self._adopt_members()

    def adopt(self, name: str, observer: MailObserver | None) -> None:
        """See `BaseProvider.adopt`."""
        super().adopt(name, observer)
        self._adopt_members()

    def _adopt_members(self) -> None:
        for each in self._members:
            each.observer = self._observer
            adopt(each.provider, each.name, self._observer)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """See `Provider`."""
        types = {each.name: each.provider.provider_type for each in self._members}
        return {**super().metadata, "providers": types}

    def _route(self) -> list[_Member]:
        """The providers in the order in which the next message is to try them."""
        return self._members

    async def deliver(self, message: Sendable) -> SendResult:
        """Send one message.

        Raises:
            FailoverError: no provider could; with a single one, its own error.
            SMTPXError: refused for good, or it is not known whether it was sent.
        """
        errors: dict[str, Exception] = {}
        route = self._route()
        for member in route:
            try:
                return await member.send(message)
            except Exception as error:
                if not another_may(error):
                    raise
                errors[member.name] = error
                if member is not route[-1]:
                    member.failed_over(error)
        raise _all_failed(errors)

    # Many ------------------------------------------------------------------------------------------------------------

    async def _send_all(self, messages: Sendables, ledger: Ledger) -> None:
        """In rounds: each message goes to the next provider of its route, together with others that go there."""
        journeys: list[_Journey] = []
        source_failed: Exception | None = None
        try:
            async for message in each_of(messages):
                index = ledger.take(message)
                try:
                    journeys.append(_Journey(index, self.prepare(message), self._route()))
                except Exception as error:
                    ledger.settle(index, error)
        except Exception as error:
            source_failed = error
        await self._send_rounds(journeys, ledger)
        if source_failed is not None:
            raise source_failed

    async def _send_rounds(self, journeys: "list[_Journey]", ledger: Ledger) -> None:
        while journeys:
            groups: dict[_Member, list[_Journey]] = {}
            for each in journeys:
                groups.setdefault(each.route.popleft(), []).append(each)
            async with asyncio.TaskGroup() as tasks:
                for member, group in groups.items():
                    tasks.create_task(self._send_group(member, group, ledger))
            journeys = [each for each in journeys if each.goes_on]
            for each in journeys:
                each.goes_on = False

    async def _send_group(self, member: _Member, group: "list[_Journey]", ledger: Ledger) -> None:
        left = deque(group)
        if member.breaker.is_open:
            await self._try_one(member, left.popleft(), ledger)
            if member.breaker.is_open:
                for each in left:
                    self._failed(member, each, BreakerOpenError("left alone, after failing again and again"), ledger)
                return

        async def feed() -> AsyncGenerator[tuple[_Journey, Sendable], None]:
            while left and not self._life.is_closed:
                each = left.popleft()
                ledger.begin(each.index, each.message)
                yield each, each.message

        def tell(journey: _Journey, outcome: SendResult | Exception) -> None:
            member.judge(outcome if isinstance(outcome, Exception) else None)
            self._told(member, journey, outcome, ledger)

        why_not = await send_group(member.name, member.provider, feed(), tell)
        for each in left:
            self._told(member, each, why_not or NotTriedError(CLOSED), ledger)

    async def _try_one(self, member: _Member, journey: "_Journey", ledger: Ledger) -> None:
        ledger.begin(journey.index, journey.message)
        try:
            self._told(member, journey, await member.send(journey.message), ledger)
        except Exception as error:
            self._told(member, journey, error, ledger)

    def _told(self, member: _Member, journey: "_Journey", outcome: SendResult | Exception, ledger: Ledger) -> None:
        if isinstance(outcome, Exception) and another_may(outcome):
            self._failed(member, journey, outcome, ledger)
        else:
            ledger.settle(journey.index, outcome)

    def _failed(self, member: _Member, journey: "_Journey", error: Exception, ledger: Ledger) -> None:
        journey.errors[member.name] = error
        if journey.route and not self._life.is_closed:
            ledger.postpone(journey.index)
            journey.goes_on = True
            member.failed_over(error)
        else:
            ledger.settle(journey.index, _all_failed(journey.errors))

    # The rest --------------------------------------------------------------------------------------------------------

    async def check(self, probe: Probe = Probe.LIVENESS) -> Health:
        """See `Provider`: healthy if all are, unhealthy if all are, else degraded."""
        return await of_all(self.name, {each.name: each.provider for each in self._members}, probe, self._judge)

    def _judge(self, states: Mapping[str, HealthState]) -> tuple[HealthState, str]:
        bad = [name for name, state in states.items() if state is HealthState.UNHEALTHY]
        alone = [each.name for each in self._members if each.breaker.is_open]
        troubled = [name for name, state in states.items() if state is not HealthState.HEALTHY or name in alone]
        if len(bad) == len(states):
            return HealthState.UNHEALTHY, "no provider is healthy"
        if troubled:
            return HealthState.DEGRADED, f"not all are healthy: {', '.join(troubled)}"
        return HealthState.HEALTHY, "all providers are healthy"

    async def release(self) -> None:
        """Close the providers, if they are owned; all of them, whatever one says."""
        if self._owned:
            await close_all(each.provider for each in self._members)


class RoundRobinProvider(FailoverProvider):
    """Sends each message by the next provider in turn; where that one can't, by those behind it.

    Takes what `FailoverProvider` takes. In bulk the providers work side by side.
    """

    provider_type = "roundrobin"
    _next = 0

    def _route(self) -> list[_Member]:
        start, self._next = self._next, (self._next + 1) % len(self._members)
        return self._members[start:] + self._members[:start]


class _Journey:
    """One message of many on its way through the providers."""

    def __init__(self, index: int, message: Sendable, route: list[_Member]) -> None:
        self.index = index
        self.message = message
        self.route = deque(route)
        self.errors: dict[str, Exception] = {}
        self.goes_on = False


def _all_failed(errors: Mapping[str, Exception]) -> Exception:
    return next(iter(errors.values())) if len(errors) == 1 else FailoverError(errors)


def adopt(provider: Provider, name: str, observer: MailObserver | None) -> None:
    """Have a provider know who keeps it, if it can: see `BaseProvider.adopt`."""
    adopted = getattr(provider, "adopt", None)
    if adopted is not None:
        adopted(name, observer)


async def close_all(providers: Iterable[Provider]) -> None:
    """Close each; the first error is raised when all are closed."""
    results = await asyncio.gather(*(each.close() for each in providers), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
