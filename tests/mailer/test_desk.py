"""What a service does to each message, and when it goes out again."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from smtpx.errors import ConfigurationError, ConnectError
from smtpx.mailer.desk import Desk
from smtpx.mailer.local import MemoryProvider
from smtpx.mailer.observer import ProviderFacts
from smtpx.mailer.preparing import Limits
from smtpx.mailer.provider import ProviderClosedError
from smtpx.mailer.registry import Registry
from smtpx.mailer.retry import Retry
from tests.mailer.rig import FROM, letter
from tests.mailer.test_observer import Everything

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


def desk_with(retry: Retry | None = None, **more: Any) -> tuple[Desk, MemoryProvider]:  # noqa: ANN401 - of Desk
    registry = Registry(None, lambda: NOON)
    memory = MemoryProvider(from_email=FROM)
    registry.register("memory", memory)
    options = {"limits": Limits(), "transforms": (), "clock": lambda: NOON, "new_id": lambda domain: "<1@x.example>"}
    return Desk(registry, retry=retry, **{**options, **more}), memory


async def test_prepared_by_default_sender_clock_id_and_transforms() -> None:
    seen: list[Any] = []
    desk, memory = desk_with(transforms=[lambda message: seen.append(message) or message])
    ready = desk.prepare(letter(from_=()), desk.name_for(letter(), None))
    assert ready.message_id == "<1@x.example>"
    assert seen == [ready]
    await desk.send("memory", ready)
    assert memory.outbox[0].sender == FROM
    with pytest.raises(ConfigurationError, match="no provider 'x'"):
        desk.name_for(letter(provider="x"), None)
    assert desk.name_for(letter(provider="x"), "memory") == "memory"


async def test_attempts_and_pauses() -> None:
    desk, memory = desk_with(Retry(attempts=3, first_seconds=0.001, jitter_seconds=0))
    memory.fail(ConnectError("x"), times=2)
    assert (await desk.send("memory", letter())).accepted
    memory.fail(ConnectError("x"), times=3)
    with pytest.raises(ConnectError):
        await desk.send("memory", letter())
    without, memory = desk_with()
    memory.fail(ConnectError("x"))
    with pytest.raises(ConnectError):
        await without.send("memory", letter())
    await without.pause(2)


async def test_closing_ends_pauses_and_takes_no_more() -> None:
    desk, memory = desk_with(Retry(first_seconds=60))
    memory.fail(ConnectError("x"), times=None)
    sending = [asyncio.create_task(desk.send("memory", letter())) for _ in range(2)]
    await asyncio.sleep(0.01)
    desk.check_open()
    sending[0].cancel()
    desk.close()
    desk.close()
    async with asyncio.timeout(2):
        results = await asyncio.gather(*sending, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError | ConnectError)
    assert isinstance(results[1], ConnectError)
    with pytest.raises(ProviderClosedError):
        desk.check_open()
    assert not desk.may_repeat(ConnectError("x"), 2)


async def test_whoever_looks_on_is_told_of_repeats_and_by_whom() -> None:
    observer = Everything()
    desk, memory = desk_with(Retry(first_seconds=0, jitter_seconds=0), observer=observer)
    memory.fail(ConnectError("x"))
    await desk.send("memory", letter())
    assert observer.told == [("retried", "memory", 2, ConnectError)]
    assert desk.facts(None, None) == desk.facts(letter(), None) == ProviderFacts("memory", "memory")
    assert desk.facts(letter(provider="x"), "memory") is not None
    assert desk.facts(letter(provider="x"), None) is None
    desk.registry.register("other", memory)
    assert desk.facts(letter(), None) is None
    desk.tell_retry("gone", 2, ConnectError("x"))
    assert len(observer.told) == 1
