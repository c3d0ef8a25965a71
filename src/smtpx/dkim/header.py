"""The header of a message that comes in pieces, taken apart into fields as they stand."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from smtpx.dkim.canonical import canonical_field

__all__ = ["Field", "Header", "Octets", "fields_of", "pieces_of", "signed_octets"]

Octets: TypeAlias = bytes | bytearray | memoryview | Iterable[bytes]  # whole, or in pieces
Field: TypeAlias = tuple[bytes, bytes]  # its name in lower case, and all of it with its CRLF
_PIECE_BYTES = 65_536
_FIELD_END = re.compile(rb"\r\n(?![ \t])")


def pieces_of(octets: Octets) -> Iterator[bytes]:
    """A message in pieces, so that no large one is copied as a whole."""
    if isinstance(octets, bytes | bytearray | memoryview):
        return (bytes(octets[start : start + _PIECE_BYTES]) for start in range(0, len(octets), _PIECE_BYTES))
    return iter(octets)


class Header:
    """Collects the header, and lets the body through.

    Attributes:
        octets: what there is of it, with the CRLF of its last field.
        is_complete: the empty line has come; everything else is body.
    """

    def __init__(self) -> None:
        self.octets = bytearray()
        self.is_complete = False

    def feed(self, piece: bytes) -> bytes:
        """Take the next piece; what is given back belongs to the body."""
        if self.is_complete:
            return piece
        start = max(len(self.octets) - 3, 0)
        self.octets += piece
        if self.octets.startswith(b"\r\n"):
            end = 0
        elif (found := self.octets.find(b"\r\n\r\n", start)) >= 0:
            end = found + 2
        else:
            return b""
        body = bytes(self.octets[end + 2 :])
        del self.octets[end:]
        self.is_complete = True
        return body


def fields_of(header: bytes) -> list[Field]:
    """Every field of a header, from the top. What has no colon has no name."""
    return [(_name(raw), raw + b"\r\n") for raw in _FIELD_END.split(header) if raw]


def _name(raw: bytes) -> bytes:
    name, colon, _ = raw.partition(b":")
    return name.rstrip(b" \t").lower() if colon else b""


def signed_octets(fields: Sequence[Field], names: Iterable[bytes], *, relaxed: bool) -> bytes:
    """The fields that a list of names (`h=`) chooses, each in its canonical form (RFC 6376 5.4.2).

    A name that stands there for the first time is the last field of that name, the second time the one above it; when
    there is none left, it is nothing.
    """
    left: dict[bytes, list[bytes]] = {}
    for name, raw in fields:
        left.setdefault(name, []).append(raw)
    return b"".join(canonical_field(left[name].pop(), relaxed=relaxed) for name in names if left.get(name))
