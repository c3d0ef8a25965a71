"""REQUIRETLS (RFC 8689): R56, D24."""

import dataclasses

import pytest

from smtpx.errors import UnsupportedError
from smtpx.extensions import RequireTLS
from smtpx.extensions.requiretls import REQUIRETLS
from smtpx.protocol.events import MailAsked
from smtpx.protocol.extension import MailFacts
from smtpx.protocol.facts import ServerFacts, TLSFacts
from tests.protocol.server_peer import EHLO, EXTENSIONS, TLS_FACTS, make_settings, survives

SETTINGS = make_settings(extensions=[*EXTENSIONS, RequireTLS()])
MAIL = "MAIL FROM:<a@client.example> REQUIRETLS\r\n"
VERIFIED = dataclasses.replace(TLS_FACTS, verified=True)


def test_rfc8689_2_offered_only_under_tls() -> None:
    assert RequireTLS().advertise(SETTINGS, ServerFacts()) is None
    assert RequireTLS().advertise(SETTINGS, ServerFacts(tls=TLS_FACTS)) == ""


def test_d24_taken_only_where_it_was_offered() -> None:
    assert survives(EHLO, MAIL, settings=SETTINGS).codes[1:] == ["555 5.5.4"]
    assert survives(EHLO, "MAIL FROM:<a@b>\r\n", settings=SETTINGS).codes[1:] == ["250 2.1.0"]
    outcome = survives(EHLO, MAIL, settings=SETTINGS, tls=TLS_FACTS)
    assert outcome.codes[1:] == ["250 2.1.0"]
    assert outcome.of(MailAsked)[0].params.get(REQUIRETLS) is True


def test_it_has_no_value() -> None:
    mail = MAIL.replace("TLS", "TLS=1")
    assert survives(EHLO, mail, settings=SETTINGS, tls=TLS_FACTS).codes[1:] == ["501 5.5.4"]


def test_a_client_asks_on_request() -> None:
    wish = MailFacts(options={"require_tls": True}, tls=VERIFIED)
    assert list(RequireTLS().dress_mail(wish, ())) == ["REQUIRETLS"]
    assert list(RequireTLS().dress_mail(MailFacts(tls=VERIFIED), ())) == []


@pytest.mark.parametrize(
    ("tls", "offer", "text"),
    [(None, (), "verified"), (TLS_FACTS, (), "verified"), (VERIFIED, None, "offers no REQUIRETLS")],
)
def test_a_client_needs_verified_tls_and_the_offer(
    tls: TLSFacts | None, offer: tuple[str, ...] | None, text: str
) -> None:
    with pytest.raises(UnsupportedError, match=text) as caught:
        RequireTLS().dress_mail(MailFacts(options={"require_tls": True}, tls=tls), offer)
    assert (caught.value.keyword, caught.value.stage) == ("REQUIRETLS", "mail")
