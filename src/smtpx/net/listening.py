"""Sockets that listen: on every address a name stands for, on a unix path, or one that somebody else has opened."""

import contextlib
import errno
import math
import os
import socket
import stat
from collections.abc import Callable

from smtpx.net.targets import endpoint_text

__all__ = ["UNIX_MODE", "Listening", "descriptor_limit", "listen"]

UNIX_MODE = 0o600
"""Rights of a socket file: for our own user, as Dovecot has it."""

_BACKLOG = 1024  # a short burst must not lose a SYN
_ATTEMPTS = 10  # to find a port that is free in both families
_NOT_HERE = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})  # a family that this host has switched off
_Address = tuple[int, tuple[object, ...]]  # family, and what bind takes


class Listening:
    """A socket that listens. It does not block.

    Attributes:
        sock: the socket.
        unix: the path of a unix socket that was made here, removed by `close`.
    """

    def __init__(self, sock: socket.socket, unix: str | None = None) -> None:
        self.sock = sock
        self.unix = unix
        self._made = _identity(unix) if unix is not None else None

    def close(self) -> None:
        """Close it; may be called again. A path that somebody else has taken in the meantime stays."""
        if self._made is not None and self.unix is not None and _identity(self.unix) == self._made:
            with contextlib.suppress(OSError):
                os.unlink(self.unix)
        self._made = None
        self.sock.close()


def listen(
    *,
    host: str | None = None,
    port: int = 0,
    unix: str | os.PathLike[str] | None = None,
    sock: socket.socket | None = None,
    unix_mode: int = UNIX_MODE,
    unix_group: int | None = None,
) -> list[Listening]:
    """Listen on all addresses of a host, all with one port (0: any free one), or on a unix path, or on a socket.

    A socket file that nobody listens on any more is replaced; any other file at a unix path stays, and is an error.

    Args:
        host: None for all addresses of this machine.
        unix_mode, unix_group: rights and group of the socket file, there before anybody can connect. Linux lets those
            connect who may write to it, some systems look at the directories only.

    Raises:
        OSError: naming the address; nothing listens then.
    """
    if sock is not None:
        sock.setblocking(False)
        sock.listen(_BACKLOG)
        return [Listening(sock)]
    if unix is not None:
        return [_listen_unix(os.fspath(unix), unix_mode, unix_group)]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise OSError(f"can't listen on {host}: {error.strerror}") from error
    addresses: list[_Address] = list(dict.fromkeys((int(each[0]), each[4]) for each in found))
    for _ in range(_ATTEMPTS - 1):
        try:
            return _listen_on_all(addresses, port)
        except OSError as error:
            if port or error.errno != errno.EADDRINUSE:
                raise
    return _listen_on_all(addresses, port)


def descriptor_limit() -> float:
    """How many files and sockets this process may have open at once."""
    try:
        import resource
    except ImportError:  # not on Windows
        return math.inf
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if soft == resource.RLIM_INFINITY else soft


def _listen_on_all(addresses: list[_Address], port: int) -> list[Listening]:
    opened: list[Listening] = []
    missing: OSError | None = None
    try:
        for family, address in addresses:
            try:
                sock = _bind(family, (address[0], port, *address[2:]))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing = error
                continue
            opened.append(Listening(sock))
            port = port or int(sock.getsockname()[1])  # the second family on the port the first one got
    except BaseException:
        for each in opened:
            each.close()
        raise
    if missing is not None and not opened:
        raise missing
    return opened


def _listen_unix(path: str, mode: int, group: int | None) -> Listening:
    if path.startswith("\0"):  # Linux: a name without a file
        return Listening(_bind(socket.AF_UNIX, path))
    if _is_left_behind(path):
        with contextlib.suppress(OSError):  # bind says why
            os.unlink(path)

    def give_rights() -> None:
        try:
            if group is not None:
                os.chown(path, -1, group)
            os.chmod(path, mode)
        except OSError as error:
            os.unlink(path)
            raise OSError(error.errno, f"can't set its group and rights: {error.strerror}") from error

    return Listening(_bind(socket.AF_UNIX, path, give_rights), path)


def _is_left_behind(path: str) -> bool:
    """Whether it is a socket that nobody has bound any more. One that we may not connect to may well be alive."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
    except OSError:
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path) == errno.ECONNREFUSED


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _bind(
    family: int, address: tuple[object, ...] | str, before_listening: Callable[[], None] = lambda: None
) -> socket.socket:
    sock = None
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if isinstance(address, tuple) and os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(address)
        before_listening()  # nobody can connect yet
        sock.listen(_BACKLOG)
    except OSError as error:
        if sock is not None:
            sock.close()
        why = error.strerror or error  # a path that is too long has no strerror
        raise OSError(error.errno, f"can't listen on {endpoint_text(address)}: {why}") from error
    return sock
