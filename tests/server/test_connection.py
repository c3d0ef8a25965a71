"""Connections end to end: hooks, phases, ends, deadlines, back pressure; and nothing is left over."""

import asyncio
import gc
import logging
import re
import socket
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from smtpx.errors import TLSError
from smtpx.extensions import STANDARD
from smtpx.extensions.xclient import XClient
from smtpx.protocol.dialect import LMTP
from smtpx.protocol.events import AbortCause
from smtpx.protocol.extension import Conversation, Extension
from smtpx.protocol.limits import DefaultCap, ServerLimits
from smtpx.server.body import Body, TransferAborted
from smtpx.server.connection import Connection
from smtpx.server.listener import Listener, Server
from smtpx.server.session import Reject, Session, ok, reply
from smtpx.server.settings import Deadlines
from smtpx.wire.reply import Reply
from tests.server.rig import (
    BDAT,
    EHLO,
    ENV,
    FAST,
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

AUTH = "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n"
MIB = 1 << 20
Vanish = Callable[[RawClient], None]
WAYS = pytest.mark.parametrize("vanish", [RawClient.finish, RawClient.reset], ids=["fin", "rst"])
SECRET = "db password=hunter2"


class Asking(Extension):
    """An extension whose verb the session answers."""

    keyword = "XASK"

    def verbs(self) -> Mapping[str, Any]:
        def ask(machine: Conversation, argument: str | None) -> None:
            machine.ask_session("XASK", argument)

        return {"XASK": ask}


ASKING = [*STANDARD, Asking()]


class Waiting(Recorder):
    """Every hook waits a little."""

    async def connect(self) -> Reply | None:
        await asyncio.sleep(0)
        return await super().connect()

    async def hello(self, verb: str, name: str) -> Reply | None:
        await asyncio.sleep(0)
        return None

    async def authenticate(self, identity: Any) -> Reply | None:  # noqa: ANN401
        await asyncio.sleep(0.001)
        return await super().authenticate(identity)

    async def mail(self, sender: Any, params: Any) -> Reply | None:  # noqa: ANN401
        await asyncio.sleep(0)
        return await super().mail(sender, params)

    async def rcpt(self, recipient: Any, params: Any) -> Reply | None:  # noqa: ANN401
        await asyncio.sleep(0.001)
        return await super().rcpt(recipient, params)

    async def data(self, body: Body) -> Any:  # noqa: ANN401
        self.calls.append("data")
        content = b"".join([piece async for piece in body])
        await asyncio.sleep(0.001)
        self.keep(content)

    async def command(self, verb: str, argument: str | None) -> Reply | None:
        await asyncio.sleep(0)
        self.calls.append("command")
        return ok(f"{verb} {argument}")

    async def reset(self) -> None:
        await asyncio.sleep(0)
        await super().reset()

    async def close(self) -> None:
        await asyncio.sleep(0.001)
        await super().close()


class InPlace(Recorder):
    """No hook waits."""

    async def hello(self, verb: str, name: str) -> Reply | None:
        return None

    async def command(self, verb: str, argument: str | None) -> Reply | None:
        self.calls.append("command")
        return ok(f"{verb} {argument}")


# One whole conversation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [InPlace, Waiting])
@pytest.mark.parametrize("piece", [None, 1, 7])
async def test_hooks_are_called_in_order_and_close_comes_last_and_once(kind: type[Recorder], piece: int | None) -> None:
    session, made = recorders(kind)
    async with (
        running(session, allow_insecure_auth=True, extensions=ASKING) as server,
        await RawClient.open(server) as client,
    ):
        script = (
            EHLO + AUTH + MAIL + RCPT + RCPT + "BDAT 3\r\nabcBDAT 2 LAST\r\nde" + MAIL + "RSET\r\nXASK x\r\nQUIT\r\n"
        )
        for start in range(0, len(script), piece or len(script)):
            await client.send(script[start : start + (piece or len(script))])
        codes = await client.codes(11)
        assert codes == [
            "250", "235 2.7.0", "250 2.1.0", "250 2.1.5", "250 2.1.5", "250 2.0.0", "250 2.0.0",
            "250 2.1.0", "250 2.0.0", "250 2.0.0", "221 2.0.0",
        ]  # fmt: skip
        await client.closed()
    assert made[0].calls == [
        "connect", "authenticate", "mail", "rcpt", "rcpt", "data", "reset", "mail", "reset", "command", "close",
    ]  # fmt: skip
    message = made[0].messages[0]
    assert message.content == b"abcde"
    assert message.recipients == ("b@server.example",) * 2
    assert message.identity == "user"


async def test_d44_hooks_run_for_a_peer_that_says_nothing() -> None:
    kind, made = recorders()
    async with running(kind) as server, await RawClient.open(server) as client:
        await eventually(lambda: made[0].calls == ["connect"])
        client.finish()
        await client.closed()
    assert made[0].calls == ["connect", "close"]


async def test_a_plain_session_accepts_everything() -> None:
    async with running(Session, extensions=ASKING) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        assert await client.say("x\r\n.\r\n") == ["250 2.0.0"]
        assert await client.say("XASK\r\nRSET\r\n", 2) == ["502 5.5.1", "250 2.0.0"]
        assert await client.say("AUTH PLAIN\r\n") == ["502 5.5.1"]


async def test_replies_of_hooks_are_sent() -> None:
    class Chatty(Recorder):
        async def connect(self) -> Reply | None:
            return ok("ignored: there is a greeting for that")

        async def hello(self, verb: str, name: str) -> Reply | None:
            return reply(250, "2.0.0", f"{verb} {name}")

        async def authenticate(self, identity: Any) -> Reply | None:  # noqa: ANN401
            return reply(235, "2.7.0", "welcome")

        async def mail(self, sender: Any, params: Any) -> Reply | None:  # noqa: ANN401
            return ok("from")

        async def rcpt(self, recipient: Any, params: Any) -> Reply | None:  # noqa: ANN401
            return reply(550, "5.1.1", "a refusal that is returned")

    async with running(Chatty, allow_insecure_auth=True) as server, await RawClient.open(server) as client:
        await client.send("HELO x\r\n" + EHLO + AUTH + MAIL + RCPT)
        replies = [await client.reply() for _ in range(5)]
        assert [each.text for each in replies] == [
            "HELO x", "EHLO client.example", "welcome", "from", "a refusal that is returned",
        ]  # fmt: skip


# What hooks raise ----------------------------------------------------------------------------------------------------


def raising(hook: str, error: BaseException, *, wait: bool) -> type[Recorder]:
    """A session whose `hook` raises."""

    async def fail(self: Recorder, *args: Any) -> Any:  # noqa: ANN401
        if wait:
            await asyncio.sleep(0)
        if hook == "close":
            self.calls.append("close")
        raise error

    return type("Raising", (InPlace,), {hook: fail})


SCRIPTS = {
    "hello": ("", EHLO, 0),
    "authenticate": (EHLO, AUTH, 1),
    "mail": (EHLO, MAIL, 1),
    "rcpt": (EHLO + MAIL, RCPT, 2),
    "data": (OPEN, "x\r\n.\r\n", 4),
    "command": (EHLO, "XASK\r\n", 1),
}


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("hook", sorted(SCRIPTS))
async def test_s07_j12_d22_p09_a_hook_that_raises(hook: str, wait: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "smtpx.server")
    before, script, count = SCRIPTS[hook]
    kind, made = recorders(raising(hook, RuntimeError(SECRET), wait=wait))
    async with (
        running(kind, allow_insecure_auth=True, extensions=ASKING) as server,
        await RawClient.open(server) as client,
    ):
        if before:
            await client.say(before, count)
        await client.send(script)
        answer = await client.reply()
        assert client.code_of(answer) == "451 4.3.0"
        reference = re.fullmatch(r"internal error; reference ([0-9a-f]{8}-1)", answer.text)
        assert reference is not None
        await client.probe()
        assert SECRET.encode() not in client.received
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(records) == 1
    assert f"{hook} raised (reference {reference[1]})" in records[0].getMessage()
    assert records[0].exc_info is not None
    assert SECRET in str(records[0].exc_info[1])
    assert records[0].__dict__["peer"] == "127.0.0.1"
    assert reference[1].startswith(records[0].__dict__["connection"])
    assert made[0].calls[-1] == "close"


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("hook", ["connect", "reset"])
async def test_s07_a_connection_that_can_not_go_on(hook: str, wait: bool, caplog: pytest.LogCaptureFixture) -> None:
    kind, made = recorders(raising(hook, RuntimeError(SECRET), wait=wait))
    async with running(kind) as server, await RawClient.open(server, greeting=False) as client:
        if hook == "reset":
            await client.codes(1)
            await client.say(EHLO, 1)
            await client.send("RSET\r\nNOOP\r\n")
        answer = await client.reply()
        assert client.code_of(answer) == "421 4.3.0"
        assert "reference" in answer.text
        await client.closed()
    assert made[0].calls[-1] == "close"
    assert sum("raised (reference" in line for line in caplog.messages) == 1


@pytest.mark.parametrize("wait", [False, True])
async def test_s07_a_close_that_raises_is_logged(wait: bool, caplog: pytest.LogCaptureFixture) -> None:
    kind, made = recorders(raising("close", RuntimeError(SECRET), wait=wait))
    async with running(kind) as server, await RawClient.open(server) as client:
        assert await client.say("QUIT\r\n") == ["221 2.0.0"]
        await client.closed()
    assert made[0].calls == ["connect", "close"]
    assert sum("close raised (reference" in line for line in caplog.messages) == 1


async def test_a_session_that_can_not_be_made(caplog: pytest.LogCaptureFixture) -> None:
    made = 0

    def make() -> Session:
        nonlocal made
        made += 1
        if made == 2:  # the first one is asked whether it authenticates
            raise RuntimeError(SECRET)
        return Session()

    async with running(make) as server:
        async with await RawClient.open(server, greeting=False) as client:
            assert await client.codes(1) == ["421 4.3.0"]
            await client.closed()
        async with await RawClient.open(server) as client:
            await client.probe()
    assert "can't serve a connection" in caplog.text


@pytest.mark.parametrize(
    ("hook", "wrong"),
    [
        ("mail", lambda self: None),  # a wrong signature
        ("mail", lambda self, sender, params: None),  # no coroutine
        ("rcpt", lambda self, recipient, params: 1 / 0),
    ],
)
async def test_a_hook_that_is_written_wrongly(hook: str, wrong: object, caplog: pytest.LogCaptureFixture) -> None:
    async with running(type("Wrong", (Session,), {hook: wrong})) as server, await RawClient.open(server) as client:
        await client.send(EHLO + ENV)
        assert "451 4.3.0" in await client.codes(3)
        await client.probe()
    assert f"{hook} raised" in caplog.text


@pytest.mark.parametrize("value", [42, "250 ok", {"a": 1}])
async def test_a_hook_that_returns_nonsense(value: object, caplog: pytest.LogCaptureFixture) -> None:
    class Odd(Session):
        async def mail(self, sender: Any, params: Any) -> Any:  # noqa: ANN401
            return value

    async with running(Odd) as server, await RawClient.open(server) as client:
        assert await client.say(EHLO + MAIL, 2) == ["250", "451 4.3.0"]
        await client.probe()
    assert f"mail returned {type(value).__name__}, not a Reply or None" in caplog.text


async def test_a_hook_that_awaits_something_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    class Confused(Session):
        async def mail(self, sender: Any, params: Any) -> Reply | None:  # noqa: ANN401
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future
            return None

    async with running(Confused) as server, await RawClient.open(server) as client:
        assert await client.say(EHLO + MAIL, 2) == ["250", "451 4.3.0"]
        await client.probe()
    assert "mail raised" in caplog.text


@pytest.mark.parametrize("close", [True, False])
async def test_a_refusal_may_close(close: bool) -> None:
    class Angry(Session):
        async def mail(self, sender: Any, params: Any) -> Reply | None:  # noqa: ANN401
            raise Reject(550, "5.7.1", "go away", close=close)

    async with running(Angry) as server, await RawClient.open(server) as client:
        assert await client.say(EHLO + MAIL, 2) == ["250", "550 5.7.1"]
        await (client.closed() if close else client.probe())


async def test_refused_at_connect() -> None:
    class Closed(Recorder):
        async def connect(self) -> Reply | None:
            raise Reject(554, "5.7.1", "not for you")

    kind, made = recorders(Closed)
    async with running(kind) as server, await RawClient.open(server, greeting=False) as client:
        assert await client.codes(1) == ["554 5.7.1"]
        await client.closed()
    assert made[0].calls == ["close"]


# Time ----------------------------------------------------------------------------------------------------------------


class Sleepy(Recorder):
    """Every hook takes too long, and says that it was cancelled."""

    sleeps_in = "mail"

    async def nap(self, hook: str) -> None:
        if hook == self.sleeps_in:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                self.calls.append(f"{hook} cancelled")
                raise

    async def connect(self) -> Reply | None:
        await self.nap("connect")
        return None

    async def mail(self, sender: Any, params: Any) -> Reply | None:  # noqa: ANN401
        await self.nap("mail")
        return None

    async def rcpt(self, recipient: Any, params: Any) -> Reply | None:  # noqa: ANN401
        await self.nap("rcpt")
        return None

    async def data(self, body: Body) -> Any:  # noqa: ANN401
        await body.discard()
        await self.nap("data")

    async def reset(self) -> None:
        await self.nap("reset")

    async def close(self) -> None:
        self.calls.append("close")
        await self.nap("close")


@pytest.mark.parametrize(
    ("hook", "script", "codes"),
    [
        ("mail", EHLO + MAIL, ["250", "451 4.3.0"]),
        ("rcpt", EHLO + ENV, ["250", "250 2.1.0", "451 4.3.0"]),
        ("data", BDAT + "BDAT 1 LAST\r\nx", ["250", "250 2.1.0", "250 2.1.5", "451 4.3.0"]),
        ("data", BDAT + "BDAT 1\r\nxBDAT 0 LAST\r\n", ["250", "250 2.1.0", "250 2.1.5", "250 2.0.0", "451 4.3.0"]),
        ("reset", EHLO + "RSET\r\n", ["250", "421 4.3.0"]),
        ("connect", "", ["421 4.3.0"]),
        ("close", "QUIT\r\n", ["221 2.0.0"]),
    ],
)
async def test_a_hook_that_never_ends_is_cancelled_and_the_next_works(
    hook: str, script: str, codes: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    kind, made = recorders(type("Sleepier", (Sleepy,), {"sleeps_in": hook}))
    async with (
        running(kind, deadlines=Deadlines(handler=0.1, final=0.15)) as server,
        await RawClient.open(server, greeting=hook != "connect") as client,
    ):
        if script:
            await client.send(script)
        assert await client.codes(len(codes)) == codes
        if codes[-1].startswith("451"):
            await client.probe()
        else:
            await client.closed()
    assert made[0].calls == (["close", "close cancelled"] if hook == "close" else [f"{hook} cancelled", "close"])
    assert f"{hook} took too long and was cancelled" in caplog.text


async def test_a_hook_that_ignores_its_cancel_is_cancelled_again() -> None:
    class Stubborn(Recorder):
        async def mail(self, sender: Any, params: Any) -> Reply | None:  # noqa: ANN401
            for _ in range(2):
                try:
                    await asyncio.sleep(10)
                except asyncio.CancelledError:
                    self.calls.append("ignored")
            return None

    kind, made = recorders(Stubborn)
    async with running(kind, deadlines=Deadlines(handler=0.1)) as server, await RawClient.open(server) as client:
        assert await client.say(EHLO + MAIL, 2) == ["250", "250 2.1.0"]
        await client.probe()
    assert made[0].calls == ["connect", "ignored", "ignored", "close"]


async def test_x22_silence_in_the_middle_of_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "smtpx.server")
    async with running(Session, deadlines=Deadlines(command=0.2)) as server, await RawClient.open(server) as client:
        await client.send("HELO")
        assert await client.codes(1) == ["421 4.4.2"]
        await client.closed()
    assert sum("deadline passed in phase hello" in line for line in caplog.messages) == 1


async def test_the_deadline_for_a_command_begins_with_the_reply_before_it() -> None:
    async with running(Waiting, deadlines=Deadlines(command=0.3)) as server, await RawClient.open(server) as client:
        for line in (EHLO, MAIL, RCPT, "NOOP\r\n"):
            await asyncio.sleep(0.2)
            assert (await client.say(line))[0].startswith("250")
        began = asyncio.get_running_loop().time()
        assert await client.codes(1) == ["421 4.4.2"]
        assert 0.25 < asyncio.get_running_loop().time() - began < 1


async def test_a_slow_reader_and_a_slow_hook_at_the_same_time() -> None:
    """Both have their deadline: a handler that answers does not make a connection immortal."""

    class Slowish(Recorder):
        async def mail(self, sender: Any, params: Any) -> Reply | None:  # noqa: ANN401
            await asyncio.sleep(0.1)
            return None

    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]
    kind, made = recorders(Slowish)
    async with (
        running(kind, deadlines=Deadlines(write=0.3), limits=ServerLimits(junk_command_limit=10**9)) as server,
        await RawClient.open(server, sockopts=small) as client,
    ):
        sending = asyncio.create_task(client.send((EHLO * 5000 + MAIL + "RSET\r\n") * 50))
        await eventually(lambda: bool(made) and made[0].calls[-1:] == ["close"])
        await eventually(lambda: server.connections == 0)
        await asyncio.wait([sending])
        sending.exception()


# The end -------------------------------------------------------------------------------------------------------------

PHASES: dict[str, tuple[str, int]] = {
    "greeted": ("", 0),
    "half-a-command": ("NOO", 0),
    "ready": (EHLO, 1),
    "auth": (EHLO + "AUTH LOGIN\r\n", 2),
    "sender": (EHLO + MAIL, 2),
    "recipients": (EHLO + ENV, 3),
    "body": (OPEN, 4),
    "chunks": (BDAT + "BDAT 1\r\nx", 4),
    "in-a-chunk": (BDAT + "BDAT 10\r\nx", 3),
    "starttls": (EHLO + "STARTTLS\r\n", 2),
}


@WAYS
@pytest.mark.parametrize("phase", sorted(PHASES))
@pytest.mark.parametrize("kind", [InPlace, Waiting])
async def test_a_client_that_vanishes_and_the_next_one(kind: type[Recorder], phase: str, vanish: Vanish) -> None:
    session, made = recorders(kind)
    options: dict[str, Any] = {"tls": fresh_server_tls(), "allow_insecure_auth": True}
    async with running(session, **options) as server:
        async with await RawClient.open(server) as client:
            script, count = PHASES[phase]
            if script:
                await client.say(script, count)
            await asyncio.sleep(0.005)
            vanish(client)
            await eventually(lambda: server.connections == 0)
            if vanish is RawClient.finish:
                await client.closed()
        async with await RawClient.open(server) as client:
            await client.say(OPEN, 4)
            assert await client.say("x\r\n.\r\n") == ["250 2.0.0"]
    assert made[0].messages == []
    assert [each.calls.count("close") for each in made] == [1, 1]
    assert made[0].calls[-1] == "close"


@pytest.mark.parametrize("hook", ["connect", "hello", "mail", "rcpt", "data", "reset", "close"])
@WAYS
async def test_a_client_that_vanishes_while_a_hook_waits(hook: str, vanish: Vanish) -> None:
    entered = asyncio.Event()

    async def wait(self: Recorder, *args: Any) -> None:  # noqa: ANN401
        entered.set()
        await asyncio.sleep(0.05)
        self.calls.append(hook)

    kind, made = recorders(type("Slow", (InPlace,), {hook: wait}))
    script = OPEN.replace("DATA\r\n", "BDAT 1 LAST\r\nx") + "QUIT\r\n"
    async with running(kind) as server, await RawClient.open(server, greeting=False) as client:
        await client.send(script)
        await entered.wait()
        vanish(client)
        await eventually(lambda: server.connections == 0)
    assert hook in made[0].calls
    assert made[0].calls[-1] == "close"
    assert made[0].calls.count("close") == 1


@pytest.mark.parametrize("kind", [InPlace, Waiting])
@pytest.mark.parametrize("tls", [False, True])
async def test_all_replies_reach_a_client_that_has_ended_its_side(kind: type[Recorder], tls: bool) -> None:
    session, made = recorders(kind)
    async with running(session, tls=fresh_server_tls()) as server, await RawClient.open(server) as client:
        if tls:
            await client.say(EHLO + "STARTTLS\r\n", 2)
            await client.start_tls()
        await client.send(BDAT + "BDAT 3 LAST\r\nabc" + "NOOP\r\n" * 50)
        client.finish()
        assert len(await client.codes(54)) == 54
        await client.closed()
    assert [message.content for message in made[0].messages] == [b"abc"]


async def test_a_tls_client_cut_off_without_a_word() -> None:
    kind, made = recorders(Waiting)
    async with running(kind, tls=fresh_server_tls()) as server, await RawClient.open(server) as client:
        await client.say(EHLO + "STARTTLS\r\n", 2)
        await client.start_tls()
        await client.say(OPEN, 4)
        await client.send("x\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        while await client.receive():
            pass
        await eventually(lambda: server.connections == 0)
    assert made[0].messages == []


async def test_the_last_reply_is_not_destroyed_by_input_that_nobody_reads() -> None:
    """A close with input unread sends an RST, and the peer's system forgets what it has received."""
    async with running(Session) as server:
        for _ in range(20):
            async with await RawClient.open(server) as client:
                await client.send("QUIT\r\n" + "NOOP\r\n" * 20_000)
                assert await client.codes(1) == ["221 2.0.0"]


async def test_a_client_that_does_not_close_is_not_waited_for() -> None:
    deadlines = Deadlines(close=0.3)
    async with running(Session, deadlines=deadlines) as server, await RawClient.open(server) as client:
        assert await client.say("QUIT\r\n") == ["221 2.0.0"]
        await client.closed()
        assert server.connections == 1
        await eventually(lambda: server.connections == 0)


async def test_a_full_server_does_not_linger() -> None:
    async with (
        running(Session, limits=ServerLimits(max_connections=1)) as server,
        await RawClient.open(server) as client,
    ):
        assert await client.say("QUIT\r\n") == ["221 2.0.0"]
        await eventually(lambda: server.connections == 0, 1.0)


async def test_octets_behind_the_end_are_not_read() -> None:
    kind, made = recorders()
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.say("QUIT\r\n")
        await client.send(EHLO + MAIL)
        await asyncio.sleep(0.05)
        client.finish()
        await client.closed()
    assert made[0].calls == ["connect", "close"]


# Draining and closing ------------------------------------------------------------------------------------------------


async def test_s37_d39_an_idle_connection_is_told_and_both_calls_return() -> None:
    async with running(Session) as server, await RawClient.open(server) as client:
        draining = asyncio.create_task(server.drain(5))
        assert await client.codes(1) == ["421 4.3.2"]
        await client.closed()
        client.sock.close()
        await draining
        await server.drain(5)
        await server.close()


async def test_drain_before_the_greeting() -> None:
    async with (
        running(Session, greeting_delay=0.1) as server,
        await RawClient.open(server, greeting=False) as client,
    ):
        await eventually(lambda: server.connections == 1)
        draining = asyncio.create_task(server.drain(5))
        assert (await client.codes(2))[-1] == "421 4.3.2"
        client.sock.close()
        await draining


async def test_drain_in_an_envelope_lets_it_become_a_message() -> None:
    kind, made = recorders()
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.say(EHLO + MAIL, 2)
        draining = asyncio.create_task(server.drain(5))
        await client.silence(0.05)
        assert await client.say(RCPT + "DATA\r\n", 2) == ["250 2.1.5", "354"]
        await client.send("x\r\n.\r\n")
        assert await client.codes(2) == ["250 2.0.0", "421 4.3.2"]
        client.sock.close()
        await draining
    assert len(made[0].messages) == 1


@pytest.mark.parametrize("waits_in_hook", [False, True])
async def test_drain_in_an_envelope_that_becomes_nothing(waits_in_hook: bool) -> None:
    entered = asyncio.Event()

    class Slow(Recorder):
        async def mail(self, sender: Any, params: Any) -> Reply | None:  # noqa: ANN401
            entered.set()
            await asyncio.sleep(0.1 if waits_in_hook else 0)
            return None

    async with (
        running(Slow, deadlines=Deadlines(drain_envelope=0.2)) as server,
        await RawClient.open(server) as client,
    ):
        await client.send(EHLO + MAIL)
        await entered.wait()
        began = asyncio.get_running_loop().time()
        draining = asyncio.create_task(server.drain(5))
        assert await client.codes(3) == ["250", "250 2.1.0", "421 4.3.2"]
        assert 0.15 < asyncio.get_running_loop().time() - began < 1
        client.sock.close()
        await draining


@pytest.mark.parametrize("kind", [InPlace, Waiting])
async def test_drain_in_a_body_gives_its_real_verdict(kind: type[Recorder]) -> None:
    session, made = recorders(kind)
    async with (
        running(session, deadlines=Deadlines(drain_envelope=0.05)) as server,
        await RawClient.open(server) as client,
    ):
        await client.say(OPEN, 4)
        draining = asyncio.create_task(server.drain(5))
        await asyncio.sleep(0.1)
        await client.send("x\r\n.\r\n")
        assert await client.codes(2) == ["250 2.0.0", "421 4.3.2"]
        client.sock.close()
        await draining
    assert len(made[0].messages) == 1


async def test_drain_between_chunks() -> None:
    kind, made = recorders()
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.say(BDAT + "BDAT 1\r\nx", 4)
        draining = asyncio.create_task(server.drain(5))
        await client.silence(0.05)
        await client.send("BDAT 1 LAST\r\ny")
        assert await client.codes(2) == ["250 2.0.0", "421 4.3.2"]
        client.sock.close()
        await draining
    assert made[0].messages[0].content == b"xy"


async def test_drain_in_an_auth_exchange() -> None:
    kind, made = recorders()
    async with running(kind, allow_insecure_auth=True) as server, await RawClient.open(server) as client:
        await client.say(EHLO + "AUTH LOGIN\r\n", 2)
        draining = asyncio.create_task(server.drain(5))
        assert await client.codes(1) == ["421 4.3.2"]
        await client.closed()
        client.sock.close()
        await draining
    assert "authenticate" not in made[0].calls


@pytest.mark.parametrize("implicit", [True, False])
async def test_drain_in_a_handshake(implicit: bool) -> None:
    options: dict[str, Any] = {"tls": fresh_server_tls(), "implicit_tls": implicit}
    async with running(Recorder, **options) as server, await RawClient.open(server, greeting=not implicit) as client:
        if implicit:
            await eventually(lambda: server.connections == 1)
            draining = asyncio.create_task(server.drain(5))
            await client.closed()
            assert client.received == b""
        else:
            await client.say(EHLO + "STARTTLS\r\n", 2)
            draining = asyncio.create_task(server.drain(5))
            await asyncio.sleep(0.02)
            await client.start_tls()
            assert await client.codes(1) == ["421 4.3.2"]
        client.sock.close()
        await draining


async def test_drain_does_not_wait_for_a_handshake_for_ever() -> None:
    """It has the time of an envelope; then nothing is said in clear to who waits for TLS."""
    options: dict[str, Any] = {"tls": fresh_server_tls(), "deadlines": Deadlines(drain_envelope=0.1)}
    async with running(Recorder, **options) as server, await RawClient.open(server) as client:
        await client.say(EHLO + "STARTTLS\r\n", 2)
        await client.send(b"\x16\x03\x01")
        draining = asyncio.create_task(server.drain(60))
        await client.closed()
        client.sock.close()
        await draining


async def test_drain_gives_up_at_its_deadline() -> None:
    kind, made = recorders()
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        await server.drain(0.1)
        assert await client.codes(1) == ["421 4.3.2"]
        await client.closed()
    assert made[0].messages == []
    assert made[0].calls[-1] == "close"


async def test_no_connection_is_accepted_any_more() -> None:
    async with running(Session) as server, await RawClient.open(server) as client:
        port = server.port
        await client.say(EHLO + MAIL, 2)
        draining = asyncio.create_task(server.drain(5))
        await client.silence(0.02)
        with pytest.raises(ConnectionRefusedError):
            await RawClient.open(port)
        client.sock.close()
        await draining


async def test_d40_close_cancels_data_first_then_closes_the_session_once() -> None:
    class Slow(Recorder):
        async def data(self, body: Body) -> Any:  # noqa: ANN401
            await body.discard()
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                await asyncio.sleep(0.01)
                self.calls.append("cancelled")
                raise

    kind, made = recorders(Slow)
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        await client.send("x\r\n.\r\n")
        await asyncio.sleep(0.02)
        began = asyncio.get_running_loop().time()
        await server.close()
        assert asyncio.get_running_loop().time() - began < 1
        assert made[0].calls[-2:] == ["cancelled", "close"]
        assert await client.codes(1) == ["421 4.3.2"]
        await client.closed()
    assert made[0].calls.count("close") == 1


async def test_close_while_data_reads_a_body() -> None:
    seen: list[BaseException] = []

    class Streaming(Recorder):
        async def data(self, body: Body) -> Any:  # noqa: ANN401
            try:
                await body.discard()
            except BaseException as error:
                seen.append(error)
                raise

    kind, made = recorders(Streaming)
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        await client.send(b"x" * 100_000)
        await asyncio.sleep(0.05)
        await server.close()
        assert await client.codes(1) == ["421 4.3.2"]
    assert isinstance(seen[0], asyncio.CancelledError)
    assert made[0].calls[-1] == "close"


async def test_a_verdict_that_beats_the_cancel_is_told() -> None:
    class Stubborn(Recorder):
        async def data(self, body: Body) -> Any:  # noqa: ANN401
            content = await body.read()
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                self.keep(content)
            return ok("kept all the same")

    kind, made = recorders(Stubborn)
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        await client.send("x\r\n.\r\n")
        await asyncio.sleep(0.02)
        await server.close()
        assert await client.codes(2) == ["250 2.0.0", "421 4.3.2"]
    assert len(made[0].messages) == 1


async def test_close_while_a_hook_ignores_cancellation(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("smtpx.server.listener._CLOSE_SECONDS", 0.1)
    over = asyncio.Event()

    class Immortal(Recorder):
        async def mail(self, sender: Any, params: Any) -> Reply | None:  # noqa: ANN401
            while not over.is_set():
                try:
                    await over.wait()
                except asyncio.CancelledError:
                    self.calls.append("ignored")
            return None

    kind, made = recorders(Immortal)
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.send(EHLO + MAIL)
        await client.codes(1)
        await asyncio.sleep(0.02)
        began = asyncio.get_running_loop().time()
        await server.close()
        assert asyncio.get_running_loop().time() - began < 1
        assert server.connections == 0
        assert await client.receive() == b""
        over.set()
    assert made[0].calls == ["connect", "ignored", "ignored", "close"]
    assert "is abandoned" in caplog.text


async def test_close_while_the_session_closes() -> None:
    class Slow(Recorder):
        async def close(self) -> None:
            await asyncio.sleep(0.05)
            await super().close()

    kind, made = recorders(Slow)
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.say("QUIT\r\n")
        await server.close()
    assert made[0].calls == ["connect", "close"]


async def test_close_while_a_connection_lingers() -> None:
    async with running(Session) as server, await RawClient.open(server) as client:
        await client.say("QUIT\r\n")
        await asyncio.sleep(0.02)
        began = asyncio.get_running_loop().time()
        await server.close()
        assert asyncio.get_running_loop().time() - began < 0.5


@pytest.mark.parametrize("what", ["pause", "greeting", "unread", "tls"])
async def test_close_in_odd_moments(what: str) -> None:
    limits = ServerLimits(soft_error_limit=0, error_delay_seconds=10, junk_command_limit=10**9)
    options: dict[str, Any] = {"limits": limits, "greeting_delay": 10 if what == "greeting" else 0}
    if what == "tls":
        options |= {"tls": fresh_server_tls(), "implicit_tls": True}
    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]
    kind, made = recorders()
    async with (
        running(kind, **options) as server,
        await RawClient.open(server, greeting=what in ("pause", "unread"), sockopts=small) as client,
    ):
        await eventually(lambda: server.connections == 1)
        if what == "pause":
            await client.send("XYZZY\r\n")
        sending = None
        if what == "unread":
            sending = asyncio.create_task(client.send(EHLO * 50_000))
            await eventually(lambda: next(iter(server._connections)).is_paused)
        await asyncio.sleep(0.02)
        began = asyncio.get_running_loop().time()
        await server.close()
        assert asyncio.get_running_loop().time() - began < 3
        if what == "greeting":
            assert await client.codes(1) == ["421 4.3.2"]
        if sending is not None:
            await asyncio.wait([sending])
            sending.exception()
    assert made[0].calls[-1] == "close"


@pytest.mark.parametrize("how", ["close", "drain"])
@pytest.mark.parametrize("hook", ["connect", "mail", "data", "close"])
async def test_a_hook_that_stops_the_server(how: str, hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smtpx.server.listener._CLOSE_SECONDS", 0.2)  # `close` waits for itself
    stopped: list[str] = []

    async def stop(self: Recorder, *args: Any) -> None:  # noqa: ANN401
        stopped.append(how)
        if how == "close":
            await server.close()
        else:
            await server.drain(0.1)

    kind, _ = recorders(type("Suicidal", (InPlace,), {hook: stop}))
    async with running(kind) as server, await RawClient.open(server, greeting=False) as client:
        await client.send(BDAT + "BDAT 1 LAST\r\nxQUIT\r\n")
        async with asyncio.timeout(5):
            await server.serve_forever()
            while await client.receive():
                pass
    assert stopped == [how]


# Messages ------------------------------------------------------------------------------------------------------------


async def test_s31_a_transfer_that_is_lost_raises_in_data() -> None:
    causes: list[AbortCause] = []

    class Curious(Recorder):
        async def data(self, body: Body) -> Any:  # noqa: ANN401
            try:
                await body.read()
            except TransferAborted as error:
                causes.append(error.cause)
                raise

    async with running(Curious, deadlines=Deadlines(data=0.2)) as server:
        for script, count in (
            ("BDAT 8\r\n01234", 0),
            ("BDAT 1\r\nxRSET\r\n", 2),
            ("BDAT 1\r\nx" + EHLO, 2),
            ("BDAT 1\r\nxQUIT\r\n", 2),
            ("BDAT 3 LAST\r\na\nb", 1),
        ):
            async with await RawClient.open(server) as client:
                await client.say(BDAT, 3)
                await client.send(script)
                await client.codes(count)
                if not count:
                    client.finish()
                    await client.closed()
        async with await RawClient.open(server) as client:
            await client.say(BDAT, 3)
            await client.send("BDAT 1\r\nx")
            assert await client.codes(2) == ["250 2.0.0", "421 4.4.2"]
    kinds = AbortCause
    assert causes == [kinds.LOST, kinds.RESET, kinds.HELLO, kinds.QUIT, kinds.REFUSED, kinds.DEADLINE]


async def test_s32_s33_a_refusal_comes_with_the_chunk_it_is_about(caplog: pytest.LogCaptureFixture) -> None:
    class Choosy(Recorder):
        async def data(self, body: Body) -> Any:  # noqa: ANN401
            if await body.read(5) == b"01234":
                raise Reject(555, "5.0.0", "inside")
            return reply(554, "5.6.0", "returned")

    async with running(Choosy) as server, await RawClient.open(server) as client:
        await client.say(BDAT, 3)
        assert await client.say("BDAT 8\r\n01234567NOOP\r\n", 2) == ["555 5.0.0", "250 2.0.0"]
        assert await client.say(ENV + "BDAT 8\r\nabcdefgh", 3) == ["250 2.1.0", "250 2.1.5", "554 5.6.0"]
        assert await client.say("BDAT 1 LAST\r\nx") == ["503 5.5.1"]
        assert await client.say(ENV + "BDAT 8 LAST\r\n01234567", 3) == ["250 2.1.0", "250 2.1.5", "555 5.0.0"]
        await client.probe()
    assert caplog.messages == []


async def test_an_error_inside_a_chunk_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    kind = raising("data", RuntimeError(SECRET), wait=True)
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.say(BDAT, 3)
        assert await client.say("BDAT 1\r\nx") == ["451 4.3.0"]
        await client.probe()
    assert sum("raised" in line for line in caplog.messages) == 1


async def test_an_error_behind_an_aborted_transfer_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Clumsy(Recorder):
        async def data(self, body: Body) -> Any:  # noqa: ANN401
            try:
                await body.read()
            except TransferAborted:
                raise RuntimeError(SECRET) from None

    async with running(Clumsy) as server, await RawClient.open(server) as client:
        await client.say(BDAT, 3)
        assert await client.say("BDAT 1\r\nxRSET\r\n", 2) == ["250 2.0.0", "250 2.0.0"]
        await client.probe()
    assert "data raised" in caplog.text


async def test_s34_chunks_that_are_too_long() -> None:
    kind, made = recorders()
    async with (
        running(kind, limits=ServerLimits(max_message_bytes=50)) as server,
        await RawClient.open(server) as client,
    ):
        await client.say(BDAT, 3)
        assert await client.say(f"BDAT 30\r\n{'x' * 30}BDAT 96 LAST\r\n{'x' * 96}", 2) == ["250 2.0.0", "552 5.3.4"]
        await client.probe()
    assert made[0].messages == []


async def test_s36_a_command_that_is_too_long() -> None:
    async with running(Session) as server, await RawClient.open(server) as client:
        await client.say(EHLO, 1)
        assert await client.say(f"MAIL FROM:<{'a' * 2048}>\r\nNOOP\r\n", 2) == ["500 5.5.2", "250 2.0.0"]


async def test_x17_a_message_is_complete_with_its_last_octet() -> None:
    kind, made = recorders()
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        assert await client.say(".\r\n") == ["250 2.0.0"]
        assert made[0].messages[0].content == b""


class Peeking(Recorder):
    """Waits in `data` while other questions are asked."""

    async def hello(self, verb: str, name: str) -> Reply | None:
        self.calls.append("hello")
        await asyncio.sleep(0.001)
        if name == "bad":
            raise Reject(550, "5.7.1", "no")
        return None

    async def command(self, verb: str, argument: str | None) -> Reply | None:
        self.calls.append("command")
        if argument == "never":
            await asyncio.sleep(10)
        await asyncio.sleep(0.001)
        return ok("asked")


async def test_questions_between_two_chunks_do_not_disturb_data() -> None:
    kind, made = recorders(Peeking)
    async with (
        running(kind, extensions=ASKING, deadlines=Deadlines(handler=0.1)) as server,
        await RawClient.open(server) as client,
    ):
        await client.say(BDAT, 3)
        assert await client.say("BDAT 1\r\naXASK x\r\n", 2) == ["250 2.0.0", "250 2.0.0"]
        assert await client.say("EHLO bad\r\n") == ["550 5.7.1"]
        assert await client.say("XASK never\r\n") == ["451 4.3.0"]  # that one is cancelled, not data
        assert await client.say("BDAT 1 LAST\r\nb") == ["250 2.0.0"]
        assert [message.content for message in made[0].messages] == [b"ab"]
        assert await client.say(ENV + "BDAT 1\r\naXASK x\r\n", 4)
        client.finish()
        await client.closed()
    assert made[0].calls[-1] == "close"


@pytest.mark.parametrize("dialect", ["smtp", "lmtp"])
async def test_p08_verdicts_by_recipient(dialect: str) -> None:
    class Picky(Recorder):
        async def data(self, body: Body) -> Any:  # noqa: ANN401
            await body.discard()
            return {"a@x.example": ok("a"), "b@x.example": reply(452, "4.2.2", "full"), "c@x.example": None}

    options: dict[str, Any] = {"dialect": LMTP} if dialect == "lmtp" else {}
    hello = "LHLO c\r\n" if dialect == "lmtp" else EHLO
    async with running(Picky, **options) as server, await RawClient.open(server) as client:
        await client.say(hello + MAIL, 2)
        to = "".join(f"RCPT TO:<{name}@x.example>\r\n" for name in "abcda")
        assert await client.say(to + "DATA\r\n", 6) == ["250 2.1.5"] * 5 + ["354"]
        if dialect == "lmtp":
            codes = await client.say("x\r\n.\r\n", 5)
            assert codes == ["250 2.0.0", "452 4.2.2", "250 2.0.0", "451 4.3.0", "250 2.0.0"]
        else:  # one reply for all: rather a message twice than one lost
            assert await client.say("x\r\n.\r\n") == ["452 4.2.2"]
        await client.probe()


async def test_a_session_that_does_not_read_its_message() -> None:
    class Lazy(Recorder):
        async def data(self, body: Body) -> Any:  # noqa: ANN401
            assert body.size
            return ok("never mind")

    async with running(Lazy) as server, await RawClient.open(server) as client:
        for size in (10, 500_000):
            await client.say(EHLO + ENV + "DATA\r\n", 4)
            assert await client.say("x" * size + "\r\n.\r\n") == ["250 2.0.0"]
        await client.say(BDAT, 3)
        assert await client.say("BDAT 1\r\nxBDAT 1 LAST\r\nx", 2) == ["250 2.0.0"] * 2


# Back pressure and memory --------------------------------------------------------------------------------------------


async def test_a_session_that_is_slower_than_its_peer() -> None:
    most: list[int] = []

    class Slow(Recorder):
        async def data(self, body: Body) -> Any:  # noqa: ANN401
            total = 0
            async for piece in body:
                connection = next(iter(server._connections))
                most.append(body.buffered_bytes + connection._core.unread_bytes)
                total += len(piece)
                await asyncio.sleep(0.002)
            return ok(f"{total} octets")

    async with running(Slow) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        await client.send(b"\r\n" + b"x" * 8_000_000)
        await client.send("\r\n.\r\n")
        assert (await client.reply()).text == "8000004 octets"
        await client.probe()
    assert max(most) < MIB


async def test_a_session_that_refuses_in_the_middle_of_a_long_body() -> None:
    """The deadline for content runs again behind it, and the rest is only read."""

    class Early(Recorder):
        async def data(self, body: Body) -> Any:  # noqa: ANN401
            await body.read(10)
            await asyncio.sleep(0.05)
            raise Reject.content_refused()

    async with running(Early, deadlines=Deadlines(data=0.3)) as server:
        async with await RawClient.open(server) as client:
            await client.say(OPEN, 4)
            await client.send(b"\r\n" + b"x" * 2_000_000)
            assert await client.say("\r\n.\r\n") == ["550 5.6.0"]
            await client.probe()
        async with await RawClient.open(server) as client:
            await client.say(OPEN, 4)
            await client.send(b"\r\n" + b"x" * 2_000_000)
            assert await client.codes(1) == ["421 4.4.2"]
            await client.closed()


async def test_input_behind_a_hook_that_waits_is_bounded() -> None:
    release = asyncio.Event()

    class Held(Recorder):
        async def mail(self, sender: Any, params: Any) -> Reply | None:  # noqa: ANN401
            await release.wait()
            return None

    async with running(Held, limits=FAST) as server, await RawClient.open(server) as client:
        sending = asyncio.create_task(client.send(EHLO + MAIL + "RCPT TO:<b@server.example>\r\n" * 200_000))
        await client.codes(1)
        connection = next(iter(server._connections))
        await eventually(lambda: not connection.transport.is_reading())
        assert connection._core.unread_bytes < 512 * 1024
        release.set()
        counted = await client.codes(1 + 1000 + 100 + 19)
        assert counted.count("250 2.1.5") == 1000
        sending.cancel()
        await asyncio.wait([sending])


@pytest.mark.slow
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_of_200_mb_in_flat_memory(chunked: bool) -> None:
    class Counting(Recorder):
        async def data(self, body: Body) -> Any:  # noqa: ANN401
            return ok(str(await body.discard()))

    unlimited = ServerLimits(max_message_bytes=None)
    async with running(Counting, limits=unlimited) as server, await RawClient.open(server) as client:
        await client.say(BDAT if chunked else OPEN, 3 if chunked else 4)
        piece = (b"\r\n" + b"x" * 1022) * 1024
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        answer = ok()
        for number in range(200):
            last = b" LAST" if number == 199 else b""
            await client.send(b"BDAT %d%s\r\n%s" % (len(piece), last, piece) if chunked else piece)
            if chunked:
                answer = await client.reply()
                assert answer.code == 250
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        if not chunked:
            await client.send("\r\n.\r\n")
            answer = await client.reply()
        assert answer.text == str(200 * len(piece) + (0 if chunked else 2))
        assert peak - before < 16 * MIB  # the client's own pieces among them


def hostile(turn: int) -> tuple[str, str]:
    """What the n-th of many hostile connections says: an opening, and then something that never ends."""
    kinds = [
        ("", "MAIL FROM:<" + "a" * 2000),
        (EHLO + "AUTH LOGIN\r\n", "A" * 12_000),
        (EHLO + MAIL + "".join(f"RCPT TO:<user{i}@server.example>\r\n" for i in range(999)), "RCPT"),
        (OPEN, "x" * 255 * 1024),
        ("", EHLO * 500),  # more than 64 KiB of replies that nobody reads
    ]
    return kinds[turn % len(kinds)]


@pytest.mark.slow
async def test_200_hostile_connections_in_bounded_memory() -> None:
    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]
    kind, made = recorders(InPlace)
    limits = ServerLimits(max_connections=1000, junk_command_limit=10**6)
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # else the system keeps what nobody reads
    listeners = [Listener(sock=listening)]
    async with running(kind, listeners=listeners, limits=limits, allow_insecure_auth=True) as server:
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        clients = [await RawClient.open(server, sockopts=small) for _ in range(200)]
        for turn, client in enumerate(clients):
            opening, rest = hostile(turn)
            if opening:
                await client.say(opening, opening.count("\r\n"))
            await client.send(rest)
        await asyncio.sleep(0.5)
        for client in clients:
            client.received = b""
        now, _ = tracemalloc.get_traced_memory()
        assert (now - before) / 200 < MIB
        assert now - before > 8 * MIB  # they do hold something
        unsent = [each.transport.get_write_buffer_size() for each in server._connections]
        assert sum(size > limits.max_unsent_bytes // 2 for size in unsent) == 40
        for client in clients:
            client.reset()
        await eventually(lambda: server.connections == 0, 10)
        clients.clear()
        made.clear()
        await asyncio.sleep(0.05)
        uncollected, _ = tracemalloc.get_traced_memory()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert uncollected - before < 8 * MIB  # no message waits for the garbage collector
        assert after - before < (now - before) * 0.05
        async with await RawClient.open(server) as client:
            await client.probe()


# Kinds of sockets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("implicit", [True, False])
async def test_p02_auth_under_tls(implicit: bool) -> None:
    kind, made = recorders()
    options: dict[str, Any] = {"tls": fresh_server_tls(), "implicit_tls": implicit}
    async with running(kind, **options) as server, await RawClient.open(server, greeting=not implicit) as client:
        if implicit:
            await client.start_tls()
            assert await client.codes(1) == ["220"]
        else:
            await client.say(EHLO + "STARTTLS\r\n", 2)
            await client.start_tls()
        await client.send(EHLO)
        assert "AUTH PLAIN LOGIN" in (await client.reply()).lines
        assert await client.say("auth login dXNlcg==\r\nc2VjcmV0\r\n", 2) == ["334", "235 2.7.0"]  # P04
        await client.say(ENV + "DATA\r\n", 3)
        assert await client.say("x\r\n.\r\n") == ["250 2.0.0"]
        assert await client.say("QUIT\r\n") == ["221 2.0.0"]
        await client.closed()
    assert made[0].messages[0].identity == "user"
    assert made[0].messages[0].tls


@pytest.mark.parametrize("implicit", [True, False])
async def test_d35_a_handshake_that_fails_is_answered_with_nothing_in_clear(
    implicit: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "smtpx.server")
    options: dict[str, Any] = {"tls": fresh_server_tls(), "implicit_tls": implicit}
    async with running(Recorder, **options) as server, await RawClient.open(server, greeting=not implicit) as client:
        if not implicit:
            await client.say(EHLO + "STARTTLS\r\n", 2)
        seen = len(client.received)
        await client.send_raw(b"NOOP\r\nNOOP\r\nthis is not TLS\r\n")
        while await client.receive():
            pass
        assert client.received[seen : seen + 1] in (b"", b"\x15")
        await eventually(lambda: server.connections == 0)
    assert "TLS handshake failed" in caplog.text


@pytest.mark.parametrize("implicit", [True, False])
@WAYS
async def test_gone_in_the_handshake(implicit: bool, vanish: Vanish) -> None:
    kind, made = recorders()
    options: dict[str, Any] = {"tls": fresh_server_tls(), "implicit_tls": implicit}
    async with running(kind, **options) as server:
        async with await RawClient.open(server, greeting=not implicit) as client:
            if not implicit:
                await client.say(EHLO + "STARTTLS\r\n", 2)
            await client.send_raw(b"\x16\x03\x01")
            await asyncio.sleep(0.02)
            vanish(client)
            await eventually(lambda: server.connections == 0)
        async with await RawClient.open(server, greeting=False) as client:
            if implicit:
                await client.start_tls()
            assert await client.codes(1) == ["220"]
    assert [session.calls.count("close") for session in made] == [1, 1]


async def test_damaged_tls_records() -> None:
    async with running(Recorder, tls=fresh_server_tls()) as server, await RawClient.open(server) as client:
        await client.say(EHLO + "STARTTLS\r\n", 2)
        await client.start_tls()
        await client.say(EHLO, 1)
        await client.send_raw(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        await client.receive()
        await eventually(lambda: server.connections == 0)


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    kind, made = recorders()
    async with running(kind, unix=path) as server, await RawClient.open(path) as client:
        await client.say(OPEN, 4)
        assert await client.say("x\r\n.\r\n") == ["250 2.0.0"]
        assert server.connections == 1
    assert made[0].peer.is_local


# Rare moments --------------------------------------------------------------------------------------------------------


def connection_of(server: Server) -> Connection:
    """The only one."""
    (connection,) = server._connections
    return connection


def narrow(server: Server) -> None:
    """Make the system keep little of what is written."""
    sock = connection_of(server).transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


async def read_slowly(client: RawClient, piece: int, pause: float) -> bytes:
    """Everything up to the end, piece by piece."""
    received = b""
    while octets := await asyncio.get_running_loop().sock_recv(client.sock, piece):
        received += octets
        await asyncio.sleep(pause)
    return received


@pytest.mark.parametrize("kind", [InPlace, Waiting])
async def test_a_slow_reader_is_served_to_the_end(kind: type[Recorder]) -> None:
    session, made = recorders(kind)
    limits = ServerLimits(junk_command_limit=10**9, max_unsent_bytes=32768)
    async with (
        running(session, limits=limits, deadlines=Deadlines(write=0.5, command=0.1, close=0.5)) as server,
        await RawClient.open(server, sockopts=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]) as client,
    ):
        narrow(server)
        sending = asyncio.create_task(client.send(EHLO * 1200 + "QUIT\r\n"))
        received = await read_slowly(client, 4096, 0.01)
        await sending
        assert received.count(b"250-server.example") == 1200
        assert received.endswith(b"221 2.0.0 bye\r\n")
    assert made[0].calls[-1] == "close"


@pytest.mark.parametrize("script", [EHLO * 1000, EHLO * 150 + "QUIT\r\n"], ids=["going on", "at the end"])
async def test_a_reader_that_stops_is_left(script: str) -> None:
    kind, made = recorders()
    limits = ServerLimits(junk_command_limit=10**9)
    async with (
        running(kind, limits=limits, deadlines=Deadlines(write=0.1, close=0.1)) as server,
        await RawClient.open(server, sockopts=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]) as client,
    ):
        narrow(server)
        sending = asyncio.create_task(client.send(script))
        await eventually(lambda: server.connections == 0)
        await asyncio.wait([sending])
        sending.exception()
    assert made[0].calls == ["connect", "close"]


async def test_early_talk_and_a_handshake_that_never_ends() -> None:
    options: dict[str, Any] = {"tls": fresh_server_tls(), "greeting_delay": 0.05}
    async with running(Session, deadlines=Deadlines(tls_handshake=0.1), **options) as server:
        async with await RawClient.open(server, greeting=False) as client:
            await client.send(EHLO)
            assert await client.codes(1) == ["554 5.5.0"]
            await client.closed()
        async with await RawClient.open(server) as client:
            await client.say(EHLO + "STARTTLS\r\n", 2)
            await client.send_raw(b"\x16")
            await client.closed()


async def test_an_auth_response_octet_by_octet() -> None:
    async with (
        running(Recorder, allow_insecure_auth=True, deadlines=Deadlines(auth_step=0.2)) as server,
        await RawClient.open(server) as client,
    ):
        await client.say(EHLO + "AUTH LOGIN\r\n", 2)
        for octet in "dXNl":
            await client.send(octet)
            await asyncio.sleep(0.02)
        assert await client.codes(1) == ["421 4.4.2"]


async def test_a_hook_in_place_that_drains_its_own_connection() -> None:
    class Last(Recorder):
        async def data(self, body: Body) -> Any:  # noqa: ANN401
            connection_of(server).drain()
            connection_of(server).drain()
            return ok("the last one")

    async with running(Last) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        assert await client.say("x\r\n.\r\n", 2) == ["250 2.0.0", "421 4.3.2"]


async def test_a_tls_layer_that_breaks_when_it_is_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    kind, made = recorders()
    async with running(kind, tls=fresh_server_tls()) as server, await RawClient.open(server) as client:
        await client.say(EHLO + "STARTTLS\r\n", 2)
        await client.start_tls()
        await client.say(EHLO)

        def broken(data: bytes) -> None:
            raise TLSError("broken")

        monkeypatch.setattr(connection_of(server).tls_layer, "send", broken)
        await client.send("QUIT\r\n")
        while await client.receive():
            pass
        await eventually(lambda: server.connections == 0)
    assert made[0].calls == ["connect", "close"]


async def test_octets_that_came_ahead_of_the_connection() -> None:
    """Behind a PROXY header, in one piece with it."""
    kind, made = recorders()
    async with (
        running(kind, proxy_protocol=True) as server,
        await RawClient.open(server, greeting=False) as client,
    ):
        assert await client.say(f"PROXY UNKNOWN\r\n{EHLO}QUIT\r\n", 3) == ["220", "250", "221 2.0.0"]
        await eventually(lambda: made[0].calls == ["connect", "close"])


async def test_writing_goes_on_that_never_stopped() -> None:
    """A transport that says so without need does no harm."""
    async with running(Session) as server, await RawClient.open(server) as client:
        connection_of(server).resume_writing()
        await client.probe()


# Limits (more in test_server_limits.py) -----------------------------------------------------------------------------


async def test_h094_a_connection_counts_for_whom_it_speaks_for() -> None:
    options: dict[str, Any] = {
        "extensions": (*STANDARD, XClient(["127.0.0.0/8"])),
        "limits": ServerLimits(max_connections_per_ip=DefaultCap(1)),
    }
    async with (
        running(Recorder, **options) as server,
        await RawClient.open(server) as first,
        await RawClient.open(server) as second,
    ):
        assert await first.say(EHLO + "XCLIENT NAME=x.example\r\n", 2) == ["250", "220"]
        assert await first.say(EHLO + "XCLIENT ADDR=192.0.2.1\r\n", 2) == ["250", "220"]
        assert await second.say(EHLO + "XCLIENT ADDR=192.0.2.1\r\n", 2) == ["250", "421 4.7.0"]
        await second.closed()


async def test_h086_a_known_peer_is_not_kept_waiting() -> None:
    async with running(Session, greeting_delay=0.1) as server:
        async with await RawClient.open(server, greeting=False) as client:
            await client.send(EHLO)
            assert await client.codes(1) == ["554 5.5.0"]
        async with await RawClient.open(server) as client:
            await client.probe()
        async with await RawClient.open(server, greeting=False) as client:
            await client.send(EHLO)
            assert await client.codes(2) == ["220", "250"]


async def test_a_session_that_takes_too_long() -> None:
    limits = ServerLimits(max_session_seconds=0.1)
    async with running(Session, limits=limits) as server, await RawClient.open(server) as client:
        assert await client.codes(1) == ["421 4.4.2"]


async def test_rule_5_connections_that_are_there_feel_pressure_too() -> None:
    limits = ServerLimits(max_connections=2, error_delay_seconds=0)
    async with running(Session, limits=limits) as server, await RawClient.open(server) as first:
        assert await first.say("XYZZY\r\n" * 3, 3) == ["500 5.5.2"] * 3
        async with await RawClient.open(server):
            assert await first.say("XYZZY\r\n") == ["421 4.7.0"]


async def test_much_in_one_read_does_not_keep_the_others_waiting() -> None:
    """Whoever pipelines a thousand commands has a turn of some, then the rest of the loop has its own."""
    turns: list[int] = []

    class Counting(Session):
        async def rcpt(self, recipient: object, params: object) -> None:
            asyncio.get_running_loop().call_soon(turns.append, 1)
            turns.append(0)

    limits = ServerLimits(max_recipients=2000)
    async with running(Counting, limits=limits) as server, await RawClient.open(server) as client:
        await client.send(EHLO + MAIL + RCPT * 1000 + "QUIT\r\n")
        replies = [await client.reply() for _ in range(1003)]
        assert [reply.code for reply in replies] == [250] * 1002 + [221]
    assert turns.count(0) == turns.count(1) == 1000
    longest = max(len(run) for run in "".join(map(str, turns)).split("1"))
    assert longest <= 64


async def test_a_client_that_says_quit_and_leaves_at_once_is_no_mistake_of_anybodys(
    caplog: pytest.LogCaptureFixture,
) -> None:
    session, made = recorders()
    async with running(session) as server:
        for _ in range(20):
            client = await RawClient.open(server)
            assert await client.say(EHLO) == ["250"]
            await client.send("QUIT\r\n")
            client.sock.close()
            await eventually(lambda: server.connections == 0)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert all("close" in each.calls for each in made)


async def test_a_peer_that_vanishes_while_we_part_is_no_mistake_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    """The connection is reset behind 221, before the event loop can know of it: there is nothing to end any more."""
    there: list[RawClient] = []

    class Parting(Recorder):
        async def close(self) -> None:
            await super().close()
            there.pop().reset()

    kind, made = recorders(Parting)
    async with running(kind) as server, await RawClient.open(server) as client:
        there.append(client)
        await client.send(EHLO + "QUIT\r\n")
        await eventually(lambda: server.connections == 0)
    assert made[0].calls == ["connect", "close"]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
