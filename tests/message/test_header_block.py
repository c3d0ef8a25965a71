"""The header, octet by octet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpx.message.header_block import Field, HeaderBlock, split_header


def split(octets: bytes, max_bytes: int = 100_000, max_fields: int = 1000) -> tuple[HeaderBlock, bytes, list[str]]:
    block, start, defects = split_header(octets, max_bytes=max_bytes, max_fields=max_fields)
    assert bytes(block) == octets[:start]
    return block, octets[start:], defects


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_fields_in_order(end: bytes) -> None:
    octets = b"A: 1\r\nb : 2\r\n c\r\n\td\r\nA:3\r\nC:\r\n \r\n\r\nbody\r\n\r\n".replace(b"\r\n", end)
    block, body, defects = split(octets)
    assert body == b"body" + end + end
    assert defects == []
    assert [(field.name, field.text) for field in block.fields] == [("A", "1"), ("b", "2 c\td"), ("A", "3"), ("C", "")]
    assert [field.text for field in block.all("a")] == ["1", "3"]
    assert block.text("B") == "2 c\td"
    assert block.text("x") == ""
    assert block.first("x") is None


@pytest.mark.parametrize(
    ("octets", "fields", "body", "defect"),
    [
        (b"", 0, b"", "without an empty line"),
        (b"\r\nbody", 0, b"body", None),
        (b"\nbody", 0, b"body", None),
        (b"A: b", 1, b"", "without an empty line"),
        (b"A: b\r\n", 1, b"", "without an empty line"),
        (b"A: b\r\n c", 1, b"", "without an empty line"),
        (b"From x Mon\r\nA: b\r\n\r\n", 1, b"", "mbox"),
        (b">From x Mon\nA: b\n\n", 1, b"", "mbox"),
        (b"From x", 0, b"From x", "no field"),
        (b"From: x\r\n\r\n", 1, b"", None),
        (b"no header\r\n\r\nbody", 0, b"no header\r\n\r\nbody", "no field"),
        (b"A: b\r\nwhat\r\nC: d\r\n\r\n", 2, b"", "a part of the one before"),
        (b"A: b\r\nwhat\r\nelse\r\nC: d\r\n\r\n", 1, b"what\r\nelse\r\nC: d\r\n\r\n", "the body begins with it"),
        (b"A: b\nwhat\n\nC: d\n", 1, b"what\n\nC: d\n", "the body begins with it"),
        (b"A: b;\nc=d\n\n", 1, b"", "a part of the one before"),
        (b"what\nC: d\n\n", 0, b"what\nC: d\n\n", "the body begins with it"),
        (b" A: b\r\n\r\n", 0, b" A: b\r\n\r\n", "no field"),
        (b": b\r\n\r\n", 0, b": b\r\n\r\n", "no field"),
        (b"\xc3\xa4: b\r\n\r\n", 0, b"\xc3\xa4: b\r\n\r\n", "no field"),
        (b"A: \xff\r\n\r\n", 1, b"", None),
    ],
)
def test_odd_ones(octets: bytes, fields: int, body: bytes, defect: str | None) -> None:
    block, rest, defects = split(octets)
    assert (len(block.fields), rest) == (fields, body)
    assert [defect in each for each in defects if defect is not None] == [True] * len(defects)
    assert bool(defects) == (defect is not None)


def test_limits() -> None:
    octets = b"A: b\r\n" * 10 + b"\r\nbody"
    block, body, defects = split(octets, max_fields=3)
    assert (len(block.fields), body) == (3, octets[18:])
    block, body, (defect,) = split(octets, max_bytes=18)
    assert (len(block.fields), body) == (3, octets[18:])
    assert defect == "a header of more than 1000 fields or 18 octets: the rest is body"
    assert split(octets, max_fields=10, max_bytes=60)[2] == []
    assert len(defects) == 1


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (b"A: plain\r\n", "plain"),
        (b"A: =?utf-8?q?=C3=A4?=\r\n =?utf-8?q?b?=\r\n", "äb"),
        (b"A:\t \xc3\xa4 \r\n", "ä"),
        (b"A: \xe4\r\n", "ä"),
        (b"A: a\rb\0\r\n", "a\ufffdb\ufffd"),
        (b"A: a\tb\n", "a\tb"),
        (b"A: a:b", "a:b"),
        (b"A: a;\r\nb=c\n\td\n", "a; b=c\td"),
    ],
)
def test_values(octets: bytes, value: str) -> None:
    assert Field("A", octets).value == value


@given(
    st.binary()
    | st.lists(st.sampled_from([b"A: b", b"\r\n", b"\n", b"\r", b" ", b":", b"From ", b"x", b"\xff"])).map(b"".join)
)
def test_nothing_is_lost(octets: bytes) -> None:
    for max_fields in (0, 2, 1000):
        block, _, _ = split(octets, max_fields=max_fields)
        for field in block.fields:
            assert "\n" not in field.value
            assert "\r" not in field.value


@pytest.mark.parametrize("unit", [b"A", b"A:", b"A: b\n", b"A: b\n ", b"\n ", b" ", b"\r", b"A \t"])
def test_hostile_repetition(unit: bytes) -> None:
    split(unit * 100_000, 10**8, 10**6)
    split(b"A: b\n" + unit * 100_000, 10**8, 10**6)
