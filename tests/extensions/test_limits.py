"""LIMITS (RFC 9422), H080."""

from collections.abc import Mapping
from typing import Any

import pytest

from smtpx.errors import ConfigurationError
from smtpx.extensions import Limits
from smtpx.extensions.limits import OfferedLimits
from smtpx.protocol.capabilities import Capabilities
from smtpx.protocol.facts import ServerFacts
from tests.protocol.server_peer import EHLO, EXTENSIONS, HANDSHAKE, MAIL, make_settings, survives

DATA = "DATA\r\n", ".\r\n"


def rcpt(*domains: str) -> str:
    return "".join(f"RCPT TO:<x@{domain}>\r\n" for domain in domains)


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({}, "RCPTMAX=1000 MAILMAX=1000"),
        ({"max_recipients": 3, "max_messages_per_connection": None}, "RCPTMAX=3"),
        ({"max_recipients": 1_000_000}, "MAILMAX=1000"),
        ({"max_recipients": 1_000_000, "max_messages_per_connection": None}, None),
    ],
)
def test_rfc9422_3_what_is_told(limits: Mapping[str, Any], text: str | None) -> None:
    assert Limits().advertise(make_settings(limits=limits), ServerFacts()) == text


def test_domains_are_told_when_they_are_limited() -> None:
    extension = Limits(max_recipient_domains=1)
    assert extension.advertise(make_settings(), ServerFacts()) == "RCPTMAX=1000 MAILMAX=1000 RCPTDOMAINMAX=1"


@pytest.mark.parametrize("value", [0, -1, 1_000_000])
def test_limits_that_can_not_be_told(value: int) -> None:
    with pytest.raises(ConfigurationError):
        Limits(max_recipient_domains=value)


def test_h080_too_many_recipients() -> None:
    settings = make_settings(limits={"max_recipients": 3}, extensions=[*EXTENSIONS, Limits()])
    outcome = survives(EHLO, MAIL + rcpt(*"abcde"), *DATA, settings=settings)
    assert "LIMITS RCPTMAX=3 MAILMAX=1000" in outcome.replies[0].lines
    assert outcome.codes[2:] == ["250 2.1.5"] * 3 + ["452 4.5.3"] * 2 + ["354", "250 2.0.0"]
    assert outcome.messages[0].recipients == ("x@a", "x@b", "x@c")


def test_rfc9422_4_3_domains_of_one_connection() -> None:
    settings = make_settings(extensions=[*EXTENSIONS, Limits(max_recipient_domains=2)], starttls=True)
    outcome = survives(EHLO, MAIL + rcpt("a", "B", "c", "b"), *DATA, MAIL + rcpt("c", "A"), settings=settings)
    assert outcome.codes[2:6] == ["250 2.1.5", "250 2.1.5", "452 4.5.3", "250 2.1.5"]
    assert outcome.codes[9:] == ["452 4.5.3", "250 2.1.5"]
    outcome = survives(
        EHLO, MAIL + rcpt("a", "b"), "STARTTLS\r\n", HANDSHAKE, EHLO, MAIL + rcpt("c", "d"), settings=settings
    )
    assert outcome.codes[-2:] == ["250 2.1.5"] * 2


@pytest.mark.parametrize(
    ("line", "limits"),
    [
        ("", OfferedLimits()),
        ("RCPTMAX=100", OfferedLimits(max_recipients=100)),
        (
            "mailmax=5 RCPTDOMAINMAX=1 RcptMax=999999",
            OfferedLimits(max_recipients=999_999, max_messages=5, max_recipient_domains=1),
        ),
        ("MAILMAX=5 X-NEW Y_Z=a=b", OfferedLimits(max_messages=5)),
        ("-=1 MAILMAX=5 _X", OfferedLimits(max_messages=5)),
        # A value that makes no sense is passed over.
        *(
            (f"{bad} MAILMAX=5", OfferedLimits(max_messages=5))
            for bad in (
                "RCPTMAX=0",
                "RCPTMAX=1000000",
                "RCPTMAX=+1",
                "RCPTMAX=-1",
                "RCPTMAX=01",
                "RCPTMAX=x",
                "RCPTMAX",
            )
        ),
        # What is no list of limits, or says two things, says nothing.
        ("MAILMAX=5 RCPTMAX=", OfferedLimits()),
        ("MAILMAX=5 RCPTMAX=\u0665", OfferedLimits()),
        ("MAILMAX=5 MAILMAX=6", OfferedLimits()),
        ("MAILMAX=0 MAILMAX=6", OfferedLimits()),
        ("MAILMAX=5 =6", OfferedLimits()),
        ("MAILMAX=5 X=a;b", OfferedLimits()),
        ("MAILMAX=5 X.Y=1", OfferedLimits()),
    ],
)
def test_rfc9422_what_a_client_learns(line: str, limits: OfferedLimits) -> None:
    assert Limits.learn(tuple(line.split())) == limits


def test_capabilities_are_typed() -> None:
    limits = Capabilities({"LIMITS": ("RCPTMAX=2",)}).get(Limits)
    assert limits is not None
    assert limits.max_recipients == 2
