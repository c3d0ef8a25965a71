"""Who looks on: what a client tells of its messages and connections as things happen, without a say in them.

A `ClientObserver` serves a whole client. For each message and each connection it may give an object of its own, which
then keeps what it wants to know of that one; where it gives none, nothing is collected.
"""

from dataclasses import dataclass

from smtpx.flows.outcome import SendResult
from smtpx.net.targets import Target
from smtpx.protocol.capabilities import Capabilities
from smtpx.protocol.facts import TLSFacts
from smtpx.wire.reply import Reply

__all__ = ["ClientConnectionObserver", "ClientObserver", "MessageObserver", "TransactionOutcome"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionOutcome:
    """One message on one connection: what came of it, or the error instead. `id` names it in logs."""

    id: str
    result: SendResult | None
    error: BaseException | None
    seconds: float


class MessageObserver:
    """Told what became of one message. The method does nothing; override it."""

    def ended(self, result: SendResult | None, error: BaseException | None) -> None:
        """It is over, with a result or with an error."""


class ClientConnectionObserver:
    """Told of what happens on one connection. Every method does nothing; override what you want to know.

    Methods are called by whoever uses the connection, in its thread or task, and must not block. What they raise is
    logged and changes nothing. None of them is given a secret.

    Attributes:
        id: names the connection in logs.
        target: the server.
    """

    def __init__(self, connection_id: str, target: Target) -> None:
        self.id = connection_id
        self.target = target

    def attempt_failed(self, address: str, reason: str) -> None:
        """An address of the server, or of the proxy before it, could not be connected to. Others may be."""

    def connected(self, peer: str, seconds: float) -> None:
        """The socket is connected to this address and port, or path."""

    def open_failed(self, error: BaseException, seconds: float) -> None:
        """The connection did not come to the point where messages can be sent; `error.stage` says how far it came."""

    def tls_started(self, facts: TLSFacts, seconds: float) -> None:
        """A handshake is done."""

    def hello(self, capabilities: Capabilities) -> None:
        """The server has said what it offers."""

    def authenticated(self, mechanism: str, reply: Reply, seconds: float) -> None:
        """An AUTH command has ended; 235 if it succeeded. Text in the reply is ****: some servers repeat secrets."""

    def command(self, verb: str, line: str) -> None:
        """We say something: a line, with secrets masked. Content is not told."""

    def reply(self, command: str, reply: Reply) -> None:
        """The server has answered: `command` is the verb, "GREETING" at the start, "END OF DATA" behind content.

        The text of replies to AUTH is ****.
        """

    def transaction_started(self, transaction_id: str) -> None:
        """A message begins."""

    def transaction_ended(self, transaction: TransactionOutcome) -> None:
        """A message is done with."""

    def closed(self, messages: int, seconds: float) -> None:
        """The connection is closed, after so many messages. The last that is told."""


class ClientObserver:
    """Told of what happens in a client. Every method does nothing; override what you want to know.

    A client may be shared by threads: methods may be called in several at once. What they raise is logged and changes
    nothing.
    """

    def message_started(self, target: Target, *, bulk: bool) -> MessageObserver | None:
        """`send` was called, or with `bulk` the turn of one of many has come.

        Give an object that is told how it ended, or None.
        """
        return None

    def connection_started(self, connection_id: str, target: Target) -> ClientConnectionObserver | None:
        """A connection is about to be opened. Give an object that is told of it, or None."""
        return None
