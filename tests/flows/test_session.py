"""From the greeting to READY: hello, STARTTLS and AUTH as the plan says, and never a secret where it may be heard."""
# ruff: noqa: ANN401 - flows, and faces of either colour, have no common type

import binascii
import hmac
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from smtpx.errors import (
    AuthenticationError,
    ConnectionLost,
    LocalProtocolError,
    PermanentRefusal,
    RemoteProtocolError,
    SMTPXError,
    TemporaryRefusal,
    TLSError,
    UnsupportedError,
)
from smtpx.flows.session import Security, SessionPlan, authenticate, check_hello_name, open_session, start_tls
from smtpx.protocol.client import ClientProtocol
from smtpx.protocol.dialect import LMTP, SMTP, Dialect
from smtpx.sasl import AuthExchange, BearerToken, ClientMechanism, ExchangeContext, Password, SASLError
from tests.peers import FACTS, Dialogue

HELLO = "S: 220 ready\nC: EHLO me\n"
USER = Password("user", "secret")
PLAIN = "AHVzZXIAc2VjcmV0"


def session(text: str, *, dialect: Dialect = SMTP, tls: Any = None, hello_name: str = "me", **plan: Any) -> Any:
    """Open a session, whole and octet by octet; the protocol or the exception."""
    outcomes: list[Any] = []
    plan.setdefault("security", Security.NONE)
    for cut in (None, 1):
        protocol = ClientProtocol(dialect=dialect, tls=tls)
        dialogue = Dialogue(text, cut=cut)
        try:
            dialogue.run(open_session(protocol, SessionPlan(hello_name=hello_name, **plan)))
            outcomes.append(protocol)
        except SMTPXError as error:
            outcomes.append(error)
        dialogue.done()
    assert type(outcomes[0]) is type(outcomes[1])
    if isinstance(outcomes[0], SMTPXError):
        assert str(outcomes[0]) == str(outcomes[1])
    else:
        assert outcomes[0].is_clean
    return outcomes[0]


@pytest.mark.parametrize(
    ("behind", "kind"),
    [("250 more", RemoteProtocolError), ("250-mo", RemoteProtocolError), ("421 bye", TemporaryRefusal)],
)
def test_h058_something_unasked_behind_the_last_reply(behind: str, kind: type[SMTPXError]) -> None:
    protocol = ClientProtocol()
    dialogue = Dialogue(f"{HELLO}S: 250 x\nS: {behind}")
    with pytest.raises(kind):
        dialogue.run(open_session(protocol, SessionPlan(hello_name="me", security=Security.NONE)))
    assert protocol.is_closed


def test_c05_hello() -> None:
    protocol = session(HELLO + "S: 250-x\nS: 250-size 10\nS: 250 Auth login plain")
    assert protocol.capabilities["SIZE"] == "10"
    assert protocol.hello_reply.lines[0] == "x"


@pytest.mark.parametrize("code", [500, 502, 504])
def test_b15_c06_p46_helo_after_unknown_command_and_no_capabilities(code: int) -> None:
    protocol = session(HELLO + f"S: {code} what\nC: HELO me\nS: 250-x\nS: 250-SIZE 1\nS: 250 STARTTLS")
    assert dict(protocol.capabilities) == {}


@pytest.mark.parametrize("code", [421, 450, 451, 550, 554])
def test_b15_c08_no_helo_after_other_refusals(code: int) -> None:
    error = session(HELLO + f"S: {code} no")
    assert isinstance(error, TemporaryRefusal if code < 500 else PermanentRefusal)
    assert (error.stage, error.reply.code) == ("hello", code)


def test_c12_lmtp_says_lhlo_and_nothing_else() -> None:
    assert session("S: 220 x\nC: LHLO me\nS: 250 x", dialect=LMTP).is_clean
    assert isinstance(session("S: 220 x\nC: LHLO me\nS: 500 x", dialect=LMTP), PermanentRefusal)


@pytest.mark.parametrize("code", [421, 554])
def test_greeting_refused(code: int) -> None:
    error = session(f"S: {code} no")
    assert error.stage == "greeting"
    assert error.reply.code == code


@pytest.mark.parametrize("greeting", ["250 hello", "200 hello", "354 hello", "SSH-2.0-x", "HTTP/1.1 400"])
def test_greeting_that_is_none(greeting: str) -> None:
    error = session(f"S: {greeting}")
    assert isinstance(error, RemoteProtocolError)
    assert error.stage == "greeting"


def test_closed_before_the_greeting() -> None:
    error = session("EOF")
    assert isinstance(error, ConnectionLost)
    assert error.stage == "greeting"


@pytest.mark.parametrize("name", ["", "x y", "x\r\nMAIL FROM:<>", "a\0", "<a>", "ü", "x" * 256, "a\tb"])
def test_h050_c07_hello_name_is_checked_before_anything_is_said(name: str) -> None:
    error = session("", hello_name=name)
    assert isinstance(error, LocalProtocolError)
    assert error.stage == "hello"


def test_hello_name_may_be_a_literal() -> None:
    assert check_hello_name("[IPv6:::1]") == "[IPv6:::1]"


# STARTTLS -------------------------------------------------------------------------------------------------------------

OFFER = HELLO + "S: 250-x\nS: 250 STARTTLS\n"


def test_c10_starttls_forgets_and_says_hello_again() -> None:
    text = HELLO + "S: 250-x\nS: 250-PIPELINING\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nTLS\nC: EHLO me\nS: 250 y"
    protocol = session(text, security=Security.STARTTLS)
    assert protocol.tls is FACTS
    assert "PIPELINING" not in protocol.capabilities  # T12


def test_h040_stripped() -> None:
    for security, auth in ((Security.STARTTLS, None), (Security.OPPORTUNISTIC, USER)):
        error = session(HELLO + "S: 250-x\nS: 250 AUTH PLAIN", security=security, auth=auth)
        assert isinstance(error, UnsupportedError)
        assert error.keyword == "STARTTLS"
    assert session(HELLO + "S: 250 x", security=Security.OPPORTUNISTIC).tls is None


def test_h041_b14_454() -> None:
    text = OFFER + "C: STARTTLS\nS: 454 not now"
    plans: list[dict[str, Any]] = [
        {"security": Security.STARTTLS},
        {"security": Security.OPPORTUNISTIC, "auth": USER},
    ]
    for plan in plans:
        error = session(text, **plan)
        assert isinstance(error, TemporaryRefusal)
        assert error.stage == "starttls"
    assert session(text, security=Security.OPPORTUNISTIC).tls is None


def test_421_to_starttls_is_no_clear_session() -> None:
    error = session(OFFER + "C: STARTTLS\nS: 421 bye", security=Security.OPPORTUNISTIC)
    assert isinstance(error, TemporaryRefusal)


def test_handshake_fails() -> None:
    error = session(OFFER + "C: STARTTLS\nS: 220 go\nNOTLS", security=Security.STARTTLS)
    assert isinstance(error, TLSError)
    assert error.stage == "starttls"


@pytest.mark.parametrize("injected", ["S: 250-injected\nS: 250 AUTH PLAIN\n", "S: 250\n"])
def test_h036_d46_p27_octets_behind_the_220(injected: str) -> None:
    text = OFFER + "C: STARTTLS\nS: 220 go\n" + injected
    protocol = ClientProtocol()
    dialogue = Dialogue(text)
    with pytest.raises(RemoteProtocolError) as caught:
        dialogue.run(open_session(protocol, SessionPlan(hello_name="me")))
    dialogue.done()
    assert caught.value.stage == "starttls"
    assert protocol.is_closed


def test_tls_within_tls_is_refused_here() -> None:
    protocol = session(HELLO + "S: 250-x\nS: 250 STARTTLS", tls=FACTS)
    with pytest.raises(LocalProtocolError):
        next(start_tls(protocol, SessionPlan(hello_name="me")))


# AUTH -----------------------------------------------------------------------------------------------------------------


def auth(text: str, *, offers: str = "PLAIN LOGIN", tls: Any = FACTS, **plan: Any) -> Any:
    return session(HELLO + f"S: 250-x\nS: 250 AUTH {offers}\n" + text, tls=tls, **{"auth": USER, **plan})


def test_plain_with_initial_response() -> None:
    protocol = auth(f"C: AUTH PLAIN {PLAIN}\nS: 235 ok")
    assert protocol.identity == "user"
    with pytest.raises(LocalProtocolError, match="already"):
        next(authenticate(protocol, SessionPlan(hello_name="me", auth=USER)))


@pytest.mark.parametrize("challenge", ["VXNlcm5hbWU6", "UGFzc3dvcmQ6", "cGFzc3dvcmQ=", ""])
def test_d37_login_takes_any_challenge(challenge: str) -> None:
    text = f"C: AUTH LOGIN\nS: 334 {challenge}\nC: dXNlcg==\nS: 334 {challenge}\nC: c2VjcmV0\nS: 235 ok"
    assert auth(text, offers="LOGIN").identity == "user"


def test_d37_challenge_that_is_not_base64() -> None:
    error = auth("C: AUTH LOGIN\nS: 334 !not base64!\nC: *\nS: 501 cancelled", offers="LOGIN")
    assert isinstance(error, RemoteProtocolError)
    assert "base64" in str(error)


def test_d45_what_the_server_repeats_of_our_words_is_masked() -> None:
    error = auth("C: AUTH PLAIN AHVzZXIAc2VjcmV0\nS: 535 bad AHVzZXIAc2VjcmV0, go", offers="PLAIN")
    assert isinstance(error, AuthenticationError)
    assert error.reply is not None
    assert error.reply.text == "bad ****, go"
    assert "AHVzZXIAc2VjcmV0" not in str(error)


def test_third_question_is_given_up() -> None:
    text = "C: AUTH LOGIN\nS: 334\nC: dXNlcg==\nS: 334\nC: c2VjcmV0\nS: 334\nC: *\nS: 501 c2VjcmV0"
    error = auth(text, offers="LOGIN")
    assert isinstance(error, AuthenticationError)
    assert error.reply is not None
    assert error.reply.text == "****"
    assert "third" in str(error)


def test_a_question_behind_the_last_word_is_no_answer() -> None:
    for answer in ("334", "235 welcome", "250 ok"):
        error = auth(f"C: AUTH PLAIN {PLAIN}\nS: 334\nC: *\nS: {answer}", offers="PLAIN")
        assert isinstance(error, RemoteProtocolError)
        assert error.stage == "auth"


def test_c09_d16_no_star_after_535() -> None:
    error = auth(f"C: AUTH PLAIN {PLAIN}\nS: 535-a\nS: 535 b")
    assert isinstance(error, AuthenticationError)
    assert error.reply is not None
    assert error.reply.lines == ("a", "b")
    assert error.mechanism == "PLAIN"
    assert not error.is_temporary
    assert "secret" not in str(error)
    assert PLAIN not in str(error)
    assert auth(f"C: AUTH PLAIN {PLAIN}\nS: 454 later").is_temporary


class Custom:
    """Credentials with one mechanism of the test's own."""

    def __init__(self, name: str, start: Callable[[], Any], *, reveals: bool = False) -> None:
        self._all = [ClientMechanism(name, reveals, lambda _: start())]

    def mechanisms(self) -> list[ClientMechanism]:
        return self._all


class Words(AuthExchange):
    """An exchange of fixed words."""

    def __init__(self, initial: bytes | None, *later: bytes) -> None:
        self._initial = initial
        self._later = list(later)

    def initial_response(self) -> bytes | None:
        return self._initial

    def respond(self, challenge: bytes) -> bytes:
        return self._later.pop(0)


def test_c01_success_before_we_said_anything() -> None:
    error = auth("C: AUTH FOOAUTH\nS: 200 ok", offers="FOOAUTH", auth=Custom("FOOAUTH", lambda: Words(None)))
    assert isinstance(error, RemoteProtocolError)
    assert error.stage == "auth"


def test_empty_initial_response_is_an_equals_sign() -> None:
    protocol = auth("C: AUTH X =\nS: 235 ok", offers="X", auth=Custom("X", lambda: Words(b"")))
    assert protocol.identity == "X"


def test_long_initial_response_waits_for_an_empty_challenge() -> None:
    words = b"x" * 12_000
    import base64

    text = f"C: AUTH X\nS: 334\nC: {base64.b64encode(words).decode()}\nS: 334 YQ==\nC: Yg==\nS: 235 ok"
    assert auth(text, offers="X", auth=Custom("X", lambda: Words(words, b"b"))).identity == "X"


def test_h044_clear_text_mechanisms_need_verified_tls() -> None:
    import dataclasses

    for tls in (None, dataclasses.replace(FACTS, verified=False)):
        error = auth("", tls=tls)
        assert isinstance(error, UnsupportedError)
        assert "not protected" in str(error)
        assert auth(f"C: AUTH PLAIN {PLAIN}\nS: 235 ok", tls=tls, trusted_path=True).identity == "user"


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("tls", [None, replace(FACTS, verified=False)], ids=["in clear", "not verified"])
def test_h044_none_of_these_is_ever_said_without_verified_tls(mechanism: str, tls: Any) -> None:
    user = BearerToken("u", "t") if "OAUTH" in mechanism else USER
    for plan in ({}, {"auth_mechanisms": [mechanism]}):
        error = auth("", offers=mechanism, tls=tls, auth=user, **plan)
        assert isinstance(error, UnsupportedError)
        assert error.stage == "auth"


def test_no_mechanism_in_common() -> None:
    assert "offers GSSAPI" in str(auth("", offers="GSSAPI"))
    assert "none" in str(auth("", offers=""))
    assert isinstance(auth("", auth_mechanisms=["XOAUTH2"]), UnsupportedError)
    assert auth("C: AUTH LOGIN\nS: 334\nC: dXNlcg==\nS: 334\nC: c2VjcmV0\nS: 235 ok", auth_mechanisms=["LOGIN"])


class Seen(Custom):
    """Remembers what its exchange was told of the connection."""

    def __init__(self, name: str = "X", *, needs_binding: bool = False) -> None:
        self.contexts: list[ExchangeContext] = []
        self._all = [ClientMechanism(name, False, self._start, needs_binding=needs_binding)]

    def _start(self, context: ExchangeContext) -> AuthExchange:
        self.contexts.append(context)
        return Words(b"x")


def test_mechanisms_are_told_of_the_connection() -> None:
    seen = Seen()
    bound = replace(FACTS, bindings={"tls-exporter": b"x"})
    auth("C: AUTH X eA==\nS: 235 ok", offers="plain X", tls=bound, auth=seen, host="mx.example", port=587)
    known = ExchangeContext(bindings={"tls-exporter": b"x"}, offered=("PLAIN", "X"), host="mx.example", port=587)
    assert all(each == known for each in seen.contexts)
    auth("C: AUTH X eA==\nS: 235 ok", offers="X", tls=None, auth=seen)
    assert seen.contexts[-1] == ExchangeContext(offered=("X",))


def test_rfc5802_6_plus_is_chosen_only_with_a_channel_binding() -> None:
    bound = replace(FACTS, bindings={"tls-exporter": b"x"})
    assert auth("C: AUTH X eA==\nS: 235 ok", offers="X", tls=bound, auth=Seen(needs_binding=True)).identity == "X"
    for tls in (FACTS, None):
        assert isinstance(auth("", offers="X", tls=tls, auth=Seen(needs_binding=True)), UnsupportedError)


def test_h044_without_verified_tls_secrets_come_last() -> None:
    offers = "PLAIN CRAM-MD5"
    answer = binascii.b2a_base64(b"user " + hmac.digest(b"secret", b"x", "md5").hex().encode(), newline=False)
    cram = f"C: AUTH CRAM-MD5\nS: 334 eA==\nC: {answer.decode()}\nS: 235 ok"
    for tls in (None, replace(FACTS, verified=False)):
        assert auth(cram, offers=offers, tls=tls).identity == "user"
        assert auth(cram, offers=offers, tls=tls, trusted_path=True).identity == "user"
    assert auth(f"C: AUTH PLAIN {PLAIN}\nS: 235 ok", offers=offers).identity == "user"


def test_exchange_that_cannot_start() -> None:
    def start() -> AuthExchange:
        raise SASLError("not so")

    error = auth("", offers="X", auth=Custom("X", start))
    assert isinstance(error, AuthenticationError)
    assert "not so" in str(error)
    assert error.reply is None


def test_server_that_has_not_proven_itself() -> None:
    class Suspicious(Words):
        def complete(self) -> None:
            raise SASLError("not the server")

    error = auth("C: AUTH X eA==\nS: 235 ok", offers="X", auth=Custom("X", lambda: Suspicious(b"x")))
    assert isinstance(error, AuthenticationError)
    assert "not the server" in str(error)
    assert not error.is_temporary


def token(text: str) -> str:
    return binascii.b2a_base64(f"user=u\1auth=Bearer {text}\1\1".encode(), newline=False).decode()


def test_p45_token_is_fetched_again_behind_a_535() -> None:
    def play(script: str, *tokens: str) -> Any:
        fetched = itertools.cycle(tokens)  # the script is played more than once
        found = auth(script, offers="XOAUTH2", auth=BearerToken("u", lambda: next(fetched)))
        assert next(fetched) == tokens[0]
        return found

    refused = f"C: AUTH XOAUTH2 {token('a')}\nS: 334 e30=\nC:\nS: 535 no\n"
    assert play(f"{refused}C: AUTH XOAUTH2 {token('b')}\nS: 235 ok", "a", "b").identity == "u"
    again = play(f"{refused}C: AUTH XOAUTH2 {token('b')}\nS: 334 e30=\nC:\nS: 535 never", "a", "b")
    assert isinstance(again, AuthenticationError)
    assert str(again).startswith("XOAUTH2 refused: 535 never ({})")
    same = play(refused, "a", "a")
    assert isinstance(same, AuthenticationError)
    assert "535 no" in str(same)
    later = play(f"C: AUTH XOAUTH2 {token('a')}\nS: 454 later", "a")
    assert later.is_temporary
    fixed = auth(refused, offers="XOAUTH2", auth=BearerToken("u", "a"))
    assert isinstance(fixed, AuthenticationError)


def test_auth_not_offered() -> None:
    error = session(HELLO + "S: 250 x", tls=FACTS, auth=USER)
    assert isinstance(error, UnsupportedError)
    assert error.keyword == "AUTH"


def test_no_credentials() -> None:
    protocol = session(HELLO + "S: 250 x")
    with pytest.raises(LocalProtocolError, match="credentials"):
        next(authenticate(protocol, SessionPlan(hello_name="me")))


# A server that knows -PLUS, but not our way to name the channel -------------------------------------------------------


class Proof(AuthExchange):
    """Says whether it is bound."""

    def __init__(self, context: ExchangeContext) -> None:
        self._word = b"bound" if context.bindings else b"free"

    def initial_response(self) -> bytes:
        return self._word

    def respond(self, challenge: bytes) -> bytes:
        return b"more"


class Both:
    def mechanisms(self) -> list[ClientMechanism]:
        return [ClientMechanism("X-PLUS", False, Proof, needs_binding=True), ClientMechanism("X", False, Proof)]


BOUND = replace(FACTS, bindings={"tls-server-end-point": b"x"})
AT_ONCE = "C: AUTH X-PLUS Ym91bmQ=\nS: 535 unknown channel binding\n"


def test_rfc9266_without_the_binding_if_the_server_does_not_know_ours() -> None:
    assert auth(AT_ONCE + "C: AUTH X ZnJlZQ==\nS: 235 ok", offers="X-PLUS X", tls=BOUND, auth=Both())


@pytest.mark.parametrize(
    ("text", "offers", "tls", "plan"),
    [
        (AT_ONCE, "X-PLUS", BOUND, {}),  # nothing else is offered
        (AT_ONCE, "X-PLUS X", replace(BOUND, verified=False), {}),  # somebody in between could want just that
        (AT_ONCE, "X-PLUS X", BOUND, {"auth_mechanisms": ["X-PLUS", "X"]}),  # the caller has said what to use
        ("C: AUTH X-PLUS Ym91bmQ=\nS: 454 not now\n", "X-PLUS X", BOUND, {}),
        ("C: AUTH X-PLUS Ym91bmQ=\nS: 334 YQ==\nC: bW9yZQ==\nS: 535 wrong\n", "X-PLUS X", BOUND, {}),
    ],
)
def test_a_binding_is_not_given_up_lightly(text: str, offers: str, tls: Any, plan: dict[str, Any]) -> None:
    error = auth(text, offers=offers, tls=tls, auth=Both(), **plan)
    assert isinstance(error, AuthenticationError)
    assert error.mechanism == "X-PLUS"


def test_h044_mechanisms_that_are_gone_under_tls_are_noted() -> None:
    text = (
        HELLO + "S: 250-x\nS: 250-STARTTLS\nS: 250 AUTH SCRAM-SHA-256 PLAIN\nC: STARTTLS\nS: 220 go\nTLS\n"
        f"C: EHLO me\nS: 250-x\nS: 250 AUTH PLAIN\nC: AUTH PLAIN {PLAIN}\nS: 235 ok"
    )
    protocol = session(text, auth=USER, security=Security.STARTTLS)
    assert protocol.mechanisms_lost == ("SCRAM-SHA-256",)


@pytest.mark.parametrize(
    ("raised", "kind", "is_temporary"),
    [
        (KeyError("s3cret"), AuthenticationError, False),
        (ConnectionError("s3cret"), AuthenticationError, True),
        (SASLError("the vault is locked"), AuthenticationError, False),
        (ConnectionLost("no way"), ConnectionLost, True),
    ],
)
def test_what_a_callable_for_a_token_raises(raised: Exception, kind: type[SMTPXError], is_temporary: bool) -> None:
    def token() -> str:
        raise raised

    error = session(HELLO + "S: 250-x\nS: 250 AUTH XOAUTH2", auth=BearerToken("u", token), trusted_path=True)
    assert (type(error), error.stage, error.is_temporary) == (kind, "auth", is_temporary)
    assert raised in (error, error.__cause__)
    assert "s3cret" not in str(error)
