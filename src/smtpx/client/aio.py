"""The client for asyncio."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Generator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Unpack

from smtpx.client.async_crew import AsyncCrew, AsyncPool
from smtpx.client.async_link import AsyncLink
from smtpx.client.bulk import SendManyOptions, SendOutcome
from smtpx.client.mail import Mail, Source, envelope, whole
from smtpx.client.pool_policy import PoolPolicy, after_error
from smtpx.client.settings import ClientOptions, ClientSettings, settings_for
from smtpx.client.watch import async_watched
from smtpx.client.wishes import MailWishes, RcptWishes, Wishes, is_binary
from smtpx.errors import LocalProtocolError, SMTPXError
from smtpx.flows.outcome import SendResult
from smtpx.flows.transaction import Envelope, Transaction
from smtpx.net.deadlines import now
from smtpx.net.targets import endpoint_text
from smtpx.protocol.capabilities import Capabilities
from smtpx.protocol.facts import TLSFacts
from smtpx.wire.address import Mailbox
from smtpx.wire.reply import Reply

if TYPE_CHECKING:
    from typing import Self

    from smtpx.client.bulk import Messages
    from smtpx.client.mail import MessageSource
    from smtpx.flows.session import Authentication

__all__ = ["AsyncClient", "AsyncConnection", "AsyncOpenTransaction"]


class AsyncConnection:
    """One connection to a server, step by step. Not to be shared between tasks: `AsyncClient` is.

    Made by `open`; closed by `quit` or at the end of a `with` block.

    Attributes:
        settings: what it was opened with.
    """

    def __init__(self, link: AsyncLink) -> None:
        self._link = link
        self._conversation = link.conversation
        self.settings = link.conversation.settings

    @classmethod
    def open(cls, url: str | ClientSettings, **options: Unpack[ClientOptions]) -> "_Opening":
        """Connect, say hello, start TLS and log in, as URL and options say. Await it, or use it in `async with`.

        Raises:
            ConfigurationError, ConnectError, RefusedError, UnsupportedError, TLSError, AuthenticationError,
            DeadlineError, ConnectionLost, RemoteProtocolError.
        """
        try:
            return _Opening(cls, settings_for(url, **options))
        finally:
            del url, options  # a password may stand in them, and some tools show the variables of each frame

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
    def peer(self) -> str:
        """What the socket is connected to: address and port, or a path. With a proxy that is the proxy."""
        return endpoint_text(self._link.peer)

    @property
    def is_open(self) -> bool:
        """Whether commands can be sent."""
        return self._link.is_open

    @async_watched
    async def send(
        self,
        message: "MessageSource",
        *,
        sender: str | Mailbox | None = None,
        recipients: Sequence[str | Mailbox] | str | None = None,
        strict: bool = False,
        smtputf8: bool | None = None,
        normalize_newlines: bool = False,
        **wishes: Unpack[Wishes],
    ) -> SendResult:
        """Send one message; see `AsyncClient.send`."""
        mail = Mail(message, sender, recipients, normalize_newlines=normalize_newlines, binary=is_binary(wishes))
        return whole(await self._link.send(mail, wishes, strict=strict, smtputf8=smtputf8), mail)

    def transaction(
        self,
        sender: str | Mailbox,
        recipients: Sequence[str | Mailbox],
        *,
        strict: bool = False,
        smtputf8: bool | None = None,
        **wishes: Unpack[Wishes],
    ) -> "_OpeningTransaction":
        """MAIL and RCPTs, in a group when the server offers it; the content comes later, or never.

        Await it, or use it in `async with`.

        Raises:
            RefusedError: MAIL, or all recipients (with `strict`: one), were refused.
        """
        to = envelope(sender, recipients)
        transaction = self._conversation.transaction(to, wishes, strict=strict, smtputf8=smtputf8)
        opening = self._link.run(transaction.open(None))
        return _OpeningTransaction(opening, AsyncOpenTransaction(self._link, transaction, to, smtputf8))

    async def mail(
        self,
        sender: str | Mailbox,
        *,
        size: int | None = None,
        body: str | None = None,
        smtputf8: bool = False,
        **wishes: Unpack[MailWishes],
    ) -> Reply:
        """MAIL. `sender` "" is the null reverse-path.

        Raises:
            RefusedError, UnsupportedError, LocalProtocolError.
        """
        return await self._link.run(self._conversation.mail(sender, wishes, size=size, body=body, smtputf8=smtputf8))

    async def rcpt(self, recipient: str | Mailbox, **wishes: Unpack[RcptWishes]) -> Reply:
        """RCPT.

        Raises:
            RefusedError, LocalProtocolError.
        """
        return await self._link.run(self._conversation.rcpt(recipient, wishes))

    async def data(self, body: "MessageSource", *, normalize_newlines: bool = False) -> Reply:
        """The content, behind MAIL and at least one RCPT; by BDAT where offered.

        Raises:
            RefusedError, LocalProtocolError, TransportError.
        """
        source = Source(body, normalize_newlines=normalize_newlines, binary=self._conversation.sends_binary)
        return await self._link.run(self._conversation.data(source), source)

    async def auth(self, auth: "Authentication", *, mechanisms: Sequence[str] | None = None) -> Reply:
        """Log in.

        Raises:
            AuthenticationError, UnsupportedError.
        """
        return await self._link.run(self._conversation.auth(auth, mechanisms))

    async def start_tls(self) -> TLSFacts:
        """STARTTLS, handshake, and a new hello.

        Raises:
            UnsupportedError, RefusedError, TLSError.
        """
        return await self._link.run(self._conversation.start_tls())

    async def verify(self, address: str) -> Reply:
        """VRFY: 250, 251 and 252 are replies, not errors.

        Raises:
            RefusedError.
        """
        return await self._link.run(self._conversation.verify(address))

    async def command(self, verb: str, argument: str | None = None) -> Reply:
        """A verb of an extension, such as XCLIENT. Those of SMTP itself have methods.

        Raises:
            RefusedError, LocalProtocolError, TransportError.
        """
        return await self._link.run(self._conversation.command(verb, argument))

    async def noop(self) -> Reply:
        """NOOP: a sign of life.

        Raises:
            RefusedError, TransportError.
        """
        return await self._link.run(self._conversation.noop())

    async def reset(self) -> Reply:
        """RSET: give up the transaction.

        Raises:
            RefusedError, TransportError.
        """
        return await self._link.run(self._conversation.reset())

    async def quit(self) -> None:
        """QUIT and close. Never an error; may be called again."""
        await self._link.quit()

    def close(self) -> None:
        """Close without a word."""
        self._link.close()

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
        return self._open().__await__()

    async def _open(self) -> AsyncConnection:
        return self._cls(await AsyncLink.open(self._settings))

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

    Attributes:
        accepted, refused: by address; what RCPT was answered, and after `send` the verdict.
    """

    def __init__(self, link: AsyncLink, transaction: Transaction, envelope: Envelope, smtputf8: bool | None) -> None:
        self._link = link
        self._transaction = transaction
        self._envelope = envelope
        self._smtputf8 = smtputf8
        self.accepted = transaction.accepted
        self.refused = transaction.refused

    async def send(self, message: "MessageSource", *, normalize_newlines: bool = False) -> SendResult:
        """Send the content to the accepted recipients; see `AsyncClient.send`.

        LocalProtocolError and UnsupportedError at stage "body" or "mail" leave the transaction open.
        """
        if self._transaction.is_over:
            raise LocalProtocolError("this transaction is over", stage="data")
        source = Source(message, normalize_newlines=normalize_newlines, binary=self._transaction.is_binary)
        conversation = self._link.conversation
        flow = conversation.send_open(self._transaction, source, self._envelope, smtputf8=self._smtputf8)
        return await self._link.run(flow, source)

    async def abandon(self) -> None:
        """Give it up; may be called again."""
        if not self._transaction.is_over and self._link.is_open:
            await self._link.run(self._transaction.abandon())

    async def __aenter__(self) -> "Self":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, Exception):
            await self.abandon()
        elif not self._transaction.is_over:
            self._link.close()  # cancelled: nothing is waited for


class _OpeningTransaction:
    """A transaction nothing of which is sent yet."""

    def __init__(self, opening: Coroutine[Any, Any, None], opened: AsyncOpenTransaction) -> None:
        self._opening = opening
        self._opened = opened

    def __await__(self) -> Generator[Any, None, AsyncOpenTransaction]:
        yield from self._opening.__await__()
        return self._opened

    async def __aenter__(self) -> AsyncOpenTransaction:
        return await self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._opened.__aexit__(kind, error, tb)


class AsyncClient:
    """A client with a pool of connections; may be shared by tasks.

    Args:
        url: where and how, e.g. `submission://user:secret@mail.example.org`, or `ClientSettings`.
        options: fields of `ClientSettings`, on top.
    """

    def __init__(self, url: str | ClientSettings, **options: Unpack[ClientOptions]) -> None:
        try:
            self.settings = settings_for(url, **options)
        finally:
            del url, options  # a password may stand in them, and some tools show the variables of each frame
        self._policy: PoolPolicy[AsyncLink] = PoolPolicy(self.settings.limits)
        self._opening_settings = self.settings
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._crews: set[AsyncCrew] = set()
        self.is_closed = False

    @async_watched
    async def send(
        self,
        message: "MessageSource",
        *,
        sender: str | Mailbox | None = None,
        recipients: Sequence[str | Mailbox] | str | None = None,
        strict: bool = False,
        smtputf8: bool | None = None,
        normalize_newlines: bool = False,
        **wishes: Unpack[Wishes],
    ) -> SendResult:
        """Send one message.

        Args:
            message: a `Message` or another `Sendable`, a message object of the standard library, octets, a binary file,
                or an iterator of octets. Octets are sent as they are.
            sender: the envelope sender, "" for the null reverse-path; if None what the message says.
            recipients: envelope recipients; if None what the message says.
            strict: one refused recipient stops the message for all.
            smtputf8: True demands it, False never uses it; None where address or header need it.
            normalize_newlines: turn bare LF into CRLF and bare CR into a space instead of refusing them.
            wishes: for extensions: DSN's `notify`, `ret`, `envid`, `orcpt` and others, see `Wishes`; they count more
                than those of a `Message`.

        Returns:
            What became of each recipient. Some may be refused; at least one was accepted.

        Raises:
            RefusedError: nobody got it; carries the result.
            LocalProtocolError, UnsupportedError: nothing was sent.
            TransportError, RemoteProtocolError: at stage "final" it is not known whether it was delivered.
        """
        mail = Mail(message, sender, recipients, normalize_newlines=normalize_newlines, binary=is_binary(wishes))
        fresh = repeated = False
        while True:
            try:
                link = await self._acquire(fresh=fresh)
            except SMTPXError as error:
                mail.add_parts(error)
                raise
            fresh = True
            try:
                result = await link.send(mail, wishes, strict=strict, smtputf8=smtputf8)
            except SMTPXError as error:
                self._note(error)
                if repeated or not link.conversation.may_repeat(mail, error):
                    raise
                repeated = True
            else:
                if result is not None:
                    return result
            finally:
                await self._release(link)

    def send_many(
        self,
        messages: "Messages",
        *,
        strict: bool = False,
        smtputf8: bool | None = None,
        normalize_newlines: bool = False,
        **wishes: Unpack[Wishes],
    ) -> AsyncGenerator[SendOutcome]:
        """Send any number of messages; gives what became of each, in their order.

        Up to `limits.max_connections` connections are used, by tasks of their own, and several short messages are under
        way on each where the server allows that. The source, which may be an async iterable, is asked for a little more
        than is under way. One failure never stops the rest, and nothing is sent twice: see `SendOutcome.is_unknown`. A
        message whose connection went before anybody can have got it is sent once more.

        To stop early leave the loop; what is under way then is cut off. `contextlib.aclosing` waits until it is.

        Args:
            messages: `Outgoing` values, or messages that name sender and recipients themselves.
            strict, smtputf8, normalize_newlines, wishes: as for `send`, for all messages that don't say otherwise.

        Raises:
            Exception: what the source raises, behind the outcomes of all it gave before.
        """
        options = SendManyOptions(
            strict=strict, smtputf8=smtputf8, normalize_newlines=normalize_newlines, wishes=dict(wishes)
        )
        pool = AsyncPool(self._acquire, self._release, self._note, self._is_wanted)
        crew = AsyncCrew(self.settings, options, pool, self._crews)
        return crew.outcomes(messages)

    async def ping(self) -> Reply | None:
        """NOOP, on an idle connection or on a new one; None when all are in use: nobody is waited for.

        An idle connection that has died in the meantime is replaced by a new one.

        Raises:
            RefusedError, and what opening a connection raises.
        """
        begun = now()
        while (link := await self._acquire_nowait()) is not None:
            try:
                return await link.run(link.conversation.noop())
            except SMTPXError:
                if link.is_open or link.opened >= begun:
                    raise
            finally:
                await self._release(link)
        return None

    def _note(self, error: SMTPXError) -> None:
        self._opening_settings = after_error(self._opening_settings, error)

    def _is_wanted(self) -> bool:
        return bool(self._waiters)

    async def _acquire(self, *, fresh: bool = False) -> AsyncLink:
        """A connection to use. With `fresh` the idle ones, which are as old as one that just broke, go first."""
        for idle in self._policy.drain() if fresh else ():
            await idle.leave()
        while (link := await self._acquire_nowait()) is None:
            await self._wait()
        return link

    async def _acquire_nowait(self) -> AsyncLink | None:
        """A connection to use; None if all are in use."""
        if self.is_closed:
            raise LocalProtocolError("this client is closed")
        decision = self._policy.acquire(now())
        for expired in decision.expired:
            await expired.leave()
        return await self._open() if decision.may_open else decision.connection

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

    async def _open(self) -> AsyncLink:
        try:
            return await AsyncLink.open(self._opening_settings)
        except BaseException:
            await self._release(None)
            raise

    async def _release(self, link: AsyncLink | None) -> None:
        reusable = link is not None and link.conversation.is_reusable and not self.is_closed
        kept = self._policy.release(link, now(), reusable=reusable, opened=link.opened if link else None)
        self._wake()
        if link is not None and not kept:
            await link.quit()

    async def close(self) -> None:
        """Say QUIT on idle connections; those in use end with their message. May be called again."""
        self.is_closed = True
        for crew in list(self._crews):
            await crew.stop()
        while self._waiters:
            self._wake()
        for link in self._policy.drain():
            await link.quit()

    async def __aenter__(self) -> "Self":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()
