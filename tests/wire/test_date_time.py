"""Date and time of RFC 3339."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpx.wire.date_time import parse_date_time, write_date_time
from smtpx.wire.syntax import WireError

NOON = datetime(2014, 4, 3, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2014-04-03T12:00:00Z", NOON),
        ("2014-04-03t12:00:00z", NOON),
        ("2014-04-03T14:00:00+02:00", NOON),
        ("2014-04-03T12:00:00-00:00", NOON),
        ("2014-04-03T12:00:00.5Z", NOON + timedelta(seconds=0.5)),
        ("2014-04-03T12:00:00.123456789Z", NOON + timedelta(microseconds=123456)),
        ("1990-12-31T23:59:60Z", datetime(1990, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_rfc3339_5_6_date_time(text: str, moment: datetime) -> None:
    assert parse_date_time(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1234",
        "2014-04-03",
        "2014-04-03 12:00:00Z",
        "2014-04-03T12:00:00",
        "2014-04-03T12:00Z",
        "2014-04-03T12:00:00+0200",
        "2014-04-03T12:00:00.Z",
        "20140403T120000Z",
        "2014-W14-4T12:00:00Z",
        "2014-02-30T12:00:00Z",
        "2014-04-03T24:00:01Z",
        "2014-04-03T12:00:61Z",
        "2014-04-03T12:00:00+24:00",
        "\u0662014-04-03T12:00:00Z",
        "2014-04-03T12:00:00Z;C",
    ],
)
def test_what_is_no_date_time(text: str) -> None:
    with pytest.raises(WireError):
        parse_date_time(text)


def test_written_in_utc_to_the_second() -> None:
    east = NOON.replace(microsecond=9).astimezone(timezone(timedelta(hours=2)))
    assert write_date_time(east) == "2014-04-03T12:00:00Z"


def test_a_time_without_zone_is_none() -> None:
    with pytest.raises(WireError, match="time zone"):
        write_date_time(NOON.replace(tzinfo=None))


def test_a_time_beyond_the_calendar_is_none() -> None:
    with pytest.raises(WireError, match="calendar"):
        write_date_time(datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))))


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_read_back(moment: datetime) -> None:
    assert parse_date_time(write_date_time(moment)) == moment.replace(microsecond=0)
