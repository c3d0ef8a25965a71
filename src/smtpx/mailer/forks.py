"""What begins anew in a child process, before anything else runs there, so that no thread can see it half done."""

import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["Inherited", "anew_in_child"]


class Inherited(Protocol):
    """What a child process gets from its parent and can't use as it is."""

    def begin_anew(self) -> None:
        """Nobody holds a lock any more, and no other thread is there."""
        ...


_known: WeakSet[Inherited] = WeakSet()


def anew_in_child(thing: Inherited) -> None:
    """Have it begin anew in each child process, while it is there."""
    _known.add(thing)


def _begin_all() -> None:
    for thing in list(_known):
        thing.begin_anew()


getattr(os, "register_at_fork", dict)(after_in_child=_begin_all)  # there is no fork on Windows
