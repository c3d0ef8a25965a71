"""A message's content as a flow needs it: at hand or coming in pieces, and the facts that parameters depend on."""

import re
from collections import deque
from dataclasses import dataclass

from smtpx.errors import LocalProtocolError, SMTPXError
from smtpx.flows.steps import Flow, NextChunk
from smtpx.wire.dots import NewlineCheck, NewlineRepair
from smtpx.wire.syntax import WireError

__all__ = ["Content", "Pieces", "Scan", "bare_newline", "look_ahead"]

_MAX_HEADER_BYTES = 1 << 20
_ENOUGH_BYTES = (
    1 << 15
)  # a line for each chunk would be a round trip for each; a slow source may not be waited for long
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")  # slow: only to say where it is


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be sent.

    `data` is all of it, or None when it comes in pieces (`NextChunk`). `size` and `eight_bit` are None when they can't
    be known before. `utf8_header`: the header section holds UTF-8 that is not ASCII, so SMTPUTF8 is needed
    (RFC 6532 3.2). `repair`: bare newlines are to be repaired on the way. `head` are pieces that were taken from the
    source already. `binary`: it has no lines, and goes by BDAT with BODY=BINARYMIME or not at all (RFC 3030 3).
    """

    data: bytes | None
    size: int | None = None
    eight_bit: bool | None = None
    utf8_header: bool = False
    repair: bool = False
    head: tuple[bytes, ...] = ()
    binary: bool = False

    @classmethod
    def of(cls, data: bytes, *, normalize_newlines: bool = False, binary: bool = False) -> "Content":
        """Content that is at hand.

        Raises:
            LocalProtocolError: if a CR or LF stands alone in it and it is neither binary nor to be normalised.
        """
        scan = Scan(binary=binary)
        if normalize_newlines:
            repair = NewlineRepair(stuffed=False)
            data = repair.feed(data) + repair.end()
        scan.feed(data)
        return scan.content(data)


class Scan:
    """Looks through content in pieces of any size, once, before it is sent.

    Args:
        normalize_newlines: look at the content as `NewlineRepair` will make it.
        binary: any octets are good.
    """

    def __init__(self, *, normalize_newlines: bool = False, binary: bool = False) -> None:
        self._check = None if binary else NewlineCheck()
        self._repair = NewlineRepair(stuffed=False) if normalize_newlines else None
        self._size = 0
        self._eight_bit = False
        self._header = b"\r\n"  # so that a message without header fields has an end of the header too
        self._in_header = True

    def feed(self, piece: bytes) -> None:
        """Look at one more piece.

        Raises:
            LocalProtocolError: for a CR or LF that stands alone, naming where.
        """
        self._look(piece if self._repair is None else self._repair.feed(piece))

    def content(self, data: bytes | None) -> Content:
        """What was found; `data` is the content itself when it is at hand.

        Raises:
            LocalProtocolError: if the content ends in a bare CR.
        """
        repair = self._repair is not None
        if self._repair is not None:
            self._look(self._repair.end())
            self._repair = None
        try:
            if self._check is not None:
                self._check.end()
        except WireError as error:
            raise _bare(error, self._size) from None
        utf8 = _is_utf8_beyond_ascii(self._header)
        return Content(data, self._size, self._eight_bit, utf8, repair, binary=self._check is None)

    def beginning(self, head: tuple[bytes, ...], *, repair: bool) -> Content:
        """What the first pieces of content tell that is not all here yet."""
        eight_bit = True if self._eight_bit else None
        utf8 = _is_utf8_beyond_ascii(self._header)
        return Content(None, None, eight_bit, utf8, repair, head, binary=self._check is None)

    def _look(self, piece: bytes) -> None:
        try:
            if self._check is not None:
                self._check.feed(piece)
        except WireError as error:
            raise _bare(error, self._size + _first_bare(piece)) from None
        self._size += len(piece)
        if self._in_header:
            self._look_for_header_end(piece)
        self._eight_bit = self._eight_bit or not piece.isascii()

    def _look_for_header_end(self, piece: bytes) -> None:
        self._header += piece[:_MAX_HEADER_BYTES]
        end = self._header.find(b"\r\n\r\n")
        if end >= 0:
            self._header = self._header[:end]
        self._in_header = end < 0 and len(self._header) < _MAX_HEADER_BYTES


def look_ahead(content: Content, max_bytes: int) -> Flow[Content]:
    """Content that comes in pieces, with what its beginning tells; all the facts if it is no longer than that.

    Raises:
        LocalProtocolError: if the source fails, or a CR or LF stands alone in what was seen.
    """
    if content.data is not None or content.size is not None or content.head:
        return content
    scan, head, size = Scan(normalize_newlines=content.repair, binary=content.binary), list[bytes](), 0
    while size <= max_bytes:
        try:
            piece: bytes | None = yield NextChunk()
        except SMTPXError:
            raise
        except Exception as error:  # whatever a caller's iterator may raise
            raise LocalProtocolError(f"the message could not be read: {error}", stage="body") from error
        if piece is None:
            return Content.of(b"".join(head), normalize_newlines=content.repair, binary=content.binary)
        scan.feed(piece)
        head.append(piece)
        size += len(piece)
    return scan.beginning(tuple(head), repair=content.repair)


class Pieces:
    """Content in pieces for sending, of at most `max_bytes` each. A source that gives less at a time is asked again."""

    def __init__(self, content: Content) -> None:
        self._at_hand = content.data or b""
        self._position = 0
        self._has_source = content.data is None
        self._head = deque(content.head)
        self._repair = NewlineRepair(stuffed=False) if content.repair else None

    def next(self, max_bytes: int) -> Flow[bytes | None]:
        """The next piece, never empty; None at the end."""
        if self._has_source and self._position >= len(self._at_hand):
            self._at_hand, self._position = (yield from self._gather(min(max_bytes, _ENOUGH_BYTES))), 0
        start, self._position = self._position, self._position + max_bytes
        return self._at_hand[start : self._position] or None

    def _gather(self, enough: int) -> Flow[bytes]:
        pieces, size = list[bytes](), 0
        while size < enough:
            piece: bytes | None = self._head.popleft() if self._head else (yield NextChunk())
            if piece is None:
                self._has_source = False
                pieces.append(self._repair.end() if self._repair else b"")
                break
            pieces.append(piece if self._repair is None else self._repair.feed(piece))
            size += len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _is_utf8_beyond_ascii(header: bytes) -> bool:
    if header.isascii():
        return False
    try:
        header.decode()
    except UnicodeDecodeError:
        return False  # some old 8-bit charset: SMTPUTF8 would be a lie
    return True


def _first_bare(piece: bytes) -> int:
    match = _BARE.search(piece)
    return match.start() if match else 0


def _bare(error: WireError, offset: int) -> LocalProtocolError:
    return bare_newline(f"{error.detail}, at or behind octet {offset} of the message")


def bare_newline(text: str) -> LocalProtocolError:
    """The error for a CR or LF that stands alone, which says what to do about it."""
    return LocalProtocolError(f"{text}; lines end in CRLF (normalize_newlines=True converts them)", stage="body")
