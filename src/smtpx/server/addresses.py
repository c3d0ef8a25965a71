"""Lists of domains and mailboxes, as operators write them, and how two spellings of one address compare.

>>> Domains(["example.org", "*.example.net"]).include("a.b.Example.NET")
True
>>> Addresses(["boss@example.org", "example.com"]).include(Mailbox("boss", "example.org"))
True
"""

import re
import unicodedata
from collections.abc import Iterable

from smtpx.errors import ConfigurationError
from smtpx.wire.address import Mailbox, ascii_domain
from smtpx.wire.syntax import WireError, escape

__all__ = ["Addresses", "Domains"]

_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_DOMAIN = re.compile(r"[^\s@<>,*\"]+")


class Domains:
    """Domains, and `*.example.org` for everything below one; `[192.0.2.1]` for an address literal.

    Both forms of an internationalised name are the same name, and so are upper and lower case.

    Raises:
        ConfigurationError: for what is no domain.
    """

    def __init__(self, domains: Iterable[str] = ()) -> None:
        self._exact: set[str] = set()
        self._below: set[str] = set()
        for text in domains:
            bare = text.removeprefix("*.")
            (self._exact if bare == text else self._below).add(_domain(bare, text))

    def include(self, domain: str) -> bool:
        """Whether this domain is one of them. What is no valid name is none of them."""
        try:
            name = ascii_domain(domain.removesuffix("."))
        except WireError:
            return False
        if name in self._exact:
            return True
        below = self._below if not name.startswith("[") else ()
        while below and (name := name.partition(".")[2]):
            if name in below:
                return True
        return False

    def __bool__(self) -> bool:
        return bool(self._exact or self._below)

    def __str__(self) -> str:
        return ", ".join([*sorted(self._exact), *sorted(f"*.{each}" for each in self._below)])


class Addresses:
    """Mailboxes and domains: `user@example.org`, `example.org`, `*.example.org`; `<>` for the null sender, `postmaster`
    for the recipient without a domain.

    Local parts compare without regard to case and quotes: `"Boss"@example.org` is `boss@example.org`, so that a list
    can't be got round by spelling.

    Raises:
        ConfigurationError: for what is neither.
    """

    def __init__(self, addresses: Iterable[str] = ()) -> None:
        listed = list(addresses)
        self._mailboxes = {_mailbox(text) for text in listed if _is_mailbox(text)}
        self.domains = Domains(text for text in listed if not _is_mailbox(text))

    def include(self, address: Mailbox) -> bool:
        """Whether this mailbox, or its domain, is one of them."""
        if self._mailboxes and _key(address) in self._mailboxes:
            return True
        return bool(address.domain) and self.domains.include(address.domain)

    def __bool__(self) -> bool:
        return bool(self._mailboxes or self.domains)


def _is_mailbox(text: str) -> bool:
    return "@" in text or text == "<>" or text.lower() == "postmaster"


def _mailbox(text: str) -> tuple[str, str]:
    if "@" not in text:
        return ("", "") if text == "<>" else ("postmaster", "")
    try:
        return _key(Mailbox.parse(text))
    except WireError as error:
        raise ConfigurationError(f"not an address for a list: {error.detail}") from None


def _key(address: Mailbox) -> tuple[str, str]:
    local = address.local_part
    if local.startswith('"'):
        local = _QUOTED_PAIR.sub(r"\1", local[1:-1])  # RFC 5321 4.1.2: quoting changes nothing
    try:
        domain = ascii_domain(address.domain)
    except WireError:  # never from the wire: made by hand
        domain = address.domain
    return unicodedata.normalize("NFC", local).casefold(), domain


def _domain(text: str, written: str) -> str:
    try:
        if _DOMAIN.fullmatch(text) is None:
            raise ConfigurationError(f"not a domain: {escape(written)}")
        return ascii_domain(text.removesuffix("."))
    except WireError as error:
        raise ConfigurationError(f"not a domain: {error.detail}") from None
