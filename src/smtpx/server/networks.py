"""Lists of networks, as operators write them.

>>> Networks(["192.0.2.0/24", "2001:db8::/32"]).include("192.0.2.7")
True
"""

import ipaddress
from collections.abc import Iterable
from typing import TypeAlias

from smtpx.errors import ConfigurationError

__all__ = ["Network", "Networks"]

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


class Networks:
    """Networks and single addresses; `unix` stands for all unix sockets.

    An IPv4 address that comes mapped into IPv6 is looked up as what it is.

    Args:
        everybody: whether networks that hold all addresses are allowed, alone or together.

    Raises:
        ConfigurationError: for what is no network, and for everybody.
    """

    def __init__(self, networks: Iterable[str | Network] = (), *, everybody: bool = False) -> None:
        listed = [str(each) for each in networks]
        self._unix = "unix" in listed
        parsed = [_parse(each) for each in listed if each != "unix"]
        four = ipaddress.collapse_addresses([each for each in parsed if isinstance(each, ipaddress.IPv4Network)])
        six = ipaddress.collapse_addresses([each for each in parsed if isinstance(each, ipaddress.IPv6Network)])
        self._networks: tuple[Network, ...] = (*four, *six)
        for each in self._networks:
            if each.prefixlen == 0 and not everybody:
                raise ConfigurationError(f"{each} would be everybody: {', '.join(listed)}")

    def include(self, address: str) -> bool:
        """Whether an address, as `Peer.address` has it, is in one of them. What is no address is in none."""
        if address == "unix":
            return self._unix
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return self._unix and address.startswith(("/", "@"))
        mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
        return any((mapped or parsed) in network for network in self._networks)

    def __bool__(self) -> bool:
        return self._unix or bool(self._networks)

    def __str__(self) -> str:
        return ", ".join([*map(str, self._networks), *(["unix"] if self._unix else [])])


def _parse(text: str) -> Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigurationError(f"not a network: {error}") from None
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        return ipaddress.IPv4Network((int(mapped or 0), network.prefixlen - 96))
    return network
