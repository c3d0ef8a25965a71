"""A message as a value: said once, checked, and written for any server, always the same.

>>> letter = Message(from_="Jane <jane@a.example>", to="b@b.example", subject="Hello", text="How are you?")
>>> letter.to[0].mailbox.domain
'b.example'
>>> letter.with_(to="nobody")
Traceback (most recent call last):
    ...
smtpx.message.findings.MessageError: to: no address: nobody
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypedDict, Unpack, cast

from smtpx.message.address import Address, AddressInput, Group, addresses_of
from smtpx.message.attachments import Attachment
from smtpx.message.bodies import Encoding
from smtpx.message.checking import (
    MAX_MESSAGE_BYTES,
    MAX_RECIPIENTS,
    envelope_findings,
    findings_of,
    forward_paths,
    reverse_path,
)
from smtpx.message.findings import Finding, MessageError
from smtpx.message.input import READERS, Alternative, HeaderField, RawHeader
from smtpx.message.sendable import Posting
from smtpx.message.writing import Measure, measure, octets_of
from smtpx.wire.address import Mailbox

if TYPE_CHECKING:
    from email.message import Message as EmailMessage
    from typing import Self

    from smtpx.message.eml import Eml

    Addresses = AddressInput | Iterable[AddressInput]

__all__ = ["Alternative", "Finding", "Message", "MessageError", "MessageFields", "RawHeader"]

_WISHES = ("ret", "envid", "notify", "orcpt", "require_tls", "mt_priority", "by", "hold_for", "hold_until")


class MessageFields(TypedDict, total=False):
    """The arguments of `Message`. Any address is `"a@b"`, `"Name <a@b>"`, `("Name", "a@b")`, `Address` or `Group`; text
    for several of them has commas between."""

    from_: "Addresses | None"
    sender: "AddressInput | None"
    to: "Addresses | None"
    cc: "Addresses | None"
    bcc: "Addresses | None"
    reply_to: "Addresses | None"
    subject: str | None
    text: str | None
    html: str | None
    derive_text: bool
    alternatives: Sequence[Alternative]
    attachments: Sequence[Attachment | Path]
    inline: Mapping[str, Attachment | Path | bytes]
    headers: "Sequence[HeaderField] | Mapping[str, str]"
    date: datetime | None
    message_id: str | None
    in_reply_to: str | Sequence[str]
    references: str | Sequence[str]
    importance: Literal["high", "normal", "low"] | None
    bulk: bool
    list_unsubscribe: str | Sequence[str]
    one_click: bool
    read_receipt_to: "Addresses | None"
    organization: str | None
    user_agent: str | None
    language: str | None
    envelope_from: "AddressInput | None"
    recipients: "Sequence[AddressInput] | None"
    ret: Literal["FULL", "HDRS"] | None
    envid: str | None
    notify: Sequence[str] | str | Mapping[str, Sequence[str] | str] | None
    orcpt: Any
    require_tls: bool
    mt_priority: int | None
    by: Any
    hold_for: int | None
    hold_until: datetime | None
    charset: str
    encoding: Encoding | None
    provider: str | None
    boundary: str | None


class Message:
    """A message, never changed; `with_` gives another one. It is a `Sendable`: any client and provider takes it.

    What would break a header (CR, LF, NUL in a name, address, value or filename) is refused at once. What is missing is
    found by `check`, and before it is sent.

    Attributes:
        from_: who wrote it; several need a `sender`.
        sender: who sent it, if that is somebody else.
        to, cc: whom it is for.
        bcc: who else gets it; never written.
        reply_to: where answers go.
        subject: any text.
        text, html: the same twice, or one of them; HTML alone gets a text that is made of it.
        derive_text: False leaves HTML alone.
        alternatives: further forms of the text, the most preferred one last.
        attachments: what goes along.
        inline: what the HTML shows, by the name it has there in `cid:name`. Its Content-ID is that name at the domain
            of From, or exactly the name if that has an @.
        headers: further fields, in this order, those with one name too.
        date: None is when it is sent.
        message_id: None is made when it is sent, of 128 random bits and the domain of From.
        in_reply_to, references: message ids of a thread; see `reply_to_message`.
        importance: "high" or "low", by the four fields that clients know.
        bulk: sent to many: nobody should answer automatically.
        list_unsubscribe: https and mailto URIs by which one gets off the list.
        one_click: unsubscribing is a POST to the one https URI (RFC 8058).
        read_receipt_to: who wants to know that it was read (MDN, RFC 8098).
        organization, user_agent, language: fields of these names; none is written by itself.
        envelope_from: the envelope sender, "" for none; else the sender, else the only From.
        recipients: the envelope's, instead of To, Cc and Bcc.
        ret, envid, notify, orcpt, require_tls, mt_priority, by, hold_for, hold_until: wishes for the server, as in
            `Client.send`.
        charset: of text and HTML.
        encoding: of text and HTML; chosen by content unless given. "8bit" is encoded where it is impossible.
        provider: which provider of a service sends it.
        boundary: a part of the boundaries between parts; else they are made of the Message-ID.

    Raises:
        MessageError: with everything that is wrong.
        TypeError: for an argument of another kind.
    """

    from_: tuple[Address | Group, ...] = ()
    sender: Address | None = None
    to: tuple[Address | Group, ...] = ()
    cc: tuple[Address | Group, ...] = ()
    bcc: tuple[Address | Group, ...] = ()
    reply_to: tuple[Address | Group, ...] = ()
    subject: str | None = None
    text: str | None = None
    html: str | None = None
    derive_text: bool = True
    alternatives: tuple[Alternative, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    inline: Mapping[str, Attachment] = {}
    headers: tuple[HeaderField, ...] = ()
    date: datetime | None = None
    message_id: str | None = None
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    importance: Literal["high", "low"] | None = None
    bulk: bool = False
    list_unsubscribe: tuple[str, ...] = ()
    one_click: bool = False
    read_receipt_to: tuple[Address | Group, ...] = ()
    organization: str | None = None
    user_agent: str | None = None
    language: str | None = None
    envelope_from: Mailbox | None = None
    recipients: tuple[Mailbox, ...] | None = None
    ret: str | None = None
    envid: str | None = None
    notify: Sequence[str] | str | Mapping[str, Sequence[str] | str] | None = None
    orcpt: Any = None
    require_tls: bool = False
    mt_priority: int | None = None
    by: Any = None
    hold_for: int | None = None
    hold_until: datetime | None = None
    charset: str = "utf-8"
    encoding: Encoding | None = None
    provider: str | None = None
    boundary: str | None = None

    def __init__(self, **fields: Unpack[MessageFields]) -> None:
        self._read(cast("dict[str, Any]", fields))

    def _read(self, fields: Mapping[str, Any]) -> None:
        """Take these, once, into what is there already."""
        own, findings = self.__dict__, list[Finding]()
        for name, value in fields.items():
            reader = READERS.get(name)
            if reader is None:
                raise TypeError(f"a Message has no {name!r}")
            if value is None:
                continue
            try:
                own[name] = reader(name, value)
            except ValueError as error:
                findings.append(Finding.of(name, value, str(error).removeprefix(f"{name}: ")))
        if findings:
            known = {"from_", *(each.field for each in findings)}  # who sends it may give it a sender
            raise MessageError([*findings, *findings_of(self, except_for=known)])

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Message does not change: message.with_({name}=...) gives another one")

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        names = self.__dict__.keys() | other.__dict__.keys()
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def __hash__(self) -> int:
        return hash((self.from_, self.to, self.subject, self.message_id))

    def __repr__(self) -> str:
        """What it says is not shown: links to reset a password and the like should not get into logs."""
        told = ", ".join(f"{name}={_shown(name, value)}" for name, value in self.__dict__.items())
        return f"Message({told})"

    def with_(self, **changes: Unpack[MessageFields]) -> "Self":
        """This message with some fields set anew; None is as if it was never set.

        Raises:
            MessageError, TypeError: as when it is made.
        """
        changed = object.__new__(type(self))
        changed.__dict__.update(self.__dict__)
        for name in changes:
            changed.__dict__.pop(name, None)
        changed._read(cast("dict[str, Any]", changes))
        return changed

    def stamped(self, now: Callable[[], datetime], new_id: Callable[[str], str]) -> "Self":
        """This message with date and Message-ID, which are given where they are missing.

        Args:
            now: the clock; gives a time with a time zone.
            new_id: makes a Message-ID of a domain.
        """
        changes = MessageFields()
        if self.date is None:
            changes["date"] = now()
        if self.message_id is None:
            changes["message_id"] = new_id(self._domain)
        return self.with_(**changes) if changes else self

    @property
    def _domain(self) -> str:
        """The domain of From, in A-labels: no name of this machine gets out."""
        first = next(addresses_of(self.from_), self.sender)
        if first is None:
            raise MessageError([Finding("from_", "", "nobody wrote it: From is missing")])
        return first.mailbox.to_ascii_domain().domain

    def reply_to_message(self, original: "Message | Eml | EmailMessage[Any, Any]") -> "Self":
        """This message as an answer: threads go on (RFC 5322 3.6.4), and subject and To are set where they are not.

        Args:
            original: what is answered; it should have a Message-ID.
        """
        from smtpx.message.replying import reply_fields  # loads `email`, which writing mail does not need

        changes = reply_fields(original)
        if self.subject is not None:
            changes.pop("subject", None)
        if self.to:
            changes.pop("to", None)
        return self.with_(**cast("MessageFields", changes))

    def check(
        self, *, max_recipients: int = MAX_RECIPIENTS, max_bytes: int = MAX_MESSAGE_BYTES, strict: bool = False
    ) -> None:
        """See that it can be sent.

        Args:
            max_recipients: how many there may be in all, each once.
            max_bytes: of text, HTML and everything that goes along, before it is encoded.
            strict: each `cid:` of the HTML has to be there, and each inline part has to be shown.

        Raises:
            MessageError: with all findings.
        """
        findings = findings_of(self, max_recipients=max_recipients, max_bytes=max_bytes, strict=strict)
        if findings:
            raise MessageError(findings)

    def posting(self) -> Posting:
        """The envelope: each recipient once, To before Cc before Bcc.

        Raises:
            MessageError: if there is no sender, or no recipient.
        """
        sender, recipients = reverse_path(self), forward_paths(self)
        findings = [*envelope_findings(self, sender, recipients)]
        if sender is None or findings:
            raise MessageError(findings)
        return Posting(sender, recipients, self.wishes)

    @property
    def wishes(self) -> Mapping[str, Any]:
        """What it asks of the server, by the names of `Client.send`."""
        return {name: self.__dict__[name] for name in _WISHES if name in self.__dict__}

    def octets(self, *, eight_bit: bool = False, utf8: bool = False) -> Iterator[bytes]:
        """The message in pieces, always the same; see `Sendable`. Bcc is not in it.

        Raises:
            MessageError: if date, Message-ID or From is missing, or it can't be written so.
        """
        return octets_of(self, eight_bit=eight_bit, utf8=utf8)

    def __bytes__(self) -> bytes:
        return b"".join(self.octets())

    def write(self, file: Path | BinaryIO) -> None:
        """Write it into a file, as `.eml`.

        Raises:
            MessageError: as `octets` does.
            OSError: if the file can't be written.
        """
        if isinstance(file, Path):
            with file.open("wb") as opened:
                return self.write(opened)
        for piece in self.octets():
            file.write(piece)

    def measure(self, *, eight_bit: bool = False, utf8: bool = False) -> Measure:
        """How many octets `octets` gives, and of which kind. What is attached in base64 is not read for that.

        Raises:
            MessageError: as `octets` does.
        """
        return measure(self, eight_bit=eight_bit, utf8=utf8)

    @property
    def needs_utf8(self) -> bool:
        """Whether its header can't be written without SMTPUTF8: for a local part that is not ASCII."""
        parties = (*self.from_, *self.to, *self.cc, *self.reply_to, *self.read_receipt_to)
        addresses = [*addresses_of(parties), *((self.sender,) if self.sender else ())]
        return not all(each.mailbox.local_part.isascii() for each in addresses)

    @property
    def is_streamed(self) -> bool:
        """Whether something large is in it that is read when it is written."""
        return any(each.is_streamed for each in (*self.attachments, *self.inline.values()))


def _shown(name: str, value: object) -> str:
    return f"<{len(cast('str', value))} characters>" if name in ("text", "html") else repr(value)
