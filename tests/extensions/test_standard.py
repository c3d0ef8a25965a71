"""The extensions of `STANDARD`, each as a server offers and checks it and as a client dresses MAIL with it."""

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest

from smtpx.errors import ConfigurationError, UnsupportedError
from smtpx.extensions import (
    ALL,
    BY_NAME,
    SMTPUTF8,
    STANDARD,
    Auth,
    Chunking,
    DeliverBy,
    EightBitMIME,
    EnhancedStatusCodes,
    FutureRelease,
    Pipelining,
    Size,
    StartTLS,
    by_name,
)
from smtpx.protocol.extension import Extension, ExtensionSet, MailFacts
from smtpx.protocol.facts import ServerFacts, TLSFacts
from tests.protocol.server_peer import EHLO, TLS_FACTS, make_settings, play, survives


def test_they_fit_together() -> None:
    extensions = ExtensionSet(STANDARD)
    assert set(extensions.verbs) >= {"AUTH", "BDAT", "STARTTLS"}
    assert set(extensions.mail_params) >= {"AUTH", "BODY", "SIZE", "SMTPUTF8"}


def test_what_ehlo_lists() -> None:
    (reply,) = play(EHLO, settings=make_settings(extensions=STANDARD)).replies
    assert reply.lines[0] == "server.example"
    offered = {"PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING", "SIZE 26214400"}
    assert set(reply.lines) >= offered


@pytest.mark.parametrize("extension", [Pipelining(), EnhancedStatusCodes(), Chunking(), StartTLS(), Auth()])
def test_extensions_that_leave_mail_alone(extension: Pipelining) -> None:
    for offer in (None, ()):
        assert not [*extension.dress_mail(MailFacts(size=10, eight_bit=True, needs_utf8=True), offer)]


def test_keywords_are_those_of_the_registry() -> None:
    keywords = {each.keyword for each in STANDARD}
    assert keywords >= {
        "PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING", "STARTTLS", "AUTH", "SIZE",
    }  # fmt: skip
    assert SMTPUTF8.keyword == "SMTPUTF8"
    assert EightBitMIME().advertise(make_settings(), ServerFacts()) == ""


def test_everything_that_cannot_be_sent_is_an_unsupported_error() -> None:
    for extension, mail in (
        (SMTPUTF8(), MailFacts(needs_utf8=True)),
        (EightBitMIME(), MailFacts(eight_bit=True)),
    ):
        with pytest.raises(UnsupportedError) as caught:
            extension.dress_mail(mail, None)
        assert caught.value.keyword == extension.keyword
    assert Size().dress_mail(MailFacts(size=1), None) == ()


# Values that are there or not -----------------------------------------------------------------------------------------

FLAGS = {"SMTPUTF8", "REQUIRETLS"}
# One of them tells the time, and each line is said several times.
ALL_AT_ONCE = [
    FutureRelease(now=lambda: datetime(2026, 1, 1, tzinfo=UTC)) if each.keyword == "FUTURERELEASE" else each
    for each in ALL
]
WITH_A_VALUE = {"SIZE", "BODY", "AUTH", "RET", "ENVID", "BY", "MT-PRIORITY", "HOLDFOR", "HOLDUNTIL", "RRVS", "NOTIFY"}


def answer(
    word: str, *, hello: str = EHLO, tls: TLSFacts | None = None, extensions: Iterable[Extension] = ALL_AT_ONCE
) -> str:
    """What a server says to MAIL with this parameter, or to RCPT if it is one of RCPT."""
    keyword = word.partition("=")[0]
    mail = "MAIL FROM:<a@client.example>"
    if keyword in ExtensionSet(ALL).mail_params:
        lines = [f"{mail} {word}\r\n"]
    else:
        lines = [f"{mail}\r\n", f"RCPT TO:<b@server.example> {word}\r\n"]
    return survives(hello, *lines, settings=make_settings(extensions=extensions, starttls=True), tls=tls).codes[-1]


def test_all_parameters_are_looked_at_here() -> None:
    known = ExtensionSet(ALL)
    assert known.mail_params.keys() | known.rcpt_params.keys() == FLAGS | WITH_A_VALUE | {"ORCPT"}


@pytest.mark.parametrize("keyword", sorted(FLAGS))
@pytest.mark.parametrize("value", ["", "=", "=x", "=SMTPUTF8"])
def test_rfc5321_4_1_1_11_a_value_where_none_is_allowed(keyword: str, value: str) -> None:
    good = "250 2.1.0" if not value else "501 5.5.4"
    assert answer(keyword + value, tls=TLS_FACTS) == good
    assert answer(keyword + value) == (good if keyword != "REQUIRETLS" else "555 5.5.4")  # not offered in clear


@pytest.mark.parametrize("keyword", sorted(WITH_A_VALUE | {"ORCPT"}))
@pytest.mark.parametrize("tls", [None, TLS_FACTS])
def test_rfc5321_4_1_1_11_no_value_where_one_is_needed(keyword: str, tls: TLSFacts | None) -> None:
    assert answer(keyword, tls=tls) == "501 5.5.4"
    assert answer(f"{keyword}=", tls=tls) == "501 5.5.4"


@pytest.mark.parametrize("keyword", sorted(FLAGS | WITH_A_VALUE | {"ORCPT"}))
@pytest.mark.parametrize("value", ["", "=", "=x"])
@pytest.mark.parametrize("tls", [None, TLS_FACTS])
def test_rfc5321_4_1_1_11_what_was_not_offered_is_not_recognised(
    keyword: str, value: str, tls: TLSFacts | None
) -> None:
    assert answer(keyword + value, tls=tls, extensions=[StartTLS()]) == "555 5.5.4"
    assert answer(keyword + value, hello="HELO client.example\r\n", tls=tls) == "555 5.5.4"


# Choosing -----------------------------------------------------------------------------------------------------------


def test_all_of_them_fit_together() -> None:
    extensions = ExtensionSet(ALL)
    assert set(extensions.keywords) == set(BY_NAME)
    assert set(STANDARD) <= set(ALL)


def test_standard_promises_only_what_is_kept() -> None:
    assert {each.keyword for each in ALL} - {each.keyword for each in STANDARD} == {
        "REQUIRETLS", "DELIVERBY", "MT-PRIORITY", "FUTURERELEASE", "RRVS", "XCLIENT", "XFORWARD",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("names", "keywords"),
    [
        ("", []),
        ("SIZE", ["SIZE"]),
        ("rrvs, Size ,8bitmime,SIZE,", ["8BITMIME", "SIZE", "RRVS"]),
        ("+rrvs", [*(each.keyword for each in STANDARD), "RRVS"]),
        ("-PIPELINING,-XCLIENT", [each.keyword for each in STANDARD[1:]]),
        ("+RRVS,-rrvs", [each.keyword for each in STANDARD]),
    ],
)
def test_by_name(names: str, keywords: list[str]) -> None:
    assert [each.keyword for each in by_name(names)] == keywords


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ("SIZE,-DSN", "either the extensions"),
        ("SIZE,FOO", "no extension is called 'FOO'; there are PIPELINING, "),
        ("+", "no extension is called ''"),
        ("++DSN", "no extension is called '.DSN'"),
    ],
)
def test_names_that_are_refused(names: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        by_name(names)


def test_other_instances_by_name() -> None:
    own = DeliverBy(minimum_seconds=60)
    assert by_name("DELIVERBY", known={**BY_NAME, "DELIVERBY": own}) == (own,)
