"""EXTERNAL (RFC 4422 A): who the client is stands in its TLS certificate."""

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

__all__ = ["EXTERNAL", "Certificate", "ExternalClient", "ExternalServer"]


@dataclass(frozen=True, slots=True)
class Certificate:
    """Log in as whom our client certificate names; the certificate itself is in the `ssl_context`.

    `authorization_id` is whom to act for, empty for ourselves.
    """

    authorization_id: str = ""

    def __post_init__(self) -> None:
        check_text(self.authorization_id, "authorization_id")

    def mechanisms(self) -> tuple[ClientMechanism, ...]:
        """EXTERNAL."""
        return (ClientMechanism("EXTERNAL", False, without_context(ExternalClient, self)),)


class ExternalClient(AuthExchange):
    """The client's half."""

    def __init__(self, auth: Certificate) -> None:
        self._auth = auth

    def initial_response(self) -> bytes:
        """Whom to act for."""
        return self._auth.authorization_id.encode()

    def respond(self, challenge: bytes) -> bytes:
        """Nothing comes after the first message.

        Raises:
            SASLError: always.
        """
        raise SASLError("EXTERNAL has no second message")


def ExternalServer(context: ExchangeContext) -> ServerExchange:
    """The server's half. Trust only an authority of your own: a public one gives anybody a certificate."""
    message: bytes = yield Challenge(b"")
    try:
        authorization_id = message.decode()
    except UnicodeDecodeError:
        raise SASLError("EXTERNAL message is not UTF-8") from None
    if "\0" in authorization_id:
        raise SASLError("EXTERNAL message holds a NUL")
    if context.peer_identity is None:
        raise SASLError("EXTERNAL without a certificate")
    return Credentials("EXTERNAL", context.peer_identity, authorization_id, is_proven=True)


EXTERNAL = ServerMechanism("EXTERNAL", False, True, ExternalServer, needs_certificate=True)
