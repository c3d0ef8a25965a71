"""Addresses that answer, refuse or keep silent, for races."""

import contextlib
import socket
from collections.abc import Iterator

from smtpx.net.addresses import Failures, Place
from smtpx.net.targets import Target

__all__ = ["FAILURES", "hearing", "place", "refusing", "silent"]


def FAILURES() -> Failures:
    return Failures(Target("mail.example", 25))


def place(sock: socket.socket) -> Place:
    """Where a socket listens."""
    return Place(int(sock.family), sock.getsockname())


@contextlib.contextmanager
def hearing(address: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A place that answers."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as sock:
        yield sock


@contextlib.contextmanager
def silent(address: str = "127.0.0.1") -> Iterator[Place]:
    """A place that does not answer: its queue is full."""
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.socket())
        sock.bind((address, 0))
        sock.listen(0)
        for _ in range(3):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(sock.getsockname())
        yield place(sock)


def refusing(address: str = "127.0.0.1") -> Place:
    """A place where nobody listens."""
    with socket.create_server((address, 0)) as sock:
        return place(sock)
