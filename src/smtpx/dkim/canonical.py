"""The two canonical forms of header and body (RFC 6376 3.4), and the hash of a body that comes in pieces.

Nothing here looks at single octets or lines: what is in a piece is searched and replaced as a whole.
"""

import hashlib
from collections.abc import Callable

__all__ = ["Body", "BodyHash", "canonical_field"]

_BLOCK_BYTES = 65_536  # what is worked on at once, however long a piece is


class Body:
    """Writes the canonical form of a body.

    Give the pieces, of any size, to `feed`, then call `finish` once. What is known goes to `write` at once; at most a
    few octets are held.
    """

    def __init__(self, write: Callable[[bytes], object], *, relaxed: bool) -> None:
        self._write = write
        self._relaxed = relaxed
        self._held = b""  # the next piece decides what it is: white space, or half of a line end
        self._line_ends = 0  # they count if something follows
        self._has_text = False

    def feed(self, piece: bytes) -> None:
        """The next piece; it may cut a line, and a line end, anywhere."""
        for start in range(0, len(piece), _BLOCK_BYTES):
            self._take(piece[start : start + _BLOCK_BYTES])

    def finish(self) -> None:
        """The body is over. One without an end of its last line is given one (3.4.3, 3.4.4)."""
        self._put(self._held.removesuffix(b" ") if self._relaxed else self._held)
        if self._has_text or not self._relaxed:
            self._write(b"\r\n")

    def _take(self, block: bytes) -> None:
        block = self._held + block if self._held else block
        block = _squeezed(block) if self._relaxed else block
        self._held = self._undecided(block)
        self._put(block.removesuffix(self._held))

    def _undecided(self, block: bytes) -> bytes:
        if block.endswith(b"\r"):
            return b" \r" if self._relaxed and block.endswith(b" \r") else b"\r"
        return b" " if self._relaxed and block.endswith(b" ") else b""

    def _put(self, block: bytes) -> None:
        line_ends = _line_ends(block[len(block.rstrip(b"\r\n")) :])
        if text := block[: len(block) - 2 * line_ends]:
            self._write_line_ends()
            self._has_text = True
            self._write(text)
        self._line_ends += line_ends

    def _write_line_ends(self) -> None:
        most = _BLOCK_BYTES // 2
        while self._line_ends:
            count = min(self._line_ends, most)
            self._write(b"\r\n" * count)
            self._line_ends -= count


def _line_ends(tail: bytes) -> int:
    """With how many whole CRLF octets end that are all CR or LF: as far as the two alternate."""
    if not tail.endswith(b"\n"):
        return 0
    return (len(tail) - 1 - max(tail.rfind(b"\r\r"), tail.rfind(b"\n\n"))) // 2


def _squeezed(octets: bytes) -> bytes:
    """With one space for each run of white space, and none at the end of a line."""
    octets = octets.replace(b"\t", b" ")
    while b"  " in octets:  # halves the runs: no more rounds than the length has bits
        octets = octets.replace(b"  ", b" ")
    return octets.replace(b" \r\n", b"\r\n")


class BodyHash:
    """The SHA-256 of a body's canonical form, or of its first octets.

    Attributes:
        octets: the length of the whole canonical form, as far as it is known.
    """

    def __init__(self, *, relaxed: bool, max_octets: int | None = None) -> None:
        self._sha256 = hashlib.sha256()
        self._max_octets = max_octets
        self._body = Body(self._add, relaxed=relaxed)
        self.octets = 0

    def feed(self, piece: bytes) -> None:
        """The next piece."""
        self._body.feed(piece)

    def finish(self) -> bytes:
        """The digest. To be called once."""
        self._body.finish()
        return self._sha256.digest()

    def _add(self, octets: bytes) -> None:
        left = len(octets) if self._max_octets is None else max(self._max_octets - self.octets, 0)
        self._sha256.update(octets[:left])
        self.octets += len(octets)


def canonical_field(field: bytes, *, relaxed: bool) -> bytes:
    r"""A header field as it is hashed, with its CRLF if it has one (RFC 6376 3.4.1, 3.4.2).

    >>> canonical_field(b"SubJect : one\r\n\t two  \r\n", relaxed=True)
    b'subject:one two\r\n'
    """
    if not relaxed:
        return field
    name, _, value = field.partition(b":")
    end = b"\r\n" if field.endswith(b"\r\n") else b""
    return name.rstrip(b" \t").lower() + b":" + _squeezed(value.replace(b"\r\n", b"")).strip(b" ") + end
