"""docs/conformance.md says what the dialogues show, and names nothing that is not there."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from smtpx.extensions import ALL

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "conformance.py"


@pytest.fixture(scope="module")
def conformance() -> ModuleType:
    spec = importlib.util.spec_from_file_location("conformance", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_dialogues_say() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], check=False)
    assert done.returncode == 0, "run: python docs/conformance.py"


def test_a_stale_page_would_be_noticed(
    conformance: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "conformance.md"
    monkeypatch.setattr(conformance, "TARGET", target)
    assert conformance.main(["--check"]) == 1
    assert conformance.main([]) == 0
    assert conformance.main(["--check"]) == 0
    target.write_text(target.read_text(encoding="utf-8").replace("one_message", "another"), encoding="utf-8")
    assert conformance.main(["--check"]) == 1


GOOD = "RFC 1: One\n2 | what | protocol/phases\n3 | other | - | because\n"


@pytest.mark.parametrize(
    ("text", "dialogues", "error"),
    [
        (GOOD, {}, "nothing shows RFC 1 2"),
        (GOOD, {("RFC 1", "2"): ["a"], ("RFC 2", "1"): ["b"]}, "not in conformance.txt"),
        (GOOD + "2 | again | protocol/phases\n", {("RFC 1", "2"): ["a"]}, "RFC 1 2 is listed twice"),
        ("RFC 1: One\n2 | what | protocol/none\n", {}, "conformance.txt:2: there is no src/smtpx/protocol/none.py"),
        ("RFC 1: One\n2 | what | protocol/phases | tests/x.py\n", {}, "there is no tests/x.py"),
        ("RFC 1: One\n2 | what | -\n", {}, "needs a reason"),
        ("2 | what | protocol/phases\n", {}, "conformance.txt:1"),
        ("RFC 1: One\n2 | what\n", {}, "conformance.txt:2"),
    ],
)
def test_what_is_not_true_is_an_error(
    conformance: ModuleType, text: str, dialogues: dict[tuple[str, str], list[str]], error: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(error)):
        conformance.rendered(text, dialogues)


def test_what_a_page_looks_like(conformance: ModuleType) -> None:
    page = conformance.rendered(GOOD, {("RFC 1", "2"): ["a", "client/b"]})
    assert "| RFC 1 2 | what | [protocol/phases](../src/smtpx/protocol/phases.py) | `a`, `client/b` |" in page
    assert page.endswith("| section | what | why |\n|---|---|---|\n| RFC 1 3 | other | because |\n")


def test_every_document_an_extension_names_is_listed() -> None:
    page = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    for extension in ALL:
        module = sys.modules[type(extension).__module__]
        for document in re.findall(r"RFC [0-9]+", module.__doc__ or ""):
            assert f"| {document} " in page, f"{document} of {module.__name__}"
