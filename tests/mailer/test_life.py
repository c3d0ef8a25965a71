"""One event loop at a time, and closing that lets what is under way finish."""

import asyncio
import os

import pytest

from smtpx.errors import ConfigurationError, ConnectionLost, LocalProtocolError
from smtpx.mailer.life import Life
from smtpx.mailer.provider import ProviderClosedError


class Owner:
    def __init__(self, close_seconds: float = 5.0) -> None:
        self.forgotten = self.released = 0
        self.life = Life("the provider", close_seconds, self.forget)

    def forget(self) -> object:
        self.forgotten += 1
        return None

    async def release(self) -> None:
        self.released += 1


async def test_closing_waits_and_releases_once() -> None:
    owner = Owner()
    go = asyncio.Event()

    async def work() -> str:
        async with owner.life.turn():
            await go.wait()
            return "done"

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    closing = [asyncio.create_task(owner.life.close(owner.release)) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert owner.released == 0
    with pytest.raises(ProviderClosedError, match="the provider is closed"):
        async with owner.life.turn():
            pass
    go.set()
    await asyncio.gather(*closing)
    assert await working == "done"
    assert owner.released == 1


async def test_whoever_waits_for_the_end_may_give_up_without_stopping_it() -> None:
    owner = Owner()
    turn = owner.life.turn()
    async with turn:
        closing = asyncio.create_task(owner.life.close(owner.release))
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
    await owner.life.close(owner.release)
    assert owner.released == 1


@pytest.mark.parametrize(("begun", "error"), [(True, ConnectionLost), (False, ProviderClosedError)])
async def test_what_takes_too_long_is_cut_off(begun: bool, error: type[Exception]) -> None:
    owner = Owner(0.01)

    async def work() -> None:
        async with owner.life.turn() as turn:
            turn.has_begun = begun
            await asyncio.sleep(60)

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    await owner.life.close(owner.release)
    with pytest.raises(error):
        await working


async def test_other_timeouts_pass() -> None:
    owner = Owner()
    with pytest.raises(TimeoutError, match="mine"):
        async with owner.life.turn():
            raise TimeoutError("mine")
    turn = owner.life.turn()
    asyncio.get_running_loop().call_soon(lambda: turn._end.reschedule(0))  # it was not closing that did
    with pytest.raises(TimeoutError):
        async with turn:
            await asyncio.sleep(60)


async def test_one_of_several_that_ends_is_not_the_end() -> None:
    owner = Owner()
    async with owner.life.turn():
        async with owner.life.turn():
            closing = asyncio.create_task(owner.life.close(owner.release))
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        assert owner.released == 0
    await closing
    assert owner.released == 1


def test_a_loop_after_the_other_and_not_two_at_once() -> None:
    owner = Owner()

    async def use() -> None:
        async with owner.life.turn():
            pass

    async def meanwhile() -> None:
        async with owner.life.turn():
            with pytest.raises(LocalProtocolError, match="another event loop"):
                await asyncio.to_thread(lambda: asyncio.run(use()))

    asyncio.run(meanwhile())
    assert owner.forgotten == 0
    asyncio.run(use())
    assert owner.forgotten == 1


async def test_in_a_child_process_everything_begins_anew() -> None:
    owner = Owner()
    async with owner.life.turn():
        owner.life._process = os.getpid() + 1  # as if it had been made by our parent
        assert not owner.life.is_elsewhere
        owner.life.come_home()
        assert owner.forgotten == 1
        assert not owner.life._turns


def test_no_negative_time() -> None:
    with pytest.raises(ConfigurationError, match="close_seconds"):
        Owner(-1)
