"""The awaited client: cancelled at every step, shared by many tasks, and never in half a state (T08, P21, P25)."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest

import smtpx
from smtpx.client.aio import AsyncClient, AsyncConnection
from smtpx.client.mail import Mail
from smtpx.client.settings import Limits
from smtpx.errors import LocalProtocolError, PermanentRefusal, UnsupportedError
from smtpx.flows.session import Security
from smtpx.net.aio import AsyncStream
from smtpx.sasl import Password
from smtpx.server.body import Body
from tests.client.conftest import Certificates
from tests.client.dialogues import BODY as MESSAGE_OCTETS
from tests.client.dialogues import BODY_WIRE, FROM, LOCK, MESSAGE, QUIT, START, TO, url
from tests.peers import ScriptedServer

BODY = b"Subject: hi\r\n\r\nhi\r\n"
EHLO = "C: EHLO me\n"


class Noted(smtpx.Session):
    """A server's session that keeps what it took."""

    bodies: ClassVar[list[bytes]]
    delay = 0.0
    connections = 0

    async def connect(self) -> None:
        type(self).connections += 1

    async def data(self, body: Body) -> smtpx.Reply:
        content = await body.read()
        await asyncio.sleep(self.delay)
        self.bodies.append(content)
        return smtpx.ok("queued as 1")


async def send(client: AsyncClient, message: object = BODY) -> object:
    return await client.send(message, sender="a@x.example", recipients=["b@x.example"])  # type: ignore[arg-type]


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(3):
        yield BODY
        await asyncio.sleep(0)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("chunking", [False, True])
async def test_t08_cancelled_at_every_step(monkeypatch: pytest.MonkeyPatch, chunking: bool, streamed: bool) -> None:
    """Cancel at the n-th wait; then the pool sends again, and the server has whole messages only."""

    class Session(Noted):
        bodies: ClassVar[list[bytes]] = []

    message = BODY * 3 if streamed else BODY
    waits, stop_at = 0, 0
    plain = AsyncStream.receive

    async def receive(self: AsyncStream, timeout_seconds: float) -> bytes:
        nonlocal waits
        waits += 1
        if waits == stop_at:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
        return await plain(self, timeout_seconds)

    monkeypatch.setattr(AsyncStream, "receive", receive)
    async with smtpx.Server(Session, host="127.0.0.1", port=0) as server:
        before = asyncio.all_tasks()
        for stop_at in range(1, 40):
            waits = 0
            client = AsyncClient(
                f"smtp+plain://127.0.0.1:{server.port}", chunking=chunking, limits=Limits(max_connections=1)
            )
            task = asyncio.create_task(send(client, chunks() if streamed else BODY))
            try:
                await task
                break  # it has fewer waits than that
            except asyncio.CancelledError:
                pass
            finally:
                stop_at = 0
                assert await send(client)
                await client.close()
        assert stop_at == 0
        assert set(Session.bodies) <= {message, BODY}
        assert waits > 2
        await asyncio.sleep(0.05)
        assert {each for each in asyncio.all_tasks() - before if "smtpx.client" in repr(each)} == set()


async def test_cancelled_while_waiting_for_a_turn() -> None:
    class Session(Noted):
        bodies: ClassVar[list[bytes]] = []
        delay = 0.05

    async with smtpx.Server(Session, host="127.0.0.1", port=0) as server:
        limits = Limits(max_connections=1)
        async with AsyncClient(f"smtp+plain://127.0.0.1:{server.port}", limits=limits) as client:
            first = asyncio.create_task(send(client))
            await asyncio.sleep(0.02)
            waiting = [asyncio.create_task(send(client)) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            await asyncio.gather(first, *waiting[1:])
            assert waiting[0].cancelled() or waiting[0].done()
        assert len(Session.bodies) == 3


async def test_p21_fifty_sends_over_four_connections() -> None:
    class Session(Noted):
        bodies: ClassVar[list[bytes]] = []

    async with smtpx.Server(Session, host="127.0.0.1", port=0) as server:
        limits = Limits(max_connections=4)
        async with AsyncClient(f"smtp+plain://127.0.0.1:{server.port}", limits=limits) as client:
            await asyncio.gather(*(send(client) for _ in range(50)))
        assert len(Session.bodies) == 50
        assert Session.connections <= 4


async def test_p25_close_ends_those_that_wait() -> None:
    class Session(Noted):
        bodies: ClassVar[list[bytes]] = []
        delay = 0.05

    async with smtpx.Server(Session, host="127.0.0.1", port=0) as server:
        client = AsyncClient(f"smtp+plain://127.0.0.1:{server.port}", limits=Limits(max_connections=1))
        first = asyncio.create_task(send(client))
        await asyncio.sleep(0.02)
        second = asyncio.create_task(send(client))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(LocalProtocolError, match="closed"):
            await second
        assert await first  # what was under way ends well


async def test_p20_a_hundred_recipients_in_one_round_trip() -> None:
    """50 ms for each round trip: 100 recipients take less than half a second."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x\r\n")
        while data := await reader.read(1 << 16):
            await asyncio.sleep(0.05)
            for line in data.splitlines():
                answer = (
                    b"354 go\r\n" if line == b"DATA" else b"250-x\r\n250 PIPELINING\r\n" if line[:4] == b"EHLO" else b""
                )
                if answer or line[:4] in (b"MAIL", b"RCPT", b"QUIT") or line == b".":
                    writer.write(answer or b"250 ok\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with AsyncClient(f"smtp+plain://127.0.0.1:{port}") as client:
        begun = time.monotonic()
        result = await client.send(BODY, sender="a@x.example", recipients=[f"u{n}@x.example" for n in range(100)])
        assert time.monotonic() - begun < 0.5
        assert len(result.accepted) == 100
    await asyncio.sleep(0.1)  # for the server to see the end
    server.close()
    await server.wait_closed()


async def test_an_open_connection_may_be_awaited_or_entered() -> None:
    with ScriptedServer("S: 220 x\nC: EHLO me\nS: 250 x\nC: QUIT\nS: 221 x") as server:
        url = f"smtp://127.0.0.1:{server.port}?hello_name=me"
        connection = await AsyncConnection.open(url)
        await connection.quit()
        async with AsyncConnection.open(url) as connection:
            assert connection.is_open
        opening = AsyncConnection.open(url)
        async with opening as connection:
            await connection.quit()
        await asyncio.sleep(0.01)


async def test_a_turn_that_came_with_the_cancellation_is_passed_on() -> None:
    client = AsyncClient("smtp+plain://127.0.0.1:1", limits=Limits(max_connections=1))
    waiting = [asyncio.create_task(client._wait()) for _ in range(2)]
    await asyncio.sleep(0)
    client._wake()  # it is the first one's turn,
    waiting[0].cancel()  # who does not want it any more
    await asyncio.wait_for(waiting[1], 1)
    assert waiting[0].cancelled() or (await asyncio.gather(*waiting, return_exceptions=True))
    third = asyncio.create_task(client._wait())
    await asyncio.sleep(0)
    client._waiters[0].cancel()
    client._wake()  # one that has gone is passed over
    with pytest.raises(asyncio.CancelledError):
        await third


async def test_cancelled_within_a_transaction() -> None:
    script = "S: 220 x\nC: EHLO me\nS: 250 x\nC: MAIL FROM:<>\nS: 250 m\nC: RCPT TO:<b@x.example>\nS: 250 r\n"
    with ScriptedServer(script, tolerant=True) as server:
        connection = await AsyncConnection.open(f"smtp://127.0.0.1:{server.port}?hello_name=me")

        async def work() -> None:
            async with connection.transaction("", ["b@x.example"]):
                await asyncio.sleep(10)

        task = asyncio.create_task(work())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not connection.is_open
        await asyncio.sleep(0.01)


async def test_an_opening_that_fails_in_a_with_block_leaves_nothing() -> None:
    opening = AsyncConnection.open("smtp://127.0.0.1:1")
    with pytest.raises(OSError, match="can't connect"):
        await opening.__aenter__()
    await opening.__aexit__(None, None, None)


@asynccontextmanager
async def scripted(*dialogues: str, **options: Any) -> AsyncIterator[ScriptedServer]:  # noqa: ANN401 - its own
    with ScriptedServer(*dialogues, **options) as server:
        try:
            yield server
        finally:
            await asyncio.sleep(0.01)  # our ends of its connections are closed in a later round of the loop


# Step by step ---------------------------------------------------------------------------------------------------------


async def test_step_by_step(certificates: Certificates) -> None:
    script = f"{EHLO}S: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nTLS\n{EHLO}S: 250-x\nS: 250 AUTH PLAIN\n"
    script = "S: 220 x\n" + script + "C: AUTH PLAIN AHUAcA==\nS: 235 in\n"
    script += f"C: MAIL FROM:<{FROM}>\nS: 250 m\nC: RCPT TO:<{TO}>\nS: 250 r\nC: DATA\nS: 354 go\n{BODY_WIRE}S: 250 d\n"
    script += f"C: VRFY {TO}\nS: 252 v\nC: XTAGS a\nS: 250 x\nC: NOOP\nS: 250 n\nC: RSET\nS: 250 z\n{QUIT}"
    options: dict[str, Any] = {"security": Security.NONE, "ca_file": certificates.ca_file}
    async with (
        scripted(script, tls=certificates.server) as server,
        AsyncConnection.open(url(server), **options) as connection,
    ):
        assert connection.is_open
        assert connection.peer.endswith(f":{server.port}")
        assert connection.tls is None
        assert (await connection.start_tls()) == connection.tls
        assert (await connection.auth(Password("u", "p"), mechanisms=["PLAIN"])).text == "in"
        assert connection.capabilities["AUTH"] == "PLAIN"
        assert connection.hello_reply is not None
        assert connection.hello_reply.code == 250
        assert (await connection.mail(FROM)).text == "m"
        assert (await connection.rcpt(TO)).text == "r"
        assert (await connection.data(MESSAGE_OCTETS)).text == "d"
        assert (await connection.verify(TO)).code == 252
        assert (await connection.command("XTAGS", "a")).text == "x"
        assert (await connection.noop()).text == "n"
        assert (await connection.reset()).text == "z"


async def test_a_connection_sends_messages() -> None:
    async with scripted(START + MESSAGE) as server:
        connection = await AsyncConnection.open(url(server))
        assert (await connection.send(MESSAGE_OCTETS, sender=FROM, recipients=TO)).accepted
        connection.close()
        assert not connection.is_open


async def test_an_error_within_the_block_closes_without_a_word() -> None:
    async with scripted(LOCK) as server:
        connection = await AsyncConnection.open(url(server))
        with pytest.raises(KeyError):
            async with connection:
                raise KeyError
        assert not connection.is_open


GROUP = f"C: MAIL FROM:<{FROM}>\nC: RCPT TO:<{TO}>\nC: RCPT TO:<c@y.example>\nS: 250 m\nS: 250 r\nS: 550 no\n"


async def test_an_open_transaction() -> None:
    script = START + GROUP + f"C: DATA\nS: 354 go\n{BODY_WIRE}S: 250 done\n" + GROUP + "C: RSET\nS: 250 ok\n" + QUIT
    to = [TO, "c@y.example"]
    async with scripted(script) as server, AsyncConnection.open(url(server)) as connection:
        async with connection.transaction(FROM, to) as transaction:
            assert (list(transaction.accepted), list(transaction.refused)) == ([TO], ["c@y.example"])
            result = await transaction.send(MESSAGE_OCTETS)
            assert result.reply is not None
            assert result.reply.text == "done"
            with pytest.raises(LocalProtocolError, match="over"):
                await transaction.send(MESSAGE_OCTETS)
        with pytest.raises(KeyError):
            async with connection.transaction(FROM, to):
                raise KeyError  # given up: the connection goes on
        assert connection.is_open


@pytest.mark.parametrize("sent", [False, True])
async def test_a_transaction_that_is_cancelled(sent: bool) -> None:
    script = START + GROUP + (f"C: DATA\nS: 354 go\n{BODY_WIRE}S: 250 done\n" + QUIT if sent else "")
    async with scripted(script) as server:
        connection = await AsyncConnection.open(url(server))
        transaction = await connection.transaction(FROM, [TO, "c@y.example"])
        if sent:
            await transaction.send(MESSAGE_OCTETS)
        with pytest.raises(asyncio.CancelledError):
            async with transaction:
                raise asyncio.CancelledError
        assert connection.is_open is sent  # nothing is waited for; but a message that is over concerns nobody
        await connection.quit()


# The pool -------------------------------------------------------------------------------------------------------------


async def test_a_connection_that_died_is_replaced() -> None:
    ends = START + MESSAGE + "EOF"
    async with scripted(ends, ends, START + MESSAGE + QUIT) as server, AsyncClient(url(server)) as client:
        links = [await client._acquire() for _ in range(2)]
        for link in links:
            await link.send(Mail(MESSAGE_OCTETS, FROM, [TO]), {}, strict=False, smtputf8=None)
            await client._release(link)
            assert await link._stream.receive(10) == b""
        assert (await client.send(MESSAGE_OCTETS, sender=FROM, recipients=TO)).accepted
        assert server.connections == 3  # the other one, as old, was not even tried


async def test_an_error_is_raised_and_its_connection_gone() -> None:
    async with (
        scripted("S: 554 no", START + "C: QUIT\n", tolerant=True) as server,
        AsyncClient(url(server), max_connections=1) as client,
    ):
        with pytest.raises(PermanentRefusal):
            await client.send(MESSAGE_OCTETS, sender=FROM, recipients=TO)
        with pytest.raises(UnsupportedError):
            await client.send(MESSAGE_OCTETS * 100, sender=FROM, recipients=TO)
        assert client._policy.open_connections == 1  # the second one, which is idle now
        for link in client._policy.drain():
            await link.leave()


async def test_a_connection_that_was_idle_for_long_is_left() -> None:
    first, second = START + MESSAGE + "C: QUIT\n", START + MESSAGE + QUIT
    async with (
        scripted(first, second) as server,
        AsyncClient(url(server), limits=Limits(max_idle_seconds=0.01)) as client,
    ):
        await client.send(MESSAGE_OCTETS, sender=FROM, recipients=TO)
        await asyncio.sleep(0.03)
        await client.send(MESSAGE_OCTETS, sender=FROM, recipients=TO)
        assert server.connections == 2
        assert client._policy.open_connections == 1
