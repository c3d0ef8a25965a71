"""8BITMIME (RFC 6152): content with octets above 0x7F."""

from collections.abc import Iterable, Mapping

from smtpx.errors import UnsupportedError
from smtpx.protocol.extension import Conversation, Extension, MailFacts, Offer
from smtpx.protocol.replies import make
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Param, Params
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import Fault, WireError

__all__ = ["BODY", "EightBitMIME", "check_body"]

# Each value of BODY, with what must be there for it: RFC 6152 2, RFC 3030 3.
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "7BIT": (),
    "8BITMIME": ("8BITMIME",),
    "BINARYMIME": ("BINARYMIME", "CHUNKING"),
}
_NOT_HERE = make(501, "5.5.4", "this BODY is not offered here")


def _parse(value: str | None) -> str:
    name = value.upper() if value and value.isascii() else ""
    if name not in _NEEDS:
        raise WireError(Fault.ARGUMENT, "BODY is 7BIT, 8BITMIME or BINARYMIME")
    return name


BODY: Param[str] = Param("BODY", _parse, str)
"""One parameter of two extensions, 8BITMIME and BINARYMIME; which of its values are offered, `check_body` says."""


def check_body(conversation: Conversation, params: Params) -> Reply | None:
    """501 for a BODY that belongs to an extension which is not there."""
    body = params.get(BODY)
    if body is None or all(keyword in conversation.settings.extensions for keyword in _NEEDS[body]):
        return None
    return _NOT_HERE


class EightBitMIME(Extension):
    """Take and send 8-bit content; a client asks for it only when content or option `body` needs it."""

    keyword = "8BITMIME"
    mail_params = (BODY,)
    mail_options = ("body",)

    def check_mail(self, conversation: Conversation, sender: Mailbox, params: Params) -> Reply | None:
        """Only a BODY that is offered."""
        return check_body(conversation, params)

    def dress_mail(self, mail: MailFacts, offer: Offer | None) -> Iterable[str]:
        """BODY=8BITMIME when an octet above 0x7F is, or may be, in the content."""
        wanted = str(mail.options.get("body", "")).upper()
        if wanted == "BINARYMIME" or (mail.eight_bit is False and wanted != "8BITMIME"):
            return ()
        if offer is not None:
            return (BODY.to_wire("8BITMIME"),)
        if mail.eight_bit:
            text = "the message is 8-bit and the server takes only 7-bit"
            raise UnsupportedError(text, keyword=self.keyword, stage="mail")
        return ()
