"""Date and time as RFC 3339 writes them, which is how RFC 4865 and RFC 7293 have them in parameters."""

import re
from datetime import UTC, datetime

from smtpx.wire.syntax import Fault, WireError, escape

__all__ = ["parse_date_time", "write_date_time"]

_DATE_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(?:(Z)|([+-][0-9]{2}:[0-9]{2}))",
    re.IGNORECASE,  # RFC 3339 5.6: T and Z may be lower case
)


def parse_date_time(text: str) -> datetime:
    """An RFC 3339 date-time (5.6), with its offset. A leap second counts as the one before it.

    >>> parse_date_time("2014-04-03T23:01:00Z")
    datetime.datetime(2014, 4, 3, 23, 1, tzinfo=datetime.timezone.utc)

    Raises:
        WireError: for any other form, and for a day or time that does not exist.
    """
    match = _DATE_TIME.fullmatch(text)
    if match is None or not text.isascii():
        raise WireError(Fault.ARGUMENT, f"not a date-time of RFC 3339: {escape(text)}")
    date, time, seconds, fraction, _, offset = match.groups()
    seconds = "59" if seconds == "60" else seconds
    try:
        return datetime.fromisoformat(f"{date}T{time}:{seconds}.{(fraction or '0')[:6]:0<6}{offset or '+00:00'}")
    except ValueError:
        raise WireError(Fault.ARGUMENT, f"no such day or time: {escape(text)}") from None


def write_date_time(moment: datetime) -> str:
    """The moment in UTC, to the second.

    Raises:
        WireError: if it has no time zone.
    """
    if moment.utcoffset() is None:
        raise WireError(Fault.ARGUMENT, "a date and time needs a time zone")
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        raise WireError(Fault.ARGUMENT, "a date and time beyond the calendar") from None
    return f"{moment.replace(tzinfo=None, microsecond=0).isoformat()}Z"
