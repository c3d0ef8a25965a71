"""tls-server-end-point (RFC 5929 4) of certificates signed in every way."""

import datetime
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpx.net.channel_binding import end_point

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
Hash = hashes.SHA224 | hashes.SHA256 | hashes.SHA384 | hashes.SHA512
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
PSS_OID = bytes.fromhex("06092a864886f70d01010a")


def certificate(key: Key, algorithm: Hash | None, rsa_padding: padding.PSS | None = None) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server.example")])
    begin = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + datetime.timedelta(days=1))
    signed = builder.sign(key, algorithm, rsa_padding=rsa_padding)
    return signed.public_bytes(serialization.Encoding.DER)


def der(tag: int, *content: bytes) -> bytes:
    inside = b"".join(content)
    return bytes([tag, len(inside)]) + inside


@pytest.mark.parametrize("algorithm", [hashes.SHA224(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_rfc5929_4_1_hash_of_the_signature(algorithm: Hash) -> None:
    for each in (
        certificate(RSA_KEY, algorithm),
        certificate(EC_KEY, algorithm),
        certificate(RSA_KEY, algorithm, padding.PSS(padding.MGF1(algorithm), padding.PSS.DIGEST_LENGTH)),
    ):
        assert end_point(each) == hashlib.new(algorithm.name, each).digest()


@pytest.mark.parametrize("old", [b"\x04", b"\x05"])
def test_rfc5929_4_1_md5_and_sha1_become_sha256(old: bytes) -> None:
    identifier = der(0x06, bytes.fromhex("2a864886f70d0101") + old)
    each = der(0x30, der(0x30), der(0x30, identifier, der(0x05)))
    assert end_point(each) == hashlib.sha256(each).digest()


def test_rfc4055_3_1_pss_without_a_hash_means_sha1() -> None:
    for parameters in (der(0x30), der(0x30, der(0xA2, der(0x02, b"\x20")))):
        each = der(0x30, der(0x30), der(0x30, PSS_OID, parameters))
        assert end_point(each) == hashlib.sha256(each).digest()
    unknown = der(0x30, der(0xA0, der(0x30, der(0x06, b"\x2a\x03"))))
    assert end_point(der(0x30, der(0x30), der(0x30, PSS_OID, unknown))) is None


def test_rfc5929_4_1_undefined_without_a_hash() -> None:
    assert end_point(certificate(ed25519.Ed25519PrivateKey.generate(), None)) is None


@pytest.mark.parametrize("octets", [b"", b"0", b"\x30\x05\x00", b"\x31\x00", b"\x30\x00", b"\x30\x84\xff\xff\xff\xff"])
def test_what_is_no_certificate(octets: bytes) -> None:
    assert end_point(octets) is None


GOOD = certificate(EC_KEY, hashes.SHA256())


@settings(deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.binary())
def test_any_octets(cut: int, octets: bytes) -> None:
    found = end_point(GOOD[:cut] + octets)
    assert found is None or len(found) in (28, 32, 48, 64)
