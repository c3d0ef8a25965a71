"""Reading a Maildir that somebody else writes: wait for a message, part trace headers from content."""

import re
from dataclasses import dataclass
from email.parser import BytesHeaderParser, HeaderParser
from pathlib import Path

from .children import wait_until
from .letters import Letter

__all__ = ["Delivered", "Maildir"]

_TRACE_HEADERS = frozenset({"return-path", "delivered-to", "x-original-to", "received"})


@dataclass(frozen=True, slots=True)
class Delivered:
    """One file: the trace headers that the servers on the way put first, and the rest."""

    path: Path
    trace: bytes
    octets: bytes

    def trace_values(self, name: str) -> list[str]:
        """The values of one trace header, the newest first."""
        return [str(value) for value in HeaderParser().parsestr(self.trace.decode()).get_all(name, [])]


@dataclass(frozen=True, slots=True)
class Maildir:
    """A directory with `new/`, written by a server."""

    path: Path

    def find(self, letter: Letter) -> list[Delivered]:
        """Every copy of the letter that has arrived."""
        found = (_part(path, letter) for path in sorted((self.path / "new").glob("*")))
        return [delivered for delivered in found if delivered]

    def wait_for(self, letter: Letter, *, copies: int = 1, timeout_seconds: float = 20) -> list[Delivered]:
        """The copies of the letter, as soon as there are that many.

        Raises:
            TimeoutError: fewer came in time.
        """
        wait_until(lambda: len(self.find(letter)) >= copies, timeout_seconds=timeout_seconds)
        return self.find(letter)


def _part(path: Path, letter: Letter) -> Delivered | None:
    content = path.read_bytes()
    start = re.search(rb"^" + re.escape(letter.marker) + rb"\r?$", content, re.MULTILINE)
    if not start:
        return None
    delivered = Delivered(path, content[: start.start()], content[start.start() :])
    names = {name.lower() for name in BytesHeaderParser().parsebytes(delivered.trace)}
    if not names <= _TRACE_HEADERS:
        raise AssertionError(f"unexpected headers before the message: {sorted(names - _TRACE_HEADERS)}")
    return delivered
