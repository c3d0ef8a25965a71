"""Parameters of Content-Type and Content-Disposition, both ways (RFC 2045 5.1, RFC 2183, RFC 2231).

>>> write_parameter("filename", "Grüße.txt")
("filename*=utf-8''Gr%C3%BC%C3%9Fe.txt", 'filename="Gr__e.txt"')
"""

import re
import unicodedata
from itertools import count

from smtpx.message.encoded_words import cut_escaped
from smtpx.wire.syntax import escape, has_controls

__all__ = ["TOKEN", "write_parameter"]

TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+^_`{|}~.-]+")  # RFC 2045 5.1
_NAME = re.compile(r"[A-Za-z0-9!#$&+^_`{|}~.-]{1,40}")  # RFC 2231 7: without * ' %
_MAX_CHARS = 76  # a parameter, with the blank before it and the semicolon behind it
_WITH_FALLBACK = frozenset({"filename", "name"})  # readers that don't know RFC 2231 show these to people

# RFC 2231 7: attribute-char
_LITERAL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`{|}~"
_PERCENT = [chr(octet) if octet in _LITERAL else f"%{octet:02X}" for octet in range(256)]


def write_parameter(name: str, value: str) -> tuple[str, ...]:
    """`name=value` in one or more pieces, none of which may be folded.

    What is not ASCII is percent-encoded UTF-8, what is long stands in continuations. A file's name has a form in ASCII
    behind that; readers that know RFC 2231 take the first one, those that don't the last.

    Raises:
        ValueError: for a name that is none, or a value with a control character.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"not the name of a parameter: {escape(name)}")
    if has_controls(value):
        raise ValueError(f"{name}: a control character, or something that is not text: {escape(value)}")
    if value.isascii() and "=?" not in value:  # that some readers take for an encoded-word
        written = f"{name}={value}" if TOKEN.fullmatch(value) else f"{name}={_quoted(value)}"
        if len(written) <= _MAX_CHARS - 2:
            return (written,)
    fallback = (f'{name}="{_fallback(value, _MAX_CHARS - len(name) - 5)}"',) if name in _WITH_FALLBACK else ()
    return (*_encoded(name, value), *fallback)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _encoded(name: str, value: str) -> list[str]:
    encoded = "".join(map(_PERCENT.__getitem__, value.encode()))
    whole = f"{name}*=utf-8''{encoded}"
    if len(whole) <= _MAX_CHARS - 2:
        return [whole]
    pieces, start = list[str](), 0
    for number in count():
        head = f"{name}*{number}*=" + ("" if number else "utf-8''")
        end = cut_escaped(encoded, start, _MAX_CHARS - 2 - len(head), "%")
        pieces.append(head + encoded[start:end])
        if end == len(encoded):
            break
        start = end
    return pieces


def _fallback(value: str, max_chars: int) -> str:
    """ASCII that looks like it: accents off, the rest as underscores, cut before the suffix."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", value) if not unicodedata.combining(char))
    plain = "".join(char if " " <= char <= "~" and char not in '"\\%' else "_" for char in plain).replace("=?", "_?")
    if len(plain) <= max_chars:
        return plain
    stem, dot, suffix = plain.rpartition(".")
    if not stem or len(suffix) > 10:
        return plain[:max_chars]
    return stem[: max_chars - len(suffix) - 1] + dot + suffix
