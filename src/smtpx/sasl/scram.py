"""SCRAM (RFC 5802, RFC 7677): both sides prove that they know the password, and neither shows it.

The server's last message goes as one more challenge with an empty answer, for SMTP has no data with its success. The
-PLUS forms put what names the TLS channel into the proof, so that nobody in between can pass it on.
"""

import base64
import hmac
import os
from functools import partial

from smtpx.sasl.credentials import Credentials
from smtpx.sasl.gs2 import GS2Header
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
from smtpx.sasl.saslprep import saslprep
from smtpx.sasl.scram_messages import ClientFinal, ClientFirst, ServerFirst, parse_verifier
from smtpx.sasl.scram_record import ITERATIONS, ScramRecord, hash_password, keyed_hash, plain_hash

__all__ = [
    "SCRAM_SHA_1",
    "SCRAM_SHA_1_PLUS",
    "SCRAM_SHA_256",
    "SCRAM_SHA_256_PLUS",
    "ScramClient",
    "scram_servers",
]


class ScramClient(AuthExchange):
    """The client's half.

    Args:
        mechanism: "SCRAM-SHA-256" or "SCRAM-SHA-1", with or without "-PLUS".
        context: -PLUS takes the first of its channel bindings.

    Raises:
        SASLError: if SASLprep prohibits a character of the user name, or a -PLUS form has nothing to bind to.
    """

    def __init__(
        self, auth: Password, mechanism: str, context: ExchangeContext, *, nonce: NonceSource = make_nonce
    ) -> None:
        self._auth = auth
        self._mechanism = mechanism.removesuffix("-PLUS")
        self._gs2, self._binding = _bind(auth, mechanism, context)
        self._first = ClientFirst(self._gs2, saslprep(auth.username), nonce())
        self._verifier: bytes | None = None  # what the server must show at the end
        self._is_verified = False

    def initial_response(self) -> bytes:
        """Name and nonce."""
        return self._first.to_bytes()

    def respond(self, challenge: bytes) -> bytes:
        """The proof; then nothing, if the server has proven itself.

        Raises:
            SASLError: for a message of another form, a nonce or an iteration count that can't be accepted, a signature
                that is wrong, and for a third challenge.
        """
        if self._is_verified:
            raise SASLError("SCRAM has no third challenge")
        if self._verifier is None:
            return self._prove(challenge)
        if not hmac.compare_digest(parse_verifier(challenge), self._verifier):
            raise SASLError("the server does not know the password")
        self._is_verified = True
        return b""

    def complete(self) -> None:
        """See that the server has shown that it knows the password too.

        Raises:
            SASLError: if it has not.
        """
        if not self._is_verified:
            raise SASLError("the server says that all is well, but has not proven that it knows the password")

    def _prove(self, challenge: bytes) -> bytes:
        server = ServerFirst.parse(challenge)
        if not server.nonce.startswith(self._first.nonce) or server.nonce == self._first.nonce:
            raise SASLError("the server's nonce does not continue ours")
        if server.iterations not in self._auth.scram_iterations:
            raise SASLError(f"the server wants {server.iterations} iterations: too few to be safe, or too many")
        kind = self._mechanism
        salted = hash_password(kind, self._auth.password, server.salt, server.iterations)
        client_key = keyed_hash(kind, salted, b"Client Key")
        final = ClientFinal(self._gs2.to_text().encode() + self._binding, server.nonce)
        signed = b",".join((self._first.bare, challenge, final.without_proof))
        signature = keyed_hash(kind, plain_hash(kind, client_key), signed)
        self._verifier = keyed_hash(kind, keyed_hash(kind, salted, b"Server Key"), signed)
        return final.to_bytes(_xor(client_key, signature))


def _bind(auth: Password, mechanism: str, context: ExchangeContext) -> tuple[GS2Header, bytes]:
    name = auth.authorization_id
    if not mechanism.endswith("-PLUS"):
        # "y" tells a server whose offer of -PLUS was taken out on its way that this happened (RFC 5802 6).
        could_bind = bool(context.bindings) and f"{mechanism}-PLUS" not in context.offered
        return GS2Header("y" if could_bind else "n", authorization_id=name), b""
    for binding, data in context.bindings.items():
        return GS2Header("p", binding, name), data
    raise SASLError(f"{mechanism} needs a TLS channel that can be named")


def _serve(
    mechanism: str, secret: bytes, iterations: int, nonce: NonceSource, context: ExchangeContext
) -> ServerExchange:
    kind = mechanism.removesuffix("-PLUS")
    first = ClientFirst.parse((yield Challenge(b"")))
    username = saslprep(first.username)
    if not username:
        raise SASLError("a user name of nothing")
    binding = _expected_binding(mechanism, first.gs2, username, context)
    found = yield Lookup(username, kind)
    dummy = ScramRecord.dummy(kind, username, secret, iterations)  # made for known users too: it takes time
    is_known = isinstance(found, ScramRecord) and found.mechanism == kind
    record: ScramRecord = found if is_known else dummy
    server = ServerFirst(first.nonce + nonce(), record.salt, record.iterations)
    final, proof = ClientFinal.parse((yield Challenge(server.to_bytes())))
    if final.nonce != server.nonce:
        raise SASLError("another nonce than ours")
    signed = b",".join((first.bare, server.to_bytes(), final.without_proof))
    client_key = _xor(proof, keyed_hash(kind, record.stored_key, signed))
    is_right = hmac.compare_digest(plain_hash(kind, client_key), record.stored_key)
    is_bound = hmac.compare_digest(final.binding, binding)
    if not (is_right and is_bound and is_known):
        raise ProofError(username)
    verifier = keyed_hash(kind, record.server_key, signed)
    if (yield Challenge(b"v=" + base64.b64encode(verifier))):
        raise SASLError("nothing comes behind the server's signature")
    return Credentials(mechanism, username, first.gs2.authorization_id, is_proven=True)


def _expected_binding(mechanism: str, gs2: GS2Header, username: str, context: ExchangeContext) -> bytes:
    """What the client's last message must say about the channel (RFC 5802 6)."""
    header = gs2.to_text().encode()
    if mechanism.endswith("-PLUS"):
        if gs2.flag != "p" or gs2.binding not in context.bindings:
            raise SASLError("not bound to this channel")
        return header + context.bindings[gs2.binding]
    if gs2.flag == "p":
        raise SASLError(f"{mechanism} is not bound to a channel")
    if gs2.flag == "y" and f"{mechanism}-PLUS" in context.offered:
        raise ProofError(username)  # somebody took -PLUS out of what we offered
    return header


def _xor(one: bytes, other: bytes) -> bytes:
    """Of what is as long as `other`; a proof of another length is none, and becomes nothing."""
    return bytes(a ^ b for a, b in zip(one, other, strict=True)) if len(one) == len(other) else b""


def scram_servers(
    *names: str, secret: bytes | None = None, iterations: int = ITERATIONS, nonce: NonceSource = make_nonce
) -> tuple[ServerMechanism, ...]:
    """The server's half of SCRAM mechanisms, by name.

    Args:
        secret: what salts of unknown users are derived from. Give all processes that serve one name the same, or an
            unknown user shows by a salt that changes. Default: one for this process.
        iterations: the count of your records; unknown users seem to have the same.

    >>> [each.name for each in scram_servers("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")]
    ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256']
    """
    key = _SECRET if secret is None else secret
    return tuple(
        ServerMechanism(
            name,
            False,
            True,
            partial(_serve, name, key, iterations, nonce),
            needs_binding=name.endswith("-PLUS"),
            needs_lookup=True,
        )
        for name in names
    )


_SECRET = os.urandom(32)
SCRAM_SHA_256_PLUS, SCRAM_SHA_256, SCRAM_SHA_1_PLUS, SCRAM_SHA_1 = scram_servers(
    "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"
)
