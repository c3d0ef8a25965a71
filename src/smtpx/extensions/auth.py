"""AUTH (RFC 4954): authentication by SASL mechanisms, and the AUTH= parameter of MAIL."""

from collections.abc import Iterable, Mapping

from smtpx.protocol import replies
from smtpx.protocol.extension import Conversation, Extension, MailFacts, Offer, VerbHandler, dress
from smtpx.protocol.facts import ServerFacts
from smtpx.protocol.settings import ServerSettings
from smtpx.wire.address import NULL_SENDER, Mailbox
from smtpx.wire.params import Param, decode_xtext, encode_xtext
from smtpx.wire.syntax import Fault, WireError

__all__ = ["AUTH", "Auth"]


def _parse(value: str | None) -> Mailbox:
    if not value:
        raise WireError(Fault.ARGUMENT, "AUTH= needs a mailbox or <>")
    text = decode_xtext(value)
    if text == "<>":
        return NULL_SENDER
    try:
        return Mailbox.parse(text)
    except WireError as error:
        raise WireError(Fault.ARGUMENT, error.detail) from None


def _write(mailbox: Mailbox | str) -> str:
    return encode_xtext(str(mailbox)) if str(mailbox) else "<>"


AUTH: Param[Mailbox] = Param("AUTH", _parse, _write)
"""Who submitted the message, as an earlier hop says (RFC 4954 5). From a client that is not authenticated it proves
nothing and counts as `<>`."""


class Auth(Extension):
    """Offer the mechanisms that may be used now."""

    keyword = "AUTH"
    mail_params = (AUTH,)
    mail_options = ("submitted_by",)
    needs_wish = True

    def verbs(self) -> Mapping[str, VerbHandler]:
        """AUTH."""
        return {"AUTH": _auth}

    def advertise(self, settings: ServerSettings, facts: ServerFacts) -> str | None:
        """The names of the mechanisms; silent when none can be used, and after success."""
        if not settings.mechanisms or facts.identity is not None:
            return None
        return " ".join(settings.exchange_context(facts).offered) or None

    def dress_mail(self, mail: MailFacts, offer: Offer | None) -> Iterable[str]:
        """AUTH= from the option `submitted_by`: an address, or "" for `<>`, "somebody, but I don't know who"."""
        return dress(self.keyword, "mail", {AUTH: mail.options.get("submitted_by")}, offer)

    @staticmethod
    def learn(offer: Offer) -> tuple[str, ...]:
        """The mechanisms a server offers."""
        return offer


def _auth(conversation: Conversation, argument: str | None) -> None:
    words = [word for word in (argument or "").split(" ") if word]  # not split(): U+3000 is no separator
    if not conversation.settings.mechanisms:
        conversation.reply(replies.NOT_IMPLEMENTED)
    elif conversation.facts.identity is not None:
        conversation.reply(replies.ALREADY_AUTHENTICATED)
    elif not 1 <= len(words) <= 2:
        conversation.reply(replies.ARGUMENT_MISSING)
    else:
        conversation.start_auth(words[0], words[1] if len(words) == 2 else None)
