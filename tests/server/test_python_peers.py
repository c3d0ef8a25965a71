"""Defects that users of Python's other mail servers live with, as tests of ours: those that need a whole server."""

import asyncio
import gc
import tracemalloc

import pytest

from smtpx.protocol.limits import ServerLimits
from smtpx.server.body import Body
from smtpx.server.session import Session, ok
from smtpx.wire.reply import Reply
from tests.server.rig import EHLO, ENV, OPEN, RawClient, eventually, running

MIB = 1 << 20


class Counting(Session):
    """Counts octets, and gives the loop to others between two pieces."""

    async def data(self, body: Body) -> Reply:
        total = 0
        async for piece in body:
            total += len(piece)
            await asyncio.sleep(0)
        return ok(str(total))


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_p10_ten_large_mails_hold_up_nobody() -> None:
    """10 clients with 25 MB each, in lines of 1 MB; another one is answered all the while, in constant memory."""
    line = b"x" * MIB + b"\r\n"
    limits = ServerLimits(max_message_bytes=None, junk_command_limit=10**9)
    async with running(Counting, limits=limits) as server, await RawClient.open(server) as other:
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        answered: list[int] = []

        async def large() -> None:
            async with await RawClient.open(server) as client:
                assert (await client.say(OPEN, 4))[-1] == "354"
                await client.send("Subject: x\r\n\r\n")
                for _ in range(25):
                    await client.send(line)
                await client.send(".\r\n")
                assert (await client.reply()).text == str(14 + 25 * len(line))

        under_way = [asyncio.create_task(large()) for _ in range(10)]
        while not all(each.done() for each in under_way):
            assert await other.say("NOOP\r\n") == ["250 2.0.0"]
            answered.append(sum(not each.done() for each in under_way))
            await asyncio.sleep(0.001)
        await asyncio.gather(*under_way)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert answered.count(10) > 10  # it was answered while all ten were at it, time and again
    assert peak - before < 10 * MIB


@pytest.mark.slow
async def test_p16_memory_does_not_grow_with_the_number_of_messages() -> None:
    """What is held after 2000 messages, over some connections, is what was held after 200."""
    message = ENV + "BDAT 12 LAST\r\nSubject: x\r\n"
    limits = ServerLimits(max_messages_per_connection=None, connection_rate_per_ip=None)

    async def send(number: int) -> None:
        for _ in range(number // 100):
            async with await RawClient.open(server) as client:
                await client.say(EHLO)
                for _ in range(10):
                    assert (await client.say(message * 10, 30)).count("250 2.0.0") == 10
            await eventually(lambda: server.connections == 0)

    async with running(limits=limits) as server:
        await send(200)
        tracemalloc.start()
        await send(200)
        gc.collect()
        after_some, _ = tracemalloc.get_traced_memory()
        await send(1800)
        gc.collect()
        after_many, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert after_many < after_some * 1.2 + 50_000
