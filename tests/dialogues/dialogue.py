"""Dialogues as plain text: what the client says (`C:`) and what the server must answer (`S:`).

    # RFC 5321 3.3: no recipient, no DATA.
    ! require_auth                  an option of the server, or `! option=value`
    S: 220 *
    C: DATA
    S: 503 5.5.1 *                  codes must match; text by wildcard; no text: any text
    S: 250-*SIZE*                   one line of a reply with several; `S: ...` stands for any further lines
    C> no line end                  octets as they are, with Python's escapes
    = HANDSHAKE                     TLS begins on both sides; `= CLOSED` expects the end, `= EOF` hangs up
    = STORED 1                      so many messages were taken by now

`C:` adds CRLF and knows no escapes, so dots and backslashes stand for themselves. Lines of the client that follow each
other go out together.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

__all__ = ["Closed", "Dialogue", "Expect", "Handshake", "HangUp", "Said", "Stored", "find_dialogues", "parse_dialogue"]

HERE = Path(__file__).parent
_REPLY_LINE = re.compile(r"(?P<code>[2-5][0-9][0-9])(?:[ -]|$)(?:(?P<enhanced>[245]\.[0-9]+\.[0-9]+) ?)?(?P<text>.*)")


@dataclass(frozen=True)
class Said:
    """Octets the client sends, in one piece."""

    octets: bytes


@dataclass(frozen=True)
class Expect:
    """One whole reply: its code, its enhanced code or None, and a pattern for each line of text."""

    code: int
    enhanced: str | None
    texts: tuple[str, ...]
    open_ended: bool = False

    def mismatch(self, code: int, enhanced: str | None, lines: tuple[str, ...]) -> str | None:
        """What is wrong with a reply, or None."""
        if (code, enhanced) != (self.code, self.enhanced):
            return f"expected {self.code} {self.enhanced}, got {code} {enhanced} {lines}"
        enough = len(lines) >= len(self.texts) if self.open_ended else len(lines) == len(self.texts)
        fits = enough and all(fnmatchcase(line, text or "*") for line, text in zip(lines, self.texts, strict=False))
        return None if fits else f"expected the lines {self.texts}, got {lines}"


@dataclass(frozen=True)
class Handshake:
    """TLS begins."""


@dataclass(frozen=True)
class HangUp:
    """The client closes its side."""


@dataclass(frozen=True)
class Closed:
    """The server has closed the connection."""


@dataclass(frozen=True)
class Stored:
    """So many messages were taken by now."""

    count: int


Step = Said | Expect | Handshake | HangUp | Closed | Stored


@dataclass(frozen=True)
class Dialogue:
    """A file: what it shows, how the server is set up, and what is said."""

    name: str
    about: str
    options: dict[str, str]
    steps: tuple[Step, ...]


def find_dialogues() -> list[Path]:
    """All files of this directory."""
    return sorted(HERE.glob("*.txt"))


def parse_dialogue(path: Path) -> Dialogue:
    """Read a file.

    Raises:
        ValueError: naming file and line, if it has another form.
    """
    comments: list[str] = []
    options: dict[str, str] = {}
    steps: list[Step] = []
    reply: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        mark, rest = line[:2], line[3:]
        if not line.strip():
            continue
        if mark == "S:":
            reply.append(rest)
            if rest != "..." and rest[3:4] != "-":
                steps.append(_expect(reply, f"{path.name}:{number}"))
                reply = []
        elif reply:
            raise ValueError(f"{path.name}:{number}: the reply above is not complete")
        elif mark in ("C:", "C>"):
            steps.append(Said(_octets(mark, rest)))
        elif line[0] == "#":
            comments.append(line[1:].strip())
        elif line[0] == "!":
            name, _, value = line[1:].strip().partition("=")
            options[name.strip()] = value.strip() or "yes"
        elif line[0] == "=":
            steps.append(_event(line[1:].split(), f"{path.name}:{number}"))
        else:
            raise ValueError(f"{path.name}:{number}: a line begins with S: C: C> # ! or =")
    if not comments or "RFC" not in comments[0]:
        raise ValueError(f"{path.name}: the first comment names the section of an RFC")
    return Dialogue(path.stem, comments[0], options, tuple(_joined(steps)))


def _octets(mark: str, text: str) -> bytes:
    if mark == "C:":
        return text.encode() + b"\r\n"
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1")


def _expect(lines: list[str], where: str) -> Expect:
    found = [_REPLY_LINE.fullmatch(line) for line in lines if line != "..."]
    matches = [match for match in found if match is not None]
    heads = {(match["code"], match["enhanced"]) for match in matches}
    if len(matches) < len(found) or len(heads) != 1:
        raise ValueError(f"{where}: not a reply: {lines}")
    code, enhanced = heads.pop()
    open_ended = "..." in lines
    # What `...` stands for ends in a last line of which nothing more is said.
    texts = tuple(match["text"] for match in matches)[: -1 if open_ended else None]
    return Expect(int(code), enhanced, texts, open_ended)


def _event(words: list[str], where: str) -> Step:
    match words:
        case ["HANDSHAKE"]:
            return Handshake()
        case ["EOF"]:
            return HangUp()
        case ["CLOSED"]:
            return Closed()
        case ["STORED", count]:
            return Stored(int(count))
        case _:
            raise ValueError(f"{where}: = HANDSHAKE, EOF, CLOSED or STORED n")


def _joined(steps: list[Step]) -> Iterator[Step]:
    said = b""
    for step in steps:
        if isinstance(step, Said):
            said += step.octets
            continue
        if said:
            yield Said(said)
            said = b""
        yield step
    if said:
        yield Said(said)
