"""Encoded-words, both ways (RFC 2047), and what they share with the percent encoding of parameters.

>>> encode_words("Über uns und euch")
['=?utf-8?q?=C3=9Cber_uns_und_euch?=']
>>> decode_words("=?utf-8?q?Gr=C3=BC=C3=9Fe?= =?iso-8859-1?b?4Q==?= x")
'Grüßeá x'
"""

import re
from binascii import Error, a2b_base64, a2b_qp, b2a_base64

from smtpx.message.charsets import codec_of
from smtpx.wire.syntax import CONTROLS

__all__ = ["LEAST_ROOM", "MAX_WORD_CHARS", "cut_escaped", "decode_words", "encode_words", "without_controls"]

MAX_WORD_CHARS = 75  # RFC 2047 2
LEAST_ROOM = 24  # the longest character in Q, with what stands around it
_Q_START, _B_START, _END = "=?utf-8?q?", "=?utf-8?b?", "?="
_FRAME_CHARS = len(_Q_START) + len(_END)

# RFC 2047 5 (3): all that may stand for itself within a phrase; it is good enough for other places.
_LITERAL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/"
_Q = [chr(octet) if octet in _LITERAL else f"={octet:02X}" for octet in range(256)]
_Q[0x20] = "_"

_CONTROLS = re.compile(rf"(?!\t){CONTROLS.pattern}")

_WORD = re.compile(r"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?\r\n]*)\?=")


def encode_words(text: str, first_room: int = MAX_WORD_CHARS) -> list[str]:
    """`text` as encoded-words in UTF-8, in B or Q, whichever is shorter; no character is cut in two.

    Args:
        first_room: how many characters the first one may have; at least `LEAST_ROOM`.

    Raises:
        ValueError: if it holds half a surrogate pair.
    """
    octets = text.encode()
    escaped = len(octets.translate(None, _LITERAL + b" "))
    if len(octets) + 2 * escaped <= (len(octets) + 2) // 3 * 4:
        return _q_words(octets, first_room)
    return _b_words(octets, first_room)


def _q_words(octets: bytes, room: int) -> list[str]:
    words, start = list[str](), 0
    encoded = "".join(map(_Q.__getitem__, octets))
    while start < len(encoded):
        end = cut_escaped(encoded, start, room - _FRAME_CHARS, "=")
        words.append(_Q_START + encoded[start:end] + _END)
        start, room = end, MAX_WORD_CHARS
    return words


def cut_escaped(encoded: str, start: int, room: int, mark: str) -> int:
    """Where a piece ends that begins at `start` and takes up to `room` characters (12 or more), no character cut.

    `encoded` is UTF-8 with `mark` and two hexadecimal digits for each octet beyond ASCII.
    """
    end = start + room
    if end >= len(encoded):
        return len(encoded)
    within = encoded.rfind(mark, end - 2, end)
    if within >= 0:
        end = within
    while encoded[end] == mark and encoded[end + 1] in "89AB":  # not the first octet of its character
        end -= 3
    return end


def _b_words(octets: bytes, room: int) -> list[str]:
    words, start = list[str](), 0
    while start < len(octets):
        end = start + (room - _FRAME_CHARS) // 4 * 3
        while end < len(octets) and octets[end] & 0xC0 == 0x80:
            end -= 1
        words.append(_B_START + b2a_base64(octets[start:end], newline=False).decode("ascii") + _END)
        start, room = end, MAX_WORD_CHARS
    return words


def decode_words(text: str, *, keep_controls: bool = False) -> str:
    """`text` with its encoded-words decoded; blanks between two of them go (RFC 2047 6.2). Never raises.

    What is no encoded-word, or in an unknown character set, stays as it is. Characters that a sender cut in two are
    put together again. A control character that was hidden becomes U+FFFD, unless `keep_controls`.
    """
    if "=?" not in text:
        return text
    out, run, codec, end = list[str](), list[bytes](), "", 0
    for match in _WORD.finditer(text):
        between = text[end : match.start()]
        found, content = codec_of(match[1]), _octets(match[2], match[3])
        if found is None or content is None:
            continue
        is_next = bool(codec) and not between.strip(" \t\r\n")
        if not (is_next and found == codec):
            out.append(_text(run, codec, keep_controls))
            run = []
        if not is_next:
            out.append(between)
        run.append(content)
        codec, end = found, match.end()
    return "".join((*out, _text(run, codec, keep_controls), text[end:]))


def _text(run: list[bytes], codec: str, keep_controls: bool) -> str:
    text = b"".join(run).decode(codec, "replace") if codec else ""
    return text if keep_controls else without_controls(text)


def without_controls(text: str) -> str:
    """The text with U+FFFD for each control character but TAB, separator of lines and half of a pair."""
    return text if text.isascii() and text.isprintable() else _CONTROLS.sub("\ufffd", text)


def _octets(encoding: str, content: str) -> bytes | None:
    if not content.isascii():
        return None
    if encoding in "qQ":
        return a2b_qp(content, header=True)
    try:
        return a2b_base64(content + "===")
    except Error:
        return None
