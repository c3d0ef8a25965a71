"""Beginning anew in child processes."""

import gc
import os
import subprocess
import sys

import pytest

from smtpx.mailer import forks
from smtpx.mailer.forks import anew_in_child


class Thing:
    def __init__(self) -> None:
        self.begun = 0
        anew_in_child(self)

    def begin_anew(self) -> None:
        self.begun += 1


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_in_a_child_and_nowhere_else_before_anything_else() -> None:
    things = [Thing(), Thing()]
    child = os.fork()
    if child == 0:
        os._exit(0 if [each.begun for each in things] == [1, 1] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [each.begun for each in things] == [0, 0]
    forks._begin_all()
    assert [each.begun for each in things] == [1, 1]


def test_what_is_gone_is_forgotten() -> None:
    thing = Thing()
    assert thing in forks._known
    gc.collect()
    before = len(forks._known)
    del thing
    gc.collect()
    assert len(forks._known) == before - 1


def test_an_interpreter_ends_without_a_word() -> None:
    code = "import smtpx.mailer.default as d, smtpx.mailer.rate_limit as r; kept = [r.RateLimit(), d.get_sync_service]"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
