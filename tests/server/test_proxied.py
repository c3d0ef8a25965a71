"""PROXY headers on real listeners (H093)."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import pytest
import trustme

import smtpx
from smtpx.server.proxy_header import DEFAULT_TRUSTED
from smtpx.server.settings import Deadlines
from tests.server.test_proxy_header import v2

V1 = b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 25\r\n"


class Watcher(smtpx.Session):
    seen: list[tuple[str, int]]

    async def connect(self) -> None:
        self.seen.append((self.peer.address, self.peer.port))


def watcher() -> type[Watcher]:
    return type("Fresh", (Watcher,), {"seen": []})


async def talk(port: int, *octets: bytes, pause: float = 0.0) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in octets:
        writer.write(piece)
        await asyncio.sleep(pause)
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.fixture
async def served() -> AsyncIterator[tuple[smtpx.Server, type[Watcher]]]:
    kind = watcher()
    deadlines = Deadlines(proxy_header=0.3)
    async with smtpx.Server(kind, port=0, hostname="s.example", proxy_protocol=True, deadlines=deadlines) as server:
        yield server, kind


@pytest.mark.parametrize(
    ("header", "expected"),
    [(V1, ("192.0.2.1", 1234)), (v2(), ("192.0.2.1", 1234)), (v2(command=0), None), (b"PROXY UNKNOWN\r\n", None)],
)
async def test_h093_the_session_sees_the_client(
    served: tuple[smtpx.Server, type[Watcher]], header: bytes, expected: tuple[str, int] | None
) -> None:
    server, kind = served
    for octets, pause in (
        ((header + b"EHLO x\r\nQUIT\r\n",), 0.0),
        (tuple(bytes([b]) for b in header + b"QUIT\r\n"), 0),
    ):
        out = await talk(server.port, *octets, pause=pause)
        assert out.startswith(b"220 s.example ESMTP")
        assert b"221 2.0.0" in out
        seen = kind.seen.pop()
        assert seen == expected if expected else seen[0] == "127.0.0.1"
    await settled(server)


@pytest.mark.parametrize("octets", [b"EHLO x\r\n", b"PROXY TCP4 1 2 3 4\r\n", b"\r\n\r\n\0\r\nQUIT\nx", V1[:20]])
async def test_h093_anything_else_is_closed_without_an_octet(
    served: tuple[smtpx.Server, type[Watcher]], octets: bytes
) -> None:
    server, kind = served
    assert await talk(server.port, octets) == b""
    assert kind.seen == []
    await settled(server)


async def test_h093_silence_and_leaving_in_the_header(served: tuple[smtpx.Server, type[Watcher]]) -> None:
    server, kind = served
    assert await talk(server.port) == b""
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(V1[:10])
    writer.close()
    assert (await talk(server.port, V1 + b"QUIT\r\n")).count(b"\r\n") == 2
    assert len(kind.seen) == 1
    await settled(server)


async def test_h093_a_second_header_is_input_of_another_protocol(served: tuple[smtpx.Server, type[Watcher]]) -> None:
    server, _ = served
    out = await talk(server.port, V1 + V1)
    assert out.splitlines()[1].startswith(b"500 5.5.2")


async def test_h093_who_is_not_trusted_is_closed_at_once() -> None:
    elsewhere = tuple(each for each in DEFAULT_TRUSTED if "127" not in str(each))
    async with smtpx.Server(watcher(), port=0, proxy_protocol=True, proxy_trusted=elsewhere) as server:
        assert await talk(server.port, V1 + b"QUIT\r\n") == b""
        await settled(server)


async def test_section_7_trust_in_public_addresses_is_logged_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    networks = [*DEFAULT_TRUSTED, ip_network("192.0.2.0/24"), ip_network("10.1.0.0/16"), ip_network("::/1")]
    for options, count in (({}, 0), ({"proxy_trusted": networks}, 1)):
        async with smtpx.Server(watcher(), port=0, proxy_protocol=True, **options):  # type: ignore[arg-type] # of several types
            assert len(caplog.messages) == count
    assert caplog.messages == ["PROXY headers are believed from addresses that are not private: 192.0.2.0/24, ::/1"]
    caplog.clear()
    async with smtpx.Server(watcher(), port=0, proxy_trusted=networks):
        assert caplog.messages == []  # nobody is asked for a header


async def test_h093_caps_count_the_client_and_not_the_balancer() -> None:
    limits = smtpx.ServerLimits(max_connections_per_ip=1)
    async with smtpx.Server(watcher(), port=0, proxy_protocol=True, limits=limits) as server:
        first = await asyncio.open_connection("127.0.0.1", server.port)
        first[1].write(V1)
        assert (await first[0].readline()).startswith(b"220")
        assert (await talk(server.port, V1)).startswith(b"421 4.7.0")
        other = V1.replace(b"192.0.2.1 ", b"192.0.2.9 ")
        assert (await talk(server.port, other + b"QUIT\r\n")).startswith(b"220")
        first[1].close()
        await settled(server)
        assert (await talk(server.port, V1 + b"QUIT\r\n")).startswith(b"220")


async def test_h093_under_implicit_tls_the_header_comes_first(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "c.pem"))
    kind = watcher()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    tls = smtpx.server_tls(tmp_path / "c.pem")
    async with smtpx.Server(kind, port=0, tls=tls, implicit_tls=True, proxy_protocol=True) as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_sendall(sock, V1)
        reader, writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname="localhost")
        assert (await reader.readline()).startswith(b"220")
        assert kind.seen == [("192.0.2.1", 1234)]
        writer.close()
        await settled(server)


async def test_a_server_that_closes_does_not_wait_for_headers() -> None:
    async with smtpx.Server(watcher(), port=0, proxy_protocol=True, deadlines=Deadlines(proxy_header=0.2)) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.sleep(0.05)
    writer.close()


async def settled(server: smtpx.Server) -> None:
    """Every connection is over and counted out."""
    for _ in range(200):
        if not server.connections and not server._guard.connections:  # pyright: ignore[reportPrivateUsage]
            return
        await asyncio.sleep(0.02)
    raise AssertionError("a connection is still counted")
