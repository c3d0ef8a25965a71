"""What is stored for SCRAM, and its text form (RFC 5803)."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpx.sasl.credentials import Secret
from smtpx.sasl.mechanism import SASLError
from smtpx.sasl.scram_record import ScramRecord, hash_password, hash_size, keyed_hash, plain_hash

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
RECORD = ScramRecord.make("pencil", iterations=4096, salt=SALT)


def test_rfc7677_3_keys() -> None:
    text = (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
        ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )
    assert RECORD.to_text() == text
    assert ScramRecord.parse(text) == RECORD


def test_rfc5802_5_keys() -> None:
    record = ScramRecord.make(
        Secret("pencil"), mechanism="SCRAM-SHA-1", iterations=4096, salt=base64.b64decode("QSXCR+Q6sek8bf92")
    )
    assert record.stored_key == base64.b64decode("6dlGYMOdZcOPutkcNY8U2g7vK9Y=")
    assert record.server_key == base64.b64decode("D+CSWLOshSulAsxiupA+qs2/fTE=")
    assert ScramRecord.parse(record.to_text()) == record
    assert (hash_size("SCRAM-SHA-1"), hash_size("SCRAM-SHA-256")) == (20, 32)


def test_defaults_are_a_salt_of_its_own_and_enough_iterations() -> None:
    one, other = ScramRecord.make("pencil"), ScramRecord.make("pencil")
    assert one.salt != other.salt
    assert len(one.salt) == 16
    assert one.iterations == 15_000
    assert one.mechanism == "SCRAM-SHA-256"


def test_rfc5802_2_2_password_is_prepared() -> None:
    assert ScramRecord.make("I\u00adX", salt=SALT, iterations=1) == ScramRecord.make("IX", salt=SALT, iterations=1)
    with pytest.raises(SASLError) as caught:
        ScramRecord.make("hunter2\x07")
    assert "hunter2" not in str(caught.value)


def test_h055_no_key_shows() -> None:
    shown = repr(RECORD)
    assert "4096" in shown
    for key in (RECORD.salt, RECORD.stored_key, RECORD.server_key):
        assert repr(key) not in shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pencil",
        "SCRAM-SHA-512$4096:c2FsdA==$eA==:eA==",
        "SCRAM-SHA-256$0:c2FsdA==$eA==:eA==",
        "SCRAM-SHA-256$-1:c2FsdA==$eA==:eA==",
        "SCRAM-SHA-256$4096:c2FsdA==$eA==:eA==",  # keys too short
        RECORD.to_text().replace("WG5d", "WG5"),
        RECORD.to_text() + "\n",
        RECORD.to_text().replace("SHA-256", "SHA-1"),
        RECORD.to_text().replace("$4096:", "$4096$"),
    ],
)
def test_rfc5803_3_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="SCRAM record") as caught:
        ScramRecord.parse(text)
    assert not text or text not in str(caught.value)


@settings(deadline=None)
@given(st.text(), st.text())
def test_dummy_is_the_same_for_one_name_and_secret(name: str, other: str) -> None:
    def dummy(username: str, secret: bytes = b"secret") -> ScramRecord:
        return ScramRecord.dummy("SCRAM-SHA-256", username, secret)

    assert dummy(name) == dummy(name)
    assert (dummy(name) == dummy(other)) is (name == other)
    assert dummy(name) != dummy(name, b"another")
    real = ScramRecord.make("x", iterations=15_000, salt=b"s" * 16)
    assert [len(each) for each in (dummy(name).salt, dummy(name).stored_key)] == [len(real.salt), len(real.stored_key)]
    assert dummy(name).iterations == real.iterations


def test_hashes() -> None:
    assert (
        hash_password("SCRAM-SHA-1", "pencil", b"salt", 1).hex() != hash_password("SCRAM-SHA-1", "x", b"salt", 1).hex()
    )
    assert plain_hash("SCRAM-SHA-1", b"").hex() == "da39a3ee5e6b4b0d3255bfef95601890afd80709"
    assert len(keyed_hash("SCRAM-SHA-256", b"k", b"data")) == 32
