"""What the tests of this room share: bodies in every shape, and their canonical forms."""

from collections.abc import Iterable

from smtpx.dkim.canonical import Body

ODD_BODIES = (
    b"",
    b"\r\n",
    b"\r\n\r\n\r\n",
    b" ",
    b" \t",
    b" \r\n",
    b" \r\n\t\r\n\r\n",
    b"a",
    b"a\r\n",
    b"a \r\n",
    b"a\t \r\n\r\n",
    b"a \t b  c\r\n  d\r\n",
    b"a\r\n\r\nb",
    b"a\r\n\r\nb\r\n \r\n\r\n",
    b"\r\na",
    b"\r\n\r\n\r\n \r\nb \r\n",
    b"a ",
    b"\xff\xc3\xbc\r\n\x00\r\n",
    b".\r\n..\r\n",
)
BARE = (
    b"a\r",
    b"a \r",
    b"\r",
    b"\n",
    b"a\n\n",
    b"a\n\r\n",
    b"a\r\r\n",
    b"a \r\r\n\r\n",
    b"\r\r\n\n\r\n",
    b" \r \n\r\n",
)


def canonical_body(octets: bytes | Iterable[bytes], *, relaxed: bool) -> bytes:
    written: list[bytes] = []
    body = Body(written.append, relaxed=relaxed)
    for piece in [octets] if isinstance(octets, bytes) else octets:
        body.feed(piece)
    body.finish()
    return b"".join(written)
