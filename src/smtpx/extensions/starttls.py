"""STARTTLS (RFC 3207): TLS on a connection that began without."""

from collections.abc import Mapping

from smtpx.protocol import replies
from smtpx.protocol.extension import Conversation, Extension, VerbHandler
from smtpx.protocol.facts import ServerFacts
from smtpx.protocol.settings import ServerSettings

__all__ = ["StartTLS"]


class StartTLS(Extension):
    """Offer TLS where there is a certificate, once, and not to a client that is logged in already."""

    keyword = "STARTTLS"

    def verbs(self) -> Mapping[str, VerbHandler]:
        """STARTTLS."""
        return {"STARTTLS": _start_tls}

    def advertise(self, settings: ServerSettings, facts: ServerFacts) -> str | None:
        """Only where the command would work."""
        clear = facts.tls is None and facts.identity is None and facts.claims is None
        return "" if settings.starttls and clear else None


def _start_tls(conversation: Conversation, argument: str | None) -> None:
    facts = conversation.facts
    if argument is not None:
        conversation.reply(replies.NO_ARGUMENT)
    elif facts.tls is not None:
        conversation.reply(replies.TLS_ACTIVE)
    elif not conversation.settings.starttls:
        conversation.reply(replies.NOT_IMPLEMENTED)
    elif facts.identity is not None or facts.claims is not None:  # TLS would make us forget whom the peer speaks for
        conversation.reply(replies.OUT_OF_ORDER)
    else:
        conversation.start_tls()
