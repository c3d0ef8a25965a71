"""What every recipe is made with: the two lists, line ends, encodings."""

from __future__ import annotations

import base64
import binascii
import random
import textwrap
from collections.abc import Callable
from string import Template

__all__ = [
    "COMMITTED",
    "GENERATED",
    "LONGEST_LINE",
    "Recipe",
    "base64_lines",
    "committed",
    "encoded_word",
    "encoded_words",
    "file_name",
    "generated",
    "noise",
    "octets",
    "quoted_printable",
]

Recipe = Callable[[], bytes]

COMMITTED: dict[str, Recipe] = {}
GENERATED: dict[str, Recipe] = {}

# RFC 5322, 2.1.1: a line has at most 998 octets, not counting its CRLF.
LONGEST_LINE = 998


def committed(recipe: Recipe) -> Recipe:
    """Make the decorated function the recipe of a file that is in the repository."""
    COMMITTED[file_name(recipe)] = recipe
    return recipe


def generated(recipe: Recipe) -> Recipe:
    """Make the decorated function the recipe of a file that is too big for the repository."""
    GENERATED[file_name(recipe)] = recipe
    return recipe


def file_name(recipe: Recipe) -> str:
    """`plain_ascii` becomes `plain-ascii.eml`."""
    return recipe.__name__.replace("_", "-") + ".eml"


def octets(template: str, charset: str = "ascii", **parts: str) -> bytes:
    """The message that an indented template stands for, with CRLF line ends."""
    text = Template(textwrap.dedent(template).lstrip("\n")).substitute(parts)
    return text.replace("\n", "\r\n").encode(charset)


def base64_lines(data: bytes, width: int = 76) -> str:
    """`data` in base64, `width` characters on each line (RFC 2045, 6.8: at most 76)."""
    encoded = base64.b64encode(data).decode("ascii")
    return "\n".join(encoded[at : at + width] for at in range(0, len(encoded), width))


def quoted_printable(text: str, charset: str = "utf-8") -> str:
    """`text` in quoted-printable, with soft line breaks where a line gets too long."""
    encoded = binascii.b2a_qp(text.encode(charset), istext=True)
    return encoded.decode("ascii").rstrip("\n")


def encoded_words(text: str, charset: str = "utf-8") -> str:
    """`text` as base64 encoded-words (RFC 2047), one on each line, folded.

    They are cut between characters, and kept well below the 75 octets that are allowed, so
    that the first one fits behind the header's name.
    """
    words: list[str] = []
    chunk = ""
    for character in text:
        if len(encoded_word(chunk + character, charset)) > 60:
            words.append(encoded_word(chunk, charset))
            chunk = ""
        chunk += character
    return "\n ".join([*words, encoded_word(chunk, charset)])


def encoded_word(text: str, charset: str) -> str:
    """`text` as one encoded-word."""
    return f"=?{charset}?B?{base64.b64encode(text.encode(charset)).decode('ascii')}?="


def noise(seed: int, size: int) -> bytes:
    """Octets that look random and are the same every time."""
    return random.Random(seed).randbytes(size)
