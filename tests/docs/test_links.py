"""Links of the documents lead to a file that is there, and to a heading that it has."""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.documents import DOCUMENTS, ROOT

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
# Names in backticks of what lies in the project, as `docs/serving.md` or `scripts/check`.
_NAMED = re.compile(r"`((?:docs|examples|scripts|interop|fuzz|src|tests)/[\w./-]*\w)`")


def anchors(path: Path) -> frozenset[str]:
    """As GitHub makes them of the headings: in lower case, spaces as hyphens, and a number for what is there twice."""
    found: dict[str, int] = {}
    names: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", _FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        times = found[name] = found.get(name, -1) + 1
        names.add(f"{name}-{times}" if times else name)
    return frozenset(names)


@cache
def _anchors(path: Path) -> frozenset[str]:
    return anchors(path)


def dead(path: Path) -> list[str]:
    """The links of a document that lead nowhere."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    found = []
    for link in _LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        if not target.exists() or (anchor and (target.suffix != ".md" or anchor not in _anchors(target))):
            found.append(link)
    found += [name for name in _NAMED.findall(text) if not (ROOT / name).exists()]
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    assert dead(path) == []


def test_a_dead_link_is_noticed(tmp_path: Path) -> None:
    other = tmp_path / "other.md"
    other.write_text("# A `name`, and more\n\n## Twice\n\n## Twice\n\n```sh\n# none\n```\n", encoding="utf-8")
    assert anchors(other) == {"a-name-and-more", "twice", "twice-1"}
    good = "[a](other.md) [b](other.md#twice-1) [c](#here) [d](https://x.example/y#z)\n# Here\n"
    bad = "[e](none.md) [f](other.md#none) [g](#nowhere) `docs/none.md` `docs/serving.md`\n"
    page = tmp_path / "page.md"
    page.write_text(good + bad, encoding="utf-8")
    assert dead(page) == ["none.md", "other.md#none", "#nowhere", "docs/none.md"]
