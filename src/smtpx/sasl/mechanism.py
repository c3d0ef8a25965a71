"""What a mechanism is on either side, and how a client picks one."""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar

from smtpx.sasl.credentials import Credentials, Secret

if TYPE_CHECKING:
    from smtpx.sasl.scram_record import ScramRecord

__all__ = [
    "AuthExchange",
    "Challenge",
    "ClientMechanism",
    "ExchangeContext",
    "Lookup",
    "ProofError",
    "Record",
    "SASLError",
    "ServerExchange",
    "ServerMechanism",
    "check_text",
    "choose",
    "without_context",
]

Auth = TypeVar("Auth")
Record: TypeAlias = "ScramRecord | Secret"
"""What a server keeps of a password: a SCRAM record, or for CRAM-MD5 the password itself."""


class SASLError(ValueError):
    """A message of an exchange, or a credential, that the mechanism does not allow."""


class ProofError(SASLError):
    """The messages are well formed, but they don't prove that the client is `username`: a failed login."""

    def __init__(self, username: str) -> None:
        super().__init__("the proof is wrong")
        self.username = username


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeContext:
    """What one side knows of the connection that an exchange runs over.

    `bindings`: data that names the TLS channel, by channel binding type, the best type first; empty without TLS.
    `offered`: the mechanisms that the server offers here. `host`, `port`: of the server, as the client was told.
    `peer_identity`: whom the client's verified certificate names; only on a server. `fetched`: what a mechanism's
    `fetch` gave; only on a client.
    """

    bindings: Mapping[str, bytes] = field(default_factory=dict[str, bytes], repr=False)
    offered: tuple[str, ...] = ()
    host: str = ""
    port: int = 0
    peer_identity: str | None = None
    fetched: object = field(default=None, repr=False)


class AuthExchange(Protocol):
    """The client's half of one exchange. Inherit it: what has a body here need not be written."""

    def initial_response(self) -> bytes | None:
        """What the client says first; None when the server speaks first."""
        ...

    def respond(self, challenge: bytes) -> bytes:
        """The answer to a challenge.

        Raises:
            SASLError: if the challenge makes no sense; the exchange is then cancelled.
        """
        ...

    def complete(self) -> None:
        """The server says that all is well.

        Raises:
            SASLError: if it has not shown what it must; whoever is there is not the server.
        """
        return

    def explain_failure(self) -> str:
        """What the server said about a failure in the course of the exchange; mostly nothing."""
        return ""


class ClientMechanism(NamedTuple):
    """A way to authenticate that a client has the credentials for.

    `reveals_secret`: a listener could use what is sent, so it goes over verified TLS only. `needs_binding`: it is bound
    to the TLS channel, so there must be one that can be named. `is_renewable`: to start again may give other
    credentials. `fetch` is called before each start, where there is one; it may block, or give something to await, and
    what comes of it is `ExchangeContext.fetched`.
    """

    name: str
    reveals_secret: bool
    start: Callable[[ExchangeContext], AuthExchange]
    needs_binding: bool = False
    is_renewable: bool = False
    fetch: Callable[[], object] | None = None


def without_context(make: Callable[[Auth], AuthExchange], auth: Auth) -> Callable[[ExchangeContext], AuthExchange]:
    """A `start` for an exchange that needs the credentials only."""

    def start(_: ExchangeContext) -> AuthExchange:
        return make(auth)

    return start


class Challenge(NamedTuple):
    """What a server asks; an empty first one lets the client send its initial response with the command."""

    data: bytes


class Lookup(NamedTuple):
    """A mechanism needs what is stored of a user.

    `kind` says in which form: "SCRAM-SHA-256" or "SCRAM-SHA-1" for a `ScramRecord` of that mechanism, "CRAM-MD5" for
    the password as a `Secret`. Send it, or None for an unknown user: the exchange goes on then and fails at its end.
    """

    username: str
    kind: str


ServerExchange = Generator[Challenge | Lookup, Any, Credentials]
"""The server's half of one exchange.

It begins with a challenge. It is sent octets for a challenge, a record or None for a lookup (which no type can say),
and returns the credentials claimed. It raises SASLError for a message of the wrong form, ProofError for a proof that is
wrong.
"""


class ServerMechanism(NamedTuple):
    """A way to authenticate that a server offers.

    `accepts_initial` is False where the server must speak first. `needs_binding`: only on a connection with channel
    bindings. `needs_lookup`: it asks for stored records. `needs_certificate`: only for clients with a verified
    certificate. `refusal`: a challenge that goes before a refusal, whatever is answered to it.
    """

    name: str
    reveals_secret: bool
    accepts_initial: bool
    start: Callable[[ExchangeContext], ServerExchange]
    needs_binding: bool = False
    needs_lookup: bool = False
    needs_certificate: bool = False
    refusal: bytes = b""

    def fits(self, context: ExchangeContext) -> bool:
        """Whether the connection has what the mechanism builds on."""
        bound = bool(context.bindings) or not self.needs_binding
        return bound and (context.peer_identity is not None or not self.needs_certificate)


def check_text(text: str, what: str) -> None:
    """See that a credential can be sent as UTF-8 without control characters.

    Raises:
        SASLError: naming `what`, never the text.
    """
    if any(char < " " or char == "\x7f" for char in text):
        raise SASLError(f"a control character in the {what}")
    if any("\ud800" <= char <= "\udfff" for char in text):  # not by encoding it: the UnicodeError would hold the text
        raise SASLError(f"the {what} is not valid Unicode text")


def choose(
    mechanisms: Iterable[ClientMechanism], offered: Iterable[str], allowed: Sequence[str] | None = None
) -> ClientMechanism | None:
    """The best mechanism both sides have; None when there is none.

    Args:
        allowed: names to narrow the choice to, in an order of preference of their own.
    """
    names = {name.upper() for name in offered}
    usable = {mechanism.name: mechanism for mechanism in mechanisms if mechanism.name in names}
    order = usable if allowed is None else [name.upper() for name in allowed]
    return next((usable[name] for name in order if name in usable), None)
