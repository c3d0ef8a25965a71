"""LMTP on a socket: verdicts that leave while the session is still at work (RFC 2033 4.2)."""

import asyncio
from typing import Any, cast

import pytest

from smtpx.client.aio import AsyncClient
from smtpx.errors import ConnectionLost
from smtpx.flows.outcome import SendResult
from smtpx.protocol.dialect import LMTP
from smtpx.server.body import Body
from smtpx.server.listener import Server
from smtpx.server.session import Reject, ok
from smtpx.server.settings import Deadlines
from tests.server.rig import RawClient, Recorder, eventually, fresh_server_tls, recorders, running

LHLO = "LHLO client.example\r\n"
OPEN = LHLO + "MAIL FROM:<a@client.example>\r\n" + "".join(f"RCPT TO:<{name}@x.example>\r\n" for name in "bcb")
OPENED = ["250", "250 2.1.0", *["250 2.1.5"] * 3]


class Slow(Recorder):
    """Gives the verdicts on b, c, b; before each but the first it waits for `go`."""

    before_reading = False

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def data(self, body: Body) -> None:
        if not self.before_reading:
            self.keep(await body.read())
        for place, name in enumerate("bcb"):
            if place:
                await self.go.wait()
                self.go.clear()
            self.verdict(f"{name}@x.example", ok(f"verdict {place}"))
        if self.before_reading:
            self.keep(await body.read())


@pytest.fixture(params=["DATA", "BDAT", "BDAT in two"])
def content(request: pytest.FixtureRequest) -> tuple[str, int]:
    """How the content is sent, and how many replies come ahead of the verdicts."""
    ways = {"DATA": ("DATA\r\n", 1), "BDAT": ("", 0), "BDAT in two": ("BDAT 1\r\nx", 1)}
    return ways[request.param]


END = {"DATA\r\n": "x\r\n.\r\n", "": "BDAT 3 LAST\r\nx\r\n", "BDAT 1\r\nx": "BDAT 2 LAST\r\n\r\n"}


@pytest.mark.parametrize("tls", [False, True])
async def test_rfc2033_4_2_each_leaves_as_soon_as_those_before_it(content: tuple[str, int], tls: bool) -> None:
    kind, made = recorders(Slow)
    options: dict[str, Any] = {"tls": fresh_server_tls()} if tls else {}
    async with running(kind, dialect=LMTP, **options) as server, await RawClient.open(server) as client:
        if tls:
            await client.say(LHLO + "STARTTLS\r\n", 2)
            await client.start_tls()
        begin, count = content
        await client.say(OPEN + begin, 5 + count)
        await client.send(END[begin] + "NOOP\r\n")
        for place, name in enumerate("bcb"):
            reply = await client.reply()
            assert reply.to_bytes() == f"250 2.0.0 <{name}@x.example> verdict {place}\r\n".encode()
            if place < 2:
                await client.silence(0.02)
                cast("Slow", made[0]).go.set()
        assert await client.codes(1) == ["250 2.0.0"]
        assert made[0].messages[0].content == b"x\r\n"
        await client.probe()


async def test_rfc2033_4_2_no_verdict_leaves_before_the_end_of_the_data() -> None:
    kind, made = recorders(Slow)
    async with running(kind, dialect=LMTP) as server, await RawClient.open(server) as client:
        slow = cast("Slow", made[0])
        slow.before_reading = True
        assert await client.say(OPEN + "BDAT 1\r\nx", 5) == OPENED
        await eventually(lambda: slow.peer.verdicts is not None and slow.peer.verdicts.is_used)
        await client.silence(0.02)
        slow.go.set()
        await eventually(lambda: not slow.go.is_set())
        slow.go.set()
        assert await client.codes(1) == ["250 2.0.0"]  # to the chunk
        await client.silence(0.02)
        assert await client.say("BDAT 2 LAST\r\n\r\n", 3) == ["250 2.0.0"] * 3
        await client.probe()


class Failing(Recorder):
    """Gives a verdict on b, then goes wrong in the way of `then`."""

    then = ""

    async def data(self, body: Body) -> None:
        self.keep(await body.read())
        self.verdict("b@x.example", ok("safe"))
        await asyncio.sleep(0)
        if self.then == "Reject":
            raise Reject.mailbox_full()
        if self.then == "twice":
            for _ in range(2):
                self.verdict("b@x.example", ok("again"))
        if self.then == "stranger":
            self.verdict("d@x.example", ok("again"))
        if self.then == "slow":
            await asyncio.sleep(60)
        raise RuntimeError


@pytest.mark.parametrize(
    ("then", "codes"),
    [
        ("Reject", ["250 2.0.0", "452 4.2.2", "452 4.2.2"]),
        ("raise", ["250 2.0.0", "451 4.3.0", "451 4.3.0"]),
        ("twice", ["250 2.0.0", "451 4.3.0", "250 2.0.0"]),
        ("stranger", ["250 2.0.0", "451 4.3.0", "451 4.3.0"]),
        ("slow", ["250 2.0.0", "451 4.3.0", "451 4.3.0"]),
    ],
)
async def test_go_smtp_7_8_only_the_missing_ones_are_answered_451(then: str, codes: list[str]) -> None:
    kind, _ = recorders(type("Failing", (Failing,), {"then": then}))
    deadlines = Deadlines(final=0.2)
    async with running(kind, dialect=LMTP, deadlines=deadlines) as server, await RawClient.open(server) as client:
        await client.say(OPEN + "DATA\r\n", 6)
        assert await client.say("x\r\n.\r\n", 3) == codes
        await client.probe()


async def test_a_server_that_stops_between_verdicts_says_so_to_the_others() -> None:
    kind, _ = recorders(Slow)
    async with running(kind, dialect=LMTP) as server, await RawClient.open(server) as client:
        await client.say(OPEN + "DATA\r\n", 6)
        assert await client.say("x\r\n.\r\n") == ["250 2.0.0"]
        await server.close()
        assert await client.codes(2) == ["421 4.3.2"] * 2
        await client.closed()


async def test_a_client_that_leaves_between_verdicts() -> None:
    kind, made = recorders(Slow)
    async with running(kind, dialect=LMTP) as server:
        async with await RawClient.open(server) as client:
            await client.say(OPEN + "DATA\r\n", 6)
            assert await client.say("x\r\n.\r\n") == ["250 2.0.0"]
            client.reset()
        for _ in range(2):
            cast("Slow", made[0]).go.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await eventually(lambda: server.connections == 0)
    assert made[0].calls[-1] == "close"


# Our client as the peer ----------------------------------------------------------------------------------------------


async def deliver(server: Server) -> SendResult:
    """One message for b, c, b by our client."""
    async with AsyncClient(f"lmtp://127.0.0.1:{server.port}") as client:
        to = [f"{name}@x.example" for name in "bcb"]
        return await client.send(b"x\r\n", sender="a@client.example", recipients=to)


async def test_our_client_takes_them_one_by_one() -> None:
    kind, made = recorders(Slow)
    async with running(kind, dialect=LMTP) as server:
        sending = asyncio.create_task(deliver(server))
        await eventually(lambda: bool(made))
        go = cast("Slow", made[0]).go
        for _ in range(2):
            go.set()
            await eventually(lambda: not go.is_set())
        result = await sending
    assert [(to, reply.text) for to, reply in result.verdicts] == [
        ("b@x.example", "<b@x.example> verdict 0"),
        ("c@x.example", "<c@x.example> verdict 1"),
        ("b@x.example", "<b@x.example> verdict 2"),
    ]


async def test_decision_16_our_client_keeps_those_that_came() -> None:
    class Vanishing(Slow):
        async def data(self, body: Body) -> None:
            await body.discard()
            self.verdict("b@x.example", Reject.mailbox_full().reply)
            await asyncio.sleep(0)
            self.verdict("c@x.example", ok("safe"))
            await asyncio.sleep(0)
            connection = next(iter(server._connections))
            connection.transport.close()  # what was written still gets out
            await asyncio.sleep(60)

    async with running(Vanishing, dialect=LMTP) as server:
        with pytest.raises(ConnectionLost) as caught:
            await deliver(server)
    result = caught.value.result
    assert result is not None
    assert caught.value.stage == "final"
    assert list(result.accepted) == ["c@x.example"]
    assert list(result.refused) == ["b@x.example"]
    assert [to for to, _ in result.verdicts] == ["b@x.example", "c@x.example"]
