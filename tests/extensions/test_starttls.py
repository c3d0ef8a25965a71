"""STARTTLS (RFC 3207): where it is offered and what it answers."""

import pytest

from smtpx.extensions.starttls import StartTLS
from smtpx.protocol.facts import ServerFacts
from smtpx.protocol.settings import ServerSettings
from tests.protocol.server_peer import EHLO, GOOD_AUTH, MECHANISMS, TLS_FACTS, make_settings, play, survives

TLS = make_settings(starttls=True, mechanisms=MECHANISMS, allow_insecure_auth=True)


def test_offered_only_where_it_works() -> None:
    offer = StartTLS().advertise
    assert offer(TLS, ServerFacts()) == ""
    assert offer(TLS, ServerFacts(tls=TLS_FACTS)) is None
    assert offer(TLS, ServerFacts(identity="user")) is None
    assert offer(make_settings(), ServerFacts()) is None


@pytest.mark.parametrize(
    ("script", "settings", "code"),
    [
        ((EHLO, "STARTTLS now\r\n"), TLS, "501 5.5.4"),
        ((EHLO, "STARTTLS\r\n"), make_settings(), "502 5.5.1"),
        ((EHLO, GOOD_AUTH, "STARTTLS\r\n"), TLS, "503 5.5.1"),
    ],
)
def test_rfc3207_4_refusals(script: tuple[str, ...], settings: ServerSettings, code: str) -> None:
    assert survives(*script, settings=settings).codes[-1] == code


def test_rfc3207_4_not_twice() -> None:
    assert survives(EHLO, "STARTTLS\r\n", settings=TLS, tls=TLS_FACTS).codes[-1] == "503 5.5.1"


def test_rfc3207_4_go() -> None:
    assert play(EHLO, "STARTTLS\r\n", settings=TLS).codes[-1] == "220 2.0.0"
