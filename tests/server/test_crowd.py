"""Connections come and go, and the last one is waited for."""

import asyncio
from typing import Any, cast

from smtpx.server.crowd import Crowd


def connection() -> Any:  # noqa: ANN401
    """Whatever can stand in a set: a crowd asks nothing of its members."""
    return cast("Any", object())


async def test_the_last_one_is_waited_for() -> None:
    crowd, one, other = Crowd(), connection(), connection()
    await crowd.wait_until_empty(0)
    crowd.add(one)
    crowd.add(other)
    assert len(crowd) == 2
    waiting = asyncio.create_task(crowd.wait_until_empty(10))
    for each in crowd:  # they may leave while somebody looks at them
        await asyncio.sleep(0)
        assert not waiting.done()
        crowd.remove(each)
        crowd.remove(each)
    await waiting
    assert len(crowd) == 0


async def test_not_for_longer_than_that() -> None:
    crowd = Crowd()
    crowd.add(connection())
    await crowd.wait_until_empty(0.01)
    assert len(crowd) == 1


def test_in_one_loop_after_another() -> None:
    crowd = Crowd()

    async def live() -> None:
        member = connection()
        crowd.add(member)
        waiting = asyncio.create_task(crowd.wait_until_empty(10))
        await asyncio.sleep(0)
        crowd.remove(member)
        await waiting

    asyncio.run(live())
    asyncio.run(live())
