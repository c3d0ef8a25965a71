"""The envelope that somebody gave for a message, before or instead of what its header says."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from smtpx.message.address import Address, AddressInput, addresses_of, fold_key, read_address, read_addresses
from smtpx.message.sendable import Posting
from smtpx.wire.address import NULL_SENDER, Mailbox

__all__ = ["Given", "each_once"]


@dataclass(frozen=True, slots=True)
class Given:
    """What was given of an envelope; None where the header decides."""

    sender: Mailbox | None = None
    recipients: tuple[Mailbox, ...] | None = None
    wishes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def also(
        self,
        sender: "AddressInput | None",
        recipients: "AddressInput | Iterable[AddressInput] | None",
        wishes: Mapping[str, Any] | None,
    ) -> "Given":
        """With these in place of what was given before; None changes nothing.

        Raises:
            ValueError: for an address that can't be read.
            TypeError: for what is no address.
        """
        return Given(
            self.sender if sender is None else _reverse_path(sender),
            self.recipients if recipients is None else each_once(addresses_of(read_addresses(recipients))),
            self.wishes if wishes is None else MappingProxyType(dict(wishes)),
        )

    def posting(
        self, header_sender: Callable[[], Mailbox], header_recipients: Callable[[], tuple[Mailbox, ...]]
    ) -> Posting:
        """The envelope; the header is asked for what was not given.

        Raises:
            ValueError: if there is no recipient, or the header can't answer.
        """
        sender = header_sender() if self.sender is None else self.sender
        recipients = header_recipients() if self.recipients is None else self.recipients
        if not recipients:
            raise ValueError("there is no recipient: say which ones")
        return Posting(sender, recipients, self.wishes)


def _reverse_path(sender: AddressInput) -> Mailbox:
    return NULL_SENDER if sender in ("", "<>", NULL_SENDER) else read_address(sender).mailbox


def each_once(addresses: Iterable[Address]) -> tuple[Mailbox, ...]:
    """Their mailboxes in order, each once, however it is spelt."""
    found = dict[tuple[str, str], Mailbox]()
    for each in addresses:
        found.setdefault(fold_key(each.mailbox), each.mailbox)
    return tuple(found.values())
