"""Ways to cut the same octets, so that a test can say: however they arrive, the result is the same."""

from collections.abc import Iterator

from hypothesis import strategies as st

__all__ = ["SIZES", "cut", "every_cut", "octets", "pieces", "places"]

SIZES = (1, 2, 3, 17, 4096)


def pieces(data: bytes, size: int) -> list[bytes]:
    """`data` in pieces of `size` octets; one empty piece when there is nothing."""
    return [data[i : i + size] for i in range(0, len(data), size)] or [b""]


def cut(data: bytes, at: list[int]) -> list[bytes]:
    """`data` cut at these places; a place named twice gives an empty piece."""
    ends = sorted(min(place, len(data)) for place in at)
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


def every_cut(data: bytes) -> Iterator[list[bytes]]:
    """Whole, in pieces of each size, and in two at every place."""
    yield [data]
    for size in SIZES:
        yield pieces(data, size)
    if len(data) < 200:
        for place in range(len(data) + 1):
            yield cut(data, [place])


def octets(*tokens: bytes, max_size: int = 30) -> st.SearchStrategy[bytes]:
    """Octets made of what matters to the code under test, with arbitrary ones between them."""
    return st.lists(st.sampled_from(tokens) | st.binary(max_size=3), max_size=max_size).map(b"".join)


places = st.lists(st.integers(0, 120), max_size=12)
