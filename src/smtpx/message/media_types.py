"""Media types (RFC 2045 5.1, RFC 6838): as they are written, and which one a file's name stands for."""

import re
from functools import lru_cache
from mimetypes import MimeTypes
from typing import NamedTuple

from smtpx.wire.syntax import escape, has_controls

__all__ = ["MediaType", "parse_media_type", "type_of_name"]

UNKNOWN = "application/octet-stream"
_WORD = r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+"
_TYPE = re.compile(rf"({_WORD}/{_WORD})[ \t]*")
_PARAMETER = re.compile(rf';[ \t]*({_WORD})=({_WORD}|"(?:[^"\\]|\\.)*")[ \t]*')
_MAX_NAME_CHARS = 127  # RFC 6838 4.2, on each side of the slash
# What Python does not know in all its versions.
_ALSO = {
    ".7z": "application/x-7z-compressed",
    ".avif": "image/avif",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".eml": "message/rfc822",
    ".gz": "application/gzip",
    ".heic": "image/heic",
    ".ics": "text/calendar",
    ".md": "text/markdown",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".rar": "application/vnd.rar",
    ".rtf": "application/rtf",
    ".vcf": "text/vcard",
    ".webp": "image/webp",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}


class MediaType(NamedTuple):
    """A type with its parameters, such as `text/calendar` and `(("method", "REQUEST"),)`; names are in lower case."""

    name: str
    parameters: tuple[tuple[str, str], ...] = ()


@lru_cache(maxsize=256)
def parse_media_type(text: str) -> MediaType:
    """Read a media type.

    >>> parse_media_type('text/calendar; method=REQUEST')
    MediaType(name='text/calendar', parameters=(('method', 'REQUEST'),))

    Raises:
        ValueError: if it is none.
    """
    match = _TYPE.match(text)
    if match is None or has_controls(text) or max(map(len, match[1].split("/"))) > _MAX_NAME_CHARS:
        raise ValueError(f"not a media type: {escape(text)}")
    name, position, parameters = match[1].lower(), match.end(), dict[str, str]()
    while parameter := _PARAMETER.match(text, position):
        value = parameter[2]
        parameters[parameter[1].lower()] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value[0] == '"' else value
        position = parameter.end()
    if position != len(text):
        raise ValueError(f"not a media type: {escape(text)}")
    return MediaType(name, tuple(parameters.items()))


@lru_cache(maxsize=256)
def type_of_name(name: str) -> str:
    """The media type that a file's name stands for; the same on every machine.

    >>> type_of_name("Report.PDF"), type_of_name("noext")
    ('application/pdf', 'application/octet-stream')
    """
    dot = name.rfind(".")
    suffix = name[dot:].lower() if dot >= 0 else ""
    known = _ALSO.get(suffix) or _python_knows().types_map[True].get(suffix)
    return known or _python_knows().types_map[False].get(suffix) or UNKNOWN


@lru_cache(maxsize=1)
def _python_knows() -> MimeTypes:
    return MimeTypes()  # its own table, without what the machine has in /etc
