"""What counts as a message that can be sent."""

import pytest

from smtpx.message.compose import Message
from smtpx.message.eml import Raw
from smtpx.message.sendable import Posting, is_sendable
from smtpx.wire.address import NULL_SENDER, Mailbox

BOX = Mailbox("b", "b.example")


def test_ours_and_anybodys_with_both_methods() -> None:
    class Own:
        def posting(self) -> Posting:
            return Posting(NULL_SENDER, (BOX,))

        def octets(self, *, eight_bit: bool, utf8: bool) -> list[bytes]:
            return [b"\r\n"]

    assert is_sendable(Own())
    assert is_sendable(Message(from_="a@a.example", to="b@b.example", text="x"))
    assert is_sendable(Raw(b"\r\nx\r\n", "a@a.example", ["b@b.example"]))


@pytest.mark.parametrize("value", [None, b"x", "x", object(), Posting(NULL_SENDER, (BOX,))])
def test_others_are_not(value: object) -> None:
    assert not is_sendable(value)


def test_a_posting_wishes_for_nothing_and_shares_nothing() -> None:
    one, other = Posting(NULL_SENDER, (BOX,)), Posting(NULL_SENDER, (BOX,))
    assert one == other
    assert one.wishes == {}
    assert one.wishes is not other.wishes
