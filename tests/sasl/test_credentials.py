"""Secrets that don't show, and credentials a session can judge."""

import copy
import pickle

import pytest

from smtpx.sasl.credentials import Credentials, Secret

TEXT = "hunter2"


def test_h055_d45_secret_shows_stars() -> None:
    secret = Secret(TEXT)
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r}", "%s" % secret, repr([secret])):  # noqa: UP031
        assert TEXT not in shown
        assert "****" in shown


def test_secret_reveals_when_asked() -> None:
    assert Secret(TEXT).reveal() == TEXT


@pytest.mark.parametrize("text", [TEXT, "", "a b\"c'd\\", "pässwörd", "\ud800"])
def test_h055_secret_matches_the_same_text_only(text: str) -> None:
    assert Secret(text).matches(text)
    assert Secret(text).matches(Secret(text))
    assert Secret(text) == Secret(text)
    assert not Secret(text).matches(text + "x")
    assert Secret(text) != Secret(text + "x")
    assert Secret(text) != text


def test_h055_secret_goes_into_no_pickle_and_no_set() -> None:
    with pytest.raises(TypeError, match="not pickled") as caught:
        pickle.dumps(Secret(TEXT))
    assert TEXT not in str(caught.value)
    with pytest.raises(TypeError):
        copy.copy(Secret(TEXT))
    with pytest.raises(TypeError):
        hash(Secret(TEXT))
    assert not hasattr(Secret(TEXT), "__dict__")


def test_h055_d45_credentials_show_no_password() -> None:
    credentials = Credentials("PLAIN", "user", "", Secret(TEXT))
    assert TEXT not in repr(credentials)
    assert "user" in repr(credentials)
    with pytest.raises(TypeError):
        pickle.dumps(credentials)


def test_h075_password_is_compared() -> None:
    credentials = Credentials("PLAIN", "user", password=Secret(TEXT))
    assert credentials.is_password(TEXT)
    assert not credentials.is_password("hunter3")
    assert not credentials.is_password("")


def test_credentials_without_a_password_match_none() -> None:
    credentials = Credentials("EXTERNAL", "user")
    assert not credentials.is_password("")
    assert not credentials.is_password("None")
    assert credentials.authorization_id == ""


def test_credentials_are_a_value() -> None:
    assert Credentials("PLAIN", "u", "", Secret("p")) == Credentials("PLAIN", "u", "", Secret("p"))
    assert Credentials("PLAIN", "u", "", Secret("p")) != Credentials("PLAIN", "u", "", Secret("q"))
