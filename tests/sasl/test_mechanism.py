"""Choosing a mechanism, and what a credential may hold."""

import pytest

from smtpx.sasl.login import LoginClient
from smtpx.sasl.mechanism import ClientMechanism, Password, SASLError, check_text, choose
from smtpx.sasl.plain import PlainClient

SECRET = "hunter2"


def mechanism(name: str) -> ClientMechanism:
    return ClientMechanism(name, True, lambda: PlainClient(Password("u", "p")))


MECHANISMS = [mechanism("SCRAM-SHA-256"), mechanism("PLAIN"), mechanism("LOGIN")]


@pytest.mark.parametrize(
    ("offered", "allowed", "chosen"),
    [
        (["LOGIN", "PLAIN"], None, "PLAIN"),
        (["login", "plain"], None, "PLAIN"),
        (["LOGIN", "SCRAM-SHA-256", "PLAIN"], None, "SCRAM-SHA-256"),
        (["XOAUTH2"], None, None),
        ([], None, None),
        (["PLAIN", "LOGIN"], ["login", "plain"], "LOGIN"),
        (["PLAIN", "LOGIN"], ["SCRAM-SHA-256", "LOGIN"], "LOGIN"),
        (["PLAIN", "LOGIN"], ["SCRAM-SHA-256"], None),
        (["PLAIN", "LOGIN"], ["CRAM-MD5"], None),
        (["PLAIN", "LOGIN"], [], None),
    ],
)
def test_r147_best_mechanism_both_sides_have(offered: list[str], allowed: list[str] | None, chosen: str | None) -> None:
    found = choose(MECHANISMS, offered, allowed)
    assert (found and found.name) == chosen


def test_password_can_do_plain_then_login() -> None:
    plain, login = Password("user", SECRET).mechanisms()
    assert [(plain.name, plain.reveals_secret), (login.name, login.reveals_secret)] == [
        ("PLAIN", True),
        ("LOGIN", True),
    ]
    assert isinstance(plain.start(), PlainClient)
    assert isinstance(login.start(), LoginClient)
    assert plain.start() is not plain.start()


def test_h055_d45_password_never_shows() -> None:
    auth = Password("user", SECRET, "boss")
    assert SECRET not in repr(auth)
    assert SECRET not in repr(auth.secret)
    assert auth.secret.reveal() == SECRET


@pytest.mark.parametrize("field", ["username", "password", "authorization_id"])
@pytest.mark.parametrize("char", ["\0", "\r", "\n", "\r\n", "\x01", "\t", "\x1f", "\x7f", "\ud800", chr(0xDFFF)])
def test_h055_rfc4616_2_control_characters_and_half_pairs_are_refused(field: str, char: str) -> None:
    values = {"username": "user", "password": "pw", "authorization_id": ""} | {field: f"{SECRET}{char}x"}
    with pytest.raises(SASLError) as caught:
        Password(**values)
    error = caught.value
    assert isinstance(error, ValueError)
    assert field in str(error)
    assert SECRET not in repr(error)
    assert error.__context__ is None  # a UnicodeError there would hold the text


@pytest.mark.parametrize("text", ["", "a b", "\"quoted\" 'so'", "pässwörd 例 \U0001f600", "~\x80\u2028"])
def test_h055_other_text_is_taken(text: str) -> None:
    check_text(text, "password")
    assert Password("user", text).password == text
