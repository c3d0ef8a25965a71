"""SASLprep (RFC 4013): user names and passwords that look the same become the same octets."""

import stringprep
from collections.abc import Callable, Iterable
from unicodedata import ucd_3_2_0 as unicode_3_2

from smtpx.sasl.mechanism import SASLError

__all__ = ["check_trace", "saslprep"]

_Table = Callable[[str], bool]
_COMMON: tuple[_Table, ...] = (
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)
_PROHIBITED: tuple[_Table, ...] = (*_COMMON, stringprep.in_table_c12, stringprep.in_table_c7)  # RFC 4013 2.3


def saslprep(text: str, *, stored: bool = False) -> str:
    """The prepared form of a name or a password.

    Args:
        stored: prepare it for comparison later: code points that Unicode 3.2 did not know are refused (RFC 3454 7).

    Raises:
        SASLError: if a character is not allowed. Never shows the text.

    >>> saslprep("I\\u00adX"), saslprep("\\u2168")
    ('IX', 'IX')
    """
    if text.isascii() and text.isprintable():
        return text
    mapped = (
        " " if stringprep.in_table_c12(char) else char for char in text if not stringprep.in_table_b1(char)
    )  # RFC 4013 2.1
    prepared = unicode_3_2.normalize("NFKC", "".join(mapped))
    _check(prepared, _PROHIBITED)
    if stored and any(stringprep.in_table_a1(char) for char in prepared):
        raise SASLError("a character that SASLprep does not know")
    return prepared


def check_trace(text: str) -> None:
    """See that a text is good for ANONYMOUS (the "trace" profile of RFC 4505 3: nothing is changed).

    Raises:
        SASLError: if a character is not allowed.
    """
    _check(text, _COMMON)


def _check(text: str, tables: Iterable[_Table]) -> None:
    if any(table(char) for char in text for table in tables):
        raise SASLError("a character that SASLprep prohibits")
    if any(stringprep.in_table_d1(char) for char in text):  # RFC 3454 6: right to left, whole or not at all
        ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
        if not ends or any(stringprep.in_table_d2(char) for char in text):
            raise SASLError("text that runs both ways")
