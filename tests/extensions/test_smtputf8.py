"""SMTPUTF8 (RFC 6531)."""

import pytest

from smtpx.errors import UnsupportedError
from smtpx.extensions.smtputf8 import SMTPUTF8, UTF8
from smtpx.protocol.events import MailAsked, RcptAsked
from smtpx.protocol.extension import MailFacts
from tests.protocol.server_peer import EHLO, survives


def test_rfc6531_3_4_the_parameter_has_no_value() -> None:
    outcome = survives(EHLO, "MAIL FROM:<a@b> SMTPUTF8=1\r\n", "MAIL FROM:<a@b> smtputf8\r\n")
    assert outcome.codes[1:] == ["501 5.5.4", "250 2.1.0"]
    assert outcome.of(MailAsked)[0].params.get(UTF8) is True


def test_rfc6531_3_3_addresses_beyond_ascii() -> None:
    outcome = survives(
        EHLO, "MAIL FROM:<gr\u00fcn@b\u00fccher.example> SMTPUTF8\r\n", "RCPT TO:<\u4f60\u597d@x.example>\r\n"
    )
    assert outcome.codes[1:] == ["250 2.1.0", "250 2.1.5"]
    assert outcome.of(MailAsked)[0].sender.local_part == "gr\u00fcn"
    assert outcome.of(RcptAsked)[0].recipient.local_part == "\u4f60\u597d"


@pytest.mark.parametrize(("needs", "offer", "dress"), [(False, None, []), (False, (), []), (True, (), ["SMTPUTF8"])])
def test_a_client_asks_only_when_it_must(needs: bool, offer: tuple[str, ...] | None, dress: list[str]) -> None:
    assert list(SMTPUTF8().dress_mail(MailFacts(needs_utf8=needs), offer)) == dress


def test_rfc6531_3_6_not_without_the_extension() -> None:
    with pytest.raises(UnsupportedError, match="no SMTPUTF8") as caught:
        SMTPUTF8().dress_mail(MailFacts(needs_utf8=True), None)
    assert caught.value.keyword == "SMTPUTF8"
