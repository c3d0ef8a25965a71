"""ANONYMOUS (RFC 4505): a login that says nothing but what the client likes to be known by. Off unless asked for."""

from dataclasses import dataclass

from smtpx.sasl.credentials import Credentials
from smtpx.sasl.mechanism import (
    AuthExchange,
    Challenge,
    ClientMechanism,
    ExchangeContext,
    SASLError,
    ServerExchange,
    ServerMechanism,
    check_text,
    without_context,
)
from smtpx.sasl.saslprep import check_trace

__all__ = ["ANONYMOUS", "Anonymous", "AnonymousClient", "AnonymousServer"]

_MAX_CHARS = 255  # RFC 4505 2


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Log in without a name. `trace`: an e-mail address, or a token without `@`; may be empty.

    Raises:
        ValueError: if it is too long, or holds characters that RFC 4505 3 prohibits.
    """

    trace: str = ""

    def __post_init__(self) -> None:
        check_text(self.trace, "trace")
        _check(self.trace)

    def mechanisms(self) -> tuple[ClientMechanism, ...]:
        """ANONYMOUS."""
        return (ClientMechanism("ANONYMOUS", False, without_context(AnonymousClient, self)),)


class AnonymousClient(AuthExchange):
    """The client's half."""

    def __init__(self, auth: Anonymous) -> None:
        self._auth = auth

    def initial_response(self) -> bytes:
        """The trace."""
        return self._auth.trace.encode()

    def respond(self, challenge: bytes) -> bytes:
        """Nothing comes after the first message.

        Raises:
            SASLError: always.
        """
        raise SASLError("ANONYMOUS has no second message")


def AnonymousServer(context: ExchangeContext) -> ServerExchange:
    """The server's half."""
    message: bytes = yield Challenge(b"")
    try:
        trace = message.decode()
    except UnicodeDecodeError:
        raise SASLError("ANONYMOUS message is not UTF-8") from None
    _check(trace)
    return Credentials("ANONYMOUS", "anonymous", trace=trace)


def _check(trace: str) -> None:
    if len(trace) > _MAX_CHARS:
        raise SASLError(f"a trace has at most {_MAX_CHARS} characters")
    check_trace(trace)


ANONYMOUS = ServerMechanism("ANONYMOUS", False, True, AnonymousServer)
