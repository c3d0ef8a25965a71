"""Happy eyeballs for the blocking client (RFC 8305): a second address is tried while the first has not answered."""

import errno
import selectors
import socket
from collections import deque
from collections.abc import Sequence

from smtpx.net.addresses import ATTEMPT_DELAY_SECONDS, Failures, Place
from smtpx.net.deadlines import now

__all__ = ["begin", "race"]

_UNDER_WAY = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN, 0})


def race(places: Sequence[Place], local: str | None, timeout_seconds: float, failures: Failures) -> socket.socket:
    """The first socket that is connected; the others are closed.

    Raises:
        ConnectError: from `failures`, when all have failed or the time is over.
    """
    end = now() + timeout_seconds
    waiting, turn = deque(places), 0.0
    racing: dict[socket.socket, Place] = {}
    with selectors.DefaultSelector() as selector:
        try:
            while (waiting or racing) and now() < end:
                if waiting and (not racing or now() >= turn):
                    turn = _enter(selector, racing, waiting.popleft(), local, failures)
                until = min(end, turn) if waiting else end
                for key, _ in selector.select(max(until - now(), 0)) if racing else ():
                    sock: socket.socket = key.fileobj  # type: ignore[assignment] # we registered it
                    selector.unregister(sock)
                    if _has_connected(sock, racing[sock], failures):
                        del racing[sock]
                        return sock
                    del racing[sock]
                    turn = 0.0
            failures.late(racing.values(), waiting, timeout_seconds)
            raise failures.error()
        finally:
            for sock in racing:
                sock.close()


def _enter(
    selector: selectors.BaseSelector,
    racing: dict[socket.socket, Place],
    place: Place,
    local: str | None,
    failures: Failures,
) -> float:
    """Begin with one address; when the next one may begin."""
    try:
        sock = begin(place, local)
        error = sock.connect_ex(place.address)
    except OSError as failure:
        failures.add(place, failure)
        return 0.0
    if error not in _UNDER_WAY:
        sock.close()
        failures.add(place, error)
        return 0.0
    racing[sock] = place
    selector.register(sock, selectors.EVENT_WRITE)
    return now() + ATTEMPT_DELAY_SECONDS


def begin(place: Place, local: str | None) -> socket.socket:
    """A socket that does not block, bound to where it is to come from.

    Raises:
        OSError.
    """
    sock = socket.socket(place.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if local is not None:
            sock.bind((local, 0))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def _has_connected(sock: socket.socket, place: Place, failures: Failures) -> bool:
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        sock.close()
        failures.add(place, error)
    return not error
