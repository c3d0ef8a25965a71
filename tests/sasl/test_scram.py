"""SCRAM, both sides (RFC 5802, RFC 7677), with channel binding (RFC 5929, RFC 9266)."""

import base64
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpx.sasl.credentials import Credentials, Secret
from smtpx.sasl.mechanism import ExchangeContext, Lookup, ProofError, SASLError
from smtpx.sasl.password import Password
from smtpx.sasl.scram import (
    SCRAM_SHA_1,
    SCRAM_SHA_1_PLUS,
    SCRAM_SHA_256,
    SCRAM_SHA_256_PLUS,
    ScramClient,
    scram_servers,
)
from smtpx.sasl.scram_messages import ServerFirst
from smtpx.sasl.scram_record import ScramRecord
from tests.sasl.exchange import CONTEXT, Server, Store, chain, is_hidden, log_in

ALL = (SCRAM_SHA_1, SCRAM_SHA_1_PLUS, SCRAM_SHA_256, SCRAM_SHA_256_PLUS)
PASSWORD = "pencil"
USER = Password("user", PASSWORD)
TLS = ExchangeContext(
    bindings={"tls-exporter": b"e" * 32, "tls-server-end-point": b"s" * 32},
    offered=tuple(each.name for each in ALL),
    host="server.example",
)
BOUND_ONLY = replace(TLS, offered=("SCRAM-SHA-256-PLUS",))


@cache
def store() -> Store:
    names = ("SCRAM-SHA-1", "SCRAM-SHA-256")
    return {(name, "user"): ScramRecord.make(PASSWORD, mechanism=name, iterations=4096) for name in names}


def client(mechanism: str = "SCRAM-SHA-256", auth: Password = USER, context: ExchangeContext = CONTEXT) -> ScramClient:
    return ScramClient(auth, mechanism, context)


@pytest.mark.parametrize(
    ("name", "nonce", "theirs", "salt", "first", "challenge", "final", "verifier"),
    [
        (  # RFC 5802 5
            "SCRAM-SHA-1",
            "fyko+d2lbbFgONRv9qkxdawL",
            "3rfcNHYJY1ZVvWVs7j",
            "QSXCR+Q6sek8bf92",
            b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ),
        (  # RFC 7677 3
            "SCRAM-SHA-256",
            "rOprNGfwEbeRWgbNEkqO",
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ),
    ],
)
def test_rfc5802_5_rfc7677_3_examples(
    name: str, nonce: str, theirs: str, salt: str, first: bytes, challenge: bytes, final: bytes, verifier: bytes
) -> None:
    record = ScramRecord.make(PASSWORD, mechanism=name, iterations=4096, salt=base64.b64decode(salt))
    (mechanism,) = scram_servers(name, nonce=lambda: theirs)
    server = Server(mechanism, store={(name, "user"): record})
    ours = ScramClient(USER, name, ExchangeContext(), nonce=lambda: nonce)
    assert ours.initial_response() == first
    assert server.answer(first) == challenge
    assert ours.respond(challenge) == final
    assert server.answer(final) == verifier
    assert ours.respond(verifier) == b""
    ours.complete()
    assert server.finish(b"") == Credentials(name, "user", is_proven=True)


@pytest.mark.parametrize("mechanism", ALL, ids=lambda each: str(each.name))
@pytest.mark.parametrize("authorization_id", ["", "boss", "a,b=c"])
def test_client_and_server_agree(mechanism: object, authorization_id: str) -> None:
    (found,) = (each for each in ALL if each is mechanism)
    server = Server(found, TLS, store())
    auth = Password("user", PASSWORD, authorization_id)
    credentials = log_in(client(found.name, auth, TLS), server)
    assert credentials == Credentials(found.name, "user", authorization_id, is_proven=True)
    assert server.lookups == [Lookup("user", found.name.removesuffix("-PLUS"))]


@settings(deadline=None)
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1),
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1),
)
def test_any_name_and_password(username: str, password: str) -> None:
    auth = Password(username, password, scram_iterations=range(1, 2))
    names = [each.name for each in auth.mechanisms()]
    if "SCRAM-SHA-256" not in names:
        return
    record = ScramRecord.make(password, iterations=1)

    class Everybody(dict[tuple[str, str], ScramRecord | Secret]):
        def get(self, key: object, default: object = None) -> ScramRecord:  # type: ignore[override]
            return record

    server = Server(SCRAM_SHA_256, store=Everybody({("", ""): record}))
    assert log_in(client("SCRAM-SHA-256", auth), server).is_proven


# Binding to the channel -----------------------------------------------------------------------------------------------


def test_rfc5802_6_plus_takes_the_first_binding() -> None:
    assert client("SCRAM-SHA-256-PLUS", context=TLS).initial_response().startswith(b"p=tls-exporter,,n=user,r=")
    assert SCRAM_SHA_256_PLUS.needs_binding
    assert not SCRAM_SHA_256.needs_binding
    assert not any(each.reveals_secret for each in ALL)
    assert all(each.needs_lookup and each.accepts_initial for each in ALL)


def test_plus_without_a_binding_does_not_start() -> None:
    with pytest.raises(SASLError, match="PLUS"):
        client("SCRAM-SHA-256-PLUS")


@pytest.mark.parametrize(
    ("context", "flag"),
    [
        (CONTEXT, b"n"),
        (TLS, b"n"),
        (replace(TLS, offered=("SCRAM-SHA-256",)), b"y"),
        (replace(TLS, offered=("SCRAM-SHA-256", "SCRAM-SHA-1-PLUS")), b"y"),
    ],
)
def test_rfc5802_6_flag_of_a_client_that_could_bind(context: ExchangeContext, flag: bytes) -> None:
    assert client(context=context).initial_response()[:2] == flag + b","


def test_rfc5802_6_an_offer_that_somebody_tampered_with() -> None:
    told = replace(TLS, offered=("SCRAM-SHA-256", "PLAIN"))
    with pytest.raises(ProofError) as caught:
        log_in(client(context=told), Server(SCRAM_SHA_256, TLS, store()))
    assert caught.value.username == "user"
    assert log_in(client(context=told), Server(SCRAM_SHA_256, told, store())).is_proven


def test_rfc5802_6_other_channel_at_the_other_end() -> None:
    theirs = replace(TLS, bindings={"tls-exporter": b"x" * 32})
    with pytest.raises(ProofError):
        log_in(client("SCRAM-SHA-256-PLUS", context=TLS), Server(SCRAM_SHA_256_PLUS, theirs, store()))


@pytest.mark.parametrize(
    ("mechanism", "message"),
    [
        (SCRAM_SHA_256, b"p=tls-exporter,,n=user,r=abc"),
        (SCRAM_SHA_256_PLUS, b"n,,n=user,r=abc"),
        (SCRAM_SHA_256_PLUS, b"y,,n=user,r=abc"),
        (SCRAM_SHA_256_PLUS, b"p=tls-unique,,n=user,r=abc"),
    ],
)
def test_rfc5802_6_flag_does_not_fit_the_mechanism(mechanism: object, message: bytes) -> None:
    (found,) = (each for each in ALL if each is mechanism)
    server = Server(found, TLS, store())
    with pytest.raises(SASLError):
        server.answer(message)
    assert server.lookups == []


def test_rfc5802_6_header_is_repeated() -> None:
    """Somebody in between who changes the header is found out, even without a channel binding."""
    server = Server(SCRAM_SHA_256, store=store())
    ours = client()
    challenge = server.answer(ours.initial_response().replace(b"n,,", b"n,a=boss,"))
    assert challenge is not None
    with pytest.raises(ProofError):
        server.answer(ours.respond(challenge))


# Wrong proofs ---------------------------------------------------------------------------------------------------------


def failure(auth: Password, records: Store) -> tuple[ServerFirst, ProofError]:
    server = Server(SCRAM_SHA_256, store=records)
    ours = ScramClient(auth, "SCRAM-SHA-256", CONTEXT, nonce=lambda: "abc")
    challenge = server.answer(ours.initial_response())
    assert challenge is not None
    with pytest.raises(ProofError) as caught:
        server.answer(ours.respond(challenge))
    return ServerFirst.parse(challenge), caught.value


def test_h087_unknown_user_looks_like_a_wrong_password() -> None:
    full = {("SCRAM-SHA-256", "user"): ScramRecord.make(PASSWORD)}
    known, wrong = failure(Password("user", "hunter2"), full)
    unknown, nobody = failure(Password("nobody", "hunter2"), full)
    assert (type(wrong), str(wrong)) == (type(nobody), str(nobody))
    assert (len(known.nonce), len(known.salt), known.iterations) == (
        len(unknown.nonce),
        len(unknown.salt),
        unknown.iterations,
    )
    again, _ = failure(Password("nobody", "hunter2"), full)
    assert again.salt == unknown.salt
    assert again.nonce != unknown.nonce
    assert is_hidden("hunter2", *chain(wrong))


def test_h087_salts_of_unknown_users_are_the_same_in_all_processes_with_one_secret() -> None:
    def salt(secret: bytes) -> bytes:
        (mechanism,) = scram_servers("SCRAM-SHA-256", secret=secret, iterations=20_000)
        challenge = Server(mechanism).answer(b"n,,n=nobody,r=abc")
        assert challenge is not None
        first = ServerFirst.parse(challenge)
        assert first.iterations == 20_000
        return first.salt

    assert salt(b"one") == salt(b"one") != salt(b"two")


@pytest.mark.parametrize("stored", [ScramRecord.make(PASSWORD, mechanism="SCRAM-SHA-1"), Secret(PASSWORD)])
def test_record_of_another_kind_is_none(stored: ScramRecord | Secret) -> None:
    failure(USER, {("SCRAM-SHA-256", "user"): stored})


def start_server() -> tuple[Server, ScramClient, bytes]:
    server, ours = Server(SCRAM_SHA_256, store=store()), client()
    challenge = server.answer(ours.initial_response())
    assert challenge is not None
    return server, ours, ours.respond(challenge)


def test_rfc5802_5_1_another_nonce() -> None:
    server, _, final = start_server()
    with pytest.raises(SASLError, match="nonce"):
        server.answer(final.replace(b",r=", b",r=x"))


@pytest.mark.parametrize("proof", [b"", b"eA==", base64.b64encode(b"x" * 32), base64.b64encode(b"x" * 33)])
def test_wrong_proof_of_any_size(proof: bytes) -> None:
    server, _, final = start_server()
    with pytest.raises(ProofError):
        server.answer(final[: final.index(b",p=") + 3] + proof)


def test_right_proof_with_more_behind_it() -> None:
    server, _, final = start_server()
    begin = final.index(b",p=") + 3
    with pytest.raises(ProofError):
        server.answer(final[:begin] + base64.b64encode(base64.b64decode(final[begin:]) + b"x"))


def test_nothing_comes_behind_the_signature() -> None:
    server, _, final = start_server()
    assert server.answer(final) is not None
    with pytest.raises(SASLError):
        server.answer(b"x")


@pytest.mark.parametrize("name", ["\u00ad", "\x07", "\u0627a"])
def test_rfc5802_5_1_names_that_cannot_be_prepared(name: str) -> None:
    server = Server(SCRAM_SHA_256)
    with pytest.raises(SASLError):
        server.answer(f"n,,n={name},r=abc".encode())
    assert server.lookups == []


def test_rfc5802_5_1_name_is_prepared() -> None:
    server = Server(SCRAM_SHA_256)
    server.answer("n,,n=I\u00adX,r=abc".encode())
    assert server.lookups == [Lookup("IX", "SCRAM-SHA-256")]


# Servers that can't be trusted ----------------------------------------------------------------------------------------


def test_server_must_prove_itself_before_success_counts() -> None:
    server, ours, final = start_server()
    with pytest.raises(SASLError, match="not proven"):
        ours.complete()
    verifier = server.answer(final)
    assert verifier is not None
    ours.respond(verifier)
    ours.complete()
    with pytest.raises(SASLError, match="third"):
        ours.respond(b"")


@pytest.mark.parametrize("verifier", [b"", b"v=", b"v=eA==", b"v=" + base64.b64encode(b"x" * 32), b"e=other-error"])
def test_server_that_does_not_know_the_password(verifier: bytes) -> None:
    _, ours, _ = start_server()
    with pytest.raises(SASLError):
        ours.respond(verifier)
    with pytest.raises(SASLError):
        ours.complete()


@pytest.mark.parametrize(
    ("nonce", "iterations"),
    [
        ("abc", 4096),  # nothing of its own
        ("ab", 4096),
        ("xabc", 4096),
        ("ABCdef", 4096),
        ("abcdef", 4095),
        ("abcdef", 1),
        ("abcdef", 1_000_001),
        ("abcdef", 9_999_999_999),
    ],
)
def test_server_first_that_is_not_accepted(nonce: str, iterations: int) -> None:
    ours = ScramClient(USER, "SCRAM-SHA-256", CONTEXT, nonce=lambda: "abc")
    with pytest.raises(SASLError):
        ours.respond(ServerFirst(nonce, b"salt", iterations).to_bytes())


def test_few_iterations_can_be_allowed() -> None:
    auth = Password("user", PASSWORD, scram_iterations=range(1, 5000))
    ours = ScramClient(auth, "SCRAM-SHA-256", CONTEXT, nonce=lambda: "abc")
    assert ours.respond(b"r=abcdef,s=c2FsdA==,i=1").startswith(b"c=biws,r=abcdef,p=")


def test_h055_no_secret_shows() -> None:
    auth = Password("user", "hunter2")
    ours = client(auth=auth)
    try:
        ours.respond(b"r=\xff")
    except SASLError as error:
        assert is_hidden("hunter2", ours, *chain(error))  # noqa: PT017 - what a traceback would show
    assert is_hidden("hunter2", ours, auth, *auth.mechanisms())
    assert is_hidden("sssss", TLS)


PIECES = st.lists(
    st.sampled_from(
        [
            b"n,,",
            b"p=tls-exporter,,",
            b"n=user",
            b"r=",
            b"abc",
            b",",
            b"s=c2FsdA==",
            b"c=biws",
            b"i=4096",
            b"v=eA==",
            b",p=eA==",
            b"\xff",
        ]
    )
).map(b"".join)


@settings(deadline=None)
@given(st.lists(st.binary() | PIECES, max_size=4))
def test_h075_any_messages_give_sasl_error_to_a_server(messages: list[bytes]) -> None:
    for mechanism in (SCRAM_SHA_256, SCRAM_SHA_256_PLUS):
        server = Server(mechanism, TLS, store())
        try:
            for message in messages:
                assert server.answer(message) is not None
        except SASLError:
            pass
        assert server.credentials is None


@settings(deadline=None)
@given(st.lists(st.binary() | PIECES, max_size=3))
def test_h075_any_challenges_give_sasl_error_to_a_client(challenges: list[bytes]) -> None:
    ours = ScramClient(replace(USER, scram_iterations=range(1, 2)), "SCRAM-SHA-256", CONTEXT, nonce=lambda: "ab")
    try:
        for challenge in challenges:
            ours.respond(challenge)
    except SASLError:
        pass
    with pytest.raises(SASLError):
        ours.complete()
