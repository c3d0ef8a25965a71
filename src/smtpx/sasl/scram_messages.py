"""The messages of SCRAM (RFC 5802 5.1, 7) as values; each knows exactly the octets that are signed."""

import base64
import re
from typing import NamedTuple

from smtpx.sasl.gs2 import GS2Header, escape_name, unescape_name
from smtpx.sasl.mechanism import SASLError

__all__ = ["ClientFinal", "ClientFirst", "ServerFirst", "parse_verifier"]

_NONCE = r"[!-+\--~]+"  # printable ASCII without the comma
_BASE64 = r"[A-Za-z0-9+/]*={0,2}"
_MORE = r"(?:,[A-Za-ln-z]=[^\0,]+)*"  # extensions we don't know, which may be passed over; "m" never
_CLIENT_FIRST = re.compile(rf"n=(?P<name>[^\0,]+),r=(?P<nonce>{_NONCE}){_MORE}")
_SERVER_FIRST = re.compile(rf"r=(?P<nonce>{_NONCE}),s=(?P<salt>{_BASE64}),i=(?P<iterations>[1-9][0-9]{{0,9}}){_MORE}")
_CLIENT_FINAL = re.compile(rf"c=(?P<binding>{_BASE64}),r=(?P<nonce>{_NONCE}){_MORE}")
_SERVER_FINAL = re.compile(rf"(?:v=(?P<verifier>{_BASE64})|e=(?P<error>[^\0,]+)){_MORE}")
_SHOWN_CHARS = 80


class ClientFirst(NamedTuple):
    """Who the client is. `more`: extensions, as they were received."""

    gs2: GS2Header
    username: str
    nonce: str
    more: str = ""

    @property
    def bare(self) -> bytes:
        """What is signed: all but the header."""
        return f"n={escape_name(self.username)},r={self.nonce}{self.more}".encode()

    def to_bytes(self) -> bytes:
        """The message."""
        return self.gs2.to_text().encode() + self.bare

    @classmethod
    def parse(cls, message: bytes) -> "ClientFirst":
        """Read it.

        Raises:
            SASLError: if it has another form, or demands an extension.
        """
        gs2, bare = GS2Header.split(_text(message))
        match = _match(_CLIENT_FIRST, bare)
        return cls(gs2, unescape_name(match["name"]), match["nonce"], bare[match.end("nonce") :])


class ServerFirst(NamedTuple):
    """How to hash the password, and the whole nonce."""

    nonce: str
    salt: bytes
    iterations: int

    def to_bytes(self) -> bytes:
        """The message."""
        return f"r={self.nonce},s={base64.b64encode(self.salt).decode()},i={self.iterations}".encode()

    @classmethod
    def parse(cls, message: bytes) -> "ServerFirst":
        """Read it.

        Raises:
            SASLError: if it has another form, has no salt, or demands an extension.
        """
        match = _match(_SERVER_FIRST, _text(message))
        salt = _decode(match["salt"])
        if not salt:
            raise SASLError("SCRAM without a salt")
        return cls(match["nonce"], salt, int(match["iterations"]))


class ClientFinal(NamedTuple):
    """What the client takes the channel to be, and the nonce again; with the proof behind it."""

    binding: bytes
    nonce: str
    more: str = ""

    @property
    def without_proof(self) -> bytes:
        """What is signed."""
        return f"c={base64.b64encode(self.binding).decode()},r={self.nonce}{self.more}".encode()

    def to_bytes(self, proof: bytes) -> bytes:
        """The message."""
        return self.without_proof + b",p=" + base64.b64encode(proof)

    @classmethod
    def parse(cls, message: bytes) -> "tuple[ClientFinal, bytes]":
        """Read it, and its proof.

        Raises:
            SASLError: if it has another form.
        """
        text, comma, proof = _text(message).rpartition(",p=")
        if not comma:
            raise SASLError("a SCRAM message without its proof")
        match = _match(_CLIENT_FINAL, text)
        return cls(_decode(match["binding"]), match["nonce"], text[match.end("nonce") :]), _decode(proof)


def parse_verifier(message: bytes) -> bytes:
    """The signature in the server's last message.

    Raises:
        SASLError: if there is none, with the error that the server tells in its place.
    """
    match = _match(_SERVER_FINAL, _text(message))
    if match["error"] is not None:
        shown = "".join(char if char.isprintable() else "?" for char in match["error"][:_SHOWN_CHARS])
        raise SASLError(f"the server says: {shown}")
    return _decode(match["verifier"])


def _text(message: bytes) -> str:
    try:
        return message.decode()
    except UnicodeDecodeError:
        raise SASLError("a SCRAM message that is not UTF-8") from None


def _match(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    match = pattern.fullmatch(text)
    if match is not None:
        return match
    if text.startswith("m=") or ",m=" in text:  # RFC 5802 5.1: nobody knows any yet, so everybody must give up
        raise SASLError("a SCRAM extension that is not known")
    raise SASLError("not the SCRAM message that is due")


def _decode(text: str) -> bytes:
    try:
        octets = base64.b64decode(text, validate=True)
    except ValueError:
        raise SASLError("bad base64 in a SCRAM message") from None
    if base64.b64encode(octets).decode() != text:  # what is signed is what we would write ourselves
        raise SASLError("base64 with bits that mean nothing in a SCRAM message")
    return octets
