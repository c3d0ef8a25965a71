"""Envelope addresses: mailboxes and paths (RFC 5321 4.1.2, 4.1.3; RFC 6531 3.3).

This is the only address parser of the package; message headers have another grammar and another room.

>>> Mailbox.parse("user@example.org")
Mailbox(local_part='user', domain='example.org')
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from smtpx.wire.syntax import ATEXT, NON_ASCII, Fault, WireError, escape

__all__ = ["NULL_SENDER", "Mailbox", "ascii_domain", "parse_path"]

# RFC 5321 4.5.3.1.1-.3, in octets.
MAX_LOCAL_PART_BYTES = 64
MAX_DOMAIN_BYTES = 255
MAX_PATH_BYTES = 256

_DOT_STRING = rf"{ATEXT}+(?:\.{ATEXT}+)*"
_QUOTED = rf'"(?:[ !#-\[\]-~{NON_ASCII}]|\\[ -~])*"'
_LET_DIG = rf"[A-Za-z0-9{NON_ASCII}]"
_LABEL = rf"{_LET_DIG}(?:[A-Za-z0-9\-{NON_ASCII}]*{_LET_DIG})?"
_NAME = rf"{_LABEL}(?:\.{_LABEL})*\.?"
_LITERAL = r"\[[!-Z^-~]+\]"
_DOMAIN = rf"(?:{_NAME}|{_LITERAL})"
_MAILBOX = re.compile(rf"({_DOT_STRING}|{_QUOTED})@({_DOMAIN})")
_ROUTE = rf"@{_DOMAIN}(?:,@{_DOMAIN})*:"
_PATH = re.compile(rf"<({_ROUTE})?({_DOT_STRING}|{_QUOTED})@({_DOMAIN})>")
_BARE = re.compile(rf"({_DOT_STRING})@({_NAME})(?= |\Z)")

_A_LABEL = re.compile(r"(?:^|\.)xn--", re.IGNORECASE)

# The shape nearly every address has; `_PATH` accepts all of these with the same result, and a test says so.
_COMMON = re.compile(
    r"<([A-Za-z0-9_+=-]{1,32}(?:\.[A-Za-z0-9_+=-]{1,15})?)@((?:(?!xn--)[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?\.){0,3}[a-z]{1,32})>"
)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox: local part and domain, each as it was written.

    A quoted local part keeps its quotes, so that writing it out again gives the same mailbox. The null reverse-path is
    `NULL_SENDER`; the domainless postmaster of RFC 5321 4.1.1.3 has an empty domain.
    """

    local_part: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local_part}@{self.domain}" if self.domain else self.local_part

    @property
    def is_null(self) -> bool:
        """Whether this is the null reverse-path, the sender of reports that nobody answers."""
        return not self.local_part

    @property
    def is_ascii(self) -> bool:
        """Whether the mailbox can be sent without SMTPUTF8."""
        return self.local_part.isascii() and self.domain.isascii()

    def to_ascii_domain(self) -> "Mailbox":
        """The same mailbox with its domain in A-labels, lower case (RFC 5890); the local part stays.

        Raises:
            WireError: if the domain is not a valid internationalised name.
        """
        return Mailbox(self.local_part, ascii_domain(self.domain))

    def to_path(self) -> str:
        """The path as it stands in MAIL and RCPT: `<local@domain>`, `<>` for the null sender."""
        return f"<{self}>"

    @classmethod
    @lru_cache(maxsize=2048)
    def parse(cls, text: str) -> "Mailbox":
        """Read `local@domain` as a program gives it: no angle brackets, no display name, no comment.

        Raises:
            WireError: naming what is wrong, if it is not one envelope address.
        """
        match = _MAILBOX.fullmatch(text)
        if match is None:
            hint = " (an envelope takes only the address, without name and brackets)" if "<" in text else ""
            raise WireError(Fault.ADDRESS, f"not an e-mail address: {escape(text)}{hint}")
        if _bytes(text) > MAX_PATH_BYTES - 2:
            raise WireError(Fault.ADDRESS, f"an address of more than {MAX_PATH_BYTES - 2} octets")
        return _checked(match[1], match[2], MAX_LOCAL_PART_BYTES)


NULL_SENDER = Mailbox("", "")
_POSTMASTER = re.compile(r"<(postmaster)>", re.IGNORECASE | re.ASCII)


def parse_path(
    text: str, *, recipient: bool = False, brackets: bool = True, max_local_part_bytes: int = MAX_LOCAL_PART_BYTES
) -> tuple[Mailbox, str]:
    """Read a path at the beginning of `text`; give the mailbox and what stands behind it.

    A source route is checked and then ignored (RFC 5321 F.2).

    Args:
        recipient: a forward-path: `<Postmaster>` is allowed and `<>` is not.
        brackets: False accepts an address without angle brackets too.
        max_local_part_bytes: RFC 5321 says 64; some senders of bounces need more.

    Raises:
        WireError: ARGUMENT when there is no path, ADDRESS when it is not a mailbox.
    """
    match = _COMMON.match(text)
    if match is not None and len(match[1]) <= max_local_part_bytes:
        return Mailbox(match[1], match[2]), text[match.end() :]
    return _parse_any_path(text, recipient, brackets, max_local_part_bytes)


def _parse_any_path(text: str, recipient: bool, brackets: bool, max_local: int) -> tuple[Mailbox, str]:
    if text.startswith("<>") and not recipient:
        return NULL_SENDER, text[2:]
    if recipient and (postmaster := _POSTMASTER.match(text)):
        return Mailbox(postmaster[1], ""), text[postmaster.end() :]
    if not text.startswith("<"):
        bare = None if brackets else _BARE.match(text)
        if bare is None:
            raise WireError(Fault.ARGUMENT, "a path stands in angle brackets")
        if _bytes(bare[0]) > MAX_PATH_BYTES - 2:
            raise WireError(Fault.ADDRESS, f"an address of more than {MAX_PATH_BYTES - 2} octets")
        return _checked(bare[1], bare[2], max_local), text[bare.end() :]
    match = _PATH.match(text)
    if match is None:
        raise WireError(Fault.ADDRESS, "not a mailbox")
    if match.end() - match.start() > MAX_PATH_BYTES or _bytes(match[0]) > MAX_PATH_BYTES:
        raise WireError(Fault.ADDRESS, f"a path of more than {MAX_PATH_BYTES} octets")
    return _checked(match[2], match[3], max_local), text[match.end() :]


def _checked(local_part: str, domain: str, max_local: int) -> Mailbox:
    if _bytes(local_part) > max_local:
        raise WireError(Fault.ADDRESS, f"a local part of more than {max_local} octets", "max_local_part_bytes")
    if domain.startswith("["):
        _check_literal(domain[1:-1])
        return Mailbox(local_part, domain)
    domain = domain.removesuffix(".")
    if _bytes(domain) > MAX_DOMAIN_BYTES or any(len(label) > 63 for label in domain.split(".")):
        raise WireError(Fault.ADDRESS, "a domain of more than 255 octets or a label of more than 63")
    if not domain.isascii() or _A_LABEL.search(domain):
        ascii_domain(domain)  # raises; it also measures labels in the form that goes into the DNS
    return Mailbox(local_part, domain)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _check_literal(inside: str) -> None:
    import ipaddress  # not needed for most mail

    try:
        if inside[:5].upper() == "IPV6:" and "%" not in inside:
            ipaddress.IPv6Address(inside[5:])
        else:
            ipaddress.IPv4Address(inside)
    except ValueError:
        raise WireError(Fault.ADDRESS, f"not an address literal: [{escape(inside)}]") from None


@lru_cache(maxsize=2048)
def ascii_domain(domain: str) -> str:
    """A domain name in A-labels and lower case; an address literal stays.

    Raises:
        WireError: if it is not a valid internationalised name (RFC 5891, prepared as UTS 46 says).
    """
    if domain.isascii() and (domain.startswith("[") or not _A_LABEL.search(domain)):
        return domain.lower()
    import idna  # only mail to such domains pays for its tables

    try:
        if _bytes(domain) > MAX_DOMAIN_BYTES:  # idna's work grows faster than its input
            raise ValueError(domain)
        encoded = idna.encode(domain, uts46=True).decode("ascii").removesuffix(".")  # U+3002 is a dot too
        idna.decode(encoded)
    except (ValueError, IndexError):
        raise WireError(Fault.ADDRESS, f"not a domain name: {escape(domain)}") from None
    return encoded
