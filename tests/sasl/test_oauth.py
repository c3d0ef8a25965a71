"""OAUTHBEARER (RFC 7628) and XOAUTH2, both sides."""

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpx.sasl.credentials import Credentials, Secret
from smtpx.sasl.mechanism import ExchangeContext, SASLError, ServerMechanism
from smtpx.sasl.oauth import OAUTHBEARER, XOAUTH2, BearerToken, OAuthClient
from tests.sasl.exchange import CONTEXT, Server, chain, is_hidden, log_in

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
AUTH = BearerToken("user@example.com", TOKEN)
BOTH = pytest.mark.parametrize("mechanism", [OAUTHBEARER, XOAUTH2], ids=lambda each: str(each.name))
BEARER_MESSAGE = f"n,a=user@example.com,\1host=server.example.com\1port=587\1auth=Bearer {TOKEN}\1\1".encode()


def client(mechanism: str, auth: BearerToken = AUTH) -> OAuthClient:
    fetch = next(each for each in auth.mechanisms() if each.name == mechanism).fetch
    return OAuthClient(auth, mechanism, replace(CONTEXT, fetched=fetch() if fetch else None))


def test_rfc7628_4_1_example() -> None:
    ours = OAuthClient(AUTH, "OAUTHBEARER", ExchangeContext(host="server.example.com", port=587))
    assert ours.initial_response() == BEARER_MESSAGE
    assert base64.b64encode(BEARER_MESSAGE) == (
        b"bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9NTg3AWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52"
        b"YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
    )
    assert Server(OAUTHBEARER).finish(BEARER_MESSAGE) == Credentials(
        "OAUTHBEARER", "user@example.com", token=Secret(TOKEN)
    )


def test_xoauth2_message() -> None:
    message = client("XOAUTH2").initial_response()
    assert message == f"user=user@example.com\1auth=Bearer {TOKEN}\1\1".encode()


@BOTH
@pytest.mark.parametrize("username", ["user@example.com", "a,b=c", "\u00fcser@example.com"])
def test_client_and_server_agree(mechanism: ServerMechanism, username: str) -> None:
    credentials = log_in(client(mechanism.name, BearerToken(username, TOKEN)), Server(mechanism))
    assert credentials == Credentials(mechanism.name, username, token=Secret(TOKEN))
    assert not credentials.is_proven
    assert not credentials.is_password(TOKEN)
    assert mechanism.reveals_secret
    assert not mechanism.needs_lookup


def test_oauthbearer_goes_before_xoauth2() -> None:
    fixed, renewed = AUTH.mechanisms(), BearerToken("u", lambda: "t").mechanisms()
    assert [(each.name, each.is_renewable) for each in fixed] == [("OAUTHBEARER", False), ("XOAUTH2", False)]
    assert [(each.name, each.is_renewable) for each in renewed] == [("OAUTHBEARER", True), ("XOAUTH2", True)]
    assert all(each.reveals_secret for each in (*fixed, *renewed))
    assert b"host=server.example\1auth" in (fixed[0].start(CONTEXT).initial_response() or b"")


@BOTH
def test_p45_error_challenge_is_answered_and_told(mechanism: ServerMechanism) -> None:
    ours = client(mechanism.name)
    assert ours.explain_failure() == ""
    ours.complete()
    assert ours.respond(mechanism.refusal) == (b"\1" if mechanism is OAUTHBEARER else b"")
    assert json.loads(ours.explain_failure())["status"]
    with pytest.raises(SASLError):
        ours.respond(b"")
    with pytest.raises(SASLError):
        ours.complete()


def test_h055_error_challenge_shows_no_token_and_no_controls() -> None:
    ours = client("XOAUTH2")
    ours.respond(f'{{"status": "400", "got": "{TOKEN}"}}\x1b[2J\r\n'.encode() + b"\xff" + b"x" * 10_000)
    assert is_hidden(TOKEN, ours.explain_failure(), ours, AUTH)
    assert ours.explain_failure().isprintable()
    assert len(ours.explain_failure()) == 500
    silent = client("XOAUTH2")
    silent.respond(b"")
    assert silent.explain_failure() == "no reason given"


@pytest.mark.parametrize("token", ["", "a b", "a\x01b", "a\r\nb", "a\0b", "t\u00f6ken", "\ud800"])
def test_h055_tokens_that_cannot_be_sent(token: str) -> None:
    with pytest.raises(SASLError) as caught:
        BearerToken("user", f"hunter2{token}" if token else "")
    assert is_hidden("hunter2", *chain(caught.value))
    with pytest.raises(SASLError):
        client("XOAUTH2", BearerToken("user", lambda: f"hunter2{token}" if token else ""))
    with pytest.raises(SASLError):
        BearerToken("us\1er", "token")


def test_p45_callable_gives_a_token_for_each_login() -> None:
    tokens = iter(["one", "two"])
    auth = BearerToken("user", lambda: next(tokens))
    assert b"Bearer one\1" in client("XOAUTH2", auth).initial_response()
    assert b"Bearer two\1" in client("XOAUTH2", auth).initial_response()


def test_a_coroutine_function_is_for_asyncio_only() -> None:
    async def token() -> str:
        return "t"

    assert BearerToken("user", token).is_async
    assert not BearerToken("user", lambda: "t").is_async
    assert "hunter2" not in repr(replace(CONTEXT, fetched="hunter2"))


def test_callable_that_gives_no_text() -> None:
    with pytest.raises(SASLError):
        client("XOAUTH2", BearerToken("user", lambda: None))  # type: ignore[arg-type, return-value] # what users do


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\1",
        b"n,,\1auth=Bearer t\1\1",
        b"p=tls-unique,a=u,\1auth=Bearer t\1\1",
        b"n,a=u,auth=Bearer t\1\1",
        b"n,a=u,\1auth=Bearer t\1",
        b"n,a=u,\1auth=Bearer t",
        b"n,a=u,\1auth=Bearer t\1\1\1",
        b"n,a=u,\1\1auth=Bearer t\1\1",
        b"n,a=u,\1auth=Basic t\1\1",
        b"n,a=u,\1auth=Bearer \1\1",
        b"n,a=u,\1auth=Bearer a b\1\1",
        b"n,a=u,\1host=x\1\1",
        b"n,a=u,\1auth=Bearer t\1auth=Bearer s\1\1",
        b"n,a=u,\1auth=Bearer t\1a1=x\1\1",
        b"n,a=u,\1\1",
        b"n,a=u,\1",
        b"n,a=u,",
        b"n,a=u,\1auth=Bearer \xff\1\1",
        b"n,a=u,\1auth=Bearer t\1x=\xc3\xa4\1\1",
    ],
)
def test_h075_other_messages_of_oauthbearer(message: bytes) -> None:
    with pytest.raises(SASLError):
        Server(OAUTHBEARER).answer(message)


@pytest.mark.parametrize("message", [b"y,a=u,\1auth=Bearer t\1\1", b"n,a=u,\1Auth=bearer  t\1Port=1\1\1"])
def test_rfc7628_3_1_other_forms(message: bytes) -> None:
    assert Server(OAUTHBEARER).finish(message).token == Secret("t")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"user=u",
        b"user=\1auth=Bearer t\1\1",
        b"auth=Bearer t\1user=u\1\1",
        b"user=u\1auth=Bearer t\1",
        b"user=a\0b\1auth=Bearer t\1\1",
        b"\xff",
    ],
)
def test_h075_other_messages_of_xoauth2(message: bytes) -> None:
    with pytest.raises(SASLError):
        Server(XOAUTH2).answer(message)


PIECES = st.lists(st.sampled_from([b"n,a=u,", b"user=u", b"\1", b"auth=", b"Bearer ", b"t", b"x=y", b"\xff"])).map(
    b"".join
)


@BOTH
@settings(deadline=None)
@given(st.binary() | PIECES)
def test_h075_any_message_gives_credentials_or_sasl_error(mechanism: ServerMechanism, message: bytes) -> None:
    try:
        credentials = Server(mechanism).finish(message)
    except SASLError:
        return
    assert credentials.token is not None
    assert credentials.username


@settings(deadline=None)
@given(st.lists(st.binary(), max_size=3))
def test_h075_any_challenges_give_sasl_error_to_a_client(challenges: list[bytes]) -> None:
    ours = client("OAUTHBEARER")
    try:
        for challenge in challenges:
            assert ours.respond(challenge) == b"\1"
    except SASLError:
        assert len(challenges) > 1
