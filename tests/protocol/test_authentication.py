"""The exchange by itself: what comes out for what goes in, without a connection."""

import binascii
from collections.abc import Generator
from typing import Any

import pytest

from smtpx.protocol import replies
from smtpx.protocol.authentication import Authentication, NextStep, Verdict
from smtpx.sasl import (
    Challenge,
    Credentials,
    ExchangeContext,
    Lookup,
    ProofError,
    SASLError,
    ScramRecord,
    Secret,
    ServerMechanism,
)
from smtpx.wire.reply import Reply

NOBODY = Credentials("TEST", "user")
CONTEXT = ExchangeContext()
Script = list[Any]


def scripted(script: Script, **options: object) -> ServerMechanism:
    """A mechanism that yields what the script holds; an exception is raised, credentials end it."""

    def start(
        context: ExchangeContext,
    ) -> Generator[Challenge | Lookup, bytes | ScramRecord | Secret | None, Credentials]:
        for step in script:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, Credentials):
                return step
            seen.append((yield step))
        raise AssertionError("the script is too short")

    seen: list[Any] = []
    values: dict[str, Any] = {
        "name": "TEST",
        "reveals_secret": False,
        "accepts_initial": True,
        "start": start,
        **options,
    }
    mechanism = ServerMechanism(**values)
    return mechanism


def begin(
    mechanism: ServerMechanism, initial: str | None = None
) -> tuple[Authentication, NextStep, list[tuple[str, str]]]:
    wrong: list[tuple[str, str]] = []
    auth = Authentication(64, lambda name, user: wrong.append((name, user)))
    return auth, auth.start(mechanism, CONTEXT, initial), wrong


def b64(text: bytes) -> str:
    return binascii.b2a_base64(text, newline=False).decode()


def test_challenges_and_credentials() -> None:
    auth, step, _ = begin(scripted([Challenge(b"a"), Challenge(b"b"), NOBODY]))
    assert step == Challenge(b"a")
    assert auth.respond(b64(b"1")) == Challenge(b"b")
    assert auth.respond(b64(b"2")) == NOBODY
    assert auth.judged(replies.AUTHENTICATED) == Verdict(replies.AUTHENTICATED, is_judgement=True)


@pytest.mark.parametrize("initial", ["=", b64(b"x")])
def test_rfc4954_4_an_initial_response_answers_the_first_challenge(initial: str) -> None:
    _, step, _ = begin(scripted([Challenge(b""), NOBODY]), initial)
    assert step == NOBODY


def test_r145_a_mechanism_in_which_the_server_speaks_first() -> None:
    _, step, _ = begin(scripted([Challenge(b"nonce"), NOBODY], accepts_initial=False), b64(b"x"))
    assert step == Verdict(replies.SERVER_SPEAKS_FIRST)


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("!", replies.NOT_BASE64),
        ("AAA", replies.NOT_BASE64),
        ("é", replies.NOT_BASE64),
        ("A" * 65, replies.AUTH_LINE_TOO_LONG),
    ],
)
def test_h075_answers_that_can_not_be_read(text: str, reply: Reply) -> None:
    auth, _, _ = begin(scripted([Challenge(b"a"), NOBODY]))
    assert auth.respond(text) == Verdict(reply)


def test_a_message_that_the_mechanism_does_not_allow() -> None:
    auth, _, _ = begin(scripted([Challenge(b"a"), SASLError("no")]))
    assert auth.respond("") == Verdict(replies.BAD_AUTH_MESSAGE)


def test_a_wrong_proof_is_told_and_counts() -> None:
    auth, _, wrong = begin(scripted([Challenge(b"a"), ProofError("user")]))
    assert auth.respond("") == Verdict(replies.BAD_CREDENTIALS, is_judgement=True)
    assert wrong == [("TEST", "user")]


def test_looking_a_user_up() -> None:
    auth, step, _ = begin(scripted([Lookup("TEST", "user"), NOBODY]))
    assert step == Lookup("TEST", "user")
    assert auth.looked_up(Secret("x"), None) == NOBODY


@pytest.mark.parametrize(
    ("refusal", "counts"), [(replies.BAD_CREDENTIALS, True), (replies.CANNOT_AUTHENTICATE_NOW, False)]
)
def test_looking_a_user_up_may_be_refused(refusal: Reply, counts: bool) -> None:
    auth, _, _ = begin(scripted([Lookup("TEST", "user"), NOBODY]))
    assert auth.looked_up(None, refusal) == Verdict(refusal, is_judgement=counts)


def test_d36_a_refusal_in_the_mechanisms_own_words_comes_first_and_stands() -> None:
    for end in (lambda auth: auth.respond("anything"), lambda auth: auth.give_up(replies.CANCELLED)):
        auth, _, _ = begin(scripted([Challenge(b"a"), NOBODY], refusal=b"{}"))
        assert auth.respond("") == NOBODY
        assert auth.judged(replies.BAD_CREDENTIALS) == Challenge(b"{}")
        assert end(auth) == Verdict(replies.BAD_CREDENTIALS, is_judgement=True)


def test_giving_up() -> None:
    auth, _, _ = begin(scripted([Challenge(b"a"), NOBODY]))
    assert auth.give_up(replies.CANCELLED) == Verdict(replies.CANCELLED)
