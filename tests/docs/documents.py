"""The documents of the project, and the code in them."""

import re
from pathlib import Path
from typing import NamedTuple

__all__ = ["DOCUMENTS", "ROOT", "Block", "blocks"]

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_EXTRACT = re.compile(r"# from (examples/\w+\.py)\n")


class Block(NamedTuple):
    """A fenced block of a document."""

    document: str
    line: int
    language: str
    text: str

    @property
    def origin(self) -> Path | None:
        """The example that it is a part of, as its first line says; None: it stands for itself."""
        found = _EXTRACT.match(self.text)
        return ROOT / found[1] if found else None

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def blocks(language: str) -> list[Block]:
    """All blocks in a language, document by document."""
    found: list[Block] = []
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        for match in _FENCED.finditer(text):
            if match[1] == language:
                line = text.count("\n", 0, match.start()) + 1
                found.append(Block(path.relative_to(ROOT).as_posix(), line, match[1], match[2]))
    return found
