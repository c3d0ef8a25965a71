"""SIZE (RFC 1870)."""

import pytest

from smtpx.errors import UnsupportedError
from smtpx.extensions.size import SIZE, Size
from smtpx.protocol.events import MailAsked
from smtpx.protocol.extension import MailFacts
from smtpx.protocol.facts import ServerFacts
from smtpx.wire.syntax import WireError
from tests.protocol.server_peer import EHLO, make_settings, survives

LIMITED = make_settings(limits={"max_message_bytes": 100})
UNLIMITED = make_settings(limits={"max_message_bytes": None})


def test_rfc1870_4_the_limit_is_announced() -> None:
    assert Size().advertise(LIMITED, ServerFacts()) == "100"
    assert Size().advertise(UNLIMITED, ServerFacts()) == ""


@pytest.mark.parametrize(
    ("declared", "code"), [("100", "250 2.1.0"), ("101", "552 5.3.4"), ("0", "250 2.1.0"), ("9" * 20, "552 5.3.4")]
)
def test_rfc1870_6_1_declared_size(declared: str, code: str) -> None:
    outcome = survives(EHLO, f"MAIL FROM:<a@b> SIZE={declared}\r\n", settings=LIMITED)
    assert outcome.codes[1:] == [code]
    if code == "250 2.1.0":
        assert outcome.of(MailAsked)[0].params.get(SIZE) == int(declared)


def test_no_limit_no_refusal() -> None:
    assert survives(EHLO, f"MAIL FROM:<a@b> SIZE={'9' * 20}\r\n", settings=UNLIMITED).codes[1:] == ["250 2.1.0"]
    assert survives(EHLO, "MAIL FROM:<a@b>\r\n", settings=LIMITED).codes[1:] == ["250 2.1.0"]


@pytest.mark.parametrize("value", [None, "", "-1", "+1", "1 ", "0x1", "1" * 21, "\u0661"])
def test_rfc1870_3_what_is_no_size(value: str | None) -> None:
    with pytest.raises(WireError, match="1 to 20 decimal digits"):
        SIZE.parse(value)


def test_a_client_tells_the_size() -> None:
    assert list(Size().dress_mail(MailFacts(size=10), ("100",))) == ["SIZE=10"]
    assert list(Size().dress_mail(MailFacts(size=10), ())) == ["SIZE=10"]
    assert list(Size().dress_mail(MailFacts(size=None), ("100",))) == []
    assert list(Size().dress_mail(MailFacts(size=10), None)) == []


def test_a_client_does_not_even_ask() -> None:
    with pytest.raises(UnsupportedError, match="101 octets and the server takes 100"):
        Size().dress_mail(MailFacts(size=101), ("100",))
    assert list(Size().dress_mail(MailFacts(size=100), ("100",))) == ["SIZE=100"]


@pytest.mark.parametrize(
    ("offer", "limit"), [((), None), (("0",), None), (("x",), None), (("10",), 10), (("10", "20"), 10)]
)
def test_rfc1870_4_offers(offer: tuple[str, ...], limit: int | None) -> None:
    assert Size.learn(offer) == limit
