"""What every provider has to do, as tests: subclass `ProviderContract`, give it your provider, and run pytest.

    class TestMine(ProviderContract):
        async def provider(self):
            return MyProvider(...)

The methods are ordinary functions, each with an event loop of its own, so no plugin is needed; unittest runs them too,
in a class that also is a `TestCase`.
"""
# ruff: noqa: S101 - assert is what tests are made of

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from smtpx.client.bulk import SendOutcome
from smtpx.flows.outcome import SendResult
from smtpx.mailer.provider import BulkResult, HealthState, NotTriedError, Probe, Provider
from smtpx.message.compose import Message
from smtpx.message.sendable import Sendable

__all__ = ["ProviderContract"]


class ProviderContract:
    """The tests.

    Attributes:
        secrets: texts that may be seen nowhere: passwords, tokens, keys.
        timeout_seconds: that one test may take.
    """

    secrets: Sequence[str] = ()
    timeout_seconds = 20.0

    async def provider(self) -> Provider:
        """A new provider, ready to send. The test closes it."""
        raise NotImplementedError("give the provider to be tested")

    async def clean_up(self) -> None:
        """After each test: stop what `provider` has started."""

    def message(self, number: int) -> Sendable:
        """A message that can be sent."""
        return Message(
            from_="sender@example.com", to=f"to{number}@example.com", subject=f"Message {number}", text=f"{number}\n"
        )

    def bad_message(self) -> Any:  # noqa: ANN401 - whatever can't be sent
        """What can't be sent. By default a message without recipients."""
        return _Unsendable()

    def delivered(self) -> Sequence[str] | None:
        """The subjects of what arrived, in order; None where that can't be seen."""
        return None

    def _run(self, test: Callable[[Provider], Coroutine[Any, Any, None]]) -> None:
        async def body() -> None:
            try:
                async with asyncio.timeout(self.timeout_seconds):
                    provider = await self.provider()
                    try:
                        await test(provider)
                    finally:
                        await provider.close()
            finally:
                await self.clean_up()

        asyncio.run(body())

    def _check_delivered(self, *numbers: int) -> None:
        arrived = self.delivered()
        if arrived is not None:
            assert list(arrived) == [f"Message {number}" for number in numbers]

    # One message -----------------------------------------------------------------------------------------------------

    def test_one_message_is_sent_and_every_recipient_is_in_the_result(self) -> None:
        async def test(provider: Provider) -> None:
            message = self.message(1)
            result = await provider.send(message)
            assert isinstance(result, SendResult)
            wanted = {str(each) for each in message.posting().recipients}
            assert {*result.accepted, *result.refused} == wanted
            self._check_delivered(1)

        self._run(test)

    def test_a_message_that_cannot_be_sent_raises_and_others_can_be_sent_after_it(self) -> None:
        async def test(provider: Provider) -> None:
            await _raises(provider.send(self.bad_message()))
            assert (await provider.send(self.message(2))).accepted
            self._check_delivered(2)

        self._run(test)

    def test_the_same_message_may_be_sent_again(self) -> None:
        async def test(provider: Provider) -> None:
            message = self.message(3)
            for _ in range(2):
                assert (await provider.send(message)).accepted
            self._check_delivered(3, 3)

        self._run(test)

    def test_concurrent_calls_are_safe(self) -> None:
        async def test(provider: Provider) -> None:
            results = await asyncio.gather(
                *(provider.send(self.message(number)) for number in range(8)),
                provider.send_bulk([self.message(number) for number in range(8, 12)]),
            )
            *singles, bulk = results
            assert all(isinstance(each, SendResult) and each.accepted for each in singles)
            assert isinstance(bulk, BulkResult)
            assert len(bulk.succeeded) == 4
            arrived = self.delivered()
            if arrived is not None:
                assert sorted(arrived) == sorted(f"Message {number}" for number in range(12))

        self._run(test)

    # Many ------------------------------------------------------------------------------------------------------------

    def test_bulk_has_one_outcome_for_each_in_order(self) -> None:
        async def test(provider: Provider) -> None:
            messages = [self.message(number) for number in range(5)]
            told: list[SendOutcome] = []
            result = await provider.send_bulk(messages, on_outcome=told.append)
            _check_outcomes(result, messages)
            assert [each.index for each in told] == list(range(5))
            assert not result.failed
            self._check_delivered(*range(5))

        self._run(test)

    def test_bulk_never_stops_early(self) -> None:
        async def test(provider: Provider) -> None:
            messages = [self.message(0), self.bad_message(), self.message(2), self.bad_message(), self.message(4)]
            result = await provider.send_bulk(messages)
            _check_outcomes(result, messages)
            assert [each.index for each in result.failed] == [1, 3]
            self._check_delivered(0, 2, 4)

        self._run(test)

    def test_bulk_takes_an_async_iterator(self) -> None:
        async def source() -> AsyncIterator[Sendable]:
            for number in range(3):
                yield self.message(number)

        async def test(provider: Provider) -> None:
            result = await provider.send_bulk(source())
            assert [each.index for each in result.succeeded] == [0, 1, 2]
            self._check_delivered(0, 1, 2)

        self._run(test)

    def test_bulk_of_nothing(self) -> None:
        async def test(provider: Provider) -> None:
            assert not (await provider.send_bulk([])).outcomes
            self._check_delivered()

        self._run(test)

    # The rest --------------------------------------------------------------------------------------------------------

    def test_closed_twice_and_never_used(self) -> None:
        async def test(provider: Provider) -> None:
            await provider.close()
            await provider.close()

        self._run(test)

    def test_closed_it_sends_nothing_and_says_so(self) -> None:
        async def test(provider: Provider) -> None:
            assert (await provider.send(self.message(1))).accepted
            await provider.close()
            error = await _raises(provider.send(self.message(2)))
            assert isinstance(error, NotTriedError), f"{error!r}: whoever sends has to know that it was not tried"
            assert isinstance(await _raises(provider.send_bulk([self.message(3)])), NotTriedError)
            self._check_delivered(1)

        self._run(test)

    def test_health_in_every_state_of_its_life(self) -> None:
        async def test(provider: Provider) -> None:
            for probe in Probe:
                await self._check_health(provider, probe)
            await provider.send(self.message(1))
            health = await self._check_health(provider, Probe.READINESS)
            assert health is HealthState.HEALTHY
            await provider.close()
            for probe in Probe:
                await self._check_health(provider, probe)

        self._run(test)

    async def _check_health(self, provider: Provider, probe: Probe) -> HealthState:
        health = await provider.check(probe)
        told = json.dumps(health.to_json())
        assert health.name
        assert health.message
        assert health.checked_at.tzinfo is not None
        self._check_secrets(told)
        return health.state

    def test_listing_tells_its_kind_and_nothing_secret(self) -> None:
        async def test(provider: Provider) -> None:
            assert provider.provider_type
            assert isinstance(provider.supports_bulk_sending, bool)  # pyright: ignore[reportUnnecessaryIsInstance]
            self._check_secrets(json.dumps(dict(provider.metadata), default=str))
            self._check_secrets(repr(provider))
            error = await _raises(provider.send(self.bad_message()))
            self._check_secrets(repr(error))

        self._run(test)

    def _check_secrets(self, text: str) -> None:
        for secret in self.secrets:
            assert secret not in text, "it tells a secret"


class _Unsendable:
    message_id = None
    octets = None  # it never comes to that

    def posting(self) -> Any:  # noqa: ANN401 - it has none
        raise ValueError("there are no recipients")


def _check_outcomes(result: BulkResult, messages: Sequence[object]) -> None:
    assert [each.index for each in result.outcomes] == list(range(len(messages)))
    for outcome, message in zip(result.outcomes, messages, strict=True):
        assert outcome.message is message, "an outcome has the message as it was given"
        assert (outcome.result is None) is not (outcome.error is None)


async def _raises(sending: Coroutine[Any, Any, object]) -> Exception:
    try:
        await sending
    except Exception as error:
        return error
    raise AssertionError("it should have raised")
