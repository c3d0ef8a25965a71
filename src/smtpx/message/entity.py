"""MIME entities (RFC 2045, RFC 2046): parts within parts, and the octets they become, in pieces.

A boundary has `=_` in it, which no quoted-printable and no base64 ever has; parts that stand there as they were given
are searched for it. All boundaries of a message have one length and differ, so none is the beginning of another.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from smtpx.message.attachments import Attachment
from smtpx.message.bodies import (
    Encoding,
    LineCheck,
    base64_size,
    canonical,
    choose,
    encode,
    encode_pieces,
    mime_charset,
    why_not,
)
from smtpx.message.contents import Contents, OctetContents
from smtpx.message.fields import parameters, unstructured
from smtpx.message.media_types import MediaType
from smtpx.wire.dots import NewlineRepair

__all__ = ["Leaf", "Multipart", "Part", "Piece", "Streamed", "attachment_leaf", "octets_leaf", "text_leaf", "written"]

_KEPT_BYTES = 1 << 16  # content up to this size is encoded at once
_MAX_SEED_CHARS = 64  # RFC 2046 5.1.1: a boundary has up to 70

Pieces: TypeAlias = Callable[[], Iterator[bytes]]


class Streamed:
    """The body of a part that is written piece by piece, any number of times, always the same.

    Attributes:
        pieces: gives it, encoded.
        size: how many octets that is.
        is_ascii: whether all of them are ASCII.
    """

    __slots__ = ("is_ascii", "pieces", "size")

    def __init__(self, pieces: Pieces, size: int, *, is_ascii: bool = True) -> None:
        self.pieces = pieces
        self.size = size
        self.is_ascii = is_ascii


Piece: TypeAlias = bytes | Streamed


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part with content.

    Attributes:
        fields: its Content- fields, each ending in CRLF.
        body: the content, encoded.
        encoding: how.
        type_name: its media type.
    """

    fields: bytes
    body: Piece
    encoding: Encoding
    type_name: str

    @property
    def ends_line(self) -> bool:
        """Whether the body ends in a complete line, so that it may be all of a message."""
        if isinstance(self.body, bytes):
            return not self.body or self.body.endswith(b"\r\n")
        return self.encoding == "base64"


@dataclass(frozen=True, slots=True)
class Multipart:
    """Parts under one type: `mixed`, `related` or `alternative`."""

    kind: str
    parts: Sequence["Part"]

    @property
    def type_name(self) -> str:
        """Its media type."""
        return f"multipart/{self.kind}"


Part: TypeAlias = Leaf | Multipart


def text_leaf(
    text: str,
    media_type: MediaType,
    *,
    charset: str = "utf-8",
    encoding: Encoding | None = None,
    eight_bit: bool = False,
    more_fields: bytes = b"",
) -> Leaf:
    """A part of text, in lines.

    Raises:
        ValueError: if it does not fit the charset or the encoding.
    """
    content = canonical(text, charset)
    chosen = _fitting(content, encoding, eight_bit=eight_bit)
    fields = _text_fields(media_type, mime_charset(charset), chosen)
    return Leaf(fields + more_fields, encode(content, chosen), chosen, media_type.name)


def _fitting(content: bytes, wanted: Encoding | None, *, eight_bit: bool) -> Encoding:
    """The encoding that was wanted; where 8bit is impossible, for the server or the content, what is needed."""
    if wanted is None:
        return choose(content)
    problem = why_not(content, wanted)
    if wanted == "8bit" and (problem is not None or not eight_bit or content.isascii()):
        return choose(content)
    if problem is not None:
        raise ValueError(f"{wanted} is impossible: {problem}")
    return wanted


@lru_cache(maxsize=256)
def _text_fields(media_type: MediaType, charset: str, encoding: Encoding) -> bytes:
    values = (("charset", charset), *(each for each in media_type.parameters if each[0] != "charset"))
    return _content_fields(MediaType(media_type.name, values), encoding)


@lru_cache(maxsize=256)
def _content_fields(media_type: MediaType, encoding: Encoding) -> bytes:
    field = parameters("Content-Type", media_type.name, dict(media_type.parameters))
    return b"%sContent-Transfer-Encoding: %s\r\n" % (field, encoding.encode())


def octets_leaf(content: bytes, media_type: MediaType) -> Leaf:
    """A part of any octets, in base64."""
    return Leaf(_content_fields(media_type, "base64"), encode(content, "base64"), "base64", media_type.name)


def attachment_leaf(
    attachment: Attachment, *, inline_id: str | None = None, eight_bit: bool = False, utf8: bool = False
) -> Leaf:
    """The part that an attachment becomes.

    Args:
        inline_id: its Content-ID where it is shown in the HTML.

    Raises:
        ValueError: if it can't be read, or not be written so.
    """
    contents = attachment.contents
    if not isinstance(contents, Contents):
        body, encoding = _message_body(lambda: contents.octets(eight_bit=eight_bit, utf8=False), eight_bit=eight_bit)
    elif attachment.is_message:
        body, encoding = _message_body(lambda: _in_lines(contents.pieces()), eight_bit=eight_bit)
    else:
        body, encoding = _content_body(attachment, contents, eight_bit=eight_bit)
    fields = _content_fields(attachment.media_type, encoding) + _attachment_fields(attachment, inline_id, utf8=utf8)
    return Leaf(fields, body, encoding, attachment.media_type.name)


def _attachment_fields(attachment: Attachment, inline_id: str | None, *, utf8: bool) -> bytes:
    names = {} if attachment.name is None else {"filename": attachment.name}
    disposition = attachment.disposition if inline_id is None else "inline"
    fields = [parameters("Content-Disposition", disposition, names)]
    if content_id := inline_id or attachment.content_id:
        fields.append(b"Content-ID: <%s>\r\n" % content_id.encode("ascii"))
    if attachment.description is not None:
        fields.append(unstructured("Content-Description", attachment.description, utf8=utf8))
    if attachment.language is not None:
        fields.append(unstructured("Content-Language", attachment.language))
    return b"".join(fields)


def _content_body(attachment: Attachment, contents: Contents, *, eight_bit: bool) -> tuple[Piece, Encoding]:
    wanted = attachment.encoding or "base64"
    if isinstance(contents, OctetContents) and contents.size <= _KEPT_BYTES:
        chosen = _fitting(contents.data, wanted, eight_bit=eight_bit)
        return encode(contents.data, chosen), chosen
    if wanted == "quoted-printable":
        return _measured(lambda: encode_pieces(contents.pieces(), "quoted-printable"), None), wanted
    if wanted == "7bit" or (wanted == "8bit" and eight_bit):
        check = LineCheck()
        body = _measured(contents.pieces, check)
        if check.problem is None and (wanted == "8bit" or check.is_ascii):
            return body, wanted
        if wanted == "7bit":
            raise ValueError(f"7bit is impossible: {check.problem or 'it is not ASCII'}")
    return Streamed(lambda: encode_pieces(contents.pieces(), "base64"), base64_size(contents.size)), "base64"


def _message_body(pieces: Pieces, *, eight_bit: bool) -> tuple[Piece, Encoding]:
    check = LineCheck()
    body = _measured(pieces, check)
    if check.problem is not None:
        raise ValueError(f"a message in a message: {check.problem}")
    if not check.is_ascii and not eight_bit:
        raise ValueError("a message in a message is 8-bit, and can't be encoded for a server that does not take that")
    return body, "7bit" if check.is_ascii else "8bit"


def _in_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    repair = NewlineRepair(stuffed=False)
    for piece in pieces:
        yield repair.feed(piece)
    yield repair.end()


def _measured(pieces: Pieces, check: LineCheck | None) -> Piece:
    """What comes in pieces, at once if it is short; else with its size, which is found by going through it."""
    kept, size = list[bytes](), 0
    for piece in pieces():
        size += len(piece)
        if check is not None:
            check.feed(piece)
        if size <= _KEPT_BYTES:
            kept.append(piece)
    if check is not None:
        check.end()
    if size <= _KEPT_BYTES:
        return b"".join(kept)
    return Streamed(pieces, size, is_ascii=check is None or check.is_ascii)


def written(root: Part, seed: str, *, given: bool = False) -> tuple[bytes, list[Piece]]:
    """The Content- fields of a message and its body.

    Args:
        root: all of it.
        seed: what boundaries are made of, such as the Message-ID; `given`: it becomes a part of them as it is.
    """
    if isinstance(root, Leaf):
        return root.fields, [root.body]
    out = list[Piece]()
    fields, _ = _write_multipart(root, _stem(root, seed, given=given), 0, out)
    out.append(b"\r\n")
    return fields, out


def _write_multipart(part: Multipart, stem: str, level: int, out: list[Piece]) -> tuple[bytes, bool]:
    """Write the body of a multipart into `out`; gives its fields, and whether anything in it is 8-bit."""
    boundary = f"{stem}.{level}".encode()
    delimiter, eight_bit = b"--" + boundary + b"\r\n", False
    for each in part.parts:
        out.append(delimiter)
        if isinstance(each, Leaf):
            out += (each.fields, b"\r\n", each.body, b"\r\n")
            eight_bit = eight_bit or each.encoding == "8bit"
        else:
            slot = len(out)
            out.append(b"")
            fields, inside = _write_multipart(each, stem, level + 1, out)
            out[slot] = fields + b"\r\n"
            out.append(b"\r\n")
            eight_bit = eight_bit or inside
    out.append(b"--" + boundary + b"--")
    root_type = f' type="{part.parts[0].type_name}";' if part.kind == "related" else ""  # RFC 2387 3.1
    fields = f'Content-Type: multipart/{part.kind};{root_type}\r\n boundary="'.encode() + boundary + b'"\r\n'
    return (fields + b"Content-Transfer-Encoding: 8bit\r\n" if eight_bit else fields), eight_bit  # RFC 2045 6.4


def _stem(root: Multipart, seed: str, *, given: bool) -> str:
    raw = [leaf.body for leaf in _leaves(root) if leaf.encoding in ("7bit", "8bit")]
    turn = 0
    while True:
        text = seed if given and not turn else f"{seed}{turn or ''}"
        stem = f"=_{text if given else hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"
        if not any(_occurs(stem.encode(), body) for body in raw):
            return stem
        turn += 1


def _leaves(part: Part) -> Iterator[Leaf]:
    if isinstance(part, Leaf):
        yield part
    else:
        for each in part.parts:
            yield from _leaves(each)


def _occurs(stem: bytes, body: Piece) -> bool:
    if isinstance(body, bytes):
        return stem in body
    tail = b""
    for piece in body.pieces():
        if stem in tail + piece:
            return True
        tail = (tail + piece)[1 - len(stem) :]
    return False
