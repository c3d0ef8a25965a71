"""Parameters of Content-Type and Content-Disposition, both ways (RFC 2045 5.1, RFC 2183, RFC 2231).

>>> write_parameter("filename", "Grüße.txt")
("filename*=utf-8''Gr%C3%BC%C3%9Fe.txt", 'filename="Gru_e.txt"')
"""

import re
import unicodedata
from itertools import islice

from smtpx.message.charsets import decode
from smtpx.message.encoded_words import cut_escaped, decode_words, without_controls
from smtpx.wire.syntax import escape, has_controls

__all__ = ["TOKEN", "read_parameters", "write_parameter"]

TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+^_`{|}~.-]+")  # RFC 2045 5.1
_PLAIN = re.compile(r"[A-Za-z0-9+._-]+")  # a token that nobody takes for anything else; others are quoted
_MISREAD = re.compile(r'=\?|["\\]')  # encoded-words to some readers; escaped quotes are the end to others
_NAME = re.compile(r"[A-Za-z0-9!#$&+^_`{|}~.-]{1,40}")  # RFC 2231 7: without * ' %
_MAX_CHARS = 76  # a parameter, with the blank before it and the semicolon behind it
_WITH_FALLBACK = frozenset({"filename", "name"})  # readers that don't know RFC 2231 show these to people

# One parameter; possessive, so that nothing is tried twice.
_ONE = re.compile(r';[ \t]*+([^\s=;"]++)[ \t]*+=[ \t]*+("[^"\\]*+(?:\\.[^"\\]*+)*+"?+|[^;"]*+)', re.DOTALL)
_SECTION = re.compile(r"([^*]+)(?:\*([0-9]{1,4}))?(\*)?")
_COMMENT = re.compile(r"[ \t]*\([^()]*\)[ \t]*\Z")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PERCENTED = re.compile(rb"%([0-9A-Fa-f]{2})")
_MOST = 500

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
    if value.isascii() and not _MISREAD.search(value):
        written = f"{name}={value}" if _PLAIN.fullmatch(value) else f'{name}="{value}"'
        if len(written) <= _MAX_CHARS - 2:
            return (written,)
    fallback = (f'{name}="{_fallback(value, _MAX_CHARS - len(name) - 5)}"',) if name in _WITH_FALLBACK else ()
    return (*_encoded(name, value), *fallback)


def _encoded(name: str, value: str) -> list[str]:
    encoded = "".join(map(_PERCENT.__getitem__, value.encode()))
    whole = f"{name}*=utf-8''{encoded}"
    if len(whole) <= _MAX_CHARS - 2:
        return [whole]
    pieces, start = list[str](), 0
    while start < len(encoded):
        head = f"{name}*{len(pieces)}*=" + ("" if pieces else "utf-8''")
        end = cut_escaped(encoded, start, _MAX_CHARS - 2 - len(head), "%")
        pieces.append(head + encoded[start:end])
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


def read_parameters(text: str) -> tuple[str, dict[str, str]]:
    """What stands before the parameters, in lower case, and their values by name. Never raises.

    Takes what senders write against the rules too: blanks without quotes, encoded-words. Of more forms of one
    parameter RFC 2231's counts, then the first.

    >>> read_parameters("Attachment; filename*=utf-8''%C3%A4.txt; filename=a.txt")
    ('attachment', {'filename': 'ä.txt'})
    """
    value = _COMMENT.sub("", text.partition(";")[0]).strip().lower()
    plain, sections = dict[str, str](), dict[str, dict[int, tuple[str, bool]]]()
    for match in islice(_ONE.finditer(text), _MOST):
        form = _SECTION.fullmatch(match[1].lower())
        if form is None:
            continue
        content = _content(match[2])
        if form[2] is None and form[3] is None:
            plain.setdefault(form[1], without_controls(decode_words(content)))
        else:
            sections.setdefault(form[1], {}).setdefault(int(form[2] or 0), (content, form[3] is not None))
    return value, plain | {name: _joined(found) for name, found in sections.items() if 0 in found}


def _content(written: str) -> str:
    if written.startswith('"'):
        return _ESCAPED.sub(r"\1", written[1:].removesuffix('"'))
    return _COMMENT.sub("", written).strip()


def _joined(sections: dict[int, tuple[str, bool]]) -> str:
    """Continuations put together, up to the first gap; octets are decoded over their borders."""
    text, is_encoded = sections[0]
    charset = ""
    if is_encoded and text.count("'") >= 2:
        charset, _, text = text.split("'", 2)
    octets = bytearray()
    for number in range(len(sections)):
        if number not in sections:
            break
        piece, is_encoded = (text, is_encoded) if number == 0 else sections[number]
        octets += _unescaped(piece) if is_encoded else piece.encode("utf-8", "replace")
    return without_controls(decode(bytes(octets), charset))


def _unescaped(text: str) -> bytes:
    return _PERCENTED.sub(lambda match: bytes.fromhex(match[1].decode()), text.encode("utf-8", "replace"))
