"""Turns: so many at once for each key, so many in all."""

import asyncio
import random

from smtpx.server.turns import Turn, Turns


async def test_each_and_all() -> None:
    turns, went = Turns(each=2, total=3), []
    first, second = turns.take("a", lambda: None), turns.take("a", lambda: None)
    assert first.has_begun
    assert second.has_begun
    assert turns.is_full_for("a")
    third = turns.take("a", lambda: went.append("a"))
    other = turns.take("b", lambda: None)
    assert (third.has_begun, other.has_begun) == (False, True)
    assert not turns.is_full_for("b")
    last = turns.take("b", lambda: went.append("b"))
    assert not last.has_begun  # three in all
    first.end()
    first.end()
    assert third.has_begun
    assert went == []
    await asyncio.sleep(0)
    assert went == ["a"]
    for turn in (second, third, other, last):
        turn.end()
    assert turns.is_idle
    await asyncio.sleep(0)
    assert went == ["a"]  # `last` was given up before it could go


async def test_who_waits_and_can_not_go_holds_up_nobody() -> None:
    turns, went = Turns(each=1, total=2), []
    busy, other = turns.take("a", lambda: None), turns.take("b", lambda: None)
    blocked, free = turns.take("a", lambda: went.append("a")), turns.take("c", lambda: went.append("c"))
    other.end()
    await asyncio.sleep(0)
    assert went == ["c"]
    blocked.end()  # it leaves the queue
    busy.end()
    free.end()
    assert turns.is_idle


async def test_whatever_happens_the_counts_come_back_to_nothing() -> None:
    turns, random_ = Turns(each=3, total=7), random.Random(2)
    held: list[Turn] = []
    for _ in range(3000):
        if held and random_.random() < 0.5:
            held.pop(random_.randrange(len(held))).end()
        else:
            held.append(turns.take(random_.choice("abcde"), lambda: None))
        working = [turn for turn in held if turn.has_begun]
        assert len(working) <= 7
        assert all(sum(turn.key == key for turn in working) <= 3 for key in "abcde")
        if len(working) < 7:  # nobody waits who could go
            assert all(turn.has_begun or turns.is_full_for(turn.key) for turn in held)
    for turn in held:
        turn.end()
    assert turns.is_idle
