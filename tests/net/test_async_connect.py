"""Connected sockets in a loop: own diallers, paths, names, proxies."""

import asyncio
import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest

from smtpx.errors import ConfigurationError, ConnectError
from smtpx.net.async_connect import connected_socket
from smtpx.net.proxies import Proxy
from smtpx.net.targets import Target
from tests.net.racing import hearing, refusing
from tests.proxies import ProxyServer, Reader, Writer


def get(*arguments: Any, **options: Any) -> socket.socket:  # noqa: ANN401
    async def main() -> socket.socket:
        return await connected_socket(*arguments, **options)

    return asyncio.run(main())


def test_an_own_dialler() -> None:
    with hearing() as listener:
        name = listener.getsockname()

        async def dial(*_: object) -> socket.socket:
            return socket.create_connection(name)

        for dialler in (dial, lambda *_: socket.create_connection(name)):
            with get(Target("h"), 5, dialler) as sock:
                assert not sock.getblocking()
    with pytest.raises(ConfigurationError):
        get(Target("h"), 5, lambda *_: socket.socket())

    async def slow(*_: object) -> NoReturn:
        await asyncio.sleep(60)
        raise AssertionError

    with pytest.raises(TimeoutError):
        get(Target("h"), 0.02, slow)


def test_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "s")
    with pytest.raises(FileNotFoundError):
        get(Target(unix_path=path), 5)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with get(Target(unix_path=path), 5) as sock:
            assert sock.getpeername() == path

    async def main() -> None:
        monkeypatch.delattr(socket, "AF_UNIX")
        with pytest.raises(ConnectError, match="no unix sockets"):
            await connected_socket(Target(unix_path=path), 5)
        monkeypatch.undo()

    asyncio.run(main())


def test_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with hearing() as listener, get(Target("localhost", listener.getsockname()[1]), 5) as sock:
        assert sock.getpeername() == listener.getsockname()

    async def main(lookup: Any) -> None:  # noqa: ANN401
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lookup)
        await connected_socket(Target("mail.invalid"), 0.02)

    async def never(*_: object, **__: object) -> NoReturn:
        await asyncio.sleep(60)
        raise AssertionError

    async def unknown(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    with pytest.raises(ConnectError, match=r"can't find mail\.invalid: no answer in 0\.02 s"):
        asyncio.run(main(never))
    with pytest.raises(ConnectError, match=r"can't find mail\.invalid: not known"):
        asyncio.run(main(unknown))


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4", "socks4a", "http"])
def test_through_a_proxy(scheme: str) -> None:
    with hearing() as listener, ProxyServer(drip=0.001) as server:
        port = listener.getsockname()[1]
        with get(Target("localhost", port), 10, proxy=Proxy.parse(server.url(scheme))) as sock:
            assert not sock.getblocking()
            there, _ = listener.accept()
            with there:
                sock.setblocking(True)
                sock.sendall(b"x")
                assert there.recv(10) == b"x"


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    port = int(refusing().address[1])
    with pytest.raises(ConnectError, match=rf"h:25 through socks5h://127.0.0.1:{port}: .*refused"):
        get(Target("h"), 5, proxy=Proxy("socks5h", "127.0.0.1", port))

    async def main() -> None:
        async def never(*_: object, **__: object) -> NoReturn:
            await asyncio.sleep(60)
            raise AssertionError

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
        await connected_socket(Target("h"), 0.02, proxy=Proxy("socks5h", "proxy.invalid", 1))

    with pytest.raises(
        ConnectError, match=r"h:25 through socks5h://proxy.invalid:1: can't find proxy.invalid: no answer in 0.02 s"
    ):
        asyncio.run(main())


async def silence(reader: Reader, writer: Writer) -> None:
    await reader.read()


def test_a_proxy_that_keeps_silent_or_refuses() -> None:
    with ProxyServer(act=silence) as server, pytest.raises(ConnectError, match=r"h:25 through .*: no answer in 0.1 s"):
        get(Target("h"), 0.1, proxy=Proxy.parse(server.url("socks5h")))
    with ProxyServer(refuse=True) as server, pytest.raises(ConnectError, match=r"through .*: 403 Forbidden"):
        get(Target("h"), 5, proxy=Proxy.parse(server.url("http")))


def test_cancelled_while_the_proxy_is_silent() -> None:
    """The thread is not waited for: it is woken."""

    async def main() -> None:
        task = asyncio.ensure_future(connected_socket(Target("h"), 3600, proxy=proxy))
        while not begun.is_set():  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    import threading

    begun = threading.Event()

    async def act(reader: Reader, writer: Writer) -> None:
        await reader.read(1)
        begun.set()
        await reader.read()

    with ProxyServer(act=act) as server:
        proxy = Proxy.parse(server.url("socks5h"))
        asyncio.run(main())


def test_cancelled_when_the_proxy_has_just_said_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[socket.socket] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        spoken: asyncio.Future[socket.socket] = loop.create_future()
        monkeypatch.setattr(loop, "run_in_executor", lambda _, __, sock, ___: opened.append(sock) or spoken)
        task = asyncio.ensure_future(connected_socket(Target("h"), 5, proxy=proxy))
        while not opened:  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        opened[0].close()
        opened.append(socket.socket())
        spoken.set_result(opened[1])
        await asyncio.sleep(0)

    with ProxyServer(act=silence) as server:
        proxy = Proxy.parse(server.url("socks5h"))
        asyncio.run(main())
    assert opened[1].fileno() == -1
