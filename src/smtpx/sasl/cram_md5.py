"""CRAM-MD5 (RFC 2195): a keyed hash of a challenge. For old peers over connections without TLS.

A server must store the password itself, a listener can guess it at leisure, and the server proves nothing: off unless
asked for.
"""

import hmac
import re

from smtpx.sasl.credentials import Credentials, Secret
from smtpx.sasl.mechanism import (
    AuthExchange,
    Challenge,
    ExchangeContext,
    Lookup,
    ProofError,
    SASLError,
    ServerExchange,
    ServerMechanism,
)
from smtpx.sasl.nonce import NonceSource, make_nonce
from smtpx.sasl.password import Password

__all__ = ["CRAM_MD5", "CramMD5Client", "CramMD5Server"]

_RESPONSE = re.compile(r"(?P<name>[^\0]+) (?P<digest>[0-9a-f]{32})")


class CramMD5Client(AuthExchange):
    """The client's half."""

    def __init__(self, auth: Password) -> None:
        self._auth: Password | None = auth

    def initial_response(self) -> None:
        """The server speaks first."""

    def respond(self, challenge: bytes) -> bytes:
        """Name and digest.

        Raises:
            SASLError: for a second challenge, and for one of nothing, whose digest would be the same each time.
        """
        auth, self._auth = self._auth, None
        if auth is None or not challenge:
            raise SASLError("CRAM-MD5 has one challenge, which is not empty")
        return f"{auth.username} {_digest(auth.password, challenge)}".encode()

    def complete(self) -> None:
        """See that there was a challenge.

        Raises:
            SASLError: if there was none.
        """
        if self._auth is not None:
            raise SASLError("the server says that all is well, but has asked nothing")


def CramMD5Server(context: ExchangeContext, *, nonce: NonceSource = make_nonce) -> ServerExchange:
    """The server's half."""
    challenge = f"<{nonce()}@{context.host or 'localhost'}>".encode()
    response: bytes = yield Challenge(challenge)
    try:
        match = _RESPONSE.fullmatch(response.decode())
    except UnicodeDecodeError:
        match = None
    if match is None:
        raise SASLError("not a name and a digest")
    found: object = yield Lookup(match["name"], "CRAM-MD5")
    password = found.reveal() if isinstance(found, Secret) else make_nonce()
    if not hmac.compare_digest(_digest(password, challenge), match["digest"]):
        raise ProofError(match["name"])
    return Credentials("CRAM-MD5", match["name"], is_proven=True)


def _digest(password: str, challenge: bytes) -> str:
    return hmac.digest(password.encode("utf-8", "surrogatepass"), challenge, "md5").hex()


CRAM_MD5 = ServerMechanism("CRAM-MD5", False, False, CramMD5Server, needs_lookup=True)
