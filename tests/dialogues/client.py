"""Dialogues with our client: what it is told to do, what it must say (`C:`), and what a server answers (`S:`).

# RFC 5321 3.3: one recipient is enough.
! auth=user:secret              an option; see `tests/client/test_dialogues.py`
> open                          a method of a connection, or `open`; arguments, then name=value
S: 220 x
C: EHLO client.example
S: 250 x
> send s@x.example a@x.example,b@x.example
...
= ACCEPTED a@x.example          what came of it: recipients,
= REFUSED b@x.example 550       with their codes,
= 250                           the code of a reply,
= RAISES TemporaryRefusal mail  an exception and its stage
= HANDSHAKE                     TLS begins; `= EOF` the server ends, `= CLOSED` the client has
"""

from dataclasses import dataclass
from pathlib import Path

from tests.dialogues.dialogue import HERE, Shown, parse_shown

__all__ = ["Action", "ClientDialogue", "find_client_dialogues", "parse_client_dialogue"]

_EVENTS = {"HANDSHAKE": "TLS", "EOF": "EOF", "CLOSED": "CLOSE"}
_RESULTS = {"ACCEPTED": 2, "REFUSED": 3, "RAISES": 3}


@dataclass(frozen=True)
class Action:
    """What the client is told, and what must come of it."""

    name: str
    arguments: tuple[str, ...]
    options: dict[str, str]
    results: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class ClientDialogue:
    """A file; `script` is what goes over the wire, in the form of `tests.peers`."""

    name: str
    shown: tuple[Shown, ...]
    options: dict[str, str]
    actions: tuple[Action, ...]
    script: str


def find_client_dialogues() -> list[Path]:
    """All dialogues with our client."""
    return sorted((HERE / "client").glob("*.txt"))


def parse_client_dialogue(path: Path) -> ClientDialogue:
    """Read a file.

    Raises:
        ValueError: naming file and line, if it has another form.
    """
    shown: list[Shown] = []
    options: dict[str, str] = {}
    told: list[tuple[list[str], list[tuple[str, ...]]]] = []
    script: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        where = f"{path.name}:{number}"
        words = line[1:].split()
        if line[:2] in ("S:", "C:"):
            script.append(line)
        elif line[:1] == "#":
            shown += parse_shown(line[1:].strip(), where)
        elif line[:1] == "!":
            name, _, value = line[1:].strip().partition("=")
            options[name] = value
        elif line[:1] == ">" and words:
            told.append((words, []))
        elif line[:1] == "=" and len(words) == 1 and words[0] in _EVENTS:
            script.append(_EVENTS[words[0]])
        elif line[:1] == "=" and told and _is_result(words):
            told[-1][1].append(tuple(words))
        elif line.strip():
            raise ValueError(f"{where}: a line begins with S: C: # ! > or =")
    if not shown:
        raise ValueError(f"{path.name}: the first line names the section of an RFC")
    actions = tuple(_action(words, results) for words, results in told)
    return ClientDialogue(path.stem, tuple(shown), options, actions, "\n".join(script))


def _is_result(words: list[str]) -> bool:
    return (len(words) == 1 and words[0].isdigit()) or (bool(words) and _RESULTS.get(words[0]) == len(words))


def _action(words: list[str], results: list[tuple[str, ...]]) -> Action:
    if words[0] == "command":  # a verb, and all the rest as it stands
        return Action(words[0], (words[1], *([" ".join(words[2:])] if words[2:] else [])), {}, tuple(results))
    options = dict(word.split("=", 1) for word in words[1:] if "=" in word)
    arguments = tuple(word for word in words[1:] if "=" not in word)
    return Action(words[0], arguments, options, tuple(results))
