"""Hostile and honest clients at the same time: who behaves is served in full, and nothing is left behind.

The long form, with times, is `tests/server/soak.py`.
"""

import asyncio
import gc
import random
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from smtpx.protocol.limits import ServerLimits
from smtpx.sasl import Credentials
from smtpx.server.body import Body
from smtpx.server.listener import Listener, Server
from smtpx.server.session import Reject, Session, ok
from smtpx.server.settings import Deadlines
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply
from tests.server import rig
from tests.server.rig import BDAT, EHLO, ENV, MAIL, OPEN, RCPT, RawClient, eventually, fresh_server_tls, nothing_left

MIB = 1024 * 1024


class Keeper(Session):
    """Keeps the messages of honest senders by their number; others raise, hang or refuse now and then."""

    kept: dict[str, bytes] = {}  # noqa: RUF012 - replaced by `keepers`
    is_honest = False

    async def authenticate(self, identity: Credentials) -> None:
        await asyncio.sleep(0.01)
        raise Reject.bad_credentials()

    async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
        self.is_honest = sender.local_part.startswith("honest")
        self.number = sender.local_part
        if sender.local_part == "raise":
            raise RuntimeError("no")
        if sender.local_part == "hang":
            await asyncio.sleep(30)
        return None

    async def data(self, body: Body) -> Reply:
        if not self.is_honest:
            await body.discard()
            raise Reject(550, "5.7.1", "no")
        self.kept[self.number] = await body.read()
        return ok()


def keepers() -> type[Keeper]:
    return type("Keepers", (Keeper,), {"kept": {}})


def content(number: int) -> bytes:
    """A message that is different for each number, of up to 40 KiB."""
    return b"Subject: %d\r\n\r\n" % number + b"%d\r\n" % number * (number * 7919 % 4000)


async def send_honestly(server: Server | int, number: int) -> None:
    """One message, as whoever knows SMTP would send it; every reply is looked at."""
    async with await RawClient.open(server) as client:
        assert await client.say(EHLO) == ["250"]
        envelope = f"MAIL FROM:<honest{number}@client.example>\r\n" + RCPT
        if number % 2:
            assert await client.say(envelope + "DATA\r\n", 3) == ["250 2.1.0", "250 2.1.5", "354"]
            assert await client.say(content(number) + b".\r\n") == ["250 2.0.0"]
        else:
            octets = content(number)
            chunk = envelope.encode() + b"BDAT %d LAST\r\n" % len(octets) + octets
            assert await client.say(chunk, 3) == ["250 2.1.0", "250 2.1.5", "250 2.0.0"]
        assert await client.say("QUIT\r\n") == ["221 2.0.0"]
        await client.closed()


# Hostile clients -----------------------------------------------------------------------------------------------------

Attack = Callable[[RawClient], Awaitable[None]]


def saying(text: str | bytes, times: int = 1) -> Attack:
    async def attack(client: RawClient) -> None:
        for _ in range(times):
            await client.send(text)
            await asyncio.sleep(0)

    return attack


async def slow(client: RawClient) -> None:
    for octet in EHLO + OPEN * 100:
        await client.send(octet)
        await asyncio.sleep(0.05)


async def endless(client: RawClient) -> None:
    await client.send(OPEN)
    while True:
        await client.send("x" * 65536)
        await asyncio.sleep(0.01)


async def deaf(client: RawClient) -> None:
    await client.send(EHLO * 2000)
    await asyncio.sleep(60)


async def guessing(client: RawClient) -> None:
    await client.send(EHLO + "AUTH PLAIN AHVzZXIAd3Jvbmc=\r\n" * 5)
    await asyncio.sleep(60)


ATTACKS: dict[str, Attack] = {
    "slow": slow,
    "silent": saying(""),
    "endless body": endless,
    "deaf": deaf,
    "guessing": guessing,
    "endless line": saying(b"MAIL FROM:<" + b"a" * 4096, 100),
    "half a line": saying("EHL"),
    "nonsense": saying("XYZZY\r\n" * 500),
    "binary": saying(bytes(range(256)) * 100),
    "junk": saying("NOOP\r\n" * 5000),
    "other protocol": saying("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "half a message": saying(OPEN + "x\r\n" * 1000),
    "half a chunk": saying(BDAT + "BDAT 100000\r\n" + "x" * 5000),
    "small chunks": saying(BDAT + "BDAT 1\r\nx" * 5000),
    "many recipients": saying(EHLO + MAIL + RCPT * 3000),
    "fake ends": saying(OPEN + "a\n.\nMAIL FROM:<x@evil.example>\r\n.\r\n" * 50),
    "content ahead": saying(EHLO + ENV + "DATA\r\nx\r\n.\r\n" * 20),
    "handler raises": saying(EHLO + "MAIL FROM:<raise@x.example>\r\n" * 5),
    "handler hangs": saying(EHLO + "MAIL FROM:<hang@x.example>\r\n"),
    "large announced": saying(EHLO + "MAIL FROM:<a@x.example> SIZE=99999999999\r\n"),
    "unread TLS": saying(EHLO + "STARTTLS\r\n" + "\x16\x03\x01garbage" * 10),
}


async def attack(server: Server | int, chance: random.Random) -> None:
    """One hostile connection, that ends in one of three ways. Whatever becomes of it is no matter."""
    kind = chance.choice(list(ATTACKS))
    with suppress(OSError, TimeoutError, AssertionError):
        async with await RawClient.open(server, greeting=False) as client:
            with suppress(TimeoutError):
                async with asyncio.timeout(chance.uniform(0.05, 3.0)):
                    await ATTACKS[kind](client)
                    await asyncio.sleep(60)
            if chance.random() < 0.3:
                client.reset()
            elif chance.random() < 0.5:
                client.finish()


def hard_server(kind: type[Session]) -> Server:
    """A server with room for all, so that everything there is happens."""
    limits = ServerLimits(
        max_connections=3000,
        auth_failure_delay_seconds=0.2,
        error_delay_seconds=0.2,
        auth_failures_per_ip_minute=10**6,
        auth_failures_per_ip_day=10**6,
        auth_failures_per_user=None,
    )
    # Long enough for honest clients on a machine that is busy with both sides; the hostile ones are given up earlier.
    deadlines = Deadlines(command=20.0, data=20.0, final=20.0, write=2.0, handler=1.0, auth_step=2.0, close=1.0)
    listener = Listener(port=0, tls=fresh_server_tls())
    return Server(kind, listeners=[listener], limits=limits, deadlines=deadlines, allow_insecure_auth=True)


async def attackers(server: Server | int, number: int, seconds: float) -> int:
    """So many at a time; the number of connections in all."""
    loop = asyncio.get_running_loop()
    until, made = loop.time() + seconds, 0

    async def go_on(seed: int) -> None:
        nonlocal made
        chance = random.Random(seed)
        while loop.time() < until:
            made += 1
            await attack(server, chance)

    async with asyncio.TaskGroup() as group:
        for seed in range(number):
            group.create_task(go_on(seed))
    return made


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig, "SECONDS", 30.0)


@pytest.mark.slow
@pytest.mark.timeout(180)  # a machine that is busy with other things as well
async def test_200_clients_half_of_them_hostile() -> None:
    """Slow, oversized, vanishing, pipelining nonsense; the other hundred are served, and memory stays bounded."""
    kind = keepers()
    server = hard_server(kind)
    async with server:
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        async with asyncio.TaskGroup() as group:
            hostile = group.create_task(attackers(server, 100, 4.0))
            await eventually(lambda: server.connections >= 50, 20)
            for number in range(100):
                group.create_task(send_honestly(server, number))
        assert kind.kept == {f"honest{number}": content(number) for number in range(100)}
        assert hostile.result() >= 100
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (peak - before) / 200 < MIB  # the declared bound, and both sides are counted here
        await eventually(lambda: server.connections == 0, 60)
    await nothing_left(server, asyncio.all_tasks())


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_soak() -> None:
    """In short, and without looking at the clock: every good message is there, and all counters are back at zero."""
    from tests.server.soak import soak  # it takes its clients from here

    soaked = soak(5.0, hostile=150, honest=15)
    assert soaked.missing == []
    assert soaked.left == {}
    assert len(soaked.took) >= 15
    assert soaked.attacks >= 150


# Counters ------------------------------------------------------------------------------------------------------------


class Random(Session):
    """Fails to be made, raises, hangs or refuses, by chance."""

    chance = random.Random(7)

    def __init__(self) -> None:
        if self.chance.random() < 0.1:
            raise RuntimeError("can't be made")

    async def _act(self) -> None:
        luck = self.chance.random()
        if luck < 0.1:
            raise RuntimeError("by chance")
        if luck < 0.2:
            raise asyncio.CancelledError
        if luck < 0.3:
            raise Reject(421, "4.3.0", "by chance")
        if luck < 0.5:
            await asyncio.sleep(self.chance.choice([0, 0.001, 60]))

    async def connect(self) -> None:
        await self._act()

    async def authenticate(self, identity: Credentials) -> None:
        await self._act()

    async def mail(self, *args: object) -> None:  # type: ignore[override]
        await self._act()

    async def data(self, body: Body) -> None:
        await self._act()
        await body.discard()

    async def close(self) -> None:
        if self.chance.random() < 0.1:
            raise RuntimeError("by chance")


SCRIPTS = (
    b"",
    b"QUIT\r\n",
    b"EHL",
    b"GET / HTTP/1.0\r\n\r\n",
    (EHLO + "AUTH PLAIN AHVzZXIAd3Jvbmc=\r\n" * 4).encode(),
    (EHLO + ENV + "BDAT 3\r\nabcBDAT 3 LAST\r\nabcQUIT\r\n").encode(),
    (EHLO + ENV + "BDAT 300\r\nabc").encode(),
    (EHLO + "STARTTLS\r\n").encode(),
    b"\x16\x03\x01\x00\x05hello",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nQUIT\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nEHLO x\r\n",
    b"PROXY TCP4 nonsense\r\n",
)


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_rule_of_section_2_after_10_000_random_sessions_the_counters_are_zero() -> None:
    """By exceptions, cancels, failed handshakes, bad headers, refusals, deadlines, FIN and RST."""
    limits = ServerLimits(
        max_connections=60, auth_failure_delay_seconds=0.01, error_delay_seconds=0.01, max_auth_checks_per_ip=2
    )
    deadlines = Deadlines(
        command=0.05,
        data=0.05,
        handler=0.02,
        final=0.02,
        tls_handshake=0.05,
        proxy_header=0.05,
        auth_step=0.03,
        close=0.05,
    )
    tls = fresh_server_tls()
    listeners = [
        Listener(port=0),
        Listener(port=0, tls=tls),
        Listener(port=0, tls=fresh_server_tls(), implicit_tls=True),
        Listener(port=0, proxy_protocol=True),
    ]
    server = Server(
        Random,
        listeners=listeners,
        limits=replace(limits, max_connections_per_ip=55),
        deadlines=deadlines,
        allow_insecure_auth=True,
    )
    chance, left = random.Random(11), 10_000
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(None)

    async def one(port: int) -> None:
        with suppress(OSError, TimeoutError, AssertionError):
            async with await RawClient.open(port, greeting=False) as client:
                await client.send_raw(chance.choice(SCRIPTS))
                how = chance.random()
                if how < 0.3:
                    client.reset()
                    return
                if how < 0.6:
                    client.finish()
                if how < 0.9:
                    async with asyncio.timeout(0.3):
                        while await client.receive():
                            pass

    async def many(ports: list[int]) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await one(chance.choice(ports))

    async with server:
        ports = [listening.sock.getsockname()[1] for _, listening in server._listening]
        await asyncio.gather(*(many(ports) for _ in range(80)))
        await eventually(lambda: server._guard.connections == 0, 20)
        assert not server._guard._by_network
        assert server._guard.auth_turns.is_idle
        assert server._guard.load.held_bytes == 0
        assert server.connections == 0
    await nothing_left(server, asyncio.all_tasks())
    gc.collect()
