"""The addresses of a target in the order in which they are tried, and what became of each (RFC 8305 4)."""

import ipaddress
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, zip_longest
from typing import NamedTuple, cast

from smtpx.errors import ConnectError
from smtpx.net.targets import Target, endpoint_text

__all__ = ["ATTEMPT_DELAY_SECONDS", "Failures", "Found", "Place", "Told", "lookup_flags", "not_found", "places"]

ATTEMPT_DELAY_SECONDS = 0.25  # RFC 8305 5
Told = Callable[[str, str], None]  # of an address that failed, and why
Found = Iterable[tuple[int, int, int, str, tuple[object, ...]]]  # what getaddrinfo gives


class Place(NamedTuple):
    """One address of a server."""

    family: int
    address: tuple[str | int, ...]

    def __str__(self) -> str:
        return f"{self.address[0]} port {self.address[1]}"


def lookup_flags(host: str) -> int:
    """For getaddrinfo: an address needs no name server, and so does not wait."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return 0
    return socket.AI_NUMERICHOST


def places(target: Target, found: Found) -> list[Place]:
    """What to try, families in turns; with a local address only those that can be reached from it.

    Raises:
        ConnectError: if nothing is left.
    """
    local = target.local_address
    family = None if local is None else socket.AF_INET6 if ":" in local else socket.AF_INET
    suitable = [Place(int(each[0]), cast("tuple[str | int, ...]", each[4])) for each in found]
    suitable = [place for place in dict.fromkeys(suitable) if family in (None, place.family)]
    if not suitable:
        raise ConnectError(f"{target.host} has no address of the family of {local}", stage="connect")
    first = [place for place in suitable if place.family == suitable[0].family]
    others = [place for place in suitable if place.family != suitable[0].family]
    return [place for place in chain(*zip_longest(first, others)) if place is not None]


def not_found(target: Target, error: Exception | str) -> ConnectError:
    """The name has no address, for all we know."""
    return ConnectError(f"can't find {target.host}: {getattr(error, 'strerror', None) or error}", stage="connect")


class Failures:
    """What was tried, and why it failed; `told` hears of each as it happens."""

    def __init__(self, target: Target, told: Told | None = None) -> None:
        self._told = told
        self._from_where = f" from {target.local_address}" if target.local_address else ""
        self._texts: list[str] = []
        self._cause: OSError | None = None

    def add(self, place: Place, error: OSError | int | str) -> None:
        """One more, with its error, the number of one, or a reason."""
        if isinstance(error, int):
            error = OSError(error, os.strerror(error))
        if isinstance(error, OSError):
            self._cause = error
        number = getattr(error, "errno", None)  # loops have texts of their own for it
        reason = os.strerror(number) if number else error
        self._texts.append(f"can't connect to {place}{self._from_where}: {reason}")
        if self._told is not None:
            self._told(endpoint_text(place.address), str(reason))

    def late(self, under_way: Iterable[Place], not_begun: Sequence[Place], timeout_seconds: float) -> None:
        """The time is over."""
        for place in under_way:
            self.add(place, f"no answer in {timeout_seconds:.3g} s")
        for place in not_begun:
            self.add(place, "no time was left to try it")

    def error(self) -> ConnectError:
        """All of them in one."""
        error = ConnectError("; ".join(self._texts), stage="connect")
        error.__cause__ = self._cause
        return error
