"""Header fields: whatever text goes in comes out, in lines that are short enough, or is refused."""

from collections.abc import Callable

from fuzz.source import Source
from smtpx.message.encoded_words import decode_words
from smtpx.message.fields import parameters, preformatted, unstructured
from smtpx.message.header_block import Field, split_header
from smtpx.message.parameters import read_parameters
from smtpx.wire.syntax import has_controls

TOKENS = (
    *(b"=?utf-8?q?a?=", b"=?utf-8?b?YQ==?=", b"=?", b"?=", b" ", b"  ", b"\t", b"\r\n", b"\r\n ", b"\n", b"\r", b"\0"),
    *(
        b"\xc3\xa4",
        b"\xe6\x97\xa5",
        b"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80",
        b"\xcc\x81",
        b"\xe2\x80\xa8",
        b"\xed\xa0\xbd",
    ),
    *(b"word " * 16, b"x" * 80, b"x" * 1000, b'"', b"\\", b"%", b"'", b";", b"*0*="),
)
NAMES = ("Subject", "X", "X-" + "a" * 60, "a" * 76)


def target(data: bytes) -> None:
    """Control octets: which name, whether UTF-8 may stay."""
    source = Source(data)
    name, utf8 = source.choose(NAMES), source.pick(2) == 1
    text = source.rest().decode("utf-8", "surrogateescape")
    is_good = not has_controls(text.replace("\t", " "))
    octets = _written(lambda: unstructured(name, text, utf8=utf8))
    assert (octets is not None) == is_good
    if octets is not None:
        assert _field(octets, utf8).value == text, "another text"
    octets = _written(lambda: parameters(name, "attachment", {"filename": text}))
    assert (octets is not None) == (is_good and "\t" not in text)
    if octets is not None:
        assert read_parameters(_field(octets, False).text) == ("attachment", {"filename": text}), "another file name"
    octets = _written(lambda: preformatted(name, text, utf8=utf8))
    if octets is not None:
        assert _field(octets, utf8).name == name
    assert not has_controls(decode_words(text).replace("\t", " ")) or has_controls(text.replace("\t", " "))


def _written(write: Callable[[], bytes]) -> bytes | None:
    try:
        return write()
    except ValueError as error:
        assert not has_controls(str(error))
        return None


def _field(octets: bytes, utf8: bool) -> Field:
    """The one field that this is."""
    assert utf8 or octets.isascii()
    lines = octets.split(b"\r\n")
    assert lines.pop() == b""
    assert not any(b"\r" in line or b"\n" in line or len(line) > 998 or not line.strip() for line in lines)
    block, start, defects = split_header(octets + b"\r\n", max_bytes=10**6, max_fields=2)
    assert (len(block.fields), start, defects) == (1, len(octets) + 2, []), "more than one field"
    return block.fields[0]
