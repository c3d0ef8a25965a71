"""The client for asyncio."""

import asyncio
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from smtpx.client.conversation import Conversation, check_idle, may_fall_back
from smtpx.client.mail import Mail, Source, envelope
from smtpx.client.pool_policy import PoolPolicy
from smtpx.client.settings import ClientSettings, settings_for
from smtpx.errors import LocalProtocolError, SMTPXError
from smtpx.flows.outcome import SendResult
from smtpx.flows.session import Security
from smtpx.flows.steps import Flow
from smtpx.flows.transaction import Envelope, Transaction
from smtpx.net.aio import AsyncStream, connect
from smtpx.net.deadlines import Deadline, now
from smtpx.net.drive import arun
from smtpx.net.targets import is_local_peer
from smtpx.net.trace import mask_auth
from smtpx.protocol.capabilities import Capabilities
from smtpx.protocol.facts import TLSFacts
from smtpx.wire.address import Mailbox
from smtpx.wire.reply import Reply

if TYPE_CHECKING:
    import ssl
    from typing import Self

    from smtpx.client.mail import MessageSource
    from smtpx.flows.session import Authentication

__all__ = ["AsyncClient", "AsyncConnection", "AsyncOpenTransaction"]

T = TypeVar("T")


class AsyncConnection:
    """One connection to a server, step by step. Not to be shared between tasks: `AsyncClient` is.

    Made by `open`; closed by `quit` or at the end of a `with` block.
    """

    def __init__(self, conversation: Conversation, stream: AsyncStream) -> None:
        self._conversation = conversation
        self._stream = stream
        self._busy = False

    @classmethod
    def open(cls, url: str | ClientSettings, **options: Any) -> "_Opening":
        """Connect, say hello, start TLS and log in, as URL and options say. Await it, or use it in `async with`.

        Raises:
            ConfigurationError, ConnectError, RefusedError, UnsupportedError, TLSError, AuthenticationError,
            DeadlineError, ConnectionLost, RemoteProtocolError.
        """
        return _Opening(cls, settings_for(url, **options))

    @classmethod
    async def _open(cls, settings: ClientSettings) -> "AsyncConnection":
        deadline = Deadline(settings.timeout)
        try:
            return await cls._open_once(settings, deadline)
        except SMTPXError as error:
            if not may_fall_back(settings, error, local=settings.target.unix_path is not None):
                raise
        return await cls._open_once(replace(settings, security=Security.NONE), deadline)

    @classmethod
    async def _open_once(cls, settings: ClientSettings, deadline: Deadline) -> "AsyncConnection":
        from smtpx.client.tls_policy import context_for

        def context() -> "ssl.SSLContext":
            return context_for(settings, local=is_local_peer(stream.peer))

        stream = await connect(settings.target, context, deadline.limit(settings.timeouts.connect), settings.connect)
        if settings.trace is not None:
            stream.trace = mask_auth(settings.trace)
        try:
            tls = None
            if settings.security is Security.IMPLICIT:
                tls = await stream.start_tls(deadline.limit(settings.timeouts.tls))
            connection = cls(Conversation(settings, stream.local, stream.peer, tls), stream)
            await connection._run(connection._conversation.start(), deadline=deadline)
        except BaseException:
            stream.close()
            raise
        return connection

    async def _run(self, flow: Flow[T], source: Source | None = None, deadline: Deadline | None = None) -> T:
        check_idle(self._busy)
        self._busy = True
        conversation = self._conversation
        try:
            deadline = deadline or Deadline(conversation.settings.timeout)
            return await arun(flow, self._stream, deadline, source.achunks() if source else None)
        except SMTPXError:
            if not conversation.is_open or conversation.protocol.owes:
                self.close()
            raise
        except BaseException:
            self.close()  # a flow that did not finish: nobody knows where the server is
            raise
        finally:
            self._busy = False

    @property
    def capabilities(self) -> Capabilities:
        """What the server offers now."""
        return self._conversation.protocol.capabilities

    @property
    def tls(self) -> TLSFacts | None:
        """Facts about TLS; None without."""
        return self._conversation.protocol.tls

    @property
    def hello_reply(self) -> Reply | None:
        """The reply to the last hello."""
        return self._conversation.protocol.hello_reply

    @property
    def is_open(self) -> bool:
        """Whether commands can be sent."""
        return self._conversation.is_open and not self._stream.is_closed

    async def send(
        self,
        message: "MessageSource",
        *,
        sender: str | Mailbox | None = None,
        recipients: Sequence[str | Mailbox] | str | None = None,
        strict: bool = False,
        smtputf8: bool | None = None,
        normalize_newlines: bool = False,
    ) -> SendResult:
        """Send one message; see `AsyncClient.send`."""
        mail = Mail(message, sender, recipients, normalize_newlines=normalize_newlines)
        return await self._send(mail, strict, smtputf8)

    async def _send(self, mail: Mail, strict: bool, smtputf8: bool | None) -> SendResult:
        begun = now()
        result = await self._run(self._conversation.send(mail, strict=strict, smtputf8=smtputf8), mail.source)
        return replace(result, duration_seconds=now() - begun)

    def transaction(
        self,
        sender: str | Mailbox,
        recipients: Sequence[str | Mailbox],
        *,
        strict: bool = False,
        smtputf8: bool | None = None,
    ) -> "_OpeningTransaction":
        """MAIL and RCPTs, in a group when the server offers it; the content comes later, or never.

        Await it, or use it in `async with`.

        Raises:
            RefusedError: MAIL, or all recipients (with `strict`: one), were refused.
        """
        to = envelope(sender, recipients)
        transaction = self._conversation.transaction(to, strict=strict, smtputf8=smtputf8)
        return _OpeningTransaction(self, transaction, to)

    async def mail(
        self, sender: str | Mailbox, *, size: int | None = None, body: str | None = None, smtputf8: bool = False
    ) -> Reply:
        """MAIL. `sender` "" is the null reverse-path.

        Raises:
            RefusedError, UnsupportedError, LocalProtocolError.
        """
        return await self._run(self._conversation.mail(sender, size=size, body=body, smtputf8=smtputf8))

    async def rcpt(self, recipient: str | Mailbox) -> Reply:
        """RCPT.

        Raises:
            RefusedError, LocalProtocolError.
        """
        return await self._run(self._conversation.rcpt(recipient))

    async def data(self, body: "MessageSource", *, normalize_newlines: bool = False) -> Reply:
        """The content, behind MAIL and at least one RCPT; by BDAT where offered.

        Raises:
            RefusedError, LocalProtocolError, TransportError.
        """
        source = Source(body, normalize_newlines=normalize_newlines)
        return await self._run(self._conversation.data(source), source)

    async def auth(self, auth: "Authentication", *, mechanisms: Sequence[str] | None = None) -> Reply:
        """Log in.

        Raises:
            AuthenticationError, UnsupportedError.
        """
        return await self._run(self._conversation.auth(auth, mechanisms))

    async def start_tls(self) -> TLSFacts:
        """STARTTLS, handshake, and a new hello.

        Raises:
            UnsupportedError, RefusedError, TLSError.
        """
        return await self._run(self._conversation.start_tls())

    async def verify(self, address: str) -> Reply:
        """VRFY: 250, 251 and 252 are replies, not errors.

        Raises:
            RefusedError.
        """
        return await self._run(self._conversation.verify(address))

    async def noop(self) -> Reply:
        """NOOP: a sign of life.

        Raises:
            RefusedError, TransportError.
        """
        return await self._run(self._conversation.noop())

    async def reset(self) -> Reply:
        """RSET: give up the transaction.

        Raises:
            RefusedError, TransportError.
        """
        return await self._run(self._conversation.reset())

    async def quit(self) -> None:
        """QUIT and close. Never an error; may be called again."""
        if self.is_open:
            await self._run(self._conversation.quit())
        self.close()

    def close(self) -> None:
        """Close without a word."""
        self._conversation.protocol.connection_closed()
        self._stream.close()

    async def __aenter__(self) -> "Self":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.quit() if error is None else self.close()


class _Opening:
    """A connection that is not open yet."""

    def __init__(self, cls: type[AsyncConnection], settings: ClientSettings) -> None:
        self._cls = cls
        self._settings = settings
        self._connection: AsyncConnection | None = None

    def __await__(self) -> Generator[Any, None, AsyncConnection]:
        return self._cls._open(self._settings).__await__()

    async def __aenter__(self) -> AsyncConnection:
        self._connection = await self
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._connection is not None:
            await self._connection.__aexit__(kind, error, tb)


class AsyncOpenTransaction:
    """A transaction whose recipients are known and whose content is not sent yet.

    Leaving its `with` block without `send` gives it up (RSET).
    """

    def __init__(self, connection: AsyncConnection, transaction: Transaction, envelope: Envelope) -> None:
        self._connection = connection
        self._transaction = transaction
        self._envelope = envelope
        self._done = False
        self.accepted = transaction.accepted
        self.refused = transaction.refused

    async def send(self, message: "MessageSource", *, normalize_newlines: bool = False) -> SendResult:
        """Send the content to the accepted recipients; see `AsyncClient.send`."""
        if self._done:
            raise LocalProtocolError("this transaction is over", stage="data")
        self._done = True
        source = Source(message, normalize_newlines=normalize_newlines)
        connection = self._connection
        flow = connection._conversation.send_open(self._transaction, source, self._envelope)
        return await connection._run(flow, source)

    async def abandon(self) -> None:
        """Give it up; may be called again."""
        if not self._done and self._connection.is_open:
            self._done = True
            await self._connection._run(self._transaction.abandon())


class _OpeningTransaction:
    """A transaction nothing of which is sent yet."""

    def __init__(self, connection: AsyncConnection, transaction: Transaction, to: Envelope) -> None:
        self._connection = connection
        self._transaction = transaction
        self._envelope = to
        self._open: AsyncOpenTransaction | None = None

    def __await__(self) -> Generator[Any, None, AsyncOpenTransaction]:
        return self._start().__await__()

    async def _start(self) -> AsyncOpenTransaction:
        await self._connection._run(self._transaction.open(None))
        return AsyncOpenTransaction(self._connection, self._transaction, self._envelope)

    async def __aenter__(self) -> AsyncOpenTransaction:
        self._open = await self
        return self._open

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._open is not None:
            await self._open.abandon()


class AsyncClient:
    """A client with a pool of connections; may be shared by tasks.

    Args:
        url: where and how, e.g. `submission://user:secret@mail.example.org`, or `ClientSettings`.
        options: fields of `ClientSettings`, on top.
    """

    def __init__(self, url: str | ClientSettings, **options: Any) -> None:
        self.settings = settings_for(url, **options)
        self._policy: PoolPolicy[AsyncConnection] = PoolPolicy(self.settings.limits)
        self._waiters: deque[asyncio.Future[None]] = deque()
        self.is_closed = False

    async def send(
        self,
        message: "MessageSource",
        *,
        sender: str | Mailbox | None = None,
        recipients: Sequence[str | Mailbox] | str | None = None,
        strict: bool = False,
        smtputf8: bool | None = None,
        normalize_newlines: bool = False,
    ) -> SendResult:
        """Send one message.

        Args:
            message: octets, a message object, a binary file, or an iterator of octets. Octets are sent as they are.
            sender: the envelope sender, "" for the null reverse-path; from the header of a message object if None.
            recipients: envelope recipients; from the header of a message object if None.
            strict: one refused recipient stops the message for all.
            smtputf8: True demands it, False never uses it; None where address or header need it.
            normalize_newlines: turn bare LF into CRLF and bare CR into a space instead of refusing them.

        Returns:
            What became of each recipient. Some may be refused; at least one was accepted.

        Raises:
            RefusedError: nobody got it; carries the result.
            LocalProtocolError, UnsupportedError: nothing was sent.
            TransportError, RemoteProtocolError: at stage "final" it is not known whether it was delivered.
        """
        mail = Mail(message, sender, recipients, normalize_newlines=normalize_newlines)
        connection = await self._acquire()
        try:
            return await connection._send(mail, strict, smtputf8)
        except SMTPXError as error:
            if not connection._conversation.may_repeat(mail, error):
                raise
        finally:
            await self._release(connection)
        connection = await self._acquire(fresh=True)
        try:
            return await connection._send(mail, strict, smtputf8)
        finally:
            await self._release(connection)

    async def _acquire(self, *, fresh: bool = False) -> AsyncConnection:
        if fresh:
            for idle in self._policy.drain():
                idle.close()
        while True:
            if self.is_closed:
                raise LocalProtocolError("this client is closed")
            decision = self._policy.acquire(now())
            for expired in decision.expired:
                await expired.quit()
            if decision.connection is not None:
                return decision.connection
            if decision.may_open:
                return await self._open()
            if not decision.expired:
                await self._wait()

    async def _wait(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                self._wake()  # it was our turn: pass it on
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def _open(self) -> AsyncConnection:
        try:
            return await AsyncConnection.open(self.settings)
        except BaseException:
            await self._release(None)
            raise

    async def _release(self, connection: AsyncConnection | None) -> None:
        reusable = connection is not None and connection._conversation.is_reusable and not self.is_closed
        kept = self._policy.release(connection, now(), reusable=reusable)
        self._wake()
        if connection is not None and not kept:
            await connection.quit()

    async def close(self) -> None:
        """Say QUIT on idle connections; those in use end with their message. May be called again."""
        self.is_closed = True
        while self._waiters:
            self._wake()
        for connection in self._policy.drain():
            await connection.quit()

    async def __aenter__(self) -> "Self":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()
