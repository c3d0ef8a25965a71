"""LOGIN: user name and password in two answers. Never standardised, still asked for everywhere.

Challenge texts differ between servers; only their order counts.
"""

from smtpx.sasl.credentials import Credentials, Secret
from smtpx.sasl.mechanism import AuthExchange, Challenge, ExchangeContext, SASLError, ServerExchange, ServerMechanism
from smtpx.sasl.password import Password

__all__ = ["LOGIN", "LoginClient", "LoginServer"]


class LoginClient(AuthExchange):
    """The client's half."""

    def __init__(self, auth: Password) -> None:
        self._answers = [auth.password.encode(), auth.username.encode()]

    def initial_response(self) -> None:
        """The server speaks first."""

    def respond(self, challenge: bytes) -> bytes:
        """The user name, then the password, whatever the challenge says.

        Raises:
            SASLError: for a third challenge.
        """
        if not self._answers:
            raise SASLError("LOGIN has no third question")
        return self._answers.pop()


def LoginServer(context: ExchangeContext) -> ServerExchange:
    """The server's half. An initial response is taken as the user name, as many clients send it so."""
    username: bytes = yield Challenge(b"Username:")
    password: bytes = yield Challenge(b"Password:")
    try:
        name, secret = username.decode(), password.decode()
    except UnicodeDecodeError:
        raise SASLError("LOGIN answers are not UTF-8") from None
    if not name or not secret or "\0" in name + secret:
        raise SASLError("LOGIN answer is empty or holds a NUL")
    return Credentials("LOGIN", name, "", Secret(secret))


LOGIN = ServerMechanism("LOGIN", True, True, LoginServer)
