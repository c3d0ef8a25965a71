"""Reply severities (RFC 5321 4.2.1) and enhanced status codes (RFC 3463)."""

import re
from enum import IntEnum
from typing import NamedTuple

from smtpx.wire.syntax import Fault, WireError, escape

__all__ = ["EnhancedCode", "Severity"]

_ENHANCED = re.compile(r"([245])\.([0-9]{1,3})\.([0-9]{1,3})")


class Severity(IntEnum):
    """The first digit of a reply, which alone decides what happens next (RFC 5321 4.3.2)."""

    COMPLETED = 2
    CONTINUE = 3
    TEMPORARY = 4
    PERMANENT = 5


class EnhancedCode(NamedTuple):
    """An enhanced status code, class.subject.detail (RFC 3463 2)."""

    severity: int
    subject: int
    detail: int

    def __str__(self) -> str:
        return f"{self.severity}.{self.subject}.{self.detail}"

    @classmethod
    def parse(cls, text: str) -> "EnhancedCode":
        """Read `5.1.1`.

        Raises:
            WireError: if the text has another form, or a class other than 2, 4, 5.
        """
        match = _ENHANCED.fullmatch(text)
        if match is None:
            raise WireError(Fault.REPLY, f"not an enhanced status code: {escape(text)}")
        return cls(int(match[1]), int(match[2]), int(match[3]))
