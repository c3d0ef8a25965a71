"""What is kept about a connection, and how it is found: keys, variables, log lines."""

import asyncio
import contextvars
import logging

import pytest

from smtpx.server.context import ConnectionFilter, Context, Key, current_session
from smtpx.server.middleware import Middleware, Stack
from smtpx.server.session import Session
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply
from tests.server.rig import EHLO, ENV, MAIL, RawClient, Recorder, running

COUNT: Key[int] = Key("count")
VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
log = logging.getLogger("application")


def test_keys() -> None:
    context, same_name = Context(), Key[int]("count")
    assert (context.get(COUNT), context.get(COUNT, 3), COUNT in context) == (None, 3, False)
    context[COUNT] = 7
    assert (context[COUNT], context.get(COUNT, 3), COUNT in context, len(context)) == (7, 7, True, 1)
    assert same_name not in context
    del context[COUNT]
    assert len(context) == 0
    with pytest.raises(KeyError, match="count"):
        context[COUNT]
    assert repr(COUNT) == "Key('count')"


class Speaking(Recorder):
    """Logs like an application, from functions that know no session."""

    wait = False
    session: Session | None = None
    heard: list[str] = []  # noqa: RUF012 - one list for all

    async def connect(self) -> Reply | None:
        VARIABLE.set(self.peer.id)
        self.context[COUNT] = 0
        return None

    async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
        if self.wait:
            await asyncio.sleep(0.001)
        self.context[COUNT] += 1
        deep()
        await asyncio.to_thread(deep)
        await asyncio.create_task(adeep())
        return None


def deep() -> None:
    session = current_session()
    assert session is not None
    Speaking.heard.append(f"{VARIABLE.get() == session.peer.id} {session.context[COUNT]}")
    log.warning("from inside")


async def adeep() -> None:
    deep()


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
async def test_variables_and_log_lines_of_two_connections(
    wait: bool, wrapped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    Speaking.heard, Speaking.wait = [], wait
    caplog.handler.addFilter(chosen := ConnectionFilter())
    try:
        maker = Stack(Speaking, Middleware) if wrapped else Speaking
        async with (
            running(maker) as server,
            await RawClient.open(server) as one,
            await RawClient.open(server) as other,
        ):
            for client in (one, other):
                await client.say(EHLO)
            await asyncio.gather(one.send(MAIL), other.send(MAIL))
            for client in (one, other):
                await client.codes(1)
            log.warning("from outside")
    finally:
        caplog.handler.removeFilter(chosen)
    assert Speaking.heard == ["True 1"] * 6
    lines = [record for record in caplog.records if record.name == "application"]
    ids = {record.__dict__["connection"] for record in lines if record.message == "from inside"}
    assert len(ids) == 2
    assert {record.__dict__["peer"] for record in lines} == {"127.0.0.1", "-"}
    assert lines[-1].__dict__["connection"] == "-"
    assert current_session() is None
    assert VARIABLE.get() == "unset"


def test_a_record_keeps_what_it_has() -> None:
    record = log.makeRecord("x", logging.INFO, "", 0, "text", (), None, extra={"peer": "192.0.2.1"})
    assert ConnectionFilter().filter(record)
    assert (record.__dict__["peer"], record.__dict__["connection"]) == ("192.0.2.1", "-")


async def test_variables_reach_a_command_beside_data() -> None:
    """While `data` waits for the next chunk another coroutine runs for the connection: in the same context."""

    class Chunks(Recorder):
        async def data(self, body: object) -> None:
            VARIABLE.set("from data")
            await super().data(body)  # type: ignore[arg-type]

        async def rcpt(self, recipient: Mailbox, params: Params) -> Reply | None:
            return None

        async def reset(self) -> None:
            seen.append(VARIABLE.get())

    seen: list[str] = []
    async with running(Chunks) as server, await RawClient.open(server) as client:
        await client.say(EHLO + ENV, 3)
        assert await client.say(b"BDAT 1\r\nx") == ["250 2.0.0"]
        assert await client.say("BDAT 2 LAST\r\n\r\n") == ["250 2.0.0"]
    assert seen == ["from data"]
