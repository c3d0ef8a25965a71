"""Message content in DATA form: dot-stuffing both ways and the end of data (RFC 5321 4.1.1.4, 4.5.2).

The end of data is CRLF.CRLF, or .CRLF as the first thing, and nothing else ever: every server that accepted more has
had a smuggling advisory (CVE-2023-51764, CVE-2023-51766, CVE-2024-27305). All work is done on runs of octets with
`find` and `replace`; nothing is done for each line or octet, and a body that arrives in small pieces stays linear.
"""

import re

from smtpx.wire.syntax import Fault, WireError

__all__ = ["END_OF_DATA", "DotDecoder", "DotEncoder", "NewlineCheck", "NewlineRepair"]

END_OF_DATA = b"\r\n.\r\n"
_BARE = re.compile(rb"\r(?=[^\n])|(?<!\r)\n")


class DotDecoder:
    """Finds the end of data and takes off the dots.

    `feed` gives the content that is certain by now; up to four octets that may belong to the end of data are held
    back. Once `ended`, `rest` holds what was received behind it. A CR and its LF always leave in one piece.

    Args:
        stuffed: False keeps the dots, for a reader that treats them itself (`NewlineRepair`).
    """

    __slots__ = ("_held", "_stuffed", "_virtual", "ended", "rest")

    def __init__(self, *, stuffed: bool = True) -> None:
        # The body begins behind the CRLF of the DATA command; putting one in front makes ".CRLF" the same case.
        self._held = b"\r\n"
        self._virtual = 2
        self._stuffed = stuffed
        self.ended = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Content decoded from what was held back and `data`."""
        if self.ended:
            self.rest += data
            return b""
        octets = self._held + data
        dot = octets.find(b"\r\n.")
        stop = -1 if dot < 0 else octets.find(END_OF_DATA, dot)
        if stop >= 0:
            self.ended, self.rest, self._held = True, octets[stop + 5 :], b""
            content = octets[: stop + 2]
        else:
            keep = _end_of_data_prefix(octets)
            self._held = octets[len(octets) - keep :]
            content = octets[: len(octets) - keep]
        if self._stuffed and 0 <= dot < len(content) - 2:
            content = content.replace(b"\r\n.", b"\r\n")
        if self._virtual and content:
            content, self._virtual = content[2:], 0
        return content


def _end_of_data_prefix(octets: bytes) -> int:
    """How many octets at the end of `octets` may be the beginning of an end of data."""
    if octets.endswith(b"\r"):
        return 4 if octets.endswith(b"\r\n.\r") else 1
    if octets.endswith(b"\n"):
        return 2 if octets.endswith(b"\r\n") else 0
    return 3 if octets.endswith(b"\r\n.") else 0


class DotEncoder:
    """Puts content into DATA form: a dot in front of each line that begins with one, and the end of data behind it.

    Content in which a CR or LF stands alone is refused with a WireError; what was encoded before must then not be
    ended: the connection is closed, so that no part of the message counts.
    """

    __slots__ = ("_check", "_line_start")

    def __init__(self) -> None:
        self._check = NewlineCheck()
        self._line_start = b"\r\n"  # the octets before, as far as they decide about a dot

    def feed(self, content: bytes) -> bytes:
        """Encode one more piece.

        Raises:
            WireError: BARE_LF or BARE_CR.
        """
        if not content:
            return b""
        self._check.feed(content)
        before = self._line_start
        octets = before + content
        self._line_start = octets[-2:]
        if b"\r\n." in octets:
            octets = octets.replace(b"\r\n.", b"\r\n..")
        return octets[len(before) :]

    def end(self) -> bytes:
        """The end of data, with the CRLF that the last line may lack.

        Raises:
            WireError: BARE_CR if the content ended in a CR.
        """
        self._check.end()
        return b".\r\n" if self._line_start == b"\r\n" else END_OF_DATA


class NewlineCheck:
    """Finds a CR or LF that stands alone, across any cut."""

    __slots__ = ("_after_cr",)

    def __init__(self) -> None:
        self._after_cr = False

    def feed(self, content: bytes) -> None:
        """Look at one more piece.

        Raises:
            WireError: BARE_LF or BARE_CR, whichever comes first.
        """
        if not content:
            return
        octets = b"\r" + content if self._after_cr else content
        self._after_cr = octets[-1] == 13
        lines = octets.count(b"\r\n")
        if octets.count(b"\n") != lines or octets.count(b"\r") != lines + self._after_cr:
            raise _bare_newline(octets)

    def end(self) -> None:
        """Say that the content is complete.

        Raises:
            WireError: BARE_CR.
        """
        if self._after_cr:
            raise WireError(Fault.BARE_CR, "a bare CR at the end of the content")


def _bare_newline(octets: bytes) -> WireError:
    first = _BARE.search(octets)
    if first is not None and first[0] == b"\n":
        return WireError(Fault.BARE_LF, "a bare LF in the content")
    return WireError(Fault.BARE_CR, "a bare CR in the content")


class NewlineRepair:
    """Makes every line end a CRLF: a bare LF becomes CRLF, a bare CR one space (no new header line can appear).

    Args:
        stuffed: the content is in DATA form. A leading dot is taken off any line, and a lone dot that was entered or
            left by a bare LF is dropped: to a careless reader it was an end of data.
    """

    __slots__ = ("_entered_bare", "_held", "_line_start", "_stuffed")

    def __init__(self, *, stuffed: bool) -> None:
        self._stuffed = stuffed
        self._held = b""
        self._line_start = True
        self._entered_bare = False

    def feed(self, content: bytes) -> bytes:
        """Repair one more piece; up to two octets whose meaning is open are held back."""
        lines = (self._held + content).split(b"\n")
        last = lines.pop()
        out = [self._line(line) for line in lines]
        self._held = last
        out.append(self._partial(last))
        return b"".join(out)

    def end(self) -> bytes:
        """What was held back, now that the content is complete."""
        held, self._held = self._held, b""
        if self._stuffed and self._line_start and held.startswith(b"."):
            held = held[1:]
        return held.replace(b"\r", b" ")

    def _line(self, line: bytes) -> bytes:
        left_bare = not line.endswith(b"\r")
        text = line if left_bare else line[:-1]
        fresh, entered_bare = self._line_start, self._entered_bare
        self._line_start, self._entered_bare = True, left_bare
        if self._stuffed and fresh and text.startswith(b"."):
            if text == b"." and (entered_bare or left_bare):
                return b""
            text = text[1:]
        return text.replace(b"\r", b" ") + b"\r\n"

    def _partial(self, last: bytes) -> bytes:
        keep = 1 if last.endswith(b"\r") else 0
        text = last[: len(last) - keep]
        if self._stuffed and self._line_start and text in (b"", b"."):
            return b""  # all of it stays held: a lone dot may follow
        if not text:
            return b""
        self._held = last[len(text) :]
        if self._stuffed and self._line_start and text.startswith(b"."):
            text = text[1:]
        self._line_start = False
        return text.replace(b"\r", b" ")
