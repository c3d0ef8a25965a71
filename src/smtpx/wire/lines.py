"""A bounded, incremental splitter of CRLF lines, which also lends its octets to body readers.

RFC 5321 2.3.8: only CRLF ends a line, and CR and LF never stand alone. Whatever breaks that is told apart, because
the answers differ: behind a bare LF nothing can be trusted, behind a line that was merely too long everything can.
"""

from smtpx.wire.syntax import Fault, WireError

__all__ = ["Lines"]

_HEAD_BYTES = 16


class Lines:
    """Octets in, lines out. Memory never exceeds the line limit plus what one `feed` brought.

    Args:
        max_line_bytes: the longest line, CRLF included, that is given out.
        max_discard_bytes: how far a longer line is read in search of its end; by then it is given up.
        lenient_newlines: a LF without CR ends a line too. A CR without LF stays a fault.
    """

    __slots__ = (
        "_buffer",
        "_dropped",
        "_dropped_cr",
        "_lenient",
        "_max_discard",
        "_max_line",
        "_position",
        "_scanned",
        "long_line_head",
    )

    def __init__(self, max_line_bytes: int, *, max_discard_bytes: int, lenient_newlines: bool = False) -> None:
        self._max_line = max_line_bytes
        self._max_discard = max(max_discard_bytes, max_line_bytes)
        self._lenient = lenient_newlines
        self.long_line_head = b""  # how the last line that was too long began
        self._buffer = b""
        self._position: int = 0  # where unread octets begin
        self._scanned: int = 0  # up to here there is no LF
        self._dropped = 0  # octets of the current line that were thrown away
        self._dropped_cr = False  # a CR that nothing follows yet, or that something else than LF followed, was dropped

    def feed(self, data: bytes) -> None:
        """Add octets that were received."""
        if self._position == len(self._buffer):
            self._buffer = data
        else:
            self._buffer = self._buffer[self._position :] + data
        self._scanned -= self._position
        self._position = 0

    @property
    def has_input(self) -> bool:
        """Whether octets lie here that were not taken yet."""
        return self._position < len(self._buffer) or self._dropped > 0

    @property
    def size(self) -> int:
        """How many octets lie here."""
        return len(self._buffer) - self._position

    def peek(self) -> int | None:
        """The next octet, without taking it."""
        return self._buffer[self._position] if self._position < len(self._buffer) else None

    def take(self, max_bytes: int | None = None) -> bytes:
        """Take octets as they are, all or at most `max_bytes`, for a body that follows a command."""
        start, buffer = self._position, self._buffer
        if max_bytes is None or len(buffer) - start <= max_bytes:
            self._buffer, self._position, self._scanned = b"", 0, 0
            return buffer[start:] if start else buffer
        self._position = self._scanned = start + max_bytes
        return buffer[start : self._position]

    def put_back(self, data: bytes) -> None:
        """Return octets that a body reader took and that lie behind the end of its body."""
        self._buffer = data + self._buffer[self._position :]
        self._position = self._scanned = 0

    def next_line(self) -> bytes | None:
        """The next line without its CRLF, or None when it is not complete yet.

        Raises:
            WireError: LINE_TOO_LONG (the line is gone, go on), LINE_ENDLESS, BARE_LF or BARE_CR (give up).
        """
        buffer, start = self._buffer, self._position
        end = buffer.find(b"\n", self._scanned)
        length = (end + 1 if end >= 0 else len(buffer)) - start + self._dropped
        if length > self._max_discard:
            raise WireError(Fault.LINE_ENDLESS, f"no line end within {self._max_discard} octets")
        if end < 0:
            self._wait(length)
            return None
        self._position = self._scanned = end + 1
        if self._dropped:
            raise self._long_line(buffer[start : end + 1])
        stop = end - 1
        if end == start or buffer[stop] != 13:
            if not self._lenient:
                raise WireError(Fault.BARE_LF, "a line that ends in LF without CR")
            stop = end
        if buffer.find(b"\r", start, stop) >= 0:
            raise WireError(Fault.BARE_CR, "a CR without LF in a line")
        if length > self._max_line:
            self.long_line_head = buffer[start : start + _HEAD_BYTES]
            raise WireError(Fault.LINE_TOO_LONG, f"a line of more than {self._max_line} octets")
        return buffer[start:stop]

    def _wait(self, length: int) -> None:
        self._scanned = len(self._buffer)
        if length == self._max_discard:
            raise WireError(Fault.LINE_ENDLESS, f"no line end within {self._max_discard} octets")
        if length > self._max_line + 1:  # one more than the limit, so that a line of just the limit is never touched
            gone = self._buffer[self._position : -1]
            if not self._dropped:
                self.long_line_head = gone[:_HEAD_BYTES]
            self._dropped_cr = self._dropped_cr or b"\r" in gone
            self._dropped += len(gone)
            self._position = len(self._buffer) - 1

    def _long_line(self, rest: bytes) -> WireError:
        bare_cr = self._dropped_cr or b"\r" in rest[:-2]
        self._dropped, self._dropped_cr = 0, False
        if rest[-2:] != b"\r\n" and not self._lenient:
            return WireError(Fault.BARE_LF, "a line that ends in LF without CR")
        if bare_cr:
            return WireError(Fault.BARE_CR, "a CR without LF in a line")
        return WireError(Fault.LINE_TOO_LONG, f"a line of more than {self._max_line} octets")
