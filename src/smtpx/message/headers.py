"""Header fields that get out as they were meant, whatever the standard library makes of them (RFC 5322, RFC 2047).

Some versions of Python lose the quotes of a long display name when they fold it, so that one name becomes two addresses
(cpython#121284), and write a newline that was hidden in an encoded-word as it is (CVE-2024-6923). So address fields are
written here, and decoded values are looked at before anything gets out.
"""

import re
from email.headerregistry import Address, AddressHeader, BaseHeader
from email.message import Message
from email.utils import quote
from typing import Any

from smtpx.message.fields import check_value, phrase
from smtpx.wire.address import Mailbox
from smtpx.wire.syntax import WireError

__all__ = ["address_of", "check_extent", "make_safe", "write_party"]

_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/^_`{|}~-]+)*")
_ADDRESS_FIELDS = frozenset(
    prefix + name for prefix in ("", "resent-") for name in ("from", "sender", "reply-to", "to", "cc", "bcc")
)
# The time the standard library's parser takes grows with the square of these: above them, minutes and hours.
_MOST_IN_ADDRESSES = {",": 10_000, '"': 10_000, "(": 5_000}
_MOST_ENCODED_WORDS = 5_000


def check_extent(message: "Message[Any, Any]") -> None:
    """See that no field of `message` or its parts would keep the standard library busy without end.

    Raises:
        ValueError: naming the field.
    """
    for part in message.walk():
        for name, raw in part.raw_items():
            if not isinstance(raw, BaseHeader) and _is_endless(name, str(raw)):
                raise ValueError(f"{name}: too long a list: send the message's octets, and name the recipients")


def _is_endless(name: str, text: str) -> bool:
    if text.count("=?") > _MOST_ENCODED_WORDS:
        return True
    return name.lower() in _ADDRESS_FIELDS and any(text.count(it) > most for it, most in _MOST_IN_ADDRESSES.items())


def write_party(name: str, address: str) -> str:
    """A display name, perhaps empty, and an address as they stand in a field; the name is quoted or encoded."""
    words = "\r\n ".join(phrase(name, utf8=False))
    return f"{words} <{address}>" if name else address


def make_safe(message: "Message[Any, Any]") -> None:
    """Check every field of `message` and its parts, and write its own address fields in a form that survives.

    Raises:
        ValueError: for a control character that hides in a field.
    """
    for part in message.walk():
        for name, value in part.items():
            if isinstance(value, BaseHeader):
                check_value(str(value), name)
    for name in dict.fromkeys(name for name, _ in message.items()):
        values = message.get_all(name, [])
        if len(values) == 1 and isinstance(values[0], AddressHeader) and (written := _write(values[0])) is not None:
            _replace(message, name, written)


def _write(header: AddressHeader) -> str | None:
    """The field's value, one address to a line; None where the library writes it: groups, and what is not ASCII."""
    groups: Any = header.groups
    if any(group.display_name is not None for group in groups):
        return None
    parties = [(each.display_name, address_of(each)) for each in header.addresses]
    if not parties or not all(address.isascii() for _, address in parties):
        return None
    return ",\r\n ".join(write_party(name, address) for name, address in parties)


def address_of(address: Address) -> str:
    """The library forgets the quotes of a local part like `"a..b"`."""
    try:
        return str(Mailbox.parse(address.addr_spec))
    except WireError:
        local_part = f'"{quote(address.username)}"'
    if address.domain:
        return f"{local_part}@{address.domain}"
    return address.username if _ATOMS.fullmatch(address.username) else local_part  # a word that is no address


def _replace(message: "Message[Any, Any]", name: str, value: str) -> None:
    """Put `value` in place of the field, where it stands."""
    items = [(each, value if each.lower() == name.lower() else raw) for each, raw in message.raw_items()]
    for each in {each.lower() for each, _ in items}:
        del message[each]
    for each, raw in items:
        message.set_raw(each, raw)
