"""What a message has to be able to do so that it can be sent: name its envelope, and write itself for any server.

`Message` is one, what DKIM has signed is another; so is any object of yours with these methods.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeGuard

from smtpx.wire.address import Mailbox

__all__ = ["Posting", "Sendable", "is_sendable"]


@dataclass(frozen=True, slots=True)
class Posting:
    """The envelope that a message asks for.

    Attributes:
        sender: the reverse-path; `NULL_SENDER` for none.
        recipients: all of them, each once, in order: To, Cc and Bcc.
        wishes: for extensions, by the names of `Wishes`: DSN's `ret`, `envid`, `notify`, `orcpt` and others.
    """

    sender: Mailbox
    recipients: tuple[Mailbox, ...]
    wishes: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Sendable(Protocol):
    """A message that can be sent, more than once if need be, each time with the same octets."""

    @property
    def message_id(self) -> str | None:
        """Its Message-ID with the angle brackets, if it has one already."""
        ...

    def posting(self) -> Posting:
        """The envelope.

        Raises:
            ValueError: if there is no sender, or no recipient, or one that can't be read.
        """
        ...

    def octets(self, *, eight_bit: bool, utf8: bool) -> Iterator[bytes]:
        """The message in pieces of any size, lines ending in CRLF, without Bcc.

        Args:
            eight_bit: the server takes 8-bit content (8BITMIME); else everything is encoded.
            utf8: header fields may hold UTF-8 (SMTPUTF8); else they become encoded-words and A-labels.

        Raises:
            ValueError: if it can't be written so.
        """
        ...


def is_sendable(value: object) -> TypeGuard[Sendable]:
    """Whether something can write itself and name its envelope."""
    return hasattr(value, "posting") and hasattr(value, "octets")
