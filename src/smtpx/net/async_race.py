"""Happy eyeballs in a loop (RFC 8305), whatever loop it is: uvloop's own connecting tries one address at a time."""

import asyncio
import socket
from collections import deque
from collections.abc import Sequence

from smtpx.net.addresses import ATTEMPT_DELAY_SECONDS, Failures, Place
from smtpx.net.deadlines import now
from smtpx.net.race import begin

__all__ = ["race"]


async def race(places: Sequence[Place], local: str | None, timeout_seconds: float, failures: Failures) -> socket.socket:
    """As in `smtpx.net.race`."""
    end = now() + timeout_seconds
    waiting, turn = deque(places), 0.0
    racing: dict[asyncio.Task[socket.socket], Place] = {}
    winner: socket.socket | None = None
    try:
        while winner is None and (waiting or racing) and now() < end:
            if waiting and (not racing or now() >= turn):
                place = waiting.popleft()
                racing[asyncio.ensure_future(_connect(place, local))] = place
                turn = now() + ATTEMPT_DELAY_SECONDS
            until = min(end, turn) if waiting else end
            await asyncio.wait(racing, timeout=max(until - now(), 0), return_when=asyncio.FIRST_COMPLETED)
            winner, has_failed = _finished(racing, failures)
            turn = 0.0 if has_failed else turn
    finally:
        await _end(racing, winner)
    if winner is None:
        failures.late(racing.values(), waiting, timeout_seconds)
        raise failures.error()
    return winner


def _finished(
    racing: dict["asyncio.Task[socket.socket]", Place], failures: Failures
) -> tuple[socket.socket | None, bool]:
    """Take out what has ended: the first that connected, and whether any failed."""
    has_failed = False
    for task in [each for each in racing if each.done()]:  # in the order in which they began
        error = task.exception()
        if error is None:
            del racing[task]
            return task.result(), has_failed
        if not isinstance(error, OSError):
            raise error
        failures.add(racing.pop(task), error)
        has_failed = True
    return None, has_failed


async def _connect(place: Place, local: str | None) -> socket.socket:
    sock = begin(place, local)
    try:
        await asyncio.get_running_loop().sock_connect(sock, place.address)
    except BaseException:
        sock.close()
        raise
    return sock


async def _end(racing: dict["asyncio.Task[socket.socket]", Place], winner: socket.socket | None) -> None:
    """Give the others up; one may have connected just now."""
    for task in racing:
        task.cancel()
    try:
        results = await asyncio.gather(*racing, return_exceptions=True)
    except BaseException:
        if winner is not None:
            winner.close()
        raise
    for result in results:
        if isinstance(result, socket.socket):
            result.close()
