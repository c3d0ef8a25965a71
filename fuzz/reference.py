"""The same rules as in `smtpx.wire`, written so slowly and plainly that they can be seen to be right.

Each function gets all octets at once; nothing here is incremental, bounded or fast.
"""

import re

from smtpx.wire.syntax import Fault

__all__ = ["bare_newline", "end_of_data", "lines", "repaired", "unstuffed"]


def bare_newline(content: bytes) -> Fault | None:
    """The first CR or LF that stands alone (RFC 5321 2.3.8)."""
    for position, octet in enumerate(content):
        if octet == 10 and content[max(position - 1, 0) : position] != b"\r":
            return Fault.BARE_LF
        if octet == 13 and content[position + 1 : position + 2] != b"\n":
            return Fault.BARE_CR
    return None


def end_of_data(octets: bytes) -> tuple[bytes, bytes] | None:
    """Content in DATA form and what stands behind its end; None while there is no end (RFC 5321 4.1.1.4)."""
    before, end, behind = (b"\r\n" + octets).partition(b"\r\n.\r\n")
    return ((before + b"\r\n")[2:], behind) if end else None


def unstuffed(content: bytes) -> bytes:
    """Content with the dots taken off (RFC 5321 4.5.2)."""
    return b"\r\n".join(line.removeprefix(b".") for line in content.split(b"\r\n"))


def repaired(content: bytes, *, stuffed: bool) -> bytes:
    """Content with every line end made a CRLF, and a lone CR a space.

    A dot alone on a line that a bare LF begins or ends is no content: it would have been the end of data to somebody.
    """
    *whole, last = content.split(b"\n")
    out, entered_bare = b"", False
    for line in whole:
        left_bare = not line.endswith(b"\r")
        text = line if left_bare else line[:-1]
        if not (stuffed and text == b"." and (entered_bare or left_bare)):
            out += (text.removeprefix(b".") if stuffed else text).replace(b"\r", b" ") + b"\r\n"
        entered_bare = left_bare
    return out + (last.removeprefix(b".") if stuffed else last).replace(b"\r", b" ")


def lines(octets: bytes, max_line: int, max_discard: int, *, lenient: bool) -> list[bytes | Fault]:
    """Lines and faults as `Lines` gives them, up to the first fault behind which nothing can be understood."""
    found: list[bytes | Fault] = []
    while True:
        line, end, behind = octets.partition(b"\n")
        length = len(line) + len(end)
        if length > max_discard or (not end and length == max_discard):
            return [*found, Fault.LINE_ENDLESS]
        if not end:
            return found
        octets = behind
        if not lenient and not line.endswith(b"\r"):
            return [*found, Fault.BARE_LF]
        text = line.removesuffix(b"\r")
        if b"\r" in text:
            return [*found, Fault.BARE_CR]
        found.append(Fault.LINE_TOO_LONG if length > max_line else text)


CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
