"""8BITMIME (RFC 6152): content with octets above 0x7F."""

from collections.abc import Iterable

from smtpx.errors import UnsupportedError
from smtpx.protocol.extension import Extension, MailFacts, Offer
from smtpx.wire.params import Param
from smtpx.wire.syntax import Fault, WireError

__all__ = ["BODY", "EightBitMIME"]


def _parse(value: str | None) -> str:
    name = (value or "").upper()
    if name not in ("7BIT", "8BITMIME"):
        raise WireError(Fault.ARGUMENT, "BODY is 7BIT or 8BITMIME")
    return name


BODY: Param[str] = Param("BODY", _parse, str)


class EightBitMIME(Extension):
    """Take and send 8-bit content; a client asks for it only when the content needs it."""

    keyword = "8BITMIME"
    mail_params = (BODY,)

    def dress_mail(self, mail: MailFacts, offer: Offer | None) -> Iterable[str]:
        """BODY=8BITMIME when an octet above 0x7F is, or may be, in the content."""
        if mail.eight_bit is False:
            return ()
        if offer is not None:
            return (BODY.to_wire("8BITMIME"),)
        if mail.eight_bit:
            text = "the message is 8-bit and the server takes only 7-bit"
            raise UnsupportedError(text, keyword=self.keyword, stage="mail")
        return ()
