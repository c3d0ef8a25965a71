"""Rows of the acceptance list that need a socket, a clock or a handler's own code. Each test has its row's number."""

import asyncio
import dataclasses
import gc
import logging
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from smtpx.extensions import STANDARD
from smtpx.protocol.dialect import LMTP
from smtpx.protocol.events import AbortCause
from smtpx.protocol.extension import Extension
from smtpx.protocol.limits import ServerLimits
from smtpx.server.body import Body, TransferAborted
from smtpx.server.session import Session, ok
from smtpx.server.settings import Deadlines
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Param, Params
from tests.server.rig import (
    BDAT,
    EHLO,
    MAIL,
    OPEN,
    RCPT,
    RawClient,
    Recorder,
    eventually,
    fresh_server_tls,
    recorders,
    running,
)

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
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.DEBUG] == []
    assert any("connection lost" in line for line in caplog.messages)


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


class Hasty(Recorder):
    """Takes a chunk, and fails while the next one is waited for."""

    async def data(self, body: Body) -> Any:  # noqa: ANN401
        await body.read(1)
        try:
            async with asyncio.timeout(0.02):
                await body.read(1)
        finally:
            self.calls.append("failed")


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        ("NOOP\r\nBDAT 1 LAST\r\ny", ["250 2.0.0", "451 4.3.0"]),
        ("BDAT 1\r\ny", ["451 4.3.0"]),
        ("BDAT 1 LAST\r\ny", ["451 4.3.0"]),
        ("RSET\r\n", ["250 2.0.0"]),
    ],
)
async def test_b08_an_exception_behind_a_chunk_has_its_effect(
    line: str, codes: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    kind, made = recorders(Hasty)
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.say(BDAT, 3)
        assert await client.say("BDAT 1\r\nx") == ["250 2.0.0"]
        await eventually(lambda: "failed" in made[0].calls)
        assert await client.say(line, len(codes)) == codes
        assert await client.say(RCPT) == ["503 5.5.1"]  # the transaction is gone
        await client.probe()
    assert caplog.text.count("data raised") == 1


async def test_l1_a_recipient_without_a_verdict_of_its_own() -> None:
    """What the session does not say is 451 with a text of ours, never the text of an exception."""

    class Half(Recorder):
        async def data(self, body: Body) -> Any:  # noqa: ANN401
            await body.read()
            return {"c@server.example": ok("kept")}

    async with running(Half, dialect=LMTP) as server, await RawClient.open(server, greeting=False) as client:
        assert (await client.reply()).text.split()[1] == "LMTP"
        lines = ["LHLO x\r\n", MAIL, RCPT, RCPT.replace("b@", "c@"), "DATA\r\n"]
        assert await client.say("".join(lines), 5) == ["250", "250 2.1.0", "250 2.1.5", "250 2.1.5", "354"]
        await client.send("x\r\n.\r\n")
        first, second = await client.reply(), await client.reply()
        assert first.to_bytes().startswith(b"451 4.3.0 <b@server.example> ")
        assert second.to_bytes() == b"250 2.0.0 <c@server.example> kept\r\n"
        await client.probe()


async def test_lmtp_10_all_the_rest_is_as_in_smtp(tmp_path: Path) -> None:
    """On a unix socket too: STARTTLS, AUTH, PIPELINING, CHUNKING, DSN."""
    kind, made = recorders()
    path = str(tmp_path / "lmtp")
    async with running(kind, dialect=LMTP, tls=fresh_server_tls(), unix=path), await RawClient.open(path) as client:
        await client.say("LHLO x\r\nSTARTTLS\r\n", 2)
        await client.start_tls()
        await client.send("LHLO x\r\n")
        lines = {line.split()[0] for line in (await client.reply()).lines[1:]}
        assert lines >= {"AUTH", "PIPELINING", "CHUNKING", "DSN", "8BITMIME", "SIZE"}
        assert await client.say("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n") == ["235 2.7.0"]
        group = MAIL + RCPT.replace(">", "> NOTIFY=NEVER") * 2 + "BDAT 1\r\nxBDAT 1 LAST\r\ny"
        assert await client.say(group, 6) == ["250 2.1.0", "250 2.1.5", "250 2.1.5", *["250 2.0.0"] * 3]
        await client.probe()
    assert [(message.content, message.identity) for message in made[0].messages] == [(b"xy", "user")]


def test_section_3_defaults_of_a_server() -> None:
    limits = ServerLimits()
    assert (limits.max_recipients, limits.max_message_bytes) == (1000, 25 << 20)
    assert (limits.max_command_line_bytes, limits.max_auth_line_bytes) == (2048, 12_288)
    assert limits.max_text_line_bytes is None
    assert (limits.soft_error_limit, limits.hard_error_limit, limits.max_auth_failures) == (10, 20, 3)
    assert all(vars_of > 0 for vars_of in dataclasses.astuple(Deadlines()))  # none is without an end


async def test_section_3_what_a_server_offers_by_itself() -> None:
    async with (
        running(Recorder, hostname="mx.server.example") as server,
        await RawClient.open(server, greeting=False) as client,
    ):
        assert (await client.reply()).text.split()[0] == "mx.server.example"
        await client.send(EHLO)
        lines = (await client.reply()).lines
    assert lines[0].split()[0] == "mx.server.example"
    assert "SIZE 26214400" in lines
    assert any(line.startswith("LIMITS ") and "RCPTMAX=1000" in line.split() for line in lines)
    assert not any(line.startswith(("AUTH", "STARTTLS", "XCLIENT", "XFORWARD")) for line in lines)


async def test_sasl_weak_mechanisms_are_offered_only_on_request() -> None:
    """CRAM-MD5 needs a password in clear, ANONYMOUS proves nothing: a server has to name them."""

    class Both(Recorder):
        async def lookup(self, mechanism: str, username: str) -> None:
            return None

    async with running(Both, allow_insecure_auth=True) as server, await RawClient.open(server) as client:
        await client.send(EHLO)
        (line,) = [line for line in (await client.reply()).lines if line.startswith("AUTH ")]
    assert line.split()[-1] in ("PLAIN", "LOGIN")
    assert not {"CRAM-MD5", "ANONYMOUS", "EXTERNAL", "SCRAM-SHA-1"} & set(line.split())


async def test_section_8_memory_of_an_idle_connection() -> None:
    number = 200
    async with running(Session) as server:
        warm = [await RawClient.open(server) for _ in range(20)]
        gc.collect()
        tracemalloc.start()
        try:
            before = _memory_of_ours()
            clients = [await RawClient.open(server) for _ in range(number)]
            for client in clients:
                await client.say(EHLO)
            gc.collect()
            each = (_memory_of_ours() - before) / number
        finally:
            tracemalloc.stop()
        for client in warm + clients:
            client.sock.close()
        await eventually(lambda: server.connections == 0)
    assert each < 8192  # go-smtp takes 15.4 KB


def _memory_of_ours() -> int:
    """Octets allocated by smtpx and asyncio, without the clients of the test."""
    ours = [tracemalloc.Filter(inclusive=True, filename_pattern=f"*/{name}/*") for name in ("smtpx", "asyncio")]
    return sum(each.size for each in tracemalloc.take_snapshot().filter_traces(ours).statistics("filename"))
