"""Key records, read and written."""

import pytest

from smtpx.dkim import Key, KeyRecord, zone_text
from smtpx.dkim.records import record_name

P = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_round_trip(kind: str) -> None:
    record = Key.generate(kind).record  # type: ignore[arg-type]  # a parameter is any str
    assert str(record).startswith(f"v=DKIM1; k={kind}; p=")
    assert KeyRecord.parse(str(record)) == record
    assert record.why_not(f"{kind}-sha256") is None


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_it_verifies(kind: str) -> None:
    key = Key.generate(kind)  # type: ignore[arg-type]  # a parameter is any str
    digest = bytes(range(32))
    assert key.record.verify(digest, key.sign(digest))
    assert not key.record.verify(bytes(32), key.sign(digest))
    with pytest.raises(ValueError, match="key"):
        KeyRecord(kind=kind, octets=b"x").verify(digest, b"")


def test_round_trip_of_everything() -> None:
    record = KeyRecord(
        kind="rsa", octets=b"", hashes=("sha256", "sha1"), services=("email", "x"), is_testing=True, is_strict=True
    )
    assert str(record) == "v=DKIM1; k=rsa; h=sha256:sha1; s=email:x; t=y:s; p="
    assert KeyRecord.parse(str(record)) == record
    assert str(KeyRecord(kind="rsa", octets=b"a", is_strict=True)) == "v=DKIM1; k=rsa; t=s; p=YQ=="


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p=YQ==", KeyRecord(kind="rsa", octets=b"a")),
        (" v = DKIM1 ; p = Y Q == ; n=a note; new=x", KeyRecord(kind="rsa", octets=b"a")),
        ("v=DKIM1; k=ED25519; p=YQ==;", KeyRecord(kind="ed25519", octets=b"a")),
        ("p=YQ==; t= s : y : z", KeyRecord(kind="rsa", octets=b"a", is_testing=True, is_strict=True)),
        ("p=YQ==; h=SHA256; s=Email", KeyRecord(kind="rsa", octets=b"a", hashes=("sha256",), services=("email",))),
        ("p=", KeyRecord(kind="rsa", octets=b"")),
    ],
)
def test_what_is_published(text: str, expected: KeyRecord) -> None:
    record = KeyRecord.parse(text)
    assert record == expected
    assert record.is_revoked == (not expected.octets)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "there is no p="),
        ("v=DKIM1; k=rsa", "there is no p="),
        ("v=DKIM2; p=YQ==", "does not begin with v=DKIM1"),
        ("p=YQ==; v=DKIM1", "does not begin with v=DKIM1"),
        ("v=spf1 -all", "does not begin with v=DKIM1"),
        ("google-site-verification", "not a tag"),
        ("p=YQ==; p=YQ==", "comes twice"),
        ("p=!", "p= is not base64"),
        ("p=\u00fc", "p= is not base64"),
        ("p=" + "A" * 20_000, "too long"),
    ],
)
def test_what_is_no_record(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        KeyRecord.parse(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"k=ed25519; p={P}", None),
        (f"k=ed25519; p={P}; s=*; h=sha1:sha256", None),
        ("k=ed25519; p=", "the key was revoked"),
        (f"k=rsa; p={P}", "the key is of another kind"),
        (f"p={P}", "the key is of another kind"),
        (f"k=ed25519; p={P}; h=sha1", "the key is not for sha256"),
        (f"k=ed25519; p={P}; h=", "the key is not for sha256"),
        (f"k=ed25519; p={P}; s=tlsrpt", "the key is not for e-mail"),
    ],
)
def test_what_it_may_be_used_for(text: str, reason: str | None) -> None:
    assert KeyRecord.parse(text).why_not("ed25519-sha256") == reason


def test_a_zone_file() -> None:
    record = Key.generate("rsa").dns_record()
    text = zone_text(record)
    strings = text.strip('"').split('" "')
    assert "".join(strings) == record
    assert [len(each) for each in strings] == [255, len(record) - 255]
    assert zone_text("v=DKIM1; p=") == '"v=DKIM1; p="'
    assert record_name("example.org", "a.b") == "a.b._domainkey.example.org"
