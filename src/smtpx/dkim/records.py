"""Public keys as they stand in the DNS (RFC 6376 3.6.1, RFC 8463 4).

>>> record = KeyRecord.parse("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=; t=y")
>>> record.kind, record.is_testing, record.is_revoked
('ed25519', True, False)
"""

import base64
import re
from dataclasses import dataclass

from smtpx.dkim import crypto
from smtpx.dkim.tags import TagError, decode_base64, parse_tags, without_space

__all__ = ["KeyRecord", "record_name", "zone_text"]

_KINDS = (crypto.RSA, crypto.ED25519)
_MAX_STRING_CHARS = 255  # RFC 1035 3.3.14
_MAX_RECORD_CHARS = 16_384  # several times what the longest key needs
_VERSION_FIRST = re.compile(r"[ \t\r\n]*v[ \t\r\n]*=")


def record_name(domain: str, selector: str) -> str:
    """The name the record has in the DNS (3.6.2.1).

    >>> record_name("example.org", "mail")
    'mail._domainkey.example.org'
    """
    return f"{selector}._domainkey.{domain}"


def zone_text(record: str) -> str:
    """A TXT record's text as a zone file wants it: in quotes, no string longer than 255 characters."""
    pieces = [record[start : start + _MAX_STRING_CHARS] for start in range(0, len(record), _MAX_STRING_CHARS)]
    return " ".join(f'"{piece}"' for piece in pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """A public key, and what its owner says of it.

    Attributes:
        kind: "rsa" or "ed25519"; in a record from elsewhere it may be anything.
        octets: the key; empty if it was revoked.
        hashes: with which algorithms it may be used; None is all.
        services: for which; "*" is all, "email" is this.
        is_testing: the owner only tries (`t=y`): a message whose signature fails is like one without.
        is_strict: the domain of `i=` has to be that of `d=` itself (`t=s`).
    """

    kind: str
    octets: bytes
    hashes: tuple[str, ...] | None = None
    services: tuple[str, ...] = ("*",)
    is_testing: bool = False
    is_strict: bool = False

    @property
    def is_revoked(self) -> bool:
        """Whether the owner took the key back."""
        return not self.octets

    @classmethod
    def parse(cls, text: str) -> "KeyRecord":
        """Read the text of a TXT record, its strings joined.

        Raises:
            ValueError: saying what is wrong.
        """
        if len(text) > _MAX_RECORD_CHARS:
            raise TagError("too long for a key record")
        tags = parse_tags(text)
        if tags.get("v", "DKIM1") != "DKIM1" or ("v" in tags and not _VERSION_FIRST.match(text)):
            raise TagError("not a key record: it does not begin with v=DKIM1")
        if "p" not in tags:
            raise TagError("there is no p=")
        flags = _listed(tags.get("t", ""))
        return cls(
            kind=tags.get("k", crypto.RSA).lower(),
            octets=decode_base64(tags["p"], "p"),
            hashes=tuple(_listed(tags["h"])) if "h" in tags else None,
            services=tuple(_listed(tags.get("s", "*"))),
            is_testing="y" in flags,
            is_strict="s" in flags,
        )

    def __str__(self) -> str:
        """The text of the TXT record."""
        tags = {"v": "DKIM1", "k": self.kind}
        if self.hashes is not None:
            tags["h"] = ":".join(self.hashes)
        if self.services != ("*",):
            tags["s"] = ":".join(self.services)
        if flags := [letter for letter, is_set in (("y", self.is_testing), ("s", self.is_strict)) if is_set]:
            tags["t"] = ":".join(flags)
        tags["p"] = base64.b64encode(self.octets).decode()
        return "; ".join(f"{name}={value}" for name, value in tags.items())

    def why_not(self, algorithm: str) -> str | None:
        """Why the key can't be used with an algorithm such as "rsa-sha256", or None."""
        kind, _, name = algorithm.partition("-")
        if self.is_revoked:
            return "the key was revoked"
        if self.kind != kind or self.kind not in _KINDS:
            return "the key is of another kind"
        if self.hashes is not None and name not in self.hashes:
            return f"the key is not for {name}"
        if not {"*", "email"} & {*self.services}:
            return "the key is not for e-mail"
        return None

    def verify(self, digest: bytes, signature: bytes) -> bool:
        """Whether `signature` is one of this SHA-256 digest.

        Raises:
            ValueError: if the octets are no such key, or it has less than 1024 bits (RFC 8301 3.2).
        """
        return crypto.verify(crypto.load_public(self.kind, self.octets), digest, signature)


def _listed(value: str) -> list[str]:
    return [each.lower() for each in without_space(value).split(":")]
