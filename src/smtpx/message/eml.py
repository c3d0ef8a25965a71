r"""Messages that exist already, as octets: read, looked into, changed in places, sent (RFC 5322).

>>> eml = Eml(b"From: a@b.example\nTo: c@d.example\nSubject: =?utf-8?q?=C3=84?=\n\nHello\n")
>>> eml.subject, eml.text, eml.posting().sender.local_part
('Ä', 'Hello\n', 'a')
>>> bytes(eml.with_header("Subject", "Hi"))
b'From: a@b.example\nTo: c@d.example\nSubject: Hi\n\nHello\n'
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from smtpx.message import fields
from smtpx.message.address import (
    Address,
    AddressInput,
    Group,
    addresses_of,
    read_addresses,
    sift_addresses,
)
from smtpx.message.envelope import Given, each_once
from smtpx.message.header_block import ADDRESS_FIELDS, Field, HeaderBlock, split_header
from smtpx.message.parts import EmlLimits, Part, read_parts
from smtpx.message.sendable import Posting
from smtpx.wire.address import NULL_SENDER, Mailbox
from smtpx.wire.syntax import escape

if TYPE_CHECKING:
    from email.message import Message as EmailMessage

__all__ = ["Defect", "Eml", "EmlLimits", "Part", "Raw"]

_HIDDEN = frozenset({"bcc", "resent-bcc"})
_ANY_LINE_END = re.compile(rb"\r\n|\r|\n")
_BARE_CR = re.compile(rb"\r(?!\n)")
_LOST_BCC = re.compile(rb"^(?:resent-)?bcc[ \t]*+:", re.IGNORECASE | re.MULTILINE)
_MAX_DATE_CHARS = 200
_ID = re.compile(r"<[^<>\s]+>")


class Defect(NamedTuple):
    """What is wrong with a message, and where: `header`, the name of a field, or the number of a part."""

    where: str
    detail: str

    def __str__(self) -> str:
        return f"{self.where}: {self.detail}"


class Eml:
    """A message that was read. Nothing of it is changed unless asked; each change gives another one.

    `bytes(eml)` are the octets that were read, save for fields that were changed. Everything is decoded when it is
    asked for, and never raises: what is wrong is among the `defects`.

    Args:
        source: the octets, a path, or a binary file, which is read to its end. Text is never taken for a path.
        limits: how much is looked into.

    Raises:
        ValueError: for more octets than `limits.max_bytes`.
        TypeError: for a source of another kind.
        OSError: for a file that can't be read.
    """

    def __init__(
        self, source: "bytes | bytearray | memoryview | Path | BinaryIO", limits: EmlLimits | None = None
    ) -> None:
        self._limits = limits or EmlLimits()
        self._source = _read(source, self._limits.max_bytes)
        self._header, self._body_start, self._header_defects = split_header(
            self._source, max_bytes=self._limits.max_header_bytes, max_fields=self._limits.max_headers
        )
        self._given = Given()

    def __bytes__(self) -> bytes:
        return bytes(self._header) + self._body

    def __repr__(self) -> str:
        return f"<Eml {self.message_id or 'without Message-ID'} {len(self._body)} octets>"

    @property
    def _body(self) -> memoryview:
        return memoryview(self._source)[self._body_start :]

    def write(self, target: Path | BinaryIO) -> None:
        """Write the octets to a new file, or into one that is open."""
        if isinstance(target, Path):
            target.write_bytes(bytes(self))
        else:
            target.write(bytes(self._header))
            target.write(self._body)

    # --- the header ---

    @property
    def fields(self) -> tuple[Field, ...]:
        """All fields in order: `name`, `octets`, `text` (unfolded) and `value` (decoded)."""
        return self._header.fields

    def header(self, name: str) -> str | None:
        """The first field of this name, decoded; None where there is none."""
        field = self._header.first(name)
        return None if field is None else field.value

    def headers(self, name: str) -> tuple[str, ...]:
        """All fields of this name, decoded."""
        return tuple(field.value for field in self._header.all(name))

    def addresses(self, name: str) -> tuple[Address | Group, ...]:
        """The addresses in all fields of this name; those that can't be read are among the defects."""
        return tuple(party for field in self._header.all(name) for party in sift_addresses(field.text).addresses)

    @property
    def from_(self) -> tuple[Address | Group, ...]:
        """Who wrote it."""
        return self.addresses("From")

    @property
    def sender(self) -> tuple[Address | Group, ...]:
        """Who sent it, where that is said."""
        return self.addresses("Sender")

    @property
    def reply_to(self) -> tuple[Address | Group, ...]:
        """Where answers go."""
        return self.addresses("Reply-To")

    @property
    def to(self) -> tuple[Address | Group, ...]:
        """Who it is to."""
        return self.addresses("To")

    @property
    def cc(self) -> tuple[Address | Group, ...]:
        """Who gets a copy."""
        return self.addresses("Cc")

    @property
    def bcc(self) -> tuple[Address | Group, ...]:
        """Who gets a copy that others don't see; never sent."""
        return self.addresses("Bcc")

    @property
    def subject(self) -> str | None:
        """The subject, decoded."""
        return self.header("Subject")

    @property
    def message_id(self) -> str | None:
        """The Message-ID with its brackets."""
        return next(iter(self.ids("Message-ID")), None)

    def ids(self, name: str) -> tuple[str, ...]:
        """The message ids in the first field of this name, such as References."""
        return tuple(_ID.findall(self._header.text(name)))

    @property
    def date(self) -> datetime | None:
        """When it was written; without a time zone where the field has none; None where it can't be read."""
        return _date(self._header.text("Date"))

    # --- changes ---

    def with_header(self, name: str, value: "str | bytes | Iterable[AddressInput]") -> "Eml":
        """The same message with one field of this name, where the first one stands, or else at the end.

        Args:
            value: addresses for an address field, otherwise text; octets are taken as they are, folded already.

        Raises:
            ValueError: if it can't be written.
        """
        field, kept, is_placed = self._field(name, value), list[Field](), False
        for each in self.fields:
            if each.name.lower() != name.lower():
                kept.append(each)
            elif not is_placed:
                kept.append(field)
                is_placed = True
        return self._with_fields(kept if is_placed else [*kept, field])

    def with_added(self, name: str, value: "str | bytes | Iterable[AddressInput]", *, first: bool = False) -> "Eml":
        """The same message with one more field of this name, as the last or the first.

        Raises:
            ValueError: if it can't be written.
        """
        field = self._field(name, value)
        return self._with_fields([field, *self.fields] if first else [*self.fields, field])

    def without(self, name: str) -> "Eml":
        """The same message without the fields of this name."""
        return self._with_fields([each for each in self.fields if each.name.lower() != name.lower()])

    def _field(self, name: str, value: "str | bytes | Iterable[AddressInput]") -> Field:
        if isinstance(value, bytes):
            octets = fields.preformatted(name, value)
        elif name.lower() in ADDRESS_FIELDS:
            octets = fields.address_list(name, read_addresses(value))
        else:
            octets = fields.unstructured(name, str(value))
        return Field(name, octets.replace(b"\r\n", b"\n") if self._is_lf else octets)

    @property
    def _is_lf(self) -> bool:
        end = self._source.find(b"\n")
        return end > 0 and self._source[end - 1 : end] != b"\r"

    def _with_fields(self, kept: list[Field]) -> "Eml":
        end = b"\n" if self._is_lf else b"\r\n"
        closed = tuple(each if each.octets.endswith(b"\n") else Field(each.name, each.octets + end) for each in kept)
        made = self._copy()
        is_broken = bool(self.fields and self._body)  # its rest may be header to others, and stays where it is
        gap = self._header.gap or (b"" if is_broken or not kept else end)
        made._header = HeaderBlock(closed, self._header.before, gap)
        return made

    def with_envelope(
        self,
        *,
        sender: "AddressInput | None" = None,
        recipients: "AddressInput | Iterable[AddressInput] | None" = None,
        wishes: Mapping[str, Any] | None = None,
    ) -> "Eml":
        """The same message with another envelope than its header says.

        Args:
            sender: the reverse-path; empty for none.
            recipients: all of them.
            wishes: for extensions, by the names of `Wishes`.

        Raises:
            ValueError: for an address that can't be read.
        """
        made = self._copy()
        made._given = self._given.also(sender, recipients, wishes)
        return made

    def _copy(self) -> "Eml":
        made = object.__new__(type(self))
        made.__dict__.update({name: value for name, value in self.__dict__.items() if name not in ("root", "_leaves")})
        return made

    # --- the body ---

    @cached_property
    def root(self) -> Part:
        """The message as the first of its parts."""
        return read_parts(self._body, self._header, self._limits)

    @cached_property
    def _leaves(self) -> tuple[Part, ...]:
        return tuple(self.root.leaves())

    @property
    def text(self) -> str | None:
        """What people read, as plain text; None where there is only HTML. Several parts are joined by a newline."""
        return _joined(part for part in self._bodies if part.content_type != "text/html")

    @property
    def html(self) -> str | None:
        """What people read, as HTML; None where there is only text."""
        return _joined(part for part in self._bodies if part.content_type == "text/html")

    @property
    def _bodies(self) -> tuple[Part, ...]:
        return tuple(part for part in self._leaves if part.is_body)

    @property
    def attachments(self) -> tuple[Part, ...]:
        """What is neither body, nor shown within it, nor another form of it; messages too (`Eml(part.content)`)."""
        return tuple(part for part in self._leaves if not (part.is_body or part.is_inline or part.is_form))

    @property
    def inline(self) -> tuple[Part, ...]:
        """What the body shows in its place, such as images by `cid:`."""
        return tuple(part for part in self._leaves if part.is_inline and not part.is_form)

    @property
    def alternatives(self) -> tuple[Part, ...]:
        """Further forms of the body, such as calendars."""
        return tuple(part for part in self._leaves if part.is_form)

    @property
    def defects(self) -> tuple[Defect, ...]:
        """All that is wrong; looks at everything once more."""
        return tuple(self._find_defects())

    def _find_defects(self) -> Iterator[Defect]:
        yield from (Defect("header", detail) for detail in self._header_defects)
        for field in self.fields:
            if field.name.lower() in ADDRESS_FIELDS:
                yield from (Defect(field.name, str(error)) for _, error in sift_addresses(field.text).skipped)
        if self._header.text("Date") and self.date is None:
            yield Defect("Date", "a date that can't be read")
        for number, part in self.root.numbered():
            yield from (Defect(f"part {number}", detail) for detail in (*part.defects, *part.content_defects()))

    # --- sending ---

    def posting(self) -> Posting:
        """The envelope: what was given, else what the header says; a Resent- block counts when there is one.

        Raises:
            ValueError: if there is no sender or more than one, no recipient, or more than one Resent- block.
        """
        return self._given.posting(self.header_sender, self.header_recipients)

    @property
    def _prefix(self) -> str:
        blocks = sum(1 for _ in self._header.all("Resent-Date"))
        if blocks > 1:  # RFC 5322 3.6.6
            raise ValueError("the message was resent more than once: say sender and recipients")
        return "Resent-" if blocks else ""

    def header_sender(self) -> Mailbox:
        """Sender, or the only From; of the Resent- block where there is one.

        Raises:
            ValueError: if there is none, or more than one.
        """
        prefix = self._prefix
        for name in ("Sender", "From"):
            found = each_once(addresses_of(self._readable(prefix + name)))
            if len(found) == 1:
                return found[0]
            if found:
                raise ValueError(f"{prefix}{name} names {len(found)} senders: say which one")
        raise ValueError("the header names no sender: say which one")

    def header_recipients(self) -> tuple[Mailbox, ...]:
        """To, Cc and Bcc, each mailbox once; of the Resent- block where there is one.

        Raises:
            ValueError: if one can't be read: nobody is left out silently.
        """
        prefix = self._prefix
        return each_once(addresses_of(each for name in ("To", "Cc", "Bcc") for each in self._readable(prefix + name)))

    def _readable(self, name: str) -> tuple[Address | Group, ...]:
        """The addresses in fields of this name, none of which may be lost."""
        for field in self._header.all(name):
            for text, error in sift_addresses(field.text).skipped:
                raise ValueError(f"{name}: {error}: {escape(text)}")
        return self.addresses(name)

    def octets(self, *, eight_bit: bool, utf8: bool) -> Iterator[bytes]:
        """The message without Bcc, lines ending in CRLF whatever they ended in; nothing else of the body is changed.

        Header fields with raw UTF-8 are written anew where `utf8` is false. A line of an mbox in front is left out.

        Raises:
            ValueError: if the body is 8-bit and `eight_bit` is false, an address needs SMTPUTF8 and `utf8` is false, or
                a Bcc stands behind what is no header any more.
        """
        header = b"".join(self._on_wire(each, utf8) for each in self.fields if each.name.lower() not in _HIDDEN)
        body = self._wire_body
        if not eight_bit and not body.isascii():
            raise ValueError("the body is 8-bit: it can be sent as it is only to a server with 8BITMIME")
        if self._header.gap or not body:
            header += b"\r\n"
        elif _LOST_BCC.search(body, 0, max(0, body.find(b"\r\n\r\n")) or len(body)):
            raise ValueError("the header is broken, and a Bcc stands behind that: it would be sent")
        yield header
        yield body

    def _on_wire(self, field: Field, utf8: bool) -> bytes:
        if not (utf8 or field.octets.isascii()):
            return self._in_ascii(field)
        lines = _BARE_CR.sub(b" ", field.octets).replace(b"\r\n", b"\n").removesuffix(b"\n")  # no line end that hides
        return lines.replace(b"\n", b"\r\n") + b"\r\n"

    def _in_ascii(self, field: Field) -> bytes:
        if field.name.lower() in ADDRESS_FIELDS:
            sifted = sift_addresses(field.text)
            if sifted.skipped or not sifted.addresses:
                raise ValueError(f"{field.name}: an address that can't be read")
            return fields.address_list(field.name, sifted.addresses)
        return fields.unstructured(field.name, field.value)

    @cached_property
    def _wire_body(self) -> bytes:
        body = bytes(self._body)
        if body.count(b"\n") == body.count(b"\r\n") == body.count(b"\r"):
            return body
        return _ANY_LINE_END.sub(b"\r\n", body)


def _read(source: object, max_bytes: int) -> bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        octets = bytes(cast("bytes", source))
    elif isinstance(source, Path):
        with source.open("rb") as file:
            octets = file.read(max_bytes + 1)
    elif (read := getattr(source, "read", None)) is not None:
        octets = _read_all(read, max_bytes + 1)
    else:
        raise TypeError(f"a message is octets, a Path or a binary file, not {type(source).__name__}")
    if len(octets) > max_bytes:
        raise ValueError(f"a message of more than {max_bytes} octets")
    return octets


def _read_all(read: Callable[[int], object], max_bytes: int) -> bytes:
    """A raw file gives less than it is asked for, so it is asked until it has no more."""
    pieces, left = list[bytes](), max_bytes
    while left and (piece := read(left)):
        if not isinstance(piece, bytes):
            raise TypeError("a message is read from a binary file")
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _joined(parts: Iterable[Part]) -> str | None:
    found = [part.text for part in parts]
    return "\n".join(found) if found else None


def _date(text: str) -> datetime | None:
    if not text or len(text) > _MAX_DATE_CHARS:
        return None
    from email.utils import parsedate_to_datetime  # loads much

    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


class Raw:
    """A message that is ready: octets, or an object of the standard library, perhaps with an envelope of its own.

    Args:
        message: octets whose lines end in CRLF, sent as they are but without Bcc; or an `email.message` object.
        sender: the reverse-path, empty for none; without it the header says it.
        recipients: all of them; without them the header says them.
        wishes: for extensions, by the names of `Wishes`.

    Raises:
        ValueError: for an address that can't be read, or octets with a CR or LF that stands alone.
        TypeError: for a message of another kind.
    """

    def __init__(
        self,
        message: "bytes | bytearray | memoryview | EmailMessage[Any, Any]",
        sender: "AddressInput | None" = None,
        recipients: "AddressInput | Iterable[AddressInput] | None" = None,
        wishes: Mapping[str, Any] | None = None,
    ) -> None:
        self._object: EmailMessage[Any, Any] | None = None
        if isinstance(message, bytes | bytearray | memoryview):
            octets = bytes(message)
            if not octets.count(b"\n") == octets.count(b"\r\n") == octets.count(b"\r"):
                raise ValueError("a CR or LF that stands alone: `Eml` repairs line ends")
        elif hasattr(message, "get_all") and hasattr(message, "policy"):
            octets, self._object = b"", message
        else:
            raise TypeError(f"a message is octets or an email.message object, not {type(message).__name__}")
        self._eml = Eml(octets)
        self._given = Given().also(sender, recipients, wishes)

    def __repr__(self) -> str:
        return f"<Raw {self.message_id or 'without Message-ID'}>"

    @property
    def message_id(self) -> str | None:
        """The Message-ID with its brackets."""
        if self._object is None:
            return self._eml.message_id
        return next(iter(_ID.findall(str(self._object["Message-ID"] or ""))), None)

    def posting(self) -> Posting:
        """The envelope: what was given, else what the header says; a Resent- block counts when there is one.

        Raises:
            ValueError: if there is no sender or more than one, no recipient, or more than one Resent- block.
        """
        if self._object is None:
            return self._given.posting(self._eml.header_sender, self._eml.header_recipients)
        from smtpx.message.flatten import envelope_of  # loads `email`

        found = Given()
        if self._given.sender is None or self._given.recipients is None:
            sender, recipients = envelope_of(self._object)
            found = Given().also(sender, recipients, None)
        return self._given.posting(lambda: found.sender or NULL_SENDER, lambda: found.recipients or ())

    def octets(self, *, eight_bit: bool, utf8: bool) -> Iterator[bytes]:
        """The message in one piece, without Bcc.

        Raises:
            ValueError: if it can't be written so: 8-bit octets stay what they are.
        """
        if self._object is None:
            yield from self._eml.octets(eight_bit=eight_bit, utf8=utf8)
            return
        from smtpx.message.flatten import flatten

        yield flatten(self._object, eight_bit=eight_bit, utf8=utf8)
