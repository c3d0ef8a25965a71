"""MT-PRIORITY (RFC 6710): which messages are to go first."""

import re
from collections.abc import Iterable

from smtpx.errors import ConfigurationError
from smtpx.protocol.extension import Conversation, Extension, MailFacts, Offer, dress
from smtpx.protocol.facts import ServerFacts
from smtpx.protocol.replies import make
from smtpx.protocol.settings import ServerSettings
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Param, Params
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import Fault, WireError

__all__ = ["MT_PRIORITY", "MTPriority"]

_VALUE = re.compile(r"0|-?[1-9]")  # no plus, no leading zero
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")


def _parse(value: str | None) -> int:
    if _VALUE.fullmatch(value or "") is None:
        raise WireError(Fault.ARGUMENT, "MT-PRIORITY is -9 to 9")
    return int(value or "")


MT_PRIORITY: Param[int] = Param("MT-PRIORITY", _parse, str)
"""-9 to 9; messages without it have 0."""


class MTPriority(Extension):
    """Take priorities, and ask for one by the option `mt_priority`.

    Args:
        profile: which meaning the numbers have: "MIXER", "STANAG4406", "NSEP", or another registered name.
        maximum: who asks for more gets this, and is told so.
        maximum_unauthenticated: the same for clients that did not log in, who may well flatter themselves.
    """

    keyword = "MT-PRIORITY"
    mail_params = (MT_PRIORITY,)
    mail_options = ("mt_priority",)
    needs_wish = True

    def __init__(self, profile: str | None = None, *, maximum: int = 9, maximum_unauthenticated: int = 9) -> None:
        if profile is not None and _PROFILE.fullmatch(profile) is None:
            raise ConfigurationError("a profile's name is letters, digits and hyphens")
        if not (-9 <= maximum <= 9 and -9 <= maximum_unauthenticated <= 9):
            raise ConfigurationError("priorities are -9 to 9")
        self._profile = profile
        self._maximum = maximum
        self._maximum_unauthenticated = min(maximum, maximum_unauthenticated)

    def advertise(self, settings: ServerSettings, facts: ServerFacts) -> str | None:
        """The profile, if there is one."""
        return self._profile or ""

    def granted(self, asked: int, facts: ServerFacts) -> int:
        """The priority that a client gets."""
        return min(asked, self._maximum if facts.identity is not None else self._maximum_unauthenticated)

    def check_mail(self, conversation: Conversation, sender: Mailbox, params: Params) -> Reply | None:
        """250 2.3.6 with the priority that is granted, when that is not the one asked for (RFC 6710 4.1)."""
        asked = params.get(MT_PRIORITY)
        if asked is None or (granted := self.granted(asked, conversation.facts)) == asked:
            return None
        return make(250, "2.3.6", f"{granted} is the priority of this message")

    def dress_mail(self, mail: MailFacts, offer: Offer | None) -> Iterable[str]:
        """MT-PRIORITY from the option `mt_priority`."""
        return dress(self.keyword, "mail", {MT_PRIORITY: mail.options.get("mt_priority")}, offer)

    @staticmethod
    def learn(offer: Offer) -> str | None:
        """The profile of a server, in upper case."""
        return offer[0].upper() if offer else None
