"""Texts of SASL: SCRAM messages and records, GS2 headers, names; what is read and written again is the same."""

from collections.abc import Callable
from contextlib import suppress
from stringprep import in_table_c12, in_table_c21_c22

from fuzz.source import Source
from smtpx.sasl import SASLError, ScramRecord
from smtpx.sasl.gs2 import GS2Header, escape_name, unescape_name
from smtpx.sasl.saslprep import check_trace, saslprep
from smtpx.sasl.scram_messages import ClientFinal, ClientFirst, ServerFirst, parse_verifier

TOKENS = (
    *(
        b"n,,n=user,r=abc",
        b"p=tls-exporter,a=x=2Cy,",
        b"=3D",
        b",m=x",
        b",x=y",
        b"r=abcdef,s=c2FsdA==,i=4096",
        b"v=AAAA",
    ),
    *(
        b"c=biws,r=abcdef,p=AAAA",
        b"SCRAM-SHA-256$4096:c2FsdA==$",
        b"SCRAM-SHA-1$1:c2FsdA==$",
        b"AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    ),
    *(b"\xc2\xad", b"\xe2\x85\xa8", b"\xd8\xa7", b"\xe3\x80\x80", b"\xcc\x81", b"\xe1\xb8\x8d", b"\xef\xac\x81", b"1"),
)


def target(data: bytes) -> None:
    """Control octets: none but which text it is."""
    source = Source(data)
    check = source.choose(CHECKS)
    with suppress(SASLError):
        check(source.rest())


def _client_first(octets: bytes) -> None:
    message = ClientFirst.parse(octets)
    assert message.to_bytes() == octets, "signed would be something else than what was sent"
    assert "\0" not in message.username


def _server_first(octets: bytes) -> None:
    message = ServerFirst.parse(octets)
    assert message.salt
    assert message.iterations > 0
    assert octets.startswith(message.to_bytes())
    assert ServerFirst.parse(message.to_bytes()) == message


def _client_final(octets: bytes) -> None:
    message, proof = ClientFinal.parse(octets)
    assert message.to_bytes(proof) == octets, "signed would be something else than what was sent"


def _verifier(octets: bytes) -> None:
    try:
        parse_verifier(octets)
    except SASLError as error:
        assert str(error).isprintable()


def _header(octets: bytes) -> None:
    text = octets.decode("utf-8", "replace")
    header, rest = GS2Header.split(text)
    assert header.to_text() + rest == text
    assert header.flag in ("p", "y", "n")


def _name(octets: bytes) -> None:
    text = octets.decode("utf-8", "replace")
    if "\0" not in text:
        assert unescape_name(escape_name(text)) == text
    name = unescape_name(text)
    assert unescape_name(escape_name(name)) == name


def _record(octets: bytes) -> None:
    text = octets.decode("latin-1")
    record = ScramRecord.parse(text)
    assert ScramRecord.parse(record.to_text()) == record
    assert "stored_key" not in repr(record)


def _prepared(octets: bytes) -> None:
    text = octets.decode("utf-8", "surrogateescape")
    prepared = saslprep(text)
    assert saslprep(prepared) == prepared, "a client prepares a name, and its server prepares it again"
    assert not any(in_table_c12(char) or in_table_c21_c22(char) for char in prepared)
    with suppress(SASLError):
        assert saslprep(text, stored=True) == prepared


def _trace(octets: bytes) -> None:
    text = octets.decode("utf-8", "surrogateescape")
    check_trace(text)
    assert not any(in_table_c21_c22(char) for char in text)


CHECKS: tuple[Callable[[bytes], None], ...] = (
    *(_client_first, _server_first, _client_final, _verifier, _header, _name, _record, _prepared, _trace),
)
