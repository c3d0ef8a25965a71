"""Decisions drawn from octets: small numbers from their end, so that the beginning of an input stays readable."""

import random
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["Source", "cut"]

T = TypeVar("T")


class Source:
    """What a fuzzer hands over. Whatever is asked for beyond its end is 0 or empty, so every input means something."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._start = 0
        self._end = len(data)

    def pick(self, count: int) -> int:
        """A number below `count`, from the last octet."""
        if self._end == self._start:
            return 0
        self._end -= 1
        return self._data[self._end] % count

    def choose(self, values: Sequence[T]) -> T:
        """One of these."""
        return values[self.pick(len(values))]

    def octet(self) -> int:
        """The next octet of the beginning."""
        taken = self.take(1)
        return taken[0] if taken else 0

    def take(self, count: int) -> bytes:
        """The next octets of the beginning, as many as there are."""
        stop = min(self._start + count, self._end)
        taken = self._data[self._start : stop]
        self._start = stop
        return taken

    def rest(self) -> bytes:
        """Everything that was not drawn."""
        return self.take(self._end - self._start)


def cut(data: bytes, seed: int) -> list[bytes]:
    """`data` in pieces: 0 whole, 1 octet by octet, otherwise of sizes that `seed` decides."""
    if seed == 0:
        return [data]
    if seed == 1:
        return [data[i : i + 1] for i in range(len(data))]
    dice, pieces, start = random.Random(seed), list[bytes](), 0
    while start < len(data):
        size = dice.choice((1, 1, 2, 3, 5, 8, 40, 300))
        pieces.append(data[start : start + size])
        start += size
    return pieces
