"""FUTURERELEASE (RFC 4865): a message that is handed over now and sent later."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from smtpx.errors import ConfigurationError, LocalProtocolError, UnsupportedError
from smtpx.protocol.extension import Conversation, Extension, MailFacts, Offer, dress
from smtpx.protocol.facts import ServerFacts
from smtpx.protocol.replies import make
from smtpx.protocol.settings import ServerSettings
from smtpx.wire.address import Mailbox
from smtpx.wire.date_time import parse_date_time, write_date_time
from smtpx.wire.params import Param, Params
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import Fault, WireError

__all__ = ["HOLDFOR", "HOLDUNTIL", "FutureRelease", "LatestRelease"]

_SECONDS = re.compile(r"[1-9][0-9]{0,8}")  # RFC 4865 3: nine digits, no zero
_DAY = 86_400
_BOTH = make(501, "5.5.4", "HOLDFOR or HOLDUNTIL, not both")
_TOO_LATE = make(501, "5.5.4", "a message is not held that long here")


def _parse_seconds(value: str | None) -> int:
    if _SECONDS.fullmatch(value or "") is None:
        raise WireError(Fault.ARGUMENT, "HOLDFOR is a number of seconds, up to nine digits")
    return int(value or "")


def _parse_moment(value: str | None) -> datetime:
    return parse_date_time(value or "")


HOLDFOR: Param[int] = Param("HOLDFOR", _parse_seconds, str)
HOLDUNTIL: Param[datetime] = Param("HOLDUNTIL", _parse_moment, write_date_time)


class LatestRelease(NamedTuple):
    """How long a server holds messages: for so many seconds, and up to that time."""

    seconds: int
    moment: datetime


def _wall_clock() -> datetime:
    return datetime.now(UTC)


class FutureRelease(Extension):
    """Take such messages, and ask for it by the option `hold_for` (seconds) or `hold_until` (a datetime with zone).

    A time that has passed is no fault: such a message is not held.

    Args:
        max_seconds: how long a message may be held.
        now: the clock.
    """

    keyword = "FUTURERELEASE"
    mail_params = (HOLDFOR, HOLDUNTIL)
    mail_options = ("hold_for", "hold_until")
    needs_wish = True

    def __init__(self, *, max_seconds: int = 30 * _DAY, now: Callable[[], datetime] = _wall_clock) -> None:
        if not 0 < max_seconds < 10**9:
            raise ConfigurationError("max_seconds is 1 to 999999999")
        self._max_seconds = max_seconds
        self._now = now

    def _latest(self) -> LatestRelease:
        return LatestRelease(self._max_seconds, self._now() + timedelta(seconds=self._max_seconds))

    def advertise(self, settings: ServerSettings, facts: ServerFacts) -> str | None:
        """Both limits (RFC 4865 3)."""
        seconds, moment = self._latest()
        return f"{seconds} {write_date_time(moment)}"

    def check_mail(self, conversation: Conversation, sender: Mailbox, params: Params) -> Reply | None:
        """501 for both parameters at once, or a time beyond the limits (RFC 4865 4)."""
        seconds, moment = params.get(HOLDFOR), params.get(HOLDUNTIL)
        if seconds is None and moment is None:
            return None
        if seconds is not None and moment is not None:
            return _BOTH
        return _TOO_LATE if _is_beyond(self._latest(), seconds, moment) else None

    def dress_mail(self, mail: MailFacts, offer: Offer | None) -> Iterable[str]:
        """HOLDFOR or HOLDUNTIL; not sent at all if the server would refuse it."""
        seconds, moment = mail.options.get("hold_for"), mail.options.get("hold_until")
        words = dress(self.keyword, "mail", {HOLDFOR: seconds, HOLDUNTIL: moment}, offer)
        if len(words) > 1:
            raise LocalProtocolError("hold_for or hold_until, not both", stage="mail")
        latest = self.learn(offer or ())
        if latest is not None and _is_beyond(latest, seconds, moment):
            raise UnsupportedError("the server does not hold that long", keyword=self.keyword, stage="mail")
        return words

    @staticmethod
    def learn(offer: Offer) -> LatestRelease | None:
        """The limits of a server; None when they can't be understood."""
        try:
            seconds, moment = offer
            return LatestRelease(HOLDFOR.parse(seconds), HOLDUNTIL.parse(moment))
        except ValueError:  # WireError, or not two words
            return None


def _is_beyond(latest: LatestRelease, seconds: int | None, moment: datetime | None) -> bool:
    if seconds is not None:
        return seconds > latest.seconds
    return moment is not None and moment > latest.moment
