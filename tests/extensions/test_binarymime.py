"""BINARYMIME (RFC 3030): S35, H031, H032, and the BODY that it shares with 8BITMIME."""

from collections.abc import Mapping
from typing import Any

import pytest

from smtpx.errors import UnsupportedError
from smtpx.extensions import BinaryMIME, Chunking, EightBitMIME
from smtpx.extensions.body_types import BODY
from smtpx.protocol.events import MailAsked
from smtpx.protocol.extension import Extension, MailFacts, Offer
from smtpx.protocol.facts import ServerFacts
from smtpx.protocol.settings import ServerSettings
from tests.protocol.server_peer import EHLO, EXTENSIONS, RCPT, make_settings, survives

SETTINGS = make_settings(extensions=[*EXTENSIONS, BinaryMIME()])
BINARY = "MAIL FROM:<a@client.example> BODY=BINARYMIME\r\n"
EVERY_OCTET = bytes(range(256))


def test_rfc3030_3_offered_only_beside_chunking() -> None:
    assert BinaryMIME().advertise(SETTINGS, ServerFacts()) == ""
    assert BinaryMIME().advertise(make_settings(extensions=[BinaryMIME()]), ServerFacts()) is None
    assert "BINARYMIME" in survives(EHLO, settings=SETTINGS).replies[0].lines


@pytest.mark.parametrize("value", ["BINARYMIME", "binaryMime"])
def test_s35_every_octet_arrives(value: str) -> None:
    mail = f"MAIL FROM:<a@client.example> BODY={value}\r\n"
    first, last = f"BDAT {len(EVERY_OCTET)}\r\n".encode() + EVERY_OCTET, b"BDAT 3 LAST\r\n\r\0\n"
    outcome = survives(EHLO, mail + RCPT, first + last, settings=SETTINGS)
    assert outcome.codes[1:] == ["250 2.1.0", "250 2.1.5", "250 2.0.0", "250 2.0.0"]
    assert outcome.contents == [EVERY_OCTET + b"\r\0\n"]
    assert outcome.of(MailAsked)[0].params.get(BODY) == "BINARYMIME"


def test_h031_no_data_but_bdat_may_still_come() -> None:
    outcome = survives(EHLO, BINARY, RCPT, "DATA\r\n", "BDAT 1 LAST\r\n\n", settings=SETTINGS)
    assert outcome.codes[3:] == ["503 5.5.1", "250 2.0.0"]
    assert outcome.contents == [b"\n"]


@pytest.mark.parametrize("body", ["", " BODY=8BITMIME"])
def test_h032_other_bodies_have_lines(body: str) -> None:
    mail = f"MAIL FROM:<a@client.example>{body}\r\n"
    outcome = survives(EHLO, mail, RCPT, "BDAT 2 LAST\r\na\n", mail, RCPT, "DATA\r\n", ".\r\n", settings=SETTINGS)
    assert outcome.codes[3:] == ["550 5.5.2", "250 2.1.0", "250 2.1.5", "354", "250 2.0.0"]
    assert outcome.contents == [b""]


@pytest.mark.parametrize(
    ("extensions", "value", "code"),
    [
        ([EightBitMIME()], "BINARYMIME", "501 5.5.4"),
        ([EightBitMIME(), BinaryMIME()], "BINARYMIME", "501 5.5.4"),
        ([BinaryMIME(), Chunking()], "8BITMIME", "501 5.5.4"),
        ([BinaryMIME(), Chunking()], "7BIT", "250 2.1.0"),
        ([BinaryMIME(), Chunking()], "BINARYMIME", "250 2.1.0"),
        ([Chunking()], "BINARYMIME", "555 5.5.4"),
    ],
)
def test_each_value_needs_its_extension(extensions: list[Extension], value: str, code: str) -> None:
    settings: ServerSettings = make_settings(extensions=extensions)
    assert survives(EHLO, f"MAIL FROM:<a@b> BODY={value}\r\n", settings=settings).codes[1:] == [code]


@pytest.mark.parametrize(
    ("options", "words"),
    [({}, []), ({"body": "8BITMIME"}, []), ({"body": "binarymime"}, ["BODY=BINARYMIME"])],
)
def test_a_client_sends_it_only_on_request(options: Mapping[str, Any], words: list[str]) -> None:
    assert list(BinaryMIME().dress_mail(MailFacts(options=options, chunking=True), ())) == words
    assert list(BinaryMIME().dress_mail(MailFacts(eight_bit=True), None)) == []


def test_one_body_is_sent_not_two() -> None:
    mail = MailFacts(eight_bit=True, chunking=True, options={"body": "BINARYMIME"})
    words = [word for each in (EightBitMIME(), BinaryMIME()) for word in each.dress_mail(mail, ())]
    assert words == ["BODY=BINARYMIME"]


@pytest.mark.parametrize(("offer", "chunking", "keyword"), [(None, True, "BINARYMIME"), ((), False, "CHUNKING")])
def test_a_client_needs_offer_and_bdat(offer: Offer | None, chunking: bool, keyword: str) -> None:
    with pytest.raises(UnsupportedError, match="binary content can't be sent") as caught:
        BinaryMIME().dress_mail(MailFacts(options={"body": "BINARYMIME"}, chunking=chunking), offer)
    assert (caught.value.keyword, caught.value.stage) == (keyword, "mail")
