"""EXTERNAL, both sides (RFC 4422 A)."""

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpx.sasl.credentials import Credentials
from smtpx.sasl.external import EXTERNAL, Certificate, ExternalClient
from smtpx.sasl.mechanism import SASLError
from tests.sasl.exchange import CONTEXT, Server, log_in

TLS = replace(CONTEXT, peer_identity="fred@example.com")


@pytest.mark.parametrize("authorization_id", ["", "boss", "b\u00f6ss"])
def test_rfc4422_a_client_and_server_agree(authorization_id: str) -> None:
    (mechanism,) = Certificate(authorization_id).mechanisms()
    assert (mechanism.name, mechanism.reveals_secret, mechanism.needs_binding) == ("EXTERNAL", False, False)
    credentials = log_in(mechanism.start(CONTEXT), Server(EXTERNAL, TLS))
    assert credentials == Credentials("EXTERNAL", "fred@example.com", authorization_id, is_proven=True)


def test_only_with_a_verified_certificate() -> None:
    assert EXTERNAL.fits(TLS)
    assert not EXTERNAL.fits(CONTEXT)
    with pytest.raises(SASLError):
        Server(EXTERNAL, CONTEXT).answer(b"")


@pytest.mark.parametrize("message", [b"a\0b", b"\xff"])
def test_h075_other_messages(message: bytes) -> None:
    with pytest.raises(SASLError):
        Server(EXTERNAL, TLS).answer(message)


def test_external_has_no_second_message() -> None:
    with pytest.raises(SASLError):
        ExternalClient(Certificate()).respond(b"")
    with pytest.raises(SASLError):
        Certificate("a\nb")


@settings(deadline=None)
@given(st.binary())
def test_h075_any_message_gives_credentials_or_sasl_error(message: bytes) -> None:
    with contextlib.suppress(SASLError):
        assert Server(EXTERNAL, TLS).finish(message).username == "fred@example.com"
