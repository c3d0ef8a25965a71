"""Private keys: from where they are read, and what is told of them."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from smtpx.dkim import Key
from smtpx.errors import ConfigurationError

KEY = Key.generate("ed25519")
PEM = KEY.to_pem()


def test_from_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(PEM)
    for source in (PEM, PEM.decode(), "\n " + PEM.decode(), path, str(path), KEY):
        assert Key.read(source).dns_record() == KEY.dns_record()


@pytest.mark.parametrize("password", ["s3cret", b"s3cret"])
def test_with_a_password(password: str | bytes) -> None:
    private = rsa.generate_private_key(65537, 2048)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"s3cret"))
    assert Key.read(pem, password=password).algorithm == "rsa-sha256"
    with pytest.raises(ConfigurationError, match="it has a password: give it"):
        Key.read(pem)
    with pytest.raises(ConfigurationError, match="wrong password"):
        Key.read(pem, password="wrong")


@pytest.mark.parametrize("source", ["MC4CAQAwBQYDK2VwBCIEI", "nowhere.pem", "a\0b", Path("nowhere.pem")])
def test_files_that_are_not_there(source: str | Path) -> None:
    with pytest.raises(ConfigurationError, match="can't be read from its file: ") as caught:
        Key.read(source)
    assert str(source) not in str(caught.value)


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="can't be read from its file: Is a directory"):
        Key.read(tmp_path)


def test_a_key_that_is_kept_elsewhere() -> None:
    key = Key("rsa-sha256", lambda digest: digest[::-1])
    assert key.sign(b"ab") == b"ba"
    assert repr(key) == "<Key rsa-sha256>"
    with pytest.raises(ConfigurationError, match="public half of this key is not known"):
        key.dns_record()
    with pytest.raises(ConfigurationError, match="kept elsewhere"):
        key.to_pem()
    assert Key("ed25519-sha256", KEY.sign, record=KEY.record).dns_record() == KEY.dns_record()


def test_what_there_is_not() -> None:
    with pytest.raises(ConfigurationError, match="unknown DKIM algorithm 'rsa-sha1'; known: rsa-sha256, ed25519-"):
        Key("rsa-sha1", bytes)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="rsa or ed25519, not 'dsa'"):
        Key.generate("dsa")  # type: ignore[arg-type]


def test_nothing_shows() -> None:
    assert repr(KEY) == "<Key ed25519-sha256>"
    assert "PRIVATE" not in f"{KEY} {KEY.record} {KEY.__dict__}"
