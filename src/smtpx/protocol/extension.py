"""What an extension is: an object with a keyword, parameters and verbs. This is also how users add their own.

An extension is one value used by both sides; each of its methods has a default that does nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from smtpx.errors import ConfigurationError, LocalProtocolError, UnsupportedError
from smtpx.protocol.facts import ServerFacts, TLSFacts
from smtpx.protocol.settings import ServerSettings
from smtpx.wire.address import Mailbox
from smtpx.wire.commands import Chunk
from smtpx.wire.params import Param, Params
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import WireError

__all__ = ["Conversation", "Extension", "ExtensionSet", "MailFacts", "Offer", "VerbHandler", "dress"]

T = TypeVar("T")


class Conversation(Protocol):
    """The server protocol as a verb handler sees it: each handler ends in exactly one of the calls below."""

    @property
    def settings(self) -> ServerSettings: ...
    @property
    def facts(self) -> ServerFacts: ...
    @property
    def mail_params(self) -> Params: ...
    @property
    def in_transaction(self) -> bool: ...

    def reply(self, reply: Reply) -> None:
        """Answer the command."""
        ...

    def ask_session(self, verb: str, argument: str | None) -> None:
        """Let the session answer it (`Session.command`)."""
        ...

    def receive_chunk(self, chunk: Chunk, *, well_formed: bool) -> None:
        """Take the octets behind a BDAT."""
        ...

    def start_auth(self, mechanism: str, initial: str | None) -> None:
        """Begin an AUTH exchange; `initial` is base64, `=` or None."""
        ...

    def start_tls(self) -> None:
        """Begin TLS."""
        ...

    def restart(self, facts: ServerFacts) -> None:
        """Begin again as after connect, with these facts; TLS stays, and the answer is a greeting (XCLIENT)."""
        ...

    def close(self, reply: Reply, reason: str) -> None:
        """Answer and end the connection."""
        ...


VerbHandler = Callable[[Conversation, str | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailFacts:
    """What a client is about to send, as far as parameters depend on it.

    `size` is None when it is not known; `eight_bit`: an octet above 0x7F occurs (None: can't be known before it is
    sent); `needs_utf8`: an address or a header field can't be sent without SMTPUTF8. `options` are the caller's wishes
    for extensions of any kind, by name. `chunking`: the content will go by BDAT; `tls` is what it goes through.
    """

    size: int | None = None
    eight_bit: bool | None = False
    needs_utf8: bool = False
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    chunking: bool = False
    tls: TLSFacts | None = None


Offer = tuple[str, ...]
"""The arguments behind a keyword in the server's EHLO reply."""


class Extension:
    """One RFC. Subclass it, override what is needed, and put an instance into `extensions=`."""

    keyword: str = ""
    mail_params: tuple[Param[Any], ...] = ()
    rcpt_params: tuple[Param[Any], ...] = ()
    mail_options: tuple[str, ...] = ()
    """Client: the wishes `dress_mail` looks at, by name."""
    rcpt_options: tuple[str, ...] = ()
    """Client: the wishes `dress_rcpt` looks at, by name."""
    needs_wish: bool = False
    """Client: there is nothing to say without a wish. Such wishes may be dropped where the server can't heed them."""

    def verbs(self) -> Mapping[str, VerbHandler]:
        """Commands of its own, by upper-case verb."""
        return {}

    def advertise(self, settings: ServerSettings, facts: ServerFacts) -> str | None:
        """What stands behind the keyword in the EHLO reply; None to stay quiet."""
        return ""

    def check_mail(self, conversation: Conversation, sender: Mailbox, params: Params) -> Reply | None:
        """A refusal of MAIL, a 2yz reply in place of the usual one, or None."""
        return None

    def check_rcpt(self, conversation: Conversation, recipient: Mailbox, params: Params) -> Reply | None:
        """A refusal of RCPT, or None."""
        return None

    def check_data(self, conversation: Conversation) -> Reply | None:
        """A refusal of DATA, or None."""
        return None

    def dress_mail(self, mail: MailFacts, offer: Offer | None) -> Iterable[str]:
        """Client: parameters to add to MAIL; `offer` is None when the server does not offer this.

        Raises:
            UnsupportedError: if the mail can't go without.
        """
        return ()

    def dress_rcpt(self, options: Mapping[str, Any], offer: Offer | None) -> Iterable[str]:
        """Client: parameters to add to one RCPT; as `dress_mail`."""
        return ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.keyword}>"


def dress(keyword: str, stage: str, wishes: Mapping[Param[Any], Any], offer: Offer | None) -> list[str]:
    """The parameters for the wishes that are not None. Each is read back before it goes: nothing malformed gets out.

    Raises:
        UnsupportedError: if there are any, and the server does not offer the extension.
        LocalProtocolError: for a value that the parameter can't have.
    """
    wanted = {param: value for param, value in wishes.items() if value is not None}
    if wanted and offer is None:
        names = ", ".join(param.keyword for param in wanted)
        raise UnsupportedError(f"the server offers no {keyword} for {names}", keyword=keyword, stage=stage)
    try:
        return [_checked(param, value) for param, value in wanted.items()]
    except WireError as error:
        raise LocalProtocolError(error.detail, stage=stage) from None


def _checked(param: Param[T], value: T) -> str:
    return param.to_wire(param.parse(param.write(value)))


class ExtensionSet:
    """Extensions that fit together, with their parameters and verbs by name.

    Raises:
        ConfigurationError: if two of them claim one keyword, parameter or verb. The very same parameter may be shared.
    """

    def __init__(self, extensions: Iterable[Extension] = ()) -> None:
        self.all = tuple(extensions)
        self.mail_params: dict[str, Param[Any]] = {}
        self.rcpt_params: dict[str, Param[Any]] = {}
        self.verbs: dict[str, VerbHandler] = {}
        self.keywords: dict[str, Extension] = {}
        for extension in self.all:
            _claim(self.keywords, {extension.keyword.upper(): extension}, "keyword")
            _claim(self.mail_params, {p.keyword.upper(): p for p in extension.mail_params}, "MAIL parameter")
            _claim(self.rcpt_params, {p.keyword.upper(): p for p in extension.rcpt_params}, "RCPT parameter")
            _claim(self.verbs, extension.verbs(), "verb")
        # Most extensions have no opinion about most commands; the hot path asks only those that do.
        self.mail_checks = _overriding(self.all, "check_mail")
        self.rcpt_checks = _overriding(self.all, "check_rcpt")
        self.mail_options = frozenset(name for each in self.all for name in each.mail_options)
        self.rcpt_options = frozenset(name for each in self.all for name in each.rcpt_options)
        self.content_dressers = tuple(
            each for each in self.all if type(each).dress_mail is not Extension.dress_mail and not each.needs_wish
        )
        self.data_checks = _overriding(self.all, "check_data")

    def __contains__(self, keyword: object) -> bool:
        return keyword in self.keywords

    def keyword_lines(self, settings: ServerSettings, facts: ServerFacts) -> list[str]:
        """The lines of an EHLO reply, behind the first."""
        offers = ((extension.keyword, extension.advertise(settings, facts)) for extension in self.all)
        return [f"{keyword} {text}".rstrip() for keyword, text in offers if text is not None]


def _claim(names: dict[str, Any], new: Mapping[str, Any], kind: str) -> None:
    for name, owner in new.items():
        if name in names and not (names[name] is owner and isinstance(owner, Param)):
            raise ConfigurationError(f"two extensions claim the {kind} {name}")
        names[name] = owner


def _overriding(extensions: Iterable[Extension], method: str) -> tuple[Any, ...]:
    base = getattr(Extension, method)
    return tuple(getattr(each, method) for each in extensions if getattr(type(each), method) is not base)
