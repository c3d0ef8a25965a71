"""A message's content as a flow needs it: at hand or coming in pieces, and the facts that parameters depend on."""

from dataclasses import dataclass

from smtpx.errors import LocalProtocolError
from smtpx.wire.dots import NewlineCheck, NewlineRepair
from smtpx.wire.syntax import WireError

__all__ = ["Content", "Scan"]

_MAX_HEADER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be sent.

    `data` is all of it, or None when it comes in pieces (`NextChunk`). `size` and `eight_bit` are None when they can't
    be known before. `utf8_header`: the header section holds UTF-8 that is not ASCII, so SMTPUTF8 is needed
    (RFC 6532 3.2). `repair`: bare newlines are to be repaired on the way.
    """

    data: bytes | None
    size: int | None = None
    eight_bit: bool | None = None
    utf8_header: bool = False
    repair: bool = False

    @classmethod
    def of(cls, data: bytes, *, normalize_newlines: bool = False) -> "Content":
        """Content that is at hand.

        Raises:
            LocalProtocolError: if a CR or LF stands alone in it and it is not to be normalised.
        """
        scan = Scan()
        if normalize_newlines:
            repair = NewlineRepair(stuffed=False)
            data = repair.feed(data) + repair.end()
        scan.feed(data)
        return scan.content(data)


class Scan:
    """Looks through content in pieces of any size, once, before it is sent."""

    def __init__(self, *, normalize_newlines: bool = False) -> None:
        self._check = None if normalize_newlines else NewlineCheck()
        self._repair = normalize_newlines
        self._size = 0
        self._eight_bit = False
        self._header = b""
        self._in_header = True

    def feed(self, piece: bytes) -> None:
        """Look at one more piece.

        Raises:
            LocalProtocolError: for a CR or LF that stands alone, naming where.
        """
        if self._check is not None:
            try:
                self._check.feed(piece)
            except WireError as error:
                raise _bare(error, self._size, piece) from None
        self._size += len(piece)
        if self._in_header:
            self._look_for_header_end(piece)
        if not self._eight_bit:
            self._eight_bit = not piece.isascii()

    def content(self, data: bytes | None) -> Content:
        """What was found. With `normalize_newlines` the size is not known yet.

        Raises:
            LocalProtocolError: if the content ends in a bare CR.
        """
        if self._check is not None:
            try:
                self._check.end()
            except WireError as error:
                raise _bare(error, self._size, b"") from None
        size = None if self._repair and data is None else self._size
        return Content(data, size, self._eight_bit, _is_utf8_beyond_ascii(self._header), self._repair and data is None)

    def _look_for_header_end(self, piece: bytes) -> None:
        self._header += piece[:_MAX_HEADER_BYTES]
        end = self._header.find(b"\r\n\r\n")
        if end >= 0:
            self._header = self._header[:end]
        self._in_header = end < 0 and len(self._header) < _MAX_HEADER_BYTES


def _is_utf8_beyond_ascii(header: bytes) -> bool:
    if header.isascii():
        return False
    try:
        header.decode()
    except UnicodeDecodeError:
        return False  # some old 8-bit charset: SMTPUTF8 would be a lie
    return True


def _bare(error: WireError, offset: int, piece: bytes) -> LocalProtocolError:
    text = f"{error.detail}, at or behind octet {offset} of the message; lines end in CRLF"
    return LocalProtocolError(f"{text} (normalize_newlines=True converts them)", stage="body")
