"""The canonical forms, against definitions that are slow and plain; in pieces; in flat memory and linear time."""

import hashlib
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpx.dkim.canonical import BodyHash, canonical_field
from tests.dkim.bodies import BARE, ODD_BODIES, canonical_body

PIECES = st.lists(
    st.sampled_from([b"a", b" ", b"\t", b"\r", b"\n", b"\r\n", b" \r\n", b"\r\n\r\n", b"\xff", b".", b"bc"])
)


def plain(body: bytes, *, relaxed: bool) -> bytes:
    """RFC 6376 3.4.3 and 3.4.4, read aloud: each line, without the empty ones at the end."""
    lines = body.split(b"\r\n")
    if relaxed:
        lines = [re.sub(rb"[ \t]+", b" ", line.rstrip(b" \t")) for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        return b"" if relaxed else b"\r\n"
    return b"".join(line + b"\r\n" for line in lines)


@pytest.mark.parametrize("relaxed", [True, False])
@pytest.mark.parametrize("body", [*ODD_BODIES, *BARE])
def test_odd_bodies(body: bytes, *, relaxed: bool) -> None:
    expected = plain(body, relaxed=relaxed)
    assert canonical_body(body, relaxed=relaxed) == expected
    assert canonical_body((body[i : i + 1] for i in range(len(body))), relaxed=relaxed) == expected


@given(pieces=PIECES, relaxed=st.booleans())
def test_any_body_in_any_pieces(pieces: list[bytes], *, relaxed: bool) -> None:
    body = b"".join(pieces)
    expected = plain(body, relaxed=relaxed)
    assert canonical_body(body, relaxed=relaxed) == expected
    assert canonical_body(pieces, relaxed=relaxed) == expected
    assert canonical_body((bytes([octet]) for octet in body), relaxed=relaxed) == expected
    assert canonical_body(expected, relaxed=relaxed) == expected


@pytest.mark.parametrize("relaxed", [True, False])
@pytest.mark.parametrize(
    "filling", [b" ", b"\t ", b"\r\n", b" \r\n", b"\r", b"\n", b"\r\r\n", b"a ", b"a\r\n", b"a  b"]
)
def test_long_runs(filling: bytes, *, relaxed: bool) -> None:
    """Longer than what is worked on at once, and so shifted that it is cut in the middle."""
    for start in (b"", b"x"):
        for end in (b"", b"y", b"\r\n"):
            body = start + filling * (150_000 // len(filling)) + end
            assert canonical_body(body, relaxed=relaxed) == plain(body, relaxed=relaxed)


@pytest.mark.parametrize("relaxed", [True, False])
@pytest.mark.parametrize(
    "piece", [b"a" * 65_536, b"\r\n" * 32_768, b" \t" * 32_768, b"a b\r\n" * 13_107, b"\r" * 65_536]
)
def test_much_of_anything_in_flat_memory(piece: bytes, *, relaxed: bool) -> None:
    body = BodyHash(relaxed=relaxed)
    body.feed(piece)
    tracemalloc.start()
    try:
        for _ in range(160):
            body.feed(piece)
        body.feed(b"end")
        body.finish()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1_000_000


def test_a_piece_may_be_the_whole_of_it() -> None:
    whole = b"one two\r\n" * 300_000
    body = BodyHash(relaxed=True)
    body.feed(whole)
    assert body.finish() == hashlib.sha256(whole).digest()
    assert body.octets == len(whole)


@pytest.mark.parametrize("relaxed", [True, False])
def test_the_first_octets_only(*, relaxed: bool) -> None:
    """RFC 6376 3.4.5: the length counts octets of the canonical form."""
    body = b"a  b \r\n\r\nc\r\n\r\n"
    expected = plain(body, relaxed=relaxed)
    for length in range(len(expected) + 3):
        for size in (1, 3, 100):
            some = BodyHash(relaxed=relaxed, max_octets=length)
            for start in range(0, len(body), size):
                some.feed(body[start : start + size])
            assert some.finish() == hashlib.sha256(expected[:length]).digest()
            assert some.octets == len(expected)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"A: X\r\n", b"a:X\r\n"),
        (b"A:X", b"a:X"),
        (b"SubJect \t:\t one \t two\r\n", b"subject:one two\r\n"),
        (b"A:\r\n b\r\n\t\tc \r\n", b"a:b c\r\n"),
        (b"A:\r\n", b"a:\r\n"),
        (b"A: \r\n \r\n", b"a:\r\n"),
        (b"A: b: c\r\n", b"a:b: c\r\n"),
        (b"A: \xff\x0b\x0c\r\n", b"a:\xff\x0b\x0c\r\n"),
        (b"no colon\r\n", b"no colon\r\n:\r\n"),
    ],
)
def test_fields(field: bytes, expected: bytes) -> None:
    assert canonical_field(field, relaxed=False) == field
    assert canonical_field(field, relaxed=True) == expected
