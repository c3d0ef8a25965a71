"""Counts who is connected and who guesses passwords, by address; IPv6 by network.

RFC 6177: a site gets a /64 or more, so one host can have 2^64 addresses.
"""

import ipaddress
from collections import Counter, deque
from functools import lru_cache

from smtpx.protocol import replies
from smtpx.protocol.limits import ServerLimits
from smtpx.wire.reply import Reply

__all__ = ["Guard", "network_of"]

_DEFAULT_PER_IP = 50
_DAY = 86_400.0
_MINUTE = 60.0
_MAX_TRACKED = 100_000  # addresses remembered for failed logins


@lru_cache(maxsize=4096)
def network_of(address: str, ipv6_prefix: int) -> str:
    """What addresses are counted by: an IPv4 address, or an IPv6 network."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), ipv6_prefix), strict=False))


class Guard:
    """One server's counters. Each `admit` that gives None is followed by one `release`."""

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._by_network: Counter[str] = Counter()
        self._failures: dict[str, deque[float]] = {}
        self.connections = 0

    def admit(self, address: str, *, local: bool) -> Reply | None:
        """Count a connection in; or the reply that refuses it."""
        limits = self._limits
        if self.connections >= limits.max_connections:
            return replies.TOO_MANY_CONNECTIONS
        per_ip = limits.max_connections_per_ip
        if per_ip is None and not local:
            per_ip = _DEFAULT_PER_IP
        network = network_of(address, limits.ipv6_prefix)
        if per_ip is not None and self._by_network[network] >= per_ip:
            return replies.TOO_MANY_FROM_ADDRESS
        self.connections += 1
        self._by_network[network] += 1
        return None

    def release(self, address: str) -> None:
        """Count a connection out."""
        network = network_of(address, self._limits.ipv6_prefix)
        self.connections -= 1
        self._by_network[network] -= 1
        if self._by_network[network] <= 0:
            del self._by_network[network]

    def may_authenticate(self, address: str, now: float) -> bool:
        """Whether this address has guesses left for now."""
        failures = self._failures.get(network_of(address, self._limits.ipv6_prefix))
        if not failures:
            return True
        while failures and now - failures[0] > _DAY:
            failures.popleft()
        recent = sum(1 for when in failures if now - when <= _MINUTE)
        limits = self._limits
        return recent < limits.auth_failures_per_ip_minute and len(failures) < limits.auth_failures_per_ip_day

    def count_failure(self, address: str, now: float) -> None:
        """A login failed."""
        network = network_of(address, self._limits.ipv6_prefix)
        if network not in self._failures and len(self._failures) >= _MAX_TRACKED:
            self._failures.pop(next(iter(self._failures)))
        failures = self._failures.setdefault(network, deque(maxlen=self._limits.auth_failures_per_ip_day))
        failures.append(now)
