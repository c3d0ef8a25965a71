"""Who looks on: what a server tells of its connections as things happen, without a say in them.

A `ServerObserver` serves a whole server. For each connection it may give a `ServerConnectionObserver`, which then keeps
what it wants to know of that one; where it gives none, nothing is collected.
"""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smtpx.protocol.events import AbortCause
from smtpx.protocol.facts import TLSFacts
from smtpx.wire.reply import Reply

if TYPE_CHECKING:
    from smtpx.server.peer import Peer

__all__ = ["ConnectionSummary", "ServerConnectionObserver", "ServerObserver", "TransactionSummary", "shielded"]

_log = logging.getLogger("smtpx.server")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionSummary:
    """One transaction, from the MAIL that was accepted to its end.

    Attributes:
        id: names it in logs: the connection's id, a dot, a number.
        sender: the reverse-path, "" for the null one.
        recipients: how many RCPTs were accepted; refused_recipients: how many not.
        command: "DATA" or "BDAT", how the content came; "" when none came.
        octets: of content.
        verdicts: replies to the message: one, in LMTP one for each recipient; none when it was given up.
        given_up: why the content did not come to its end, or was not taken; None otherwise.
        seconds: from MAIL to the end; content_seconds: from the first to the last of the content; verdict_seconds: what
            the session then took for its verdict.
    """

    id: str
    sender: str
    recipients: int
    refused_recipients: int
    command: str
    octets: int
    verdicts: tuple[Reply, ...]
    given_up: AbortCause | None
    seconds: float
    content_seconds: float
    verdict_seconds: float

    @property
    def outcome(self) -> str:
        """ "accepted" for at least one recipient, "refused" for all, or "abandoned" by the client."""
        if any(verdict.code < 300 for verdict in self.verdicts):
            return "accepted"
        nobody = self.refused_recipients > 0 and not self.recipients
        return "refused" if self.verdicts or nobody or self.given_up is AbortCause.REFUSED else "abandoned"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSummary:
    """A connection that is over. Octets are those of SMTP, without TLS; `messages` those that were accepted.

    `was_silent`: the client never sent an octet, of TLS neither; somebody looked whether we are there.
    """

    reason: str
    octets_in: int
    octets_out: int
    messages: int
    seconds: float
    was_silent: bool = False


class ServerConnectionObserver:
    """Told of what happens on one connection. Every method does nothing; override what you want to know.

    Methods are called in the event loop and must not block. What they raise is logged and changes nothing. None of them
    is given a secret.

    Attributes:
        peer: who is there, as a session sees it.
    """

    def __init__(self, peer: "Peer") -> None:
        self.peer = peer

    def tls_started(self, facts: TLSFacts) -> None:
        """A handshake is done."""

    def tls_failed(self, reason: str) -> None:
        """A handshake failed, or the stream was damaged: a `TLSError.reason`, or "timeout"."""

    def authenticated(self, mechanism: str, reply: Reply) -> None:
        """An AUTH command has ended; 235 if it succeeded. `mechanism` is "" for one that is not offered."""

    def command(self, verb: str, line: str) -> None:
        """The client has said something.

        Args:
            verb: in capitals, "BDAT LAST" for the last chunk, "AUTH RESPONSE" for an answer to a challenge, "END OF
                DATA" behind the content of DATA; "" for what is no command that this server knows.
            line: as it came; a secret is ****, content is its size.
        """

    def reply(self, command: str, reply: Reply) -> None:
        """We have answered: `command` is the verb, "GREETING" at the start, "" for what nobody asked for."""

    def transaction_started(self, transaction_id: str, sender: str) -> None:
        """MAIL was accepted."""

    def transaction_ended(self, transaction: TransactionSummary) -> None:
        """Message accepted or refused, RSET, a new hello, or the connection's end."""

    def hook_ended(self, hook: str, seconds: float) -> None:
        """A method of the session has come to its end, however it did."""

    def hook_failed(self, hook: str, reference: str, error: BaseException) -> None:
        """A method of the session raised what is no `Reject`; `reference` is what log and peer were told."""

    def deadline_passed(self, due: str) -> None:
        """Something took too long: "command", "auth", "content", "tls", "handler", "final" or "write"."""

    def closed(self, summary: ConnectionSummary) -> None:
        """Session and socket are closed. The last that is told."""


class ServerObserver:
    """Told of what happens on a server. Every method does nothing; override what you want to know.

    Methods are called in the event loop and must not block. What they raise is logged and changes nothing. They get no
    secrets, and nothing they get may be changed.
    """

    def connection_opened(self, peer: "Peer") -> ServerConnectionObserver | None:
        """A client is connected. Give an object that is told of this connection, or None."""
        return None

    def connection_refused(self, address: str, reason: str) -> None:
        """A client was turned away before it had a connection.

        Args:
            address: the peer's IP address, or "unix".
            reason: one of a few texts, such as that of the 421 it was sent.
        """

    def limit_hit(self, address: str, limit: str, value: float) -> None:
        """A peer ran into a limit.

        Args:
            address: the peer's IP address, or "unix".
            limit: the limit's name, a field of `ServerLimits` or `Deadlines`.
            value: the limit's value at this moment.
        """

    def certificates_reloaded(self, error: str | None, not_after: float | None) -> None:
        """Certificates were read from their files: again, or for the first time when the server starts.

        Called in the thread that called `Server.reload_tls`, where somebody did.

        Args:
            error: why those from before stay in use; at the start, what is wrong with those that are used. None if all
                is well.
            not_after: when the first of those in use ends, in seconds since 1970; None if that is not known.
        """


def shielded(observer: ServerObserver | None) -> ServerObserver | None:
    """An observer that never raises: what `observer` raises is logged."""
    return None if observer is None else _Shielded(observer)


class _Shielded(ServerObserver):
    def __init__(self, observer: ServerObserver) -> None:
        self._observer = observer

    def connection_opened(self, peer: "Peer") -> ServerConnectionObserver | None:
        try:
            return self._observer.connection_opened(peer)
        except Exception:
            _log.exception("[%s] connection_opened of the observer raised", peer.id, extra={"connection": peer.id})
            return None

    def connection_refused(self, address: str, reason: str) -> None:
        try:
            self._observer.connection_refused(address, reason)
        except Exception:
            _log.exception("connection_refused of the observer raised")

    def limit_hit(self, address: str, limit: str, value: float) -> None:
        try:
            self._observer.limit_hit(address, limit, value)
        except Exception:
            _log.exception("limit_hit of the observer raised")

    def certificates_reloaded(self, error: str | None, not_after: float | None) -> None:
        try:
            self._observer.certificates_reloaded(error, not_after)
        except Exception:
            _log.exception("certificates_reloaded of the observer raised")
