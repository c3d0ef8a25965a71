"""A server that takes everything and keeps nothing, in a process of its own.

`python -m bench.discard SECONDS` prints its port, and runs until its standard input is closed. Before it says that it
has a message it waits for so long, as others do for their disk.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from smtpx.server.body import Body
from smtpx.server.listener import Server
from smtpx.server.session import Session

__all__ = ["discarding"]


class Discard(Session):
    """Reads what comes, and forgets it."""

    seconds = 0.0

    async def data(self, body: Body) -> None:
        """Take it."""
        await body.discard()
        if self.seconds:
            await asyncio.sleep(self.seconds)


@contextlib.contextmanager
def discarding(seconds: float = 0.0) -> Iterator[int]:
    """Such a server; gives its port."""
    command = [sys.executable, "-m", "bench.discard", str(seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None  # noqa: S101 - asked for
        assert child.stdout is not None  # noqa: S101 - asked for
        try:
            _part(child.pid)
            yield int(child.stdout.readline())
        finally:
            child.stdin.close()


def _part(server: int) -> None:
    """A processor for each, as two machines would have: together on one, both would pay for the server."""
    if hasattr(os, "sched_setaffinity"):
        first, *_, last = sorted(os.sched_getaffinity(0)) * 2
        os.sched_setaffinity(0, {first})
        os.sched_setaffinity(server, {last})


async def _serve(seconds: float) -> None:
    Discard.seconds = seconds
    async with Server(Discard, host="127.0.0.1", port=0) as server:
        print(server.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1])))
