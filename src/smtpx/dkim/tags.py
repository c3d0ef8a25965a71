"""Lists of tags, `name=value; name=value`: how signatures and key records are written (RFC 6376 3.2)."""

import binascii
import re

from smtpx.wire.syntax import escape

__all__ = ["TagError", "decode_base64", "parse_tags", "without_space"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SPACE = " \t\r\n"
_ODD = re.compile("[^\t\r\n -~\u00a0-\ud7ff\ue000-\U0010ffff]")  # RFC 8616 5: UTF-8 may stand in values
_NO_SPACE = str.maketrans("", "", _SPACE)


class TagError(ValueError):
    """This is no list of tags, or a value is not what its tag wants. Says what, with no more than a piece of it."""


def parse_tags(text: str) -> dict[str, str]:
    """The values by name, in their order, without the white space around them.

    Raises:
        TagError: for a name that comes twice, and anything that is not in the grammar.
    """
    if odd := _ODD.search(text):
        raise TagError(f"a character that has no place there: {escape(odd.group())}")
    tags: dict[str, str] = {}
    specs = text.split(";")
    if not specs[-1].strip(_SPACE):
        specs.pop()  # a semicolon may stand at the end
    for spec in specs:
        name, equals, value = spec.partition("=")
        name = name.strip(_SPACE)
        if not equals or not _NAME.fullmatch(name):
            raise TagError(f"not a tag: {escape(spec.strip(_SPACE), 40)}")
        if name in tags:
            raise TagError(f"the tag {escape(name, 40)}= comes twice")
        tags[name] = value.strip(_SPACE)
    return tags


def without_space(value: str) -> str:
    """Folding white space means nothing in base64 and in lists."""
    return value.translate(_NO_SPACE)


def decode_base64(value: str, tag: str) -> bytes:
    """The octets of a value that may be folded.

    Raises:
        TagError: naming the tag.
    """
    try:
        return binascii.a2b_base64(without_space(value), strict_mode=True)
    except ValueError:  # not ASCII, too; `binascii.Error` is one
        raise TagError(f"{tag}= is not base64") from None
