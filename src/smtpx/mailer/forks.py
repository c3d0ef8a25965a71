"""What begins anew in a child process, before anything else runs there, so that no thread can see it half done."""

import os
import threading
from collections.abc import Callable
from weakref import WeakMethod

__all__ = ["anew_in_child"]

_known: dict[int, "WeakMethod[Callable[[], object]]"] = {}
_lock = threading.RLock()  # reentrant, for objects that are collected while it is held


def anew_in_child(begin: Callable[[], object]) -> None:
    """Have a method of an object called in each child process, while the object is there."""
    with _lock:
        key = id(begin.__self__)  # type: ignore[attr-defined]
        _known[key] = WeakMethod(begin, lambda gone: _forget(key, gone))


def _forget(key: int, gone: object) -> None:
    with _lock:
        if _known.get(key) is gone:
            del _known[key]


def _begin_all() -> None:
    global _lock
    _lock = threading.RLock()
    for reference in list(_known.values()):
        begin = reference()
        if begin is not None:
            begin()


getattr(os, "register_at_fork", dict)(after_in_child=_begin_all)  # there is no fork on Windows
