"""Our client to our server, which has opinions, through any cuts: what arrives is what was sent, or an error tells."""

import random
from dataclasses import replace

from fuzz import framing
from fuzz.flights import Books, message
from fuzz.session import LISTENERS, TLS, Opinionated, Peer
from fuzz.source import Source
from smtpx.errors import DeadlineError, RefusedError, SMTPXError
from smtpx.extensions import STANDARD
from smtpx.flows.content import Content
from smtpx.flows.exchange import quit_session
from smtpx.flows.flight import Flight, can_fly
from smtpx.flows.session import Security, SessionPlan, open_session
from smtpx.flows.transaction import Envelope, Transaction, TransactionOptions
from smtpx.net.deadlines import Deadline
from smtpx.net.drive import run
from smtpx.protocol.client import ClientProtocol
from smtpx.protocol.extension import ExtensionSet
from smtpx.protocol.facts import TLSFacts
from smtpx.protocol.limits import ClientLimits
from smtpx.sasl import Password
from smtpx.wire.address import Mailbox

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
_LIMITS = ClientLimits(max_early_body_bytes=60, max_unanswered_command_bytes=80)
_WIDE = ClientLimits(max_early_body_bytes=400, max_unanswered_command_bytes=600, max_bodies_in_flight_bytes=900)
_EXTENSIONS = ExtensionSet(STANDARD)
_PEOPLE = tuple(map(Mailbox.parse, ("b@y.example", "c@y.example", "d@y.example", "\u00fc@b\u00fccher.example")))
_SENDER = Mailbox.parse("a@x.example")


def target(data: bytes) -> None:
    """Control octets: listener, opinions, cut, how and to whom. The others are the content."""
    source = Source(data)
    settings, number, dice = LISTENERS[source.pick(8)], source.pick(32), random.Random(source.pick(256))
    how, who, again = source.pick(32), 1 + source.pick(15), source.pick(8)
    chunk = 1 + source.pick(40)
    body = source.rest()
    wire = _Wire(Peer(settings, Opinionated(number)), dice)
    protocol = ClientProtocol(
        dialect=settings.dialect,
        limits=_WIDE if again > 1 else replace(_LIMITS, chunk_bytes=chunk),
    )
    flight = Flight(protocol, max_in_flight=1 + who % 4)
    security = Security.OPPORTUNISTIC if settings.starttls and how & 8 else Security.NONE
    auth = Password("user", "secret", scram_iterations=range(1, 10)) if how & 16 else None
    try:
        run(
            open_session(protocol, SessionPlan(hello_name="me", security=security, auth=auth, trusted_path=True)),
            wire,
            Deadline(None),
        )
        people = tuple(each for bit, each in enumerate(_PEOPLE) if who >> bit & 1)
        if again > 1 and protocol.is_clean:
            _fly(wire, protocol, flight, body, people, how, again)
        for _ in range(1 + (again & 1)):
            if protocol.is_clean:
                _send(wire, protocol, body, people, how, chunk)
        run(quit_session(protocol, SessionPlan(hello_name="me").timeouts), wire, Deadline(None))
    except SMTPXError:
        pass
    framing.check(wire.peer, wire.said)


def _send(
    wire: "_Wire", protocol: ClientProtocol, body: bytes, people: tuple[Mailbox, ...], how: int, chunk: int
) -> None:
    options = TransactionOptions(extensions=_EXTENSIONS, pipelining=how & 1 == 0, chunking=how & 2 == 0)
    before = len(wire.peer.messages)
    try:
        content = Content(None) if how & 4 else Content.of(body)
        chunks = iter([body[i : i + chunk] for i in range(0, len(body), chunk)]) if how & 4 else None
        transaction = Transaction(protocol, Envelope(_SENDER, people), options)
        result = run(transaction.deliver(content), wire, Deadline(None), chunks)
    except RefusedError:
        assert len(wire.peer.messages) == before, "refused, and taken"
        return
    except SMTPXError as error:
        # Nothing gets lost here, so there is no outcome that can't be known but that of a server which just closed.
        assert len(wire.peer.messages) == before or error.stage == "final", "an error, and taken"
        return
    finally:
        assert protocol.is_closed or (protocol.is_clean and wire.is_quiet), "out of step"
    (message,) = wire.peer.messages[before:]
    assert set(message.recipients) == {_ascii(address) for address in result.accepted}, "others have it"
    assert set(result.accepted) | set(result.refused) == {str(each) for each in people}
    ending = b"" if result.used_chunking or body.endswith(b"\r\n") or not body else b"\r\n"
    if wire.peer.settings.bare_newline == "reject":
        assert message.content == body + ending, "other content has arrived"


def _fly(
    wire: "_Wire",
    protocol: ClientProtocol,
    flight: Flight,
    body: bytes,
    people: tuple[Mailbox, ...],
    how: int,
    count: int,
) -> None:
    options = TransactionOptions(extensions=_EXTENSIONS, pipelining=how & 1 == 0, chunking=how & 2 == 0)
    jobs = [
        message(number, body, _SENDER, people[number % len(people) :] + _PEOPLE[: number % 3], options)
        for number in range(count)
    ]
    jobs = [each for each in jobs if can_fly(protocol, each)]
    books, before = Books(jobs), len(wire.peer.messages)
    error = run(flight.fly(books), wire, Deadline(None))
    assert error is not None or (protocol.is_clean and wire.is_quiet), "out of step"
    books.check(error)
    arrived = {each.content.partition(b":")[0]: each for each in wire.peer.messages[before:]}
    assert len(arrived) == len(wire.peer.messages) - before, "one has arrived twice"
    for job, result in books.sent():
        taken = arrived.pop(b"N%d" % job.key)
        assert set(taken.recipients) == {_ascii(address) for address in result.accepted}, "others have it"
        assert set(result.accepted) | set(result.refused) == {str(each) for each in job.envelope.recipients}
        sent = job.content.data or b""
        ending = b"" if result.used_chunking or sent.endswith(b"\r\n") else b"\r\n"
        if wire.peer.settings.bare_newline == "reject":
            assert taken.content == sent + ending, "other content has arrived"
    for job in books.unknown():  # nothing gets lost here but by a server that closes
        arrived.pop(b"N%d" % job.key, None)
    assert not arrived, "it has arrived, and nobody was told"


def _ascii(address: str) -> str:
    mailbox = Mailbox.parse(address)
    return str(mailbox.to_ascii_domain() if mailbox.local_part.isascii() else mailbox)


class _Wire:
    """A stream between the two, without loss."""

    def __init__(self, peer: Peer, dice: random.Random) -> None:
        self.peer = peer
        self.said = b""
        self._dice = dice
        self._unread = peer.sent
        self._has_tls = False

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is under way."""
        return not self._unread

    def send(self, pieces: tuple[bytes, ...], timeout_seconds: float) -> None:
        """Octets to the server, in pieces."""
        octets = b"".join(pieces)
        self.said += octets
        while octets:
            size = self._dice.choice((1, 2, 3, 7, 50, 5000))
            self._unread += self.peer.receive(octets[:size])
            octets = octets[size:]

    def receive(self, timeout_seconds: float) -> bytes:
        """Octets of the server."""
        if not self._unread:
            if self.peer.protocol.is_closed:
                return b""
            raise DeadlineError("nothing comes: somebody waits for what will not be said")
        return self.poll() or b""

    def poll(self) -> bytes | None:
        """What lies there."""
        size = self._dice.choice((1, 2, 3, 7, 50, 5000))
        piece, self._unread = self._unread[:size], self._unread[size:]
        if piece:
            return piece
        return b"" if self.peer.protocol.is_closed else None

    def start_tls(self, timeout_seconds: float) -> TLSFacts:
        """A handshake."""
        assert not self._unread
        assert self.peer.handshakes == 1
        return TLS

    def close(self) -> None:
        """The client closes."""
        self.peer.protocol.receive_eof()
        self.peer.work()
