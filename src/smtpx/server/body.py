"""A message body as a session reads it: an asynchronous stream of octets that can end badly."""

import asyncio
from collections import deque
from collections.abc import Callable, MutableSequence

from smtpx.errors import SMTPXError
from smtpx.protocol.events import AbortCause

__all__ = ["Body", "TransferAborted", "add_piece"]

_SMALL_BYTES = 4096  # an object for each octet of a client that sends one at a time would take fifty times the memory


def add_piece(pieces: MutableSequence[bytes], piece: bytes) -> None:
    """Keep one more piece; small ones are put together."""
    if pieces and len(pieces[-1]) + len(piece) <= _SMALL_BYTES:
        pieces[-1] += piece
    else:
        pieces.append(piece)


class TransferAborted(SMTPXError):
    """The message will not be complete; `cause` says why: RSET, QUIT, connection lost, deadline, refused ..."""

    def __init__(self, cause: AbortCause) -> None:
        super().__init__(f"the message was given up: {cause.value}", stage="body")
        self.cause = cause


class Body:
    """The content of one message, dots taken off, CRLF line ends.

    Iterate over it for pieces of any size, or `read` it. Pieces may cut a line anywhere.

    Attributes:
        size: octets received so far; the message's size once it is complete.
        is_complete: whether all of it has been received.
    """

    __slots__ = ("_buffered", "_cause", "_on_taken", "_pieces", "_start", "_waiter", "is_complete", "size")

    def __init__(self, on_taken: Callable[[], None]) -> None:
        self._pieces: deque[bytes] = deque()
        self._start = 0  # in the first piece: what stands before was taken
        self._buffered = 0
        self._waiter: asyncio.Future[None] | None = None
        self._cause: AbortCause | None = None
        self._on_taken = on_taken
        self.is_complete = False
        self.size = 0

    def __aiter__(self) -> "Body":
        return self

    async def __anext__(self) -> bytes:
        piece = await self._next()
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def read(self, max_bytes: int | None = None) -> bytes:
        """All of the rest, or up to `max_bytes` of it; empty at the end. As with files, -1 is all.

        Raises:
            TransferAborted.
        """
        if max_bytes is not None and max_bytes >= 0:
            return await self._next(max_bytes) or b""
        pieces: list[bytes] = []
        while (piece := await self._next()) is not None:
            add_piece(pieces, piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def discard(self) -> int:
        """Read to the end and keep nothing; gives the size.

        Raises:
            TransferAborted.
        """
        while await self._next() is not None:
            pass
        return self.size

    async def _next(self, max_bytes: int | None = None) -> bytes | None:
        while not self._pieces:
            if self._cause is not None:
                raise TransferAborted(self._cause)
            if self.is_complete:
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            self._on_taken()
            try:
                await self._waiter
            finally:
                self._waiter = None
        piece = self._take(max_bytes)
        self._buffered -= len(piece)
        self._on_taken()
        return piece

    def _take(self, max_bytes: int | None) -> bytes:
        start, first = self._start, self._pieces[0]
        if max_bytes is not None and len(first) - start > max_bytes:
            self._start += max_bytes
            return first[start : self._start]
        self._start = 0
        self._pieces.popleft()
        return first[start:] if start else first

    # For the connection ----------------------------------------------------------------------------------------------

    @property
    def buffered_bytes(self) -> int:
        """Octets received that the session has not taken."""
        return self._buffered

    @property
    def is_wanted(self) -> bool:
        """Whether the session waits for more and has taken all there is."""
        return self._waiter is not None and not self._pieces

    def feed(self, piece: bytes) -> None:
        """One more piece."""
        add_piece(self._pieces, piece)
        self._buffered += len(piece)
        self.size += len(piece)
        self._wake()

    def finish(self) -> None:
        """All of it is here."""
        self.is_complete = True
        self._wake()

    def abort(self, cause: AbortCause) -> None:
        """It will not be complete; what the session has not read is dropped."""
        self._cause = cause
        self._pieces.clear()
        self._start = self._buffered = 0
        self._wake()

    def drop(self) -> None:
        """The session is done with it: forget what it did not read, and whoever wanted to know."""
        self._pieces.clear()
        self._start = self._buffered = 0
        self._on_taken = _nobody

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _nobody() -> None:
    pass
