"""Content on its way in: what is looked at while it passes, in runs, without keeping it.

Whatever is found, the content is read to its real end; then the worst fault is the answer. Size outranks the header's
faults, and these outrank line ends.
"""

from smtpx.protocol import replies
from smtpx.protocol.limits import ServerLimits
from smtpx.protocol.settings import ServerSettings
from smtpx.wire.dots import DotDecoder, NewlineCheck, NewlineRepair
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import WireError

__all__ = ["Intake"]

_RECEIVED = b"\r\nreceived:"
_HEADER_END = b"\r\n\r\n"


class Intake:
    """One message coming in, by DATA or by BDAT.

    `size` counts the octets of content, dots taken off, CRLFs included (RFC 1870 5). `refusal` is set when the message
    can't be accepted any more; content is then still read, but no longer given out.
    """

    __slots__ = ("_decoder", "_header", "_limits", "_line", "_newlines", "_nul", "_repair", "chunks", "refusal", "size")

    def __init__(self, settings: ServerSettings, *, stuffed: bool, binary: bool = False) -> None:
        repair = settings.bare_newline == "normalize" and not binary
        self._limits = settings.limits
        self._nul = settings.nul == "reject" and not binary
        self._decoder = DotDecoder(stuffed=not repair) if stuffed else None
        self._repair = NewlineRepair(stuffed=stuffed) if repair else None
        self._newlines = None if repair or binary else NewlineCheck()
        self._header: _Header | None = _Header(settings.limits)
        self._line = 0
        self.size = 0
        self.chunks = 0  # BDAT chunks below 1 KiB
        self.refusal: Reply | None = None

    def feed_data(self, octets: bytes) -> tuple[bytes, bytes | None]:
        """Octets in DATA form; gives content, and what stands behind the end of data once that was seen."""
        decoder = self._decoder
        assert decoder is not None  # noqa: S101 - made for DATA by the caller
        content = self.feed(decoder.feed(octets))
        if not decoder.ended:
            return content, None
        return content + self.end(), decoder.rest

    def feed(self, octets: bytes) -> bytes:
        """Octets of content; gives those that may be passed on."""
        if self._repair is not None:
            octets = self._repair.feed(octets)
        if octets:
            self._inspect(octets)
        return b"" if self.refusal else octets

    def end(self) -> bytes:
        """The last of the content."""
        octets = b""
        if self._repair is not None:
            octets = self._repair.end()
            self._inspect(octets)
        if self._newlines is not None:
            try:
                self._newlines.end()
            except WireError:
                self._refuse(replies.BARE_NEWLINE)
        limit = self._limits.max_text_line_bytes
        if limit is not None and self._line > limit:  # a last line without CRLF
            self._refuse(replies.TEXT_LINE_TOO_LONG)
        return b"" if self.refusal else octets

    def _inspect(self, octets: bytes) -> None:
        self.size += len(octets)
        limits = self._limits
        if limits.max_message_bytes is not None and self.size > limits.max_message_bytes:
            self.refusal = replies.TOO_LARGE
            self._newlines = self._header = None
            return
        if self._newlines is not None:
            try:
                self._newlines.feed(octets)
            except WireError:
                self._newlines = None
                self._refuse(replies.BARE_NEWLINE)
        if self._header is not None:
            done = self._header.feed(octets)
            self._refuse(self._header.refusal)
            if done:
                self._header = None
        if self._nul and b"\0" in octets:
            self._refuse(replies.NUL_IN_MESSAGE)
        if limits.max_text_line_bytes is not None:
            self._measure(octets, limits.max_text_line_bytes)

    def _refuse(self, reply: Reply | None) -> None:
        if reply is not None and (self.refusal is None or _RANK[reply] < _RANK[self.refusal]):
            self.refusal = reply

    def _measure(self, octets: bytes, limit: int) -> None:
        first, *others = octets.split(b"\n")
        longest = max([self._line + len(first), *map(len, others)])
        self._line = len(others[-1]) if others else self._line + len(first)
        if longest > limit + 1:  # one for the CR
            self._refuse(replies.TEXT_LINE_TOO_LONG)


_ORDER = (
    replies.TOO_LARGE,
    replies.HEADER_TOO_LARGE,
    replies.MAIL_LOOP,
    replies.NUL_IN_MESSAGE,
    replies.BARE_NEWLINE,
    replies.TEXT_LINE_TOO_LONG,
)
_RANK = {reply: rank for rank, reply in enumerate(_ORDER)}


class _Header:
    """Counts Received fields until the header section ends, keeping a dozen octets."""

    __slots__ = ("_hops", "_limits", "_size", "_tail", "refusal")

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._tail = b"\r\n"
        self._hops = 0
        self._size = 0
        self.refusal: Reply | None = None

    def feed(self, octets: bytes) -> bool:
        """True when nothing further needs to be looked at."""
        text = self._tail + octets
        end = text.find(_HEADER_END)
        section = text if end < 0 else text[: end + 2]
        self._hops += section.lower().count(_RECEIVED)
        self._size += len(section) - len(self._tail)
        # One octet less than what is looked for: nothing is counted twice.
        self._tail = text[1 - len(_RECEIVED) :]
        if self._hops > self._limits.max_hops:
            self.refusal = replies.MAIL_LOOP
        # A CR at the beginning of a line may belong to the end of the section, which does not count.
        too_large = self._size - section.endswith(b"\r\n\r") > self._limits.max_header_bytes
        if too_large:
            self.refusal = replies.HEADER_TOO_LARGE
        return end >= 0 or too_large
