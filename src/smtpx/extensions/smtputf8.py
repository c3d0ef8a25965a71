"""SMTPUTF8 (RFC 6531): addresses and header fields beyond ASCII."""

from collections.abc import Iterable

from smtpx.errors import UnsupportedError
from smtpx.protocol.extension import Extension, MailFacts, Offer
from smtpx.wire.params import Param, parse_flag, write_flag

__all__ = ["SMTPUTF8", "UTF8"]

UTF8: Param[bool] = Param("SMTPUTF8", parse_flag, write_flag)


class SMTPUTF8(Extension):
    """Take and send internationalised mail; a client asks for it only when address or header need it."""

    keyword = "SMTPUTF8"
    mail_params = (UTF8,)

    def dress_mail(self, mail: MailFacts, offer: Offer | None) -> Iterable[str]:
        """SMTPUTF8 when an address or a header field is not ASCII."""
        if not mail.needs_utf8:
            return ()
        if offer is None:
            text = "an address or header field is not ASCII and the server has no SMTPUTF8"
            raise UnsupportedError(text, keyword=self.keyword, stage="mail")
        return (UTF8.to_wire(True),)
