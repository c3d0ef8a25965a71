"""What a server protocol tells its shell.

Events that end in `Asked` or `Ended` wait for exactly one `answer`; the others only tell. Until an answer is given
nothing further happens.
"""

from dataclasses import dataclass
from enum import Enum

from smtpx.sasl import Credentials
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params

__all__ = [
    "AbortCause",
    "AuthAsked",
    "AuthFailed",
    "BodyAborted",
    "BodyEnded",
    "BodyReceived",
    "BodyStarted",
    "ChunkEnded",
    "ConnectAsked",
    "ConnectionEnded",
    "Event",
    "HelloAsked",
    "LimitHit",
    "LookupAsked",
    "MailAsked",
    "PauseAsked",
    "RcptAsked",
    "ResetAsked",
    "StartTLSAsked",
    "VerbAsked",
]


class AbortCause(Enum):
    """Why a message was given up before its end."""

    RESET = "RSET"
    HELLO = "EHLO"
    STARTTLS = "STARTTLS"
    QUIT = "QUIT"
    LOST = "connection lost"
    DEADLINE = "deadline passed"
    REFUSED = "refused"
    CLOSED = "connection closed by the server"


@dataclass(frozen=True, slots=True)
class ConnectAsked:
    """The peer speaks for somebody else from now on (XCLIENT). Answer None for the greeting, or refuse and close."""


@dataclass(frozen=True, slots=True)
class HelloAsked:
    """EHLO, HELO or LHLO. Answer None for the usual reply."""

    verb: str
    name: str


@dataclass(frozen=True, slots=True)
class AuthAsked:
    """An AUTH exchange is complete. Answer None to refuse (535), or a reply."""

    credentials: Credentials


@dataclass(frozen=True, slots=True)
class AuthFailed:
    """An AUTH exchange has proven that the client is not `username`; it is refused already."""

    mechanism: str
    username: str


@dataclass(frozen=True, slots=True)
class LookupAsked:
    """A mechanism needs what is stored of a user.

    Answer by `answer_lookup` with the record; None for an unknown user. A reply ends the exchange. `mechanism` is
    without "-PLUS".
    """

    mechanism: str
    username: str


@dataclass(frozen=True, slots=True)
class MailAsked:
    """MAIL with a good sender; `NULL_SENDER` is the null reverse-path. Answer None for 250."""

    sender: Mailbox
    params: Params


@dataclass(frozen=True, slots=True)
class RcptAsked:
    """RCPT with a good recipient. Answer None for 250."""

    recipient: Mailbox
    params: Params


@dataclass(frozen=True, slots=True)
class BodyStarted:
    """Content is coming, by DATA or BDAT."""

    command: str


@dataclass(frozen=True, slots=True)
class BodyReceived:
    """A piece of content, decoded and inspected. Never empty; a CR and its LF may come in two pieces in BDAT."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ChunkEnded:
    """A BDAT chunk that is not the last is complete. Answer None for 250; a refusal ends the transaction."""

    size: int


@dataclass(frozen=True, slots=True)
class BodyEnded:
    """The message is complete and well formed. Answer with one reply, or in LMTP with one for each recipient."""

    size: int


@dataclass(frozen=True, slots=True)
class BodyAborted:
    """The message that was under way will not be complete."""

    cause: AbortCause
    size: int


@dataclass(frozen=True, slots=True)
class ResetAsked:
    """The transaction is over: RSET, hello, STARTTLS, or the message is finished. Answer None."""

    command: str


@dataclass(frozen=True, slots=True)
class StartTLSAsked:
    """STARTTLS. Answer None for 220; then do the handshake and call `tls_started`."""


@dataclass(frozen=True, slots=True)
class VerbAsked:
    """A verb of an extension that leaves its answer to the session. Answer with a reply."""

    verb: str
    argument: str | None


@dataclass(frozen=True, slots=True)
class PauseAsked:
    """The peer tries our patience: answer None when `seconds` have passed."""

    seconds: float


@dataclass(frozen=True, slots=True)
class LimitHit:
    """The peer ran into a limit, a field of `ServerLimits`; told once for each run, with its value at that moment."""

    limit: str
    value: float


@dataclass(frozen=True, slots=True)
class ConnectionEnded:
    """Nothing more will be read or asked; send what is left and close. `reason` is for the log."""

    reason: str
    expected: bool


Event = (
    ConnectAsked
    | HelloAsked
    | LimitHit
    | AuthAsked
    | AuthFailed
    | LookupAsked
    | MailAsked
    | RcptAsked
    | BodyStarted
    | BodyReceived
    | ChunkEnded
    | BodyEnded
    | BodyAborted
    | ResetAsked
    | StartTLSAsked
    | VerbAsked
    | PauseAsked
    | ConnectionEnded
)
