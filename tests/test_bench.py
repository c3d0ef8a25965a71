"""The benchmarks run, and say what they are to say; what they measure is no matter of tests."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_mailer() -> None:
    command = [sys.executable, "-m", "bench.mailer", "--messages", "60", "--rounds", "1", "--connections", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    lines = done.stdout.splitlines()
    assert sum(line.startswith("building") for line in lines) == 2
    assert sum(line.startswith("throughput of the provider") for line in lines) == 2
    assert done.stderr == ""
