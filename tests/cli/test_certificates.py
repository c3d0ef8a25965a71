"""Certificates described, and their faults named."""

import datetime
from typing import NoReturn

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519

from smtpx.cli import certificates
from smtpx.cli.certificates import Problem, describe, problems_of
from tests.certificates import DAY, NOW, Authority

AUTHORITY = Authority()
KEY = dsa.generate_private_key(1024)  # noqa: S505 - that is the fault
GOOD = AUTHORITY.issue("mail.example.org", "*.example.net", "192.0.2.1", "2001:db8::1")


def names(*chain: bytes, host: str = "localhost", error: str | None = None) -> list[str]:
    return [each.name for each in problems_of(chain, host, error)]


def test_description() -> None:
    seen = describe(GOOD.der)
    assert seen.names == ("mail.example.org", "*.example.net", "192.0.2.1", "2001:db8::1")
    assert (seen.subject, seen.issuer) == ("CN=Test server", "CN=Test authority")
    assert (seen.key, seen.signature) == ("EC 256", "sha256")
    assert seen.not_before < datetime.datetime.now(datetime.UTC) < seen.not_after
    assert describe(AUTHORITY.issue(key=ed25519.Ed25519PrivateKey.generate()).der).key == "Ed25519 256"


@pytest.mark.parametrize(
    "fault", ["expired", "not_yet_valid", "wrong_name", "self_signed", "wrong_purpose", "weak_key"]
)
def test_each_fault_has_a_name(fault: str) -> None:
    assert names(AUTHORITY.faulty()[fault].der) == [fault]


def test_several_faults_are_all_named() -> None:
    everything = AUTHORITY.issue("x", begin=NOW - 9 * DAY, end=NOW - DAY, key=KEY).der
    assert names(everything, error="unable to get local issuer certificate") == [
        "expired",
        "weak_key",
        "wrong_name",
        "unknown_issuer",
    ]


def test_the_certificates_of_issuers_are_looked_at_too() -> None:
    old = AUTHORITY.issue("ca", end=NOW - DAY / 2).der
    (problem,) = problems_of([GOOD.der, old], "mail.example.org", None)
    assert problem.name == "expired"
    assert "(CN=Test server)" in problem.text


@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("mail.example.org", True),
        ("MAIL.example.org.", True),
        ("a.example.net", True),
        ("a.b.example.net", False),
        ("example.net", False),
        ("192.0.2.1", True),
        ("2001:db8:0::1", True),
        ("192.0.2.2", False),
    ],
)
def test_h045_names(host: str, good: bool) -> None:
    assert names(GOOD.der, host=host) == ([] if good else ["wrong_name"])


def test_what_openssl_says_is_told_when_nothing_else_explains_it() -> None:
    text = "the certificate is not good: certificate revoked"
    assert problems_of([GOOD.der], "mail.example.org", text) == [Problem("not_trusted", text)]
    assert problems_of([], "mail.example.org", None) == []


def test_not_a_certificate() -> None:
    assert names(b"garbage") == ["unreadable"]
    with pytest.raises(ValueError, match="error parsing"):
        describe(b"garbage")


def test_weak_signatures_and_what_can_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "_WEAK_HASHES", frozenset({"sha256"}))
    own = AUTHORITY.issue("localhost", self_signed=True).der
    assert names(AUTHORITY.issue("localhost").der, GOOD.der, own) == ["weak_signature", "weak_signature"]

    def unsupported(_: bytes) -> NoReturn:
        raise UnsupportedAlgorithm("strange key")

    monkeypatch.setattr(x509, "load_der_x509_certificate", unsupported)
    (problem,) = problems_of([GOOD.der], "localhost", None)
    assert problem == Problem("unreadable", "certificate 1 can't be read: strange key")
