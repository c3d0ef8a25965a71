"""What a mechanism is on either side, and how a client picks one."""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from smtpx.sasl.credentials import Credentials, Secret

__all__ = [
    "AuthExchange",
    "Challenge",
    "ClientMechanism",
    "Password",
    "SASLError",
    "ServerMechanism",
    "check_text",
    "choose",
]


class SASLError(ValueError):
    """A message of an exchange, or a credential, that the mechanism does not allow."""


class AuthExchange(Protocol):
    """The client's half of one exchange."""

    def initial_response(self) -> bytes | None:
        """What the client says first; None when the server speaks first."""
        ...

    def respond(self, challenge: bytes) -> bytes:
        """The answer to a challenge.

        Raises:
            SASLError: if the challenge makes no sense; the exchange is then cancelled.
        """
        ...


class ClientMechanism(NamedTuple):
    """A way to authenticate that a client has the credentials for.

    `reveals_secret`: a listener could use what is sent, so it goes over verified TLS only.
    """

    name: str
    reveals_secret: bool
    start: Callable[[], AuthExchange]


class Challenge(NamedTuple):
    """What a server asks; an empty first one lets the client send its initial response with the command."""

    data: bytes


class ServerMechanism(NamedTuple):
    """A way to authenticate that a server offers.

    `start` makes a generator that yields challenges, is sent the responses, and returns the credentials claimed. It
    raises SASLError for a response that has the wrong form. `accepts_initial` is False where the server must speak
    first.
    """

    name: str
    reveals_secret: bool
    accepts_initial: bool
    start: Callable[[], Generator[Challenge, bytes, Credentials]]


@dataclass(frozen=True, slots=True)
class Password:
    """A user name and a password, for the mechanisms that take them.

    `authorization_id` is whom to act for, normally empty. The password never shows in a repr.

    Raises:
        ValueError: for control characters in any of them (RFC 4616 2; nobody's password has a NUL or a newline).
    """

    username: str
    password: str = field(repr=False)
    authorization_id: str = ""

    def __post_init__(self) -> None:
        for what in ("username", "password", "authorization_id"):
            check_text(getattr(self, what), what)

    def mechanisms(self) -> Sequence[ClientMechanism]:
        """What can be done with a password, best first."""
        from smtpx.sasl.login import LoginClient
        from smtpx.sasl.plain import PlainClient

        return (
            ClientMechanism("PLAIN", True, lambda: PlainClient(self)),
            ClientMechanism("LOGIN", True, lambda: LoginClient(self)),
        )

    @property
    def secret(self) -> Secret:
        """The password in its wrapper."""
        return Secret(self.password)


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
