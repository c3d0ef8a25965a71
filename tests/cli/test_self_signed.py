"""Throw-away certificates, with `cryptography` and without."""

import shutil
import ssl
import stat
import sys
from pathlib import Path

import click
import pytest
from cryptography import x509

from smtpx.cli.self_signed import make_certificate

NAMES = [x509.DNSName("localhost"), x509.DNSName("mail.example.org")]


def names_in(certificate: Path) -> list[object]:
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


@pytest.fixture(params=["cryptography", "openssl"])
def means(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "openssl":
        if shutil.which("openssl") is None:
            pytest.skip("no openssl command here")
        monkeypatch.setitem(sys.modules, "cryptography", None)


@pytest.mark.parametrize("hostname", ["mail.example.org", "localhost", "a" * 63 + "." + "b" * 63 + ".example"])
@pytest.mark.usefixtures("means")
def test_a_certificate_for_a_host_and_the_loopback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hostname: str
) -> None:
    certificate, key = make_certificate(tmp_path, hostname)
    monkeypatch.undo()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    assert names_in(certificate) == [*dict.fromkeys(["localhost", hostname]), "127.0.0.1", "::1"]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_neither_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(click.UsageError, match=r"smtpx\[tls\], or the openssl command"):
        make_certificate(tmp_path, "mail.example.org")


def test_openssl_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    fake = tmp_path / "openssl"
    fake.write_text("#!/bin/sh\necho 'no luck today' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(click.ClickException, match="openssl could not make a certificate: no luck today"):
        make_certificate(tmp_path, "mail.example.org")
