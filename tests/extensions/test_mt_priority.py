"""MT-PRIORITY (RFC 6710): S42, C18, R58, R78, D08, D31."""

from typing import Any

import pytest

from smtpx.errors import ConfigurationError, LocalProtocolError, UnsupportedError
from smtpx.extensions import MTPriority
from smtpx.extensions.mt_priority import MT_PRIORITY
from smtpx.protocol import replies
from smtpx.protocol.events import MailAsked
from smtpx.protocol.extension import MailFacts
from smtpx.protocol.facts import ServerFacts
from smtpx.protocol.settings import ServerSettings
from smtpx.wire.syntax import WireError
from tests.protocol.server_peer import (
    EHLO,
    EXTENSIONS,
    GOOD_AUTH,
    MAIL,
    MECHANISMS,
    Outcome,
    answering,
    make_settings,
    survives,
)


def settings(profile: str | None = None, **options: int) -> ServerSettings:
    extensions = [*EXTENSIONS, MTPriority(profile, **options)]
    return make_settings(extensions=extensions, mechanisms=MECHANISMS, allow_insecure_auth=True)


PLAIN = settings()


def ask(value: str, *before: str, **options: int) -> Outcome:
    return survives(
        EHLO, *before, f"MAIL FROM:<a@client.example> MT-PRIORITY={value}\r\n", settings=settings(None, **options)
    )


@pytest.mark.parametrize("number", range(-9, 10))
def test_values(number: int) -> None:
    assert MT_PRIORITY.parse(str(number)) == number
    assert MT_PRIORITY.to_wire(number) == f"MT-PRIORITY={number}"


@pytest.mark.parametrize("text", [None, "", "foo", "-10", "10", "+5", "05", "-0", "5 ", "\u0665"])
def test_values_that_are_none(text: str | None) -> None:
    with pytest.raises(WireError, match="-9 to 9"):
        MT_PRIORITY.parse(text)


@pytest.mark.parametrize(("profile", "line"), [(None, "MT-PRIORITY"), ("MIXER", "MT-PRIORITY MIXER")])
def test_what_is_offered(profile: str | None, line: str) -> None:
    assert line in survives(EHLO, settings=settings(profile=profile)).replies[0].lines


@pytest.mark.parametrize(
    "options", [{"profile": "a b"}, {"profile": ""}, {"maximum": 10}, {"maximum_unauthenticated": -10}]
)
def test_settings_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        MTPriority(**options)


@pytest.mark.parametrize("text", ["", "foo", "-10", "10", "+5", "05", "-0"])
def test_s42_bad_values(text: str) -> None:
    assert ask(text).codes[1:] == ["501 5.5.4"]


@pytest.mark.parametrize("number", [-2, 0, 9])
def test_s42_good_values_on_mail(number: int) -> None:
    outcome = ask(str(number))
    assert outcome.codes[1:] == ["250 2.1.0"]
    assert outcome.of(MailAsked)[0].params.get(MT_PRIORITY) == number


def test_r78_not_on_rcpt() -> None:
    assert survives(EHLO, MAIL, "RCPT TO:<b@c> MT-PRIORITY=1\r\n", settings=PLAIN).codes[2:] == ["555 5.5.4"]
    assert survives(EHLO, MAIL, settings=PLAIN).codes[1:] == ["250 2.1.0"]


@pytest.mark.parametrize(
    ("asked", "login", "options", "granted"),
    [
        ("7", False, {"maximum": 3}, 3),
        ("7", True, {"maximum": 3}, 3),
        ("7", False, {"maximum_unauthenticated": 0}, 0),
        ("7", True, {"maximum_unauthenticated": 0}, None),
        ("-7", False, {"maximum_unauthenticated": 0}, None),
        ("7", False, {"maximum": 2, "maximum_unauthenticated": 5}, 2),
    ],
)
def test_rfc6710_4_1_lowered(asked: str, login: bool, options: dict[str, int], granted: int | None) -> None:
    reply = ask(asked, *[GOOD_AUTH] * login, **options).replies[-1]
    if granted is None:
        assert str(reply.enhanced) == "2.1.0"
    else:
        assert (reply.code, str(reply.enhanced), reply.text.split()[0]) == (250, "2.3.6", str(granted))


def test_the_session_has_the_last_word() -> None:
    policy = answering(MailAsked, replies.make(250, "2.3.6", "-1 is enough"))
    mail = "MAIL FROM:<a@client.example> MT-PRIORITY=9\r\n"
    outcome = survives(EHLO, mail, settings=settings(maximum=3), policy=policy)
    assert outcome.replies[-1].text == "-1 is enough"
    assert MTPriority(maximum=3).granted(9, ServerFacts()) == 3


def test_c18_a_client_asks_on_mail() -> None:
    assert list(MTPriority().dress_mail(MailFacts(options={"mt_priority": 6}), ())) == ["MT-PRIORITY=6"]
    assert list(MTPriority().dress_mail(MailFacts(options={"mt_priority": 0}), ("MIXER",))) == ["MT-PRIORITY=0"]
    assert list(MTPriority().dress_mail(MailFacts(), None)) == []


def test_c18_refused_locally() -> None:
    with pytest.raises(LocalProtocolError):
        MTPriority().dress_mail(MailFacts(options={"mt_priority": 10}), ())
    with pytest.raises(UnsupportedError):
        MTPriority().dress_mail(MailFacts(options={"mt_priority": 1}), None)


def test_a_client_learns_the_profile() -> None:
    assert MTPriority.learn(("Mixer",)) == "MIXER"
    assert MTPriority.learn(()) is None
