"""Writes docs/conformance.md: each document, section by section, what is implemented, where, and what shows it.

The dialogues in `tests/dialogues` say which sections they show; docs/conformance.txt has the rest.

python docs/conformance.py            # write
python docs/conformance.py --check    # exit 1 if what stands there is not what the dialogues say
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.dialogues.client import find_client_dialogues, parse_client_dialogue  # noqa: E402 - found by the line above
from tests.dialogues.dialogue import find_dialogues, parse_dialogue  # noqa: E402

DATA = ROOT / "docs" / "conformance.txt"
TARGET = ROOT / "docs" / "conformance.md"
HEAD = """# Conformance

Made by `docs/conformance.py` from the dialogues in `tests/dialogues`, which the tests play in memory and on a port, and
from `docs/conformance.txt`. A name in the last column is a dialogue with our server; `client/` stands before those with
our client; other tests are given by file. What is knowingly left out stands at the end.
"""
_DOCUMENT = re.compile(r"(?P<document>RFC [0-9]+|XCLIENT|XFORWARD|PROXY) (?P<section>[A-Za-z0-9.]+)")
Section = tuple[str, str]


@dataclass(frozen=True)
class Row:
    """One section: what it is about, its modules, and tests beside the dialogues; or why it is left out."""

    document: str
    section: str
    what: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]
    reason: str


def read_rows(text: str) -> Iterator[tuple[str, Row]]:
    """The rows, each with its heading.

    Raises:
        ValueError: naming the line, for one that has another form or names what is not there.
    """
    heading = ""
    for number, line in enumerate(text.splitlines(), 1):
        cells = [cell.strip() for cell in line.split("|")]
        if not line.strip() or line.startswith("#"):
            continue
        if len(cells) == 1:
            heading = line.strip()
        elif heading and 3 <= len(cells) <= 4:
            yield heading, _row(heading, cells, f"conformance.txt:{number}")
        else:
            raise ValueError(f"conformance.txt:{number}: a heading, or section | what | modules | tests")


def _row(heading: str, cells: list[str], where: str) -> Row:
    section, what, modules, *rest = cells
    named = _DOCUMENT.fullmatch(section)
    document = named["document"] if named else heading.partition(":")[0]
    section = named["section"] if named else section
    last = rest[0] if rest else ""
    if modules == "-":
        if not last:
            raise ValueError(f"{where}: what is left out needs a reason")
        return Row(document, section, what, (), (), last)
    homes = tuple(f"src/smtpx/{name}.py" for name in modules.split())
    tests = tuple(last.split())
    for path in (*homes, *tests):
        if not (ROOT / path).is_file():
            raise ValueError(f"{where}: there is no {path}")
    return Row(document, section, what, homes, tests, "")


def shown() -> Mapping[Section, list[str]]:
    """The dialogues that show a section, by the names they have in the tables."""
    found: dict[Section, list[str]] = defaultdict(list)
    server = [(path, "", parse_dialogue(path).shown) for path in find_dialogues()]
    client = [(path, "client/", parse_client_dialogue(path).shown) for path in find_client_dialogues()]
    for path, prefix, sections in (*server, *client):
        for document, section in dict.fromkeys((each.document, each.section) for each in sections):
            found[document, section].append(f"{prefix}{path.stem}")
    return found


def rendered(text: str, dialogues: Mapping[Section, list[str]]) -> str:
    """The whole page.

    Raises:
        ValueError: for a section that is shown and not listed, listed twice, or listed and not shown by anything.
    """
    tables: dict[str, list[Row]] = defaultdict(list)
    listed: set[Section] = set()
    for heading, row in read_rows(text):
        if (row.document, row.section) in listed:
            raise ValueError(f"{row.document} {row.section} is listed twice")
        listed.add((row.document, row.section))
        tables[heading].append(row)
    if missing := sorted(set(dialogues) - listed):
        raise ValueError(f"shown by dialogues and not in conformance.txt: {missing}")
    pages = [_table(heading, rows, dialogues) for heading, rows in tables.items()]
    return "\n".join([HEAD, *pages, _left_out(tables)])


def _table(heading: str, rows: list[Row], dialogues: Mapping[Section, list[str]]) -> str:
    lines = [f"## {heading}\n", "| section | what | where | shown by |", "|---|---|---|---|"]
    for row in rows:
        if not row.modules:
            continue
        names = [f"`{name}`" for name in dialogues.get((row.document, row.section), [])]
        proofs = ", ".join([*names, *(f"[{Path(test).name}](../{test})" for test in row.tests)])
        if not proofs:
            raise ValueError(f"nothing shows {row.document} {row.section}")
        homes = ", ".join(f"[{home[len('src/smtpx/') : -3]}](../{home})" for home in row.modules)
        lines.append(f"| {row.document} {row.section} | {row.what} | {homes} | {proofs} |")
    return "\n".join(lines) + "\n"


def _left_out(tables: Mapping[str, list[Row]]) -> str:
    lines = ["## Knowingly not implemented\n", "| section | what | why |", "|---|---|---|"]
    rows = [row for table in tables.values() for row in table if not row.modules]
    lines += [f"| {row.document} {row.section} | {row.what} | {row.reason} |" for row in rows]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write or check."""
    wanted = rendered(DATA.read_text(encoding="utf-8"), shown())
    if arguments == ["--check"]:
        return int(not TARGET.is_file() or TARGET.read_text(encoding="utf-8") != wanted)
    TARGET.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
