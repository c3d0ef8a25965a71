"""Transfer encodings (RFC 2045 6): which one some content needs, and the content in it, whole or in pieces.

Everything here works on whole blocks, in C; what comes in pieces goes out in pieces, in constant memory.

>>> choose("viele Grüße\\r\\n".encode()), choose("привет\\r\\n".encode())
('quoted-printable', 'base64')
>>> encode("viele Grüße\\r\\n".encode(), "quoted-printable")
b'viele Gr=C3=BC=C3=9Fe\\r\\n'
"""

import binascii
import codecs
import re
import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal, TypeAlias, get_args

from smtpx.wire.dots import NewlineCheck
from smtpx.wire.syntax import WireError, escape

__all__ = [
    "ENCODINGS",
    "Encoding",
    "LineCheck",
    "base64_size",
    "canonical",
    "choose",
    "encode",
    "encode_pieces",
    "mime_charset",
    "why_not",
]

Encoding: TypeAlias = Literal["7bit", "8bit", "quoted-printable", "base64"]
ENCODINGS: frozenset[str] = frozenset(get_args(Encoding))

_MAX_LINE_BYTES = 998  # RFC 5322 2.1.1, without CRLF
_LINE_IN, _LINE_OUT = 57, 76  # RFC 2045 6.8: 76 characters of base64 are 57 octets
_LINES = 1024
_BLOCK = _LINE_IN * _LINES
_CUT_BLOCK = struct.Struct(f"{_LINE_OUT}s" * _LINES).unpack
_CUT_LINES = re.compile(rb".{1,76}").findall
# What quoted-printable leaves as it is, more or less; the rest takes three octets each.
_PLAIN = bytes(octet for octet in range(0x20, 0x7F) if octet != ord("=")) + b"\r\n\t"
_FROM_LINE = re.compile(rb"(?m)^From (.*?)(\r?)$")
_OVERLONG = re.compile(rb"(?m)^(.{74,75})(=20|=09)(\r?)$")
_OVERLONG_SOFT = re.compile(rb"(?m)^(.{75})(.)=(\r?)$")
_ESCAPED = re.compile(rb"=[0-9A-F]?\Z")


def canonical(text: str, charset: str) -> bytes:
    """Text as the octets of lines that end in CRLF, the last one too.

    Raises:
        ValueError: if a character does not exist in the charset.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text and text[-1] != "\n":
        text += "\n"
    try:
        return text.replace("\n", "\r\n").encode(charset)
    except UnicodeEncodeError as error:
        raise ValueError(f"{escape(text[error.start : error.end])} does not exist in {charset}") from None


@lru_cache(maxsize=64)
def mime_charset(codec: str) -> str:
    """The MIME name of one of Python's codecs for text (IANA's registry), in lower case.

    >>> mime_charset("latin-1"), mime_charset("cp1252"), mime_charset("UTF8")
    ('iso-8859-1', 'windows-1252', 'utf-8')

    Raises:
        ValueError: if there is no such codec, or it is not one for text that is sent.
    """
    try:
        found = codecs.lookup(codec)
        "a\r\n".encode(codec)
    except (LookupError, UnicodeError, ValueError):
        raise ValueError(f"not a charset: {escape(codec)}") from None
    name = found.name.replace("_", "-")
    if name in _NOT_SENT:
        raise ValueError(f"not a charset that is sent: {escape(codec)}")
    for prefix, registered in _PREFIXES:
        if name.startswith(prefix):
            return registered + name.removeprefix(prefix)
    return _REGISTERED.get(name, name)


_NOT_SENT = {
    "idna",
    "punycode",
    "unicode-escape",
    "raw-unicode-escape",
    "undefined",
    "utf-8-sig",
    "utf-7",
    "mbcs",
    "oem",
}
_PREFIXES = (("iso8859-", "iso-8859-"), ("iso2022-", "iso-2022-"), ("cp125", "windows-125"))
_REGISTERED = {
    "ascii": "us-ascii",
    "shift-jis": "shift_jis",
    "hz": "hz-gb-2312",
    "mac-roman": "macintosh",
    "cp874": "windows-874",
}


def choose(content: bytes) -> Encoding:
    """7bit if that is possible, else quoted-printable for what is mostly ASCII, else base64."""
    if content.isascii() and _fits_lines(content):
        return "7bit"
    odd = len(content.translate(None, _PLAIN))
    return "quoted-printable" if odd * 3 <= len(content) else "base64"


def _fits_lines(content: bytes) -> bool:
    """Whether content can stand in a message as it is: lines ending in CRLF, not too long, and no NUL."""
    if b"\0" in content or not _has_lines(content):
        return False
    return len(content) <= _MAX_LINE_BYTES or max(map(len, content.split(b"\r\n"))) <= _MAX_LINE_BYTES


def _has_lines(content: bytes) -> bool:
    """Whether each CR and LF belongs to a CRLF."""
    return content.count(b"\n") == content.count(b"\r\n") == content.count(b"\r")


def why_not(content: bytes, encoding: Encoding) -> str | None:
    """Why content can't have an encoding; None if it can."""
    if encoding == "7bit" and not content.isascii():
        return "it is not ASCII"
    if encoding in ("7bit", "8bit") and not _fits_lines(content):
        return "it has a NUL, a line of more than 998 octets, or lines that don't end in CRLF"
    return None


def encode(content: bytes, encoding: Encoding) -> bytes:
    """Content in an encoding; every octet comes out again. Base64 always ends in CRLF."""
    if encoding == "base64":
        return _base64(content)
    return _quoted_printable(content) if encoding == "quoted-printable" else content


def base64_size(size: int) -> int:
    """How many octets `size` octets become in base64, line ends included."""
    return -(-size // 3) * 4 + -(-size // _LINE_IN) * 2


def encode_pieces(pieces: Iterable[bytes], encoding: Encoding) -> Iterator[bytes]:
    """Content that comes in pieces of any size, in an encoding; see `encode`."""
    if encoding == "base64":
        return _base64_pieces(pieces)
    return _quoted_printable_pieces(pieces) if encoding == "quoted-printable" else iter(pieces)


def _base64(content: bytes) -> bytes:
    if not content:
        return b""
    octets = binascii.b2a_base64(content, newline=False)
    lines = _CUT_BLOCK(octets) if len(content) == _BLOCK else _CUT_LINES(octets)
    return b"\r\n".join([*lines, b""])


def _base64_pieces(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        rest += piece
        whole = len(rest) - len(rest) % _BLOCK
        for start in range(0, whole, _BLOCK):
            yield _base64(rest[start : start + _BLOCK])
        rest = rest[whole:]
    yield _base64(rest)


def _quoted_printable(content: bytes) -> bytes:
    """Lines that end in CRLF stay lines, unless there is a CR or LF alone: then all of them are encoded."""
    if not content:
        return b""
    if _has_lines(content):
        octets = binascii.b2a_qp(content if content.endswith(b"\r\n") else content + b"\r\n")
        octets = octets if content.endswith(b"\r\n") else octets[:-2]
    else:
        octets = binascii.b2a_qp(content, istext=False).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        octets = _OVERLONG_SOFT.sub(rb"\1=\r\n\2=\3", octets)  # the library's, in front of an LF that is encoded
    if b"=\r\n." in octets:  # the library encodes a lone dot only where a line of the content begins
        octets = octets.replace(b"=\r\n.\r\n", b"=\r\n=2E\r\n")
        octets = octets[:-1] + b"=2E" if octets.endswith(b"=\r\n.") else octets
    if b"=20" in octets or b"=09" in octets:  # nor does it look at the length when it encodes a trailing blank
        octets = _OVERLONG.sub(rb"\1=\r\n\2\3", octets)
    return _FROM_LINE.sub(_hide_from, octets) if b"From " in octets else octets


def _hide_from(line: re.Match[bytes]) -> bytes:
    """`From ` where a line begins gets a `>` from some stores. A line that would be too long is broken behind it."""
    rest, end = line[1], line[2]
    if len(rest) <= _LINE_OUT - len("=46rom "):
        return b"=46rom " + rest + end
    return b"=46rom =\r\n" + _FROM_LINE.sub(_hide_from, rest) + end


def _quoted_printable_pieces(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        rest += piece
        if len(rest) < _BLOCK:
            continue
        cut = rest.rfind(b"\r\n") + 2
        if cut < 2:
            cut = len(rest) - rest.endswith(b"\r")
        octets = _quoted_printable(rest[:cut])
        yield octets if octets.endswith(b"\r\n") else _soft_end(octets)
        rest = rest[cut:]
    yield _quoted_printable(rest)


def _soft_end(octets: bytes) -> bytes:
    """End a line that goes on in the next block."""
    start = octets.rfind(b"\n") + 1
    if len(octets) - start < _LINE_OUT:
        return octets + b"=\r\n"
    head, tail = octets[: start + _LINE_OUT - 1], octets[start + _LINE_OUT - 1 :]
    if escaped := _ESCAPED.search(head):
        head, tail = head[: escaped.start()], escaped[0] + tail
    return b"%s=\r\n%s=\r\n" % (head, tail)


class LineCheck:
    """Looks through content in pieces that is to stand in a message as it is, as 7bit or 8bit.

    Attributes:
        is_ascii: nothing else was seen.
        problem: what forbids it, the first thing found.
    """

    def __init__(self) -> None:
        self.is_ascii = True
        self.problem: str | None = None
        self._newlines = NewlineCheck()
        self._line_bytes = 0

    def feed(self, piece: bytes) -> None:
        """Look at one more piece."""
        self.is_ascii = self.is_ascii and piece.isascii()
        if self.problem is None:
            self.problem = self._problem_in(piece)

    def end(self) -> None:
        """That was all."""
        try:
            self._newlines.end()
        except WireError as error:
            self.problem = self.problem or error.detail

    def _problem_in(self, piece: bytes) -> str | None:
        if b"\0" in piece:
            return "it has a NUL"
        try:
            self._newlines.feed(piece)
        except WireError as error:
            return error.detail
        first, *others = piece.split(b"\n")
        longest = max(self._line_bytes + len(first), *map(len, others), 0)
        self._line_bytes = len(others[-1]) if others else self._line_bytes + len(first)
        return f"a line of more than {_MAX_LINE_BYTES} octets" if longest > _MAX_LINE_BYTES + 1 else None
