"""The messages of SCRAM as octets (RFC 5802 5.1, 7)."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpx.sasl.gs2 import GS2Header
from smtpx.sasl.mechanism import SASLError
from smtpx.sasl.scram_messages import ClientFinal, ClientFirst, ServerFirst, parse_verifier

PIECES = st.lists(
    st.sampled_from(
        [b"n,,", b"y,,", b"n=u", b"r=abc", b",", b"c=biws", b"p=", b"eA==", b"v=", b"s=", b"i=1", b"m=", b"=", b"\xff"]
    )
).map(b"".join)


def test_client_first() -> None:
    message = b"p=tls-unique,a=boss,n=a=2Cb=3D,r=abc,x=more,y=and more"
    first = ClientFirst.parse(message)
    assert first == ClientFirst(GS2Header("p", "tls-unique", "boss"), "a,b=", "abc", ",x=more,y=and more")
    assert first.to_bytes() == message
    assert first.bare == b"n=a=2Cb=3D,r=abc,x=more,y=and more"


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"n,,",
        b"n,,n=user",
        b"n,,r=abc,n=user",
        b"n,,n=,r=abc",
        b"n,,n=user,r=",
        b"n,,n=user,r=a b",
        b"n,,n=user,r=abc,",
        b"n,,n=user,r=abc,xyz",
        b"n,,n=user,r=abc,1=x",
        b"n,,n=us=er,r=abc",
        b"n,,n=us\0er,r=abc",
        b"n,,n=user,r=\xff",
        b"n,,n=user,r=a\x00b",
        b"n=user,r=abc",
        b"n,,n=user,r=abc\n",
    ],
)
def test_h075_other_client_first(message: bytes) -> None:
    with pytest.raises(SASLError):
        ClientFirst.parse(message)


@pytest.mark.parametrize("message", [b"n,,m=x,n=user,r=abc", b"n,,n=user,r=abc,m=x"])
def test_rfc5802_5_1_mandatory_extension_is_refused(message: bytes) -> None:
    with pytest.raises(SASLError, match="extension"):
        ClientFirst.parse(message)
    with pytest.raises(SASLError, match="extension"):
        ServerFirst.parse(b"m=x,r=abc,s=c2FsdA==,i=4096")
    with pytest.raises(SASLError, match="extension"):
        ClientFinal.parse(b"c=biws,r=abc,m=x,p=eA==")


def test_server_first() -> None:
    assert ServerFirst.parse(b"r=abc,s=c2FsdA==,i=4096,x=more") == ServerFirst("abc", b"salt", 4096)
    assert ServerFirst("abc", b"salt", 4096).to_bytes() == b"r=abc,s=c2FsdA==,i=4096"


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"r=abc,s=c2FsdA==",
        b"r=abc,s=,i=4096",
        b"r=abc,s=c2FsdA==,i=0",
        b"r=abc,s=c2FsdA==,i=-1",
        b"r=abc,s=c2FsdA==,i=+4096",
        b"r=abc,s=c2FsdA==,i=04096",
        b"r=abc,s=c2FsdA==,i=4096 ",
        b"r=abc,s=c2FsdA==,i=99999999999",
        b"r=abc,s=c2FsdA,i=4096",
        b"r=abc,s=c2FsdB==,i=4096",  # bits that mean nothing
        b"r=abc,s=c2F*dA==,i=4096",
        b"s=c2FsdA==,r=abc,i=4096",
        b"r=abc,s=c2FsdA==,i=\xd9\xa1",  # a digit, but not of ASCII
        b"e=unknown-user",
    ],
)
def test_h075_other_server_first(message: bytes) -> None:
    with pytest.raises(SASLError):
        ServerFirst.parse(message)


def test_client_final() -> None:
    message = b"c=biws,r=abc,x=more,p=eA=="
    final, proof = ClientFinal.parse(message)
    assert (final, proof) == (ClientFinal(b"n,,", "abc", ",x=more"), b"x")
    assert final.without_proof == b"c=biws,r=abc,x=more"
    assert final.to_bytes(proof) == message


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"c=biws,r=abc",
        b"r=abc,c=biws,p=eA==",
        b"c=biws,r=abc,p=e",
        b"c=b,r=abc,p=eA==",
        b"c=biws,r=abc,p=eA==,x=y",
    ],
)
def test_h075_other_client_final(message: bytes) -> None:
    with pytest.raises(SASLError):
        ClientFinal.parse(message)


def test_server_final() -> None:
    assert parse_verifier(b"v=eA==") == b"x"
    assert parse_verifier(b"v=eA==,x=more") == b"x"
    with pytest.raises(SASLError, match="the server says: invalid-proof"):
        parse_verifier(b"e=invalid-proof")
    with pytest.raises(SASLError) as caught:
        parse_verifier(b"e=\x1b[2J" + b"x" * 1000)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 200
    for message in (b"", b"v=e", b"x=eA==", b"v=eA==,", b"\xff"):
        with pytest.raises(SASLError):
            parse_verifier(message)


@settings(deadline=None)
@given(st.binary() | PIECES)
def test_h075_any_octets_are_a_message_or_sasl_error(message: bytes) -> None:
    for parse in (ServerFirst.parse, parse_verifier):
        with contextlib.suppress(SASLError):
            parse(message)
    with contextlib.suppress(SASLError):
        assert ClientFirst.parse(message).to_bytes() == message
    with contextlib.suppress(SASLError):
        final, proof = ClientFinal.parse(message)
        assert final.to_bytes(proof) == message
