"""A header comes in pieces and goes to fields."""

import pytest

from smtpx.dkim.header import Header, fields_of, pieces_of, signed_octets

HEADER = b"From: a\r\nTo : b,\r\n\tc\r\nX: 1\r\nx: 2\r\nno colon\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("body", [b"", b"x", b"\r\n", b"\r\n\r\nx", b"From: z\r\n\r\n"])
@pytest.mark.parametrize("header", [HEADER, b""])
def test_the_empty_line(header: bytes, body: bytes, size: int) -> None:
    collected, rest = Header(), b""
    message = header + b"\r\n" + body
    for start in range(0, len(message), size):
        rest += collected.feed(message[start : start + size])
    assert collected.is_complete
    assert bytes(collected.octets) == header
    assert rest == body


@pytest.mark.parametrize("message", [b"", b"\r", b"From: a", b"From: a\r\n", b"From: a\r\n\r", b"From: a\n\nb"])
def test_a_header_without_end(message: bytes) -> None:
    header = Header()
    assert header.feed(message) == b""
    assert not header.is_complete
    assert header.octets == message


def test_fields() -> None:
    assert fields_of(HEADER) == [
        (b"from", b"From: a\r\n"),
        (b"to", b"To : b,\r\n\tc\r\n"),
        (b"x", b"X: 1\r\n"),
        (b"x", b"x: 2\r\n"),
        (b"", b"no colon\r\n"),
    ]
    assert fields_of(b"") == []
    assert fields_of(b"From: a") == [(b"from", b"From: a\r\n")]
    assert fields_of(b" odd\r\nA: b\r\n") == [(b"", b" odd\r\n"), (b"a", b"A: b\r\n")]


def test_rfc_6376_5_4_2_from_the_bottom_up() -> None:
    fields = fields_of(HEADER)
    assert signed_octets(fields, [b"x", b"from", b"x", b"x", b"to", b"cc"], relaxed=False) == (
        b"x: 2\r\nFrom: a\r\nX: 1\r\nTo : b,\r\n\tc\r\n"
    )
    assert signed_octets(fields, [b"to"], relaxed=True) == b"to:b, c\r\n"


def test_a_long_message_in_pieces() -> None:
    for octets in (b"x" * 200_000, bytearray(b"x" * 200_000), memoryview(b"x" * 200_000)):
        assert [len(piece) for piece in pieces_of(octets)] == [65_536, 65_536, 65_536, 3392]
    assert list(pieces_of([b"a", b"bc"])) == [b"a", b"bc"]
    assert list(pieces_of(b"")) == []
