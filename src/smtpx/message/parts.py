"""The parts of a message that was read: a tree, with contents decoded when somebody asks (RFC 2045, RFC 2046)."""

import re
from binascii import Error, a2b_base64, a2b_qp
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from smtpx.message.charsets import codec_of, decode
from smtpx.message.header_block import HeaderBlock, split_header
from smtpx.message.parameters import read_parameters

__all__ = ["EmlLimits", "Part", "read_parts"]

_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")
_MAX_BOUNDARY_CHARS = 200  # RFC 2046 5.1.1 says 70
_IDENTITY = frozenset({"", "7bit", "8bit", "binary"})
_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NO_DIGIT = bytes(octet for octet in range(256) if octet not in _DIGITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmlLimits:
    """How much of a message is looked into. What is beyond is kept as it is, and told as a defect.

    Attributes:
        max_bytes: of the whole message; more can't be read at all.
        max_header_bytes: of one header, that of the message or of a part.
        max_headers: fields in one header.
        max_depth: of multiparts within multiparts.
        max_parts: of all levels together.
    """

    max_bytes: int = 268_435_456
    max_header_bytes: int = 1_048_576
    max_headers: int = 2_000
    max_depth: int = 32
    max_parts: int = 1_000


class Part:
    """One part: the message itself, or what is between two boundaries.

    Attributes:
        header: its fields.
        parts: those within it, empty for what is no multipart.
        defects: what is wrong with it, not with those within it.
        view: its body, as it stands in the message.
        is_related: whether others in the same multipart/related may refer to it.
        is_alternative: whether it is one form of several.
    """

    def __init__(self, header: HeaderBlock, body: memoryview, defects: list[str], parent: "Part | None" = None) -> None:
        self.header = header
        self.defects = defects
        self.parts: tuple[Part, ...] = ()
        self.view = body
        kind = parent.content_type if parent is not None else ""
        self.is_alternative = kind == "multipart/alternative"
        self._default_type = "message/rfc822" if kind == "multipart/digest" else "text/plain"  # RFC 2046 5.1.5
        self.is_related = kind == "multipart/related"

    def __repr__(self) -> str:
        return f"<Part {self.content_type} {len(self.view)} octets>"

    @cached_property
    def _content_type(self) -> tuple[str, Mapping[str, str]]:
        value, parameters = read_parameters(self.header.text("Content-Type"))
        return (value if _TYPE.fullmatch(value) else self._default_type), parameters  # RFC 2045 5.2

    @cached_property
    def _disposition(self) -> tuple[str, Mapping[str, str]]:
        return read_parameters(self.header.text("Content-Disposition"))

    @property
    def content_type(self) -> str:
        """Type and subtype in lower case, `text/plain` where there is none that can be read."""
        return self._content_type[0]

    @property
    def parameters(self) -> Mapping[str, str]:
        """The parameters of Content-Type."""
        return self._content_type[1]

    @property
    def charset(self) -> str:
        """As it is named, empty where it is not."""
        return self.parameters.get("charset", "")

    @property
    def disposition(self) -> str:
        """`attachment`, `inline` or empty."""
        return self._disposition[0]

    @property
    def filename(self) -> str | None:
        """The name of the file, without directories; it is a stranger's choice all the same."""
        name = self._disposition[1].get("filename") or self.parameters.get("name") or ""
        base = re.split(r"[/\\]", name)[-1].strip()
        return base if base.strip(".") else None

    @property
    def content_id(self) -> str | None:
        """The Content-ID without brackets, which is what `cid:` refers to."""
        return self.header.text("Content-ID").removeprefix("<").removesuffix(">") or None

    @property
    def encoding(self) -> str:
        """The Content-Transfer-Encoding in lower case."""
        return read_parameters(self.header.text("Content-Transfer-Encoding"))[0]

    @property
    def octets(self) -> bytes:
        """The body as it stands in the message."""
        return bytes(self.view)

    @property
    def content(self) -> bytes:
        """The body, decoded; as it stands where the encoding is unknown. Decoded anew each time."""
        encoding = self.encoding
        if encoding == "base64":
            return _base64(self.octets)
        return a2b_qp(self.octets) if encoding == "quoted-printable" else self.octets

    @property
    def text(self) -> str:
        """The content as text, lines ending in LF."""
        return decode(self.content, self.charset).replace("\r\n", "\n")

    @property
    def is_body(self) -> bool:
        """Whether it is what people read: text or HTML that is neither attached nor has a name."""
        is_text = self.content_type in ("text/plain", "text/html") or self.is_broken
        return is_text and self.disposition != "attachment" and self.filename is None

    @property
    def is_broken(self) -> bool:
        """Whether it is a multipart in which no part was found: its octets are all there is to read."""
        return not self.parts and self.content_type.startswith("multipart/")

    @property
    def is_inline(self) -> bool:
        """Whether a body shows it in its place: it can be referred to, or says so."""
        if self.is_body or self.disposition == "attachment" or self.content_type.startswith("message/"):
            return False
        if self.content_id is None:
            return self.disposition == "inline" and self.content_type.startswith("image/")
        return self.is_related or self.disposition == "inline"

    @property
    def is_form(self) -> bool:
        """Whether it is one more form of the body, such as a calendar."""
        return self.is_alternative and not self.is_body

    def leaves(self) -> "Iterator[Part]":
        """Itself, or the parts within it that have none, in order."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()

    def numbered(self, number: str = "1") -> "Iterator[tuple[str, Part]]":
        """Itself and all within it, in order, with numbers: `1`, `1.1`, `1.2`."""
        yield number, self
        for index, part in enumerate(self.parts, 1):
            yield from part.numbered(f"{number}.{index}")

    def content_defects(self) -> list[str]:
        """What is wrong with the coding of the content."""
        found = list[str]()
        if self.parts:
            return found
        if self.encoding == "base64" and self.octets.translate(None, _DIGITS + b"= \t\r\n"):
            found.append("octets that are not base64")
        if self.encoding not in _IDENTITY | {"base64", "quoted-printable"}:
            found.append("a transfer encoding that nobody knows")
        if self.charset and codec_of(self.charset) is None and self.content_type.startswith("text/"):
            found.append("a character set that nobody knows")
        return found


def _base64(octets: bytes) -> bytes:
    try:
        return a2b_base64(octets + b"==")
    except Error:  # a character too many: the last one means nothing
        kept = octets.translate(None, _NO_DIGIT)
        return a2b_base64(kept[: len(kept) - (len(kept) % 4 == 1)] + b"==")


def read_parts(body: memoryview, header: HeaderBlock, limits: EmlLimits) -> Part:
    """The tree of parts of a message. Never raises."""
    root = Part(header, body, [])
    counted = 1
    level = [root]
    for depth in range(limits.max_depth + 1):
        below = list[Part]()
        for part in level:
            if not part.content_type.startswith("multipart/"):
                continue
            if depth == limits.max_depth:
                part.defects.append(f"more than {limits.max_depth} multiparts within each other: not looked into")
                continue
            part.parts = tuple(_children(part, limits, limits.max_parts - counted))
            counted += len(part.parts)
            below += part.parts
        level = below
    return root


def _children(part: Part, limits: EmlLimits, room: int) -> Iterator[Part]:
    boundary = part.parameters.get("boundary", "").rstrip()
    if not boundary or len(boundary) > _MAX_BOUNDARY_CHARS:
        part.defects.append("a multipart without a boundary")
        return
    pattern = rb"(?:\A|\r?\n)--" + re.escape(boundary.encode("utf-8", "replace")) + rb"(--)?+[ \t]*+(?=\r?\n|\r?\Z)"
    body, start = part.view, None
    for match in re.finditer(pattern, body):
        if start is not None:
            if not room:
                part.defects.append(f"more than {limits.max_parts} parts: the others are not looked into")
                return
            room -= 1
            yield _child(part, body[start : match.start()], limits)
        if match[1] is not None:
            return
        start = match.end() + (2 if body[match.end() : match.end() + 2].tobytes() == b"\r\n" else 1)
    part.defects.append("a multipart that does not end" if start is not None else "a multipart without its boundary")
    if start is not None and room:
        yield _child(part, body[start:], limits)


def _child(parent: Part, octets: memoryview, limits: EmlLimits) -> Part:
    beginning = bytes(octets[: limits.max_header_bytes + 1])
    header, start, defects = split_header(beginning, max_bytes=limits.max_header_bytes, max_fields=limits.max_headers)
    return Part(header, octets[start:], defects, parent)
