"""Replies: the value, its octets, and the bounded parser a client reads them with (RFC 5321 4.2, RFC 2034).

>>> Reply(250, EnhancedCode(2, 1, 0), ("sender ok",)).to_bytes()
b'250 2.1.0 sender ok\\r\\n'
"""

import re
from dataclasses import dataclass, field

from smtpx.wire.codes import EnhancedCode, Severity
from smtpx.wire.lines import Lines
from smtpx.wire.syntax import Fault, WireError, escape

__all__ = ["Reply", "ReplyParser"]

MAX_REPLY_LINE_BYTES = 512  # RFC 5321 4.5.3.1.5, CRLF included
MAX_SHOWN_CHARS = 2000
_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245])\.([0-9]{1,3})\.([0-9]{1,3})(?: |$)")


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of a server: a three-digit code, an enhanced code where there is one, and at least one line of text.

    `lines` hold text without codes. `close` is for servers: the connection ends behind this reply (421 always does).
    """

    code: int
    enhanced: EnhancedCode | None
    lines: tuple[str, ...] = ("",)
    close: bool = False
    _octets: list[bytes] = field(default_factory=list[bytes], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 200 <= self.code <= 599:
            raise WireError(Fault.REPLY, f"a reply code has three digits and begins with 2 to 5, not {self.code}")
        if not self.lines:
            raise WireError(Fault.REPLY, "a reply has at least one line")

    @property
    def severity(self) -> Severity:
        """The class of the reply, from its first digit."""
        return Severity(self.code // 100)

    @property
    def text(self) -> str:
        """All lines of text, joined by newlines."""
        return "\n".join(self.lines)

    def __str__(self) -> str:
        # Ends up in exceptions and logs, so nothing in it may steer a terminal.
        codes = f"{self.code} {self.enhanced}" if self.enhanced else f"{self.code}"
        return f"{codes} {escape(' / '.join(self.lines), max_chars=MAX_SHOWN_CHARS)}".rstrip()

    def to_bytes(self) -> bytes:
        """The reply as it goes on the wire: control and non-ASCII characters escaped, lines of at most 512 octets.

        The enhanced code stands on each line (RFC 2034 4).
        """
        if not self._octets:
            self._octets.append(self._encode())
        return self._octets[0]

    def _encode(self) -> bytes:
        prefix = f"{self.enhanced} " if self.enhanced else ""
        room = MAX_REPLY_LINE_BYTES - 2 - 4 - len(prefix)
        texts = [piece for line in self.lines for piece in _wrap(line, room)]
        last = len(texts) - 1
        wire = [f"{self.code}{' ' if i == last else '-'}{prefix}{text}\r\n" for i, text in enumerate(texts)]
        return "".join(wire).encode("ascii")


def _wrap(line: str, room: int) -> list[str]:
    pieces: list[str] = []
    for part in line.split("\n"):
        safe = escape(part.rstrip("\r"), max_chars=1 << 16)
        pieces += [safe[i : i + room] for i in range(0, len(safe), room)] or [""]
    return pieces


class ReplyParser:
    """Turns the octets a server sends into replies, in bounded memory.

    Feeding is split-invariant: the same octets give the same replies however they are cut.

    Args:
        lenient_newlines: lines may end in LF alone, as some old servers send them.
    """

    def __init__(
        self,
        *,
        max_line_bytes: int = 4096,
        max_lines: int = 256,
        max_bytes: int = 65536,
        lenient_newlines: bool = False,
    ) -> None:
        self._input = Lines(max_line_bytes, max_discard_bytes=max_line_bytes, lenient_newlines=lenient_newlines)
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._code = b""
        self._texts: list[bytes] = []
        self._bytes = 0

    def feed(self, data: bytes) -> None:
        """Add octets that were received."""
        self._input.feed(data)

    @property
    def has_input(self) -> bool:
        """Whether octets lie here that have not become a reply yet."""
        return bool(self._texts) or self._input.has_input

    def next_reply(self) -> Reply | None:
        """The next complete reply, or None when more octets are needed.

        Raises:
            WireError: if what was received is not a reply, or is larger than the limits. Nothing can be read after it.
        """
        while (line := self._input.next_line()) is not None:
            match = _LINE.fullmatch(line)
            if match is None or (self._code and match[1] != self._code):
                raise WireError(Fault.REPLY, f"not a reply line: {escape(line)}")
            self._texts.append(match[3] or b"")
            self._bytes += len(line) + 2
            more = match[2] == b"-"
            if len(self._texts) + more > self._max_lines or self._bytes > self._max_bytes:
                limits = f"{self._max_lines} lines or {self._max_bytes} octets"
                raise WireError(Fault.REPLY, f"a reply of more than {limits}")
            if not more:
                return self._finish(match[1])
            self._code = match[1]
        return None

    def _finish(self, code: bytes) -> Reply:
        texts, self._texts, self._code, self._bytes = self._texts, [], b"", 0
        lines = [text.decode("utf-8", "backslashreplace") for text in texts]
        return _build(int(code), lines)


def _build(code: int, lines: list[str]) -> Reply:
    found = next((m for m in map(_ENHANCED.match, lines) if m), None)
    if found is None or int(found[1]) != code // 100:
        return Reply(code, None, tuple(lines))
    enhanced = EnhancedCode(int(found[1]), int(found[2]), int(found[3]))
    prefix = found[0].rstrip(" ")  # as it was written: some write 5.01.001
    bare = tuple(line[len(prefix) :].lstrip(" ") if _starts(line, prefix) else line for line in lines)
    return Reply(code, enhanced, bare)


def _starts(line: str, prefix: str) -> bool:
    return line.startswith(prefix) and line[len(prefix) : len(prefix) + 1] in ("", " ")
