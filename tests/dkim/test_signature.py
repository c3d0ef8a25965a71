"""What a DKIM-Signature field says, and what is wrong with it."""

import hashlib

import pytest

from smtpx.dkim.header import fields_of
from smtpx.dkim.signature import Signature, UselessError
from smtpx.dkim.tags import TagError, parse_tags

BH = "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="
GOOD = {"v": "1", "a": "rsa-sha256", "d": "example.org", "s": "mail", "h": "From:To", "bh": BH, "b": "YQ=="}


def of(**tags: str | None) -> Signature:
    return Signature.of({name: value for name, value in {**GOOD, **tags}.items() if value is not None}, 0)


def test_the_least() -> None:
    found = of()
    assert (found.algorithm, found.domain, found.selector) == ("rsa-sha256", "example.org", "mail")
    assert (found.identity, found.has_own_domain) == ("@example.org", True)
    assert found.names == (b"from", b"to")
    assert (len(found.digest), found.octets) == (32, b"a")
    assert not found.relaxes_header
    assert not found.relaxes_body
    assert (found.body_length, found.signed_at, found.expires_at) == (None, None, None)
    assert found.record_name == "mail._domainkey.example.org"


def test_everything() -> None:
    found = of(
        **{"a": "ed25519 -\r\n sha256", "c": "Relaxed / simple", "d": "B\u00fccher.Example", "s": "a.b_c"},
        **{"i": "m=C3=BC=3bx\r\n @mail.b\u00fccher.example", "l": "12", "t": "100", "x": "101"},
        **{"h": " From\r\n : \tx ", "q": "x : DNS/txt", "z": "From:x", "new": "x"},
    )
    assert (found.algorithm, found.relaxes_header, found.relaxes_body) == ("ed25519-sha256", True, False)
    assert (found.domain, found.selector) == ("xn--bcher-kva.example", "a.b_c")
    assert (found.identity, found.has_own_domain) == ("m\u00fc;x@mail.xn--bcher-kva.example", False)
    assert (found.body_length, found.signed_at, found.expires_at) == (12, 100, 101)
    assert found.names == (b"from", b"x")
    assert not of(c="relaxed").relaxes_body


@pytest.mark.parametrize("name", GOOD)
def test_what_is_missing(name: str) -> None:
    for value in (None, ""):
        with pytest.raises(TagError, match=f"there is no {name}="):
            of(**{name: value})


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"v": "2"}, "unknown version 2"),
        ({"v": "1\x7f" * 50}, "unknown version"),
        ({"a": "rsa-sha512"}, "unknown algorithm rsa-sha512"),
        ({"c": "nowsp"}, "unknown canonicalization nowsp"),
        ({"c": "simple/nofws"}, "unknown canonicalization"),
        ({"c": "simple/simple/simple"}, "unknown canonicalization"),
        ({"d": "example..org"}, "d= is no name of the DNS"),
        ({"d": "xn--\u00fc"}, "d= is no name of the DNS"),
        ({"d": "[127.0.0.1]"}, "d= is no name of the DNS"),
        ({"d": "a/../b"}, "d= is no name of the DNS"),
        ({"d": "." * 100_000}, "d= is no name of the DNS"),
        ({"s": "a b"}, "s= is no name of the DNS"),
        ({"s": ".".join(["a" * 60] * 4)}, "too long for the DNS"),
        ({"i": "example.org"}, "i= is no address"),
        ({"i": "me@"}, "i= is no name"),
        ({"h": "From::To"}, "h= has an empty name"),
        ({"h": "From:"}, "h= has an empty name"),
        ({"bh": "!"}, "bh= is not base64"),
        ({"bh": "YQ=="}, "bh= is no SHA-256"),
        ({"b": "YQ"}, "b= is not base64"),
        ({"l": "-1"}, "l= is no number"),
        ({"l": ""}, "l= is no number"),
        ({"l": "\u0661"}, "l= is no number"),
        ({"l": "1" * 77}, "l= is no number"),
        ({"t": "1e5"}, "t= is no number"),
        ({"x": "now"}, "x= is no number"),
        ({"t": "100", "x": "100"}, "x= is not later than t="),
    ],
)
def test_what_can_not_be_read(tags: dict[str, str], reason: str) -> None:
    with pytest.raises(TagError, match=reason):
        of(**tags)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"a": "rsa-sha1"}, "rsa-sha1 proves nothing"),
        ({"a": "RSA-SHA1"}, "rsa-sha1 proves nothing"),
        ({"i": "me@example.com"}, "i= is not within d="),
        ({"i": "me@notexample.org"}, "i= is not within d="),
        ({"i": "@org"}, "i= is not within d="),
        ({"h": "To:Subject"}, "From is not signed"),
        ({"h": "X-From"}, "From is not signed"),
        ({"q": "http"}, "the key is not in the DNS"),
    ],
)
def test_rfc_6376_6_1_1_what_can_not_be_good(tags: dict[str, str], reason: str) -> None:
    with pytest.raises(UselessError, match=reason):
        of(**tags)


@pytest.mark.parametrize(
    ("field", "hashed"),
    [
        (" v=1; b=abc; d=x", " v=1; b=; d=x"),
        (" v=1; d=x; b = abc\r\n def ", " v=1; d=x; b ="),
        ("\r\n b=\r\n\tabc=\r\n\t;bh=b=", "\r\n b=;bh=b="),
        (" bh=b=c;b=d;", " bh=b=c;b=;"),
    ],
)
def test_rfc_6376_3_7_what_is_hashed(field: str, hashed: str) -> None:
    fields = fields_of(f"To: x\r\nDKIM-Signature:{field}\r\nFrom: y\r\nDKIM-Signature: z\r\n".encode())
    simple = Signature.of({**GOOD, "h": "from:dkim-signature:to:dkim-signature"}, 1)
    expected = f"From: y\r\nDKIM-Signature: z\r\nTo: x\r\nDKIM-Signature:{hashed}".encode()
    assert simple.hashed(fields) == hashlib.sha256(expected).digest()


def test_it_is_read_from_tags() -> None:
    text = "; ".join(f"{name}={value}" for name, value in GOOD.items())
    assert Signature.of(parse_tags(text), 0) == of()
