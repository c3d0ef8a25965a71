"""The client's half of a conversation: commands to octets, octets to the replies that were asked for. It never waits.

Each command puts one entry into a queue of what the server owes, each reply takes the oldest one out; a reply that
nobody asked for can so never pass for the answer to the next command (RFC 2920 3.1).
"""

from collections import deque
from dataclasses import dataclass

from smtpx.errors import LocalProtocolError, RefusedError, RemoteProtocolError
from smtpx.protocol.capabilities import NOTHING_OFFERED, Capabilities
from smtpx.protocol.dialect import SMTP, Dialect
from smtpx.protocol.facts import TLSFacts
from smtpx.protocol.limits import ClientLimits
from smtpx.protocol.phases import Phase, after, allows
from smtpx.protocol.watcher import ClientWatcher
from smtpx.wire.codes import Severity
from smtpx.wire.commands import Command
from smtpx.wire.reply import Reply, ReplyParser
from smtpx.wire.syntax import WireError

__all__ = ["Answer", "ClientProtocol", "Owed"]

_EXPECTED = {"DATA": 354, "AUTH": 235, "AUTH RESPONSE": 235}
_STAGES = {
    "GREETING": "greeting",
    "EHLO": "hello",
    "HELO": "hello",
    "LHLO": "hello",
    "STARTTLS": "starttls",
    "AUTH": "auth",
    "AUTH RESPONSE": "auth",
    "MAIL": "mail",
    "RCPT": "rcpt",
    "DATA": "data",
    "BDAT": "body",
    "BDAT LAST": "final",
    "END OF DATA": "final",
    "RSET": "reset",
    "VRFY": "verify",
    "QUIT": "quit",
}


@dataclass(frozen=True, slots=True)
class Owed:
    """A reply that the server owes: to which command of the table, how that line read, and whom it was about."""

    command: str
    line: str
    recipient: str | None = None

    @property
    def stage(self) -> str:
        """The stage of the conversation, as errors name it."""
        return _STAGES.get(self.command, self.command.lower())


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply with what it answers. `early`: the server refused a body before it was complete."""

    owed: Owed
    reply: Reply
    early: bool = False

    @property
    def is_positive(self) -> bool:
        """Whether the reply is 2yz or 3yz."""
        return self.reply.code < 400

    def refusal(self) -> RefusedError:
        """The error for a 4yz or 5yz reply."""
        owed = self.owed
        return RefusedError.of(self.reply, command=owed.line, recipient=owed.recipient, stage=owed.stage)


class ClientProtocol:
    """One connection, as the client sees it.

    Attributes:
        phase: where the conversation stands, by the replies received.
        capabilities: what the last EHLO reply offered.
        tls: facts about the TLS layer, or None.
        identity: who we are logged in as.
        mechanisms_lost: what AUTH offered in clear and no longer under TLS: a sign of somebody in between.
        watcher: who looks on; nobody at first.
    """

    def __init__(
        self, *, dialect: Dialect = SMTP, limits: ClientLimits | None = None, tls: TLSFacts | None = None
    ) -> None:
        self.dialect = dialect
        self.limits = limits or ClientLimits()
        self.phase = Phase.BANNER
        self.tls = tls
        self.capabilities: Capabilities = NOTHING_OFFERED
        self.hello_reply: Reply | None = None
        self.identity: str | None = None
        self.mechanisms_lost: tuple[str, ...] = ()
        self.watcher: ClientWatcher | None = None
        self._projected = Phase.HELLO  # where we are once all that is owed has come and is good
        self._parser = self._new_parser()
        self._owed: deque[Owed] = deque([Owed("GREETING", "")])
        self._body_open = False

    def _new_parser(self) -> ReplyParser:
        limits = self.limits
        return ReplyParser(
            max_line_bytes=limits.max_reply_line_bytes,
            max_lines=limits.max_reply_lines,
            max_bytes=limits.max_reply_bytes,
            lenient_newlines=limits.lenient_replies,
        )

    @property
    def owed(self) -> Owed | None:
        """The oldest reply still owed."""
        return self._owed[0] if self._owed else None

    @property
    def owes(self) -> int:
        """How many replies the server owes."""
        return len(self._owed)

    @property
    def stage(self) -> str | None:
        """The stage of what we wait for or write; "body" until the end of the data was written, None when idle."""
        if not self._owed:
            return None
        oldest = self._owed[0]
        return "body" if self._body_open and oldest.command == "END OF DATA" else oldest.stage

    @property
    def is_closed(self) -> bool:
        """Whether nothing more can be said."""
        return self.phase is Phase.CLOSED

    @property
    def in_transaction(self) -> bool:
        """Whether MAIL was accepted and the content is not complete; False inside the body of DATA."""
        return self.phase in (Phase.SENDER, Phase.RECIPIENTS, Phase.CHUNKS)

    @property
    def in_body(self) -> bool:
        """Whether DATA was answered 354."""
        return self.phase is Phase.BODY

    @property
    def is_clean(self) -> bool:
        """Whether the connection is between transactions, with nothing owed and nothing unasked received."""
        return self.phase is Phase.READY and not self._owed and not self._parser.has_input

    def command(
        self, verb: str, argument: str | None = None, *, recipient: str | None = None, shown: str | None = None
    ) -> bytes:
        """The octets of a command; its reply is owed from now on.

        Args:
            recipient: whom the reply will be about.
            shown: what errors and logs show in place of a line that holds a secret.

        Raises:
            LocalProtocolError: if the command is out of order, or the argument holds a control character.
            RemoteProtocolError: if something lies here that nobody asked for.
        """
        name = "BDAT LAST" if verb == "BDAT" and (argument or "").endswith(" LAST") else verb
        if not allows(self._projected, name):
            raise LocalProtocolError(
                f"{name} is out of order in phase {self._projected.value}", stage=_STAGES.get(name)
            )
        if not self._owed and self._parser.has_input:
            self.connection_closed()
            raise RemoteProtocolError("a reply that nobody asked for", stage=_STAGES.get(name))
        try:
            octets = Command(verb, argument).to_bytes()
        except WireError as error:
            raise LocalProtocolError(error.detail, stage=_STAGES.get(name)) from None
        line = shown or (verb if argument is None else f"{verb} {argument}")
        if self.watcher is not None:
            self.watcher.said(name, line)
        self._owed.append(Owed(name, line, recipient))
        self._projected = after(self._projected, name, _EXPECTED.get(name, 250))
        return octets

    def respond(self, line: bytes) -> bytes:
        """The octets of an answer to an AUTH challenge."""
        if self.watcher is not None:
            self.watcher.said("AUTH RESPONSE", "****")
        self._owed.append(Owed("AUTH RESPONSE", "AUTH ****"))
        self._projected = Phase.READY
        return line + b"\r\n"

    def open_body(self, recipients: tuple[str, ...] | None = None) -> None:
        """The body of DATA begins: one reply is owed at its end, in LMTP one for each of `recipients`."""
        self._body_open = True
        if self.dialect.verdict_per_recipient and recipients is not None:
            self._owed.extend(Owed("END OF DATA", "end of data", address) for address in recipients)
        else:
            self._owed.append(Owed("END OF DATA", "end of data"))
        self._projected = Phase.READY

    def close_body(self) -> None:
        """The end of data was written."""
        self._body_open = False

    def expect_verdicts(self, recipients: tuple[str, ...]) -> None:
        """LMTP, behind BDAT LAST: there is a reply for each recipient, not one."""
        last = self._owed.pop()
        self._owed.extend(Owed(last.command, last.line, address) for address in recipients)

    def receive_data(self, data: bytes) -> None:
        """Take octets from the server."""
        self._parser.feed(data)

    def next_answer(self) -> Answer | None:
        """The next reply with the command it answers; None when more octets are needed.

        Raises:
            RemoteProtocolError: if it is no reply, was not asked for, or has a class that makes no sense here.
        """
        stage = self.stage
        try:
            reply = self._parser.next_reply()
        except WireError as error:
            self.connection_closed()
            raise RemoteProtocolError(error.detail, stage=stage) from None
        if reply is None:
            return None
        if not self._owed:
            self.connection_closed()
            if reply.code == 421:
                raise RefusedError.of(reply)
            raise RemoteProtocolError(f"a reply that nobody asked for: {reply}")
        owed = self._owed.popleft()
        early = self._body_open and owed.command == "END OF DATA"
        self._check_class(owed, reply, early)
        self._move(owed, reply, early)
        if self.watcher is not None:
            self.watcher.heard(owed.command, reply)
        return Answer(owed, reply, early)

    def _check_class(self, owed: Owed, reply: Reply, early: bool) -> None:
        severity = reply.severity
        if severity >= Severity.TEMPORARY:
            return
        may_continue = owed.command in _EXPECTED
        done = severity is Severity.COMPLETED
        fits = not done if owed.command == "DATA" else may_continue or done
        if owed.command == "GREETING":
            fits = reply.code == 220  # RFC 5321 3.1: no other greeting lets a client go on
        if fits and not early:
            return
        self.connection_closed()
        what = "before the message was complete" if early else f"to {owed.command}"
        raise RemoteProtocolError(f"{reply.code} {what} makes no sense", stage=owed.stage)

    def _move(self, owed: Owed, reply: Reply, early: bool) -> None:
        if not self.is_closed:
            self.phase = Phase.CLOSED if early else after(self.phase, owed.command, reply.code)
        if not self._owed:
            self._projected = self.phase
        if owed.command in ("EHLO", "LHLO", "HELO") and reply.code < 300:
            self.hello_reply = reply
            # A HELO reply lists nothing that could be used, whatever stands in it.
            self.capabilities = NOTHING_OFFERED if owed.command == "HELO" else Capabilities.from_reply(reply)
        elif owed.command == "STARTTLS" and reply.code < 300 and self._parser.has_input:
            # CVE-2021-38371, CVE-2026-41319: replies injected in clear must not be read as if they came through TLS.
            self.connection_closed()
            raise RemoteProtocolError("octets in clear behind the reply to STARTTLS", stage="starttls")

    def tls_started(self, tls: TLSFacts) -> None:
        """The handshake is done: everything learnt before is forgotten (RFC 3207 4.2)."""
        self.tls = tls
        self.capabilities, self.hello_reply, self.identity = NOTHING_OFFERED, None, None
        self._parser = self._new_parser()
        if self.phase is Phase.TLS:
            self.phase = self._projected = after(Phase.TLS, "HANDSHAKE", 220)
        if self.watcher is not None:
            self.watcher.secured(tls)

    def connection_closed(self) -> None:
        """No octet will come or go any more."""
        self.phase = self._projected = Phase.CLOSED
        if self.watcher is not None:
            self.watcher.closed()
