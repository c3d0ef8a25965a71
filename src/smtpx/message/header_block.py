"""The header of a message or of one of its parts, kept octet by octet, decoded when somebody asks (RFC 5322 2.2)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from smtpx.message.charsets import decode
from smtpx.message.encoded_words import decode_words, without_controls

__all__ = ["ADDRESS_FIELDS", "Field", "HeaderBlock", "split_header"]

ADDRESS_FIELDS = frozenset(
    prefix + name for prefix in ("", "resent-") for name in ("from", "sender", "reply-to", "to", "cc", "bcc")
) | {"disposition-notification-to", "errors-to", "return-receipt-to"}

_ONE = re.compile(rb"([!-9;-~]++)[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+(?:\n|\Z)")
_STRAY = re.compile(rb"[^\r\n][^\n]*+\n(?=[!-9;-~]++[ \t]*+:)")
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_BAD_FOLD = re.compile(r"\r?\n")


class Field(NamedTuple):
    """One field: its name, and all its octets with those of its line ends."""

    name: str
    octets: bytes

    @property
    def text(self) -> str:
        """What stands behind the colon, unfolded, nothing decoded; octets beyond ASCII as UTF-8, else as Latin-1."""
        value = self.octets.partition(b":")[2]
        text = _FOLD.sub("", decode(value, "")).strip(" \t\r\n")
        return _BAD_FOLD.sub(" ", text)

    @property
    def value(self) -> str:
        """The same with encoded-words decoded, and U+FFFD for control characters."""
        return without_controls(decode_words(self.text))


@dataclass(frozen=True, slots=True)
class HeaderBlock:
    """The fields in order, and what stands before them and behind: joined they are the octets that were read."""

    fields: tuple[Field, ...]
    before: bytes = b""
    gap: bytes = b""

    def __bytes__(self) -> bytes:
        return b"".join((self.before, *(field.octets for field in self.fields), self.gap))

    def all(self, name: str) -> Iterator[Field]:
        """The fields of this name, whatever its case."""
        wanted = name.lower()
        return (field for field in self.fields if field.name.lower() == wanted)

    def first(self, name: str) -> Field | None:
        """The first of this name."""
        return next(self.all(name), None)

    def text(self, name: str) -> str:
        """The text of the first of this name, empty where there is none."""
        field = self.first(name)
        return "" if field is None else field.text


def split_header(octets: bytes, *, max_bytes: int, max_fields: int) -> tuple[HeaderBlock, int, list[str]]:
    """The header at the beginning of `octets`, where the body begins, and what is wrong. Never raises.

    What is no field ends the header, as does a limit: then all from there on is body.
    """
    defects, fields = list[str](), list[Field]()
    start = position = _end_of_mbox_line(octets)
    if start:
        defects.append("a line of an mbox before the header")
    gap = b""
    while position < len(octets):
        if gap := _gap(octets, position):
            break
        match = _ONE.match(octets, position)
        end = match.end() if match is not None else octets.find(b"\n", position) + 1 or len(octets)
        if len(fields) == max_fields or end > max_bytes:
            defects.append(f"a header of more than {max_fields} fields or {max_bytes} octets: the rest is body")
            break
        if match is not None:
            fields.append(Field(match[1].decode("ascii"), match[0]))
        elif fields and _is_stray(octets, position, fields[-1]):
            defects.append("a line in the header that is no field: taken for a part of the one before it")
            fields[-1] = Field(fields[-1].name, fields[-1].octets + octets[position:end])
        else:
            defects.append("a line in the header that is no field: the body begins with it")
            break
        position = end
    else:
        defects.append("a header without an empty line behind it")
    return HeaderBlock(tuple(fields), octets[:start], gap), position + len(gap), defects


def _is_stray(octets: bytes, position: int, before: Field) -> bool:
    """Whether a line that is no field was meant to go on with the one before: fields or more parameters are to come."""
    return _STRAY.match(octets, position) is not None or before.octets.rstrip().endswith(b";")


def _gap(octets: bytes, position: int) -> bytes:
    if octets.startswith(b"\n", position):
        return b"\n"
    return b"\r\n" if octets.startswith(b"\r\n", position) else b""


def _end_of_mbox_line(octets: bytes) -> int:
    if not octets.startswith((b"From ", b">From ")):
        return 0
    return octets.find(b"\n") + 1
