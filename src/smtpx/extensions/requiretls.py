"""REQUIRETLS (RFC 8689): a message that rather bounces than goes on in clear."""

from collections.abc import Iterable

from smtpx.errors import UnsupportedError
from smtpx.protocol import replies
from smtpx.protocol.extension import Conversation, Extension, MailFacts, Offer, dress
from smtpx.protocol.facts import ServerFacts
from smtpx.protocol.settings import ServerSettings
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Param, Params, write_flag
from smtpx.wire.reply import Reply

__all__ = ["REQUIRETLS", "RequireTLS"]

_NO_VALUE = replies.make(501, "5.5.4", "this parameter takes no value")


def _has_no_value(value: str | None) -> bool:
    return value is None


REQUIRETLS: Param[bool] = Param("REQUIRETLS", _has_no_value, write_flag)
"""Whoever takes it promises to pass the message on over verified TLS to servers that promise the same, or to bounce
it."""


class RequireTLS(Extension):
    """Take the promise, and ask for it where the option `require_tls` is set."""

    keyword = "REQUIRETLS"
    mail_params = (REQUIRETLS,)
    mail_options = ("require_tls",)
    needs_wish = True

    def advertise(self, settings: ServerSettings, facts: ServerFacts) -> str | None:
        """Only under TLS (RFC 8689 2)."""
        return None if facts.tls is None else ""

    def check_mail(self, conversation: Conversation, sender: Mailbox, params: Params) -> Reply | None:
        """555 where it was not offered, whatever its value: what came in clear can't be protected any more."""
        if REQUIRETLS not in params:
            return None
        if conversation.facts.tls is None:
            return replies.UNKNOWN_PARAMETER
        return None if params.get(REQUIRETLS) else _NO_VALUE

    def dress_mail(self, mail: MailFacts, offer: Offer | None) -> Iterable[str]:
        """REQUIRETLS, to a server whose certificate is good and who offers it (RFC 8689 4.2.1)."""
        if not mail.options.get("require_tls"):
            return ()
        if mail.tls is None or not mail.tls.verified:
            text = "REQUIRETLS needs TLS with a verified certificate"
            raise UnsupportedError(text, keyword=self.keyword, stage="mail")
        return dress(self.keyword, "mail", {REQUIRETLS: True}, offer)
