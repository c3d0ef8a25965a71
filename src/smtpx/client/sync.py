"""The blocking client.

>>> Client("smtp+plain://mail.example.org").is_closed
False
"""

import threading
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from smtpx.client.conversation import Conversation, check_idle, may_fall_back
from smtpx.client.mail import Mail, Source, envelope
from smtpx.client.pool_policy import PoolPolicy
from smtpx.client.settings import ClientSettings, settings_for
from smtpx.errors import ConfigurationError, LocalProtocolError, SMTPXError
from smtpx.flows.outcome import SendResult
from smtpx.flows.session import Security
from smtpx.flows.steps import Flow
from smtpx.flows.transaction import Envelope, Transaction
from smtpx.net.deadlines import Deadline, now
from smtpx.net.drive import run
from smtpx.net.sockets import SocketStream, connect
from smtpx.net.targets import is_local_peer
from smtpx.net.trace import mask_auth
from smtpx.protocol.capabilities import Capabilities
from smtpx.protocol.facts import TLSFacts
from smtpx.wire.address import Mailbox
from smtpx.wire.reply import Reply

if TYPE_CHECKING:
    from typing import Self

    from smtpx.client.mail import MessageSource
    from smtpx.flows.session import Authentication

__all__ = ["Client", "Connection", "OpenTransaction", "send"]

T = TypeVar("T")


class Connection:
    """One connection to a server, step by step. Not to be shared between threads: `Client` is.

    Made by `open`; closed by `quit` or at the end of a `with` block.
    """

    def __init__(self, conversation: Conversation, stream: SocketStream) -> None:
        self._conversation = conversation
        self._stream = stream
        self._busy = False

    @classmethod
    def open(cls, url: str | ClientSettings, **options: Any) -> "Connection":
        """Connect, say hello, start TLS and log in, as URL and options say.

        Raises:
            ConfigurationError, ConnectError, RefusedError, UnsupportedError, TLSError, AuthenticationError,
            DeadlineError, ConnectionLost, RemoteProtocolError.
        """
        settings = settings_for(url, **options)
        deadline = Deadline(settings.timeout)
        try:
            return cls._open(settings, deadline)
        except SMTPXError as error:
            if not may_fall_back(settings, error, local=settings.target.unix_path is not None):
                raise
        return cls._open(replace(settings, security=Security.NONE), deadline)

    @classmethod
    def _open(cls, settings: ClientSettings, deadline: Deadline) -> "Connection":
        from smtpx.client.tls_policy import context_for

        dial = settings.connect or connect
        sock = dial(settings.target, deadline.limit(settings.timeouts.connect))
        try:
            stream = SocketStream(sock, lambda: context_for(settings, local=is_local_peer(stream.peer)), settings.target.tls_name)
        except OSError as error:
            sock.close()
            raise ConfigurationError(f"the dialler gave a socket that is not connected: {error}") from error
        if settings.trace is not None:
            stream.trace = mask_auth(settings.trace)
        try:
            tls = None
            if settings.security is Security.IMPLICIT:
                tls = stream.start_tls(deadline.limit(settings.timeouts.tls))
            connection = cls(Conversation(settings, stream.local, stream.peer, tls), stream)
            connection._run(connection._conversation.start(), deadline=deadline)
        except BaseException:
            stream.close()
            raise
        return connection

    def _run(self, flow: Flow[T], source: Source | None = None, deadline: Deadline | None = None) -> T:
        check_idle(self._busy)
        self._busy = True
        conversation = self._conversation
        try:
            deadline = deadline or Deadline(conversation.settings.timeout)
            return run(flow, self._stream, deadline, source.chunks() if source else iter(()))
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

    def send(
        self,
        message: "MessageSource",
        *,
        sender: str | Mailbox | None = None,
        recipients: Sequence[str | Mailbox] | str | None = None,
        strict: bool = False,
        smtputf8: bool | None = None,
        normalize_newlines: bool = False,
    ) -> SendResult:
        """Send one message; see `Client.send`."""
        mail = Mail(message, sender, recipients, normalize_newlines=normalize_newlines)
        return self._send(mail, strict, smtputf8)

    def _send(self, mail: Mail, strict: bool, smtputf8: bool | None) -> SendResult:
        begun = now()
        result = self._run(self._conversation.send(mail, strict=strict, smtputf8=smtputf8), mail.source)
        return replace(result, duration_seconds=now() - begun)

    def transaction(
        self,
        sender: str | Mailbox,
        recipients: Sequence[str | Mailbox],
        *,
        strict: bool = False,
        smtputf8: bool | None = None,
    ) -> "OpenTransaction":
        """MAIL and RCPTs, in a group when the server offers it; the content comes later, or never.

        Raises:
            RefusedError: MAIL, or all recipients (with `strict`: one), were refused.
        """
        to = envelope(sender, recipients)
        transaction = self._conversation.transaction(to, strict=strict, smtputf8=smtputf8)
        self._run(transaction.open(None))
        return OpenTransaction(self, transaction, to)

    def mail(
        self, sender: str | Mailbox, *, size: int | None = None, body: str | None = None, smtputf8: bool = False
    ) -> Reply:
        """MAIL. `sender` "" is the null reverse-path.

        Raises:
            RefusedError, UnsupportedError, LocalProtocolError.
        """
        return self._run(self._conversation.mail(sender, size=size, body=body, smtputf8=smtputf8))

    def rcpt(self, recipient: str | Mailbox) -> Reply:
        """RCPT.

        Raises:
            RefusedError, LocalProtocolError.
        """
        return self._run(self._conversation.rcpt(recipient))

    def data(self, body: "MessageSource", *, normalize_newlines: bool = False) -> Reply:
        """The content, behind MAIL and at least one RCPT; by BDAT where offered.

        Raises:
            RefusedError, LocalProtocolError, TransportError.
        """
        source = Source(body, normalize_newlines=normalize_newlines)
        return self._run(self._conversation.data(source), source)

    def auth(self, auth: "Authentication", *, mechanisms: Sequence[str] | None = None) -> Reply:
        """Log in.

        Raises:
            AuthenticationError, UnsupportedError.
        """
        return self._run(self._conversation.auth(auth, mechanisms))

    def start_tls(self) -> TLSFacts:
        """STARTTLS, handshake, and a new hello.

        Raises:
            UnsupportedError, RefusedError, TLSError.
        """
        return self._run(self._conversation.start_tls())

    def verify(self, address: str) -> Reply:
        """VRFY: 250, 251 and 252 are replies, not errors.

        Raises:
            RefusedError.
        """
        return self._run(self._conversation.verify(address))

    def noop(self) -> Reply:
        """NOOP: a sign of life.

        Raises:
            RefusedError, TransportError.
        """
        return self._run(self._conversation.noop())

    def reset(self) -> Reply:
        """RSET: give up the transaction.

        Raises:
            RefusedError, TransportError.
        """
        return self._run(self._conversation.reset())

    def quit(self) -> None:
        """QUIT and close. Never an error; may be called again."""
        if self.is_open:
            self._run(self._conversation.quit())
        self.close()

    def close(self) -> None:
        """Close without a word."""
        self._conversation.protocol.connection_closed()
        self._stream.close()

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.quit() if error is None else self.close()


class OpenTransaction:
    """A transaction whose recipients are known and whose content is not sent yet.

    Leaving its `with` block without `send` gives it up (RSET).
    """

    def __init__(self, connection: Connection, transaction: Transaction, envelope: Envelope) -> None:
        self._connection = connection
        self._transaction = transaction
        self._envelope = envelope
        self._done = False
        self.accepted = transaction.accepted
        self.refused = transaction.refused

    def send(self, message: "MessageSource", *, normalize_newlines: bool = False) -> SendResult:
        """Send the content to the accepted recipients; see `Client.send`."""
        if self._done:
            raise LocalProtocolError("this transaction is over", stage="data")
        self._done = True
        source = Source(message, normalize_newlines=normalize_newlines)
        connection = self._connection
        flow = connection._conversation.send_open(self._transaction, source, self._envelope)
        return connection._run(flow, source)

    def abandon(self) -> None:
        """Give it up; may be called again."""
        if not self._done and self._connection.is_open:
            self._done = True
            self._connection._run(self._transaction.abandon())

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.abandon()


class Client:
    """A client with a pool of connections; may be shared by threads.

    Args:
        url: where and how, e.g. `submission://user:secret@mail.example.org`, or `ClientSettings`.
        options: fields of `ClientSettings`, on top.
    """

    def __init__(self, url: str | ClientSettings, **options: Any) -> None:
        self.settings = settings_for(url, **options)
        self._policy: PoolPolicy[Connection] = PoolPolicy(self.settings.limits)
        self._change = threading.Condition()
        self.is_closed = False

    def send(
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
        connection = self._acquire()
        try:
            return connection._send(mail, strict, smtputf8)
        except SMTPXError as error:
            if not connection._conversation.may_repeat(mail, error):
                raise
        finally:
            self._release(connection)
        connection = self._acquire(fresh=True)
        try:
            return connection._send(mail, strict, smtputf8)
        finally:
            self._release(connection)

    def _acquire(self, *, fresh: bool = False) -> Connection:
        while True:
            with self._change:
                if self.is_closed:
                    raise LocalProtocolError("this client is closed")
                if fresh:
                    for idle in self._policy.drain():
                        idle.close()
                decision = self._policy.acquire(now())
                if decision.connection is None and not decision.may_open and not decision.expired:
                    self._change.wait()
                    continue
            for expired in decision.expired:
                expired.quit()
            if decision.connection is not None:
                return decision.connection
            if decision.may_open:
                return self._open()

    def _open(self) -> Connection:
        try:
            return Connection.open(self.settings)
        except BaseException:
            self._release(None)
            raise

    def _release(self, connection: Connection | None) -> None:
        with self._change:
            reusable = connection is not None and connection._conversation.is_reusable and not self.is_closed
            kept = self._policy.release(connection, now(), reusable=reusable)
            self._change.notify()
        if connection is not None and not kept:
            connection.quit()

    def close(self) -> None:
        """Say QUIT on idle connections; those in use end with their message. May be called again."""
        with self._change:
            self.is_closed = True
            idle = self._policy.drain()
            self._change.notify_all()
        for connection in idle:
            connection.quit()

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def send(
    url: str | ClientSettings,
    message: "MessageSource",
    *,
    sender: str | Mailbox | None = None,
    recipients: Sequence[str | Mailbox] | str | None = None,
    strict: bool = False,
    smtputf8: bool | None = None,
    normalize_newlines: bool = False,
    **options: Any,
) -> SendResult:
    """Send one message over a connection of its own; see `Client.send` for arguments, result and errors."""
    with Client(url, **options) as client:
        return client.send(
            message,
            sender=sender,
            recipients=recipients,
            strict=strict,
            smtputf8=smtputf8,
            normalize_newlines=normalize_newlines,
        )
