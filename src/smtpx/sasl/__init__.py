"""SASL (RFC 4422, RFC 4954): mechanisms for client and server, free of I/O.

Each mechanism has a module; only what every login needs is loaded with the package.
"""

import importlib
from typing import TYPE_CHECKING

from smtpx.sasl.credentials import Credentials, Secret
from smtpx.sasl.mechanism import (
    AuthExchange,
    Challenge,
    ClientMechanism,
    ExchangeContext,
    Lookup,
    ProofError,
    SASLError,
    ServerExchange,
    ServerMechanism,
    choose,
)
from smtpx.sasl.password import Password

if TYPE_CHECKING:
    from smtpx.sasl.anonymous import ANONYMOUS, Anonymous
    from smtpx.sasl.cram_md5 import CRAM_MD5
    from smtpx.sasl.external import EXTERNAL, Certificate
    from smtpx.sasl.login import LOGIN
    from smtpx.sasl.oauth import OAUTHBEARER, XOAUTH2, BearerToken
    from smtpx.sasl.plain import PLAIN
    from smtpx.sasl.scram import SCRAM_SHA_1, SCRAM_SHA_1_PLUS, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, scram_servers
    from smtpx.sasl.scram_record import ScramRecord

__all__ = [
    "ANONYMOUS",
    "CRAM_MD5",
    "EXTERNAL",
    "LOGIN",
    "OAUTHBEARER",
    "PLAIN",
    "SCRAM_SHA_1",
    "SCRAM_SHA_1_PLUS",
    "SCRAM_SHA_256",
    "SCRAM_SHA_256_PLUS",
    "XOAUTH2",
    "Anonymous",
    "AuthExchange",
    "BearerToken",
    "Certificate",
    "Challenge",
    "ClientMechanism",
    "Credentials",
    "ExchangeContext",
    "Lookup",
    "Password",
    "ProofError",
    "SASLError",
    "ScramRecord",
    "Secret",
    "ServerExchange",
    "ServerMechanism",
    "choose",
    "scram_servers",
]

_HOMES = {
    "anonymous": ("ANONYMOUS", "Anonymous"),
    "cram_md5": ("CRAM_MD5",),
    "external": ("EXTERNAL", "Certificate"),
    "login": ("LOGIN",),
    "oauth": ("OAUTHBEARER", "XOAUTH2", "BearerToken"),
    "plain": ("PLAIN",),
    "scram": ("SCRAM_SHA_1", "SCRAM_SHA_1_PLUS", "SCRAM_SHA_256", "SCRAM_SHA_256_PLUS", "scram_servers"),
    "scram_record": ("ScramRecord",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'smtpx.sasl' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"smtpx.sasl.{home}"), name)
    globals()[name] = value
    return value
