"""A DKIM-Signature field taken apart and checked as far as it goes without a key (RFC 6376 3.5, 6.1.1)."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from smtpx.dkim.canonical import canonical_field
from smtpx.dkim.header import Field, signed_octets
from smtpx.dkim.records import record_name
from smtpx.dkim.tags import TagError, decode_base64, without_space
from smtpx.wire.address import ascii_domain
from smtpx.wire.syntax import WireError, escape

__all__ = ["Signature", "UselessError"]

_REQUIRED = ("v", "a", "b", "bh", "d", "h", "s")
_ALGORITHMS = ("rsa-sha256", "ed25519-sha256")
_FORMS = {"simple": False, "relaxed": True}
_HASH_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*")
_MAX_NAME_CHARS = 253
_NUMBER = re.compile(r"[0-9]{1,76}")
_ENCODED = re.compile(rb"=([0-9A-Fa-f]{2})")


class UselessError(ValueError):
    """The signature can be read, and can't be good: PERMFAIL in RFC 6376."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What the field says, with the field itself.

    Attributes:
        field: where it stands among the fields of the message.
        domain: `d=`, in A-labels and lower case.
        selector: `s=`.
        identity: `i=`, or what it is when it is not there.
        names: `h=`, in lower case.
        digest: `bh=`.
        octets: `b=`.
        body_length: `l=`.
        signed_at: `t=`, in seconds since 1970; it may be beyond any calendar.
        expires_at: `x=`, the same.
    """

    field: int
    algorithm: str
    domain: str
    selector: str
    identity: str
    names: tuple[bytes, ...]
    digest: bytes
    octets: bytes
    relaxes_header: bool
    relaxes_body: bool
    body_length: int | None
    signed_at: int | None
    expires_at: int | None

    @property
    def record_name(self) -> str:
        """Where its key is published."""
        return record_name(self.domain, self.selector)

    @property
    def has_own_domain(self) -> bool:
        """Whether the domain of the identity is `d=` itself."""
        return self.identity.rpartition("@")[2] == self.domain

    @classmethod
    def of(cls, tags: dict[str, str], field: int) -> "Signature":
        """Look at each tag.

        Raises:
            TagError: if a value is not what its tag wants.
            UselessError: if it can't be a good signature.
        """
        if missing := [name for name in _REQUIRED if not tags.get(name)]:
            raise TagError(f"there is no {missing[0]}=")
        if tags["v"] != "1":
            raise TagError(f"unknown version {escape(tags['v'], 20)}")
        relaxes_header, relaxes_body = _forms(without_space(tags.get("c", "simple")))
        domain = _domain(tags["d"], "d")
        signature = cls(
            field=field,
            algorithm=_algorithm(without_space(tags["a"]).lower()),
            domain=domain,
            selector=_domain(tags["s"], "s"),
            identity=_identity(tags.get("i", "@" + domain), domain),
            names=tuple(_listed(tags["h"])),
            digest=decode_base64(tags["bh"], "bh"),
            octets=decode_base64(tags["b"], "b"),
            relaxes_header=relaxes_header,
            relaxes_body=relaxes_body,
            body_length=_number(tags, "l"),
            signed_at=_number(tags, "t"),
            expires_at=_number(tags, "x"),
        )
        signature._check(without_space(tags.get("q", "dns/txt")).lower())
        return signature

    def _check(self, query: str) -> None:
        if len(self.record_name) > _MAX_NAME_CHARS:
            raise TagError("d= and s= are too long for the DNS")
        if len(self.digest) != _HASH_BYTES:
            raise TagError("bh= is no SHA-256")
        if self.signed_at is not None and self.expires_at is not None and self.expires_at <= self.signed_at:
            raise TagError("x= is not later than t=")
        if "dns/txt" not in query.split(":"):
            raise UselessError("the key is not in the DNS")
        if b"from" not in self.names:
            raise UselessError("From is not signed")

    def hashed(self, fields: Sequence[Field]) -> bytes:
        """The SHA-256 of what `b=` is the signature of (3.7): the fields in `h=`, and this one with an empty `b=`."""
        others = [*fields[: self.field], *fields[self.field + 1 :]]
        octets = signed_octets(others, self.names, relaxed=self.relaxes_header)
        own = canonical_field(_without_b(fields[self.field][1]), relaxed=self.relaxes_header)
        return hashlib.sha256(octets + own.removesuffix(b"\r\n")).digest()


def _algorithm(name: str) -> str:
    if name == "rsa-sha1":
        raise UselessError("rsa-sha1 proves nothing (RFC 8301)")
    if name not in _ALGORITHMS:
        raise TagError(f"unknown algorithm {escape(name, 40)}")
    return name


def _forms(canonicalization: str) -> tuple[bool, bool]:
    header, _, body = canonicalization.lower().partition("/")
    body = body or "simple"
    if header not in _FORMS or body not in _FORMS:
        raise TagError(f"unknown canonicalization {escape(canonicalization, 40)}")
    return _FORMS[header], _FORMS[body]


def _domain(value: str, tag: str) -> str:
    try:
        name = ascii_domain(value)  # RFC 8616 5: it may stand there in Unicode
    except WireError:
        name = ""
    if not _NAME.fullmatch(name):
        raise TagError(f"{tag}= is no name of the DNS")
    return name


def _identity(value: str, domain: str) -> str:
    octets = _ENCODED.sub(lambda match: bytes([int(match[1], 16)]), without_space(value).encode())
    local_part, at, own = octets.decode("utf-8", "replace").rpartition("@")
    if not at:
        raise TagError("i= is no address")
    own = _domain(own, "i")
    if own != domain and not own.endswith("." + domain):
        raise UselessError("i= is not within d=")
    return f"{local_part}@{own}"


def _listed(value: str) -> list[bytes]:
    names = without_space(value).lower().encode().split(b":")
    if not all(names):
        raise TagError("h= has an empty name")
    return names


def _number(tags: dict[str, str], tag: str) -> int | None:
    if tag not in tags:
        return None
    if not _NUMBER.fullmatch(tags[tag]):
        raise TagError(f"{tag}= is no number")
    return int(tags[tag])


def _without_b(field: bytes) -> bytes:
    """The field without the value of `b=` and the white space around it."""
    name, _, value = field.removesuffix(b"\r\n").partition(b":")
    specs = value.split(b";")
    for number, spec in enumerate(specs):
        tag = spec.partition(b"=")[0]
        if tag.strip(b" \t\r\n") == b"b":
            specs[number] = tag + b"="
    return name + b":" + b";".join(specs)
