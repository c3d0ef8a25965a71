"""The demonstration itself, as a newcomer runs it: a real server, real TLS, real files."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_demo(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HOME": str(home), "TMPDIR": str(home)}
    command = [sys.executable, str(ROOT / "examples" / "demo.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=55, env=environment, check=False)


@pytest.mark.parametrize(("arguments", "by_bdat"), [((), True), (("--no-chunking",), False)])
def test_every_message_arrives_octet_by_octet(arguments: tuple[str, ...], by_bdat: bool, tmp_path: Path) -> None:
    done = run_demo(*arguments, home=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    count = len(list((ROOT / "examples" / "messages").glob("*.eml")))
    summary = re.search(r"All (\d+) messages arrived octet by octet: .*, (\d+) by BDAT and (\d+) by DATA", done.stdout)
    assert summary is not None, done.stdout
    total = int(summary[1])
    assert total >= count + 3
    assert (int(summary[2]), int(summary[3])) == ((total, 0) if by_bdat else (0, total))
    assert "verified TLS" in done.stdout
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_a_mistake_is_one_clear_line(tmp_path: Path) -> None:
    done = run_demo("--messages", str(tmp_path / "nowhere"), home=tmp_path)
    assert done.returncode not in (0, 70)
    assert "Traceback" not in done.stdout + done.stderr
    assert "nowhere" in done.stdout + done.stderr
