"""ANONYMOUS, both sides (RFC 4505)."""

import base64
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpx.sasl.anonymous import ANONYMOUS, Anonymous, AnonymousClient
from smtpx.sasl.credentials import Credentials
from smtpx.sasl.mechanism import SASLError
from tests.sasl.exchange import CONTEXT, Server, log_in


def test_rfc4505_4_example() -> None:
    assert base64.b64encode(AnonymousClient(Anonymous("sirhc")).initial_response()) == b"c2lyaGM="


@pytest.mark.parametrize("trace", ["", "sirhc", "fred@example.com", "b\u00e4r 12", "x" * 255])
def test_client_and_server_agree(trace: str) -> None:
    (mechanism,) = Anonymous(trace).mechanisms()
    assert (mechanism.name, mechanism.reveals_secret) == ("ANONYMOUS", False)
    credentials = log_in(mechanism.start(CONTEXT), Server(ANONYMOUS))
    assert credentials == Credentials("ANONYMOUS", "anonymous", trace=trace)
    assert not credentials.is_proven
    assert not credentials.is_password("")


@pytest.mark.parametrize("trace", ["x" * 256, "a\0b", "a\nb", "\u0627a", "\ud800"])
def test_rfc4505_3_other_traces(trace: str) -> None:
    with pytest.raises(SASLError):
        Anonymous(trace)
    with pytest.raises(SASLError):
        Server(ANONYMOUS).answer(trace.encode("utf-8", "surrogatepass"))


def test_anonymous_has_no_second_message() -> None:
    with pytest.raises(SASLError):
        AnonymousClient(Anonymous()).respond(b"")


@settings(deadline=None)
@given(st.binary())
def test_h075_any_message_gives_credentials_or_sasl_error(message: bytes) -> None:
    with contextlib.suppress(SASLError):
        assert Server(ANONYMOUS).finish(message).username == "anonymous"
