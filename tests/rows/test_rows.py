"""The rows of each list in this directory, and where they are shown: what they name is really there.

A line is `ID | a few words | where`. Where is one or more of these, separated by spaces: `tests/x/test_y.py::test_name`
(some text of its parameters may follow in brackets), `tests/dialogues/name.txt`, `decision N` (docs/decisions.md),
`later: relay` (or mailer, inbox, adapters). A line that begins with # is a heading.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LISTS = sorted(Path(__file__).parent.glob("*.txt"))
LATER = {"relay", "mailer", "inbox", "adapters"}
MOST_WORDS = 12

_FAILING = frozenset({"raises", "fail", "warns", "Dialogue", "ScriptedServer"})  # the last two know what has to come
_DECISION = re.compile(r"\|\s*(\d+)\s*\|")
_PLACES = re.compile(r"decision\s+\S+|later:\s*\S+|[^\s\[]+\[[^\]]*\]|\S+")
_TEST = re.compile(r"(?P<path>[^:\[]+\.py)::(?:\w+::)?(?P<name>\w+)(?:\[(?P<parameter>[^\]]*)\])?")


@cache
def _functions(path: Path) -> dict[str, bool]:
    """The functions of a file by name, and whether each could fail: it asserts, or calls one here that does."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    made = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    calls = {node.name: {_called(each) for each in ast.walk(node)} for node in made}
    failing = {node.name for node in made if any(isinstance(each, ast.Assert) for each in ast.walk(node))}
    failing |= {name for name, called in calls.items() if called & _FAILING}
    while more := {name for name, called in calls.items() if called & failing} - failing:
        failing |= more
    return {name: name in failing for name in calls}


def _called(node: ast.AST) -> str:
    """What a node calls: `f` of `f()` and of `x.f()`."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


@cache
def _decisions(path: Path) -> frozenset[str]:
    found = map(_DECISION.match, path.read_text(encoding="utf-8").splitlines())
    return frozenset(match[1] for match in found if match)


def _wrong_place(place: str, root: Path) -> str | None:
    """What is wrong with one place, or None."""
    kind, _, which = place.partition(" ")
    if kind == "decision":
        known = which.strip() in _decisions(root / "docs" / "decisions.md")
        return None if known else "no such decision"
    if place.startswith("later:"):
        return None if place.removeprefix("later:").strip() in LATER else "later where?"
    if place.startswith("tests/dialogues/") and place.endswith(".txt"):
        return None if (root / place).is_file() else "no such dialogue"
    match = _TEST.fullmatch(place)
    if match is None:
        return "neither a test nor a dialogue, a decision or later"
    path = root / match["path"]
    if not path.is_file():
        return "no such file"
    if not match["name"].startswith("test") or match["name"] not in _functions(path):
        return "no such test"
    if not _functions(path)[match["name"]]:
        return "a test that can't fail"
    if match["parameter"] and match["parameter"] not in path.read_text(encoding="utf-8"):
        return "no such parameter"
    return None


def wrong(text: str, root: Path = ROOT) -> list[str]:
    """All that is wrong with a list."""
    found = []
    ids: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = [part.strip() for part in line.split("|")]
        if len(parts) != 3 or not all(parts):
            found.append(f"{number}: not `ID | words | where`")
            continue
        row, words, where = parts
        if row in ids:
            found.append(f"{number}: {row} is there twice")
        ids.add(row)
        if len(words.split()) > MOST_WORDS:
            found.append(f"{number}: {row} has more than {MOST_WORDS} words")
        places = _PLACES.findall(where)
        found += [f"{number}: {row}: {at}: {error}" for at in places if (error := _wrong_place(at, root))]
    return found


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_what_a_list_names_is_there(path: Path) -> None:
    assert wrong(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("A1 | fine | tests/test_x.py::test_one", None),
        ("A1 | fine | tests/test_x.py::Cases::test_two[id] tests/dialogues/d.txt decision 7 later: relay", None),
        ("A1 | two fields", "not `ID"),
        ("A1 | | tests/test_x.py::test_one", "not `ID"),
        ("A1 | fine |", "not `ID"),
        (f"A1 | {'w ' * 13} | decision 7", "more than 12 words"),
        ("A1 | a | decision 7\nA1 | b | decision 7", "4: A1 is there twice"),
        ("A1 | a | tests/test_x.py::test_three", "no such test"),
        ("A1 | a | tests/test_x.py::helper", "no such test"),
        ("A1 | a | tests/test_x.py::test_idle", "a test that can't fail"),
        ("A1 | a | tests/test_x.py::test_one[R05]", "no such parameter"),
        ("A1 | a | tests/test_z.py::test_one", "no such file"),
        ("A1 | a | tests/dialogues/e.txt", "no such dialogue"),
        ("A1 | a | tests/test_x.py", "neither"),
        ("A1 | a | decision 8", "no such decision"),
        ("A1 | a | later: never", "later where?"),
    ],
)
def test_what_is_not_there_is_noticed(line: str, error: str | None, tmp_path: Path) -> None:
    (tmp_path / "tests" / "dialogues").mkdir(parents=True)
    (tmp_path / "tests" / "dialogues" / "d.txt").touch()
    (tmp_path / "tests" / "test_x.py").write_text(
        "def helper(x): assert x\ndef test_one(): helper(1)\ndef test_idle(): print('x')\n"
        "class Cases:\n    async def test_two(self):\n        with pytest.raises(E, match='id'): f()\n",
        encoding="utf-8",
    )
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "decisions.md").write_text("| # | q |\n|---|---|\n| 7 | x |\n", encoding="utf-8")
    found = wrong(f"# heading\n\n{line}", tmp_path)
    assert [bool(entry) for entry in found] == [True] * (error is not None), found
    assert error is None or error in found[0]
