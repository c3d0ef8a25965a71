"""Messages to send, each findable by a header of its own, and the octets to expect at the far end."""

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["KINDS", "Letter", "example_letters", "make_letter"]

_MARKER = b"X-Interop-Id: "


@dataclass(frozen=True, slots=True)
class Letter:
    """A message in wire form (CRLF), starting with its marker line."""

    kind: str
    marker: bytes
    octets: bytes

    @property
    def unix(self) -> bytes:
        """The same message as a Unix delivery agent writes it, with LF."""
        return self.octets.replace(b"\r\n", b"\n")

    @property
    def stuffed(self) -> bytes:
        """The message as it follows DATA, up to but without the last CRLF (RFC 5321, 4.5.2)."""
        body = self.octets.replace(b"\r\n.", b"\r\n..")
        return body + b"."


def make_letter(kind: str = "small", *, subject: bytes = b"interop") -> Letter:
    """A new message of one of `KINDS`."""
    return _letter(kind, _HEADERS % subject + _HEADER_OF.get(kind, b"") + b"\r\n" + KINDS[kind]())


def example_letters(directory: Path) -> list[Letter]:
    """The project's example messages, each with a marker line put before it."""
    return [_letter(path.name, path.read_bytes()) for path in sorted(directory.glob("*.eml"))]


def _letter(kind: str, content: bytes) -> Letter:
    marker = _MARKER + uuid.uuid4().hex.encode()
    return Letter(kind, marker, marker + b"\r\n" + content)


def _small() -> bytes:
    return b"Hello,\r\n\r\nthis is all.\r\n"


def _dots() -> bytes:
    lines = (b".", b"..", b"...", b". ", b".a", b"a.", b"", b".", b"", b"." * 900)
    return b"\r\n".join(lines) + b"\r\n.\r\n"


def _eight_bit() -> bytes:
    return "Grüße, 日本語, 🎉\r\n".encode() + bytes(range(0x80, 0x100)) + b"\r\n"


def _long_lines() -> bytes:
    # 998 octets before the CRLF is the longest line RFC 5322, 2.1.1, allows.
    return (b"x" * 998 + b"\r\n" + b"." * 997 + b"\r\n") * 20


def _spaces() -> bytes:
    return b"trailing \r\n\t\r\n \r\n\r\n\r\nFrom here on\r\n\r\n"


def _megabyte() -> bytes:
    source = random.Random(5321)
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/. ."
    lines: list[bytes] = []
    size = 0
    while size < 1024 * 1024:
        lines.append(bytes(source.choices(letters, k=source.randrange(77))))
        size += len(lines[-1]) + 2
    return b"\r\n".join(lines) + b"\r\n"


def _nothing() -> bytes:
    return b""


KINDS: dict[str, Callable[[], bytes]] = {
    "small": _small,
    "dots": _dots,
    "eight-bit": _eight_bit,
    "utf8-headers": _small,
    "long-lines": _long_lines,
    "spaces": _spaces,
    "megabyte": _megabyte,
    "empty-body": _nothing,
}

_HEADERS = (
    b"From: Sender <sender@example.org>\r\n"
    b"To: alice@example.test\r\n"
    b"Subject: %s\r\n"
    b"Date: Thu, 01 Jan 2026 12:00:00 +0000\r\n"
    b"Message-ID: <interop@example.org>\r\n"
)
_HEADER_OF = {
    "eight-bit": b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
    "utf8-headers": "X-Greeting: Grüße aus 東京 🎌\r\n".encode(),
}
