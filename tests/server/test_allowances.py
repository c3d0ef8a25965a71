"""Allowances that fill up again: GCRA, in bounded memory."""

import random

from smtpx.server.allowances import Allowances


def test_all_at_once_and_then_one_by_one() -> None:
    rate = Allowances(60)
    for _ in range(10):
        assert rate.has_room("a", 10, 0.0)
        rate.count("a", 10, 0.0)
    assert not rate.has_room("a", 10, 0.0)
    assert not rate.has_room("a", 10, 5.9)
    assert rate.has_room("a", 10, 6.0)
    rate.count("a", 10, 6.0)
    assert not rate.has_room("a", 10, 6.0)
    assert rate.has_room("b", 10, 0.0)


def test_no_window_holds_more_than_twice_the_number() -> None:
    rate, random_ = Allowances(60), random.Random(1)
    now, taken = 0.0, []
    for _ in range(5000):
        now += random_.random()
        if rate.has_room("a", 30, now):
            rate.count("a", 30, now)
            taken.append(now)
    assert max(sum(1 for each in taken if start <= each < start + 60) for start in taken) <= 60
    assert len(taken) <= 30 + now / 2 + 1  # in the long run it is 30 a minute
    assert len(taken) >= now / 2 - 1


def test_what_happens_beyond_the_allowance_does_not_pile_up() -> None:
    rate = Allowances(60)
    for _ in range(1000):
        rate.count("a", 10, 0.0)
    assert not rate.has_room("a", 10, 5.9)
    assert rate.has_room("a", 10, 6.1)


def test_none_at_all() -> None:
    rate = Allowances(60)
    assert not rate.has_room("a", 0, 0.0)
    rate.count("a", 0, 0.0)
    assert len(rate) == 0


def test_keys_are_bounded_and_the_least_recent_are_forgotten() -> None:
    rate = Allowances(60, max_keys=16)
    for last in range(16):
        rate.count(last, 1, 0.0)
    rate.count(0, 1, 1.0)
    rate.count("new", 1, 1.0)
    assert len(rate) == 14
    assert rate.has_room(1, 1, 1.0)
    assert not rate.has_room(0, 1, 1.0)
    assert not rate.has_room("new", 1, 1.0)
    for key in range(10_000):
        rate.count(key, 1, 2.0)
        assert len(rate) <= 16
