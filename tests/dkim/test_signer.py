"""What is signed, how the field looks, and that it is over the octets that are sent."""

import base64
import hashlib
import re
import tracemalloc
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smtpx.dkim import DEFAULT_HEADERS, Key, Signer, verify
from smtpx.dkim.tags import parse_tags
from smtpx.errors import ConfigurationError
from smtpx.message.sendable import Sendable
from tests.dkim.bodies import MESSAGE, Letter

KEY = Key.generate("ed25519")
RSA = Key.generate("rsa")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def signer(**options: Any) -> Signer:  # noqa: ANN401
    options.setdefault("clock", lambda: NOW)
    return Signer(options.pop("domain", "example.org"), options.pop("selector", "mail"), KEY, **options)


def tags_of(field: bytes) -> dict[str, str]:
    return parse_tags(field.decode().removeprefix("DKIM-Signature:"))


def names_of(field: bytes) -> list[str]:
    return re.sub(r"\s", "", tags_of(field)["h"]).split(":")


def records(*signers: Signer) -> dict[str, str]:
    return {each.dns_name: each.key.dns_record() for each in signers}


def is_good(octets: bytes | Iterable[bytes], *signers: Signer) -> bool:
    found = verify(octets, records(*signers).get)
    return len(found) == len(signers) and all(each.is_pass for each in found)


def joined(message: Sendable, *, eight_bit: bool = True, utf8: bool = False) -> bytes:
    return b"".join(message.octets(eight_bit=eight_bit, utf8=utf8))


def test_how_the_field_looks() -> None:
    field = signer(identity="me@example.org", expires_after=timedelta(days=7)).signature(MESSAGE)
    digest = re.escape(base64.b64encode(hashlib.sha256(b"Hello\r\n").digest()))
    assert re.fullmatch(
        rb"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.org;\r\n"
        rb" s=mail; t=1767225600; x=1767830400; i=me@example.org; h=from:from:subject\r\n"
        rb" :to; bh=" + digest + rb";\r\n"
        rb" b=[A-Za-z0-9+/]{72}\r\n [A-Za-z0-9+/=]{16}\r\n",
        field,
    ), field


@pytest.mark.parametrize("key", [KEY, RSA])
def test_it_is_the_same_each_time_and_in_any_pieces(key: Key) -> None:
    one = Signer("example.org", "mail", key, clock=lambda: NOW)
    field = one.signature(MESSAGE)
    assert one.signature(MESSAGE) == field
    assert one.signature(MESSAGE[i : i + 1] for i in range(len(MESSAGE))) == field
    assert max(map(len, field.split(b"\r\n"))) <= 78


def test_one_key_source_is_as_good_as_another(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(KEY.to_pem())
    fields = {
        Signer("example.org", "mail", source, clock=lambda: NOW).signature(MESSAGE)
        for source in (KEY, KEY.to_pem(), KEY.to_pem().decode(), tmp_path / "key.pem", str(tmp_path / "key.pem"))
    }
    assert len(fields) == 1


def test_a_callable_signs() -> None:
    asked: list[bytes] = []

    def sign(digest: bytes) -> bytes:
        asked.append(digest)
        return RSA.sign(digest)

    one = Signer("example.org", "mail", Key("rsa-sha256", sign, record=RSA.record))
    assert is_good(one.signature(MESSAGE) + MESSAGE, one)
    assert [len(each) for each in asked] == [32]


def test_every_field_of_a_name_is_signed_and_no_more_than_wanted() -> None:
    message = b"List-Id: x\r\nTo: a@x.example\r\nto: b@x.example\r\n" + MESSAGE
    assert names_of(signer().signature(message)) == ["from", "from", "subject", "to", "to", "to", "list-id"]
    assert names_of(signer(headers=(), oversign=()).signature(message)) == ["from"]
    assert names_of(signer(headers=("X-Other", "X-None"), oversign=("Cc", "to")).signature(message)) == [
        *("from", "x-other", "cc", "to", "to", "to", "to"),
    ]
    assert "Received" not in DEFAULT_HEADERS
    assert "Return-Path" not in DEFAULT_HEADERS


def test_rfc_8058_4_one_click_is_signed_by_itself() -> None:
    links = b"List-Unsubscribe: <https://example.org/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    names = ["from", "from", "list-unsubscribe", "list-unsubscribe-post"]
    assert names_of(signer(headers=()).signature(links + MESSAGE)) == names
    assert names_of(signer(headers=()).signature(links.partition(b"\n")[0] + b"\n" + MESSAGE)) == ["from", "from"]
    for name in names[2:]:
        assert name in names_of(signer().signature(links + MESSAGE))


def test_oversigning_catches_what_is_added() -> None:
    cautious = signer(oversign=("From", "Subject", "Cc", "Reply-To"))
    careless = signer(oversign=())
    for added in (
        b"From: x@evil.example\r\n",
        b"Subject: x\r\n",
        b"Cc: x@evil.example\r\n",
        b"Reply-To: x@e.example\r\n",
    ):
        assert not is_good(cautious.signature(MESSAGE) + added + MESSAGE, cautious)
    assert is_good(careless.signature(MESSAGE) + b"Cc: x@evil.example\r\n" + MESSAGE, careless)


@pytest.mark.parametrize(
    "message", [b"", b"\r\n", b"\r\nFrom: a@example.org\r\n", b"Subject: x\r\n\r\n", b"From\r\n\r\n"]
)
def test_a_message_without_from(message: bytes) -> None:
    with pytest.raises(ValueError, match="a message without From can't be signed"):
        signer().signature(message)


@pytest.mark.parametrize("start", [b" ", b"\t", b" x\r\n", b" \r\n"])
def test_a_message_that_would_continue_the_signature(start: bytes) -> None:
    with pytest.raises(ValueError, match="begins with white space"):
        signer().signature(start + MESSAGE)


@pytest.mark.parametrize(
    "message", [b"From: a@example.org", b"From: a@example.org\r\n", b"From: a@example.org\r\n\r\n"]
)
def test_a_message_without_a_body(message: bytes) -> None:
    for form in ("relaxed/relaxed", "simple/simple"):
        one = signer(canonicalization=form)
        ended = message if message.endswith(b"\n") else message + b"\r\n"
        assert is_good(one.signature(message) + ended, one)


def test_the_tags_one_may_leave_out() -> None:
    assert tags_of(signer(timestamp=False).signature(MESSAGE)).keys() == {"v", "a", "c", "d", "s", "h", "bh", "b"}
    with pytest.warns(UserWarning, match="with body_length anybody may add to the message"):
        one = signer(body_length=True, canonicalization="simple/relaxed")
    field = one.signature(MESSAGE + b" \r\n\r\n")
    assert tags_of(field)["l"] == "7"
    assert tags_of(field)["c"] == "simple/relaxed"


@pytest.mark.parametrize(
    ("identity", "written"),
    [
        ("me@example.org", "me@example.org"),
        ("@example.org", "@example.org"),
        ("me@News.Example.org", "me@news.example.org"),
        ('"a;b = c"@example.org', '"a=3Bb=20=3D=20c"@example.org'),
        ("\u00fc@example.org", "=C3=BC@example.org"),
    ],
)
def test_identities(identity: str, written: str) -> None:
    one = signer(identity=identity)
    field = one.signature(MESSAGE)
    assert tags_of(field)["i"] == written
    (found,) = verify(field + MESSAGE, records(one).get)
    assert found.is_pass
    assert found.identity.lower() == identity.lower()


def test_rfc_8616_names_in_unicode() -> None:
    one = signer(domain="B\u00fccher.example", identity="me@mail.b\u00fccher.example")
    assert one.domain == "xn--bcher-kva.example"
    assert one.dns_name == "mail._domainkey.xn--bcher-kva.example"
    assert tags_of(one.signature(MESSAGE))["i"] == "me@mail.xn--bcher-kva.example"
    assert repr(one) == "<Signer mail._domainkey.xn--bcher-kva.example ed25519-sha256>"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"domain": ""}, "the domain is no name of the DNS"),
        ({"domain": "a b"}, "the domain is no name"),
        ({"domain": "example.org."}, "the domain is no name"),
        ({"domain": "[127.0.0.1]"}, "the domain is no name"),
        ({"domain": "x;d=evil.example"}, "the domain is no name"),
        ({"domain": "xn--\u00fc.example"}, "not a domain name"),
        ({"domain": ".".join(["a" * 60] * 5)}, "no name of the DNS"),
        ({"domain": ".".join(["a" * 60] * 4)}, "the name of the record is no name of the DNS"),
        ({"selector": "a\r\nb"}, r"the selector is no name of the DNS: a\\x0d\\x0ab"),
        ({"selector": ""}, "the selector is no name"),
        ({"identity": "me@example.com"}, "the identity is an address in example.org"),
        ({"identity": "me@notexample.org"}, "the identity is an address in"),
        ({"identity": "example.org"}, "the identity is an address in"),
        ({"identity": "me@"}, "the domain is no name"),
        ({"canonicalization": "relaxed"}, "unknown canonicalization 'relaxed'"),
        ({"canonicalization": "relaxed/relaxed/simple"}, "unknown canonicalization"),
        ({"canonicalization": "nowsp/simple"}, "unknown canonicalization"),
        ({"headers": "From"}, "headers is a list of names of fields to sign, not 'From'"),
        ({"headers": ["To", "X:"]}, "headers is a list of names of fields to sign, not 'X:'"),
        ({"headers": ["DKIM-Signature"]}, "not 'DKIM-Signature'"),
        ({"oversign": ["a b"]}, "oversign is a list of names"),
        ({"oversign": [""]}, "oversign is a list of names"),
        ({"expires_after": timedelta(0)}, "good for a second at least"),
    ],
)
def test_settings_that_make_no_sense(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        signer(**options)


def test_signed_is_a_message_too() -> None:
    one, letter = signer(), Letter(MESSAGE)
    signed: Sendable = one.sign(letter)
    assert letter.written == []
    assert signed.message_id == "<1@example.org>"
    assert signed.posting() == letter.posting()
    octets = joined(signed)
    assert octets == one.signature(MESSAGE) + MESSAGE
    assert is_good(octets, one)


def test_a_small_message_is_written_once_and_signed_once() -> None:
    count: list[bytes] = []
    one = Signer("example.org", "mail", Key("ed25519-sha256", lambda it: count.append(it) or KEY.sign(it)))  # type: ignore[func-returns-value]
    letter = Letter(MESSAGE)
    signed = one.sign(letter)
    first = joined(signed)
    assert letter.written == [(True, False)]
    assert joined(signed) == first
    assert letter.written == [(True, False)] * 2
    assert len(count) == 1


def test_each_form_of_a_message_has_signatures_of_its_own_that_stay() -> None:
    clock = iter([NOW, NOW + timedelta(days=1)])
    one = signer(clock=lambda: next(clock))
    letter = Letter(size=100_000)
    signed = one.sign(letter)
    forms = {
        (eight_bit, utf8): joined(signed, eight_bit=eight_bit, utf8=utf8)
        for eight_bit in (True, False)
        for utf8 in (True, False)
    }
    for (eight_bit, utf8), octets in forms.items():
        assert is_good(octets, one)
        assert joined(signed, eight_bit=eight_bit, utf8=utf8) == octets
        assert b"t=1767225600;" in octets
    assert forms[True, False] != forms[False, False]
    assert b"t=1767312000;" in joined(one.sign(letter))


def test_several_signers() -> None:
    one, two, three = (
        signer(),
        Signer("example.org", "rsa", RSA),
        signer(selector="third", canonicalization="simple/simple"),
    )
    letter = Letter(MESSAGE)
    signed = three.sign(two.sign(one.sign(letter)))
    assert signed.inner is letter
    assert [each for each, _ in signed.signatories] == [three, two, one]
    octets = joined(signed)
    assert is_good(octets, three, two, one)
    assert octets.count(b"DKIM-Signature:") == 3
    assert letter.written == [(True, False)]


def test_a_signature_that_was_there_stays() -> None:
    other = signer(selector="other")
    before = other.signature(MESSAGE) + MESSAGE
    one = signer()
    octets = joined(one.sign(Letter(before)))
    assert octets.endswith(before)
    assert is_good(octets, one, other)


def test_without_from_nothing_gets_out() -> None:
    with pytest.raises(ValueError, match="without From"):
        signer().sign(Letter(b"To: x\r\n\r\n")).octets(eight_bit=True, utf8=True)


def test_100_megabytes_in_flat_memory() -> None:
    one, letter = signer(), Letter(size=100_000_000)
    signed = one.sign(letter)
    tracemalloc.start()
    try:
        found = verify(signed.octets(eight_bit=True, utf8=False), records(one).get)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [each.is_pass for each in found] == [True]
    assert letter.written == [(True, False)] * 2
    assert most < 2_000_000
