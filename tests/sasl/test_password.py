"""A user name and a password: what may stand in them, and what is done with them."""

import pytest

from smtpx.sasl.cram_md5 import CramMD5Client
from smtpx.sasl.login import LoginClient
from smtpx.sasl.mechanism import SASLError
from smtpx.sasl.password import Password
from smtpx.sasl.plain import PlainClient
from smtpx.sasl.scram import ScramClient
from tests.sasl.exchange import CONTEXT

SECRET = "hunter2"


def test_order_of_preference() -> None:
    mechanisms = Password("user", SECRET).mechanisms()
    assert [(each.name, each.reveals_secret, each.needs_binding) for each in mechanisms] == [
        ("SCRAM-SHA-256-PLUS", False, True),
        ("SCRAM-SHA-1-PLUS", False, True),
        ("SCRAM-SHA-256", False, False),
        ("SCRAM-SHA-1", False, False),
        ("PLAIN", True, False),
        ("LOGIN", True, False),
        ("CRAM-MD5", False, False),
    ]
    kinds = [type(each.start(CONTEXT)) for each in mechanisms[2:]]
    assert kinds == [ScramClient, ScramClient, PlainClient, LoginClient, CramMD5Client]
    assert mechanisms[4].start(CONTEXT) is not mechanisms[4].start(CONTEXT)


@pytest.mark.parametrize(
    ("username", "password"),
    [("user", "\U0001f600"), ("\u0627a", "pw"), ("user", "\ue000"), ("\u00ad", "pw"), ("", "pw")],
)
def test_rfc4013_2_3_what_scram_cannot_take_goes_by_other_mechanisms(username: str, password: str) -> None:
    names = [each.name for each in Password(username, password).mechanisms()]
    assert names == ["PLAIN", "LOGIN", "CRAM-MD5"]


def test_h055_d45_password_never_shows() -> None:
    auth = Password("user", SECRET, "boss")
    assert SECRET not in repr(auth)
    assert SECRET not in repr(auth.mechanisms())
    assert SECRET not in repr(auth.secret)
    assert auth.secret.reveal() == SECRET


@pytest.mark.parametrize("field", ["username", "password", "authorization_id"])
@pytest.mark.parametrize("char", ["\0", "\r", "\n", "\r\n", "\x01", "\t", "\x1f", "\x7f", "\ud800", chr(0xDFFF)])
def test_h055_rfc4616_2_control_characters_and_half_pairs_are_refused(field: str, char: str) -> None:
    values = {"username": "user", "password": "pw", "authorization_id": ""} | {field: f"{SECRET}{char}x"}
    with pytest.raises(SASLError) as caught:
        Password(values["username"], values["password"], values["authorization_id"])
    error = caught.value
    assert isinstance(error, ValueError)
    assert field in str(error)
    assert SECRET not in repr(error)
    assert error.__context__ is None  # a UnicodeError there would hold the text


@pytest.mark.parametrize("text", ["", "a b", "\"quoted\" 'so'", "pässwörd 例 \U0001f600", "~\x80\u2028"])
def test_h055_other_text_is_taken(text: str) -> None:
    assert Password("user", text).password == text
