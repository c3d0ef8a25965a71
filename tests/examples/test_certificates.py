"""The demonstration's certificates are good enough for strict verification, and for localhost only."""

import ssl
import stat
from pathlib import Path

import pytest

from examples.certificates import Certificates, make_certificates


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return make_certificates(tmp_path)


def shake_hands(certificates: Certificates, name: str) -> str | None:
    """Let a strict client that trusts the authority meet the server, in memory; the TLS version agreed on."""
    trusting = ssl.create_default_context(cafile=certificates.authority)
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificates.server, certificates.server_key)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(back, there, server_hostname=name)
    server = serving.wrap_bio(there, back, server_side=True)
    waiting = [client, server]
    while waiting:
        side = waiting.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(side)
    return client.version()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_names_that_are_ours(certificates: Certificates, name: str) -> None:
    assert shake_hands(certificates, name) == "TLSv1.3"


def test_name_that_is_not_ours(certificates: Certificates) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(certificates, "mail.example.org")


def test_authority_of_another_run_is_not_trusted(certificates: Certificates, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = make_certificates(tmp_path / "other")
    mixed = Certificates(other.authority, certificates.server, certificates.server_key)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(mixed, "localhost")


def test_key_is_private(certificates: Certificates) -> None:
    assert stat.S_IMODE(certificates.server_key.stat().st_mode) == 0o600
