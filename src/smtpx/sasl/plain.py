"""PLAIN (RFC 4616): authorization identity, user name and password in one message."""

from smtpx.sasl.credentials import Credentials, Secret
from smtpx.sasl.mechanism import AuthExchange, Challenge, ExchangeContext, SASLError, ServerExchange, ServerMechanism
from smtpx.sasl.password import Password

__all__ = ["PLAIN", "PlainClient", "PlainServer"]


class PlainClient(AuthExchange):
    """The client's half."""

    def __init__(self, auth: Password) -> None:
        self._message = f"{auth.authorization_id}\0{auth.username}\0{auth.password}".encode()

    def initial_response(self) -> bytes:
        """All there is to say."""
        return self._message

    def respond(self, challenge: bytes) -> bytes:
        """Nothing comes after the first message.

        Raises:
            SASLError: always.
        """
        raise SASLError("PLAIN has no second message")


def PlainServer(context: ExchangeContext) -> ServerExchange:
    """The server's half."""
    message: bytes = yield Challenge(b"")
    try:
        fields = message.decode().split("\0")
    except UnicodeDecodeError:
        raise SASLError("PLAIN message is not UTF-8") from None
    # RFC 4616 2: neither may be empty. An empty password is a free pass to some directories (RFC 4513 5.1.2).
    if len(fields) != 3 or not fields[1] or not fields[2]:
        raise SASLError("PLAIN message does not have three fields, or an empty one")
    authorization_id, username, password = fields
    return Credentials("PLAIN", username, authorization_id, Secret(password))


PLAIN = ServerMechanism("PLAIN", True, True, PlainServer)
