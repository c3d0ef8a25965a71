"""Many messages by one provider, whatever it does."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from smtpx.errors import ConnectError
from smtpx.flows.outcome import SendResult
from smtpx.mailer.groups import send_group
from smtpx.mailer.local import MemoryProvider
from smtpx.mailer.provider import NotTriedError, ProviderClosedError, is_unknown
from smtpx.message.sendable import Sendable
from tests.mailer.rig import BulkAPI, letter, result_for


async def three(*, breaks: bool = False) -> AsyncGenerator[tuple[str, Sendable], None]:
    for number, key in enumerate("abc"):
        yield key, letter(number)
    if breaks:
        raise LookupError("no more")


async def told_by(
    provider: Any,  # noqa: ANN401 - all kinds
    source: AsyncGenerator[tuple[str, Sendable], None],
) -> tuple[dict[str, SendResult | Exception], NotTriedError | None]:
    told: dict[str, SendResult | Exception] = {}

    def tell(key: str, outcome: SendResult | Exception) -> None:
        assert key not in told
        told[key] = outcome

    return told, await send_group("mine", provider, source, tell)


async def test_each_has_its_outcome() -> None:
    memory = MemoryProvider()
    memory.fail(ConnectError("x"))
    told, closed = await told_by(memory, three())
    assert list(told) == ["a", "b", "c"]
    assert isinstance(told["a"], ConnectError)
    assert closed is None


def breaking(given: list[Sendable]) -> list[Any]:
    raise RuntimeError("oops")


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize(
    ("script", "known"),
    [
        (lambda given: [*map(result_for, given)], 3),
        (lambda given: [result_for(given[0])], 1),
        (lambda given: [result_for(given[0]), None], 1),
        (breaking, 0),
    ],
)
async def test_of_what_it_says_nothing_about_nobody_knows(
    script: Callable[[list[Sendable]], list[Any]], known: int, tells: bool
) -> None:
    told, closed = await told_by(BulkAPI(script, tells=tells), three())
    assert [isinstance(each, SendResult) for each in told.values()] == [True] * known + [False] * (3 - known)
    assert all(is_unknown(each) for each in told.values() if isinstance(each, Exception))
    assert closed is None


async def test_more_outcomes_than_messages_are_nobodys() -> None:
    class Chatty(BulkAPI):
        async def send_bulk(self, messages: Any, *, on_outcome: Any = None) -> Any:  # noqa: ANN401 - as the base
            result = await super().send_bulk(messages, on_outcome=on_outcome)
            on_outcome(result.outcomes[0])
            return result

    told, _ = await told_by(Chatty(lambda given: [*map(result_for, given)]), three())
    assert list(told) == ["a", "b", "c"]


async def test_a_closed_provider_takes_none() -> None:
    memory = MemoryProvider()
    await memory.close()
    told, closed = await told_by(memory, three())
    assert told == {}
    assert isinstance(closed, ProviderClosedError)


async def test_what_was_not_taken_has_a_reason() -> None:
    class Lazy(BulkAPI):
        async def send_bulk(self, messages: Any, *, on_outcome: Any = None) -> Any:  # noqa: ANN401 - as the base
            await anext(messages)
            raise RuntimeError("internal: password=secret")

    told, why_not = await told_by(Lazy(breaking), three())
    assert list(told) == ["a"]
    assert is_unknown(told["a"])  # type: ignore[arg-type]
    assert str(why_not) == "mine did not take it: RuntimeError"
    assert isinstance(why_not, NotTriedError)
    assert isinstance(why_not.__cause__, RuntimeError)


async def test_what_the_source_raises_comes_behind_all_outcomes() -> None:
    memory = MemoryProvider()
    told: dict[str, Any] = {}
    with pytest.raises(LookupError, match="no more"):
        await send_group("mine", memory, three(breaks=True), told.__setitem__)
    assert list(told) == ["a", "b", "c"]
