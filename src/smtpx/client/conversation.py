"""What a connection can do, as flows: everything both colours share. The faces only drive these."""

from collections.abc import Sequence
from typing import Any

from smtpx.client.mail import Mail, Source, mailbox
from smtpx.client.settings import ClientSettings
from smtpx.errors import ConnectionLost, LocalProtocolError, RefusedError, SMTPXError, TLSError, TransportError, UnsupportedError
from smtpx.flows.exchange import command, expect_quiet, quit_session, read_answer, write
from smtpx.flows.outcome import SendResult
from smtpx.flows.session import Security, SessionPlan, authenticate, open_session, say_hello, start_tls
from smtpx.flows.steps import Close, Flow
from smtpx.flows.transaction import Envelope, Transaction, TransactionOptions
from smtpx.net.targets import hello_name_for, is_local_peer
from smtpx.protocol import replies
from smtpx.protocol.client import Answer, ClientProtocol
from smtpx.protocol.facts import TLSFacts
from smtpx.protocol.phases import Phase
from smtpx.wire.address import NULL_SENDER, Mailbox
from smtpx.wire.reply import Reply

__all__ = ["Conversation", "may_fall_back"]


def may_fall_back(settings: ClientSettings, error: SMTPXError, *, local: bool) -> bool:
    """Whether an opportunistic connection whose handshake broke may be tried again in clear (RFC 7435)."""
    broken = isinstance(error, TLSError | ConnectionLost) and error.stage in ("starttls", None)
    return settings.security is Security.OPPORTUNISTIC and broken and (settings.auth is None or local or not settings.verify)


class Conversation:
    """One connection's protocol state with the flows that move it.

    Args:
        local, peer: the socket's two names.
        tls: facts, when TLS began with the connection.
    """

    def __init__(self, settings: ClientSettings, local: Any, peer: Any, tls: TLSFacts | None) -> None:
        self.settings = settings
        self.protocol = ClientProtocol(dialect=settings.dialect, limits=settings.protocol_limits, tls=tls)
        self.messages = 0
        self._recipients: list[tuple[Mailbox, Reply]] = []  # accepted one by one
        self.committed = False  # octets left that may have completed a message
        trusted = is_local_peer(peer) or not settings.verify
        self._plan = SessionPlan(
            hello_name=settings.hello_name or hello_name_for(local),
            security=settings.security,
            auth=settings.auth,
            auth_mechanisms=settings.auth_mechanisms,
            trusted_path=trusted,
            host=settings.target.host,
            port=settings.target.port,
            timeouts=settings.timeouts,
        )

    @property
    def is_reusable(self) -> bool:
        """Whether another message may go over this connection."""
        limit = self.settings.limits.max_messages_per_connection
        return self.protocol.is_clean and (limit is None or self.messages < limit)

    @property
    def is_open(self) -> bool:
        """Whether the connection is of any use."""
        return self.protocol.phase is not Phase.CLOSED

    def start(self) -> Flow[None]:
        """Greeting to READY."""
        yield from open_session(self.protocol, self._plan)

    def _options(self, *, strict: bool = False, smtputf8: bool | None = None) -> TransactionOptions:
        settings = self.settings
        return TransactionOptions(
            extensions=settings.extensions,
            timeouts=settings.timeouts,
            pipelining=settings.pipelining,
            chunking=settings.chunking,
            strict=strict,
            smtputf8=smtputf8,
        )

    def transaction(self, envelope: Envelope, *, strict: bool, smtputf8: bool | None) -> Transaction:
        """A transaction, nothing of it sent yet."""
        return Transaction(self.protocol, envelope, self._options(strict=strict, smtputf8=smtputf8))

    def send(self, mail: Mail, *, strict: bool, smtputf8: bool | None) -> Flow[SendResult]:
        """One whole message."""
        transaction = self.transaction(mail.envelope, strict=strict, smtputf8=smtputf8)
        content = mail.source.content(self.protocol.capabilities, utf8=not _is_ascii(mail.envelope))
        self.committed = False
        self.messages += 1
        try:
            return (yield from transaction.deliver(content))
        finally:
            self.committed = transaction.committed

    def send_open(self, transaction: Transaction, source: Source, envelope: Envelope) -> Flow[SendResult]:
        """The content for a transaction that is open."""
        self.messages += 1
        content = source.content(self.protocol.capabilities, utf8=not _is_ascii(envelope))
        return (yield from transaction.send(content))

    def may_repeat(self, mail: Mail, error: SMTPXError) -> bool:
        """Whether a message that failed on a used connection may go over a new one: nobody can have got it yet."""
        gone = isinstance(error, TransportError) or (isinstance(error, RefusedError) and error.reply.code == 421)
        return gone and not self.committed and mail.source.can_repeat and self.messages > 1

    # Single commands -------------------------------------------------------------------------------------------------

    def _command(self, verb: str, argument: str | None = None) -> Flow[Reply]:
        answer = yield from command(self.protocol, self.settings.timeouts, verb, argument)
        return self._accepted(answer)

    def _accepted(self, answer: Answer) -> Reply:
        if answer.reply.code == 421:
            self.protocol.connection_closed()
        if not answer.is_positive:
            raise answer.refusal()
        return answer.reply

    def mail(self, sender: Any, *, size: int | None, body: str | None, smtputf8: bool) -> Flow[Reply]:
        """MAIL, with parameters for extensions that are offered."""
        path = mailbox(sender, "mail")
        capabilities = self.protocol.capabilities
        words = [f"FROM:{(path if smtputf8 else path.to_ascii_domain()).to_path()}"]
        for keyword, word in (("SIZE", size is not None and f"SIZE={size}"), ("8BITMIME", body and f"BODY={body}"), ("SMTPUTF8", smtputf8 and "SMTPUTF8")):
            if word:
                _require(keyword in capabilities, keyword)
                words.append(word)
        yield from expect_quiet(self.protocol)
        self._recipients = []
        return (yield from self._command("MAIL", " ".join(words)))

    def rcpt(self, recipient: Any) -> Flow[Reply]:
        """RCPT."""
        path = mailbox(recipient, "rcpt")
        octets = self.protocol.command("RCPT", f"TO:{path.to_path()}", recipient=str(path))
        yield from write(self.protocol, self.settings.timeouts, octets)
        reply = self._accepted((yield from read_answer(self.protocol, self.settings.timeouts)))
        self._recipients.append((path, reply))
        return reply

    def data(self, source: Source) -> Flow[Reply]:
        """The content for the recipients that `rcpt` found accepted."""
        recipients = tuple(path for path, _ in self._recipients)
        transaction = self.transaction(Envelope(NULL_SENDER, recipients), strict=False, smtputf8=None)
        transaction.adopt([(str(path), reply) for path, reply in self._recipients])
        result = yield from self.send_open(transaction, source, Envelope(NULL_SENDER, recipients))
        return result.reply or replies.MESSAGE_OK

    def start_tls(self) -> Flow[TLSFacts]:
        """STARTTLS and a new hello."""
        _require("STARTTLS" in self.protocol.capabilities, "STARTTLS")
        tls = yield from start_tls(self.protocol, self._plan)
        yield from say_hello(self.protocol, self._plan)
        return tls

    def auth(self, auth: Any, mechanisms: Sequence[str] | None) -> Flow[Reply]:
        """AUTH with credentials of the caller's choice."""
        plan = self._plan
        chosen = SessionPlan(
            hello_name=plan.hello_name,
            auth=auth,
            auth_mechanisms=mechanisms,
            trusted_path=plan.trusted_path,
            host=plan.host,
            port=plan.port,
            timeouts=plan.timeouts,
        )
        return (yield from authenticate(self.protocol, chosen)).reply

    def verify(self, address: str) -> Flow[Reply]:
        """VRFY; 250, 251 and 252 are all answers."""
        return (yield from self._command("VRFY", str(mailbox(address, "verify"))))

    def noop(self) -> Flow[Reply]:
        """NOOP."""
        return (yield from self._command("NOOP"))

    def reset(self) -> Flow[Reply]:
        """RSET."""
        return (yield from self._command("RSET"))

    def quit(self) -> Flow[None]:
        """QUIT and close; never an error."""
        yield from quit_session(self.protocol, self.settings.timeouts)

    def close(self) -> Flow[None]:
        """Close without a word."""
        self.protocol.connection_closed()
        yield Close()


def _is_ascii(envelope: Envelope) -> bool:
    return all(each.is_ascii for each in (envelope.sender, *envelope.recipients))


def _require(offered: bool, keyword: str) -> None:
    if not offered:
        raise UnsupportedError(f"the server offers no {keyword}", keyword=keyword)


def check_idle(busy: bool) -> None:
    """A connection does one thing at a time.

    Raises:
        LocalProtocolError: if it is doing something already.
    """
    if busy:
        raise LocalProtocolError("this connection is in use; a Client may be shared")
