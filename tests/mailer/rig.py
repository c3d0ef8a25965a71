"""A post office on a real port with STARTTLS and AUTH, one that misbehaves as it is told, and letters to send."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from smtpx.flows.outcome import SendResult
from smtpx.flows.session import Security
from smtpx.mailer.provider import BulkResult, Health, HealthState, OnOutcome, Probe, Sendables
from smtpx.mailer.smtp import SMTPProvider
from smtpx.message.compose import Message
from smtpx.message.sendable import Posting, Sendable
from smtpx.server.listener import Server
from smtpx.wire.address import Mailbox
from smtpx.wire.codes import EnhancedCode
from smtpx.wire.reply import Reply
from tests.server.rig import Message as Received
from tests.server.rig import Recorder, client_tls, fresh_server_tls, recorders, running

__all__ = [
    "CUT",
    "DROP",
    "STALL",
    "BulkAPI",
    "FakeServer",
    "Note",
    "Office",
    "faking",
    "letter",
    "letters",
    "office",
    "result_for",
    "theirs",
]

FROM = "shop@shop.example"
TO = "jane@home.example"


def letter(number: int = 0, **fields: Any) -> Message:  # noqa: ANN401 - those of Message
    """A message that can be told from others."""
    usual: dict[str, Any] = {"from_": FROM, "to": TO, "subject": f"Letter {number}", "text": f"This is {number}."}
    return Message(**{**usual, **fields})


def letters(count: int) -> list[Message]:
    """Several."""
    return [letter(number) for number in range(count)]


@dataclass(frozen=True)
class Note:
    """Something that can be sent and is no `Message`."""

    text: bytes = b"Subject: note\r\n\r\nhello\r\n"
    sender: str = FROM
    recipients: tuple[str, ...] = (TO,)
    message_id: str | None = None
    wishes: Mapping[str, Any] = field(default_factory=dict)

    def posting(self) -> Posting:
        if not self.recipients:
            raise ValueError("no recipients")
        return Posting(Mailbox.parse(self.sender), tuple(map(Mailbox.parse, self.recipients)), self.wishes)

    def octets(self, *, eight_bit: bool, utf8: bool) -> Iterator[bytes]:
        yield self.text


class Office:
    """A server, and what it has got."""

    def __init__(self, server: Server, sessions: list[Recorder]) -> None:
        self.server = server
        self.sessions = sessions

    @property
    def messages(self) -> list[Received]:
        """Everything that was delivered, by connection and then in order."""
        return [message for session in self.sessions for message in session.messages]

    @property
    def subjects(self) -> list[str]:
        """The subjects of all that."""
        return [subject_of(message.content) for message in self.messages]

    def provider(self, **options: Any) -> SMTPProvider:  # noqa: ANN401 - those of SMTPProvider
        """A provider that may send here: STARTTLS, verified, and a login; no rate limit."""
        login = {"username": "user", "password": "secret", "ssl_context": client_tls(), "rate_limit": None}
        return SMTPProvider("localhost", self.server.port, **{**login, **options})


def subject_of(content: bytes) -> str:
    """The subject line of a message."""
    return next(line[9:].decode() for line in content.split(b"\r\n") if line.startswith(b"Subject: "))


@contextlib.asynccontextmanager
async def office(kind: type[Recorder] = Recorder, **options: Any) -> AsyncIterator[Office]:  # noqa: ANN401
    """A server with STARTTLS and AUTH that keeps what it gets."""
    session, made = recorders(kind)
    options.setdefault("tls", fresh_server_tls())
    async with running(session, **options) as server:
        yield Office(server, made)


STALL = b""  # says nothing more
DROP = None  # closes
_TOO_SOON = b"503 5.5.1 not yet\r\n"
_BEHIND = {"RCPT": ("MAIL", "RCPT"), "DATA": ("RCPT",)}
CUT = b"354 go"  # behind DATA: reads a little of the content, and closes
Answer = bytes | None | Callable[[str], "bytes | None"]


class FakeServer:
    """A server without TLS and AUTH, one line at a time, that answers as it is told.

    Args:
        answers: by verb (GREETING, EHLO, MAIL, RCPT, DATA, BODY, NOOP, RSET, QUIT): one answer for always, or a list,
            of which each is used once before the usual one. A function is given the line.

    Attributes:
        messages: what came whole.
        taken: those of them that were not refused; whether somebody was told so is another question.
    """

    usual: Mapping[str, bytes] = {
        "GREETING": b"220 fake.example ESMTP\r\n",
        "EHLO": b"250-fake.example\r\n250 8BITMIME\r\n",
        "DATA": b"354 go\r\n",
        "QUIT": b"221 bye\r\n",
    }

    def __init__(self, **answers: Answer | list[Answer]) -> None:
        self.answers = answers
        self.lines: list[str] = []
        self.messages: list[bytes] = []
        self.taken: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    def provider(self, **options: Any) -> SMTPProvider:  # noqa: ANN401 - those of SMTPProvider
        """A provider that sends here, in clear, without a rate limit."""
        usual: dict[str, Any] = {"security": Security.NONE, "rate_limit": None, "hello_name": "me"}
        return SMTPProvider("127.0.0.1", self.port, **{**usual, **options})

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=1 << 25)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Break all connections, and listen no more."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        try:
            await self._converse(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        verb, line, last = "GREETING", "", ""  # the last command of the envelope that was taken
        while True:
            is_too_soon = verb in _BEHIND and last not in _BEHIND[verb]
            reply = _TOO_SOON if is_too_soon else self._answer(verb, line)
            if verb == "BODY" and (not reply or reply.startswith(b"2")):
                self.taken.append(self.messages[-1])
            if reply is None:  # DROP
                return
            if reply == STALL:
                await reader.read()  # until it goes
                return
            if reply == CUT:
                writer.write(CUT + b"\r\n")
                await reader.readexactly(1000)
                return
            writer.write(reply)
            if verb in ("MAIL", "RCPT") and reply.startswith(b"2"):
                last = verb
            elif verb in ("MAIL", "RSET", "BODY"):
                last = ""
            if verb == "QUIT":
                await writer.drain()
                return
            if verb == "DATA" and reply.startswith(b"354"):
                self.messages.append((await reader.readuntil(b"\r\n.\r\n"))[:-3])
                verb, line = "BODY", ""
                continue
            line = (await reader.readuntil(b"\r\n"))[:-2].decode()
            self.lines.append(line)
            verb = line.partition(" ")[0].upper()

    def _answer(self, verb: str, line: str) -> bytes | None:
        usual = self.usual.get(verb, b"250 ok\r\n")
        told = self.answers.get(verb, usual)
        answer: Any = (told.pop(0) if told else usual) if isinstance(told, list) else told
        return answer(line) if callable(answer) else answer  # type: ignore[no-any-return]


@contextlib.asynccontextmanager
async def faking(**answers: Any) -> AsyncIterator[FakeServer]:  # noqa: ANN401 - see `Answer`
    """A misbehaving server on a free port."""
    server = FakeServer(**answers)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def theirs(error: Exception | None) -> BaseException | None:
    """What somebody's code raised, of the error that an outcome has for it."""
    return error if error is None or error.__cause__ is None else error.__cause__


def result_for(message: Sendable) -> SendResult:
    """Everybody has it."""
    reply = Reply(250, EnhancedCode(2, 0, 0), ("ok",))
    return SendResult({str(each): reply for each in message.posting().recipients}, {}, reply)


class BulkAPI:
    """A provider with an API of its own that takes many at once; what it says is told by `script`.

    Args:
        script: for a list of messages, a result or error for each; or what is raised.
    """

    provider_type = "api"
    supports_bulk_sending = True
    metadata: Mapping[str, Any] = {}

    def __init__(self, script: Callable[[list[Sendable]], Any], *, tells: bool = True) -> None:
        self.calls: list[list[Sendable]] = []
        self.closed = 0
        self.health = HealthState.HEALTHY
        self._script = script
        self._tells = tells

    async def send(self, message: Sendable) -> SendResult:
        outcome = (await self.send_bulk([message])).outcomes[0]
        return outcome.unwrap()

    async def send_bulk(self, messages: Sendables, *, on_outcome: OnOutcome | None = None) -> BulkResult:
        from smtpx.mailer.ledger import Ledger, each_of

        given = [each async for each in each_of(messages)]
        self.calls.append(given)
        ledger = Ledger(on_outcome if self._tells else None)
        said = self._script(given)
        for message, outcome in zip(given, said, strict=False):
            ledger.settle(ledger.take(message), outcome)
        if isinstance(said, list) and said and isinstance(said[-1], str):
            raise RuntimeError(said[-1])
        return ledger.result()

    async def check(self, probe: Probe = Probe.LIVENESS) -> Health:
        from smtpx.client.stamp import now_here

        return Health(name="api", state=self.health, message="as told", checked_at=now_here())

    async def close(self) -> None:
        self.closed += 1
