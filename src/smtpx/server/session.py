"""What users write: a session is one client's connection, seen from the application.

>>> ok("queued as 42")
Reply(code=250, enhanced=EnhancedCode(severity=2, subject=0, detail=0), lines=('queued as 42',), close=False)
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from smtpx.protocol import replies
from smtpx.protocol.replies import make
from smtpx.sasl import Credentials, ScramRecord, Secret
from smtpx.server.body import Body
from smtpx.server.context import Context
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply

if TYPE_CHECKING:
    from smtpx.server.envelope import Envelope
    from smtpx.server.peer import Peer

__all__ = ["Reject", "Session", "ok", "reply"]

reply = make


def ok(text: str = "OK") -> Reply:
    """250 2.0.0 with a text of your own, such as a queue id."""
    return make(250, "2.0.0", text)


class Reject(Exception):
    """Raise it in a session to refuse. Text is cleaned and wrapped; 421 also closes the connection.

    Args:
        code: 400 to 599.
        enhanced: like "5.7.1"; its class must be that of the code.
        close: end the connection behind the reply.

    Raises:
        ValueError: if code and enhanced code don't fit.
    """

    def __init__(
        self, code: int = 550, enhanced: str = "5.7.1", text: str = "not accepted", *, close: bool = False
    ) -> None:
        if not 400 <= code <= 599 or enhanced[:2] != f"{code // 100}.":
            raise ValueError(f"a refusal is 4yz or 5yz with an enhanced code of the same class, not {code} {enhanced}")
        self.reply = make(code, enhanced, *text.split("\n"), close=close)
        super().__init__(str(self.reply))

    @classmethod
    def of(cls, refusal: Reply) -> "Reject":
        """A refusal with a reply that exists already."""
        reject = cls.__new__(cls)
        reject.reply = refusal
        Exception.__init__(reject, str(refusal))
        return reject

    # The ones that are needed again and again.

    @classmethod
    def mailbox_unavailable(cls, text: str = "mailbox unavailable") -> "Reject":
        """550 5.1.1: no such recipient."""
        return cls(550, "5.1.1", text)

    @classmethod
    def relaying_denied(cls, text: str = "relaying denied") -> "Reject":
        """550 5.7.1: not for us, and we don't pass on."""
        return cls(550, "5.7.1", text)

    @classmethod
    def mailbox_full(cls, text: str = "mailbox full") -> "Reject":
        """452 4.2.2: try again later."""
        return cls(452, "4.2.2", text)

    @classmethod
    def try_later(cls, text: str = "try again later") -> "Reject":
        """451 4.7.1: greylisting, overload, a rate limit."""
        return cls(451, "4.7.1", text)

    @classmethod
    def content_refused(cls, text: str = "message content refused") -> "Reject":
        """550 5.6.0: for the end of a message."""
        return cls(550, "5.6.0", text)

    @classmethod
    def storage_full(cls) -> "Reject":
        """452 4.3.1: the disk is full."""
        return cls.of(replies.STORAGE_FULL)

    @classmethod
    def bad_credentials(cls) -> "Reject":
        """535 5.7.8: the same for an unknown user and a wrong password."""
        return cls.of(replies.BAD_CREDENTIALS)


class Session:
    """One connection. Override what is needed; each method may return a Reply, or None for the usual one.

    Refuse with `raise Reject(...)`. Any other exception is logged with an id, and the peer is told 451 4.3.0 and that
    id. One session is made for each connection and one method runs at a time; `close` runs last, exactly once.
    """

    peer: "Peer"
    """Who is there: address, TLS, hello name, identity. Set before `connect`."""

    _context: Context | None = None

    @property
    def envelope(self) -> "Envelope":
        """The transaction under way: sender, recipients and their parameters, as accepted so far."""
        return self.peer.envelope

    @property
    def context(self) -> Context:
        """What is kept about the connection under typed keys, for this session and the middlewares around it."""
        if self._context is None:
            self._context = Context()
        return self._context

    async def connect(self) -> Reply | None:
        """A connection was made; nothing is said yet. A refusal replaces the greeting. Called again behind XCLIENT."""
        return None

    async def hello(self, verb: str, name: str) -> Reply | None:
        """EHLO, HELO or LHLO. The name proves nothing."""
        return None

    async def authenticate(self, identity: Credentials) -> Reply | None:
        """Judge credentials; None accepts. Mechanisms that send a password or a token need it.

        Not overridden, it lets in whoever has proven to be the user by `lookup`, and acts for nobody else.
        """
        if not identity.is_proven or identity.authorization_id not in ("", identity.username):
            raise Reject.bad_credentials()
        return None

    async def lookup(self, mechanism: str, username: str) -> ScramRecord | Secret | None:
        """What is stored of a user, for mechanisms in which the password is not sent; None for an unknown one.

        "SCRAM-SHA-256" and "SCRAM-SHA-1" want a `ScramRecord` made for them, "CRAM-MD5" the password as a `Secret`.
        They are offered only by sessions that override this. `authenticate` is asked once the client has proven itself.
        """
        return None

    async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
        """A message begins. `sender.is_null` for reports."""
        return None

    async def rcpt(self, recipient: Mailbox, params: Params) -> Reply | None:
        """One more recipient. Refuse here those that do not exist: later nobody can be told."""
        return None

    async def data(self, body: Body) -> Reply | Mapping[str, Reply] | None:
        """Take the message. What a 250 is returned for must be safe.

        Called when the body is complete, when its first 64 KiB or its first chunk are there, or when it is given up;
        reading on waits for the rest, and raises `TransferAborted` if there is none. In LMTP a mapping gives each
        recipient its own reply; `verdict` gives them one by one, and what is returned is for those that have none.
        """
        await body.discard()
        return None

    def verdict(self, recipient: Mailbox | str, reply: Reply) -> None:
        """In `data`: what becomes of the message for one recipient.

        In LMTP it leaves at once, as soon as the message is complete and the verdicts on all recipients before it are
        known (RFC 2033 4.2). Who was named twice has two verdicts, in that order. In SMTP one reply speaks for all, and
        a refusal counts. An exception in `data` leaves verdicts as they are; a message that is given up has none. Call
        it in the event loop's thread.

        Raises:
            ValueError: if no (further) verdict on this recipient is due, or the reply is none.
            RuntimeError: if no message is under way.
        """
        verdicts = self.peer.verdicts
        if verdicts is None:
            raise RuntimeError("there is no message to give a verdict on")
        verdicts.give(recipient, reply)

    async def command(self, verb: str, argument: str | None) -> Reply | None:
        """The verb of an extension that asks the session."""
        return None

    async def reset(self) -> None:
        """The transaction is over: RSET, a new hello, STARTTLS, or the message is done."""

    async def close(self) -> None:
        """The connection is over."""
