"""SIZE (RFC 1870): the client tells how large a message is, the server how large it may be."""

import re
from collections.abc import Iterable

from smtpx.errors import UnsupportedError
from smtpx.protocol import replies
from smtpx.protocol.extension import Conversation, Extension, MailFacts, Offer
from smtpx.protocol.facts import ServerFacts
from smtpx.protocol.settings import ServerSettings
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Param, Params
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import Fault, WireError

__all__ = ["SIZE", "Size"]

_DIGITS = re.compile(r"[0-9]{1,20}")


def _parse(value: str | None) -> int:
    if value is None or _DIGITS.fullmatch(value) is None:
        raise WireError(Fault.ARGUMENT, "SIZE is 1 to 20 decimal digits")
    return int(value)


SIZE: Param[int] = Param("SIZE", _parse, str)


class Size(Extension):
    """Announce the limit, refuse at MAIL what is declared larger; as a client, do not even ask."""

    keyword = "SIZE"
    mail_params = (SIZE,)

    def advertise(self, settings: ServerSettings, facts: ServerFacts) -> str | None:
        """The limit in octets; nothing behind the keyword when there is none."""
        limit = settings.limits.max_message_bytes
        return "" if limit is None else str(limit)

    def check_mail(self, conversation: Conversation, sender: Mailbox, params: Params) -> Reply | None:
        """552 for a message declared larger than the limit (RFC 1870 6.1)."""
        declared = params.get(SIZE)
        limit = conversation.settings.limits.max_message_bytes
        return replies.TOO_LARGE if declared is not None and limit is not None and declared > limit else None

    def dress_mail(self, mail: MailFacts, offer: Offer | None) -> Iterable[str]:
        """SIZE=n when the size is known."""
        if offer is None or mail.size is None:
            return ()
        limit = self.learn(offer)
        if limit is not None and mail.size > limit:
            text = f"the message has {mail.size} octets and the server takes {limit}"
            raise UnsupportedError(text, keyword=self.keyword, stage="mail")
        return (SIZE.to_wire(mail.size),)

    @staticmethod
    def learn(offer: Offer) -> int | None:
        """The largest message a server takes; None when it names none (0 means none, RFC 1870 4)."""
        return int(offer[0]) or None if offer and _DIGITS.fullmatch(offer[0]) else None
