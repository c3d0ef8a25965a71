"""LIMITS (RFC 9422): how many messages, recipients and domains a server takes, before it has to refuse any."""

import re
from dataclasses import dataclass

from smtpx.errors import ConfigurationError
from smtpx.protocol.extension import Conversation, Extension, Offer
from smtpx.protocol.facts import ServerFacts
from smtpx.protocol.replies import make
from smtpx.protocol.settings import ServerSettings
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply

__all__ = ["Limits", "OfferedLimits"]

_MAX = 999_999  # RFC 9422 4: six digits, no zero
_NUMBER = re.compile(r"[1-9][0-9]{0,5}")
_LIMIT = re.compile(r"[A-Za-z0-9_-]+(?:=[!-:<-~]+)?")  # RFC 9422 3
_FIELDS = {"RCPTMAX": "max_recipients", "MAILMAX": "max_messages", "RCPTDOMAINMAX": "max_recipient_domains"}
_TOO_MANY_DOMAINS = make(452, "4.5.3", "too many recipient domains")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedLimits:
    """What a server takes: recipients of one message, messages and recipient domains of one connection.

    None: it does not say.
    """

    max_recipients: int | None = None
    max_messages: int | None = None
    max_recipient_domains: int | None = None


class Limits(Extension):
    """Tell the limits of `ServerLimits`, and one more.

    Args:
        max_recipient_domains: in one connection; a RCPT for one more is answered 452.
    """

    keyword = "LIMITS"

    def __init__(self, *, max_recipient_domains: int | None = None) -> None:
        if max_recipient_domains is not None and not 1 <= max_recipient_domains <= _MAX:
            raise ConfigurationError(f"max_recipient_domains is 1 to {_MAX}, or None")
        self._max_domains = max_recipient_domains

    def advertise(self, settings: ServerSettings, facts: ServerFacts) -> str | None:
        """RCPTMAX, MAILMAX and RCPTDOMAINMAX, as far as there are such limits and they can be written."""
        limits = settings.limits
        values = (limits.max_recipients, limits.max_messages_per_connection, self._max_domains)
        told = [f"{name}={value}" for name, value in zip(_FIELDS, values, strict=True) if value and value <= _MAX]
        return " ".join(told) or None

    def check_rcpt(self, conversation: Conversation, recipient: Mailbox, params: Params) -> Reply | None:
        """452 for a domain too many. A domain counts once it was asked for, whatever became of that recipient."""
        if self._max_domains is None:
            return None
        domains: set[str] = conversation.facts.notes.setdefault(self.keyword, set())
        domain = recipient.domain.lower()
        if domain not in domains and len(domains) >= self._max_domains:
            return _TOO_MANY_DOMAINS
        domains.add(domain)
        return None

    @staticmethod
    def learn(offer: Offer) -> OfferedLimits:
        """The limits of a server.

        Other limits are passed over, and so is one whose value makes no sense (RFC 9422 4). What is no list of limits
        at all says nothing (RFC 9422 3), nor does one that names a limit twice: which one holds is anybody's guess.
        """
        found: dict[str, int | None] = {}
        for word in offer:
            name, _, value = word.partition("=")
            field = _FIELDS.get(name.upper())
            if _LIMIT.fullmatch(word) is None or field in found:
                return OfferedLimits()
            if field is not None:
                found[field] = int(value) if _NUMBER.fullmatch(value) else None
        return OfferedLimits(**found)
