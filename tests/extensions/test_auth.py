"""AUTH (RFC 4954): offer, command and parameter."""

from dataclasses import replace

import pytest

from smtpx.errors import LocalProtocolError, UnsupportedError
from smtpx.extensions.auth import AUTH, Auth
from smtpx.protocol.extension import MailFacts
from smtpx.protocol.facts import ServerFacts
from smtpx.sasl import ServerMechanism
from smtpx.sasl.plain import PLAIN, PlainServer
from smtpx.wire.address import NULL_SENDER, Mailbox
from smtpx.wire.syntax import WireError
from tests.protocol.server_peer import EHLO, GOOD_AUTH, MECHANISMS, TLS_FACTS, make_settings, survives

QUIZ = ServerMechanism("QUIZ", False, True, PlainServer)
MIXED = make_settings(mechanisms=(PLAIN, QUIZ))
OPEN = make_settings(mechanisms=MECHANISMS, allow_insecure_auth=True)


def test_rfc4954_3_what_is_offered() -> None:
    offer = Auth().advertise
    assert offer(MIXED, ServerFacts()) == "QUIZ"
    assert offer(MIXED, ServerFacts(tls=TLS_FACTS)) == "PLAIN QUIZ"
    assert offer(OPEN, ServerFacts()) == "PLAIN LOGIN"
    assert offer(OPEN, ServerFacts(identity="user")) is None
    assert offer(make_settings(mechanisms=MECHANISMS), ServerFacts()) is None
    assert offer(make_settings(), ServerFacts(tls=TLS_FACTS)) is None
    assert offer(make_settings(mechanisms=(QUIZ,), starttls=True), ServerFacts()) is None
    needy = make_settings(mechanisms=(QUIZ._replace(name="QUIZ-PLUS", needs_binding=True), QUIZ), starttls=True)
    assert offer(needy, ServerFacts(tls=TLS_FACTS)) == "QUIZ"
    assert offer(needy, ServerFacts(tls=replace(TLS_FACTS, bindings={"tls-unique": b"x"}))) == "QUIZ-PLUS QUIZ"


def test_a_client_learns_the_mechanisms() -> None:
    assert Auth().learn(("PLAIN", "LOGIN")) == ("PLAIN", "LOGIN")


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("", "501 5.5.4"),
        (" PLAIN x y", "501 5.5.4"),
        (" FOO", "504 5.5.4"),
        (" PLAIN\u3000x", "504 5.5.4"),
        (" PLAIN  !", "501 5.5.2"),
    ],
)
def test_rfc4954_4_arguments(argument: str, code: str) -> None:
    assert survives(EHLO, f"AUTH{argument}\r\n", settings=OPEN).codes[1:] == [code]


def test_rfc4954_4_once() -> None:
    assert survives(EHLO, GOOD_AUTH, "AUTH\r\n", settings=OPEN).codes[1:] == ["235 2.7.0", "503 5.5.1"]
    assert survives(EHLO, GOOD_AUTH).codes[1:] == ["502 5.5.1"]


@pytest.mark.parametrize(
    ("value", "mailbox"),
    [
        ("<>", NULL_SENDER),
        ("a@b.example", Mailbox("a", "b.example")),
        ("e+3Dmc2@example.com", Mailbox("e=mc2", "example.com")),
    ],
)
def test_rfc4954_5_parameter(value: str, mailbox: Mailbox) -> None:
    assert AUTH.parse(value) == mailbox
    assert AUTH.to_wire(mailbox) == f"AUTH={value}"


@pytest.mark.parametrize("value", [None, "", "a", "a+b@c", "<a@b>", "a+3db@c"])
def test_rfc4954_5_other_values(value: str | None) -> None:
    with pytest.raises(WireError):
        AUTH.parse(value)


@pytest.mark.parametrize(
    ("who", "word"),
    [
        ("", "AUTH=<>"),  # D29: never an empty value
        ("<>", "AUTH=<>"),
        (NULL_SENDER, "AUTH=<>"),
        ("e=mc2@example.com", "AUTH=e+3Dmc2@example.com"),
        (Mailbox.parse("a@b.example"), "AUTH=a@b.example"),
    ],
)
def test_rfc4954_5_d29_who_submitted_it(who: str | Mailbox, word: str) -> None:
    assert list(Auth().dress_mail(MailFacts(options={"submitted_by": who}), ("PLAIN",))) == [word]
    with pytest.raises(UnsupportedError) as caught:
        Auth().dress_mail(MailFacts(options={"submitted_by": who}), None)
    assert caught.value.keyword == "AUTH"


@pytest.mark.parametrize("who", ["a b@x.example", "a@x.example\r\nRSET", "ü@x.example", "nobody"])
def test_rfc4954_5_a_submitter_that_can_not_be_written(who: str) -> None:
    with pytest.raises(LocalProtocolError):
        Auth().dress_mail(MailFacts(options={"submitted_by": who}), ("PLAIN",))


def test_without_the_wish_nothing_is_said() -> None:
    assert list(Auth().dress_mail(MailFacts(), None)) == []
