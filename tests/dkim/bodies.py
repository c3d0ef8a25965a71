"""What the tests of this room share: a message, bodies in every shape, and their canonical forms."""

from collections.abc import Iterable, Iterator

from smtpx.dkim.canonical import Body
from smtpx.message.sendable import Posting
from smtpx.wire.address import NULL_SENDER, Mailbox

MESSAGE = (
    b"From: me@example.org\r\nTo: you@example.net\r\nSubject: Hi\r\nX-Other: 1\r\nReceived: from x\r\n\r\nHello\r\n"
)

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


class Letter:
    """A message of which everything is known, and how often it was written."""

    def __init__(self, octets: bytes | None = None, size: int = 0) -> None:
        self.written: list[tuple[bool, bool]] = []
        self._octets = octets
        self._size = size

    message_id = "<1@example.org>"

    def posting(self) -> Posting:
        return Posting(NULL_SENDER, (Mailbox.parse("you@example.net"),), {"ret": "HDRS"})

    def octets(self, *, eight_bit: bool, utf8: bool) -> Iterator[bytes]:
        self.written.append((eight_bit, utf8))
        if self._octets is not None:
            return iter([self._octets])
        return self._many(eight_bit=eight_bit)

    def _many(self, *, eight_bit: bool) -> Iterator[bytes]:
        yield MESSAGE[:30]
        yield MESSAGE[30:]
        line = b"\xc3\xbc" if eight_bit else b"=C3=BC"
        block = (line * 10 + b"\r\n") * 2_000
        for _ in range(self._size // len(block)):
            yield block
