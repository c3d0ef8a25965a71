"""Inputs made from others: what is used where there is no coverage-guided engine, and by the tests."""

import random
from collections.abc import Sequence

__all__ = ["mutated"]

_MAX_BYTES = 2048


def mutated(seeds: Sequence[bytes], tokens: Sequence[bytes], dice: random.Random) -> bytes:
    """One of the seeds, with some changes."""
    data = dice.choice(seeds) if seeds and dice.random() < 0.95 else dice.randbytes(dice.randrange(40))
    for _ in range(dice.choice((1, 1, 2, 3, 5, 10))):
        data = _change(data, seeds, tokens, dice)
    return data[:_MAX_BYTES]


def _change(data: bytes, seeds: Sequence[bytes], tokens: Sequence[bytes], dice: random.Random) -> bytes:
    start = dice.randrange(len(data) + 1)
    stop = min(start + dice.choice((0, 1, 1, 2, 4, 16)), len(data))
    match dice.randrange(7):
        case 0:
            new = dice.randbytes(1)
        case 1:
            new = dice.choice(tokens) if tokens else b""
        case 2:
            new = b""
        case 3:
            new = data[start:stop] * dice.choice((2, 3, 40))
        case 4:
            other = dice.choice(seeds) if seeds else b""
            place = dice.randrange(len(other) + 1)
            new = other[place : place + dice.choice((1, 8, 64, 1024))]
        case 5:
            new, start, stop = (
                dice.randbytes(dice.randrange(4)),
                len(data) - dice.randrange(min(len(data), 4) + 1),
                len(data),
            )
        case _:
            new = bytes([data[start] ^ 1 << dice.randrange(8)]) if start < len(data) else b"\0"
            stop = start + 1
    return data[:start] + new + data[stop:]
