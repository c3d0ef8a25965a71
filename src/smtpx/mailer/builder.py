"""A message put together step by step, and sent: what `MailService.new()` gives.

>>> builder = Builder(lambda message: str(message.to[0]))
>>> builder.from_("shop@a.example").to("b@b.example").subject("Your order").text("It is on its way.").send()
'b@b.example'
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, TypedDict, TypeVar, Unpack, cast

from smtpx.errors import ConfigurationError
from smtpx.message.address import AddressInput
from smtpx.message.attachments import Attachment, AttachmentContent, Disposition
from smtpx.message.bodies import Encoding
from smtpx.message.compose import Alternative, Message, MessageFields, RawHeader

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from smtpx.extensions.dsn import OriginalRecipient
    from smtpx.mailer.template import Templates

    Addresses = AddressInput | Iterable[AddressInput]

__all__ = ["Builder"]

R = TypeVar("R")


class AttachmentOptions(TypedDict, total=False):
    """What else there is to say of an `Attachment`."""

    content_id: str | None
    disposition: Disposition
    description: str | None
    language: str | None
    encoding: Encoding | None


class Builder(Generic[R]):
    """Collects what a message consists of. Nothing is looked at before `build`, which tells of all mistakes at once.

    Args:
        send: takes the message, and gives what `send` gives.
        templates: where `template` finds them.
    """

    def __init__(self, send: Callable[[Message], R], templates: "Templates | None" = None) -> None:
        self._send = send
        self._templates = templates
        self._fields: dict[str, Any] = {}
        self._template: tuple[str, Mapping[str, Any]] | None = None

    def _add(self, name: str, values: "Iterable[Any]") -> "Self":
        self._fields[name] = [*self._fields.get(name, ()), *values]
        return self

    def from_(self, *addresses: "Addresses") -> "Self":
        """Who writes it, instead of the service's own address. The last call counts."""
        self._fields["from_"] = _flat(addresses)
        return self

    def to(self, *addresses: "Addresses") -> "Self":
        """Whom it is for; each call adds."""
        return self._add("to", _flat(addresses))

    def cc(self, *addresses: "Addresses") -> "Self":
        """Who gets a copy; each call adds."""
        return self._add("cc", _flat(addresses))

    def bcc(self, *addresses: "Addresses") -> "Self":
        """Who gets a copy that nobody knows of; each call adds."""
        return self._add("bcc", _flat(addresses))

    def reply_to(self, *addresses: "Addresses") -> "Self":
        """Where answers go; each call adds."""
        return self._add("reply_to", _flat(addresses))

    def subject(self, text: str) -> "Self":
        """The subject; the last call counts, and counts more than a template's."""
        return self.set(subject=text)

    def text(self, text: str) -> "Self":
        """The plain text; the last call counts, and counts more than a template's."""
        return self.set(text=text)

    def html(self, html: str) -> "Self":
        """The HTML; the last call counts, and counts more than a template's."""
        return self.set(html=html)

    def alternative(self, content: str | bytes, type: str, encoding: Encoding | None = None) -> "Self":
        """A further form of the text, such as `text/calendar; method=REQUEST`; each call adds.

        Raises:
            ValueError, TypeError: see `Alternative`.
        """
        return self._add("alternatives", [Alternative(content, type, encoding)])

    def attach(
        self,
        content: "Attachment | AttachmentContent",
        name: str | None = None,
        *,
        type: str = "",
        **options: Unpack[AttachmentOptions],
    ) -> "Self":
        """Something that goes along; each call adds. For arguments see `Attachment`.

        Raises:
            ValueError, TypeError: see `Attachment`.
        """
        return self._add("attachments", [_attachment(content, name, type, cast("Mapping[str, Any]", options))])

    def inline(
        self, cid: str, content: "Attachment | AttachmentContent", name: str | None = None, *, type: str = ""
    ) -> "Self":
        """What the HTML shows by `cid:` and this name; each call adds.

        Raises:
            ValueError, TypeError: see `Attachment`.
        """
        plain = isinstance(content, bytes) and name is None and not type
        part = content if plain else _attachment(content, name, type, {})
        self._fields["inline"] = {**self._fields.get("inline", {}), cid: part}
        return self

    def header(self, name: str, value: str, *, raw: bool = False) -> "Self":
        """A header field; each call adds. `raw`: the value is folded and encoded already."""
        return self._add("headers", [RawHeader(name, value) if raw else (name, value)])

    def importance(self, importance: Literal["high", "normal", "low"]) -> "Self":
        """How important it is, by the fields that clients know."""
        return self.set(importance=importance)

    def list_unsubscribe(self, *uris: str, one_click: bool = False) -> "Self":
        """By which https and mailto URIs one gets off the list; `one_click`: a POST to the https one (RFC 8058)."""
        return self.set(list_unsubscribe=uris, one_click=one_click)

    def dsn(
        self,
        *,
        notify: Sequence[str] | str | Mapping[str, Sequence[str] | str] | None = None,
        ret: Literal["FULL", "HDRS"] | None = None,
        envid: str | None = None,
        orcpt: "str | OriginalRecipient | Mapping[str, str | OriginalRecipient] | None" = None,
    ) -> "Self":
        """Which reports are wanted of what becomes of it (RFC 3461)."""
        return self.set(notify=notify, ret=ret, envid=envid, orcpt=orcpt)

    def date(self, moment: datetime) -> "Self":
        """When it was written; else that is when it is sent."""
        return self.set(date=moment)

    def provider(self, name: str) -> "Self":
        """Which provider of the service sends it."""
        return self.set(provider=name)

    def template(self, name: str, /, **context: object) -> "Self":
        """Subject, text and HTML from a template, rendered by `build`. What is set here too counts more.

        Raises:
            ConfigurationError: if there are no templates.
        """
        if self._templates is None:
            raise ConfigurationError("templates: none were given")
        self._template = name, context
        return self

    def set(self, **fields: Unpack[MessageFields]) -> "Self":
        """Any field of `Message`, instead of what was said of it before."""
        self._fields.update(fields)
        return self

    def clone(self) -> "Self":
        """Another builder that begins with all of this; neither knows of the other."""
        other = type(self)(self._send, self._templates)
        other._fields.update(self._fields)
        other._template = self._template
        return other

    def build(self) -> Message:
        """The message as it is now; what the builder is told later does not touch it.

        Raises:
            MessageError: with everything that is wrong.
        """
        fields = self._fields
        if self._template is not None and self._templates is not None:
            name, context = self._template
            rendered = self._templates.render(name, context)
            fields = {**rendered.fields, **fields}
            fields["inline"] = {**rendered.images, **self._fields.get("inline", {})}
        return Message(**cast("MessageFields", fields))

    def send(self) -> R:
        """Build it, and hand it over.

        Raises:
            MessageError: with everything that is wrong; and what sending raises.
        """
        return self._send(self.build())


def _flat(addresses: "tuple[Addresses, ...]") -> "list[AddressInput]":
    found = list[AddressInput]()
    for each in addresses:
        if isinstance(each, str | tuple) or not hasattr(each, "__iter__"):
            found.append(cast("AddressInput", each))
        else:
            found += cast("Iterable[AddressInput]", each)
    return found


def _attachment(
    content: "Attachment | AttachmentContent", name: str | None, type: str, options: Mapping[str, Any]
) -> Attachment:
    if not isinstance(content, Attachment):
        return Attachment(content, name, type=type, **options)
    if name is not None or type or options:
        raise TypeError("an Attachment has its name and its type already")
    return content
