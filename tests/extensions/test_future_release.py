"""FUTURERELEASE (RFC 4865)."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smtpx.errors import ConfigurationError, LocalProtocolError, UnsupportedError
from smtpx.extensions import FutureRelease
from smtpx.extensions.future_release import HOLDFOR, HOLDUNTIL, LatestRelease
from smtpx.protocol.events import MailAsked
from smtpx.protocol.extension import MailFacts
from smtpx.wire.syntax import WireError
from tests.protocol.server_peer import EHLO, EXTENSIONS, MAIL, make_settings, survives

NOW = datetime(2030, 1, 1, tzinfo=UTC)
EXTENSION = FutureRelease(max_seconds=3600, now=lambda: NOW)
SETTINGS = make_settings(extensions=[*EXTENSIONS, EXTENSION])
OFFER = ("3600", "2030-01-01T01:00:00Z")


def test_rfc4865_3_both_limits_are_offered() -> None:
    assert f"FUTURERELEASE {' '.join(OFFER)}" in survives(EHLO, settings=SETTINGS).replies[0].lines


def test_without_a_clock_of_its_own_it_takes_the_wall_clock() -> None:
    before = datetime.now(UTC)
    latest = FutureRelease.learn(tuple((FutureRelease().advertise(SETTINGS, None) or "").split()))  # type: ignore[arg-type]
    assert latest is not None
    assert abs(latest.moment - before - timedelta(days=30)) < timedelta(minutes=1)


@pytest.mark.parametrize("seconds", [0, 10**9])
def test_limits_that_can_not_be_told(seconds: int) -> None:
    with pytest.raises(ConfigurationError):
        FutureRelease(max_seconds=seconds)


@pytest.mark.parametrize("text", [None, "", "0", "-1", "+1", "01", "1" * 10, "1.5"])
def test_what_is_no_interval(text: str | None) -> None:
    with pytest.raises(WireError):
        HOLDFOR.parse(text)


@pytest.mark.parametrize("text", [None, "", "1234", "2030-01-01"])
def test_what_is_no_time(text: str | None) -> None:
    with pytest.raises(WireError):
        HOLDUNTIL.parse(text)


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ("HOLDFOR=3600", "250 2.1.0"),
        ("HOLDFOR=3601", "501 5.5.4"),
        ("HOLDFOR=0", "501 5.5.4"),
        ("HOLDUNTIL=2030-01-01T01:00:00Z", "250 2.1.0"),
        ("HOLDUNTIL=2030-01-01T02:00:00+01:00", "250 2.1.0"),
        ("HOLDUNTIL=2030-01-01T01:00:01Z", "501 5.5.4"),
        ("HOLDUNTIL=2029-01-01T00:00:00Z", "250 2.1.0"),
        ("HOLDUNTIL=tomorrow", "501 5.5.4"),
        ("HOLDFOR=1 HOLDUNTIL=2030-01-01T00:00:01Z", "501 5.5.4"),
    ],
)
def test_rfc4865_4_parameters(parameters: str, code: str) -> None:
    outcome = survives(EHLO, f"MAIL FROM:<a@client.example> {parameters}\r\n", settings=SETTINGS)
    assert outcome.codes[1:] == [code]


def test_the_session_sees_them() -> None:
    assert survives(EHLO, MAIL, settings=SETTINGS).codes[1:] == ["250 2.1.0"]
    outcome = survives(EHLO, "MAIL FROM:<a@b> HOLDFOR=5\r\n", settings=SETTINGS)
    assert outcome.of(MailAsked)[0].params.get(HOLDFOR) == 5
    outcome = survives(EHLO, "MAIL FROM:<a@b> HOLDUNTIL=2030-01-01T00:00:05Z\r\n", settings=SETTINGS)
    assert outcome.of(MailAsked)[0].params.get(HOLDUNTIL) == NOW + timedelta(seconds=5)


def dress(offer: tuple[str, ...] | None = OFFER, **options: object) -> list[str]:
    return list(EXTENSION.dress_mail(MailFacts(options=options), offer))


def test_a_client_asks_on_request() -> None:
    assert dress(None) == []
    assert dress(hold_for=3600) == ["HOLDFOR=3600"]
    assert dress(hold_until=NOW) == ["HOLDUNTIL=2030-01-01T00:00:00Z"]
    assert dress((), hold_for=999_999_999) == ["HOLDFOR=999999999"]


@pytest.mark.parametrize(
    "options",
    [{"hold_for": 0}, {"hold_until": datetime(2030, 1, 1)}, {"hold_for": 1, "hold_until": NOW}],  # noqa: DTZ001
)
def test_wishes_that_make_no_sense(options: Mapping[str, Any]) -> None:
    with pytest.raises(LocalProtocolError):
        dress(**options)


@pytest.mark.parametrize("options", [{"hold_for": 3601}, {"hold_until": NOW + timedelta(hours=2)}])
def test_what_the_server_would_refuse_is_not_sent(options: Mapping[str, Any]) -> None:
    with pytest.raises(UnsupportedError, match="does not hold that long"):
        dress(**options)
    with pytest.raises(UnsupportedError, match="offers no FUTURERELEASE"):
        dress(None, **options)


@pytest.mark.parametrize(
    ("offer", "latest"),
    [
        (OFFER, LatestRelease(3600, NOW + timedelta(hours=1))),
        ((), None),
        (("3600",), None),
        (("x", OFFER[1]), None),
        (("3600", "x"), None),
        ((*OFFER, "x"), None),
    ],
)
def test_a_client_learns_the_limits(offer: tuple[str, ...], latest: LatestRelease | None) -> None:
    assert FutureRelease.learn(offer) == latest
