"""Keys that OpenSSL refuses even where nothing is verified: opportunistic TLS does without it, nothing else does."""

import datetime
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import smtpx
from smtpx.errors import TLSError
from tests.client.dialogues import BODY, FROM, TO
from tests.peers import Colour

# RFC 2409 6.2, 1024 bits
_GROUP = """\
-----BEGIN DH PARAMETERS-----
MIGHAoGBAP//////////yQ/aoiFowjTExmKLgNwc0SkCTgiKZ8x0Agu+pjsTmyJR
Sgh5jjQE3e+VGbPNOkMbMCsKbfJfFDdP4TVtbVHCReSFtXZiXn7G9ExC6aY37WsL
/1y29Aa37e44a/taiZ+lrp8kEXxLH+ZJKGZR7OZTgf//////////AgEC
-----END DH PARAMETERS-----
"""
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def written(path: Path, key: Key) -> Path:
    """A key with its certificate."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(1)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day).sign(key, hashes.SHA256())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem + made.public_bytes(Encoding.PEM))
    return path


def context(certificate: Path) -> ssl.SSLContext:
    """A server that has no scruples."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.set_ciphers("ALL:@SECLEVEL=0")
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(certificate)
    return made


def small_curve(directory: Path) -> ssl.SSLContext:
    """ECDSA on a curve that no client offers."""
    return context(written(directory / "ec.pem", ec.generate_private_key(ec.SECP192R1())))


def small_group(directory: Path) -> ssl.SSLContext:
    """Diffie-Hellman in a group that the client finds too small (Logjam)."""
    made = context(written(directory / "rsa.pem", rsa.generate_private_key(65537, 2048)))
    (directory / "dh.pem").write_text(_GROUP)
    made.load_dh_params(str(directory / "dh.pem"))
    made.set_ciphers("DHE-RSA-AES256-GCM-SHA384:@SECLEVEL=0")
    return made


@pytest.fixture(params=[small_curve, small_group], ids=lambda make: make.__name__)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[smtpx.ServerThread]:
    make: Callable[[Path], ssl.SSLContext] = request.param
    with smtpx.ServerThread(smtpx.Session, port=0, tls=make(tmp_path)) as running:
        yield running


def test_rfc7435_mail_goes_in_clear_rather_than_not_at_all(colour: Colour, server: smtpx.ServerThread) -> None:
    with colour.client(f"smtp://localhost:{server.port}") as client:
        result = client.send(BODY, sender=FROM, recipients=[TO])
    assert list(result.accepted) == [TO]
    assert result.tls is None


@pytest.mark.parametrize("options", [{}, {"verify": False}])
def test_where_tls_is_a_must_nothing_is_sent(
    colour: Colour, server: smtpx.ServerThread, options: dict[str, bool]
) -> None:
    with (
        colour.client(f"submission://localhost:{server.port}", **options) as client,
        pytest.raises(TLSError) as caught,
    ):
        client.send(BODY, sender=FROM, recipients=[TO])
    assert caught.value.stage == "starttls"


def test_an_unverified_certificate_with_a_weak_key_is_taken(colour: Colour, tmp_path: Path) -> None:
    """It protects from those who only listen."""
    weak = context(written(tmp_path / "weak.pem", rsa.generate_private_key(65537, 1024)))  # noqa: S505 - the point of it
    with (
        smtpx.ServerThread(smtpx.Session, port=0, tls=weak) as server,
        colour.open(f"smtp://localhost:{server.port}") as connection,
    ):
        assert connection.tls is not None
        assert not connection.tls.verified
