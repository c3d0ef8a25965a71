"""RRVS (RFC 7293): only for the owner that a mailbox had at some time; it may be somebody else's since."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

from smtpx.protocol.extension import Extension, Offer, dress
from smtpx.wire.date_time import parse_date_time, write_date_time
from smtpx.wire.params import Param
from smtpx.wire.syntax import Fault, WireError

__all__ = ["RRVS", "RequireRecipientValidSince", "ValidSince"]

_ACTIONS: Mapping[str, Literal["C", "R"]] = {"C": "C", "c": "C", "R": "R", "r": "R"}


class ValidSince(NamedTuple):
    """The mailbox must have had its owner without a break since `moment`.

    `action` is what a relay does whose next server does not know RRVS: "C" continue, "R" reject; None: not said.
    """

    moment: datetime
    action: Literal["C", "R"] | None = None


def _parse(value: str | None) -> ValidSince:
    text, semicolon, letter = (value or "").partition(";")
    action = _ACTIONS.get(letter)
    if semicolon and action is None:
        raise WireError(Fault.ARGUMENT, "behind the time of RRVS stands C or R")
    return ValidSince(parse_date_time(text), action)


def _write(value: ValidSince) -> str:
    return write_date_time(value.moment) + (f";{value.action}" if value.action else "")


RRVS: Param[ValidSince] = Param("RRVS", _parse, _write)


class RequireRecipientValidSince(Extension):
    """Hand the time to the session, which alone knows mailboxes: `550 5.7.17` is for one that changed hands.

    A client asks by the option `rrvs` of a recipient: a datetime with zone, or a `ValidSince`.
    """

    keyword = "RRVS"
    rcpt_params = (RRVS,)
    rcpt_options = ("rrvs",)
    needs_wish = True

    def dress_rcpt(self, options: Mapping[str, Any], offer: Offer | None) -> Iterable[str]:
        """RRVS from the option `rrvs`."""
        wish = options.get("rrvs")
        return dress(self.keyword, "rcpt", {RRVS: ValidSince(wish) if isinstance(wish, datetime) else wish}, offer)
