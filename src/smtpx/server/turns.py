"""Work that only so many may do at once, each and all; the others wait for their turn."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable

__all__ = ["Turn", "Turns"]


class Turns:
    """Who is at work and who waits, first come, first served, as far as their own number allows.

    Args:
        each: at once for one key.
        total: at once in all.
    """

    def __init__(self, *, each: int, total: int) -> None:
        self.each = each
        self.total = total
        self._busy: Counter[str] = Counter()
        self._waiting: deque[Turn] = deque()

    @property
    def is_idle(self) -> bool:
        """Whether nobody is at work, or waits."""
        return not self._busy and not self._waiting

    def take(self, key: str, go: Callable[[], None]) -> "Turn":
        """A turn, which has begun already, or calls `go` when it begins."""
        turn = Turn(self, key, go)
        if self._has_room(key):
            self._begin(turn)
        else:
            self._waiting.append(turn)
        return turn

    def is_full_for(self, key: str) -> bool:
        """Whether as many are at work for this key as may be."""
        return self._busy[key] >= self.each

    def _has_room(self, key: str) -> bool:
        return not self.is_full_for(key) and self._busy.total() < self.total

    def _begin(self, turn: "Turn") -> None:
        self._busy[turn.key] += 1
        turn.has_begun = True

    def end(self, turn: "Turn") -> None:
        """A turn is over, or not wanted any more."""
        if not turn.has_begun:
            self._waiting.remove(turn)
            return
        self._busy[turn.key] -= 1
        if not self._busy[turn.key]:
            del self._busy[turn.key]
        following = next((each for each in self._waiting if self._has_room(each.key)), None)
        if following is not None:
            self._waiting.remove(following)
            self._begin(following)
            asyncio.get_running_loop().call_soon(following.go)


class Turn:
    """One turn, or the wait for it. `end` it exactly once that matters; ending it again does nothing."""

    __slots__ = ("_go", "_is_over", "_turns", "has_begun", "key")

    def __init__(self, turns: Turns, key: str, go: Callable[[], None]) -> None:
        self._turns = turns
        self._go = go
        self._is_over = False
        self.key = key
        self.has_begun = False

    def go(self) -> None:
        """It begins, unless it was given up in the meantime."""
        if not self._is_over:
            self._go()

    def end(self) -> None:
        """Let the next one have it."""
        if not self._is_over:
            self._is_over = True
            self._turns.end(self)
