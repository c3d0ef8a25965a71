"""What is done to a message before anything else: a sender where it has none, date and Message-ID, the checks."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime

from smtpx.client.stamp import new_id, now_here
from smtpx.errors import ConfigurationError, LocalProtocolError
from smtpx.message.address import Address, Group, fold_key, read_address
from smtpx.message.compose import Message
from smtpx.message.sendable import Sendable, is_sendable

__all__ = ["Limits", "check_from", "clean_up", "complete", "named_provider", "prepared"]

_NO_LIMIT = 1 << 62


def check_from(from_email: str) -> str:
    """A default sender, "" for none.

    Raises:
        ConfigurationError: if it is no address.
    """
    if from_email:
        try:
            read_address(from_email)
        except ValueError as error:
            raise ConfigurationError(f"from_email: {error}") from None
    return from_email


@dataclass(frozen=True, slots=True)
class Limits:
    """What is allowed for one message.

    Raises:
        ConfigurationError: for a number below 1.
    """

    max_recipients: int = _NO_LIMIT
    max_message_bytes: int = _NO_LIMIT

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) >= 1:
                raise ConfigurationError(f"{field.name} must be at least 1")


_NONE = Limits()


def named_provider(message: Sendable) -> str | None:
    """The provider that a message names."""
    return message.provider if isinstance(message, Message) else None


def complete(
    message: Sendable,
    from_email: str = "",
    limits: Limits = _NONE,
    clock: Callable[[], datetime] = now_here,
    make_id: Callable[[str], str] = new_id,
) -> Sendable:
    """The message, checked; a `Message` has a sender, if there is a default one, a date and a Message-ID then.

    Raises:
        MessageError: it can't be sent; all findings at once.
        LocalProtocolError: it is no message, or beyond the limits.
    """
    if not is_sendable(message):
        given = type(message).__name__
        known = isinstance(message, bytes | bytearray | memoryview) or hasattr(message, "get_all")
        hint = "; Raw of smtpx.message.eml makes one of it" if known else ""
        raise LocalProtocolError(f"a Message or the like is sent, with posting() and octets(), not {given}{hint}")
    if not isinstance(message, Message):
        if limits is not _NONE:
            _check_other(message, limits)
        return message
    if from_email and not message.from_:
        message = message.with_(from_=from_email)
    message.check(max_recipients=limits.max_recipients, max_bytes=limits.max_message_bytes)
    return message.stamped(clock, make_id)


def _check_other(message: Sendable, limits: Limits) -> None:
    """What writes itself is measured by writing it."""
    recipients = len(message.posting().recipients)
    if recipients > limits.max_recipients:
        raise LocalProtocolError(f"{recipients} recipients, and {limits.max_recipients} are allowed")
    size = 0
    for piece in message.octets(eight_bit=True, utf8=True):
        size += len(piece)
        if size > limits.max_message_bytes:
            raise LocalProtocolError(f"more than the {limits.max_message_bytes} octets that are allowed")


def prepared(
    message: Sendable,
    from_email: str,
    limits: Limits,
    clock: Callable[[], datetime],
    make_id: Callable[[str], str],
) -> Sendable:
    """The message as a service sends it: complete, within the limits, each recipient named once.

    Raises:
        LocalProtocolError: see `complete`.
    """
    ready = complete(message, from_email, limits, clock, make_id)
    return clean_up(ready) if isinstance(ready, Message) else ready


def clean_up(message: Message) -> Message:
    """The message with each recipient named once: To goes before Cc, Cc before Bcc; groups stay as they are."""
    seen: set[tuple[str, str]] = set()
    kept = [[each for each in given if not _is_known(each, seen)] for given in (message.to, message.cc, message.bcc)]
    if sum(map(len, kept)) == len(message.to) + len(message.cc) + len(message.bcc):
        return message
    return message.with_(to=kept[0], cc=kept[1], bcc=kept[2])


def _is_known(party: Address | Group, seen: set[tuple[str, str]]) -> bool:
    if isinstance(party, Group):
        return False
    key = fold_key(party.mailbox)
    known = key in seen
    seen.add(key)
    return known
