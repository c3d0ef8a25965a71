"""What providers share."""

import asyncio
from typing import Any

import pytest

from smtpx.errors import ConfigurationError, ConnectionLost
from smtpx.flows.outcome import SendResult
from smtpx.mailer.base import BaseProvider
from smtpx.mailer.provider import HealthState, NotTriedError, Probe, ProviderClosedError
from smtpx.mailer.rate_limit import RateLimit
from smtpx.message.compose import Message
from smtpx.message.sendable import Sendable
from tests.mailer.rig import FROM, letter, letters, result_for
from tests.mailer.test_observer import Everything
from tests.server.rig import eventually


class Mine(BaseProvider):
    """The shortest one, with a brake."""

    provider_type = "mine"

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - those of BaseProvider
        super().__init__(**options)
        self.sent: list[Sendable] = []
        self.go = asyncio.Event()
        self.go.set()

    async def deliver(self, message: Sendable) -> SendResult:
        self.sent.append(message)
        await self.go.wait()
        return result_for(message)


async def test_one_method_is_enough() -> None:
    async with Mine(from_email=FROM) as provider:
        assert provider.name == "EmailProvider (mine)"
        assert provider.metadata == {"from_email": FROM}
        assert not provider.supports_bulk_sending
        await provider.send(letter(from_=()))
        sent = provider.sent[0]
        assert isinstance(sent, Message)
        assert sent.from_[0].mailbox.local_part == "shop"  # type: ignore[union-attr]
        assert sent.date is not None
        assert sent.message_id is not None
        assert (await provider.check(Probe.READINESS)).state is HealthState.HEALTHY
    assert provider.is_closed
    assert (await provider.check(Probe.READINESS)).state is HealthState.DEGRADED
    assert (await provider.check()).state is HealthState.HEALTHY
    assert Mine().metadata == {}
    with pytest.raises(ConfigurationError, match="from_email"):
        Mine(from_email="nobody")


async def test_bulk_one_by_one_with_a_token_for_each() -> None:
    provider = Mine(rate_limit=RateLimit(0.001, 2))
    told: list[Any] = []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await provider.send_bulk(
                [letter(0), letter(1, text=None), letter(2), letter(3), letter(4)], on_outcome=told.append
            )
    assert [each.index for each in told] == list(range(5))
    assert [each.error is None for each in told] == [True, False, True, False, False]
    assert all(isinstance(each.error, NotTriedError) for each in told[3:])


async def test_cancelled_what_was_begun_is_unknown() -> None:
    provider = Mine()
    provider.go.clear()
    told: list[Any] = []
    sending = asyncio.create_task(provider.send_bulk(letters(3), on_outcome=told.append))
    await eventually(lambda: bool(provider.sent))
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert [each.is_unknown for each in told] == [True, False, False]


async def test_closed_in_the_middle_it_finishes_one_and_leaves_the_rest() -> None:
    provider = Mine()
    provider.go.clear()
    sending = asyncio.create_task(provider.send_bulk(letters(3)))
    await eventually(lambda: bool(provider.sent))
    closing = asyncio.create_task(provider.close())
    await asyncio.sleep(0)
    provider.go.set()
    await closing
    result = await sending
    assert [each.error is None for each in result.outcomes] == [True, False, False]
    with pytest.raises(ProviderClosedError):
        await provider.send_bulk([])


async def test_cut_off_it_still_has_an_outcome_for_each() -> None:
    provider = Mine(close_seconds=0.01)
    provider.go.clear()
    sending = asyncio.create_task(provider.send_bulk(letters(3)))
    single = asyncio.create_task(provider.send(letter()))
    await eventually(lambda: len(provider.sent) == 2)
    await provider.close()
    result = await sending
    assert [each.is_unknown for each in result.outcomes] == [True, False, False]
    with pytest.raises(ConnectionLost):
        await single


async def test_what_a_source_raises_passes() -> None:
    def source() -> Any:  # noqa: ANN401 - a generator
        yield letter()
        raise ConnectionLost("the database's, not ours")

    with pytest.raises(ConnectionLost, match="database"):
        await Mine().send_bulk(source())


def test_in_one_loop_after_the_other() -> None:
    provider = Mine()
    for _ in range(2):
        asyncio.run(provider.send(letter()))
    assert len(provider.sent) == 2


async def test_it_tells_its_own_observer_until_somebody_keeps_it() -> None:
    own, keeper = Everything(), Everything()
    provider = Mine(rate_limit=RateLimit(1000, 1))
    provider.observe(own)
    async with provider:
        await provider.send(letter())
        await provider.send_bulk(letters(1))
        name = "EmailProvider (mine)"
        assert [each[0] for each in own.told if each[0] != "waited"] == [
            *("message", "ended"),
            *("many", "one of many", "one of many ended", "many ended"),
        ]
        assert ("waited", name, True) in own.told
        provider.adopt("kept", None)  # by somebody whom nobody looks on at
        await provider.send(letter())
        assert ("message", "kept") in own.told
        told = len(own.told)
        provider.adopt("kept", keeper)
        await provider.send_bulk(letters(2))
        assert {each[:2] for each in keeper.told} == {("waited", "kept")}
        assert len(own.told) == told
