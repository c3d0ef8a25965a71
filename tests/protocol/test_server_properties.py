"""What holds for any octets: outcome free of cuts, no exception, bounded memory, a phase table without gaps."""

import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smtpx.protocol import replies
from smtpx.protocol.dialect import LMTP
from smtpx.protocol.events import BodyEnded, ChunkEnded, HelloAsked, MailAsked, RcptAsked, StartTLSAsked
from smtpx.protocol.limits import ServerLimits
from smtpx.protocol.phases import TABLE, Phase
from smtpx.protocol.settings import ServerSettings
from smtpx.wire.reply import Reply
from tests.protocol.server_peer import (
    EHLO,
    ENVELOPE,
    HANDSHAKE,
    LMTP_SETTINGS,
    MAIL,
    MECHANISMS,
    NOOP,
    TLS_FACTS,
    Outcome,
    Policy,
    ServerPeer,
    make_settings,
    normal,
)

LIMITS = {
    "max_command_line_bytes": 100,
    "max_auth_line_bytes": 120,
    "max_discard_bytes": 300,
    "max_message_bytes": 150,
    "max_header_bytes": 60,
    "max_hops": 2,
    "max_text_line_bytes": 40,
    "max_recipients": 2,
    "recipient_overshoot": 2,
    "small_chunk_limit": 4,
    "junk_command_limit": 10,
    "max_messages_per_connection": 4,
}
TALKATIVE = LIMITS | {"max_unauthenticated_commands": 20}
COMMON = make_settings(limits=LIMITS, mechanisms=MECHANISMS, allow_insecure_auth=True, starttls=True)
LISTENERS = [
    COMMON,
    replace(COMMON, bare_newline="normalize", syntax="lenient"),
    replace(COMMON, sync_check="off", nul="reject", syntax="strict"),
    replace(COMMON, require_auth=True),
    replace(COMMON, dialect=LMTP, source_routes="reject"),
    replace(COMMON, limits=ServerLimits(**TALKATIVE), bare_newline="normalize", nul="reject"),
]

GOOD = [
    b"EHLO client.example\r\n",
    b"LHLO client.example\r\n",
    b"HELO client.example\r\n",
    b"MAIL FROM:<a@client.example>\r\n",
    b"MAIL FROM:<> SIZE=10 BODY=8BITMIME SMTPUTF8\r\n",
    b"RCPT TO:<b@server.example>\r\n",
    b"RCPT TO:<refused@server.example>\r\n",
    b"DATA\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"VRFY x\r\n",
    b"EXPN x\r\n",
    b"HELP\r\n",
    b"AUTH PLAIN AHVzZXIAc2VjcmV0\r\n",
    b"AUTH PLAIN\r\n",
    b"AUTH LOGIN\r\n",
    b"*\r\n",
    b"dXNlcg==\r\n",
    b"STARTTLS\r\n",
    b"XYZZY\r\n",
]
OPENING = [b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n", b"LHLO x\r\n" + ENVELOPE.encode()]
ALPHABET = [
    b"\r\n",
    b"\r",
    b"\n",
    b".",
    b"\r\n.\r\n",
    b"\0",
    b"a",
    b"Received: x\r\n",
    b"\r\n\r\n",
    b"\xff",
    b"\t",
    b" ",
    b"BDAT 5",
]

noise = st.lists(st.sampled_from(ALPHABET) | st.binary(max_size=8), max_size=12).map(b"".join)
long_text = st.integers(0, 400).map(lambda n: b"x" * n)
content = st.tuples(noise | long_text, st.sampled_from([b"\r\n.\r\n", b".\r\n", b"\n.\r\n"])).map(b"".join)


@st.composite
def chunks(draw: st.DrawFn) -> bytes:
    data = draw(noise | long_text)
    size = draw(st.just(len(data)) | st.integers(0, 200))
    word = draw(st.sampled_from([b"", b" LAST", b" last", b" FIRST"]))
    return b"BDAT %d%b\r\n%b" % (size, word, data)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    line = bytearray(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(line)))
        line[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=2) | st.sampled_from(ALPHABET))
    return bytes(line)


@st.composite
def transactions(draw: st.DrawFn) -> bytes:
    text = draw(st.sampled_from([b"x\r\n", b"Received: x\r\n", b"\r\n", b"..\r\n", b"\0\r\n"]) | noise)
    opening = draw(st.sampled_from(OPENING))
    if draw(st.booleans()):
        return opening + b"DATA\r\n" + text * draw(st.integers(0, 4)) + b"\r\n.\r\n"
    return opening + b"BDAT %d LAST\r\n%b" % (len(text), text)


steps = st.one_of(
    transactions(), st.sampled_from(GOOD), st.sampled_from(OPENING), content, chunks(), mutated(), noise, long_text
)
dialogues = st.lists(steps, max_size=25).map(b"".join)

# Behind these the client has to wait; that it did not is another matter, and tested elsewhere.
_SYNCHRONOUS = re.compile(rb"(?:DATA|STARTTLS)[^\r\n]*\r?\n", re.IGNORECASE)


def in_turn(octets: bytes) -> list[bytes]:
    """Octets as a client sends them that waits behind DATA and STARTTLS."""
    cuts = [0, *(match.end() for match in _SYNCHRONOUS.finditer(octets)), len(octets)]
    return [octets[a:b] for a, b in pairwise(cuts)]


def opinionated() -> Policy:
    """Refuses some of everything, by what is asked only."""

    def rcpt(event: RcptAsked) -> Reply | None:
        return replies.make(550, "5.1.1", "no") if event.recipient.local_part == "refused" else None

    def chunk(event: ChunkEnded) -> Reply | None:
        return replies.make(452, "4.3.1", "full") if event.size == 7 else None

    def body(event: BodyEnded) -> Reply | None:
        return {0: None, 1: replies.make(550, "5.7.1", "no"), 2: replies.make(421, "4.3.2", "later")}.get(
            event.size % 7
        )

    return Policy({RcptAsked: rcpt, ChunkEnded: chunk, BodyEnded: body})


def converse(listener: ServerSettings, octets: bytes, cut: int | None) -> Outcome:
    peer = ServerPeer(listener, opinionated()).connect()
    for segment in in_turn(octets):
        peer.send(segment, cut)
        if peer.protocol.phase is Phase.TLS:
            peer.turn(HANDSHAKE)
    return peer.outcome


@pytest.mark.parametrize(
    "listener", LISTENERS, ids=lambda each: f"{each.dialect.name} {each.bare_newline} {each.syntax}"
)
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(octets=dialogues, cut=st.sampled_from([1, 1, 2, 3, 5, 17]))
def test_outcome_is_free_of_cuts(listener: ServerSettings, octets: bytes, cut: int) -> None:
    whole, pieces = converse(listener, octets, None), converse(listener, octets, cut)
    assert pieces.replies == whole.replies
    assert pieces.messages == whole.messages
    assert pieces.phase is whole.phase
    assert normal(pieces.events) == normal(whole.events)


@settings(max_examples=500, deadline=None)
@given(octets=dialogues | st.binary(max_size=300), eof=st.booleans(), tls=st.booleans())
def test_any_octets_give_events_or_replies(octets: bytes, eof: bool, tls: bool) -> None:
    peer = ServerPeer(COMMON, opinionated(), tls=TLS_FACTS if tls else None).connect()
    peer.send(octets)
    if eof:
        peer.protocol.receive_eof()
    else:
        peer.protocol.expire()
    peer.send(b"")
    peer.send("NOOP\r\n")
    assert peer.outcome.closed or (eof and peer.protocol.phase is Phase.TLS)
    assert peer.protocol.data_to_send() == b""


@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=200), pieces=st.lists(st.integers(1, 50), max_size=8))
def test_content_arrives_as_it_was_sent(content: bytes, pieces: list[int]) -> None:
    text = content.replace(b"\r", b"").replace(b"\n", b"\r\n")
    text += b"" if text.endswith(b"\r\n") or not text else b"\r\n"
    stuffed = b".".join([b"", text]) if text.startswith(b".") else text
    stuffed = stuffed.replace(b"\r\n.", b"\r\n..")
    peer = ServerPeer().connect()
    peer.play([EHLO, ENVELOPE + "DATA\r\n"])
    assert peer.send(stuffed + b".\r\n") == ["250 2.0.0"]
    peer.send(ENVELOPE)
    rest = text
    for size in pieces:
        peer.send(b"BDAT %d\r\n%b" % (len(rest[:size]), rest[:size]))
        rest = rest[size:]
    assert peer.send(b"BDAT %d LAST\r\n%b" % (len(rest), rest)) == ["250 2.0.0"]
    assert peer.outcome.contents == [text, text]


# Memory -----------------------------------------------------------------------------------------------------------


def held(root: object) -> int:
    """The octets a value holds on to, settings and code left out."""
    seen: set[int] = set()
    todo: list[Any] = [root]
    total = 0
    while todo:
        value = todo.pop()
        if id(value) in seen or isinstance(value, (type, ServerSettings, Reply)) or callable(value):
            continue
        seen.add(id(value))
        total += sys.getsizeof(value)
        if isinstance(value, Mapping):
            todo += [*value.keys(), *value.values()]
        elif isinstance(value, (list, tuple, set, frozenset)) or type(value).__name__ == "deque":
            todo += list(value)
        else:
            todo += [getattr(value, name) for name in getattr(type(value), "__slots__", ()) if hasattr(value, name)]
            todo += list(getattr(value, "__dict__", {}).values())
    return total


STATES: list[tuple[str, bytes, bytes]] = [
    ("half a command line", b"", b"x"),
    ("long command line", b"", b"NOOP " + b"x" * 50_000 + b"\r\n"),
    ("AUTH line", EHLO.encode() + b"AUTH PLAIN\r\n", b"A"),
    ("content in one line", (EHLO + ENVELOPE + "DATA\r\n").encode(), b"\r\n" + b"A" * 999),
    ("content in lines", (EHLO + ENVELOPE + "DATA\r\n").encode(), b"\r\n" * 500),
    ("header without end", (EHLO + ENVELOPE + "DATA\r\n").encode(), b"Received: x\r\n" * 50),
    ("bare line ends", (EHLO + ENVELOPE + "DATA\r\n").encode(), b"\n\r\0." * 200),
    ("chunks", (EHLO + ENVELOPE).encode(), b"BDAT 2000\r\n" + b"A" * 2000),
    ("refused chunks", EHLO.encode(), b"BDAT 2000\r\n" + b"A" * 2000),
]


@pytest.mark.parametrize("newlines", ["reject", "normalize"])
@pytest.mark.parametrize(("opening", "flood"), [pytest.param(*state[1:], id=state[0]) for state in STATES])
def test_memory_is_bounded(opening: bytes, flood: bytes, newlines: Literal["reject", "normalize"]) -> None:
    listener = make_settings(mechanisms=MECHANISMS, allow_insecure_auth=True, bare_newline=newlines)
    peer = ServerPeer(listener).connect()
    peer.send(opening)
    protocol = peer.protocol
    most = 0
    piece = flood * max(1, 2000 // len(flood))
    for _ in range(600):
        protocol.receive_data(piece)
        while protocol.next_event() is not None:
            if protocol.is_asking:
                protocol.answer()
        protocol.data_to_send()
        most = max(most, held(protocol), protocol.unread_bytes)
    assert most < 40_000 + len(piece)


def test_envelope_is_bounded() -> None:
    peer = ServerPeer().connect()
    peer.send(EHLO + MAIL)
    local = "a" * 60
    for n in range(1500):
        peer.send(f"RCPT TO:<{local}{n:04}@{'d' * 60}.example>\r\n")
    assert held(peer.protocol) < 512 * 1024


# The table --------------------------------------------------------------------------------------------------------

WAYS: dict[Phase, tuple[str, ...]] = {
    Phase.HELLO: (),
    Phase.READY: (EHLO,),
    Phase.SENDER: (EHLO, MAIL),
    Phase.RECIPIENTS: (EHLO, ENVELOPE),
    Phase.CHUNKS: (EHLO, ENVELOPE, "BDAT 3\r\nabc"),
}
LINES = {
    "EHLO": "EHLO x\r\n",
    "HELO": "HELO x\r\n",
    "LHLO": "LHLO x\r\n",
    "MAIL": "MAIL FROM:<x@y.example>\r\n",
    "RCPT": "RCPT TO:<x@y.example>\r\n",
    "DATA": "DATA\r\n",
    "BDAT": "BDAT 4\r\nRSET",
    "BDAT LAST": "BDAT 4 LAST\r\nRSET",
    "AUTH": "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n",
    "STARTTLS": "STARTTLS\r\n",
    "RSET": "RSET\r\n",
    "NOOP": "NOOP\r\n",
    "VRFY": "VRFY x\r\n",
    "EXPN": "EXPN x\r\n",
    "HELP": "HELP\r\n",
    "QUIT": "QUIT\r\n",
}
WRONG_DIALECT = {"LHLO": "500 5.5.1"}
OPEN_LISTENER = make_settings(starttls=True, mechanisms=MECHANISMS, allow_insecure_auth=True)


def state(peer: ServerPeer) -> tuple[object, ...]:
    protocol = peer.protocol
    facts = protocol.facts
    return (
        protocol.phase,
        protocol.sender,
        protocol.mail_params,
        tuple(protocol.recipients),
        protocol.in_message,
        (facts.tls, facts.hello_name, facts.extended, facts.identity),
    )


def arrive(phase: Phase) -> ServerPeer:
    peer = ServerPeer(OPEN_LISTENER).connect()
    for step in WAYS[phase]:
        peer.send(step)
    assert peer.protocol.phase is phase
    return peer


@pytest.mark.parametrize("command", LINES)
@pytest.mark.parametrize("phase", WAYS)
def test_what_the_table_does_not_hold_is_out_of_order(phase: Phase, command: str) -> None:
    peer = arrive(phase)
    before = state(peer)
    codes = peer.send(LINES[command])
    assert len(codes) == 1
    if command in WRONG_DIALECT:
        assert codes == [WRONG_DIALECT[command]]
        assert state(peer) == before
    elif (phase, command) not in TABLE:
        assert codes == ["503 5.5.1"]
        assert state(peer) == before
    else:
        assert codes[0][0] in "23" or (command, codes) == ("EXPN", ["502 5.5.1"])


@pytest.mark.parametrize(("phase", "command"), [key for key in TABLE if key[0] in WAYS and key[1] in LINES])
def test_the_table_is_followed(phase: Phase, command: str) -> None:
    peer = arrive(phase)
    (code,) = peer.send(LINES[command])
    if command in WRONG_DIALECT:
        return
    severity = next(each for each in TABLE[phase, command] if each == int(code[0]))
    assert peer.protocol.phase is TABLE[phase, command][severity]


REFUSED = replies.make(450, "4.7.1", "not now")


@pytest.mark.parametrize(
    ("phase", "command", "kind"),
    [
        (Phase.READY, "EHLO", HelloAsked),
        (Phase.RECIPIENTS, "EHLO", HelloAsked),
        (Phase.READY, "MAIL", MailAsked),
        (Phase.SENDER, "RCPT", RcptAsked),
        (Phase.RECIPIENTS, "RCPT", RcptAsked),
        (Phase.READY, "STARTTLS", StartTLSAsked),
    ],
)
def test_what_the_session_refuses_changes_nothing(phase: Phase, command: str, kind: type[Any]) -> None:
    peer = ServerPeer(OPEN_LISTENER).connect()
    for step in WAYS[phase]:
        peer.send(step)
    before = state(peer)
    peer.policy = Policy({kind: REFUSED})
    assert peer.send(LINES[command]) == ["450 4.7.1"]
    assert state(peer) == before


@pytest.mark.parametrize("phase", [Phase.SENDER, Phase.RECIPIENTS, Phase.CHUNKS])
def test_rfc3207_4_starttls_refused_in_a_transaction_leaves_none(phase: Phase) -> None:
    peer = arrive(phase)
    peer.policy = Policy({StartTLSAsked: replies.make(454, "4.7.0", "not now")})
    assert peer.send("STARTTLS\r\n") == ["454 4.7.0"]
    assert peer.protocol.phase is Phase.READY
    assert peer.send("DATA\r\n" + NOOP) == ["554 5.5.0"]


def test_lmtp_says_hello_in_its_own_way() -> None:
    for line, codes in (("EHLO x\r\n", ["500 5.5.1"]), ("HELO x\r\n", ["500 5.5.1"]), ("LHLO x\r\n", ["250"])):
        assert ServerPeer(LMTP_SETTINGS).connect().send(line) == codes
