"""The blocking client.

>>> Client("smtp+plain://mail.example.org").is_closed
False
"""

import threading
from collections.abc import Generator, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Unpack

from smtpx.client.bulk import SendManyOptions, SendOutcome
from smtpx.client.crew import Crew, Pool, Worker
from smtpx.client.link import Link
from smtpx.client.mail import Mail, Source, envelope, whole
from smtpx.client.pool_policy import Decision, PoolPolicy, after_error
from smtpx.client.settings import ClientOptions, ClientSettings, for_blocking, settings_for
from smtpx.client.watch import watched
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

__all__ = ["Client", "Connection", "OpenTransaction", "send"]


class Connection:
    """One connection to a server, step by step. Not to be shared between threads: `Client` is.

    Made by `open`; closed by `quit` or at the end of a `with` block.

    Attributes:
        settings: what it was opened with.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._conversation = link.conversation
        self.settings = link.conversation.settings

    @classmethod
    def open(cls, url: str | ClientSettings, **options: Unpack[ClientOptions]) -> "Connection":
        """Connect, say hello, start TLS and log in, as URL and options say.

        Raises:
            ConfigurationError, ConnectError, RefusedError, UnsupportedError, TLSError, AuthenticationError,
            DeadlineError, ConnectionLost, RemoteProtocolError.
        """
        try:
            settings = for_blocking(settings_for(url, **options))
        finally:
            del url, options  # a password may stand in them, and some tools show the variables of each frame
        return cls(Link.open(settings))

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

    @watched
    def send(
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
        """Send one message; see `Client.send`."""
        mail = Mail(message, sender, recipients, normalize_newlines=normalize_newlines, binary=is_binary(wishes))
        return whole(self._link.send(mail, wishes, strict=strict, smtputf8=smtputf8), mail)

    def transaction(
        self,
        sender: str | Mailbox,
        recipients: Sequence[str | Mailbox],
        *,
        strict: bool = False,
        smtputf8: bool | None = None,
        **wishes: Unpack[Wishes],
    ) -> "OpenTransaction":
        """MAIL and RCPTs, in a group when the server offers it; the content comes later, or never.

        Raises:
            RefusedError: MAIL, or all recipients (with `strict`: one), were refused.
        """
        to = envelope(sender, recipients)
        transaction = self._conversation.transaction(to, wishes, strict=strict, smtputf8=smtputf8)
        self._link.run(transaction.open(None))
        return OpenTransaction(self._link, transaction, to, smtputf8)

    def mail(
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
        return self._link.run(self._conversation.mail(sender, wishes, size=size, body=body, smtputf8=smtputf8))

    def rcpt(self, recipient: str | Mailbox, **wishes: Unpack[RcptWishes]) -> Reply:
        """RCPT.

        Raises:
            RefusedError, LocalProtocolError.
        """
        return self._link.run(self._conversation.rcpt(recipient, wishes))

    def data(self, body: "MessageSource", *, normalize_newlines: bool = False) -> Reply:
        """The content, behind MAIL and at least one RCPT; by BDAT where offered.

        Raises:
            RefusedError, LocalProtocolError, TransportError.
        """
        source = Source(body, normalize_newlines=normalize_newlines, binary=self._conversation.sends_binary)
        return self._link.run(self._conversation.data(source), source)

    def auth(self, auth: "Authentication", *, mechanisms: Sequence[str] | None = None) -> Reply:
        """Log in.

        Raises:
            AuthenticationError, UnsupportedError.
        """
        return self._link.run(self._conversation.auth(auth, mechanisms))

    def start_tls(self) -> TLSFacts:
        """STARTTLS, handshake, and a new hello.

        Raises:
            UnsupportedError, RefusedError, TLSError.
        """
        return self._link.run(self._conversation.start_tls())

    def verify(self, address: str) -> Reply:
        """VRFY: 250, 251 and 252 are replies, not errors.

        Raises:
            RefusedError.
        """
        return self._link.run(self._conversation.verify(address))

    def command(self, verb: str, argument: str | None = None) -> Reply:
        """A verb of an extension, such as XCLIENT. Those of SMTP itself have methods.

        Raises:
            RefusedError, LocalProtocolError, TransportError.
        """
        return self._link.run(self._conversation.command(verb, argument))

    def noop(self) -> Reply:
        """NOOP: a sign of life.

        Raises:
            RefusedError, TransportError.
        """
        return self._link.run(self._conversation.noop())

    def reset(self) -> Reply:
        """RSET: give up the transaction.

        Raises:
            RefusedError, TransportError.
        """
        return self._link.run(self._conversation.reset())

    def quit(self) -> None:
        """QUIT and close. Never an error; may be called again."""
        self._link.quit()

    def close(self) -> None:
        """Close without a word."""
        self._link.close()

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.quit() if error is None else self.close()


class OpenTransaction:
    """A transaction whose recipients are known and whose content is not sent yet.

    Leaving its `with` block without `send` gives it up (RSET).

    Attributes:
        accepted, refused: by address; what RCPT was answered, and after `send` the verdict.
    """

    def __init__(self, link: Link, transaction: Transaction, envelope: Envelope, smtputf8: bool | None) -> None:
        self._link = link
        self._transaction = transaction
        self._envelope = envelope
        self._smtputf8 = smtputf8
        self.accepted = transaction.accepted
        self.refused = transaction.refused

    def send(self, message: "MessageSource", *, normalize_newlines: bool = False) -> SendResult:
        """Send the content to the accepted recipients; see `Client.send`.

        LocalProtocolError and UnsupportedError at stage "body" or "mail" leave the transaction open.
        """
        if self._transaction.is_over:
            raise LocalProtocolError("this transaction is over", stage="data")
        source = Source(message, normalize_newlines=normalize_newlines, binary=self._transaction.is_binary)
        conversation = self._link.conversation
        flow = conversation.send_open(self._transaction, source, self._envelope, smtputf8=self._smtputf8)
        return self._link.run(flow, source)

    def abandon(self) -> None:
        """Give it up; may be called again."""
        if not self._transaction.is_over and self._link.is_open:
            self._link.run(self._transaction.abandon())

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if error is None or isinstance(error, Exception):
            self.abandon()
        elif not self._transaction.is_over:
            self._link.close()  # interrupted: nothing is waited for


class Client:
    """A client with a pool of connections; may be shared by threads.

    Args:
        url: where and how, e.g. `submission://user:secret@mail.example.org`, or `ClientSettings`.
        options: fields of `ClientSettings`, on top.
    """

    def __init__(self, url: str | ClientSettings, **options: Unpack[ClientOptions]) -> None:
        try:
            self.settings = for_blocking(settings_for(url, **options))
        finally:
            del url, options  # a password may stand in them, and some tools show the variables of each frame
        self._policy: PoolPolicy[Link] = PoolPolicy(self.settings.limits)
        self._opening_settings = self.settings
        self._change = threading.Condition()
        self._waiting = 0
        self._crews: set[Crew] = set()
        self.is_closed = False

    @watched
    def send(
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
                link = self._acquire(fresh=fresh)
            except SMTPXError as error:
                mail.add_parts(error)
                raise
            fresh = True
            try:
                result = link.send(mail, wishes, strict=strict, smtputf8=smtputf8)
            except SMTPXError as error:
                self._note(error)
                if repeated or not link.conversation.may_repeat(mail, error):
                    raise
                repeated = True
            else:
                if result is not None:
                    return result
            finally:
                self._release(link)

    def send_many(
        self,
        messages: "Messages",
        *,
        strict: bool = False,
        smtputf8: bool | None = None,
        normalize_newlines: bool = False,
        **wishes: Unpack[Wishes],
    ) -> Generator[SendOutcome]:
        """Send any number of messages; gives what became of each, in their order.

        Up to `limits.max_connections` connections are used, by threads of their own, and several short messages are
        under way on each where the server allows that. The source is asked for a little more than is under way. One
        failure never stops the rest, and nothing is sent twice: see `SendOutcome.is_unknown`. A message whose
        connection went before anybody can have got it is sent once more.

        To stop early leave the loop, or `close` the iterator: what is under way then is cut off.

        Args:
            messages: `Outgoing` values, or messages that name sender and recipients themselves.
            strict, smtputf8, normalize_newlines, wishes: as for `send`, for all messages that don't say otherwise.

        Raises:
            Exception: what the source raises, behind the outcomes of all it gave before.
        """
        options = SendManyOptions(
            strict=strict, smtputf8=smtputf8, normalize_newlines=normalize_newlines, wishes=dict(wishes)
        )
        if not isinstance(messages, Iterable):
            raise TypeError("an async iterable needs the async client")
        pool = Pool(self._acquire, self._release, self._note, self._is_wanted, self._wake)
        return Crew(self.settings, options, pool, self._crews).outcomes(messages)

    def ping(self) -> Reply | None:
        """NOOP, on an idle connection or on a new one; None when all are in use: nobody is waited for.

        An idle connection that has died in the meantime is replaced by a new one.

        Raises:
            RefusedError, and what opening a connection raises.
        """
        begun = now()
        while (link := self._acquire_nowait()) is not None:
            try:
                return link.run(link.conversation.noop())
            except SMTPXError:
                if link.is_open or link.opened >= begun:
                    raise
            finally:
                self._release(link)
        return None

    def _acquire_nowait(self) -> Link | None:
        """A connection to use; None if all are in use."""
        with self._change:
            decision = self._decide(None)
        for link in decision.expired:
            link.leave()
        return self._open(None) if decision.may_open else decision.connection

    def _note(self, error: SMTPXError) -> None:
        self._opening_settings = after_error(self._opening_settings, error)

    def _is_wanted(self) -> bool:
        return self._waiting > 0

    def _wake(self) -> None:
        with self._change:
            self._change.notify_all()

    def _acquire(self, *, fresh: bool = False, worker: Worker | None = None) -> Link:
        """A connection to use. With `fresh` the idle ones, which are as old as one that just broke, go first."""
        with self._change:
            leaving = self._policy.drain() if fresh else []
            gives_way = worker is not None and self._waiting > 0  # who has much to send lets others go first
            decision = None if gives_way else self._decide(worker)
            if decision is None or not (decision.connection or decision.may_open):
                decision = self._wait(worker)
        for link in leaving + decision.expired:
            link.leave()
        return self._open(worker) if decision.connection is None else decision.connection

    def _wait(self, worker: Worker | None) -> Decision[Link]:
        self._waiting += 1
        try:
            while True:
                self._change.wait()
                decision = self._decide(worker)
                if decision.connection or decision.may_open:
                    return decision
        finally:
            self._waiting -= 1
            self._change.notify()  # there may be one more, for somebody who gave way

    def _decide(self, worker: Worker | None) -> Decision[Link]:
        if self.is_closed:
            raise LocalProtocolError("this client is closed")
        if worker is not None:
            worker.check()
        return self._policy.acquire(now())

    def _open(self, worker: Worker | None) -> Link:
        try:
            return Link.open(self._opening_settings, worker.watch if worker is not None else None)
        except BaseException:
            self._release(None)
            raise

    def _release(self, link: Link | None) -> None:
        with self._change:
            reusable = link is not None and link.conversation.is_reusable and not self.is_closed
            kept = self._policy.release(link, now(), reusable=reusable, opened=link.opened if link else None)
            self._change.notify()
        if link is not None and not kept:
            link.quit()

    def close(self) -> None:
        """Say QUIT on idle connections; those in use end with their message. May be called again."""
        with self._change:
            self.is_closed = True
            idle = self._policy.drain()
            self._change.notify_all()
        for crew in list(self._crews):
            crew.stop()
        for link in idle:
            link.quit()

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class SendOptions(ClientOptions, Wishes, total=False):
    """Options of the connection and wishes for the message, together."""


def send(
    url: str | ClientSettings,
    message: "MessageSource",
    *,
    sender: str | Mailbox | None = None,
    recipients: Sequence[str | Mailbox] | str | None = None,
    strict: bool = False,
    smtputf8: bool | None = None,
    normalize_newlines: bool = False,
    **options: Unpack[SendOptions],
) -> SendResult:
    """Send one message over a connection of its own; see `Client.send` for arguments, result and errors."""
    given: dict[str, Any] = dict(options)
    wishes: dict[str, Any] = {name: given.pop(name) for name in Wishes.__annotations__ if name in given}
    try:
        client = Client(url, **given)
    finally:
        del url, options, given  # a password may stand in them, and some tools show the variables of each frame
    with client:
        return client.send(
            message,
            sender=sender,
            recipients=recipients,
            strict=strict,
            smtputf8=smtputf8,
            normalize_newlines=normalize_newlines,
            **wishes,
        )
