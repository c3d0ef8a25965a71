"""Verifying (RFC 6376 6, RFC 8301, RFC 8463). Nothing here asks the DNS: whoever calls brings the records."""

from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from smtpx.dkim.canonical import BodyHash
from smtpx.dkim.crypto import require_cryptography
from smtpx.dkim.header import Field, Header, Octets, fields_of, pieces_of
from smtpx.dkim.records import KeyRecord
from smtpx.dkim.signature import Signature, UselessError
from smtpx.dkim.tags import TagError, parse_tags
from smtpx.wire.syntax import escape

__all__ = ["Case", "Result", "Verification", "Verifier", "averify", "verify"]

_MAX_SIGNATURES = 10
_MAX_HEADER_BYTES = 262_144


class Result(StrEnum):
    """What became of a signature, in the words of RFC 8601 2.7.1.

    FAIL: header or body were changed, or it was made with another key. PERMERROR: it can't be good, whatever the
    message: revoked or missing key, expired, From not signed, rsa-sha1. TEMPERROR: the key could not be had now.
    NEUTRAL: the signature can't be read. POLICY: it is good, but proves less than it seems to; or it was not looked at.
    """

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    PERMERROR = "permerror"
    TEMPERROR = "temperror"
    NEUTRAL = "neutral"
    POLICY = "policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What is known of one signature. Only `result` says whether to believe the rest.

    Attributes:
        result: what became of it.
        reason: why, for people; empty for a pass.
        domain: who claims to answer for the message (`d=`); empty if that can't be read.
        selector: with which key (`s=`).
        identity: on whose behalf (`i=`).
        algorithm: "rsa-sha256" or "ed25519-sha256".
        signed_headers: names of what is signed (`h=`), in lower case.
        signed_at: `t=`.
        expires_at: `x=`.
        body_length: how much of the canonical body is signed (`l=`); None is all of it.
        unsigned_body_bytes: how much stands behind that.
        is_testing: the key's owner only tries (`t=y`).
    """

    result: Result
    reason: str = ""
    domain: str = ""
    selector: str = ""
    identity: str = ""
    algorithm: str = ""
    signed_headers: tuple[str, ...] = ()
    signed_at: datetime | None = None
    expires_at: datetime | None = None
    body_length: int | None = None
    unsigned_body_bytes: int = 0
    is_testing: bool = False

    @property
    def is_pass(self) -> bool:
        """Whether `domain` answers for this message."""
        return self.result is Result.PASS


class Case:
    """One signature, with everything known but its key.

    Attributes:
        record_name: where its key is published; None if it needs none any more.
    """

    def __init__(self, known: Verification, signature: Signature | None, digest: bytes, *, policy: str = "") -> None:
        self._known = known
        self._signature = signature
        self._digest = digest
        self._policy = policy
        self.record_name = None if signature is None else signature.record_name

    def judge(self, record: str | None) -> Verification:
        """The verdict, with the text of the TXT record at `record_name`, its strings joined; None if there is none."""
        if self._signature is None:
            return self._known
        if record is None:
            return self._with(Result.PERMERROR, "there is no key")
        try:
            return self._judge(self._signature, KeyRecord.parse(record))
        except ValueError as error:
            return self._with(Result.PERMERROR, f"the key record: {error}")

    def postpone(self, reason: str) -> Verification:
        """The verdict where the record can't be had now."""
        return self._known if self._signature is None else self._with(Result.TEMPERROR, reason)

    def _judge(self, signature: Signature, key: KeyRecord) -> Verification:
        known = self._known = replace(self._known, is_testing=key.is_testing)
        if objection := key.why_not(signature.algorithm):
            return self._with(Result.PERMERROR, objection)
        if key.is_strict and not signature.has_own_domain:
            return self._with(Result.PERMERROR, "the key is not for i= below d=")
        if not key.verify(self._digest, signature.octets):
            return self._with(Result.FAIL, "the header was changed, or this was signed with another key")
        return self._with(Result.POLICY, self._policy) if self._policy else known

    def _with(self, result: Result, reason: str) -> Verification:
        return replace(self._known, result=result, reason=reason)


class Verifier:
    """Takes a message in pieces. After the last one `finish` has a case for each of its signatures, from the top.

    Args:
        max_signatures: what is beyond is not looked at (POLICY).
        max_header_bytes: of a message with a longer header nothing is looked at (POLICY).
        allow_unsigned_body: content behind the length that is signed (`l=`) is no reason for POLICY.
        clock: gives the time, with its zone.

    Raises:
        ConfigurationError: without smtpx[dkim].
    """

    def __init__(
        self,
        *,
        max_signatures: int = _MAX_SIGNATURES,
        max_header_bytes: int = _MAX_HEADER_BYTES,
        allow_unsigned_body: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        require_cryptography()
        self._max_signatures = max_signatures
        self._max_header_bytes = max_header_bytes
        self._allow_unsigned_body = allow_unsigned_body
        self._clock = clock
        self._header = Header()
        self._is_too_long = False
        self._fields: list[Field] = []
        self._found: list[Signature | Verification] | None = None  # None: the header is not over
        self._bodies: dict[tuple[bool, int | None], BodyHash] = {}

    def feed(self, piece: bytes) -> None:
        """The next piece, of any size; lines end in CRLF."""
        if self._is_too_long:
            return
        octets = self._header.feed(piece)
        if self._found is None:
            half_an_end = 0 if self._header.is_complete else 1  # a CR may be the beginning of the empty line
            self._is_too_long = len(self._header.octets) > self._max_header_bytes + half_an_end
            if self._is_too_long:
                self._header = Header()
            elif self._header.is_complete:
                self._found = self._read()
        if octets:
            for body in self._bodies.values():
                body.feed(octets)

    def finish(self) -> list[Case]:
        """The message is over. To be called once."""
        if self._is_too_long or len(self._header.octets) > self._max_header_bytes:
            reason = f"the header has more than {self._max_header_bytes} octets"
            return [_closed(Verification(result=Result.POLICY, reason=reason))]
        found = self._read() if self._found is None else self._found
        now = self._clock().timestamp()
        digests = {form: body.finish() for form, body in self._bodies.items()}
        return [_closed(each) if isinstance(each, Verification) else self._case(each, digests, now) for each in found]

    def _read(self) -> list[Signature | Verification]:
        self._fields = fields_of(bytes(self._header.octets))
        places = [place for place, (name, _) in enumerate(self._fields) if name == b"dkim-signature"]
        found = [self._read_one(place) for place in places[: self._max_signatures]]
        for signature in found:
            if isinstance(signature, Signature):
                form = signature.relaxes_body, signature.body_length
                self._bodies[form] = BodyHash(relaxed=form[0], max_octets=form[1])
        reason = f"not looked at: more than {self._max_signatures} signatures"
        return [*found, *([Verification(result=Result.POLICY, reason=reason)] * (len(places) - len(found)))]

    def _read_one(self, place: int) -> Signature | Verification:
        tags: dict[str, str] = {}
        try:
            tags = parse_tags(self._fields[place][1].partition(b":")[2].decode())
            return Signature.of(tags, place)
        except UnicodeDecodeError:
            return Verification(result=Result.NEUTRAL, reason="not UTF-8")
        except (TagError, UselessError) as error:
            result = Result.PERMERROR if isinstance(error, UselessError) else Result.NEUTRAL
            domain, selector = (escape(tags.get(name, "")) for name in "ds")
            return Verification(result=result, reason=str(error), domain=domain, selector=selector)

    def _case(self, signature: Signature, digests: dict[tuple[bool, int | None], bytes], now: float) -> Case:
        form = signature.relaxes_body, signature.body_length
        known = _told(signature, self._bodies[form].octets)
        if signature.expires_at is not None and signature.expires_at < now:
            return _closed(replace(known, result=Result.PERMERROR, reason="it has expired"))
        if signature.body_length is not None and signature.body_length > self._bodies[form].octets:
            return _closed(replace(known, result=Result.PERMERROR, reason="l= is more than there is"))
        if digests[form] != signature.digest:
            return _closed(replace(known, result=Result.FAIL, reason="the body was changed"))
        return Case(known, signature, signature.hashed(self._fields), policy=self._policy(signature, known))

    def _policy(self, signature: Signature, known: Verification) -> str:
        """What a good signature leaves open."""
        senders = sum(name == b"from" for name, _ in self._fields)
        if not 1 <= senders <= signature.names.count(b"from"):
            return "there is no From" if not senders else "there are more From fields than it signs"
        if known.unsigned_body_bytes and not self._allow_unsigned_body:
            return f"{known.unsigned_body_bytes} octets of the body are not signed"
        return ""


def _closed(known: Verification) -> Case:
    return Case(known, None, b"")


def _told(signature: Signature, body_octets: int) -> Verification:
    length = signature.body_length
    return Verification(
        result=Result.PASS,
        domain=signature.domain,
        selector=signature.selector,
        identity=signature.identity,
        algorithm=signature.algorithm,
        signed_headers=tuple(name.decode() for name in signature.names),
        signed_at=_moment(signature.signed_at),
        expires_at=_moment(signature.expires_at),
        body_length=length,
        unsigned_body_bytes=0 if length is None else max(body_octets - length, 0),
    )


def _moment(seconds: int | None) -> datetime | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # beyond the calendar, or what the platform takes
        return None


def verify(
    octets: Octets, get_key: Callable[[str], str | None], *, verifier: Verifier | None = None
) -> list[Verification]:
    """What is known of each signature of a message, from the top; an empty list if it has none.

    Whatever the message holds, this does not raise. A body of any size takes constant memory.

    Args:
        octets: the message, whole or in pieces; its lines end in CRLF.
        get_key: is given a name such as `mail._domainkey.example.org` and returns the text of its TXT record, the
            strings of it joined, or None if there is none. If that can't be known now it raises an OSError, such as a
            TimeoutError: TEMPERROR. Any other exception comes through. It is not asked where the body was changed.
        verifier: one with limits of your own, not used before.

    Raises:
        ConfigurationError: without smtpx[dkim].
    """
    verifier = verifier or Verifier()
    for piece in pieces_of(octets):
        verifier.feed(piece)
    return [_verdict(case, get_key) for case in verifier.finish()]


def _verdict(case: Case, get_key: Callable[[str], str | None]) -> Verification:
    try:
        return case.judge(None if case.record_name is None else get_key(case.record_name))
    except OSError as error:
        return case.postpone(_why(error))


async def averify(
    octets: Octets | AsyncIterable[bytes],
    get_key: Callable[[str], Awaitable[str | None]],
    *,
    verifier: Verifier | None = None,
) -> list[Verification]:
    """`verify`, where the record, and perhaps the message, has to be waited for. One name is asked after the other."""
    verifier = verifier or Verifier()
    if isinstance(octets, AsyncIterable):
        async for piece in octets:
            verifier.feed(piece)
    else:
        for piece in pieces_of(octets):
            verifier.feed(piece)
    return [await _averdict(case, get_key) for case in verifier.finish()]


async def _averdict(case: Case, get_key: Callable[[str], Awaitable[str | None]]) -> Verification:
    try:
        return case.judge(None if case.record_name is None else await get_key(case.record_name))
    except OSError as error:
        return case.postpone(_why(error))


def _why(error: OSError) -> str:
    return f"the key can't be had now: {escape(str(error)) or type(error).__name__}"
