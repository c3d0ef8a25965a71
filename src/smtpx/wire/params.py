"""ESMTP parameters of MAIL and RCPT (RFC 5321 4.1.1.11) as typed values, and xtext (RFC 3461 4)."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from smtpx.wire.syntax import Fault, WireError, escape

__all__ = ["NO_PARAMS", "Param", "Params", "decode_xtext", "encode_xtext", "parse_flag", "parse_params", "write_flag"]

T = TypeVar("T")

_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_VALUE = re.compile(r"[!-<>-~\u00a0-\u2027\u202a-\ud7ff\ue000-\U0010ffff]+")  # esmtp-value, widened by RFC 6531
_XCHAR_OUT = re.compile(rb"[^!-*,-<>-~]")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEXCHAR = re.compile(r"\+([0-9A-F]{2})")


@dataclass(frozen=True, eq=False)  # no slots: with them `Param[int](...)` fails on Python 3.11
class Param(Generic[T]):
    """The key of one parameter: its keyword, and how its value is read and written.

    `parse` gets the text behind `=`, or None when there is none, and raises WireError; `write` gives the text, or None
    for a bare keyword. Compared by identity: `params.get(SIZE)` is typed by the key.
    """

    keyword: str
    parse: Callable[[str | None], T]
    write: Callable[[T], str | None]

    def to_wire(self, value: T) -> str:
        """`KEYWORD=value`, or `KEYWORD`."""
        text = self.write(value)
        return self.keyword if text is None else f"{self.keyword}={text}"


class Params:
    """The parameters that came with one MAIL or RCPT, by key."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[Param[Any], Any] | None = None) -> None:
        self._values = dict(values or {})

    def get(self, param: Param[T]) -> T | None:
        """The value of `param`, or None when it was not given."""
        return self._values.get(param)

    def __contains__(self, param: object) -> bool:
        return param in self._values

    def __iter__(self) -> Iterator[Param[Any]]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Params) and self._values == other._values

    def __hash__(self) -> int:
        return hash(frozenset(param.keyword for param in self._values))

    def __repr__(self) -> str:
        return f"Params({self.to_wire()!r})"

    def to_wire(self) -> str:
        """All of them as they stand behind a path, without the space in front."""
        return " ".join(param.to_wire(value) for param, value in self._values.items())


NO_PARAMS = Params()


def parse_params(text: str, known: Mapping[str, Param[Any]], *, max_params: int = 20) -> Params:
    """Read what stands behind a path; `known` maps upper-case keywords to their keys.

    Judged in the order given, so that a line with two faults always gets the same reply.

    Raises:
        WireError: ARGUMENT for a bad form, value or repetition; UNKNOWN_PARAMETER.
    """
    if not text:
        return NO_PARAMS
    if text[0] != " ":
        raise WireError(Fault.ARGUMENT, "something stands right behind the path")
    values: dict[Param[Any], Any] = {}
    words = [word for word in text.split(" ") if word]  # not split(): U+3000 is no separator
    if len(words) > max_params:
        raise WireError(Fault.ARGUMENT, f"more than {max_params} parameters", "max_esmtp_params")
    for word in words:
        keyword, equals, value = word.partition("=")
        if _KEYWORD.fullmatch(keyword) is None or (value and _VALUE.fullmatch(value) is None):
            raise WireError(Fault.ARGUMENT, f"not a parameter: {escape(word)}")
        param = known.get(keyword.upper())
        if param is None:
            raise WireError(Fault.UNKNOWN_PARAMETER, f"parameter not recognised: {escape(keyword)}")
        if param in values:
            raise WireError(Fault.ARGUMENT, f"parameter given twice: {escape(keyword)}")
        values[param] = param.parse(value if equals else None)
    return Params(values) if values else NO_PARAMS


def parse_flag(value: str | None) -> bool:
    """The value of a parameter that has none.

    Raises:
        WireError: if it has one.
    """
    if value is not None:
        raise WireError(Fault.ARGUMENT, "this parameter takes no value")
    return True


def write_flag(_: bool) -> None:
    """The text of a parameter that has no value."""
    return


def encode_xtext(text: str) -> str:
    """`text` (ASCII) as xtext: everything but printable characters other than `+` and `=` as `+` and two hex digits.

    Raises:
        WireError: if a character is not ASCII.
    """
    if not text.isascii():
        raise WireError(Fault.ARGUMENT, "xtext holds only ASCII")
    return _XCHAR_OUT.sub(lambda m: b"+%02X" % m.group()[0], text.encode()).decode()


def decode_xtext(text: str, *, utf8: bool = False) -> str:
    """The text that xtext stands for.

    Args:
        utf8: octets above 0x7F are UTF-8, as Postfix writes them, instead of an error.

    Raises:
        WireError: for a `+` without two upper-case hex digits, a forbidden character, or a result above 0x7F.
    """
    if _XTEXT.fullmatch(text) is None:
        raise WireError(Fault.ARGUMENT, f"not xtext: {escape(text)}")
    decoded = _HEXCHAR.sub(lambda m: chr(int(m[1], 16)), text)
    if decoded.isascii():
        return decoded
    try:
        if utf8:
            return decoded.encode("latin-1").decode()
    except UnicodeDecodeError:
        pass
    raise WireError(Fault.ARGUMENT, "xtext of a character above 0x7F")
