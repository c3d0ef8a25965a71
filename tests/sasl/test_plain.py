"""PLAIN, both sides (RFC 4616)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpx.sasl.credentials import Credentials, Secret
from smtpx.sasl.mechanism import Challenge, ExchangeContext, SASLError, ServerExchange
from smtpx.sasl.password import Password
from smtpx.sasl.plain import PLAIN, PlainClient

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1)


def start() -> tuple[ServerExchange, Challenge]:
    server = PLAIN.start(ExchangeContext())
    challenge = next(server)
    assert isinstance(challenge, Challenge)
    return server, challenge


def serve(message: bytes) -> Credentials:
    """What the server makes of one message."""
    server, challenge = start()
    assert challenge.data == b""  # so that the message may come with the command
    with pytest.raises(StopIteration) as ended:
        server.send(message)
    assert isinstance(ended.value.value, Credentials)
    return ended.value.value


def test_rfc4616_2_message_has_three_fields() -> None:
    assert PlainClient(Password("tim", "tanstaaftanstaaf")).initial_response() == b"\0tim\0tanstaaftanstaaf"
    assert PlainClient(Password("Kurt", "xipj3plmq", "Ursel")).initial_response() == b"Ursel\0Kurt\0xipj3plmq"


def test_plain_has_no_second_message() -> None:
    client = PlainClient(Password("u", "hunter2"))
    with pytest.raises(SASLError) as caught:
        client.respond(b"more?")
    assert "hunter2" not in str(caught.value)


def test_h055_client_shows_no_password() -> None:
    assert "hunter2" not in repr(PlainClient(Password("u", "hunter2")))


def test_server_hands_over_what_is_claimed() -> None:
    claimed = Credentials("PLAIN", "Kurt", "Ursel", Secret("xipj3plmq"))
    assert serve(b"Ursel\0Kurt\0xipj3plmq") == claimed
    assert (PLAIN.name, PLAIN.reveals_secret, PLAIN.accepts_initial) == ("PLAIN", True, True)


@pytest.mark.parametrize(
    "message",
    [b"", b"\0", b"\0user", b"\0user\0pw\0", b"a\0b\0c\0d", b"\0\0pw", b"boss\0\0pw", b"user pw", b"\0\0"],
)
def test_h075_rfc4616_2_wrong_number_of_fields_or_no_name(message: bytes) -> None:
    server, _ = start()
    with pytest.raises(SASLError):
        server.send(message)


def test_rfc4616_2_rfc4513_5_1_2_empty_password_is_refused() -> None:
    server, _ = start()
    with pytest.raises(SASLError):
        server.send(b"\0user\0")


@pytest.mark.parametrize("message", [b"\0user\0\xff", b"\xc0\xae\0user\0pw", b"\0\xed\xa0\x80\0pw"])
def test_h075_message_is_utf8(message: bytes) -> None:
    server, _ = start()
    with pytest.raises(SASLError) as caught:
        server.send(message)
    assert caught.value.__suppress_context__


@settings(deadline=None)
@given(TEXT, TEXT, TEXT | st.just(""))
def test_h055_server_reads_what_the_client_writes(username: str, password: str, authorization_id: str) -> None:
    credentials = serve(PlainClient(Password(username, password, authorization_id)).initial_response())
    assert (credentials.username, credentials.authorization_id) == (username, authorization_id)
    assert credentials.is_password(password)


@settings(deadline=None)
@given(st.binary() | st.lists(st.sampled_from([b"\0", b"u", b"\xff"])).map(b"".join))
def test_h075_any_message_gives_credentials_or_sasl_error(message: bytes) -> None:
    server, _ = start()
    with pytest.raises((StopIteration, SASLError)):
        server.send(message)
