"""Attachments: what goes along with a message, and what is said of it (RFC 2183).

>>> Attachment(b"%PDF-1.7 ...", "report.pdf").type
'application/pdf'
>>> Attachment.of_text("a;b\\n", "table.csv").type
'text/csv; charset=utf-8'
"""

import re
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from smtpx.message.bodies import ENCODINGS, Encoding, mime_charset
from smtpx.message.contents import BinaryStream, Contents, OctetContents, contents_of
from smtpx.message.media_types import MediaType, parse_media_type, type_of_name
from smtpx.message.sendable import Sendable, is_sendable
from smtpx.wire.syntax import escape, has_controls

if TYPE_CHECKING:
    from email.message import Message as EmailMessage
    from importlib.resources.abc import Traversable
    from types import ModuleType

__all__ = ["Attachment", "AttachmentContent", "Disposition"]

AttachmentContent: TypeAlias = "bytes | bytearray | memoryview | Path | BinaryStream | Contents | Sendable"
Disposition: TypeAlias = Literal["attachment", "inline"]

MESSAGE = "message/rfc822"
_LARGE_BYTES = 1 << 20
_CONTENT_ID = re.compile(r"[!-;=?-~]{1,900}")  # printable ASCII without angle brackets; a line holds it
_LANGUAGE = re.compile(r"[A-Za-z0-9]{1,8}(?:-[A-Za-z0-9]{1,8})*(?:, ?[A-Za-z0-9]{1,8}(?:-[A-Za-z0-9]{1,8})*)*")


@dataclass(frozen=True, slots=True)
class Attachment:
    """Content with a name and a type.

    A file, a `Path` or open, is read when the message is written, piece by piece; an open one from where it stands now,
    even if it is closed meanwhile. Any other stream is read to its end at once, and kept in a temporary file if it has
    more than 1 MiB. Text is never taken for a path.

    Args:
        content: octets, a `Path`, a binary stream, or another message.
        name: the file's name as the recipient sees it, without a path; that of a `Path` by itself.
        type: the media type, with parameters if need be; else what the name stands for, else
            `application/octet-stream`.
        content_id: what `cid:` in the HTML refers to, without angle brackets.
        disposition: "inline" is shown where it stands, "attachment" offered for download.
        description: a few words about it (Content-Description).
        language: of its text, as tags of RFC 5646, separated by commas (Content-Language).
        encoding: base64 unless given. "7bit" and "8bit" are for text in lines that end in CRLF; where "8bit" is
            impossible it is encoded. Another message is never encoded.

    Raises:
        ValueError: for a name with a path or control characters in it, for a bad type, language, encoding or
            content_id, and for a file that can't be read.
        TypeError: for text, and for anything else that holds no octets.
    """

    content: AttachmentContent = field(repr=False)
    name: str | None = None
    _: KW_ONLY
    type: str = ""
    content_id: str | None = None
    disposition: Disposition = "attachment"
    description: str | None = None
    language: str | None = None
    encoding: Encoding | None = None
    contents: Contents | Sendable = field(init=False, repr=False, compare=False)
    media_type: MediaType = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        contents = self.content if is_sendable(self.content) else contents_of(self.content)
        if isinstance(contents, Contents) and hasattr(self.content, "read"):
            put(self, "content", contents)  # a copy of this value must not read the stream again
        if self.name is None and isinstance(self.content, Path):
            put(self, "name", self.content.name)
        _check_name(self.name)
        put(self, "type", self.type or _default_type(self.name, is_message=not isinstance(contents, Contents)))
        put(self, "media_type", parse_media_type(self.type))
        if self.is_message and isinstance(contents, OctetContents):
            contents = _sendable(contents.data)
        put(self, "contents", contents)
        self._check()

    def _check(self) -> None:
        if not self.is_message and not isinstance(self.contents, Contents):
            raise ValueError(f"type: a message in a message is {MESSAGE}, not {escape(self.type)}")
        if self.media_type.name.startswith("multipart/"):
            raise ValueError("type: an attachment has no parts: attach them one by one, or a whole message")
        if self.content_id is not None and _CONTENT_ID.fullmatch(self.content_id) is None:
            raise ValueError(f"content_id: up to 900 of ASCII, no blanks and angle brackets: {escape(self.content_id)}")
        if self.disposition not in ("attachment", "inline"):
            raise ValueError(f'disposition: "attachment" or "inline", not {escape(str(self.disposition))}')
        if self.description is not None and has_controls(self.description):
            raise ValueError(f"description: a control character: {escape(self.description)}")
        if self.language is not None and _LANGUAGE.fullmatch(self.language) is None:
            raise ValueError(f"language: tags like en or de-CH: {escape(self.language)}")
        if self.encoding is not None and self.encoding not in ENCODINGS:
            raise ValueError(f"encoding: one of {', '.join(sorted(ENCODINGS))}, not {escape(str(self.encoding))}")
        if self.is_message and self.encoding not in (None, "7bit", "8bit"):
            raise ValueError("encoding: a message in a message is never encoded (RFC 2046 5.2.1)")

    @property
    def is_message(self) -> bool:
        """Whether it is another message."""
        return self.media_type.name == MESSAGE

    @property
    def is_streamed(self) -> bool:
        """Whether writing it takes its time: a file, a stream, or much of it."""
        if isinstance(self.contents, OctetContents):
            return self.contents.size > _LARGE_BYTES
        return isinstance(self.contents, Contents) or bool(getattr(self.contents, "is_streamed", False))

    @property
    def size(self) -> int | None:
        """How many octets it has before it is encoded; None for a message, which is not written yet."""
        return self.contents.size if isinstance(self.contents, Contents) else None

    @classmethod
    def of_text(cls, text: str, name: str | None = None, *, charset: str = "utf-8", type: str = "") -> "Attachment":
        """Text as an attachment; its line ends stay as they are.

        Raises:
            ValueError: if it does not fit the charset; and as above.
        """
        registered = mime_charset(charset)
        try:
            octets = text.encode(charset)
        except UnicodeEncodeError as error:
            raise ValueError(f"{escape(text[error.start : error.end])} does not exist in {charset}") from None
        type = type or (type_of_name(name) if name and type_of_name(name).startswith("text/") else "text/plain")
        return cls(octets, name, type=f"{type}; charset={registered}")

    @classmethod
    def of_resource(cls, package: "str | ModuleType", resource: str, name: str | None = None) -> "Attachment":
        """A file that lies in a Python package.

        Raises:
            ValueError: if it is not there.
        """
        from importlib.resources import files

        found: Traversable = files(package).joinpath(resource)
        if isinstance(found, Path):
            return cls(found, name)
        try:
            octets = found.read_bytes()
        except OSError as error:
            raise ValueError(f"{package} has no {resource}: {error}") from error
        return cls(octets, name or resource.rpartition("/")[2])

    @classmethod
    def of_message(cls, message: "Sendable | bytes | EmailMessage[Any, Any]", name: str | None = None) -> "Attachment":
        """Another message, as a part of this one (message/rfc822): one of ours, octets, or an e-mail object."""
        return cls(_sendable(message), name, type=MESSAGE)


def _sendable(message: "Sendable | bytes | EmailMessage[Any, Any]") -> Sendable:
    if is_sendable(message):
        return message
    from smtpx.message.eml import Eml, Raw

    return Eml(message) if isinstance(message, bytes) else Raw(cast("EmailMessage[Any, Any]", message))


def _default_type(name: str | None, *, is_message: bool) -> str:
    if is_message:
        return MESSAGE
    return type_of_name(name) if name else "application/octet-stream"


def _check_name(name: str | None) -> None:
    """A name is no path: `../x` and `C:\\x` are how files get where they don't belong."""
    if name is None:
        return
    if has_controls(name):
        raise ValueError(f"name: a control character: {escape(name)}")
    if "/" in name or "\\" in name or name in ("", ".", ".."):
        raise ValueError(f"name: a file's name without a path: {escape(name)}")
