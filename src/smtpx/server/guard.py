"""Counts who is connected, how often they come and who guesses passwords, by address and by the networks around it.

RFC 6177: a site gets a /64 or more, so one host can have 2^64 addresses.
"""

import ipaddress
from collections import Counter
from functools import lru_cache
from typing import NamedTuple

from smtpx.protocol import replies
from smtpx.protocol.limits import DefaultCap, ServerLimits
from smtpx.server.allowances import Allowances
from smtpx.server.load import Load
from smtpx.server.turns import Turns
from smtpx.wire.reply import Reply

__all__ = ["Guard", "Refusal", "network_of", "networks_of"]

_DAY = 86_400.0
_HOUR = 3600.0
_MINUTE = 60.0
_IPV4_NETWORKS = (26, 21)  # what small hosters give one customer, and what they have themselves: mox' numbers
_IPV6_NETWORKS = (48, 32)


class Refusal(NamedTuple):
    """What a peer is told, and the limit that is the reason."""

    reply: Reply
    limit: str
    value: float


@lru_cache(maxsize=4096)
def networks_of(address: str, ipv6_prefix: int) -> tuple[str, ...]:
    """What an address is counted by: itself (IPv6: its network of `ipv6_prefix`), and the wider networks around it."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return (address,)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else parsed
    if mapped is not None:
        wider = (ipaddress.IPv4Network((int(mapped), prefix), strict=False) for prefix in _IPV4_NETWORKS)
        return (str(mapped), *map(str, wider))
    prefixes = (ipv6_prefix, *_IPV6_NETWORKS)
    # A prefix that is as short as that of a wider network takes its place.
    wider_or_equal = dict.fromkeys(prefix for prefix in prefixes if prefix <= ipv6_prefix)
    return tuple(str(ipaddress.IPv6Network((int(parsed), prefix), strict=False)) for prefix in wider_or_equal)


def network_of(address: str, ipv6_prefix: int) -> str:
    """An IPv4 address, or an IPv6 network."""
    return networks_of(address, ipv6_prefix)[0]


class Guard:
    """One server's counters. Each `admit` that gives None is followed by one `release`.

    Args:
        refuse_guessers: don't even let those in who may not authenticate.

    Attributes:
        limits: those that hold at present.
        load: what is in use.
        auth_turns: who has a login checked at present.
    """

    def __init__(self, limits: ServerLimits, *, refuse_guessers: bool = False) -> None:
        self.limits = limits
        self.load = Load(limits.max_connections, limits.spool_total_memory_bytes)
        self.auth_turns = Turns(each=limits.max_auth_checks_per_ip, total=limits.max_auth_checks)
        self._refuse_guessers = refuse_guessers
        self._by_network: Counter[str] = Counter()
        self._connects = Allowances(_MINUTE)
        self._guesses_minute = Allowances(_MINUTE)
        self._guesses_day = Allowances(_DAY)
        self._guesses_user = Allowances(_HOUR)
        self._waited = Allowances(_DAY)

    @property
    def connections(self) -> int:
        """How many are counted in."""
        return self.load.connections

    def _networks(self, address: str) -> tuple[tuple[str, int], ...]:
        """The networks of an address, with how many times the number of one address they may have."""
        limits = self.limits
        found = networks_of(address, limits.ipv6_prefix)
        return tuple((network, limits.network_factor**power) for power, network in enumerate(found))

    def admit(
        self, address: str, *, now: float, spared: bool = False, speaks_for_others: bool = False
    ) -> Refusal | None:
        """Count a connection in; or why it is refused.

        Args:
            spared: the peer is trusted, and no default is for it.
            speaks_for_others: a balancer, whose own address says nothing about how often a client comes.
        """
        limits = self.limits
        if self.connections >= limits.max_connections:
            return Refusal(replies.TOO_MANY_CONNECTIONS, "max_connections", limits.max_connections)
        networks = self._networks(address)
        refusal = self._crowded(networks, spared) or (
            None if speaks_for_others else self._too_often(networks, spared, now)
        )
        if refusal is not None:
            return refusal
        rate = None if speaks_for_others else _for_whom(limits.connection_rate_per_ip, spared)
        for network, factor in networks:
            self._by_network[network] += 1
            if rate is not None:
                self._connects.count(network, rate * factor, now)
        self.load.connect()
        return None

    def _crowded(self, networks: tuple[tuple[str, int], ...], spared: bool) -> Refusal | None:
        most = _for_whom(self.limits.max_connections_per_ip, spared)
        for network, factor in networks if most is not None else ():
            if most is not None and self._by_network[network] >= most * factor:
                return _refusal(replies.TOO_MANY_FROM_ADDRESS, "max_connections_per_ip", most, factor)
        return None

    def _too_often(self, networks: tuple[tuple[str, int], ...], spared: bool, now: float) -> Refusal | None:
        rate = _for_whom(self.limits.connection_rate_per_ip, spared)
        for network, factor in networks if rate is not None else ():
            if rate is not None and not self._connects.has_room(network, rate * factor, now):
                return _refusal(replies.TOO_FAST, "connection_rate_per_ip", rate, factor)
        guesses = self._guessed(networks, now) if self._refuse_guessers else None
        return guesses._replace(reply=replies.TOO_MANY_GUESSES) if guesses is not None else None

    def release(self, address: str) -> None:
        """Count a connection out."""
        self.load.disconnect()
        for network in networks_of(address, self.limits.ipv6_prefix):
            self._by_network[network] -= 1
            if self._by_network[network] <= 0:
                del self._by_network[network]

    # Logins ----------------------------------------------------------------------------------------------------------

    def may_authenticate(self, address: str, now: float) -> Refusal | None:
        """Why this address has no guesses left for now; None if it has."""
        return self._guessed(self._networks(address), now)

    def _guessed(self, networks: tuple[tuple[str, int], ...], now: float) -> Refusal | None:
        minute, day = self.limits.auth_failures_per_ip_minute, self.limits.auth_failures_per_ip_day
        for network, factor in networks:
            if not self._guesses_minute.has_room(network, minute * factor, now):
                return _refusal(replies.CANNOT_AUTHENTICATE_NOW, "auth_failures_per_ip_minute", minute, factor)
            if not self._guesses_day.has_room(network, day * factor, now):
                return _refusal(replies.CANNOT_AUTHENTICATE_NOW, "auth_failures_per_ip_day", day, factor)
        return None

    def may_be_guessed(self, username: str, now: float) -> Refusal | None:
        """Why nobody may try to be this user for now."""
        most = self.limits.auth_failures_per_user
        if most is None or not username or self._guesses_user.has_room(_user_key(username), most, now):
            return None
        return Refusal(replies.CANNOT_AUTHENTICATE_NOW, "auth_failures_per_user", most)

    def count_failure(self, address: str, username: str, now: float) -> None:
        """A login failed."""
        limits = self.limits
        for network, factor in self._networks(address):
            self._guesses_minute.count(network, limits.auth_failures_per_ip_minute * factor, now)
            self._guesses_day.count(network, limits.auth_failures_per_ip_day * factor, now)
        if limits.auth_failures_per_user is not None and username:
            self._guesses_user.count(_user_key(username), limits.auth_failures_per_user, now)

    # The greeting ----------------------------------------------------------------------------------------------------

    def has_waited(self, address: str, now: float) -> bool:
        """Whether this peer has waited for the greeting, within a day."""
        return not self._waited.has_room(network_of(address, self.limits.ipv6_prefix), 1, now)

    def count_wait(self, address: str, now: float) -> None:
        """It has waited as it should."""
        self._waited.count(network_of(address, self.limits.ipv6_prefix), 1, now)


def _for_whom(number: int | None, spared: bool) -> int | None:
    return None if spared and isinstance(number, DefaultCap) else number


def _refusal(reply: Reply, limit: str, number: int, factor: int) -> Refusal:
    return Refusal(reply, limit if factor == 1 else "network_factor", number * factor)


def _user_key(username: str) -> int:
    """No names are kept, and long ones cost no memory; the hash is keyed by the process."""
    return hash(username.casefold())
