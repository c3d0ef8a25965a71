"""DELIVERBY (RFC 2852): how soon a message must be delivered, and what happens if it is not."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from smtpx.errors import ConfigurationError, UnsupportedError
from smtpx.protocol.extension import Conversation, Extension, MailFacts, Offer, dress
from smtpx.protocol.facts import ServerFacts
from smtpx.protocol.replies import make
from smtpx.protocol.settings import ServerSettings
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Param, Params
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import Fault, WireError

__all__ = ["BY", "Deadline", "DeliverBy"]

_VALUE = re.compile(r"(-?[0-9]{1,9});([NR])(T?)", re.IGNORECASE)  # RFC 2852 4
_MINIMUM = re.compile(r"[0-9]{1,9}")
_TOO_SOON = make(555, "5.5.4", "this server can't promise to deliver that soon")


class Deadline(NamedTuple):
    """A message is to be delivered within `seconds`.

    `returns`: if it is not, it goes back; otherwise its sender is only told, and the time may have passed already.
    `trace`: each relay on the way reports.
    """

    seconds: int
    returns: bool = False
    trace: bool = False


def _parse(value: str | None) -> Deadline:
    match = _VALUE.fullmatch(value or "")
    if match is None:
        raise WireError(Fault.ARGUMENT, "BY is up to nine digits, a semicolon, N or R, perhaps T")
    deadline = Deadline(int(match[1]), match[2] in "Rr", bool(match[3]))
    if deadline.returns and deadline.seconds <= 0:
        raise WireError(Fault.ARGUMENT, "BY with R needs a time to come")
    return deadline


def _write(deadline: Deadline) -> str:
    return f"{deadline.seconds};{'R' if deadline.returns else 'N'}{'T' if deadline.trace else ''}"


BY: Param[Deadline] = Param("BY", _parse, _write)


class DeliverBy(Extension):
    """Take deadlines, and set one by the option `by`: a `Deadline`.

    Args:
        minimum_seconds: the shortest that may return a message.
    """

    keyword = "DELIVERBY"
    mail_params = (BY,)
    mail_options = ("by",)
    needs_wish = True

    def __init__(self, *, minimum_seconds: int | None = None) -> None:
        if minimum_seconds is not None and not 0 < minimum_seconds < 10**9:
            raise ConfigurationError("minimum_seconds is 1 to 999999999, or None")
        self._minimum = minimum_seconds

    def advertise(self, settings: ServerSettings, facts: ServerFacts) -> str | None:
        """The minimum, if there is one."""
        return "" if self._minimum is None else str(self._minimum)

    def check_mail(self, conversation: Conversation, sender: Mailbox, params: Params) -> Reply | None:
        """555 for a deadline that returns the message sooner than the minimum (RFC 2852 4)."""
        return _TOO_SOON if _is_too_soon(params.get(BY), self._minimum) else None

    def dress_mail(self, mail: MailFacts, offer: Offer | None) -> Iterable[str]:
        """BY from the option `by`; not sent at all if the server would refuse it."""
        deadline: Deadline | None = mail.options.get("by")
        words = dress(self.keyword, "mail", {BY: deadline}, offer)
        if _is_too_soon(deadline, self.learn(offer or ())):
            raise UnsupportedError("the server promises no delivery that soon", keyword=self.keyword, stage="mail")
        return words

    @staticmethod
    def learn(offer: Offer) -> int | None:
        """The minimum of a server, in seconds; None when it names none."""
        return int(offer[0]) if offer and _MINIMUM.fullmatch(offer[0]) else None


def _is_too_soon(deadline: Deadline | None, minimum: int | None) -> bool:
    return deadline is not None and deadline.returns and minimum is not None and deadline.seconds < minimum
