"""SASL (RFC 4422, RFC 4954): mechanisms for client and server, free of I/O."""

from smtpx.sasl.credentials import Credentials, Secret
from smtpx.sasl.login import LoginClient, LoginServer
from smtpx.sasl.mechanism import AuthExchange, Challenge, ClientMechanism, Password, SASLError, ServerMechanism, choose
from smtpx.sasl.plain import PlainClient, PlainServer

__all__ = [
    "AuthExchange",
    "Challenge",
    "ClientMechanism",
    "Credentials",
    "LoginClient",
    "LoginServer",
    "Password",
    "PlainClient",
    "PlainServer",
    "SASLError",
    "Secret",
    "ServerMechanism",
    "choose",
]
