"""A body as a session reads it."""

import asyncio
import gc
import tracemalloc
from collections.abc import Callable

import pytest

from smtpx.protocol.events import AbortCause
from smtpx.server.body import Body, TransferAborted, add_piece


class Feed:
    """A body, and how often the session took something or began to wait."""

    def __init__(self, *pieces: bytes, end: bool = False) -> None:
        self.taken = 0
        self.body = Body(self.count)
        for piece in pieces:
            self.body.feed(piece)
        if end:
            self.body.finish()

    def count(self) -> None:
        self.taken += 1


async def read_all(body: Body) -> bytes:
    return await body.read()


async def iterate(body: Body) -> bytes:
    return b"".join([piece async for piece in body])


async def read_small(body: Body) -> bytes:
    pieces: list[bytes] = []
    while piece := await body.read(3):
        assert len(piece) <= 3
        pieces.append(piece)
    return b"".join(pieces)


READERS = [read_all, iterate, read_small]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("pieces", [(), (b"abc",), (b"abcd", b"e", b"fghijklm")])
async def test_a_body_that_is_complete(reader: Callable, pieces: tuple[bytes, ...]) -> None:
    feed = Feed(*pieces, end=True)
    assert feed.body.is_complete
    assert await reader(feed.body) == b"".join(pieces)
    assert feed.body.size == len(b"".join(pieces))
    assert feed.body.buffered_bytes == 0
    assert await feed.body.read() == b""
    assert await feed.body.read(10) == b""


@pytest.mark.parametrize("reader", READERS)
async def test_a_body_that_comes_in_while_it_is_read(reader: Callable) -> None:
    feed = Feed()
    reading = asyncio.create_task(reader(feed.body))
    for piece in (b"ab", b"cdefgh", b"i"):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert feed.body.is_wanted
        feed.body.feed(piece)
        assert not feed.body.is_wanted
    feed.body.finish()
    assert await reading == b"abcdefghi"
    assert not feed.body.is_wanted
    assert feed.taken >= 6  # three waits, three pieces


async def test_discard() -> None:
    assert await Feed(b"abc", b"de", end=True).body.discard() == 5


@pytest.mark.parametrize("reader", [*READERS, Body.discard])
async def test_a_body_that_is_given_up(reader: Callable) -> None:
    feed = Feed(b"abc")
    feed.body.abort(AbortCause.RESET)
    assert feed.body.buffered_bytes == 0
    for _ in range(2):
        with pytest.raises(TransferAborted, match="the message was given up: RSET") as caught:
            await reader(feed.body)
        assert caught.value.cause is AbortCause.RESET
        assert caught.value.stage == "body"


async def test_given_up_while_somebody_waits() -> None:
    feed = Feed(b"abc")
    reading = asyncio.create_task(feed.body.read())
    await asyncio.sleep(0)
    feed.body.abort(AbortCause.LOST)
    feed.body.abort(AbortCause.LOST)
    with pytest.raises(TransferAborted, match="connection lost"):
        await reading


async def test_nobody_waits_any_more() -> None:
    feed = Feed()
    reading = asyncio.create_task(feed.body.read())
    await asyncio.sleep(0)
    assert feed.body.is_wanted
    reading.cancel()
    feed.body.feed(b"abc")  # the cancel is on its way: nothing is lost
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not feed.body.is_wanted
    feed.body.finish()
    assert await feed.body.read() == b"abc"


async def test_what_a_session_left_unread_is_dropped() -> None:
    feed = Feed(b"abc", end=True)
    feed.body.drop()
    assert feed.body.buffered_bytes == 0
    assert feed.body.size == 3
    assert await feed.body.read() == b""


async def test_nobody_is_told_of_what_is_taken_from_a_dropped_body() -> None:
    feed = Feed(b"abc")
    feed.body.drop()
    feed.body.feed(b"late")
    assert await feed.body.read(10) == b"late"
    assert feed.taken == 0


async def test_the_size_of_small_reads_is_kept_in_the_books() -> None:
    feed = Feed(b"abcdef", end=True)
    assert await feed.body.read(2) == b"ab"
    assert feed.body.buffered_bytes == 4
    assert await feed.body.read() == b"cdef"
    assert feed.body.buffered_bytes == 0


async def test_a_client_that_sends_two_octets_at_a_time_costs_no_more_memory() -> None:
    """An object for each piece would take twenty-five times as much as is counted."""
    total = 65_536
    for is_read_meanwhile in (False, True):
        feed = Feed()
        reading = asyncio.create_task(feed.body.read()) if is_read_meanwhile else None
        await asyncio.sleep(0)
        gc.collect()
        tracemalloc.start()
        try:
            for number in range(total // 2):
                feed.body.feed(number.to_bytes(2, "big"))
                if is_read_meanwhile:
                    await asyncio.sleep(0)  # it takes each piece when it comes
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert held < 2 * total
        feed.body.finish()
        content = await (reading or feed.body.read())
        assert content == b"".join(number.to_bytes(2, "big") for number in range(total // 2))


@pytest.mark.parametrize(("sizes", "kept"), [((4096, 1), 2), ((4095, 1, 1), 2), ((1, 4096), 2), ((100,) * 41, 2)])
def test_only_small_pieces_are_put_together(sizes: tuple[int, ...], kept: int) -> None:
    pieces: list[bytes] = []
    for size in sizes:
        add_piece(pieces, b"x" * size)
    assert len(pieces) == kept
    assert sum(map(len, pieces)) == sum(sizes)


async def test_reading_a_little_at_a_time_copies_each_octet_once() -> None:
    """A rest that was cut off anew with each read made it quadratic."""
    feed = Feed(bytes(1 << 20), end=True)
    (whole,) = feed.body._pieces
    for taken in range(1000, 100_000, 1000):
        assert len(await feed.body.read(1000)) == 1000
        assert feed.body._pieces[0] is whole
        assert feed.body.buffered_bytes == len(whole) - taken
    assert len(await feed.body.read()) == len(whole) - 99_000
    assert feed.body.buffered_bytes == 0


async def test_pieces_that_come_while_one_is_half_read() -> None:
    feed = Feed(b"abcdef")
    assert await feed.body.read(4) == b"abcd"
    feed.body.feed(b"gh")
    assert feed.body.buffered_bytes == 4
    assert await feed.body.read(3) == b"efg"
    assert await feed.body.read(0) == b""
    feed.body.feed(b"x" * 5000)
    feed.body.finish()
    assert await feed.body.read(9) == b"h"
    assert await feed.body.read(-1) == b"x" * 5000
    assert await feed.body.read(9) == b""


async def test_a_body_that_is_given_up_while_a_piece_is_half_read() -> None:
    feed = Feed(b"abcdef")
    assert await feed.body.read(4) == b"abcd"
    feed.body.abort(AbortCause.LOST)
    assert feed.body.buffered_bytes == 0
    with pytest.raises(TransferAborted):
        await feed.body.read(1)
