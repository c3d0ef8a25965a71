"""Parameters of all extensions, xtext, dates and attributes: what is read can be written, and reads the same again."""

from collections.abc import Callable

from fuzz.source import Source
from smtpx.extensions import ALL
from smtpx.extensions.dsn import ORCPT, OriginalRecipient
from smtpx.extensions.trusted_peers import Value, parse_address, parse_attributes, parse_port, write_attributes
from smtpx.protocol.extension import ExtensionSet
from smtpx.wire.date_time import parse_date_time, write_date_time
from smtpx.wire.params import Params, decode_xtext, encode_xtext, parse_params
from smtpx.wire.syntax import WireError, has_controls

KNOWN = ExtensionSet(ALL)
TOKENS = (
    *(f" {name}=".encode() for name in (*KNOWN.mail_params, *KNOWN.rcpt_params)),
    *(
        b"+2B",
        b"+0A",
        b"rfc822;",
        b"utf-8;\\x{E9}",
        b"SUCCESS,FAILURE",
        b"NEVER",
        b"120;R",
        b"-1;NT",
        b"99999999999999999999",
    ),
    *(b"2026-02-29T23:59:60Z", b"2014-04-03T23:01:00+00:00", b";C", b"<>", b"8BITMIME", b" NAME=", b" ADDR=IPV6:::1"),
)
_MAX_ORCPT_BYTES = 500
ATTRIBUTES: dict[str, Callable[[str], Value]] = {"NAME": str, "ADDR": parse_address, "PORT": parse_port}


def target(data: bytes) -> None:
    """Control octets: MAIL or RCPT."""
    source = Source(data)
    known = (KNOWN.mail_params, KNOWN.rcpt_params)[source.pick(2)]
    text = source.rest().decode("utf-8", "surrogateescape")
    try:
        params = parse_params(text, known)
    except WireError:
        pass
    else:
        _check(params, known)
    _xtext(text)
    _date(text)
    _attributes(text)


def _check(params: Params, known: object) -> None:
    assert len(params) <= 20
    wire = params.to_wire()
    assert not has_controls(wire)
    assert isinstance(known, dict)
    if len(wire.encode()) > _MAX_ORCPT_BYTES and ORCPT in params:
        return  # what may stand there raw has a longer form in ASCII, which may be too long
    again = parse_params(f" {wire}" if wire else "", known)
    assert again.to_wire() == wire, "not the same when written again"
    for param in params:
        one, other = params.get(param), again.get(param)
        if param is ORCPT:
            assert isinstance(one, OriginalRecipient)
            assert isinstance(other, OriginalRecipient)
            assert other.address == one.address, "ORCPT"  # its type may change: Postfix has UTF-8 in rfc822
        elif param.keyword == "REQUIRETLS" and not one:
            pass  # with a value: refused behind the parser, by what was offered
        elif param.keyword not in ("HOLDUNTIL", "RRVS"):  # these are written to the second
            assert other == one, param.keyword


def _xtext(text: str) -> None:
    try:
        assert decode_xtext(encode_xtext(text)) == text
    except WireError:
        assert not text.isascii()
    for utf8 in (False, True):
        try:
            decoded = decode_xtext(text, utf8=utf8)
        except WireError:
            continue
        assert utf8 or decoded.isascii()
        if decoded.isascii():
            assert decode_xtext(encode_xtext(decoded)) == decoded


def _date(text: str) -> None:
    try:
        moment = parse_date_time(text)
        written = write_date_time(moment)
    except WireError:
        return
    assert abs((parse_date_time(written) - moment).total_seconds()) < 1


def _attributes(text: str) -> None:
    try:
        found = parse_attributes(text, ATTRIBUTES)
    except WireError:
        return
    assert parse_attributes(write_attributes(found), ATTRIBUTES) == found
