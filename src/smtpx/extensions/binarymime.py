"""BINARYMIME (RFC 3030): content of any octets, in chunks only."""

from collections.abc import Iterable

from smtpx.errors import UnsupportedError
from smtpx.extensions.body_types import BODY, check_body
from smtpx.protocol import replies
from smtpx.protocol.extension import Conversation, Extension, MailFacts, Offer
from smtpx.protocol.facts import ServerFacts
from smtpx.protocol.settings import ServerSettings
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply

__all__ = ["BinaryMIME"]


class BinaryMIME(Extension):
    """Take and send content that has no lines; a client does so only when its option `body` is "BINARYMIME"."""

    keyword = "BINARYMIME"
    mail_params = (BODY,)
    mail_options = ("body",)
    needs_wish = True

    def advertise(self, settings: ServerSettings, facts: ServerFacts) -> str | None:
        """Only beside CHUNKING (RFC 3030 3)."""
        return "" if "CHUNKING" in settings.extensions else None

    def check_mail(self, conversation: Conversation, sender: Mailbox, params: Params) -> Reply | None:
        """Only a BODY that is offered."""
        return check_body(conversation, params)

    def check_data(self, conversation: Conversation) -> Reply | None:
        """503 for DATA, which could not carry such content (RFC 3030 3); BDAT may still come."""
        return replies.OUT_OF_ORDER if conversation.mail_params.get(BODY) == "BINARYMIME" else None

    def dress_mail(self, mail: MailFacts, offer: Offer | None) -> Iterable[str]:
        """BODY=BINARYMIME when the option `body` asks for it and BDAT will carry it."""
        if str(mail.options.get("body", "")).upper() != "BINARYMIME":
            return ()
        if offer is None or not mail.chunking:
            missing = self.keyword if offer is None else "CHUNKING"
            text = f"binary content can't be sent: {missing} is not offered or not wanted"
            raise UnsupportedError(text, keyword=missing, stage="mail")
        return (BODY.to_wire("BINARYMIME"),)
