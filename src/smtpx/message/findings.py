"""What is wrong with a message: everything at once, each with its field and value."""

from collections.abc import Iterable
from typing import NamedTuple

from smtpx.errors import LocalProtocolError
from smtpx.wire.syntax import escape

__all__ = ["Finding", "MessageError"]

_TOLD = 10


class Finding(NamedTuple):
    """One thing that is wrong: in which field, with which value (as text, cut), and what."""

    field: str
    value: str
    text: str

    def __str__(self) -> str:
        return f"{self.field}: {self.text}"

    @classmethod
    def of(cls, field: str, value: object, text: str) -> "Finding":
        """A finding about any value."""
        return cls(field, "" if value is None else escape(str(value)), text)


class MessageError(LocalProtocolError):
    """A message can't be sent as it is.

    Attributes:
        findings: everything that is wrong with it.
    """

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        told = "; ".join(map(str, self.findings[:_TOLD]))
        more = f"; and {len(self.findings) - _TOLD} more" if len(self.findings) > _TOLD else ""
        super().__init__(told + more)
