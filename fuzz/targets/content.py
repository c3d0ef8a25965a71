"""One message by DATA and one by BDAT, in chunks of any size: it arrives as it was sent, or is refused for a reason."""

from fuzz import framing, reference
from fuzz.session import LISTENERS, Peer, agreeable
from fuzz.source import Source, cut

TOKENS = (
    b"\r\n.\r\n",
    b"\n.\n",
    b"\r\n",
    b"\r",
    b"\n",
    b".",
    b"\0",
    b"Received: x\r\n",
    b"\r\n\r\n",
    b"BDAT 3\r\n",
    b"\xff",
)


def target(data: bytes) -> None:
    """Control octets: listener, cut, chunks."""
    source = Source(data)
    settings, seed = LISTENERS[source.pick(4)], source.pick(256)
    sizes = [source.pick(40) for _ in range(source.pick(8))]
    text = source.rest()
    hello = settings.dialect.extended_hello.encode()
    envelope = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRCPT TO:<e@f.example>\r\n"
    peer = Peer(settings, agreeable)
    said = b""
    for octets in (
        hello + b" x\r\n" + envelope + b"DATA\r\n",
        text + b"\r\n.\r\n",
        b"RSET\r\n" + envelope,
        _chunks(text, sizes),
    ):
        said += octets
        for piece in cut(octets, seed):
            peer.receive(piece)
    framing.check(peer, said)
    is_good = settings.bare_newline == "normalize" or reference.bare_newline(text) is None
    is_good = is_good and (settings.nul == "keep" or b"\0" not in text)
    found = reference.end_of_data(text + b"\r\n.\r\n")
    ends_within = found is not None and found[1] != b""  # what is behind it is commands then
    assert ends_within or (bool(peer.messages) == is_good), "refused without a reason, or taken in spite of one"
    assert ends_within or len(peer.messages) == 2 * is_good
    if ends_within or not is_good or settings.bare_newline == "normalize":
        return
    assert peer.messages[1].content == text
    assert peer.messages[0].content == reference.unstuffed(text + b"\r\n")


def _chunks(text: bytes, sizes: list[int]) -> bytes:
    said = b""
    for size in sizes:
        said += b"BDAT %d\r\n" % len(text[:size]) + text[:size]
        text = text[size:]
    return said + b"BDAT %d LAST\r\n" % len(text) + text
