"""DELIVERBY (RFC 2852): S41, C17, R58, R59, D08, D31."""

import pytest

from smtpx.errors import ConfigurationError, LocalProtocolError, UnsupportedError
from smtpx.extensions import DeliverBy
from smtpx.extensions.deliverby import BY, Deadline
from smtpx.protocol.events import MailAsked
from smtpx.protocol.extension import MailFacts
from smtpx.protocol.facts import ServerFacts
from smtpx.wire.syntax import WireError
from tests.protocol.server_peer import EHLO, EXTENSIONS, MAIL, make_settings, survives

SETTINGS = make_settings(extensions=[*EXTENSIONS, DeliverBy(minimum_seconds=50)])


@pytest.mark.parametrize(
    ("text", "deadline"),
    [
        ("100;NT", Deadline(100, trace=True)),
        ("100;n", Deadline(100)),
        ("0;N", Deadline(0)),
        ("-5;N", Deadline(-5)),
        ("999999999;rt", Deadline(999_999_999, returns=True, trace=True)),
    ],
)
def test_values(text: str, deadline: Deadline) -> None:
    assert BY.parse(text) == deadline
    assert BY.to_wire(deadline) == f"BY={text.upper()}"


@pytest.mark.parametrize(
    "text",
    [None, "", "1234", "123;RT;", "0;R", "-5;R", "+5;N", "1234567890;N", "5;X", "5;NTT", ";N", "5 ;N", "\u0665;N"],
)
def test_values_that_are_none(text: str | None) -> None:
    with pytest.raises(WireError):
        BY.parse(text)


def test_what_is_offered() -> None:
    assert DeliverBy().advertise(SETTINGS, ServerFacts()) == ""
    assert "DELIVERBY 50" in survives(EHLO, settings=SETTINGS).replies[0].lines


@pytest.mark.parametrize("seconds", [0, -1, 10**9])
def test_a_minimum_that_can_not_be_told(seconds: int) -> None:
    with pytest.raises(ConfigurationError):
        DeliverBy(minimum_seconds=seconds)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "501 5.5.4"),
        ("1234", "501 5.5.4"),
        ("123;RT;", "501 5.5.4"),
        ("0;R", "501 5.5.4"),
        ("+5;N", "501 5.5.4"),
        ("1234567890;N", "501 5.5.4"),
        ("49;RT", "555 5.5.4"),
        ("50;RT", "250 2.1.0"),
        ("100;NT", "250 2.1.0"),
        ("-5;n", "250 2.1.0"),
    ],
)
def test_s41_on_mail(text: str, code: str) -> None:
    outcome = survives(EHLO, f"MAIL FROM:<a@client.example> BY={text}\r\n", settings=SETTINGS)
    assert outcome.codes[1:] == [code]
    if text == "100;NT":
        assert outcome.of(MailAsked)[0].params.get(BY) == Deadline(100, returns=False, trace=True)


def test_r78_not_on_rcpt() -> None:
    assert survives(EHLO, MAIL, "RCPT TO:<b@c> BY=100;N\r\n", settings=SETTINGS).codes[2:] == ["555 5.5.4"]


def test_without_minimum_nothing_is_too_soon() -> None:
    settings = make_settings(extensions=[DeliverBy()])
    assert survives(EHLO, "MAIL FROM:<a@b> BY=1;R\r\n", settings=settings).codes[1:] == ["250 2.1.0"]
    assert survives(EHLO, "MAIL FROM:<a@b>\r\n", settings=SETTINGS).codes[1:] == ["250 2.1.0"]


def mail(deadline: Deadline | None) -> MailFacts:
    return MailFacts(options={"by": deadline} if deadline else {})


def test_c17_a_client_asks_on_mail() -> None:
    wish = mail(Deadline(100, returns=True, trace=True))
    assert list(DeliverBy().dress_mail(wish, ())) == ["BY=100;RT"]
    assert list(DeliverBy().dress_mail(wish, ("100",))) == ["BY=100;RT"]
    assert list(DeliverBy().dress_mail(mail(Deadline(1)), ("100",))) == ["BY=1;N"]
    assert list(DeliverBy().dress_mail(mail(None), None)) == []


@pytest.mark.parametrize("deadline", [Deadline(0, returns=True), Deadline(10**9), Deadline(-(10**9))])
def test_c17_refused_locally(deadline: Deadline) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        DeliverBy().dress_mail(mail(deadline), ())
    assert caught.value.stage == "mail"


@pytest.mark.parametrize("offer", [None, ("101",)])
def test_what_the_server_would_refuse_is_not_sent(offer: tuple[str, ...] | None) -> None:
    with pytest.raises(UnsupportedError) as caught:
        DeliverBy().dress_mail(mail(Deadline(100, returns=True)), offer)
    assert caught.value.keyword == "DELIVERBY"


@pytest.mark.parametrize(("offer", "minimum"), [((), None), (("50",), 50), (("x",), None)])
def test_a_client_learns_the_minimum(offer: tuple[str, ...], minimum: int | None) -> None:
    assert DeliverBy.learn(offer) == minimum
