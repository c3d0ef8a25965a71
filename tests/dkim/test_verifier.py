"""What becomes of a signature, whatever it, its key and its message look like."""

import tracemalloc
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import smtpx
from smtpx.dkim import Key, KeyRecord, Result, Signer, Verification, Verifier, averify, verify
from smtpx.server.body import Body

KEY = Key.generate("ed25519")
RSA = Key.generate("rsa", bits=1024)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAME = "mail._domainkey.example.org"
KEYS = {NAME: KEY.dns_record()}
MESSAGE = b"From: me@example.org\r\nTo: you@example.net\r\nSubject: Hi\r\n\r\nHello\r\n"


def sign(message: bytes = MESSAGE, key: Key = KEY, **options: Any) -> bytes:  # noqa: ANN401
    options.setdefault("clock", lambda: NOW)
    return Signer("example.org", "mail", key, **options).signature(message)


def one(octets: bytes | list[bytes], record: str | None = KEYS[NAME], **options: Any) -> Verification:  # noqa: ANN401
    options.setdefault("clock", lambda: NOW)
    (found,) = verify(octets, {NAME: record}.get, verifier=Verifier(**options))
    return found


def told(found: Verification) -> tuple[Result, str]:
    return found.result, found.reason


def test_what_a_pass_tells() -> None:
    found = one(sign(identity="me@mail.example.org", expires_after=timedelta(days=1)) + MESSAGE)
    assert found == Verification(
        result=Result.PASS,
        domain="example.org",
        selector="mail",
        identity="me@mail.example.org",
        algorithm="ed25519-sha256",
        signed_headers=("from", "from", "subject", "to"),
        signed_at=NOW,
        expires_at=NOW + timedelta(days=1),
    )
    assert found.is_pass


@pytest.mark.parametrize("message", [MESSAGE, b"", b"\r\n", b"x", b"\r\n\r\n", b"\n\n", b"DKIM-Signature\r\n\r\n"])
def test_no_signature(message: bytes) -> None:
    assert verify(message, _never) == []


def _never(name: str) -> str | None:
    raise AssertionError(name)


def test_a_header_without_a_body() -> None:
    header = b"From: me@example.org\r\n"
    for message in (header, header[:-2], header + b"\r\n"):
        assert one(sign(message) + message).is_pass


@pytest.mark.parametrize("size", [1, 2, 5, 70])
def test_in_pieces(size: int) -> None:
    signed = sign() + b"DKIM-Signature: v=1\r\n" + sign(canonicalization="simple/simple") + MESSAGE
    whole = verify(signed, KEYS.get)
    assert [each.result for each in whole] == [Result.PASS, Result.NEUTRAL, Result.PASS]
    assert verify((signed[i : i + size] for i in range(0, len(signed), size)), KEYS.get) == whole


def test_a_changed_body_asks_for_no_key() -> None:
    (found,) = verify(sign() + MESSAGE + b"x", _never)
    assert told(found) == (Result.FAIL, "the body was changed")
    assert found.domain == "example.org"


@pytest.mark.parametrize(
    ("record", "result", "reason"),
    [
        (None, Result.PERMERROR, "there is no key"),
        ("", Result.PERMERROR, "the key record: there is no p="),
        ("v=spf1 -all", Result.PERMERROR, "the key record: not a key record: it does not begin with v=DKIM1"),
        ("v=DKIM1; k=ed25519; p=", Result.PERMERROR, "the key was revoked"),
        ("v=DKIM1; k=ed25519; p=YQ==", Result.PERMERROR, "the key record: An Ed25519 public key is 32 bytes long"),
        (RSA.dns_record(), Result.PERMERROR, "the key is of another kind"),
        (KEYS[NAME] + "; s=other", Result.PERMERROR, "the key is not for e-mail"),
        (KEYS[NAME] + "; h=sha1", Result.PERMERROR, "the key is not for sha256"),
        (
            Key.generate("ed25519").dns_record(),
            Result.FAIL,
            "the header was changed, or this was signed with another key",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and "p=" not in value else "",  # keys differ from run to run
)
def test_keys(record: str | None, result: Result, reason: str) -> None:
    assert told(one(sign() + MESSAGE, record)) == (result, reason)


def test_rfc_8301_3_2_a_short_key() -> None:
    octets = bytes.fromhex("305c300d06092a864886f70d0101010500034b003048024100" + "c3" * 63 + "c50203010001")
    found = one(sign(key=RSA) + MESSAGE, str(KeyRecord(kind="rsa", octets=octets)))
    assert told(found) == (Result.PERMERROR, "the key record: an RSA key for DKIM has 1024 to 8192 bits, not 512")


def test_rfc_6376_3_6_1_flags_of_a_key() -> None:
    found = one(sign() + MESSAGE, KEYS[NAME] + "; t=y")
    assert found.is_pass
    assert found.is_testing
    assert one(sign() + MESSAGE.replace(b"Hi", b"Ho"), KEYS[NAME] + "; t=y").is_testing
    assert one(sign(identity="me@example.org") + MESSAGE, KEYS[NAME] + "; t=s").is_pass
    below = sign(identity="me@mail.example.org") + MESSAGE
    assert told(one(below, KEYS[NAME] + "; t=s")) == (Result.PERMERROR, "the key is not for i= below d=")


def test_time() -> None:
    signed = sign(expires_after=timedelta(minutes=1)) + MESSAGE
    assert one(signed, clock=lambda: NOW + timedelta(minutes=1)).is_pass
    late = one(signed, clock=lambda: NOW + timedelta(minutes=2))
    assert told(late) == (Result.PERMERROR, "it has expired")
    assert late.expires_at == NOW + timedelta(minutes=1)


def test_time_beyond_the_calendar() -> None:
    field = sign(expires_after=timedelta(minutes=1)).replace(b"x=1767225660", b"x=" + b"9" * 76)
    found = one(field + MESSAGE)
    assert (found.result, found.expires_at) == (Result.FAIL, None)


@pytest.mark.filterwarnings("ignore:with body_length")
def test_rfc_6376_8_2_a_part_of_the_body() -> None:
    signed = sign(body_length=True) + MESSAGE
    found = one(signed)
    assert (found.result, found.body_length, found.unsigned_body_bytes) == (Result.PASS, 7, 0)
    longer = one(signed + b"Buy  this!\r\n")
    assert told(longer) == (Result.POLICY, "11 octets of the body are not signed")
    assert longer.unsigned_body_bytes == 11
    allowed = one(signed + b"Buy this!\r\n", allow_unsigned_body=True)
    assert (allowed.result, allowed.unsigned_body_bytes) == (Result.PASS, 11)
    assert told(one(signed[:-3] + b"\r\n")) == (Result.PERMERROR, "l= is more than there is")


def test_nothing_of_the_body() -> None:
    """The strangest length of all: anything may stand there."""
    with pytest.warns(UserWarning, match="body_length"):
        signed = sign(MESSAGE[: -len(b"Hello\r\n")], body_length=True) + MESSAGE
    assert one(signed).result is Result.POLICY


def test_rfc_6376_8_15_another_from() -> None:
    careless = sign(oversign=()) + MESSAGE
    assert one(careless).is_pass
    added = one(b"From: boss@example.org\r\n" + careless)
    assert told(added) == (Result.POLICY, "there are more From fields than it signs")
    assert one(b"from : boss@example.org\r\n" + careless).result is Result.POLICY
    assert one(b"From: boss@example.org\r\n" + sign() + MESSAGE).result is Result.FAIL


def test_no_from_at_all() -> None:
    """Nobody makes such a one by `Signer`: `h=from` and no From hashes to the same as an empty list."""

    class Careless(Signer):
        def _signed_names(self, present: list[bytes]) -> list[bytes]:
            return [b"from"]

    message = MESSAGE.partition(b"\r\n")[2]
    field = Careless("example.org", "mail", KEY, clock=lambda: NOW).signature(message)
    assert told(one(field + message)) == (Result.POLICY, "there is no From")


def test_too_many_signatures() -> None:
    signed = sign() * 5 + MESSAGE
    found = verify(signed, KEYS.get, verifier=Verifier(max_signatures=3))
    assert [each.result for each in found] == [Result.PASS] * 3 + [Result.POLICY] * 2
    assert found[4].reason == "not looked at: more than 3 signatures"
    assert [each.is_pass for each in verify(sign() * 12 + MESSAGE, KEYS.get)].count(True) == 10


def test_too_long_a_header() -> None:
    signed = sign() + MESSAGE
    length = signed.index(b"\r\n\r\n") + 2
    assert one(signed, max_header_bytes=length).is_pass
    assert one([signed[i : i + 1] for i in range(len(signed))], max_header_bytes=length).is_pass
    for octets in (signed, signed[:length], signed[: length + 1], sign() + b"X: " + b"x" * 100_000):
        for pieces in (octets, [octets[i : i + 1] for i in range(len(octets))]):
            (found,) = verify(pieces, _never, verifier=Verifier(max_header_bytes=length - 1))
            assert told(found) == (Result.POLICY, f"the header has more than {length - 1} octets")


def test_an_endless_header_is_not_kept() -> None:
    verifier, piece = Verifier(), b"x" * 65_536
    tracemalloc.start()
    try:
        for _ in range(1600):
            verifier.feed(piece)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 2_000_000
    assert [case.judge(None).result for case in verifier.finish()] == [Result.POLICY]


@pytest.mark.parametrize(
    ("change", "result", "reason"),
    [
        (lambda it: it.replace(b"v=1", b"v=2"), Result.NEUTRAL, "unknown version 2"),
        (
            lambda it: it.replace(b"a=ed25519-sha256", b"a=rsa-sha1"),
            Result.PERMERROR,
            "rsa-sha1 proves nothing (RFC 8301)",
        ),
        (lambda it: it.replace(b" h=from:from", b" h=x"), Result.PERMERROR, "From is not signed"),
        (lambda it: it.replace(b"s=mail", b"s=mail; s=mail"), Result.NEUTRAL, "the tag s= comes twice"),
        (lambda it: it.replace(b"s=mail", b"s=mail; i=a@evil.example"), Result.PERMERROR, "i= is not within d="),
        (lambda it: it.replace(b"s=mail", b"s=mail; x=\xff"), Result.NEUTRAL, "not UTF-8"),
        (
            lambda it: it.replace(b"s=mail", b"s=mail; x=\0"),
            Result.NEUTRAL,
            r"a character that has no place there: \x00",
        ),
        (lambda it: it.replace(b"b=", b"b=!", 1).replace(b"\n b=", b"\n b=!"), Result.NEUTRAL, None),
        (lambda it: it.replace(b"\r\n", b"\n"), Result.NEUTRAL, "b= is not base64"),
        (lambda it: b"DKIM-Signature: " + b"a" * 200_000 + b"\r\n", Result.NEUTRAL, "not a tag: " + "a" * 40 + "..."),
        (lambda it: b"DKIM-Signature:" + b"a=;" * 60_000 + b"\r\n", Result.NEUTRAL, "the tag a= comes twice"),
        (lambda it: b"DKIM-Signature:\r\n", Result.NEUTRAL, "there is no v="),
        (lambda it: it.replace(b"h=from", b"h=" + b"x:" * 100_000 + b"from"), Result.FAIL, None),
        (lambda it: it[:-3] + b"\r\n", Result.NEUTRAL, "b= is not base64"),
        (lambda it: it.replace(b"\n b=", b"\n b=AAAA"), Result.FAIL, None),
    ],
)
def test_hostile_fields(change: Callable[[bytes], bytes], result: Result, reason: str | None) -> None:
    field = sign(canonicalization="simple/simple")
    changed = change(field)
    assert changed != field
    found = one(changed + MESSAGE)
    assert found.result is result
    assert reason is None or found.reason == reason
    assert found.reason.isprintable()


def test_what_can_be_read_of_a_bad_one_is_told() -> None:
    found = one(sign().replace(b"v=1", b"v=9").replace(b"s=mail", b"s=" + b"m" * 500) + MESSAGE)
    assert (found.result, found.domain, found.selector) == (Result.NEUTRAL, "example.org", "m" * 64 + "...")


@given(st.lists(st.sampled_from([*b"abvdhst=;: \r\n\x00\xff", 0x2D])), st.binary(max_size=60))
def test_noise_never_raises(noise: list[int], more: bytes) -> None:
    field = b"DKIM-Signature: v=1; a=rsa-sha256; d=x; s=y; h=from; bh=" + bytes(noise) + more
    for octets in (field, field + b"\r\n" + MESSAGE, sign()[: len(noise) * 8] + more + MESSAGE):
        for found in verify(octets, KEYS.get):
            assert not found.is_pass


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError(), "the key can't be had now: TimeoutError"),
        (OSError("no\nservers"), r"the key can't be had now: no\x0aservers"),
    ],
)
async def test_a_key_that_can_not_be_had_now(error: OSError, reason: str) -> None:
    def get_key(name: str) -> str | None:
        assert name == NAME
        raise error

    async def aget_key(name: str) -> str | None:
        return get_key(name)

    (found,) = verify(sign() + MESSAGE, get_key)
    assert told(found) == (Result.TEMPERROR, reason)
    assert await averify(sign() + MESSAGE, aget_key) == [found]


def test_other_exceptions_of_the_caller_come_through() -> None:
    with pytest.raises(AssertionError, match=NAME):
        verify(sign() + MESSAGE, _never)


def test_a_closed_case_stays() -> None:
    verifier = Verifier()
    verifier.feed(sign() + MESSAGE + b"x")
    (case,) = verifier.finish()
    assert case.record_name is None
    assert case.judge(KEYS[NAME]) == case.judge(None) == case.postpone("x")
    assert case.judge(None).result is Result.FAIL


async def test_asynchronously() -> None:
    signed = sign() + MESSAGE

    async def aget_key(name: str) -> str | None:
        return KEYS.get(name)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(signed), 9):
            yield signed[start : start + 9]

    expected = verify(signed, KEYS.get)
    assert [each.is_pass for each in expected] == [True]
    for octets in (signed, [signed[:50], signed[50:]], pieces()):
        assert await averify(octets, aget_key) == expected
    (changed,) = await averify(signed + b"x", aget_key, verifier=Verifier())
    assert changed.result is Result.FAIL


@pytest.mark.parametrize("chunking", [True, False])
@pytest.mark.parametrize("form", ["relaxed/relaxed", "simple/simple"])
@pytest.mark.parametrize("body", [b"", b"Hello", b"Hello \r\n", b".\r\n..\r\n", b"x\r\n\r\n\r\n", b"\xff \t\r\n"])
def test_what_is_signed_is_what_arrives(body: bytes, form: str, *, chunking: bool) -> None:
    """By DATA, which ends the last line, and by BDAT, which does not. The body of a session is a stream to verify."""
    found: list[Verification] = []

    class Inbox(smtpx.Session):
        async def data(self, body: Body) -> None:
            found.extend(await averify(body, self.get_key))

        async def get_key(self, name: str) -> str | None:
            return KEYS.get(name)

    message = MESSAGE[: -len(b"Hello\r\n")] + body
    extensions = [each for each in smtpx.STANDARD if chunking or each.keyword not in ("CHUNKING", "BINARYMIME")]
    with smtpx.ServerThread(Inbox, port=0, extensions=extensions) as server:
        octets = sign(message, canonicalization=form) + message
        result = smtpx.send(server.url, octets, sender="me@example.org", recipients=["you@example.net"])
    assert result.used_chunking is chunking
    assert [each.result for each in found] == [Result.PASS]
