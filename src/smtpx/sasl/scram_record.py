"""What a server keeps of a password for SCRAM (RFC 5802 3): enough to check a proof, not enough to make one."""

import base64
import hashlib
import hmac
import os
import re
from dataclasses import dataclass, field

from smtpx.sasl.credentials import Secret
from smtpx.sasl.mechanism import SASLError
from smtpx.sasl.saslprep import saslprep

__all__ = ["ITERATIONS", "ScramRecord", "hash_password", "hash_size", "keyed_hash", "plain_hash"]

_HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}
ITERATIONS = 15_000  # RFC 7677 4: about what a tenth of a second allowed when it was written; at least 4096
_SALT_BYTES = 16
_TEXT = re.compile(
    r"(?P<mechanism>SCRAM-SHA-(?:1|256))\$(?P<iterations>[1-9][0-9]{0,9}):(?P<salt>[A-Za-z0-9+/]+={0,2})"
    r"\$(?P<stored>[A-Za-z0-9+/]+={0,2}):(?P<server>[A-Za-z0-9+/]+={0,2})"
)


@dataclass(frozen=True, slots=True)
class ScramRecord:
    """Salted keys for one mechanism; the -PLUS form uses the same.

    Whoever has a record can pretend to be the server, and can guess the password at leisure: keep it as a secret.
    """

    mechanism: str
    salt: bytes = field(repr=False)
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    @classmethod
    def make(
        cls,
        password: str | Secret,
        *,
        mechanism: str = "SCRAM-SHA-256",
        iterations: int = ITERATIONS,
        salt: bytes | None = None,
    ) -> "ScramRecord":
        """The record of a password. Takes some milliseconds: not for an event loop.

        Args:
            mechanism: "SCRAM-SHA-256" or "SCRAM-SHA-1".
            salt: default: 16 random octets.

        Raises:
            SASLError: if the password holds characters that SASLprep (RFC 4013) prohibits.
        """
        text = password.reveal() if isinstance(password, Secret) else password
        salt = os.urandom(_SALT_BYTES) if salt is None else salt
        salted = hash_password(mechanism, text, salt, iterations)
        stored_key = plain_hash(mechanism, keyed_hash(mechanism, salted, b"Client Key"))
        return cls(mechanism, salt, iterations, stored_key, keyed_hash(mechanism, salted, b"Server Key"))

    @classmethod
    def dummy(cls, mechanism: str, username: str, secret: bytes, iterations: int = ITERATIONS) -> "ScramRecord":
        """A record that no password fits, always the same for one name: nobody sees that the name is unknown."""

        def derive(purpose: bytes) -> bytes:
            return keyed_hash(mechanism, secret, purpose + username.encode("utf-8", "surrogatepass"))

        return cls(mechanism, derive(b"salt ")[:_SALT_BYTES], iterations, derive(b"stored "), derive(b"server "))

    def to_text(self) -> str:
        """The record as RFC 5803 writes it: mechanism, iterations, salt, stored key, server key."""
        salt, stored, server = (
            base64.b64encode(each).decode() for each in (self.salt, self.stored_key, self.server_key)
        )
        return f"{self.mechanism}${self.iterations}:{salt}${stored}:{server}"

    @classmethod
    def parse(cls, text: str) -> "ScramRecord":
        """Read what `to_text` writes.

        Raises:
            ValueError: if it is something else. Never shows the text.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise SASLError("not a SCRAM record of RFC 5803")
        try:
            salt, stored, server = (
                base64.b64decode(match[name], validate=True) for name in ("salt", "stored", "server")
            )
        except ValueError:
            raise SASLError("a SCRAM record with bad base64") from None
        mechanism = match["mechanism"]
        if not len(stored) == len(server) == hash_size(mechanism):
            raise SASLError("a SCRAM record with keys of the wrong size")
        return cls(mechanism, salt, int(match["iterations"]), stored, server)


def hash_password(mechanism: str, password: str, salt: bytes, iterations: int) -> bytes:
    """SaltedPassword of RFC 5802 3.

    Raises:
        SASLError: from SASLprep.
    """
    prepared = saslprep(password, stored=True).encode()
    return hashlib.pbkdf2_hmac(_HASHES[mechanism], prepared, salt, iterations)


def plain_hash(mechanism: str, data: bytes) -> bytes:
    """H(data)."""
    return hashlib.new(_HASHES[mechanism], data).digest()


def keyed_hash(mechanism: str, key: bytes, data: bytes) -> bytes:
    """HMAC(key, data)."""
    return hmac.digest(key, data, _HASHES[mechanism])


def hash_size(mechanism: str) -> int:
    """The octets of a hash."""
    return hashlib.new(_HASHES[mechanism]).digest_size
