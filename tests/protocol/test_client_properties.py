"""Noise gives an answer or a RemoteProtocolError and nothing else; and our client to our server loses no octet."""

# ruff: noqa: ANN401 - a flow's result has any type
from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpx.errors import RefusedError, RemoteProtocolError
from smtpx.extensions import STANDARD
from smtpx.flows.content import Content
from smtpx.flows.session import Security, SessionPlan, open_session
from smtpx.flows.steps import NextChunk, Poll, Receive, Send
from smtpx.flows.transaction import Envelope, Transaction, TransactionOptions
from smtpx.protocol.client import ClientProtocol
from smtpx.protocol.dialect import LMTP, SMTP, Dialect
from smtpx.protocol.extension import ExtensionSet
from smtpx.protocol.limits import ClientLimits
from smtpx.wire.address import Mailbox
from tests.protocol.server_peer import ServerPeer, make_settings
from tests.wire.cuts import octets, pieces

NOISE = octets(
    b"250", b"220", b"354", b"421", b"-", b" ", b"\r\n", b"\n", b"250 ok\r\n", b"550-a\r\n550 b\r\n", b"334 \r\n"
)
COMMANDS = st.lists(
    st.sampled_from(["EHLO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "STARTTLS", "AUTH", "QUIT"]), max_size=5
)


def heard(noise: list[bytes], commands: list[str]) -> list[str]:
    """What came of it: answers, and perhaps an error at the end."""
    protocol = ClientProtocol()
    waiting = deque(commands)
    found: list[str] = []
    try:
        for part in noise:
            protocol.receive_data(part)
            while (answer := protocol.next_answer()) is not None:
                found.append(f"{answer.owed.command} {answer.reply}")
                while waiting and not protocol.owes:
                    try:
                        protocol.command(waiting.popleft())
                    except ValueError:
                        continue  # out of order: nothing was sent
    except (RemoteProtocolError, RefusedError) as error:
        assert protocol.is_closed
        found.append(type(error).__name__)
    return found


@given(NOISE, st.sampled_from([1, 2, 3, 17]))
def test_noise_is_heard_the_same_however_it_is_cut(noise: bytes, size: int) -> None:
    noise = b"220 x\r\n" + noise
    assert heard([noise], []) == heard(pieces(noise, size), [])


@given(NOISE, COMMANDS)
def test_noise_gives_answers_or_a_protocol_error(noise: bytes, commands: list[str]) -> None:
    heard(pieces(b"220 x\r\n" + noise, 7), commands)


class Peer(ServerPeer):
    """A server whose octets are taken as they are."""

    said = b""

    def collect(self) -> None:
        self.said += self.protocol.data_to_send()


class Pair:
    """Our client's flows against our server's protocol, without sockets."""

    def __init__(self, *, dialect: Dialect = SMTP, size: int = 0, limits: ClientLimits | None = None) -> None:
        self.server = Peer(make_settings(dialect=dialect))
        self.server.protocol.greet()
        self.server.collect()
        self.client = ClientProtocol(dialect=dialect, limits=limits)
        self._size = size

    def run(self, flow: Any, chunks: list[bytes] | None = None) -> Any:
        waiting = deque(chunks or [])
        try:
            step = next(flow)
            while True:
                answer: Any = None
                if isinstance(step, Send):
                    for part in pieces(b"".join(step.pieces), self._size or 1 << 20):
                        self.server.send(part)
                elif isinstance(step, Receive | Poll):
                    said, size = self.server.said, self._size or len(self.server.said)
                    answer, self.server.said = said[:size] or None, said[size:]
                    assert answer or isinstance(step, Poll), "the server has nothing to say"
                elif isinstance(step, NextChunk):
                    answer = waiting.popleft() if waiting else None
                step = flow.send(answer)
        except StopIteration as stop:
            return stop.value


LOCAL = st.text("abcdefgh0123", min_size=1, max_size=8)
ADDRESS = st.builds(lambda local: f"{local}@server.example", LOCAL)
BODY = st.lists(
    st.sampled_from([b".", b"..", b"a", b".a", b"\xc3\xbc", b"\r\n", b"\r\n.\r\n", b"x" * 100]), max_size=30
).map(b"".join)


@settings(max_examples=150, deadline=None)
@given(
    bodies=st.lists(BODY, min_size=1, max_size=3),
    to=st.lists(ADDRESS, min_size=1, max_size=6, unique=True),
    pipelining=st.booleans(),
    chunking=st.booleans(),
    streamed=st.booleans(),
    dialect=st.sampled_from([SMTP, LMTP]),
    size=st.sampled_from([0, 1, 7]),
    chunk_bytes=st.sampled_from([5, 64, 1 << 18]),
)
def test_what_arrives_is_what_was_sent(
    bodies: list[bytes],
    to: list[str],
    pipelining: bool,
    chunking: bool,
    streamed: bool,
    dialect: Dialect,
    size: int,
    chunk_bytes: int,
) -> None:
    limits = ClientLimits(chunk_bytes=chunk_bytes, max_early_body_bytes=50, max_unanswered_command_bytes=100)
    pair = Pair(dialect=dialect, size=size, limits=limits)
    pair.run(open_session(pair.client, SessionPlan(hello_name="me", security=Security.NONE)))
    options = TransactionOptions(extensions=ExtensionSet(STANDARD), pipelining=pipelining, chunking=chunking)
    for body in bodies:
        envelope = Envelope(Mailbox.parse("a@client.example"), tuple(map(Mailbox.parse, to)))
        content = Content(None) if streamed else Content.of(body)
        result = pair.run(Transaction(pair.client, envelope, options).deliver(content), pieces(body, 11))
        assert list(result.accepted) == to
        assert result.used_chunking is chunking
        assert pair.client.is_clean
    stored = pair.server.outcome.messages
    assert [message.recipients for message in stored] == [tuple(to)] * len(bodies)
    for body, message in zip(bodies, stored, strict=True):
        ended = body if chunking or not body or body.endswith(b"\r\n") else body + b"\r\n"
        assert message.content == ended  # J07: no blank line is added


@pytest.mark.parametrize("pipelining", [True, False])
def test_server_peer_refusals_leave_both_sides_in_step(pipelining: bool) -> None:
    pair = Pair()
    pair.run(open_session(pair.client, SessionPlan(hello_name="me", security=Security.NONE)))
    options = TransactionOptions(extensions=ExtensionSet(STANDARD), pipelining=pipelining, chunking=False)
    envelope = Envelope(Mailbox.parse("a@client.example"), (Mailbox.parse("b@server.example"),))
    for _ in range(3):
        assert pair.run(Transaction(pair.client, envelope, options).deliver(Content.of(b"x\r\n"))).accepted
    assert len(pair.server.outcome.messages) == 3
