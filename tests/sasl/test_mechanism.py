"""Choosing a mechanism, what a connection must have for it, and what a credential may hold."""

import pytest

from smtpx.sasl.mechanism import (
    AuthExchange,
    ClientMechanism,
    ExchangeContext,
    ProofError,
    SASLError,
    ServerMechanism,
    check_text,
    choose,
    without_context,
)
from smtpx.sasl.password import Password
from smtpx.sasl.plain import PlainClient, PlainServer
from tests.sasl.exchange import CONTEXT

START = without_context(PlainClient, Password("u", "p"))
BOUND = ExchangeContext(bindings={"tls-unique": b"x"})


def mechanism(name: str) -> ClientMechanism:
    return ClientMechanism(name, True, START)


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


@pytest.mark.parametrize(
    ("mechanism", "context", "fits"),
    [
        (ServerMechanism("A", True, True, PlainServer), CONTEXT, True),
        (ServerMechanism("A-PLUS", True, True, PlainServer, needs_binding=True), CONTEXT, False),
        (ServerMechanism("A-PLUS", True, True, PlainServer, needs_binding=True), BOUND, True),
        (ServerMechanism("B", True, True, PlainServer, needs_certificate=True), BOUND, False),
        (
            ServerMechanism("B", True, True, PlainServer, needs_certificate=True),
            ExchangeContext(peer_identity="x"),
            True,
        ),
    ],
)
def test_what_a_connection_must_have(mechanism: ServerMechanism, context: ExchangeContext, fits: bool) -> None:
    assert mechanism.fits(context) is fits


def test_start_makes_a_new_exchange_each_time() -> None:
    assert isinstance(START(CONTEXT), PlainClient)
    assert START(CONTEXT) is not START(CONTEXT)


def test_a_mechanism_of_your_own_needs_two_methods() -> None:
    class Own(AuthExchange):
        def initial_response(self) -> bytes:
            return b"me"

        def respond(self, challenge: bytes) -> bytes:
            return challenge

    own = Own()
    own.complete()
    assert own.explain_failure() == ""


def test_context_shows_no_channel_binding() -> None:
    assert "tls-unique" not in repr(BOUND)


def test_proof_error_names_the_user_but_not_in_its_text() -> None:
    error = ProofError("user")
    assert isinstance(error, SASLError)
    assert error.username == "user"
    assert "user" not in str(error)


@pytest.mark.parametrize("char", ["\0", "\r", "\n", "\x7f", "\ud800"])
def test_h055_control_characters_and_half_pairs_are_refused(char: str) -> None:
    with pytest.raises(SASLError, match="token") as caught:
        check_text(f"hunter2{char}", "token")
    assert "hunter2" not in str(caught.value)
    check_text("p\u00e4ss w\u00f6rd", "token")
