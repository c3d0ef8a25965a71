"""Beginning anew in child processes."""

import gc
import os
import threading

import pytest

from smtpx.mailer import forks
from smtpx.mailer.forks import anew_in_child


class Thing:
    def __init__(self) -> None:
        self.begun = 0
        anew_in_child(self.begin)

    def begin(self) -> None:
        self.begun += 1


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_in_a_child_and_nowhere_else_before_anything_else() -> None:
    things = [Thing(), Thing()]
    with forks._lock:
        child = os.fork()
        if child == 0:
            ok = [each.begun for each in things] == [1, 1]
            locked = threading.Thread(target=Thing)  # another thread may register at once
            locked.start()
            locked.join(5)
            os._exit(0 if ok and not locked.is_alive() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [each.begun for each in things] == [0, 0]


def test_what_is_gone_is_forgotten() -> None:
    gc.collect()
    before = len(forks._known)
    thing = Thing()
    key = id(thing)
    stale = forks._known[key]
    assert len(forks._known) == before + 1
    forks._begin_all()
    assert thing.begun == 1
    del thing
    gc.collect()
    assert len(forks._known) == before
    forks._known[key] = stale  # collected in the very moment of the fork
    forks._begin_all()
    forks._forget(key, object())  # another object with the same id
    assert forks._known.pop(key) is stale
