"""8BITMIME (RFC 6152)."""

import pytest

from smtpx.errors import UnsupportedError
from smtpx.extensions.body_types import BODY, EightBitMIME
from smtpx.protocol.events import MailAsked
from smtpx.protocol.extension import MailFacts
from smtpx.wire.syntax import WireError
from tests.protocol.server_peer import EHLO, ENVELOPE, survives


@pytest.mark.parametrize(("value", "body"), [("7BIT", "7BIT"), ("8BITMIME", "8BITMIME"), ("8bitMime", "8BITMIME")])
def test_rfc6152_3_body(value: str, body: str) -> None:
    outcome = survives(EHLO, f"MAIL FROM:<a@b> BODY={value}\r\n")
    assert outcome.codes[1:] == ["250 2.1.0"]
    assert outcome.of(MailAsked)[0].params.get(BODY) == body


@pytest.mark.parametrize("value", [None, "", "9BIT", "BINARY", "8BITMIME ", "7B\u0131T"])
def test_rfc6152_3_other_bodies(value: str | None) -> None:
    with pytest.raises(WireError, match="7BIT, 8BITMIME or BINARYMIME"):
        BODY.parse(value)


def test_octets_are_taken_whatever_was_declared() -> None:
    outcome = survives(EHLO, ENVELOPE + "DATA\r\n", bytes(range(128, 256)) + b"\r\n.\r\n")
    assert outcome.contents == [bytes(range(128, 256)) + b"\r\n"]


@pytest.mark.parametrize(
    ("eight_bit", "offer", "dress"),
    [
        (False, (), []),
        (False, None, []),
        (True, (), ["BODY=8BITMIME"]),
        (None, (), ["BODY=8BITMIME"]),
        (None, None, []),
    ],
)
def test_a_client_asks_only_when_it_must(
    eight_bit: bool | None, offer: tuple[str, ...] | None, dress: list[str]
) -> None:
    assert list(EightBitMIME().dress_mail(MailFacts(eight_bit=eight_bit), offer)) == dress


def test_rfc6152_3_eight_bits_to_a_server_of_seven() -> None:
    with pytest.raises(UnsupportedError, match="8-bit") as caught:
        EightBitMIME().dress_mail(MailFacts(eight_bit=True), None)
    assert caught.value.keyword == "8BITMIME"


@pytest.mark.parametrize(
    ("eight_bit", "wish", "dress"),
    [(False, "8bitMime", ["BODY=8BITMIME"]), (True, "7BIT", ["BODY=8BITMIME"]), (True, "BINARYMIME", [])],
)
def test_a_caller_may_say_so(eight_bit: bool, wish: str, dress: list[str]) -> None:
    mail = MailFacts(eight_bit=eight_bit, options={"body": wish})
    assert list(EightBitMIME().dress_mail(mail, ())) == dress


def test_binary_needs_more_than_this() -> None:
    assert survives(EHLO, "MAIL FROM:<a@b> BODY=BINARYMIME\r\n").codes[1:] == ["501 5.5.4"]
