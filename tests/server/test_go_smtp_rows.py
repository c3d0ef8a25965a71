"""Rows of the acceptance list that need a socket, a clock or a handler's own code. Each test has its row's number."""

import asyncio
import gc
import logging
from typing import Any

import pytest

from smtpx.extensions import STANDARD
from smtpx.protocol.events import AbortCause
from smtpx.protocol.extension import Extension
from smtpx.protocol.limits import ServerLimits
from smtpx.server.body import Body, TransferAborted
from smtpx.server.session import ok
from smtpx.server.settings import Deadlines
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Param, Params
from tests.server.rig import BDAT, EHLO, MAIL, OPEN, RCPT, RawClient, Recorder, eventually, recorders, running

ENOUGH = 300_000  # octets: more than is kept ahead of a session, so `data` runs while they still come


class Impatient(Recorder):
    async def data(self, body: Body) -> Any:  # noqa: ANN401
        async for _ in body:
            return ok("seen enough")


async def test_r97_a_session_that_stops_reading() -> None:
    """The rest is taken and dropped, the reply is the session's, and the connection is in step."""
    async with running(Impatient) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        content = (b"x" * 98 + b"\r\n") * (ENOUGH // 100)
        assert await client.say(content + b".\r\nNOOP\r\n", 2) == ["250 2.0.0", "250 2.0.0"]
        await client.say(MAIL + RCPT, 2)
        assert await client.say(b"BDAT %d LAST\r\n" % len(content) + content) == ["250 2.0.0"]
        await client.probe()


@pytest.mark.parametrize("begun", ["", EHLO, EHLO + MAIL])
async def test_r171_a_connection_that_breaks_is_not_an_error(begun: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "smtpx.server")
    async with running() as server:
        client = await RawClient.open(server)
        if begun:
            await client.say(begun, begun.count("\r\n"))
        client.reset()
        await eventually(lambda: server.connections == 0)
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_r175_every_reply_has_a_write_deadline() -> None:
    """Also when it is a single one of a session's, and nothing was set."""
    assert Deadlines().write == 60.0
    limits = ServerLimits(
        max_unsent_bytes=1024, soft_error_limit=10**6, hard_error_limit=10**6, junk_command_limit=10**6
    )
    async with running(limits=limits, deadlines=Deadlines(write=0.2)) as server, await RawClient.open(server) as client:
        with_loss = asyncio.create_task(_flood(client))
        await eventually(lambda: server.connections == 0)
        await with_loss


async def _flood(client: RawClient) -> None:
    """Ask for long replies and read none of them."""
    try:
        for _ in range(2000):
            await client.send("HELP\r\n" * 1000)
    except (ConnectionError, TimeoutError):
        pass


@pytest.mark.parametrize(
    ("limit", "chunks", "codes", "content"),
    [
        (1000, ["BDAT 3\r\nabc", "BDAT 0 LAST\r\n"], ["250 2.0.0", "250 2.0.0"], b"abc"),
        (1000, ["BDAT 3\r\nabc", "BDAT 2 LAST\r\nde"], ["250 2.0.0", "250 2.0.0"], b"abcde"),
        (4, ["BDAT 3\r\nabc", "BDAT 2 LAST\r\nde"], ["250 2.0.0", "552 5.3.4"], None),
    ],
)
async def test_f29_chunks(limit: int, chunks: list[str], codes: list[str], content: bytes | None) -> None:
    kind, made = recorders()
    async with (
        running(kind, limits=ServerLimits(max_message_bytes=limit)) as server,
        await RawClient.open(server) as client,
    ):
        await client.say(BDAT, 3)
        assert [code for chunk in chunks for code in await client.say(chunk)] == codes
        await client.probe()
    assert [message.content for message in made[0].messages] == ([] if content is None else [content])


class Keeper(Recorder):
    """Keeps how each transfer ended."""

    ends: list[AbortCause | None]

    async def data(self, body: Body) -> Any:  # noqa: ANN401
        try:
            await body.read()
        except TransferAborted as aborted:
            self.ends.append(aborted.cause)
            raise
        self.ends.append(None)


async def test_f29_the_last_chunk_one_octet_short() -> None:
    Keeper.ends = []
    async with running(Keeper) as server, await RawClient.open(server) as client:
        await client.say(BDAT, 3)
        await client.send("BDAT 3 LAST\r\nab")
        client.finish()
        await client.closed()
        await eventually(lambda: len(Keeper.ends) == 1)
    assert Keeper.ends == [AbortCause.LOST]


@pytest.mark.parametrize(("limit", "code"), [(35, "250 2.0.0"), (34, "552 5.3.4")])
@pytest.mark.parametrize("one_by_one", [False, True])
async def test_f22_size_is_counted_behind_the_dots(limit: int, code: str, one_by_one: bool) -> None:
    wire = b"..dot\r\n" + b"x" * 25 + b"\r\n.\r\n"  # 35 octets with one dot stuffed, so 34 and the end
    content_bytes = len(wire) - len(b".\r\n") - 1
    async with (
        running(limits=ServerLimits(max_message_bytes=content_bytes - (35 - limit))) as server,
        await RawClient.open(server) as client,
    ):
        await client.say(OPEN, 4)
        for piece in [wire[i : i + 1] for i in range(len(wire))] if one_by_one else [wire]:
            await client.send(piece)
        assert await client.codes(1) == [code]
        await client.probe()


XOORG: Param[str] = Param("XOORG", lambda value: value or "", str)


class Originator(Extension):
    """An organisation's name on MAIL."""

    keyword = "XOORG"
    mail_params = (XOORG,)


class Reader(Recorder):
    seen: list[str | None]

    async def mail(self, sender: Mailbox, params: Params) -> None:
        self.seen.append(params.get(XOORG))


async def test_f32_a_parameter_of_ones_own() -> None:
    Reader.seen = []
    async with running(Reader, extensions=[*STANDARD, Originator()]) as server, await RawClient.open(server) as client:
        await client.send(EHLO)
        assert "XOORG" in (await client.reply()).lines
        mail = "MAIL FROM:<a@client.example> XOORG={}\r\n"
        assert await client.say(mail.format("contoso.example") + "RSET\r\n", 2) == ["250 2.1.0", "250 2.0.0"]
        assert await client.say(MAIL) == ["250 2.1.0"]
        assert await client.say("RSET\r\n" + mail.format("a XOORG=b"), 2) == ["250 2.0.0", "501 5.5.4"]
    assert Reader.seen == ["contoso.example", None]
    async with running(Reader) as server, await RawClient.open(server) as client:
        assert await client.say(EHLO + mail.format("x"), 2) == ["250", "555 5.5.4"]


@pytest.mark.parametrize("command", ["DATA\r\nhalf a line", "BDAT 100\r\nhalf", "BDAT 5\r\n12345"])
async def test_b06_twenty_that_vanish_leave_nothing_behind(command: str) -> None:
    """The rig looks at tasks, counts and connections when the server is closed; here it goes on serving first."""
    kind, made = recorders()
    async with running(kind) as server:
        before = len(asyncio.all_tasks())
        for number in range(20):
            client = await RawClient.open(server)
            await client.say(BDAT, 3)
            await client.send(command)
            if number % 2:
                client.reset()
            else:
                client.sock.close()
        await eventually(lambda: server.connections == 0)
        await eventually(lambda: len(asyncio.all_tasks()) <= before)
        gc.collect()
        async with await RawClient.open(server) as client:
            await client.say(OPEN, 4)
            assert await client.say("x\r\n.\r\n") == ["250 2.0.0"]
    assert [len(each.messages) for each in made] == [0] * 20 + [1]
    assert all(each.calls[-1] == "close" for each in made)
