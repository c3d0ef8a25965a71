"""Clients that a process keeps and several users share, by key: each has a pool of connections."""

import atexit
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager

from smtpx.client.sync import Client

__all__ = ["Pool", "Pools"]

_MAX_POOLS = 64  # a program that makes up a server for each tenant must not keep connections to all of them


class Pool:
    """A client, and by how many it is used now."""

    __slots__ = ("client", "key", "users")

    def __init__(self, key: Hashable, client: Client) -> None:
        self.key = key
        self.client = client
        self.users = 0


class Pools:
    """The clients of this process.

    A client stays when nobody uses it, with its idle connections, until somebody closes it, `max_pools` others are in
    use, or the process ends. A forked child begins with none: its parent's connections are not touched.
    """

    def __init__(self, max_pools: int = _MAX_POOLS) -> None:
        self._max_pools = max_pools
        self._pools: dict[Hashable, Pool] = {}  # in the order of their last use
        self._lock = threading.Lock()
        _ALL.add(self)

    def take(self, key: Hashable, make: Callable[[], Client]) -> Pool:
        """The pool of a key, or a new one; to be given back."""
        leaving: list[Pool] = []
        with self._lock:
            pool = self._pools.pop(key, None)
            if pool is None:
                pool = Pool(key, make())
                unused = [each for each in self._pools.values() if not each.users]
                leaving = unused[: max(0, len(self._pools) + 1 - self._max_pools)]
            for each in leaving:
                del self._pools[each.key]
            self._pools[key] = pool
            pool.users += 1
        for each in leaving:
            each.client.close()
        return pool

    def give_back(self, pool: Pool, *, close: bool = False) -> None:
        """The other half of `take`. With `close` its connections are closed, unless somebody else uses it."""
        with self._lock:
            if not self.holds(pool):
                return
            pool.users -= 1
            closing = close and not pool.users
            if closing:
                del self._pools[pool.key]
        if closing:
            pool.client.close()

    @contextmanager
    def using(self, key: Hashable, make: Callable[[], Client]) -> Generator[Client]:
        """A client for the time of a `with` block."""
        pool = self.take(key, make)
        try:
            yield pool.client
        finally:
            self.give_back(pool)

    def holds(self, pool: Pool) -> bool:
        """Whether this is a pool of this process, and not closed."""
        return self._pools.get(pool.key) is pool

    def close(self, key: Hashable) -> None:
        """Close the client of a key, if there is one and nobody uses it."""
        with self._lock:
            pool = self._pools.get(key)
            if pool is None or pool.users:
                return
            del self._pools[key]
        pool.client.close()

    def close_all(self) -> None:
        """Close all of them, whoever uses them; messages under way are finished first."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.client.close()

    def forget(self) -> None:
        """For a forked child: the connections are its parent's, and so may the lock be."""
        self._lock = threading.Lock()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # closing them properly would be heard at the other end
            self._pools = {}


_ALL: "weakref.WeakSet[Pools]" = weakref.WeakSet()


def _forget_all() -> None:
    for pools in list(_ALL):
        pools.forget()


@atexit.register
def _close_all() -> None:
    for pools in list(_ALL):
        pools.close_all()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
