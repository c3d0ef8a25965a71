"""RSA and Ed25519: what is read, what is refused, and that nothing of a key shows."""

import hashlib
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from smtpx.dkim import Key, Signer, crypto, verify
from smtpx.errors import ConfigurationError

DIGEST = hashlib.sha256(b"x").digest()
SHORT_RSA_SPKI = bytes.fromhex(  # 512 bits, which nothing makes any more
    "305c300d06092a864886f70d0101010500034b003048024100" + "c3" * 63 + "c5" + "0203010001"
)


@pytest.mark.parametrize(("kind", "bits"), [("rsa", 1024), ("rsa", 2048), ("ed25519", 0)])
def test_both_ways(kind: str, bits: int) -> None:
    private = crypto.load_private(crypto.private_pem(crypto.generate(kind, bits)), None)
    found, octets = crypto.public_octets(private)
    assert found == kind
    public = crypto.load_public(kind, octets)
    signature = crypto.sign(private, DIGEST)
    assert crypto.verify(public, DIGEST, signature)
    assert not crypto.verify(public, hashlib.sha256(b"y").digest(), signature)
    for bad in (b"", signature[:-1], signature + b"\0", bytes(len(signature)), b"\xff" * 10_000):
        assert not crypto.verify(public, DIGEST, bad)


def test_rfc_6376_3_6_1_an_rsa_key_without_its_wrapping() -> None:
    private = rsa.generate_private_key(65537, 2048)
    public = crypto.load_public("rsa", private.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1))
    assert crypto.verify(public, DIGEST, crypto.sign(private, DIGEST))


@pytest.mark.parametrize("form", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8])
def test_both_forms_of_pem(form: PrivateFormat) -> None:
    private = rsa.generate_private_key(65537, 2048)
    pem = private.private_bytes(Encoding.PEM, form, NoEncryption())
    assert crypto.public_octets(crypto.load_private(pem, None)) == crypto.public_octets(private)


def test_private_keys_of_no_use() -> None:
    curve = ec.generate_private_key(ec.SECP256R1())
    pem = curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ConfigurationError, match="a DKIM key is RSA or Ed25519"):
        crypto.load_private(pem, None)
    for bad in (b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"):
        with pytest.raises(ConfigurationError, match="not a private key in PEM") as caught:
            crypto.load_private(bad, None)
        assert caught.value.__cause__ is None
    with pytest.raises(ConfigurationError, match="wrong password, or not a private key"):
        crypto.load_private(b"nonsense", b"x")
    with pytest.raises(ConfigurationError, match="it has no password"):
        crypto.load_private(crypto.private_pem(crypto.generate("ed25519", 0)), b"x")


@pytest.mark.parametrize("bits", [512, 1023, 8193, 10**9])
def test_rfc_8301_3_2_too_short_and_too_long(bits: int) -> None:
    with pytest.raises(ConfigurationError, match=f"has 1024 to 8192 bits, not {bits}"):
        crypto.generate("rsa", bits)


def test_public_keys_of_no_use() -> None:
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    with pytest.raises(ValueError, match="not an RSA key"):
        crypto.load_public("rsa", curve.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    for bad in (b"", b"\x30\x82", bytes(100), b"\xff" * 10_000):
        with pytest.raises(ValueError, match="not an RSA key"):
            crypto.load_public("rsa", bad)
        with pytest.raises(ValueError, match="32 bytes"):
            crypto.load_public("ed25519", bad)
    with pytest.raises(ConfigurationError, match="not 512"):
        crypto.load_public("rsa", SHORT_RSA_SPKI)


def test_a_missing_extra_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.split(".")[0] == "cryptography"]:
        monkeypatch.setitem(sys.modules, name, None)
    message = b"From: a@example.org\r\n\r\n"
    for use in (
        lambda: Key.read("-----BEGIN"),
        lambda: Key.generate("ed25519"),
        lambda: Signer("example.org", "mail", "-----BEGIN"),
        lambda: verify(message, {}.get),
    ):
        with pytest.raises(ConfigurationError, match=r"smtpx\[dkim\]: pip install 'smtpx\[dkim\]'"):
            use()
    signer = Signer("example.org", "mail", Key("rsa-sha256", lambda digest: digest))
    assert b"b=" in signer.signature(message)  # a key that is kept elsewhere needs nothing
