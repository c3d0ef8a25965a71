"""Command lines: verb and argument, and the forms of the arguments (RFC 5321 4.1.1, RFC 3030 2).

>>> parse_command("mail FROM:<a@example.org>")
Command(verb='MAIL', argument='FROM:<a@example.org>')
"""

import re
from typing import NamedTuple

from smtpx.wire.syntax import Fault, WireError, escape, has_controls

__all__ = ["Chunk", "Command", "is_foreign", "parse_bdat", "parse_command", "split_from", "split_to"]

_FROM = re.compile(r"FROM:( *)", re.IGNORECASE)
_TO = re.compile(r"TO:( *)", re.IGNORECASE)
_SIZE = re.compile(r"[0-9]{1,20}")

# What other protocols begin with: HTTP and its methods, SSH, a PROXY header nobody asked for, a header field. A page in
# a browser can be made to send these to a mail server (ALPACA, USENIX Security 2021), so the connection ends there.
FOREIGN_VERBS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PRI", "PUT", "TRACE"})
_FOREIGN_LINE = re.compile(r"SSH-|PROXY |[A-Za-z][A-Za-z0-9_-]*:(?!<)")


class Command(NamedTuple):
    """A verb in upper case, and its argument without the spaces around it; None when there is none."""

    verb: str
    argument: str | None = None

    def to_bytes(self) -> bytes:
        """The line as a client sends it.

        Raises:
            WireError: if a CR, LF, NUL or other control character would get out (CVE-2026-53533 and its kin).
        """
        line = self.verb if self.argument is None else f"{self.verb} {self.argument}"
        if has_controls(line):
            verb = escape(self.verb.partition(" ")[0])
            raise WireError(Fault.ARGUMENT, f"a control character in the argument of {verb}")
        return f"{line}\r\n".encode()


class Chunk(NamedTuple):
    """What a BDAT announces."""

    size: int
    last: bool


def parse_command(line: str) -> Command | None:
    """Read a line without its CRLF; None when it does not begin with a verb."""
    verb, _, argument = line.partition(" ")
    if not (verb.isascii() and verb.isalnum() and verb[0].isalpha()):
        return None
    return Command(verb.upper(), argument.strip(" ") or None)


def is_foreign(line: str, verbs: frozenset[str] = FOREIGN_VERBS) -> bool:
    """Whether this line belongs to another protocol."""
    return _FOREIGN_LINE.match(line) is not None or line.partition(" ")[0].upper() in verbs


def split_from(argument: str | None, *, spaces: bool = True) -> str:
    """What stands behind `FROM:`.

    Args:
        spaces: whether spaces in front of the path are overlooked, as most servers do.

    Raises:
        WireError: ARGUMENT.
    """
    return _split(_FROM, argument, spaces, "FROM:")


def split_to(argument: str | None, *, spaces: bool = True) -> str:
    """What stands behind `TO:`; see `split_from`."""
    return _split(_TO, argument, spaces, "TO:")


def _split(pattern: re.Pattern[str], argument: str | None, spaces: bool, word: str) -> str:
    match = pattern.match(argument or "")
    if match is None or argument is None or match.end() == len(argument):
        raise WireError(Fault.ARGUMENT, f"{word}<address> is missing")
    if match[1] and not spaces:
        raise WireError(Fault.ARGUMENT, f"a space behind {word}")
    return argument[match.end() :]


def parse_bdat(argument: str | None) -> tuple[Chunk, bool]:
    """Read the argument of BDAT; the second value says whether all of it has the right form.

    A chunk of known size must be swallowed whatever else is wrong with the command (RFC 3030 2), so the size is given
    even then.

    Raises:
        WireError: if there is no size of 1 to 20 digits: where the next command begins can't be known.
    """
    words = (argument or "").split(" ")
    if _SIZE.fullmatch(words[0]) is None:
        raise WireError(Fault.ARGUMENT, "BDAT needs a size in octets")
    words = [word for word in words if word]
    last = len(words) == 2 and words[1].lower() == "last"  # not upper(): U+017F would become an S
    return Chunk(int(words[0]), last), last or len(words) == 1
