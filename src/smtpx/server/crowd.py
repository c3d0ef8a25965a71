"""The connections of a server that are open, and the wait for the last to go."""

import asyncio
import contextlib
from collections.abc import Iterator

from smtpx.server.connection import Connection

__all__ = ["Crowd"]


class Crowd:
    """A set of connections. To go over it is safe while some leave."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()
        self._empty = asyncio.Event()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._open))

    def add(self, connection: Connection) -> None:
        """One more is open."""
        if not self._open:
            self._empty = asyncio.Event()  # a server may be started again in another loop
        self._open.add(connection)

    def remove(self, connection: Connection) -> None:
        """One is over."""
        self._open.discard(connection)
        if not self._open:
            self._empty.set()

    async def wait_until_empty(self, seconds: float) -> None:
        """Wait for the last to go, for so long at most."""
        if self._open:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._empty.wait()
