"""The awaited link: however a call ends, the connection is in a known state or closed."""
# ruff: noqa: ANN401 - a message is anything here, and options are of any kind

import asyncio
import io
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from smtpx.client.async_link import AsyncLink
from smtpx.client.mail import Mail
from smtpx.client.settings import settings_for
from smtpx.errors import (
    DeadlineError,
    LocalProtocolError,
    PermanentRefusal,
    TLSError,
    UnsupportedError,
)
from smtpx.flows.steps import Timeouts
from tests.client.conftest import Certificates
from tests.client.dialogues import BODY, FROM, LOCK, MESSAGE, QUIT, START, TO, url
from tests.peers import ScriptedServer

STARTTLS = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n"


async def opened(server: ScriptedServer, scheme: str = "smtp", **options: Any) -> AsyncLink:
    return await AsyncLink.open(settings_for(url(server, scheme), **options))


@asynccontextmanager
async def scripted(*dialogues: str, **options: Any) -> AsyncIterator[ScriptedServer]:
    with ScriptedServer(*dialogues, **options) as server:
        try:
            yield server
        finally:
            await asyncio.sleep(0.01)  # our ends of its connections are closed in a later round of the loop


async def send(link: AsyncLink, message: Any = BODY) -> Any:
    return await link.send(Mail(message, FROM, [TO]), {}, strict=False, smtputf8=None)


async def test_one_message() -> None:
    seen: list[tuple[str, bytes]] = []
    async with scripted(START + MESSAGE + QUIT) as server:
        link = await opened(server, trace=lambda *each: seen.append(each))
        assert link.is_open
        assert str(server.port) in str(link.peer)
        result = await send(link)
        assert (result.reply.text, result.duration_seconds > 0) == ("done", True)
        await link.quit()
        await link.quit()
        assert not link.is_open
    assert ("S", b"220 ready\r\n") in seen
    assert seen[-2:] == [("C", b"QUIT\r\n"), ("S", b"221 bye\r\n")]


async def awaited() -> AsyncIterator[bytearray]:
    yield bytearray(BODY[:5])
    await asyncio.sleep(0)
    yield bytearray(BODY[5:])


async def words() -> AsyncIterator[str]:
    yield "text"


async def test_content_of_every_kind() -> None:
    async with scripted(START + MESSAGE * 3 + QUIT) as server:
        link = await opened(server)
        for message in (awaited(), iter([BODY[:5], BODY[5:]]), io.BytesIO(BODY)):
            assert (await send(link, message)).accepted
        with pytest.raises(LocalProtocolError, match="bytes, not str"):
            await send(link, words())
        assert link.is_open
        await link.quit()


async def test_a_link_of_the_callers_making() -> None:
    async with scripted(LOCK + "C: QUIT\n") as server:
        port = server.port
        settings = settings_for(
            "smtp://mail.invalid?hello_name=me", connect=lambda *_: socket.create_connection(("127.0.0.1", port))
        )
        link = await AsyncLink.open(settings)
        await link.leave()  # waits for nothing
        await link.leave()
        assert not link.is_open


async def test_a_refusal_leaves_it_open() -> None:
    async with scripted(LOCK + "C: NOOP\nS: 550 no\n" + QUIT) as server:
        link = await opened(server)
        with pytest.raises(PermanentRefusal):
            await link.run(link.conversation.noop())
        assert link.is_open
        await link.quit()


async def test_a_late_reply_closes() -> None:
    async with scripted(LOCK + "C: NOOP\n") as server:
        link = await opened(server, timeouts=Timeouts(other=0.05))
        with pytest.raises(DeadlineError):
            await link.run(link.conversation.noop())
        assert not link.is_open
        with pytest.raises(LocalProtocolError, match="closed"):
            await link.run(link.conversation.noop())


async def test_a_cancellation_closes() -> None:
    async with scripted(LOCK + "C: NOOP\n") as server:
        link = await opened(server)
        task = asyncio.create_task(link.run(link.conversation.noop()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not link.is_open


async def test_one_thing_at_a_time() -> None:
    async with scripted(LOCK + QUIT) as server:
        link = await opened(server)

        async def pieces() -> AsyncIterator[bytes]:
            await link.run(link.conversation.noop())
            yield b""

        with pytest.raises(LocalProtocolError, match="in use"):
            await send(link, pieces())
        assert link.is_open
        await link.quit()


async def test_opportunistic_goes_on_in_clear_over_a_new_connection() -> None:
    async with scripted(STARTTLS + "EOF", LOCK + QUIT, tolerant=True) as server:
        link = await opened(server)
        assert link.conversation.protocol.tls is None
        await link.quit()
        assert server.connections == 2


async def test_who_wants_tls_does_not() -> None:
    async with scripted(STARTTLS + "EOF", LOCK, tolerant=True) as server:
        with pytest.raises(TLSError):
            await opened(server, "submission")
        assert server.connections == 1
    async with scripted(LOCK + QUIT) as server:
        with pytest.raises(UnsupportedError):
            await opened(server, "submission")


@pytest.mark.parametrize(("scheme", "script"), [("smtps", "TLS\n" + LOCK), ("smtp+starttls", STARTTLS + "TLS\n")])
async def test_tls(certificates: Certificates, scheme: str, script: str) -> None:
    script += QUIT if scheme == "smtps" else "C: EHLO me\nS: 250 x\n" + QUIT
    async with scripted(script, tls=certificates.server) as server:
        link = await opened(server, scheme, ca_file=certificates.ca_file)
        assert link.conversation.protocol.tls is not None
        assert link.conversation.protocol.tls.verified
        await link.quit()


async def test_tls_from_the_start_is_a_part_of_connecting() -> None:
    async with scripted("S: 220 in clear\n", tolerant=True) as server:
        with pytest.raises(TLSError) as caught:
            await opened(server, "smtps")
    assert caught.value.stage == "connect"
