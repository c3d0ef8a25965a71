"""The tests that Django has for each of its mail backends, with ours in their place."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .peers import django_tests

pytestmark = pytest.mark.peer("Django", direction="Django → smtpx.adapters.django")

_ROOT = Path(__file__).resolve().parent.parent


def test_shared_backend_tests() -> None:
    command = [sys.executable, "-m", "interop.django_suite", str(django_tests())]
    run = subprocess.run(command, cwd=_ROOT, env=os.environ, capture_output=True, text=True, timeout=120)
    said = [line.partition(" ")[::2] for line in run.stdout.splitlines()]
    assert run.returncode == 0, run.stderr
    assert {outcome for outcome, _ in said} == {"ok"}, run.stdout
    assert len(said) >= 10, run.stdout  # 18 in Django 5.2, 11 in 6.1
