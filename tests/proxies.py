"""A SOCKS and HTTP CONNECT proxy for tests, in a loop and a thread of its own, which can also misbehave."""

import asyncio
import base64
import contextlib
import ipaddress
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TypeAlias

__all__ = ["ProxyServer"]

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter
Act = Callable[[Reader, Writer], Awaitable[None]]


class ProxyServer:
    """Speaks what it is spoken to: SOCKS5, SOCKS4, SOCKS4a, HTTP CONNECT.

    Args:
        user: (name, password) to insist on.
        refuse: answer every request with a refusal.
        drip: seconds between the octets of an answer.
        act: instead of all this.
        reach: where to go instead of where the client wants.

    Attributes:
        asked: (kind, host, port) of each request.
    """

    def __init__(
        self,
        *,
        user: tuple[str, str] | None = None,
        refuse: bool = False,
        drip: float | None = None,
        act: Act | None = None,
        reach: tuple[str, int] | None = None,
    ) -> None:
        self._user = user
        self._refuse = refuse
        self._drip = drip
        self._act = act
        self._reach = reach
        self.asked: list[tuple[str, str, int]] = []
        self.port = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "ProxyServer":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def url(self, scheme: str, user: str = "") -> str:
        """For a client."""
        return f"{scheme}://{user and user + '@'}127.0.0.1:{self.port}"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._main())
        self._loop.close()

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()
        writers: list[Writer] = []

        async def serve(reader: Reader, writer: Writer) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            writers.append(writer)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await (self._serve if self._act is None else self._act)(reader, writer)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        await asyncio.sleep(0.02)  # who was accepted just now gets a task first
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)

    async def _serve(self, reader: Reader, writer: Writer) -> None:
        first = await reader.readexactly(1)
        if first == b"\5":
            await self._socks5(reader, writer)
        elif first == b"\4":
            await self._socks4(reader, writer)
        else:
            await self._http(first, reader, writer)

    async def _say(self, writer: Writer, octets: bytes) -> None:
        for piece in [octets] if self._drip is None else [octets[at : at + 1] for at in range(len(octets))]:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(self._drip or 0)

    async def _socks5(self, reader: Reader, writer: Writer) -> None:
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        if self._user is not None and 2 not in methods:
            await self._say(writer, b"\5\xff")
            return
        await self._say(writer, b"\5\0" if self._user is None else b"\5\2")
        if self._user is not None:
            await reader.readexactly(1)
            name = await reader.readexactly((await reader.readexactly(1))[0])
            password = await reader.readexactly((await reader.readexactly(1))[0])
            good = (name.decode(), password.decode()) == self._user
            await self._say(writer, b"\1\0" if good else b"\1\1")
            if not good:
                return
        *_, kind = await reader.readexactly(4)
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            host = str(ipaddress.ip_address(await reader.readexactly(4 if kind == 1 else 16)))
        port = int.from_bytes(await reader.readexactly(2), "big")
        answer = b"\0\0\1\x7f\0\0\1\0\0"
        await self._pass_on("socks5", host, port, reader, writer, b"\5" + answer, b"\5\2\0\1" + bytes(6))

    async def _socks4(self, reader: Reader, writer: Writer) -> None:
        await reader.readexactly(1)
        port = int.from_bytes(await reader.readexactly(2), "big")
        address = await reader.readexactly(4)
        await reader.readuntil(b"\0")
        host = str(ipaddress.ip_address(address))
        if address[:3] == bytes(3):
            host = (await reader.readuntil(b"\0"))[:-1].decode()
        await self._pass_on("socks4", host, port, reader, writer, b"\0\x5a" + bytes(6), b"\0\x5b" + bytes(6))

    async def _http(self, first: bytes, reader: Reader, writer: Writer) -> None:
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode()
        host, _, port = head.split()[1].rpartition(":")
        if self._user is not None:
            token = base64.b64encode(":".join(self._user).encode()).decode()
            if f"Proxy-Authorization: Basic {token}\r\n" not in head:
                await self._say(writer, b"HTTP/1.1 407 Who are\x1b you?\r\n\r\n")
                return
        good = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n"
        bad = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
        await self._pass_on("http", host.strip("[]"), int(port), reader, writer, good, bad)

    async def _pass_on(
        self, kind: str, host: str, port: int, reader: Reader, writer: Writer, good: bytes, bad: bytes
    ) -> None:
        self.asked.append((kind, host, port))
        if self._refuse:
            await self._say(writer, bad)
            return
        upstream, onward = await asyncio.open_connection(*(self._reach or (host, port)))
        try:
            await self._say(writer, good)
            await asyncio.gather(_copy(reader, onward), _copy(upstream, writer))
        finally:
            onward.close()


async def _copy(reader: Reader, writer: Writer) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
