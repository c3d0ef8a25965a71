"""Connected sockets in a loop: by racing, through a proxy, from a caller's own dialler, or on a path."""

import asyncio
import inspect
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from smtpx.errors import ConnectError
from smtpx.net.addresses import Failures, Told, lookup_flags, not_found, places
from smtpx.net.async_race import race
from smtpx.net.deadlines import now
from smtpx.net.proxies import Passage, Proxy, proxy_target, unreachable
from smtpx.net.sockets import check_connected
from smtpx.net.targets import Target

__all__ = ["Dialler", "connected_socket"]

Dialler = Callable[[Target, float], object]


async def connected_socket(
    target: Target,
    timeout_seconds: float,
    dialler: Dialler | None = None,
    proxy: Proxy | None = None,
    told: Told | None = None,
) -> socket.socket:
    """A socket that does not block; `told` hears of addresses that fail.

    Raises:
        OSError, ConnectError among them.
        ConfigurationError: if the dialler gives a socket that is not connected, or python-socks is missing.
    """
    if dialler is not None:
        async with asyncio.timeout(timeout_seconds):
            return await _dialled(dialler(target, timeout_seconds))
    if target.unix_path is not None:
        async with asyncio.timeout(timeout_seconds):
            return await _connect_unix(target.unix_path)
    if proxy is not None:
        return await _through(proxy, target, timeout_seconds, told)
    return await _race(target, timeout_seconds, told)


async def _dialled(made: object) -> socket.socket:
    sock = cast("socket.socket", await made if inspect.isawaitable(made) else made)
    check_connected(sock)
    sock.setblocking(False)
    return sock


async def _connect_unix(path: str) -> socket.socket:
    family = getattr(socket, "AF_UNIX", None)
    if family is None:
        raise ConnectError("this system has no unix sockets", stage="connect")
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, path)
    except BaseException:
        sock.close()
        raise
    return sock


async def _race(target: Target, timeout_seconds: float, told: Told | None) -> socket.socket:
    end = now() + timeout_seconds
    flags = lookup_flags(target.host)
    try:
        if flags:
            found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM, flags=flags)
        else:
            async with asyncio.timeout(timeout_seconds):
                loop = asyncio.get_running_loop()
                found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise not_found(target, f"no answer in {timeout_seconds:g} s") from error
    except (OSError, UnicodeError) as error:
        raise not_found(target, error) from error
    return await race(places(target, found), target.local_address, end - now(), Failures(target, told))


async def _through(proxy: Proxy, target: Target, timeout_seconds: float, told: Told | None) -> socket.socket:
    """As `smtpx.net.proxies.through`; the few words to the proxy are said in a thread."""
    end = now() + timeout_seconds
    passage = Passage(proxy, target, timeout_seconds)
    try:
        sock = await _race(proxy_target(proxy, target), timeout_seconds, told)
    except ConnectError as error:
        raise unreachable(proxy, target, error.message) from error
    speaking = asyncio.get_running_loop().run_in_executor(None, passage.open, sock, end)
    try:
        await asyncio.shield(speaking)
    except asyncio.CancelledError:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)  # which wakes the thread that waits for it
        speaking.add_done_callback(_forget)
        raise
    sock.setblocking(False)
    return sock


def _forget(spoken: "asyncio.Future[socket.socket]") -> None:
    """Nobody waits for it any more; a socket of a failure is closed already."""
    if spoken.exception() is None:
        spoken.result().close()
