"""What a connection can do, as flows: everything both colours share. The faces only drive these."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from smtpx.client.mail import Mail, Source, mailbox
from smtpx.client.settings import ClientSettings
from smtpx.client.watch import Watch
from smtpx.client.wishes import with_wishes
from smtpx.errors import (
    ConnectionLost,
    LocalProtocolError,
    RefusedError,
    SMTPXError,
    TLSError,
    TransportError,
    UnsupportedError,
)
from smtpx.extensions.body_types import BODY
from smtpx.extensions.limits import Limits as OfferedBy
from smtpx.extensions.limits import OfferedLimits
from smtpx.extensions.size import SIZE
from smtpx.extensions.smtputf8 import UTF8
from smtpx.flows.content import Content, look_ahead
from smtpx.flows.exchange import command, expect_quiet, leave, quit_session, read_answer, write
from smtpx.flows.flight import Flight, Job, Ledger, can_fly
from smtpx.flows.outcome import SendResult
from smtpx.flows.plan import sendable
from smtpx.flows.session import (
    Authentication,
    Security,
    SessionPlan,
    authenticate,
    open_session,
    say_hello,
    start_tls,
)
from smtpx.flows.shares import Delivery, domain_of, split
from smtpx.flows.steps import Flow
from smtpx.flows.transaction import Envelope, Transaction, TransactionOptions
from smtpx.net.targets import hello_name_for, is_local_peer
from smtpx.protocol import replies
from smtpx.protocol.client import Answer, ClientProtocol
from smtpx.protocol.extension import MailFacts
from smtpx.protocol.facts import TLSFacts
from smtpx.wire.address import NULL_SENDER, Mailbox
from smtpx.wire.params import Param
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import WireError

__all__ = ["Conversation", "check_idle", "is_local_way", "may_fall_back"]

_NO_LIMITS = OfferedLimits()
NO_WISHES: Mapping[str, Any] = MappingProxyType({})
_WITH_METHODS = frozenset({"EHLO", "HELO", "LHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "BDAT", "QUIT"})


def may_fall_back(settings: ClientSettings, error: SMTPXError, *, local: bool) -> bool:
    """Whether an opportunistic connection whose handshake broke may be tried again in clear (RFC 7435)."""
    broken = isinstance(error, TLSError | ConnectionLost) and error.stage == "starttls"
    no_secrets = settings.auth is None or local or not settings.verify
    return settings.security is Security.OPPORTUNISTIC and broken and no_secrets


def is_local_way(settings: ClientSettings, peer: object) -> bool:
    """Whether nobody can listen on the way to the server.

    A proxy may be on this host, and what it calls by the target's name is elsewhere all the same. A dialler of the
    caller's may end in one; then only the target tells.
    """
    direct = settings.proxy is None and (settings.connect is None or settings.target.is_local)
    return direct and is_local_peer(peer)


class Conversation:
    """One connection's protocol state with the flows that move it.

    Args:
        local, peer: the socket's two names.
        tls: facts, when TLS began with the connection.
        watch: who looks on, if anybody does.

    Attributes:
        is_local: nobody can listen on the way to the server.
        messages: how many were begun on this connection.
        sends_binary: the last `mail` asked for content without lines.
    """

    def __init__(
        self, settings: ClientSettings, local: object, peer: object, tls: TLSFacts | None, watch: Watch | None = None
    ) -> None:
        self.settings = settings
        self.protocol = ClientProtocol(dialect=settings.dialect, limits=settings.protocol_limits, tls=tls)
        self._watch = watch
        if watch is not None:
            self.protocol.watcher, watch.protocol = watch, self.protocol
            if tls is not None:
                watch.secured(tls)
        self.is_local = is_local_way(settings, peer)
        self.messages = 0
        self._last: Transaction | None = None
        self._flight = Flight(self.protocol, max_in_flight=settings.limits.max_in_flight)
        self._taken: list[tuple[Mailbox, Reply]] = []  # recipients accepted one by one
        self._limits_of = (self.protocol.capabilities, _NO_LIMITS)
        self._domains: set[str] = set()  # of recipients, where the server counts them
        self._sender = NULL_SENDER
        self._uses_utf8 = False
        self.sends_binary = False
        self._plan = SessionPlan(
            hello_name=settings.hello_name or hello_name_for(local),
            security=settings.security,
            auth=settings.auth,
            auth_mechanisms=settings.auth_mechanisms,
            trusted_path=self.is_local or not settings.verify,
            host=settings.target.host,
            port=settings.target.port,
            timeouts=settings.timeouts,
        )

    @property
    def is_reusable(self) -> bool:
        """Whether another message may go over this connection."""
        return self.protocol.is_clean and self.has_room

    @property
    def has_room(self) -> bool:
        """Whether another transaction may be begun on it, as far as numbers go."""
        limits = (self.settings.limits.max_messages_per_connection, self._limits.max_messages)
        return all(limit is None or self.messages < limit for limit in limits)

    @property
    def _limits(self) -> OfferedLimits:
        """What the server has said of its limits (RFC 9422)."""
        capabilities = self.protocol.capabilities
        if self._limits_of[0] is not capabilities:
            self._limits_of = (capabilities, capabilities.get(OfferedBy) or _NO_LIMITS)
        return self._limits_of[1]

    @property
    def is_open(self) -> bool:
        """Whether the connection is of any use."""
        return not self.protocol.is_closed

    @property
    def is_spoilt(self) -> bool:
        """Whether a flow that failed left the connection in a state that can't be used."""
        return self.protocol.is_closed or self.protocol.owes > 0

    def start(self) -> Flow[None]:
        """Greeting to READY."""
        yield from open_session(self.protocol, self._plan)
        if self.protocol.mechanisms_lost:
            import logging  # hardly anybody ever needs it here

            names = " ".join(self.protocol.mechanisms_lost)
            logging.getLogger("smtpx.client").warning(
                "%s offered AUTH %s in clear and not under TLS", self.settings.target, names
            )

    def transaction(
        self,
        envelope: Envelope,
        wishes: Mapping[str, Any] = NO_WISHES,
        *,
        strict: bool = False,
        smtputf8: bool | None = None,
    ) -> Transaction:
        """A transaction, nothing of it sent yet."""
        envelope = with_wishes(envelope, self.settings.extensions, wishes)
        return Transaction(self.protocol, envelope, self._options(wishes, strict=strict, smtputf8=smtputf8))

    def _options(self, wishes: Mapping[str, Any], *, strict: bool, smtputf8: bool | None) -> TransactionOptions:
        settings = self.settings
        return TransactionOptions(
            extensions=settings.extensions,
            timeouts=settings.timeouts,
            pipelining=settings.pipelining,
            chunking=settings.chunking,
            strict=strict,
            smtputf8=smtputf8,
            drop_unsupported=wishes.get("on_unsupported") == "drop",
        )

    def write_ahead(self, mail: Mail, *, smtputf8: bool | None) -> int:
        """Have a message that writes itself written before its turn, as this server takes it; gives its octets.

        Raises:
            LocalProtocolError: it can't be written.
        """
        source = mail.source
        if source.sendable is None or source.is_slow:
            return 0
        utf8 = _wants_utf8(mail.envelope, source, smtputf8)
        return len(source.content(self.protocol.capabilities, utf8=utf8).data or b"")

    def job(
        self, key: object, mail: Mail, wishes: Mapping[str, Any], *, strict: bool, smtputf8: bool | None
    ) -> Job | None:
        """One of many messages, made ready to fly; None if it has to go alone.

        Raises:
            LocalProtocolError: it can't be sent.
        """
        size = mail.source.size_at_hand
        if size is None or size > self.protocol.limits.max_early_body_bytes:
            return None
        wishes = {**mail.wishes, **wishes} if mail.wishes else wishes
        envelope = with_wishes(mail.envelope, self.settings.extensions, wishes)
        options = self._options(wishes, strict=strict, smtputf8=smtputf8)
        content = mail.source.content(self.protocol.capabilities, utf8=_wants_utf8(envelope, mail.source, smtputf8))
        job = Job(key, envelope, content, options)
        if mail.delivery is not None or not can_fly(self.protocol, job):
            return None
        if (limits := self._limits) is not _NO_LIMITS or self.settings.limits.overflow_transactions:
            many = len(envelope.recipients) > 1 and self.settings.limits.overflow_transactions
            if many or split(envelope.recipients, limits, self._domains)[1]:
                return None
            self._domains.update(map(domain_of, envelope.recipients))
        self.messages += 1
        return job

    def fly(self, ledger: Ledger) -> Flow[SMTPXError | None]:
        """Messages of a ledger as long as there are any, several under way at once."""
        if self._watch is None:
            return (yield from self._flight.fly(ledger))
        with self._watch.transactions(ledger) as watched:
            return (yield from self._flight.fly(watched))

    def send(
        self, mail: Mail, wishes: Mapping[str, Any], *, strict: bool, smtputf8: bool | None
    ) -> Flow[SendResult | None]:
        """One whole message; None if another connection is needed for the rest of its recipients."""
        limits, overflow = self._limits, self.settings.limits.overflow_transactions
        if mail.delivery is None and limits is _NO_LIMITS and not overflow:
            return (yield from self._send(mail, mail.envelope, wishes, strict=strict, smtputf8=smtputf8))
        if mail.delivery is None:
            keep = self.protocol.dialect.verdict_per_recipient
            mail.delivery = Delivery(mail.envelope, overflow=overflow, keep_duplicates=keep)
        delivery = mail.delivery
        while delivery.left:
            share, rest = split(delivery.left, limits, self._domains)
            if not share or (delivery.has_begun and not self.has_room):
                return None
            yield from self._check_share(mail, rest, strict=strict)
            self._domains.update(map(domain_of, share))
            envelope = replace(mail.envelope, recipients=share)
            try:
                part = yield from self._send(mail, envelope, wishes, strict=strict, smtputf8=smtputf8)
                delivery.take(share, rest, part)
            except RefusedError as error:
                if self.protocol.is_closed:
                    error.result = delivery.so_far(error.result)
                    raise
                if not (rest or delivery.has_begun):
                    raise
                delivery.refuse(share, rest, error)
            except SMTPXError as error:
                if delivery.has_begun:
                    error.result = delivery.so_far(error.result)
                raise
        return delivery.outcome()

    def _send(
        self, mail: Mail, envelope: Envelope, wishes: Mapping[str, Any], *, strict: bool, smtputf8: bool | None
    ) -> Flow[SendResult]:
        """One transaction."""
        wishes = {**mail.wishes, **wishes} if mail.wishes else wishes
        transaction = self._last = self.transaction(envelope, wishes, strict=strict, smtputf8=smtputf8)
        self.messages += 1
        content = yield from self._content(mail.source, utf8=_wants_utf8(mail.envelope, mail.source, smtputf8))
        return (yield from self._told(transaction.deliver(content)))

    def _told(self, flow: Flow[SendResult]) -> Flow[SendResult]:
        return flow if self._watch is None else self._watch.transaction(flow)

    def _check_share(self, mail: Mail, rest: Sequence[Mailbox], *, strict: bool) -> Flow[None]:
        """A part of the recipients may go alone only if others can follow, and nobody wants all of them or none."""
        if not rest:
            return
        if strict:
            text = "with strict all recipients go together, and the server does not take so many"
            raise UnsupportedError(text, keyword="LIMITS", stage="rcpt")
        content = yield from self._content(mail.source, utf8=False)
        if content.data is None and not mail.source.can_repeat:
            text = "the server does not take so many recipients together, and this content can be read only once"
            raise UnsupportedError(text, keyword="LIMITS", stage="rcpt")

    def _content(self, source: Source, *, utf8: bool) -> Flow[Content]:
        """What is to be sent, with all that can be known of it now: short content from an iterator is known whole."""
        content = source.content(self.protocol.capabilities, utf8=utf8)
        ahead = yield from look_ahead(content, self.protocol.limits.max_early_body_bytes)
        if ahead is not content:
            source.ahead = ahead
        return ahead

    def send_open(
        self, transaction: Transaction, source: Source, envelope: Envelope, *, smtputf8: bool | None = None
    ) -> Flow[SendResult]:
        """The content for a transaction that is open."""
        content = yield from self._content(source, utf8=_wants_utf8(envelope, source, smtputf8))
        self.messages += 1
        return (yield from self._told(transaction.send(content)))

    def may_repeat(self, mail: Mail, error: SMTPXError) -> bool:
        """Whether a message that failed on a used connection may go over a new one: nobody can have got it yet."""
        last = self._last
        if last is None or self.messages < 2 or not self.protocol.is_closed:
            return False
        if not last.has_begun:  # the connection was bad before anything was said
            return True
        gone = isinstance(error, TransportError) or (isinstance(error, RefusedError) and error.reply.code == 421)
        return gone and not last.committed and mail.source.can_repeat

    # Single commands -------------------------------------------------------------------------------------------------

    def _command(self, verb: str, argument: str | None = None) -> Flow[Reply]:
        yield from expect_quiet(self.protocol, verb.lower())
        return _accepted((yield from command(self.protocol, self.settings.timeouts, verb, argument)))

    def mail(
        self,
        sender: str | Mailbox,
        wishes: Mapping[str, Any] = NO_WISHES,
        *,
        size: int | None = None,
        body: str | None = None,
        smtputf8: bool = False,
    ) -> Flow[Reply]:
        """MAIL, with parameters for extensions that are offered."""
        path = mailbox(sender, "mail")
        words = [f"FROM:{self._path(path, smtputf8)}"]
        words += self._word(SIZE, "SIZE", None if size is None else str(size))
        words += self._word(BODY, "BINARYMIME" if body and body.upper() == "BINARYMIME" else "8BITMIME", body)
        if smtputf8:
            self._require("SMTPUTF8")
            words.append(UTF8.to_wire(True))
        facts = MailFacts(needs_utf8=smtputf8, options=self._known(wishes), tls=self.protocol.tls)
        for each in self.settings.extensions.all if wishes else ():
            if each.needs_wish:
                words += each.dress_mail(facts, self.protocol.capabilities.offer(each.keyword))
        reply = yield from self._command("MAIL", " ".join(words))
        self._taken, self._sender, self._uses_utf8 = [], path, smtputf8
        self.sends_binary = body is not None and body.upper() == "BINARYMIME"
        return reply

    def rcpt(self, recipient: str | Mailbox, wishes: Mapping[str, Any] = NO_WISHES) -> Flow[Reply]:
        """RCPT, with parameters for extensions that are offered."""
        mailbox_ = mailbox(recipient, "rcpt")
        options = {**self._known(wishes), "smtputf8": self._uses_utf8}
        words = [self._path(mailbox_, self._uses_utf8)]
        for each in self.settings.extensions.all if wishes else ():
            words += each.dress_rcpt(options, self.protocol.capabilities.offer(each.keyword))
        path = " ".join(words)
        yield from expect_quiet(self.protocol, "rcpt")
        octets = self.protocol.command("RCPT", f"TO:{path}", recipient=str(mailbox_))
        yield from write(self.protocol, self.settings.timeouts, octets)
        reply = _accepted((yield from read_answer(self.protocol, self.settings.timeouts)))
        self._taken.append((mailbox_, reply))
        return reply

    def _known(self, wishes: Mapping[str, Any]) -> dict[str, Any]:
        """Wishes that are not None, each known to an extension."""
        known = self.settings.extensions.mail_options | self.settings.extensions.rcpt_options
        for name in wishes:
            if name not in known:
                raise LocalProtocolError(f"no extension knows the option {name!r}")
        return {name: value for name, value in wishes.items() if value is not None and value is not False}

    def data(self, source: Source) -> Flow[Reply]:
        """The content for the recipients that `rcpt` found accepted."""
        taken, self._taken = self._taken, []
        envelope = Envelope(self._sender, tuple(path for path, _ in taken))
        transaction = self.transaction(envelope)
        transaction.adopt([(str(path), reply) for path, reply in taken], uses_utf8=self._uses_utf8)
        try:
            result = yield from self.send_open(transaction, source, envelope)
        except SMTPXError:
            if self.protocol.in_transaction:  # the content was refused here: other content may follow
                self._taken = taken
            raise
        return result.reply or replies.MESSAGE_OK

    def start_tls(self) -> Flow[TLSFacts]:
        """STARTTLS and a new hello."""
        self._require("STARTTLS")
        yield from expect_quiet(self.protocol, "starttls")
        tls = yield from start_tls(self.protocol, self._plan)
        yield from say_hello(self.protocol, self._plan)
        return tls

    def auth(self, auth: Authentication, mechanisms: Sequence[str] | None) -> Flow[Reply]:
        """AUTH with credentials of the caller's choice."""
        yield from expect_quiet(self.protocol, "auth")
        plan = replace(self._plan, auth=auth, auth_mechanisms=mechanisms)
        return (yield from authenticate(self.protocol, plan)).reply

    def verify(self, address: str) -> Flow[Reply]:
        """VRFY; 250, 251 and 252 are all answers."""
        path = mailbox(address, "verify")
        if not path.is_ascii:
            self._require("SMTPUTF8")
            return (yield from self._command("VRFY", f"{path} SMTPUTF8"))  # RFC 6531 3.7.4.2
        return (yield from self._command("VRFY", str(path)))

    def command(self, verb: str, argument: str | None) -> Flow[Reply]:
        """A verb of an extension; behind XCLIENT comes the hello that it demands."""
        verb = verb.upper()
        if verb in _WITH_METHODS:
            raise LocalProtocolError(f"{verb} changes the conversation: it has a method of its own", stage=verb.lower())
        if not (verb.isascii() and verb.isalnum()):
            raise LocalProtocolError("a verb is letters and digits", stage="command")
        reply = yield from self._command(verb, argument)
        if verb == "XCLIENT":
            yield from say_hello(self.protocol, self._plan)
        return reply

    def noop(self) -> Flow[Reply]:
        """NOOP."""
        return (yield from self._command("NOOP"))

    def reset(self) -> Flow[Reply]:
        """RSET."""
        return (yield from self._command("RSET"))

    def quit(self) -> Flow[None]:
        """QUIT and close; never an error."""
        yield from quit_session(self.protocol, self.settings.timeouts)

    def leave(self) -> Flow[None]:
        """QUIT without waiting for the reply, and close; never an error."""
        yield from leave(self.protocol)

    def _path(self, path: Mailbox, smtputf8: bool) -> str:
        if smtputf8:
            return path.to_path()
        if not path.local_part.isascii():
            text = "an address that is not ASCII needs mail(..., smtputf8=True)"
            raise UnsupportedError(text, keyword="SMTPUTF8")
        return sendable(path).to_path()

    def _word(self, param: Param[object] | Param[int] | Param[str], keyword: str, text: str | None) -> list[str]:
        if text is None:
            return []
        try:
            param.parse(text)
        except WireError as error:
            raise LocalProtocolError(error.detail, stage="mail") from None
        self._require(keyword)
        return [f"{param.keyword}={text}"]

    def _require(self, keyword: str) -> None:
        if keyword not in self.protocol.capabilities:
            raise UnsupportedError(f"the server offers no {keyword}", keyword=keyword)


def _accepted(answer: Answer) -> Reply:
    if not answer.is_positive:
        raise answer.refusal()
    return answer.reply


def _wants_utf8(envelope: Envelope, source: Source, smtputf8: bool | None) -> bool:
    """Whether header fields may be UTF-8: only where SMTPUTF8 will be asked for anyway (RFC 6531 3.2)."""
    return envelope.needs_utf8 or source.needs_utf8 if smtputf8 is None else smtputf8


def check_idle(busy: bool, is_open: bool) -> None:
    """A connection does one thing at a time, until it is closed.

    Raises:
        LocalProtocolError: if it is doing something already, or can do nothing more.
    """
    if busy:
        raise LocalProtocolError("this connection is in use; a Client may be shared")
    if not is_open:
        raise LocalProtocolError("this connection is closed")
