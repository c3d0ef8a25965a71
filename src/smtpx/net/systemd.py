"""What systemd and its like hand to a service, and want to be told: sockets that listen already, and the state.

Both are agreements about environment variables and one datagram (sd_listen_fds(3), sd_notify(3)); nothing of systemd is
needed for them.
"""

import contextlib
import os
import socket
import time

from smtpx.errors import ConfigurationError

__all__ = ["inherited_sockets", "notify", "reloading"]

_FIRST = 3  # SD_LISTEN_FDS_START
_MAX = 1024
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def inherited_sockets() -> list[socket.socket]:
    """The sockets that this process was started with and is to listen on; empty if there are none.

    The variables that tell of them are removed, so that no child takes them for its own.

    Raises:
        ConfigurationError: if one of them is no stream socket that listens.
    """
    pid, count = os.environ.get("LISTEN_PID", ""), os.environ.get("LISTEN_FDS", "")
    if pid != str(os.getpid()):
        return []  # they are somebody else's
    for name in _VARIABLES:
        os.environ.pop(name, None)
    if not count.isascii() or not count.isdigit() or int(count) > _MAX:
        raise ConfigurationError(f"LISTEN_FDS is not a number of sockets: {count!r}")
    with contextlib.ExitStack() as opened:
        found = [opened.enter_context(_inherited(number)) for number in range(_FIRST, _FIRST + int(count))]
        opened.pop_all()
    return found


def _inherited(number: int) -> socket.socket:
    try:
        os.set_inheritable(number, False)
        sock = socket.socket(fileno=number)
    except OSError as error:
        raise ConfigurationError(f"descriptor {number} is not a socket to listen on: {error.strerror}") from error
    listens = sock.type is socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if not listens:
        sock.detach()  # not ours to close
        raise ConfigurationError(f"descriptor {number} is not a stream socket that listens (Accept=no)")
    return sock


def notify(*lines: str) -> bool:
    """Tell the service manager: `READY=1`, `STOPPING=1` and others. Whether there was somebody to tell.

    A manager that does not listen is no reason to stop serving: errors are ignored.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.sendto("\n".join(lines).encode(), address)
        return True
    return False


def reloading() -> bool:
    """Tell the service manager that the configuration is read again, from now until the next `READY=1`."""
    return notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
