"""Certificates in files: their life, and whether somebody replaced them."""

import contextlib
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from smtpx.errors import ConfigurationError
from smtpx.net.certificates import CertificateFiles, Validity, fingerprint, first_certificate, validity

BEGIN = datetime(2020, 2, 29, 23, 59, 58, tzinfo=UTC)
END = datetime(2051, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def pem() -> bytes:
    return trustme.CA().issue_cert("x", not_before=BEGIN, not_after=END).cert_chain_pems[0].bytes()


@pytest.fixture
def files(tmp_path: Path, pem: bytes) -> CertificateFiles:
    (tmp_path / "chain.pem").write_bytes(b"a comment\n" + pem + trustme.CA().cert_pem.bytes())
    return CertificateFiles.of(str(tmp_path / "chain.pem"))


def test_rfc5280_4_1_2_5_both_forms_of_a_time(pem: bytes) -> None:
    """Dates up to 2049 are UTCTime, later ones GeneralizedTime."""
    life = validity(ssl.PEM_cert_to_DER_cert(pem.decode()))
    assert life == Validity(BEGIN.timestamp(), END.timestamp())
    assert str(life) == "from 2020-02-29 23:59:58 to 2051-01-02 03:04:05 UTC"


def test_the_first_one_of_a_chain_is_the_servers_own(files: CertificateFiles, pem: bytes) -> None:
    assert first_certificate(files.certificate) == ssl.PEM_cert_to_DER_cert(pem.decode())


def test_the_previous_century(pem: bytes) -> None:
    der = ssl.PEM_cert_to_DER_cert(pem.decode()).replace(b"200229235958Z", b"500229235958Z")
    der = der.replace(b"500229", b"500228")
    assert datetime.fromtimestamp(validity(der).not_before, UTC).year == 1950


def version_1(der: bytes) -> bytes:
    """A certificate as it was before it had a version: nobody checks the signature here."""
    from smtpx.net.channel_binding import element, inside

    rest = element(inside(inside(der, 0x30), 0x30))[1]
    body = b"\x30\x82" + len(rest).to_bytes(2) + rest
    return b"\x30\x82" + len(body).to_bytes(2) + body


def test_a_certificate_without_a_version(pem: bytes) -> None:
    der = version_1(ssl.PEM_cert_to_DER_cert(pem.decode()))
    assert validity(der).not_after == END.timestamp()


def test_damaged_at_every_octet(pem: bytes) -> None:
    der = ssl.PEM_cert_to_DER_cert(pem.decode())
    for cut in range(0, len(der), 7):
        with pytest.raises(ValueError, match="not"):
            validity(der[:cut])
    for place in range(0, 200):
        damaged = bytearray(der)
        damaged[place] ^= 0xFF
        with contextlib.suppress(ValueError):
            assert isinstance(validity(bytes(damaged)), Validity)


@pytest.mark.parametrize("wrong", [b"200229235958+", b"2002292359580", b"201329235958Z"])
def test_times_that_are_none(pem: bytes, wrong: bytes) -> None:
    der = ssl.PEM_cert_to_DER_cert(pem.decode())
    with pytest.raises(ValueError):  # noqa: PT011 - whoever finds out
        validity(der.replace(b"200229235958Z", wrong))
    with pytest.raises(ValueError, match="not a time"):
        validity(der.replace(b"\x17\x0d200229235958Z", b"\x16\x0d200229235958Z"))


def test_in_force(files: CertificateFiles) -> None:
    assert files.check_validity() == END.timestamp()
    assert files.check_validity(BEGIN.timestamp()) == END.timestamp()


@pytest.mark.parametrize(
    ("now", "what"),
    [
        (BEGIN - timedelta(seconds=1), r"chain\.pem is not valid yet: it is good from 2020-02-29"),
        (END + timedelta(seconds=1), r"chain\.pem has expired: it is good from .* to 2051-01-02 03:04:05 UTC"),
    ],
)
def test_not_in_force(files: CertificateFiles, now: datetime, what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        files.check_validity(now.timestamp())


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "can't read certificate .*: .*No such file"),
        (b"", "there is no certificate in"),
        (b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----", "can't read certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "can't read certificate .*not"),
    ],
)
def test_no_certificate(tmp_path: Path, content: bytes | None, what: str) -> None:
    if content is not None:
        (tmp_path / "x.pem").write_bytes(content)
    with pytest.raises(ConfigurationError, match=what):
        CertificateFiles.of(tmp_path / "x.pem").check_validity()


def test_a_fingerprint_tells_what_happened_to_files(tmp_path: Path) -> None:
    files = CertificateFiles.of(tmp_path / "cert.pem", tmp_path / "key.pem")
    assert fingerprint(files.paths) == (None, None)
    for path in (files.certificate, files.key):
        assert path is not None
        path.write_bytes(b"x")
        os.utime(path, ns=(1, 1))
    seen = [fingerprint(files.paths)]
    assert fingerprint(files.paths) == seen[0]
    (tmp_path / "new").write_bytes(b"x")
    os.utime(tmp_path / "new", ns=(1, 1))
    os.rename(tmp_path / "new", files.certificate)  # as ACME clients do it
    seen.append(fingerprint(files.paths))
    files.certificate.write_bytes(b"xy")
    os.utime(files.certificate, ns=(1, 1))
    seen.append(fingerprint(files.paths))
    os.utime(files.certificate, ns=(2, 2))
    seen.append(fingerprint(files.paths))
    assert len(set(seen)) == 4
