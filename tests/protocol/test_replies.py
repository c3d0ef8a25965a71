"""The stock replies: well formed, no text twice, an enhanced code wherever RFC 2034 wants one."""

import pytest

from smtpx.protocol import replies
from smtpx.wire.codes import EnhancedCode
from smtpx.wire.reply import Reply

STOCK = {name: value for name, value in vars(replies).items() if isinstance(value, Reply)}


@pytest.mark.parametrize("name", STOCK)
def test_rfc2034_4_enhanced_code_of_the_same_class(name: str) -> None:
    reply = STOCK[name]
    if reply is replies.GO_AHEAD:  # RFC 2034 3: classes 2, 4 and 5 only
        assert reply.enhanced is None
    else:
        assert reply.enhanced is not None
        assert reply.enhanced.severity == reply.code // 100


@pytest.mark.parametrize("name", STOCK)
def test_fits_on_one_line(name: str) -> None:
    octets = STOCK[name].to_bytes()
    assert octets.isascii()
    assert octets.count(b"\r\n") == 1
    assert len(octets) <= 512


def test_one_meaning_one_reply() -> None:
    assert len({(reply.code, reply.text) for reply in STOCK.values()}) == len(STOCK)


def test_make() -> None:
    assert replies.make(250, "2.0.0") == Reply(250, EnhancedCode(2, 0, 0), ("",))
    assert replies.make(354, None, "a", "b").lines == ("a", "b")
    assert replies.make(554, "5.5.0", "x", close=True).close


def test_h017_talking_out_of_turn_closes() -> None:
    assert replies.OUT_OF_TURN.close
