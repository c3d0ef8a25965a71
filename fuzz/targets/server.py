"""A whole server: any octets, in any cuts, with a session that has opinions; measured by a plain model of framing."""

import re
from itertools import pairwise

from fuzz import framing
from fuzz.session import LISTENERS, Opinionated, Peer
from fuzz.source import Source, cut
from smtpx.protocol.settings import ServerSettings

_VERBS = b"EHLO HELO LHLO MAIL RCPT DATA BDAT RSET NOOP HELP VRFY EXPN QUIT AUTH STARTTLS XCLIENT XFORWARD".split()
TOKENS = (
    *(verb + b" " for verb in _VERBS),
    *(
        b"EHLO x\r\n",
        b"LHLO x\r\n",
        b"MAIL FROM:<a@b.example>\r\n",
        b"RCPT TO:<c@d.example>\r\n",
        b"DATA\r\n",
        b"RSET\r\n",
    ),
    *(
        b"BDAT 5\r\n",
        b"BDAT 0 LAST\r\n",
        b" LAST\r\n",
        b" BODY=BINARYMIME",
        b"\r\n.\r\n",
        b"\n.\n",
        b"\r\n",
        b"\r",
        b"\n",
        b".",
    ),
    *(
        b"STARTTLS\r\n",
        b"AUTH PLAIN AHVzZXIAc2VjcmV0\r\n",
        b"AUTH LOGIN\r\n",
        b"*\r\n",
        b"=\r\n",
        b"QUIT\r\n",
        b"XCLIENT NAME=x\r\n",
    ),
    *(
        b"AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9ZnV6eg==\r\n",
        b"AUTH CRAM-MD5\r\n",
        b"Received: x\r\n",
        b"GET / HTTP/1.1\r\n",
        b"\0",
    ),
)
# Behind these a client has to wait; what happens to one that does not depends on the cut.
_SYNCHRONOUS = re.compile(rb"(?:DATA|STARTTLS)[^\r\n]*\r?\n", re.IGNORECASE)


def target(data: bytes) -> None:
    """Control octets: listener, opinions, cut."""
    source = Source(data)
    settings, number, seed = source.choose(LISTENERS), source.pick(64), source.pick(256)
    octets = source.rest()
    peer = Peer(settings, Opinionated(number))
    for piece in cut(octets, seed):
        peer.receive(piece)
    framing.check(peer, octets)
    in_turn = _in_turn(settings, octets, number, 0)
    framing.check(in_turn, octets)
    assert _outcome(in_turn) == _outcome(_in_turn(settings, octets, number, 1)), "another outcome octet by octet"
    _end(peer, by_deadline=seed % 2 == 1)


def _in_turn(settings: ServerSettings, octets: bytes, number: int, seed: int) -> Peer:
    peer = Peer(settings, Opinionated(number))
    places = [0, *(match.end() for match in _SYNCHRONOUS.finditer(octets)), len(octets)]
    for start, stop in pairwise(places):
        for piece in cut(octets[start:stop], seed):
            peer.receive(piece)
    return peer


def _outcome(peer: Peer) -> object:
    return peer.sent, peer.messages, peer.protocol.phase, peer.told, peer.handshakes


def _end(peer: Peer, *, by_deadline: bool) -> None:
    messages = list(peer.messages)
    if by_deadline:
        peer.protocol.expire()
    else:
        peer.protocol.receive_eof()
    peer.work()
    assert peer.protocol.is_closed
    assert peer.told.count("ConnectionEnded") == 1
    sent = peer.sent
    assert peer.receive(b"NOOP\r\n.\r\nNOOP\r\n") == b""
    assert peer.sent == sent
    assert peer.messages == messages, "a message without its end"
