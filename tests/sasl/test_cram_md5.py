"""CRAM-MD5, both sides (RFC 2195)."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpx.sasl.cram_md5 import CRAM_MD5, CramMD5Client, CramMD5Server
from smtpx.sasl.credentials import Credentials, Secret
from smtpx.sasl.mechanism import ExchangeContext, Lookup, ProofError, SASLError
from smtpx.sasl.password import Password
from smtpx.sasl.scram_record import ScramRecord
from tests.sasl.exchange import CONTEXT, Server, Store, chain, is_hidden, log_in

TIM = Password("tim", "tanstaaftanstaaf")
STORE: Store = {("CRAM-MD5", "tim"): Secret("tanstaaftanstaaf"), ("CRAM-MD5", "a b"): Secret("p\u00e4ss")}
EXAMPLE = b"<1896.697170952@postoffice.reston.mci.net>"
DIGEST = b"tim b913a602c7eda7a495b4e6e7334d3890"


def test_rfc2195_2_example() -> None:
    assert CramMD5Client(TIM).respond(EXAMPLE) == DIGEST
    exchange = CramMD5Server(ExchangeContext(host="postoffice.reston.mci.net"), nonce=lambda: "1896.697170952")
    assert next(exchange) == (EXAMPLE,)
    assert exchange.send(DIGEST) == Lookup("tim", "CRAM-MD5")
    with pytest.raises(StopIteration) as ended:
        exchange.send(Secret("tanstaaftanstaaf"))
    assert ended.value.value == Credentials("CRAM-MD5", "tim", is_proven=True)


@pytest.mark.parametrize("auth", [TIM, Password("a b", "p\u00e4ss")])
def test_client_and_server_agree(auth: Password) -> None:
    credentials = log_in(CramMD5Client(auth), Server(CRAM_MD5, store=STORE))
    assert credentials == Credentials("CRAM-MD5", auth.username, is_proven=True)


def test_challenges_are_message_ids_that_never_come_twice() -> None:
    challenges = {Server(CRAM_MD5, context).first for context in (CONTEXT, CONTEXT, ExchangeContext())}
    assert len(challenges) == 3
    assert all(re.fullmatch(rb"<[!-~]+@[!-~]+>", challenge) for challenge in challenges)
    assert (CRAM_MD5.accepts_initial, CRAM_MD5.reveals_secret, CRAM_MD5.needs_lookup) == (False, False, True)


@pytest.mark.parametrize("auth", [Password("tim", "hunter2"), Password("nobody", "tanstaaftanstaaf")])
def test_h087_wrong_password_and_unknown_user_look_the_same(auth: Password) -> None:
    with pytest.raises(ProofError, match=r"^the proof is wrong$") as caught:
        log_in(CramMD5Client(auth), Server(CRAM_MD5, store=STORE))
    assert caught.value.username == auth.username
    assert is_hidden("tanstaaf", *chain(caught.value))


def test_a_record_for_scram_is_none() -> None:
    with pytest.raises(ProofError):
        log_in(CramMD5Client(TIM), Server(CRAM_MD5, store={("CRAM-MD5", "tim"): ScramRecord.make("tanstaaftanstaaf")}))


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"tim",
        b" " + DIGEST[4:],
        DIGEST[:-1],
        DIGEST + b"0",
        DIGEST.upper(),
        b"t\0m" + DIGEST[3:],
        b"\xff" + DIGEST,
    ],
)
def test_h075_other_responses(message: bytes) -> None:
    server = Server(CRAM_MD5, store=STORE)
    with pytest.raises(SASLError) as caught:
        server.answer(message)
    assert not isinstance(caught.value, ProofError)
    assert server.lookups == []


def test_client_answers_one_challenge() -> None:
    client = CramMD5Client(TIM)
    start: object = client.initial_response()  # type: ignore[func-returns-value] # None is the answer
    assert start is None
    with pytest.raises(SASLError):
        client.complete()
    client.respond(EXAMPLE)
    client.complete()
    with pytest.raises(SASLError):
        client.respond(EXAMPLE)
    with pytest.raises(SASLError):
        CramMD5Client(TIM).respond(b"")
    assert is_hidden("tanstaaf", client)


@settings(deadline=None)
@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "replace") + DIGEST[3:]))
def test_h075_any_response_gives_sasl_error(message: bytes) -> None:
    with pytest.raises(SASLError):
        Server(CRAM_MD5).answer(message)
