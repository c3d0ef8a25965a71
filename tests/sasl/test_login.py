"""LOGIN, both sides: two answers, whatever the questions are called."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpx.sasl.credentials import Credentials, Secret
from smtpx.sasl.login import LOGIN, LoginClient
from smtpx.sasl.mechanism import ExchangeContext, SASLError, ServerExchange
from smtpx.sasl.password import Password

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1)


def ask_password(username: bytes) -> ServerExchange:
    """A server that has the user name."""
    server = LOGIN.start(ExchangeContext())
    assert next(server) == (b"Username:",)
    assert server.send(username) == (b"Password:",)
    return server


def serve(username: bytes, password: bytes) -> Credentials:
    server = ask_password(username)
    with pytest.raises(StopIteration) as ended:
        server.send(password)
    assert isinstance(ended.value.value, Credentials)
    return ended.value.value


@pytest.mark.parametrize(
    "questions",
    [
        (b"Username:", b"Password:"),
        (b"User Name\0", b"password"),
        (b"", b""),
        (b"Password:", b"Username:"),
        (b"\xff", b"\0"),
    ],
)
def test_d37_only_the_order_of_the_questions_counts(questions: tuple[bytes, bytes]) -> None:
    client = LoginClient(Password("user", "hunter2"))
    assert [client.respond(question) for question in questions] == [b"user", b"hunter2"]


def test_login_client_waits_for_the_server() -> None:
    client: LoginClient = LoginClient(Password("user", "hunter2"))
    start: object = client.initial_response()  # type: ignore[func-returns-value] # None is the answer
    assert start is None


def test_login_has_no_third_question() -> None:
    client = LoginClient(Password("user", "hunter2"))
    client.respond(b"")
    client.respond(b"")
    with pytest.raises(SASLError) as caught:
        client.respond(b"Really:")
    assert "hunter2" not in str(caught.value)


def test_server_hands_over_what_is_claimed() -> None:
    assert serve(b"user", b"hunter2") == Credentials("LOGIN", "user", "", Secret("hunter2"))
    assert (LOGIN.name, LOGIN.reveals_secret, LOGIN.accepts_initial) == ("LOGIN", True, True)


@pytest.mark.parametrize(
    ("username", "password"),
    [(b"", b"pw"), (b"user", b""), (b"a\0b", b"pw"), (b"user", b"p\0w"), (b"\xff", b"pw"), (b"user", b"\xc0\xae")],
)
def test_h055_h075_empty_nul_or_not_utf8(username: bytes, password: bytes) -> None:
    server = ask_password(username)
    with pytest.raises(SASLError) as caught:
        server.send(password)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@settings(deadline=None)
@given(TEXT, TEXT)
def test_h055_server_reads_what_the_client_writes(username: str, password: str) -> None:
    client = LoginClient(Password(username, password))
    credentials = serve(client.respond(b"Username:"), client.respond(b"Password:"))
    assert credentials.username == username
    assert credentials.is_password(password)


@settings(deadline=None)
@given(st.binary(), st.binary())
def test_h075_any_answers_give_credentials_or_sasl_error(username: bytes, password: bytes) -> None:
    server = ask_password(username)
    with pytest.raises((StopIteration, SASLError)):
        server.send(password)
