"""The diagram in ARCHITECTURE.md is the table the code runs on."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_diagram_is_what_the_table_says() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "phase_diagram.py", "--check"], check=False)
    assert done.returncode == 0, "run: python docs/phase_diagram.py"


def test_a_stale_diagram_would_be_noticed(tmp_path: Path) -> None:
    script = (ROOT / "docs" / "phase_diagram.py").read_text(encoding="utf-8")
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "phase_diagram.py").write_text(script, encoding="utf-8")
    (tmp_path / "ARCHITECTURE.md").write_text(
        text.replace("SENDER --> RECIPIENTS", "SENDER --> BODY"), encoding="utf-8"
    )
    done = subprocess.run([sys.executable, tmp_path / "docs" / "phase_diagram.py", "--check"], check=False)
    assert done.returncode == 1
