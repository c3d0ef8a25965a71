"""A `Message` as octets: its header in a fixed order, and its parts.

mixed( related( alternative( text, html ), inline... ), attachments... ): a level that would hold one thing only is left
out.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import unquote

from smtpx.message.address import Address, addresses_of
from smtpx.message.checking import CID
from smtpx.message.entity import Leaf, Multipart, Part, Piece, attachment_leaf, octets_leaf, text_leaf, written
from smtpx.message.fields import address_list, date, message_ids, preformatted, unstructured, uri_list
from smtpx.message.findings import Finding, MessageError
from smtpx.message.html_text import text_of
from smtpx.message.input import Alternative, RawHeader
from smtpx.message.media_types import MediaType, parse_media_type

if TYPE_CHECKING:
    from smtpx.message.compose import Message

__all__ = ["Measure", "measure", "octets_of"]

T = TypeVar("T")

_AMP = "text/x-amp-html"
_TEXT, _HTML = MediaType("text/plain"), MediaType("text/html")
_MIME_VERSION = b"MIME-Version: 1.0\r\n"
_IMPORTANCE = {
    "high": b"Importance: high\r\nPriority: urgent\r\nX-Priority: 1\r\nX-MSMail-Priority: High\r\n",
    "low": b"Importance: low\r\nPriority: non-urgent\r\nX-Priority: 5\r\nX-MSMail-Priority: Low\r\n",
}
_BULK = b"Precedence: bulk\r\nX-Auto-Response-Suppress: All\r\nAuto-Submitted: auto-generated\r\n"
_ONE_CLICK = b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"


def octets_of(message: "Message", *, eight_bit: bool, utf8: bool) -> Iterator[bytes]:
    """The message in pieces: one for all that is at hand together.

    Raises:
        MessageError: if it can't be written.
    """
    kept = list[bytes]()
    for piece in _pieces_of(message, eight_bit=eight_bit, utf8=utf8):
        if isinstance(piece, bytes):
            kept.append(piece)
            continue
        yield b"".join(kept)
        kept.clear()
        yield from _telling("attachments", piece.pieces)
    yield b"".join(kept)


class Measure(NamedTuple):
    """What a message is when it is written: how many octets, and whether all are ASCII."""

    size: int
    is_ascii: bool


def measure(message: "Message", *, eight_bit: bool, utf8: bool) -> Measure:
    """What it is when it is written; attachments in base64 are not read for that.

    Raises:
        MessageError: if it can't be written.
    """
    pieces = _pieces_of(message, eight_bit=eight_bit, utf8=utf8)
    size = sum(len(each) if isinstance(each, bytes) else each.size for each in pieces)
    return Measure(size, all(each.isascii() if isinstance(each, bytes) else each.is_ascii for each in pieces))


def _telling(field: str, pieces: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
    try:
        yield from pieces()
    except ValueError as error:
        raise MessageError([Finding(field, "", str(error))]) from error


def _pieces_of(message: "Message", *, eight_bit: bool, utf8: bool) -> list[Piece]:
    if message.date is None or message.message_id is None or not message.from_:
        missing = {"date": message.date, "message_id": message.message_id, "from_": message.from_ or None}
        text = "missing: a client and a service give date and Message-ID, and so does Message.stamped"
        raise MessageError([Finding(name, "", text) for name, value in missing.items() if value is None])
    seed = message.boundary or message.message_id
    fields, body = written(_tree(message, eight_bit=eight_bit, utf8=utf8), seed, given=message.boundary is not None)
    return [*_header(message, utf8=utf8), _MIME_VERSION, fields, b"\r\n", *body]


# The header ----------------------------------------------------------------------------------------------------------


def _header(message: "Message", *, utf8: bool) -> list[bytes]:
    """Its fields, in this order always."""
    fields = list[bytes]()
    add = fields.append
    own = message.__dict__
    try:
        add(date("Date", own["date"]))
        for name, attribute in _ADDRESSES:
            if parties := own.get(attribute):
                add(address_list(name, (parties,) if isinstance(parties, Address) else parties, utf8=utf8))
        if message.subject is not None:
            add(unstructured("Subject", message.subject, utf8=utf8))
        for name, attribute in _IDS:
            if ids := own.get(attribute):
                add(message_ids(name, ids))
        fields += _further(message, utf8=utf8)
    except ValueError as error:
        raise MessageError([Finding("header", "", str(error))]) from error
    return fields


_ADDRESSES = (("From", "from_"), ("Sender", "sender"), ("Reply-To", "reply_to"), ("To", "to"), ("Cc", "cc"))
_IDS = (("Message-ID", "message_id"), ("In-Reply-To", "in_reply_to"), ("References", "references"))
_TEXTS = (("Organization", "organization"), ("User-Agent", "user_agent"), ("Content-Language", "language"))


def _further(message: "Message", *, utf8: bool) -> Iterator[bytes]:
    if message.importance is not None:
        yield _IMPORTANCE[message.importance]
    if message.bulk:
        yield _BULK
    if message.list_unsubscribe:
        yield uri_list("List-Unsubscribe", message.list_unsubscribe)
        if message.one_click:
            yield _ONE_CLICK
    if message.read_receipt_to:
        yield address_list("Disposition-Notification-To", message.read_receipt_to, utf8=utf8)
    for name, attribute in _TEXTS:
        text: str | None = getattr(message, attribute)
        if text is not None:
            yield unstructured(name, text, utf8=utf8)
    for field in message.headers:
        write = preformatted if isinstance(field, RawHeader) else unstructured
        yield write(field[0], field[1], utf8=utf8)


# The parts -----------------------------------------------------------------------------------------------------------


def _tree(message: "Message", *, eight_bit: bool, utf8: bool) -> Part:
    leaf = partial(attachment_leaf, eight_bit=eight_bit, utf8=utf8)
    cids = _content_ids(message) if message.inline else {}
    parts = _level("alternative", _forms(message, cids, eight_bit=eight_bit))
    if cids:
        shown = [_field("inline", partial(leaf, each, inline_id=cids[cid])) for cid, each in message.inline.items()]
        parts = _level("related", [*parts, *shown])
    if message.attachments:
        parts = _level("mixed", [*parts, *(_field("attachments", partial(leaf, each)) for each in message.attachments)])
    root = parts[0]
    return Multipart("mixed", parts) if isinstance(root, Leaf) and not root.ends_line else root


def _level(kind: str, parts: list[Part]) -> list[Part]:
    return [Multipart(kind, parts)] if len(parts) > 1 else parts


def _content_ids(message: "Message") -> dict[str, str]:
    """By the names that the HTML has for them; a Content-ID is an address (RFC 2392 2), at the domain of From."""
    domain = next(addresses_of(message.from_)).mailbox.to_ascii_domain().domain
    return {cid: cid if "@" in cid else f"{cid}@{domain}" for cid in message.inline}


def _forms(message: "Message", cids: dict[str, str], *, eight_bit: bool) -> list[Part]:
    """The text in all its forms, the most preferred one last. AMP goes before HTML, which is then the last resort."""
    write = partial(text_leaf, charset=message.charset, encoding=message.encoding, eight_bit=eight_bit)
    text, html = message.text, message.html
    if text is None and html is not None and message.derive_text:
        text = text_of(html)
    forms = list[Part]()
    if text or not (html or message.alternatives or message.attachments or message.inline):
        forms.append(_field("text", partial(write, text or "", _TEXT)))
    if html:
        if cids:
            html = CID.sub(lambda match: f"cid:{cids.get(unquote(match[1]), match[1])}", html)
        forms.append(_field("html", partial(write, html, _HTML)))
    for each in message.alternatives:
        form = _field("alternatives", partial(_alternative, each, message.charset, eight_bit))
        forms.insert(len(forms) - bool(html) if form.type_name == _AMP else len(forms), form)
    return forms


def _alternative(alternative: Alternative, charset: str, eight_bit: bool) -> Leaf:
    media_type = parse_media_type(alternative.type)
    if isinstance(alternative.content, bytes):
        return octets_leaf(alternative.content, media_type)
    return text_leaf(
        alternative.content, media_type, charset=charset, encoding=alternative.encoding, eight_bit=eight_bit
    )


def _field(name: str, write: Callable[[], T]) -> T:
    """What `write` gives; what it finds wrong is about the field of this name."""
    try:
        return write()
    except MessageError:
        raise
    except ValueError as error:
        raise MessageError([Finding(name, "", str(error))]) from error
