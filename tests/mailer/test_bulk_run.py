"""Many messages of a service, with several providers and attempts."""

from contextlib import suppress
from typing import Any

import pytest

from smtpx.errors import ConnectError
from smtpx.mailer.bulk_run import BulkRun
from smtpx.mailer.ledger import Ledger
from smtpx.mailer.local import MemoryProvider
from smtpx.mailer.provider import BulkResult, NotTriedError, ProviderClosedError
from smtpx.mailer.retry import Retry
from tests.mailer.rig import letter, letters
from tests.mailer.test_desk import desk_with


async def run(desk: Any, messages: list[Any], wanted: str | None = None) -> BulkResult:  # noqa: ANN401 - a Desk
    ledger = Ledger()
    with suppress(LookupError):
        await BulkRun(desk, ledger, main="memory", wanted=wanted).run(messages)
    return ledger.result()


async def test_others_follow_and_mistakes_stay_where_they_are() -> None:
    desk, memory = desk_with()
    other = MemoryProvider()
    desk.registry.register("other", other)
    desk.registry.set_default("memory")
    messages = [letter(0), letter(1, provider="other"), letter(2, text=None), letter(3, provider="nobody"), letter(4)]
    result = await run(desk, messages)
    assert [each.error is None for each in result.outcomes] == [True, True, False, False, True]
    assert [each.subject for each in memory.outbox] == ["Letter 0", "Letter 4"]
    assert [each.subject for each in other.outbox] == ["Letter 1"]
    result = await run(desk, messages, wanted="memory")
    assert [each.error is None for each in result.outcomes] == [True, True, False, True, True]


async def test_those_that_failed_for_now_go_again() -> None:
    desk, memory = desk_with(Retry(attempts=3, first_seconds=0.001, jitter_seconds=0))
    memory.fail(ConnectError("x"), times=3)
    assert not (await run(desk, letters(2))).failed
    memory.fail(ConnectError("x"), times=None)
    assert len((await run(desk, letters(2))).failed) == 2


@pytest.mark.parametrize("closed", ["memory", "other"])
async def test_a_closed_provider_concerns_only_its_own(closed: str) -> None:
    desk, _ = desk_with()
    other = MemoryProvider()
    desk.registry.register("other", other)
    desk.registry.set_default("memory")
    await desk.registry.entries[closed].provider.close()
    result = await run(desk, [letter(0), letter(1, provider="other"), letter(2)])
    lost = [0, 2] if closed == "memory" else [1]
    assert [each.index for each in result.failed] == lost
    assert all(isinstance(each.error, ProviderClosedError) for each in result.failed)


async def test_closed_in_the_middle_it_takes_no_more() -> None:
    desk, memory = desk_with()

    def close(message: Any) -> bool:  # noqa: ANN401 - a message
        desk.close()
        return False

    memory.fail(ConnectError("x"), when=close)
    result = await run(desk, letters(5))
    assert len(result.outcomes) < 5
    assert len(memory.outbox) == len(result.outcomes)


async def test_a_provider_that_leaves_some_of_a_group() -> None:
    class Lazy(MemoryProvider):
        async def send_bulk(self, messages: Any, *, on_outcome: Any = None) -> BulkResult:  # noqa: ANN401 - as the base
            return BulkResult()

    desk, _ = desk_with()
    desk.registry.register("lazy", Lazy())
    desk.registry.set_default("memory")
    result = await run(desk, [letter(0, provider="lazy")])
    assert isinstance(result.outcomes[0].error, NotTriedError)
