"""Verdicts given one by one."""

import pytest

from smtpx.server.session import ok, reply
from smtpx.server.verdicts import Verdicts
from smtpx.wire.address import Mailbox

B, C = Mailbox("b", "x.example"), Mailbox("c", "x.example")
FULL = reply(452, "4.2.2", "full")


def make(*recipients: Mailbox) -> tuple[Verdicts, list[str]]:
    """Verdicts, and a list with an entry for each that was given."""
    given: list[str] = []
    return Verdicts(recipients, lambda: given.append("given")), given


def test_they_are_taken_in_the_order_of_the_recipients() -> None:
    verdicts, given = make(B, C)
    assert not verdicts.is_used
    assert verdicts.take_next() is None
    verdicts.give(C, FULL)
    assert verdicts.is_used
    assert verdicts.take_next() is None
    verdicts.give(str(B), ok("b"))
    assert [verdicts.take_next(), verdicts.take_next(), verdicts.take_next()] == [ok("b"), FULL, None]
    assert given == ["given"] * 2


def test_who_was_named_twice_has_two() -> None:
    verdicts, _ = make(B, C, B)
    verdicts.give(B, ok("1"))
    verdicts.give(B, FULL)
    assert verdicts.completed([ok("rest")]) == [ok("1"), ok("rest"), FULL]


def test_what_was_given_stands() -> None:
    verdicts, _ = make(B, C)
    assert verdicts.completed([None]) == [None]
    verdicts.give(B, FULL)
    assert verdicts.completed([ok("x"), ok("y")]) == [FULL, ok("y")]
    assert verdicts.completed([None]) == [FULL, None]


def test_go_smtp_7_7_one_too_many_and_strangers() -> None:
    verdicts, given = make(B)
    with pytest.raises(ValueError, match=r"c@x\.example is no recipient of this message"):
        verdicts.give(C, ok())
    verdicts.give(B, ok())
    with pytest.raises(ValueError, match=r"b@x\.example has its verdict already"):
        verdicts.give(B, ok())
    with pytest.raises(ValueError, match=r"^a\\x0ab is no recipient"):
        verdicts.give("a\nb", ok())
    assert given == ["given"]


@pytest.mark.parametrize("wrong", [reply(354, None, "go on"), None, 250])
def test_what_is_no_verdict(wrong: object) -> None:
    verdicts, given = make(B)
    with pytest.raises(ValueError, match="a verdict is a 2yz, 4yz or 5yz reply, not"):
        verdicts.give(B, wrong)  # type: ignore[arg-type]
    assert not verdicts.is_used
    assert given == []
