"""Standard library message objects to octets and envelope (RFC 5322), without Bcc and with CRLF."""

import copy
import io
from collections.abc import Generator
from contextlib import contextmanager
from email.errors import MessageError
from email.generator import BytesGenerator
from email.message import Message
from email.utils import getaddresses
from typing import Any

from smtpx.message.headers import address_of, check_extent, make_safe

__all__ = ["envelope_of", "flatten"]


def envelope_of(message: "Message[Any, Any]") -> tuple[str, list[str]]:
    """Sender and recipients that the header names; the Resent- block counts when there is one (RFC 5322 3.6.6).

    Raises:
        ValueError: if there is no sender, more than one From without Sender, or more than one Resent- block, or the
            standard library can't read the header.
    """
    check_extent(message)
    with _library("the header can't be read"):
        return _envelope_of(message)


def _envelope_of(message: "Message[Any, Any]") -> tuple[str, list[str]]:
    blocks = message.get_all("Resent-Date", [])
    if len(blocks) > 1:
        raise ValueError("the message was resent more than once: say sender and recipients")
    prefix = "Resent-" if blocks else ""
    senders = _addresses(message, prefix + "Sender") or _addresses(message, prefix + "From")
    if len(senders) != 1:
        raise ValueError(f"the header names {len(senders) or 'no'} senders: say which one")
    fields = [prefix + name for name in ("To", "Cc", "Bcc")]
    return senders[0], [address for field in fields for address in _addresses(message, field)]


def _addresses(message: "Message[Any, Any]", field: str) -> list[str]:
    found: list[str] = []
    for value in message.get_all(field, []):
        parsed = getattr(value, "addresses", None)
        if parsed is not None:
            found += [address_of(each) for each in parsed]
        else:
            found += [address for _, address in getaddresses([str(value)]) if address]
    return found


def flatten(message: "Message[Any, Any]", *, eight_bit: bool, utf8: bool) -> bytes:
    """The octets of a message.

    Args:
        eight_bit: whether 8-bit parts may stay; otherwise they are encoded anew.
        utf8: whether header fields may hold UTF-8 (SMTPUTF8); otherwise they become encoded-words.

    Raises:
        ValueError: if a field hides a control character, or the standard library can't write the message.
    """
    check_extent(message)
    with _library("the message can't be written"):
        return _flatten(message, eight_bit=eight_bit, utf8=utf8)


def _flatten(message: "Message[Any, Any]", *, eight_bit: bool, utf8: bool) -> bytes:
    bare = copy.copy(message)
    del bare["Bcc"], bare["Resent-Bcc"]
    make_safe(bare)
    policy: Any = message.policy  # `clone` is typed for the fields of one kind of policy
    policy = policy.clone(linesep="\r\n", cte_type="8bit" if eight_bit else "7bit")
    if hasattr(policy, "utf8"):
        policy = policy.clone(utf8=utf8, refold_source="none")  # what is folded already stays so
    out = io.BytesIO()
    generator: BytesGenerator[Message[Any, Any]] = BytesGenerator(out, mangle_from_=False, policy=policy)
    try:
        generator.flatten(bare)
    except ValueError as error:
        raise ValueError(f"the message can't be written: {error}") from error
    return out.getvalue()


@contextmanager
def _library(what: str) -> Generator[None, None, None]:
    """What `email` raises, by its bugs or because of comments within comments, becomes a ValueError."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, RecursionError, MessageError) as error:
        if isinstance(error, ValueError):
            raise
        raise ValueError(f"{what}: {error}") from error
