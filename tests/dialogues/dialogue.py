"""Dialogues as plain text: what the client says (`C:`) and what the server must answer (`S:`).

    # RFC 5321 3.3, 4.1.1.4; RFC 2920 3.1: no recipient, no DATA.
    ! require_auth                  an option of the server, or `! option=value`; see `house`
    S: 220 *
    C: DATA
    S: 503 5.5.1 *                  codes must match; text by wildcard; no text: any text
    S: 250-SIZE *                   one line of a reply with several; with `S: ...` ahead of its last line the others
                                    stand somewhere in it, in this order
    C> no line end                  octets as they are, with Python's escapes
    = HANDSHAKE                     TLS begins on both sides; `= HANDSHAKE NAME` with a client certificate for NAME
    = CLOSED                        the server ends the connection; with `= EOF` the client does
    = STORED 1                      so many messages were taken by now

The first line names sections and what is shown of them, and further lines of that form do the same for what follows
them; `docs/conformance.md` is made of these. Other comments are free, but for that they don't begin with `RFC`.

`C:` adds CRLF and knows no escapes, so dots and backslashes stand for themselves. Lines of the client that follow each
other go out together.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

__all__ = [
    "Closed",
    "Dialogue",
    "Expect",
    "Handshake",
    "HangUp",
    "Said",
    "Shown",
    "Stored",
    "find_dialogues",
    "parse_dialogue",
    "parse_shown",
]

HERE = Path(__file__).parent
_REPLY_LINE = re.compile(r"(?P<code>[2-5][0-9][0-9])(?:[ -]|$)(?:(?P<enhanced>[245]\.[0-9]+\.[0-9]+) ?)?(?P<text>.*)")
_SECTIONS = r"(?:RFC [0-9]+|XCLIENT|XFORWARD|PROXY) [A-Za-z0-9.]+(?:, [A-Za-z0-9.]+)*"
_SHOWN = re.compile(rf"(?P<sections>{_SECTIONS}(?:; {_SECTIONS})*): (?P<text>.+)")


@dataclass(frozen=True, order=True)
class Shown:
    """A section of a document, and what is shown of it."""

    document: str
    section: str
    text: str


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
        fits = self._occur_in(lines) if self.open_ended else self._are(lines)
        return None if fits else f"expected the lines {self.texts}, got {lines}"

    def _are(self, lines: tuple[str, ...]) -> bool:
        pairs = zip(lines, self.texts, strict=False)
        return len(lines) == len(self.texts) and all(fnmatchcase(line, text or "*") for line, text in pairs)

    def _occur_in(self, lines: tuple[str, ...]) -> bool:
        """In this order, whatever stands between and behind them."""
        rest = iter(lines)
        return all(any(fnmatchcase(line, text or "*") for line in rest) for text in self.texts)


@dataclass(frozen=True)
class Handshake:
    """TLS begins; `name` is whom the client's certificate is for, if it has one."""

    name: str | None = None


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
    shown: tuple[Shown, ...]
    options: dict[str, str]
    steps: tuple[Step, ...]


def find_dialogues() -> list[Path]:
    """All files of this directory: dialogues with our server."""
    return sorted(HERE.glob("*.txt"))


def parse_dialogue(path: Path) -> Dialogue:
    """Read a file.

    Raises:
        ValueError: naming file and line, if it has another form.
    """
    shown: list[Shown] = []
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
            shown += parse_shown(line[1:].strip(), f"{path.name}:{number}")
        elif line[0] == "!":
            name, _, value = line[1:].strip().partition("=")
            options[name.strip()] = value.strip() or "yes"
        elif line[0] == "=":
            steps.append(_event(line[1:].split(), f"{path.name}:{number}"))
        else:
            raise ValueError(f"{path.name}:{number}: a line begins with S: C: C> # ! or =")
        if not shown:
            break
    if not shown:
        raise ValueError(f"{path.name}: the first line names the section of an RFC")
    return Dialogue(path.stem, tuple(shown), options, tuple(_joined(steps)))


def parse_shown(comment: str, where: str) -> list[Shown]:
    """What a comment says is shown; nothing for a free comment.

    Raises:
        ValueError: naming `where`, if it is neither.
    """
    match = _SHOWN.fullmatch(comment)
    if match is None:
        if comment.startswith("RFC"):
            raise ValueError(f"{where}: sections are written `# RFC 5321 3.3, 4.1.1.4; RFC 2920 3.1: text`")
        return []
    found: list[Shown] = []
    for part in match["sections"].split("; "):
        document = re.match(r"RFC [0-9]+|[A-Z]+", part)
        assert document is not None
        sections = part[document.end() + 1 :].split(", ")
        found += [Shown(document[0], section, match["text"]) for section in sections]
    return found


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
        case ["HANDSHAKE", *name]:
            return Handshake(*name)
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
