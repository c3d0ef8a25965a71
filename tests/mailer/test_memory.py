"""What a bulk of the mailer keeps in memory."""

import gc
import tracemalloc
from collections.abc import AsyncIterator

from smtpx.message.compose import Message
from smtpx.server.body import Body
from tests.mailer.rig import letter, office
from tests.server.rig import Recorder


class Forgetful(Recorder):
    async def data(self, body: Body) -> None:
        await body.discard()


async def source(count: int) -> AsyncIterator[Message]:
    for number in range(count):
        yield letter(number)


async def test_a_bulk_takes_no_more_memory_than_what_it_gives_back() -> None:
    """Whatever comes from a generator: what is under way is bounded, and only outcomes stay."""
    beyond: list[int] = []
    async with office(Forgetful) as post, post.provider() as provider:
        await provider.send_bulk(source(100))
        for count in (1_000, 5_000):
            told: list[int] = []
            tracemalloc.start()
            result = await provider.send_bulk(source(count), on_outcome=lambda outcome: told.append(outcome.index))  # noqa: B023
            _, peak = tracemalloc.get_traced_memory()
            assert len(result.succeeded) == count
            assert told == list(range(count))
            del result
            gc.collect()
            left, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            beyond.append(left)
            assert peak < count * 4096 + (1 << 20)
    assert beyond[1] < beyond[0] + (1 << 20)
