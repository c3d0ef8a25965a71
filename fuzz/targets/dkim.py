"""DKIM: a verifier never raises, cuts change nothing, only the owner of a key passes, and what is signed is good."""

import base64
import contextlib
import hashlib
from datetime import UTC, datetime

from fuzz.source import Source, cut
from smtpx.dkim import Key, KeyRecord, Result, Signer, Verification, Verifier, verify
from smtpx.dkim.canonical import Body

TOKENS = (
    *(
        b"DKIM-Signature:",
        b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=example.org; s=mail;",
        b"h=from:to;",
    ),
    *(b"a=ed25519-sha256;", b"a=rsa-sha1;", b"c=simple;", b"l=0;", b"l=99999999999;", b"x=1;", b"t=1;", b"q=dns/txt;"),
    *(b"i=me@mail.example.org;", b"i==40example.org;", b"bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;", b"b=YQ==;"),
    *(b"From: a@example.org\r\n", b"\r\n\r\n", b"\r\n ", b"\r\n", b"\r", b"\n", b" \t", b";", b"=", b":", b"\xc3\xbc"),
    *(
        b"v=DKIM1; k=rsa; p=",
        b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        b"t=y:s;",
        b"h=sha256;",
    ),
)
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_FORMS = ("relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple")
# A key of the fuzzer's own: the octets of its inputs are no secret, but nothing in them makes its signature.
_KEY = Key.read(
    b"-----BEGIN PRIVATE KEY-----\n"
    b"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    b"-----END PRIVATE KEY-----\n"
)


def target(data: bytes) -> None:
    """Control octets: how it is cut, what to try, and for that the form or the key."""
    source = Source(data)
    seed, what, choice = source.pick(256), source.pick(3), source.pick(4)
    octets = source.rest()
    if what == 0:
        _verify(octets, seed, choice)
    elif what == 1:
        _sign(octets, seed, _FORMS[choice])
    else:
        _read(octets.decode("utf-8", "surrogateescape"))


def _verified(pieces: list[bytes], record: str | None) -> list[Verification]:
    verifier = Verifier(max_signatures=3, max_header_bytes=1500, clock=lambda: _NOW)
    return verify(pieces, lambda name: record, verifier=verifier)


def _verify(octets: bytes, seed: int, choice: int) -> None:
    """Behind NUL there may be a key record; without one it is that of the key above."""
    message, _, text = octets.partition(b"\0")
    record = (text.decode("utf-8", "surrogateescape") or _KEY.dns_record(), None)[choice == 3]
    found = _verified(cut(message, seed), record)
    assert _verified([message], record) == found, "the cut changes something"
    for each in found:
        _check(each)
        if each.is_pass and each.body_length is None:
            assert _names_its_hash(message), "good with another body"
        assert record is not None or each.result is not Result.PASS, "good without a key"
    assert len(found) <= max(message.lower().count(b"dkim-signature"), 1)


def _names_its_hash(message: bytes) -> bool:
    """Whether the header has the hash of one of the two forms of the body."""
    header, _, body = message.partition(b"\r\n\r\n")
    forms = (hashlib.sha256(_plain(body, relaxed=relaxed)).digest() for relaxed in (True, False))
    return any(base64.b64encode(each) in b"".join(header.split()) for each in forms)


def _check(found: Verification) -> None:
    assert found.is_pass == (found.result is Result.PASS)
    assert bool(found.reason) != found.is_pass
    for text in (found.reason, found.domain, found.selector):
        assert text.isascii()
        assert not text or text.isprintable()
        assert len(text) < 400
    if found.is_pass:
        assert "from" in found.signed_headers
        assert found.identity.endswith(found.domain)
        assert not found.unsigned_body_bytes


def _sign(octets: bytes, seed: int, form: str) -> None:
    signer = Signer(
        "example.org", "mail", _KEY, canonicalization=form, oversign=("From", "Subject"), clock=lambda: _NOW
    )
    try:
        field = signer.signature(cut(octets, seed))
    except ValueError:
        return  # no From, or nothing that a field may stand in front of
    assert all(len(line) <= 78 for line in field.split(b"\r\n")) or len(field) > 500
    header, empty, body = (b"\r\n" + octets).partition(b"\r\n\r\n")
    if not empty and not octets.endswith(b"\r\n"):
        octets += b"\r\n"  # as SMTP ends it
    (found, *_) = verify(
        field + octets, {signer.dns_name: _KEY.dns_record()}.get, verifier=Verifier(clock=lambda: _NOW)
    )
    assert found.is_pass, found.reason
    assert field not in header
    _check_form(body, seed, relaxed=form.endswith("relaxed"))


def _check_form(body: bytes, seed: int, *, relaxed: bool) -> None:
    written: list[bytes] = []
    canonical = Body(written.append, relaxed=relaxed)
    for piece in cut(body, seed):
        canonical.feed(piece)
    canonical.finish()
    assert b"".join(written) == _plain(body, relaxed=relaxed), "not the canonical form"


def _plain(body: bytes, *, relaxed: bool) -> bytes:
    """RFC 6376 3.4.3 and 3.4.4, line by line."""
    lines = body.split(b"\r\n")
    if relaxed:
        lines = [b" ".join(_words(line)) for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines) if lines or relaxed else b"\r\n"


def _words(line: bytes) -> list[bytes]:
    words = [word for word in line.replace(b"\t", b" ").split(b" ") if word]
    return [b"", *words] if words and line[:1] in b" \t" else words


def _read(text: str) -> None:
    try:
        record = KeyRecord.parse(text)
    except ValueError as error:
        assert str(error).isprintable()
        return
    assert record.is_revoked == (not record.octets)
    if record.why_not("rsa-sha256") is None:
        again = KeyRecord.parse(str(record))
        assert again == record, "not the same when read again"
        with contextlib.suppress(ValueError):  # no key
            assert not record.verify(bytes(32), b"no signature")
