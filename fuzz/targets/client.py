"""A whole client, and a server that may answer anything: it ends, keeps its secrets, and believes what it was told."""

import binascii
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from fuzz.evidence import Transaction, naive_replies, transactions
from fuzz.flights import Books, message
from fuzz.source import Source
from smtpx.errors import (
    ConnectionLost,
    DeadlineError,
    RefusedError,
    RemoteProtocolError,
    SMTPXError,
    TLSError,
    TransportError,
)
from smtpx.extensions import STANDARD
from smtpx.flows import transaction as flows
from smtpx.flows.content import Content
from smtpx.flows.exchange import quit_session
from smtpx.flows.flight import Flight, can_fly
from smtpx.flows.outcome import SendResult
from smtpx.flows.session import Security, SessionPlan, open_session
from smtpx.flows.transaction import Envelope, TransactionOptions
from smtpx.net.deadlines import Deadline
from smtpx.net.drive import run
from smtpx.protocol.client import ClientProtocol
from smtpx.protocol.dialect import LMTP, SMTP
from smtpx.protocol.extension import ExtensionSet
from smtpx.protocol.facts import TLSFacts
from smtpx.protocol.limits import ClientLimits
from smtpx.protocol.phases import Phase
from smtpx.sasl import BearerToken, Password
from smtpx.wire.address import Mailbox

SECRET = "s3cr3t-of-somebody"
TOKENS = (
    b"\xa0\xa0",
    b"250 ok\r\n",
    b"250-",
    b"354 go\r\n",
    b"421 x\r\n",
    b"550 no\r\n",
    b"334 \r\n",
    b"\r\n",
    b"\n",
    b"\0",
)
_EXTENSIONS = ExtensionSet(STANDARD)
_LIMITS = ClientLimits(
    max_reply_line_bytes=200,
    max_reply_lines=20,
    max_reply_bytes=1000,
    max_unanswered_command_bytes=100,
    max_early_body_bytes=50,
    chunk_bytes=16,
)
_WIDE = replace(  # several messages at once, and at times not all of them
    _LIMITS, max_unanswered_command_bytes=300, max_early_body_bytes=120, max_bodies_in_flight_bytes=200
)
_OFFERS = ("STARTTLS", "PIPELINING", "CHUNKING", "8BITMIME", "SIZE 1000", "SMTPUTF8", "DSN")
_AUTH = (
    "AUTH PLAIN LOGIN",
    "AUTH SCRAM-SHA-256 PLAIN",
    "AUTH CRAM-MD5 LOGIN",
    "AUTH XOAUTH2 OAUTHBEARER",
    "AUTH=LOGIN",
)
_BODIES = (
    b"",
    b"x\r\n",
    b".\r\n.x\r\n..",
    b"a" * 70,
    b"\xff\r\n",
    b"Subject: \xc3\xbc\r\n\r\nx\r\n",
    b"\r\n.\r\nQUIT\r\n" * 4,
)
_PEOPLE = ("b@y.example", "c@y.example", "d@y.example", "\u00fc@y.example")
_SENDER = Mailbox.parse("a@x.example")
_MOST_STEPS = 3000


def target(data: bytes) -> None:
    """Control octets: cut, then what the client is told. The others are what the server does, turn by turn."""
    source = Source(data)
    dice = random.Random(source.pick(256))
    dialect = (SMTP, SMTP, LMTP)[source.pick(3)]
    security = (Security.NONE, Security.OPPORTUNISTIC, Security.STARTTLS)[source.pick(3)]
    auth = (None, Password("user", SECRET), BearerToken("user", SECRET))[source.pick(3)]
    trusted = source.pick(4) == 3
    wishes = [(source.pick(16), source.pick(len(_BODIES)), source.pick(16)) for _ in range(1 + source.pick(3))]
    server = Server(source, dice, verifies=security is Security.STARTTLS, per_recipient=dialect is LMTP)
    flies = any(how & 8 for how, _, _ in wishes)
    protocol = ClientProtocol(dialect=dialect, limits=_WIDE if flies else _LIMITS)
    flight = Flight(protocol, max_in_flight=3)
    plan = SessionPlan(hello_name="me", security=security, auth=auth, trusted_path=trusted, host="x.example")
    try:
        _drive(open_session(protocol, plan), server, protocol)
        for wish in wishes:
            if not protocol.is_clean:
                break
            if not (wish[0] & 8 and _fly(protocol, flight, server, *wish)):
                _send(protocol, server, *wish)
            assert protocol.is_closed or (protocol.phase is Phase.READY and not protocol.owes), (
                "neither clean nor closed"
            )
        _drive(quit_session(protocol, plan.timeouts), server, protocol)
        assert protocol.is_closed
    except SMTPXError as error:
        _check_error(error, protocol)
    server.check_secrets(trusted=trusted, must_have_tls=security is Security.STARTTLS)


def _drive(flow: Any, server: "Server", protocol: ClientProtocol, chunks: Iterator[bytes] | None = None) -> Any:  # noqa: ANN401
    return run(flow, server, Deadline(None), chunks)


def _send(protocol: ClientProtocol, server: "Server", how: int, which: int, who: int) -> None:
    """One message, in one of eight ways; what is said about it is compared with what was heard."""
    body, people = _BODIES[which], [each for bit, each in enumerate(_PEOPLE) if (who or 1) >> bit & 1]
    options = TransactionOptions(
        extensions=_EXTENSIONS, pipelining=how & 1 == 0, chunking=how & 2 == 0, strict=who & 5 == 5
    )
    content = Content(None) if how & 4 else Content.of(body)
    pieces = iter([body[:5], body[5:]]) if how & 4 else None
    before = len(server.transactions())
    transaction = flows.Transaction(protocol, Envelope(_SENDER, tuple(map(Mailbox.parse, people))), options)
    result: SendResult | None
    try:
        result = _drive(transaction.deliver(content), server, protocol, pieces)
    except SMTPXError as error:
        _check_error(error, protocol)
        result = error.result if isinstance(error, RefusedError) else None
        assert not isinstance(error, RefusedError) or result is None or not result.accepted or options.strict
    if result is None:
        return
    assert set(result.accepted) | set(result.refused) <= set(people)
    assert not set(result.accepted) & set(result.refused)
    assert result.reply is None or set(result.accepted) | set(result.refused) == set(people), "somebody was forgotten"
    _check_evidence(result, server.transactions()[before:], body, per_recipient=protocol.dialect is LMTP)


def _fly(protocol: ClientProtocol, flight: Flight, server: "Server", how: int, which: int, who: int) -> bool:
    """Some messages, several under way at once; False if this server is not for that."""
    options = TransactionOptions(extensions=_EXTENSIONS, pipelining=how & 1 == 0, chunking=how & 2 == 0)
    jobs = [
        message(number, _BODIES[(which + number) % len(_BODIES)], _SENDER, _some(who + number * how), options)
        for number in range(2 + who % 5)
    ]
    if not all(can_fly(protocol, each) for each in jobs):
        return False
    before, books = len(server.transactions()), Books(jobs)
    error = _drive(flight.fly(books), server, protocol)
    assert error is None or protocol.is_closed
    books.check(error)
    found = server.transactions()[before:]
    for outcome in (error, *books.fates.values()):
        if isinstance(outcome, SMTPXError):
            _check_error(outcome, protocol)
    for job, result in books.sent():
        assert set(result.accepted) | set(result.refused) == {str(each) for each in job.envelope.recipients}
        content = _wire_form(job.content.data or b"", used_chunking=result.used_chunking)
        mine = [each for each in found if each.content == content]
        _check_evidence(result, mine, job.content.data or b"", per_recipient=False)
    contents = [each.content for each in found if each.content and each.content.startswith(b"N")]
    assert len({*contents}) == len(contents), "sent twice"
    starts = {content.partition(b":")[0] for content in contents}
    for job in books.unknown():
        assert b"N%d: " % job.key in server.tried, "it was not sent, and nobody knows?"
    if not isinstance(error, RefusedError):  # behind a 421 nothing counts, whatever was sent
        assert not any(b"N%d" % job.key in starts for job in books.gone()), "it was sent, and may go again"
    return True


def _some(who: int) -> tuple[Mailbox, ...]:
    return tuple(Mailbox.parse(each) for bit, each in enumerate(_PEOPLE) if (who & 15 or 1) >> bit & 1)


def _wire_form(body: bytes, *, used_chunking: bool) -> bytes:
    return body if used_chunking or body.endswith(b"\r\n") or not body else body + b"\r\n"


def _check_evidence(result: SendResult, found: list[Transaction], body: bytes, *, per_recipient: bool) -> None:
    if not result.accepted:
        return
    if result.reply is None:  # strict: some were accepted, and nothing was sent
        assert found[-1].content in (None, b"")
        return
    assert len(found) == 1
    (transaction,) = found
    assert set(result.accepted) <= set(transaction.accepted(per_recipient=per_recipient)), (
        "accepted without a word of it"
    )
    sent = _wire_form(body, used_chunking=result.used_chunking)
    assert transaction.content == sent, "other content was sent"


def _check_error(error: SMTPXError, protocol: ClientProtocol) -> None:
    if isinstance(error, TransportError | RemoteProtocolError):
        assert protocol.is_closed, "a connection of no use is kept"
    assert isinstance(error.is_temporary, bool)
    seen: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and each not in seen:
        seen.append(each)
        shown = f"{each} {each!r} {each.args!r} {getattr(each, 'reply', '')!r} {getattr(each, 'command', '')}"
        assert not _has_secret(shown), "a secret in an error"
        each = each.__cause__ or each.__context__


def _has_secret(text: str) -> bool:
    return SECRET in text or any(SECRET.encode() in _decoded(word) for word in text.replace("'", " ").split())


def _decoded(word: str) -> bytes:
    try:
        return binascii.a2b_base64(word.encode() + b"=" * (-len(word) % 4))
    except ValueError:
        return b""


class Server:
    """A connected stream, with a server behind it that reads well and answers as the source says."""

    def __init__(self, source: Source, dice: random.Random, *, verifies: bool, per_recipient: bool) -> None:
        self._source = source
        self._dice = dice
        self._verifies = verifies
        self._per_recipient = per_recipient
        self._said: list[tuple[bytes, bool]] = [(b"", False)]  # what the client wrote, and whether under verified TLS
        self.tried = b""  # what it tried to say; what a write that fails has brought to the other side is not known
        self._has_tls = False
        self._heard = b""
        self._unread = b""
        self._out = b""
        self._given = b""
        self._steps = 0
        self._chunk_left = 0
        self._in_body = self._is_last = self._is_gone = self._is_reset = self._in_auth = False
        self._recipients = 0
        self._told: list[str] = []  # words of an AUTH exchange that goes on
        self._answer("GREETING", b"220 x ESMTP\r\n")

    # The stream ------------------------------------------------------------------------------------------------------

    def send(self, pieces: tuple[bytes, ...], timeout_seconds: float) -> None:
        """Hear what the client says."""
        self._step()
        assert timeout_seconds >= 0
        octets = b"".join(pieces)
        self.tried += octets
        if self._is_reset or (self._is_gone and not self._out):
            raise ConnectionLost("reset")
        before, verified = self._said[-1]
        self._said[-1] = (before + octets, verified)
        self._unread += octets
        self._hear()

    def receive(self, timeout_seconds: float) -> bytes:
        """A piece of what was answered."""
        self._step()
        assert timeout_seconds > 0
        if self._is_reset:
            raise ConnectionLost("reset")
        if not self._out:
            if self._is_gone:
                return b""
            raise DeadlineError("the server says nothing")
        return self._piece()

    def poll(self) -> bytes | None:
        """What lies there."""
        self._step()
        if self._out and not self._is_reset:
            return self._piece()
        return b"" if self._is_gone or self._is_reset else None

    def start_tls(self, timeout_seconds: float) -> TLSFacts:
        """A handshake, which octets in clear break."""
        self._step()
        if self._out or self._is_gone or self._is_reset or self._source.octet() > 240:
            raise TLSError("not a handshake")
        self._has_tls = True
        self._said.append((b"", self._verifies))
        return TLSFacts("TLSv1.3", "x", verified=self._verifies, bindings={"tls-exporter": b"x"})

    def close(self) -> None:
        """The client closes."""
        self._is_gone = True
        self._out = b""

    def _step(self) -> None:
        self._steps += 1
        assert self._steps < _MOST_STEPS, "no end"

    def _piece(self) -> bytes:
        size = self._dice.choice((1, 2, 3, 7, 50, 5000))
        piece, self._out = self._out[:size], self._out[size:]
        self._given += piece
        return piece

    # What is known behind it -----------------------------------------------------------------------------------------

    def transactions(self) -> list[Transaction]:
        """What the client can know, by what it said and was given."""
        said = b"".join(octets for octets, _ in self._said)
        return transactions(said, naive_replies(self._given), per_recipient=self._per_recipient)

    def check_secrets(self, *, trusted: bool, must_have_tls: bool) -> None:
        """See that nothing secret was said where somebody might listen."""
        for octets, verified in self._said:
            if not verified and (not trusted or (must_have_tls and not self._has_tls)):
                assert not _has_secret(octets.decode("latin-1")), "a secret was told to everybody"

    # The server ------------------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        while self._unread:
            if self._chunk_left:
                taken = min(self._chunk_left, len(self._unread))
                self._unread, self._chunk_left = self._unread[taken:], self._chunk_left - taken
                if not self._chunk_left:
                    self._end_chunk()
                continue
            if self._in_body:
                _, end, behind = (b"\r\n" + self._heard + self._unread).partition(b"\r\n.\r\n")
                if not end:
                    self._heard += self._unread
                    self._unread = b""
                    return
                self._in_body, self._heard, self._unread = False, b"", behind
                self._verdicts()
                continue
            line, end, behind = self._unread.partition(b"\r\n")
            if not end:
                return
            self._unread = behind
            self._command(line.decode("latin-1"))  # what it was misled to say there may be content

    def _command(self, line: str) -> None:
        verb, _, argument = line.partition(" ")
        if verb == "AUTH" or self._in_auth:
            self._told += argument.split()[1:] if verb == "AUTH" else [line]
        else:
            self._told.clear()
        if self._in_auth:
            self._in_auth = self._answer("AUTH", b"235 ok\r\n").startswith(b"334")
        elif verb in ("EHLO", "LHLO", "HELO"):
            self._answer(verb, self._hello())
        elif verb == "BDAT":
            size, _, last = argument.partition(" ")
            self._chunk_left, self._is_last = int(size), last == "LAST"
            if not self._chunk_left:
                self._end_chunk()
        elif verb == "DATA":
            self._in_body = self._answer(verb, b"354 go\r\n").startswith(b"354")
        elif verb == "AUTH":
            usual = b"235 ok\r\n" if len(argument.split()) > 1 and "SCRAM" not in argument else b"334 eA==\r\n"
            self._in_auth = self._answer(verb, usual).startswith(b"334")
        else:
            if verb == "MAIL":
                self._recipients = 0
            answer = self._answer(verb, b"250 2.1.0 ok\r\n" if verb != "STARTTLS" else b"220 go\r\n")
            self._recipients += verb == "RCPT" and answer.startswith(b"2")
            self._is_gone = self._is_gone or verb == "QUIT"

    def _end_chunk(self) -> None:
        if self._is_last:
            self._verdicts()
        else:
            self._answer("BDAT", b"250 ok\r\n")

    def _verdicts(self) -> None:
        for _ in range(max(self._recipients, 1) if self._per_recipient else 1):
            self._answer("END", b"250 2.0.0 queued as x\r\n")

    def _hello(self) -> bytes:
        missing = self._source.octet()
        offers = [each for bit, each in enumerate(_OFFERS) if not missing >> bit & 1]
        offers += [_AUTH[self._source.octet() % len(_AUTH)]]
        return b"250-x.example\r\n" + "".join(f"250-{each}\r\n" for each in offers).encode() + b"250 HELP\r\n"

    def _answer(self, verb: str, usual: bytes) -> bytes:
        if self._is_gone or self._is_reset:
            return b""
        what = self._source.octet()
        octets = _UNUSUAL[what - 150](self, usual) if 150 <= what < 150 + len(_UNUSUAL) else usual
        self._out += octets
        return octets

    def _raw(self, usual: bytes) -> bytes:
        return self._source.take(self._source.octet() % 60)

    def _echo(self, usual: bytes) -> bytes:
        """A refusal of AUTH that repeats what was said in it, as some servers have it."""
        return f"535 no: {' '.join(self._told)}\r\n".encode() if self._told else usual

    def _leave(self, usual: bytes) -> bytes:
        self._is_gone = True
        return b""

    def _say_and_leave(self, usual: bytes) -> bytes:
        self._is_gone = True
        return usual

    def _reset(self, usual: bytes) -> bytes:
        self._is_reset = True
        return b""

    def _challenge(self, usual: bytes) -> bytes:
        return b"334 " + binascii.b2a_base64(self._source.take(self._source.octet() % 40), newline=False) + b"\r\n"


def _say(octets: bytes) -> Callable[[Server, bytes], bytes]:
    return lambda server, usual: octets


_UNUSUAL: tuple[Callable[[Server, bytes], bytes], ...] = (
    *(_say(b"450 4.7.1 later\r\n"), _say(b"550 5.7.1 no\r\n"), _say(b"421 4.3.2 bye\r\n"), _say(b"354 go\r\n")),
    *(_say(b"535 5.7.8 no\r\n"), _say(b"500 what?\r\n"), _say(b"251 elsewhere\r\n"), _say(b"235 ok\r\n")),
    *(_say(b"250-a\r\n250-b\r\n250 c\r\n"), _say(b"250-a\r\n550 b\r\n"), _say(b"250 " + b"x" * 300 + b"\r\n")),
    *(
        _say(b"250-x\r\n" * 30),
        _say(b"250 ok\n"),
        _say(b"199 x\r\n"),
        _say(b"25"),
        _say(b"\0\r\n"),
        _say(b"250\r\n"),
        _say(b""),
    ),
    *(
        Server._raw,
        Server._raw,
        Server._leave,
        Server._say_and_leave,
        Server._reset,
        Server._challenge,
        Server._challenge,
    ),
    *(lambda _, usual: usual * 2, lambda _, usual: usual + b"250 ok\r\n", lambda _, usual: b"250 ok\r\n" + usual),
    lambda _, usual: usual + b"550 no\r\n",
    Server._echo,
    lambda _, usual: usual[:-2],
)
