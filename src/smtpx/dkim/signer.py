"""Signing (RFC 6376 5): what is to be signed, and the DKIM-Signature field that comes of it."""

import base64
import hashlib
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TypeAlias

from smtpx.dkim.canonical import BodyHash, canonical_field
from smtpx.dkim.header import Field, Header, Octets, fields_of, pieces_of, signed_octets
from smtpx.dkim.keys import Key, KeySource
from smtpx.dkim.records import record_name
from smtpx.errors import ConfigurationError
from smtpx.message.sendable import Posting, Sendable
from smtpx.wire.address import ascii_domain
from smtpx.wire.syntax import WireError, escape

__all__ = ["DEFAULT_HEADERS", "Signed", "Signer"]

DEFAULT_HEADERS = (  # RFC 6376 5.4.1, and what says how the body is to be read
    *("From", "Reply-To", "Subject", "Date", "To", "Cc", "Message-ID", "In-Reply-To", "References"),
    *("MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
    *("List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe", "List-Post"),
    *("List-Owner", "List-Archive"),
)
_ONE_CLICK = (b"list-unsubscribe", b"list-unsubscribe-post")  # RFC 8058 4: both have to be signed
_FORMS = ("simple", "relaxed")
_LINE_CHARS = 76
_HELD_BYTES = 262_144  # a message up to this size is written once only
_FIELD_NAME = re.compile(r"[!-9;-~]+")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_MAX_NAME_CHARS = 253
_UNSAFE = re.compile(rb"[^!-:<>-~]")  # RFC 6376 2.11: what is not dkim-safe-char


class Signer:
    """Signs messages for a domain. Can be used by several threads at once.

    Args:
        domain: who answers for the message (`d=`); Unicode is written as A-labels.
        selector: which of its keys (`s=`).
        key: a `Key`, or what `Key.read` takes.
        headers: the fields to sign, all there are of each name. From is always one of them, and so are List-Unsubscribe
            and List-Unsubscribe-Post where one-click unsubscribing is offered.
        oversign: of these names no further field may be added behind our back, also where there is none now.
        canonicalization: of header and body, each "relaxed" or "simple": what may be changed on the way without
            breaking the signature.
        identity: on whose behalf (`i=`): an address, or "@" and a domain; within `domain`.
        expires_after: how long the signature is good for (`x=`).
        timestamp: say when it was made (`t=`).
        body_length: say how much of the body is signed (`l=`). Anybody may then put more behind it: leave it out.
        clock: gives the time, with its zone.

    Raises:
        ConfigurationError: naming what makes no sense, or smtpx[dkim] if it is missing.
    """

    def __init__(
        self,
        domain: str,
        selector: str,
        key: KeySource,
        *,
        headers: Iterable[str] = DEFAULT_HEADERS,
        oversign: Iterable[str] = ("From",),
        canonicalization: str = "relaxed/relaxed",
        identity: str | None = None,
        expires_after: timedelta | None = None,
        timestamp: bool = True,
        body_length: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.domain = _domain(domain)
        self.selector = _name(selector, "the selector")
        self.key = Key.read(key)
        self.dns_name = _name(record_name(self.domain, self.selector), "the name of the record")
        self._oversigned = frozenset(_field_names(oversign, "oversign"))
        self._names = tuple(dict.fromkeys((b"from", *_field_names(headers, "headers"), *sorted(self._oversigned))))
        self.canonicalization = canonicalization
        self._relaxes_header, self.relaxes_body = _forms(canonicalization)
        self._identity = None if identity is None else _identity(identity, self.domain)
        if expires_after is not None and expires_after < timedelta(seconds=1):
            raise ConfigurationError("a signature is good for a second at least")
        self._expires_after = expires_after
        self._has_timestamp = timestamp
        self._has_length = body_length
        if body_length:
            warnings.warn("with body_length anybody may add to the message, unnoticed", stacklevel=2)
        self._clock = clock

    def __repr__(self) -> str:
        return f"<Signer {self.dns_name} {self.key.algorithm}>"

    def sign(self, message: Sendable) -> "Signed":
        """The message with this signature on top; those it has already stay.

        The moment of the signature is now. Nothing is read of the message before it is sent.
        """
        inner, others = (message.inner, message.signatories) if isinstance(message, Signed) else (message, ())
        return Signed(inner, ((self, self._clock()), *others))

    def signature(self, octets: Octets) -> bytes:
        """The DKIM-Signature field for a message, folded, with its CRLF; to be put in front of it.

        Args:
            octets: the message, whole or in pieces; its lines end in CRLF.

        Raises:
            ValueError: if it has no From, or begins with white space.
        """
        work = _Work(((self, self._clock()),))
        for piece in pieces_of(octets):
            work.feed(piece)
        return work.finish()

    def field(self, fields: Sequence[Field], digest: bytes, body_octets: int, moment: datetime) -> bytes:
        """The field for a message that was read already: its header, and hash and length of its canonical body."""
        names = self._signed_names([name for name, _ in fields])
        unsigned = _folded(self._tags(moment, body_octets), names, base64.b64encode(digest))
        octets = signed_octets(fields, names, relaxed=self._relaxes_header)
        octets += canonical_field(unsigned, relaxed=self._relaxes_header)
        return unsigned + _broken(base64.b64encode(self.key.sign(hashlib.sha256(octets).digest()))) + b"\r\n"

    def _signed_names(self, present: list[bytes]) -> list[bytes]:
        """What `h=` lists: a name for each field there is, and one more where none may be added."""
        counts = Counter(present)
        if not counts[b"from"]:
            raise ValueError("a message without From can't be signed (RFC 6376 5.4)")
        names = self._names
        if all(counts[name] for name in _ONE_CLICK):
            names = tuple(dict.fromkeys((*names, *_ONE_CLICK)))
        return [name for name in names for _ in range(counts[name] + (name in self._oversigned))]

    def _tags(self, moment: datetime, body_octets: int) -> list[bytes]:
        tags = [
            "v=1",
            f"a={self.key.algorithm}",
            f"c={self.canonicalization}",
            f"d={self.domain}",
            f"s={self.selector}",
        ]
        seconds = int(moment.timestamp())
        if self._has_timestamp:
            tags.append(f"t={seconds}")
        if self._expires_after is not None:
            tags.append(f"x={seconds + int(self._expires_after.total_seconds())}")
        if self._identity is not None:
            tags.append(f"i={self._identity}")
        if self._has_length:
            tags.append(f"l={body_octets}")
        return [f" {tag};".encode() for tag in tags]


Signatories: TypeAlias = tuple[tuple[Signer, datetime], ...]


class Signed:
    """A message with signatures on top, made over exactly the octets that are sent. Made by `Signer.sign`.

    A message of more than 256 KiB is written twice, once for its hash: memory stays flat. Each form of the message, for
    a server with 8BITMIME or without, has signatures of its own, and they stay the same when it is sent again.

    Attributes:
        inner: the message without them.
        signatories: who signs it, and when that was, the topmost first.
    """

    __slots__ = ("_known", "inner", "signatories")

    def __init__(self, inner: Sendable, signatories: Signatories) -> None:
        self.inner = inner
        self.signatories = signatories
        self._known: dict[tuple[bool, bool], bytes] = {}

    @property
    def message_id(self) -> str | None:
        """That of the message."""
        return self.inner.message_id

    def posting(self) -> Posting:
        """The envelope of the message."""
        return self.inner.posting()

    def octets(self, *, eight_bit: bool, utf8: bool) -> Iterator[bytes]:
        """The signatures, then the message in pieces.

        Raises:
            ValueError: if the message can't be signed (no From), or can't be written so.
        """
        known = self._known.get((eight_bit, utf8))
        if known is not None:
            return chain((known,), self.inner.octets(eight_bit=eight_bit, utf8=utf8))
        work, held, size = _Work(self.signatories), list[bytes](), 0
        for piece in self.inner.octets(eight_bit=eight_bit, utf8=utf8):
            work.feed(piece)
            size += len(piece)
            if size <= _HELD_BYTES:
                held.append(piece)
            else:
                held.clear()
        known = self._known[eight_bit, utf8] = work.finish()
        rest = held if size <= _HELD_BYTES else self.inner.octets(eight_bit=eight_bit, utf8=utf8)
        return chain((known,), rest)


class _Work:
    """Several signatures of one message that comes in pieces."""

    def __init__(self, signatories: Signatories) -> None:
        self._signatories = signatories
        self._header = Header()
        self._bodies = {form: BodyHash(relaxed=form) for form in {signer.relaxes_body for signer, _ in signatories}}

    def feed(self, piece: bytes) -> None:
        if octets := self._header.feed(piece):
            for body in self._bodies.values():
                body.feed(octets)

    def finish(self) -> bytes:
        """The fields, in the order of their signers."""
        if self._header.octets.startswith((b" ", b"\t")):  # it would become a part of the field in front of it
            raise ValueError("a message that begins with white space can't be signed")
        fields = fields_of(bytes(self._header.octets))
        digests = {form: body.finish() for form, body in self._bodies.items()}
        return b"".join(
            signer.field(fields, digests[signer.relaxes_body], self._bodies[signer.relaxes_body].octets, moment)
            for signer, moment in self._signatories
        )


def _folded(tags: list[bytes], names: list[bytes], body_hash: bytes) -> bytes:
    """The field up to `b=`, in lines of at most 76 characters where there is a place to fold."""
    listed = [b" h=" + names[0], *(b":" + name for name in names[1:])]
    listed[-1] += b";"
    lines = [b"DKIM-Signature:"]
    for token in (*tags, *listed, b" bh=" + body_hash + b";"):
        if len(lines[-1]) + len(token) <= _LINE_CHARS:
            lines[-1] += token
        else:
            lines.append(b" " + token.removeprefix(b" "))
    return b"\r\n".join(lines) + b"\r\n b="


def _broken(signature: bytes) -> bytes:
    return b"\r\n ".join(signature[start : start + 72] for start in range(0, len(signature), 72))


def _domain(text: str) -> str:
    try:
        return _name(ascii_domain(text), "the domain")
    except WireError as error:
        raise ConfigurationError(f"DKIM: {error}") from None


def _name(text: str, what: str) -> str:
    if not _NAME.fullmatch(text) or len(text) > _MAX_NAME_CHARS:
        raise ConfigurationError(f"DKIM: {what} is no name of the DNS: {escape(text)}")
    return text


def _field_names(names: Iterable[str], what: str) -> list[bytes]:
    given = [names] if isinstance(names, str) else list(names)
    for name in given:
        if isinstance(names, str) or not _FIELD_NAME.fullmatch(name) or name.lower() == "dkim-signature":
            raise ConfigurationError(f"DKIM: {what} is a list of names of fields to sign, not {escape(name)!r}")
    return [name.lower().encode() for name in given]


def _forms(canonicalization: str) -> tuple[bool, bool]:
    """Whether header and body are relaxed."""
    header, _, body = canonicalization.partition("/")
    if header not in _FORMS or body not in _FORMS:
        raise ConfigurationError(f"unknown canonicalization {canonicalization!r}: relaxed/relaxed, relaxed/simple, ...")
    return header == "relaxed", body == "relaxed"


def _identity(text: str, domain: str) -> str:
    local_part, at, own = text.rpartition("@")
    own = _domain(own) if at else ""
    if own != domain and not own.endswith("." + domain):
        raise ConfigurationError(f"DKIM: the identity is an address in {domain}, or @ and a domain in it")
    safe = _UNSAFE.sub(lambda match: b"=%02X" % match.group()[0], local_part.encode("utf-8", "surrogateescape"))
    return f"{safe.decode()}@{own}"
