"""Peers that may speak for others, and what they say: the half that XCLIENT and XFORWARD have in common.

Who may claim any address can pass greylisting, rate limits and SPF, so the list of trusted peers is empty unless it is
filled, and never holds everybody.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping

from smtpx.errors import ConfigurationError
from smtpx.protocol.facts import ServerFacts
from smtpx.protocol.replies import make
from smtpx.wire.params import decode_xtext, encode_xtext
from smtpx.wire.syntax import Fault, WireError, escape

__all__ = [
    "NOT_TRUSTED",
    "UNKNOWN",
    "TrustedPeers",
    "Value",
    "one_of",
    "parse_address",
    "parse_attributes",
    "parse_port",
    "write_address",
    "write_attributes",
]

NOT_TRUSTED = make(550, "5.7.0", "you are not trusted to speak for others")
UNKNOWN = "unknown"
_UNAVAILABLE = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})
_MAX_VALUE_CHARS = 255
_NUMBER = re.compile(r"[0-9]{1,5}")
Value = str | int | None
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TrustedPeers:
    """Networks whose hosts are trusted; `unix` stands for all unix sockets.

    Raises:
        ConfigurationError: for what is no network, and for a network that holds everybody.
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        listed = tuple(networks)
        self._unix = "unix" in listed
        self._networks = tuple(_network(each) for each in listed if each != "unix")

    def include(self, facts: ServerFacts) -> bool:
        """Whether the peer itself, not whom it speaks for, is one of them."""
        return self.include_address(facts.address)

    def include_address(self, text: str) -> bool:
        """Whether this is an address of one of them."""
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return self._unix and text != ""
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in self._networks)


def _network(text: str) -> _Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigurationError(f"not a network of trusted peers: {error}") from None
    if network.prefixlen == 0:
        raise ConfigurationError(f"{text} would trust everybody")
    return network


def parse_attributes(argument: str | None, known: Mapping[str, Callable[[str], Value]]) -> dict[str, Value]:
    """`NAME=value ...` with values in xtext; what the peer does not know is None.

    Raises:
        WireError: for an attribute that is not known or given twice, or a value that is malformed.
    """
    found: dict[str, Value] = {}
    for word in (argument or "").split(" "):
        name, equals, text = word.partition("=")
        name = name.upper()
        if not equals or name not in known or name in found:
            raise WireError(Fault.ARGUMENT, f"not an attribute, or given twice: {escape(word)}")
        value = decode_xtext(text)
        if not 1 <= len(value) <= _MAX_VALUE_CHARS or not value.isprintable():
            raise WireError(Fault.ARGUMENT, f"a value has 1 to {_MAX_VALUE_CHARS} printable characters")
        found[name] = None if value.upper() in _UNAVAILABLE else known[name](value)
    return found


def write_attributes(attributes: Mapping[str, object]) -> str:
    """The argument of the command; None as `[UNAVAILABLE]`."""
    words = {name: "[UNAVAILABLE]" if value is None else encode_xtext(str(value)) for name, value in attributes.items()}
    return " ".join(f"{name}={text}" for name, text in words.items())


def parse_address(text: str) -> str:
    """An IP address in its usual spelling; IPv6 with or without `IPV6:` in front."""
    bare = text[5:] if text[:5].upper() == "IPV6:" else text
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        raise WireError(Fault.ARGUMENT, f"not an address: {escape(text)}") from None


def write_address(text: str) -> str:
    """The same, as XCLIENT has it."""
    return f"IPV6:{text}" if ":" in text else text


def parse_port(text: str) -> int:
    """A TCP port."""
    if _NUMBER.fullmatch(text) is None or int(text) > 0xFFFF:
        raise WireError(Fault.ARGUMENT, "a port is 0 to 65535")
    return int(text)


def one_of(*words: str) -> Callable[[str], str]:
    """Reads one of these words, in any case."""

    def parse(text: str) -> str:
        if text.upper() not in words:
            raise WireError(Fault.ARGUMENT, f"not {' or '.join(words)}: {escape(text)}")
        return text.upper()

    return parse
