"""Limits on a port: each is hit once, is told to the log and the observer, and what stays just below is served."""

import asyncio
import logging
import os
import resource
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from smtpx.extensions import STANDARD
from smtpx.extensions.xclient import XClient
from smtpx.protocol.limits import DefaultCap, ServerLimits
from smtpx.sasl import Credentials
from smtpx.server import load as load_module
from smtpx.server.body import Body
from smtpx.server.listener import Server
from smtpx.server.observer import ServerObserver
from smtpx.server.session import Reject, Session, ok
from smtpx.server.settings import Deadlines
from smtpx.wire.reply import Reply
from tests.server.rig import (
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

GOOD = "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n"
BAD = "AUTH PLAIN AHVzZXIAd3Jvbmc=\r\n"


class Watcher(ServerObserver):
    """Notes what limits were hit."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, float]] = []

    def limit_hit(self, address: str, limit: str, value: float) -> None:
        self.seen.append((address, limit, value))

    @property
    def names(self) -> list[str]:
        return [limit for _, limit, _ in self.seen]


def proxy(address: str) -> bytes:
    """A PROXY header for a client."""
    family, own = ("TCP6", "::1") if ":" in address else ("TCP4", "192.0.2.250")
    return f"PROXY {family} {address} {own} 1234 25\r\n".encode()


async def from_(server: Server, address: str) -> tuple[RawClient, str]:
    """A client behind a balancer, and what it is greeted with."""
    client = await RawClient.open(server, greeting=False)
    await client.send_raw(proxy(address))
    return client, (await client.codes(1))[0]


async def codes_from(server: Server, *addresses: str) -> list[str]:
    """What these clients are greeted with, all connected at once."""
    clients = [await from_(server, address) for address in addresses]
    for client, _ in clients:
        client.sock.close()
    return [code for _, code in clients]


# Connections ---------------------------------------------------------------------------------------------------------


async def test_connection_rate_on_a_port() -> None:
    watcher = Watcher()
    limits = replace(FAST, connection_rate_per_ip=5)
    async with running(Session, limits=limits, observer=watcher) as server:
        for _ in range(5):
            async with await RawClient.open(server) as client:
                await client.say("QUIT\r\n")
        assert watcher.seen == []
        async with await RawClient.open(server, greeting=False) as client:
            assert await client.codes(1) == ["421 4.7.0"]
            await client.closed()
    assert watcher.seen == [("127.0.0.1", "connection_rate_per_ip", 5)]


@pytest.mark.parametrize(
    ("near", "far"),
    [
        ([f"198.51.100.{i}" for i in range(1, 5)], "198.51.100.77"),
        ([f"2001:db8:7:{i}::1" for i in range(1, 5)], "2001:db8:8::1"),
    ],
)
async def test_network_factor_on_a_port(near: list[str], far: str) -> None:
    watcher = Watcher()
    limits = replace(FAST, max_connections_per_ip=DefaultCap(1))
    async with running(Session, limits=limits, observer=watcher, proxy_protocol=True) as server:
        assert await codes_from(server, *near, far) == ["220"] * 3 + ["421 4.7.0", "220"]
        await eventually(lambda: server.connections == 0)
    assert watcher.seen == [(near[3], "network_factor", 3)]


async def test_trusted_networks_are_spared_defaults_and_nothing_else() -> None:
    trusted = ["203.0.113.0/24"]
    capped = replace(FAST, max_connections_per_ip=DefaultCap(1), connection_rate_per_ip=DefaultCap(2))
    async with running(Session, limits=capped, proxy_protocol=True, trusted_networks=trusted) as server:
        assert await codes_from(server, *["203.0.113.9"] * 4) == ["220"] * 4
        assert await codes_from(server, *["198.51.100.9"] * 2) == ["220", "421 4.7.0"]
    asked_for = replace(FAST, max_connections_per_ip=1)
    async with running(Session, limits=asked_for, proxy_protocol=True, trusted_networks=trusted) as server:
        assert await codes_from(server, *["203.0.113.9"] * 2) == ["220", "421 4.7.0"]


async def test_h093_caps_on_the_balancer_before_the_header_and_on_the_client_behind_it() -> None:
    watcher = Watcher()
    limits = replace(FAST, max_connections_per_ip=2, connection_rate_per_ip=DefaultCap(3))
    async with running(Session, limits=limits, observer=watcher, proxy_protocol=True) as server:
        waiting = [await RawClient.open(server, greeting=False) for _ in range(2)]
        await eventually(lambda: server._guard.connections == 2)
        async with await RawClient.open(server, greeting=False) as third:
            assert await third.codes(1) == ["421 4.7.0"]
        assert watcher.seen == [("127.0.0.1", "max_connections_per_ip", 2)]
        for turn, client in enumerate(waiting):
            await client.send_raw(proxy(f"10.{turn}.0.1"))
            assert await client.codes(1) == ["220"]
        # Whatever the balancer brings, its own address has no pace.
        assert await codes_from(server, *[f"10.{turn}.0.1" for turn in range(2, 8)]) == ["220"] * 6
        for client in waiting:
            client.sock.close()
        await eventually(lambda: server.connections == 0)
        assert await codes_from(server, *["10.9.0.1"] * 2) == ["220"] * 2
        await eventually(lambda: server.connections == 0)
        assert await codes_from(server, *["10.9.0.1"] * 2) == ["220", "421 4.7.0"]
    assert watcher.seen[1:] == [("10.9.0.1", "connection_rate_per_ip", 3)]


async def test_xclient_moves_the_count_to_whom_it_speaks_for() -> None:
    watcher = Watcher()
    extensions = (*STANDARD, XClient(["127.0.0.0/8"]))
    limits = replace(FAST, max_connections_per_ip=DefaultCap(1))
    async with running(Recorder, limits=limits, observer=watcher, extensions=extensions) as server:
        counts = server._guard._by_network
        async with await RawClient.open(server) as first, await RawClient.open(server) as second:
            assert counts["127.0.0.1"] == 2
            assert await first.say(EHLO + "XCLIENT ADDR=192.0.2.7\r\n", 2) == ["250", "220"]
            assert (counts["127.0.0.1"], counts["192.0.2.7"]) == (1, 1)
            assert await second.say(EHLO + "XCLIENT ADDR=[UNAVAILABLE]\r\n", 2) == ["250", "220"]
            assert counts["127.0.0.1"] == 1
            assert await second.say(EHLO + "XCLIENT ADDR=192.0.2.7\r\n", 2) == ["250", "421 4.7.0"]
            await second.closed()
            assert await first.say(EHLO + "XCLIENT ADDR=192.0.2.8\r\n", 2) == ["250", "220"]
            assert (counts["192.0.2.7"], counts["192.0.2.8"]) == (0, 1)
        await eventually(lambda: server.connections == 0)
    assert watcher.seen == [("192.0.2.7", "max_connections_per_ip", 1)]


async def test_descriptors_are_kept_for_stores_and_logs() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    watcher = Watcher()
    spare = os.dup(0)
    os.close(spare)
    hoard: list[socket.socket] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (spare + 40, hard))
        async with running(Session, observer=watcher) as server:
            codes: list[str] = []
            while len(hoard) < 40 and "421 4.3.2" not in codes:
                client = await RawClient.open(server, greeting=False)
                hoard.append(client.sock)
                codes += await client.codes(1)
            assert codes[0] == "220"
            assert codes[-1] == "421 4.3.2"
            left = [os.dup(0) for _ in range(9)]
            for each in left:
                os.close(each)
            for each in hoard:
                each.close()
            await eventually(lambda: server.connections == 0)
            async with await RawClient.open(server) as client:
                await client.probe()
    finally:
        for each in hoard:
            each.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert watcher.seen == [("127.0.0.1", "descriptor_reserve", 10)]


@pytest.mark.parametrize("how", ["plain", "implicit TLS", "PROXY"])
@pytest.mark.parametrize("vanish", [RawClient.finish, RawClient.reset])
async def test_h085_who_says_nothing_is_mentioned_at_debug_only(
    how: str, vanish: Callable[[RawClient], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "smtpx.server")
    options: dict[str, dict[str, Any]] = {
        "plain": {},
        "implicit TLS": {"tls": fresh_server_tls(), "implicit_tls": True},
        "PROXY": {"proxy_protocol": True},
    }
    async with (
        running(Session, **options[how]) as server,
        await RawClient.open(server, greeting=how == "plain") as client,
    ):
        await eventually(lambda: server._guard.connections == 1)
        await asyncio.sleep(0.02)
        vanish(client)
        await eventually(lambda: server._guard.connections == 0)
    quiet = [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert [record.getMessage() for record in quiet] == []


@pytest.mark.parametrize("vanish", [RawClient.finish, RawClient.reset])
@pytest.mark.parametrize(("said", "count", "level"), [("EHL", 0, logging.DEBUG), (OPEN, 4, logging.INFO)])
async def test_r171_who_leaves_in_a_message_is_mentioned(
    said: str, count: int, level: int, vanish: Callable[[RawClient], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever just goes away is not, however it goes."""
    caplog.set_level(logging.DEBUG, "smtpx.server")
    async with running(Session) as server, await RawClient.open(server) as client:
        await client.send(said)
        await client.codes(count)
        await asyncio.sleep(0.02)
        vanish(client)
        await eventually(lambda: server.connections == 0)
    lost = [record for record in caplog.records if "closing: connection lost" in record.getMessage()]
    assert [record.levelno for record in lost] == [level]


# Time ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("busy", [False, True])
async def test_max_session_seconds_between_two_commands(busy: bool) -> None:
    watcher = Watcher()
    limits = replace(FAST, max_session_seconds=0.3, junk_command_limit=10**6)
    async with running(Session, limits=limits, observer=watcher) as server, await RawClient.open(server) as client:
        code = "250 2.0.0"
        while busy and code == "250 2.0.0":
            (code,) = await client.say("NOOP\r\n")
        assert [code] == ["421 4.4.2"] if busy else await client.codes(1) == ["421 4.4.2"]
        await client.closed()
    assert watcher.seen == [("127.0.0.1", "max_session_seconds", 0.3)]


@pytest.mark.parametrize("begin", [OPEN, EHLO + ENV + "BDAT 3\r\nabc"])
async def test_max_session_seconds_never_ends_a_message(begin: str) -> None:
    kind, made = recorders()
    limits = replace(FAST, max_session_seconds=0.2)
    async with running(kind, limits=limits) as server, await RawClient.open(server) as client:
        await client.say(begin, 4)
        await asyncio.sleep(0.4)
        assert await client.say("x\r\n.\r\n" if begin is OPEN else "BDAT 3 LAST\r\ndef") == ["250 2.0.0"]
        assert await client.codes(1) == ["421 4.4.2"]
    assert len(made[0].messages) == 1


async def test_a_session_as_long_as_it_may_be_is_not_ended() -> None:
    watcher = Watcher()
    async with (
        running(Session, limits=replace(FAST, max_session_seconds=None), observer=watcher) as server,
        await RawClient.open(server) as client,
    ):
        await asyncio.sleep(0.1)
        await client.probe()
    assert watcher.seen == []


class Sleepy(Session):
    async def mail(self, *args: object) -> None:  # type: ignore[override]
        await asyncio.sleep(30)

    async def data(self, body: Body) -> None:
        await body.discard()
        await asyncio.sleep(30)


@pytest.mark.parametrize(
    ("session", "deadlines", "script", "replies", "codes"),
    [
        (Session, {"command": 0.1}, "", 0, ["421 4.4.2"]),
        (Recorder, {"auth_step": 0.1}, EHLO + "AUTH LOGIN\r\n", 2, ["421 4.4.2"]),
        (Session, {"data": 0.1}, OPEN, 4, ["421 4.4.2"]),
        (Sleepy, {"handler": 0.1}, EHLO, 1, ["451 4.3.0"]),
        (Sleepy, {"final": 0.1}, "", 0, ["451 4.3.0"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_deadlines_are_told(
    session: type[Session], deadlines: dict[str, float], script: str, replies: int, codes: list[str]
) -> None:
    watcher = Watcher()
    name = next(iter(deadlines))
    kind = type("Quick", (Sleepy,), {"mail": Session.mail}) if name == "final" else session
    options = {"deadlines": Deadlines(**deadlines), "allow_insecure_auth": True, "observer": watcher}
    async with running(kind, **options) as server, await RawClient.open(server) as client:
        if replies:
            await client.say(script, replies)
        if name == "handler":
            await client.send(MAIL)
        elif name == "final":
            await client.say(OPEN, 4)
            await client.send("x\r\n.\r\n")
        assert await client.codes(1) == codes
        assert watcher.seen == [("127.0.0.1", name, 0.1)]


async def test_deadlines_of_handshake_and_header_are_told() -> None:
    watcher = Watcher()
    deadlines = Deadlines(tls_handshake=0.1, proxy_header=0.1)
    options: dict[str, Any] = {"tls": fresh_server_tls(), "implicit_tls": True}
    async with (
        running(Session, deadlines=deadlines, observer=watcher, **options) as server,
        await RawClient.open(server, greeting=False) as client,
    ):
        await client.closed()
    async with (
        running(Session, deadlines=deadlines, observer=watcher, proxy_protocol=True) as server,
        await RawClient.open(server, greeting=False) as client,
    ):
        await client.closed()
    assert watcher.seen == [("127.0.0.1", "tls_handshake", 0.1), ("127.0.0.1", "proxy_header", 0.1)]


# The greeting --------------------------------------------------------------------------------------------------------


async def test_h086_who_has_waited_once_is_greeted_at_once() -> None:
    watcher = Watcher()
    async with running(Session, greeting_delay=0.2, observer=watcher) as server:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with await RawClient.open(server, greeting=False) as client:
            await client.send(EHLO)
            assert await client.codes(1) == ["554 5.5.0"]
        assert watcher.seen == [("127.0.0.1", "greeting_delay", 0.2)]
        async with await RawClient.open(server) as client:
            assert loop.time() - began > 0.39
        async with await RawClient.open(server, greeting=False) as client:
            await client.send(EHLO)  # known, so nothing is too early
            assert await client.codes(2) == ["220", "250"]


@pytest.mark.parametrize("how", [{"trusted_networks": ["127.0.0.0/8"]}, {"proxy_protocol": True}])
async def test_h086_trusted_networks_and_clients_of_balancers_need_not_wait(how: dict[str, Any]) -> None:
    async with (
        running(Session, greeting_delay=60.0, **how) as server,
        await RawClient.open(server, greeting=False) as client,
    ):
        if "proxy_protocol" in how:
            await client.send_raw(proxy("192.0.2.1"))
        assert await client.codes(1) == ["220"]


# Logins --------------------------------------------------------------------------------------------------------------


async def test_auth_failures_per_user_are_refused_as_late_as_a_failure() -> None:
    watcher = Watcher()
    limits = replace(FAST, auth_failures_per_user=2, auth_failure_delay_seconds=0.1, max_auth_failures=10)
    async with running(Recorder, limits=limits, allow_insecure_auth=True, observer=watcher) as server:
        loop = asyncio.get_running_loop()
        async with await RawClient.open(server) as client:
            assert await client.say(EHLO + BAD + BAD, 3) == ["250", "535 5.7.8", "535 5.7.8"]
            assert watcher.seen == []
            began = loop.time()
            assert await client.say(GOOD) == ["454 4.7.0"]
            assert loop.time() - began > 0.29
            other = "AUTH PLAIN AG90aGVyAHNlY3JldA==\r\n"
            assert await client.say(other) == ["535 5.7.8"]
            await client.send(GOOD)
            await asyncio.sleep(0.02)
            client.reset()  # nobody is left whom the delay could teach
            await eventually(lambda: server.connections == 0)
    assert set(watcher.seen) == {("127.0.0.1", "auth_failures_per_user", 2)}


class Checking(Session):
    """A login that takes until it is let go."""

    busy = 0
    most = 0
    gate = asyncio.Event()

    async def authenticate(self, identity: Credentials) -> None:
        kind = type(self)
        kind.busy += 1
        kind.most = max(kind.most, kind.busy)
        try:
            await kind.gate.wait()
        finally:
            kind.busy -= 1
        if not identity.is_password("secret"):
            raise Reject.bad_credentials()


@pytest.fixture
def checking() -> type[Checking]:
    return type("Fresh", (Checking,), {"busy": 0, "most": 0, "gate": asyncio.Event()})


@pytest.fixture
async def queueing(checking: type[Checking]) -> AsyncIterator[tuple[Server, Watcher]]:
    watcher = Watcher()
    limits = replace(FAST, max_auth_checks_per_ip=4, max_auth_checks=5)
    deadlines = Deadlines(auth_step=0.6)
    async with running(
        checking, limits=limits, allow_insecure_auth=True, observer=watcher, proxy_protocol=True, deadlines=deadlines
    ) as server:
        yield server, watcher


async def logging_in(server: Server, *addresses: str) -> list[RawClient]:
    clients = [(await from_(server, address))[0] for address in addresses]
    for client in clients:
        await client.say(EHLO)
        await client.send(GOOD)
        await asyncio.sleep(0.01)
    return clients


async def test_four_checks_at_once_for_an_address_and_so_many_in_all(
    queueing: tuple[Server, Watcher], checking: type[Checking]
) -> None:
    server, watcher = queueing
    clients = await logging_in(server, *["192.0.2.1"] * 4)
    assert (checking.busy, watcher.seen) == (4, [])
    clients += await logging_in(server, "192.0.2.1", "198.51.100.1", "203.0.113.1")
    assert checking.busy == 5
    assert watcher.seen == [("192.0.2.1", "max_auth_checks_per_ip", 4), ("203.0.113.1", "max_auth_checks", 5)]
    checking.gate.set()
    for client in clients:
        assert await client.codes(1) == ["235 2.7.0"]
        client.sock.close()
    assert checking.most == 5


async def test_a_login_waits_no_longer_than_the_deadline_for_it(
    queueing: tuple[Server, Watcher], checking: type[Checking]
) -> None:
    server, watcher = queueing
    clients = await logging_in(server, *["192.0.2.1"] * 5)
    assert await clients[4].codes(1) == ["421 4.4.2"]
    assert watcher.names == ["max_auth_checks_per_ip", "auth_step"]
    clients[3].reset()
    gone = await logging_in(server, "192.0.2.1")
    gone[0].reset()  # in the queue, or at work
    await eventually(lambda: server.connections == 4)
    checking.gate.set()
    for client in clients[:3]:
        assert await client.codes(1) == ["235 2.7.0"]
    for client in clients:
        client.sock.close()


async def test_h087_guessers_are_refused_at_connect_on_submission() -> None:
    limits = replace(FAST, auth_failures_per_ip_minute=2)
    options: dict[str, Any] = {"require_tls": False, "allow_insecure_auth": True, "limits": limits}
    for profile, codes in (("submission", ["421 4.7.0"]), ("dev", ["220"])):
        async with running(Recorder, profile=profile, **options) as server:
            async with await RawClient.open(server) as client:
                assert await client.say(EHLO + BAD + BAD, 3) == ["250", "535 5.7.8", "535 5.7.8"]
            async with await RawClient.open(server, greeting=False) as client:
                assert await client.codes(1) == codes


# Pressure ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "_CALM_SECONDS", 0.1)
    monkeypatch.setattr(load_module, "_LOOK_SECONDS", 0.02)


@pytest.mark.usefixtures("quick")
async def test_rule_5_under_pressure_and_behind_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "smtpx.server")
    watcher = Watcher()
    limits = replace(FAST, max_connections=10)
    async with running(Recorder, limits=limits, observer=watcher) as server:
        clients = [await RawClient.open(server) for _ in range(8)]
        assert await clients[0].say("XYZZY\r\n" * 3, 3) == ["500 5.5.2"] * 3  # 80 % is not above it
        clients.append(await RawClient.open(server))
        assert await clients[1].say("XYZZY\r\n" * 2, 2) == ["500 5.5.2", "421 4.7.0"]
        assert watcher.seen == [("127.0.0.1", "soft_error_limit", 1), ("127.0.0.1", "hard_error_limit", 2)] or (
            watcher.seen == [("127.0.0.1", "hard_error_limit", 2)]
        )
        for client in clients[:6]:
            client.sock.close()
        await eventually(lambda: not server._guard.load.is_high)
        assert await clients[7].say("XYZZY\r\n" * 3, 3) == ["500 5.5.2"] * 3
        for client in clients:
            client.sock.close()
    texts = [line for line in caplog.messages if "pressure" in line]
    assert texts == ["under pressure: limits are tight", "no pressure any more: limits are as usual"]


async def test_rule_5_deadlines_that_run_already_are_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smtpx.server.settings._UNDER_PRESSURE", Deadlines(command=0.2, data=0.2, close=0.2))
    async with running(Recorder, limits=replace(FAST, max_connections=5)) as server:
        idle, sending = await RawClient.open(server), await RawClient.open(server)
        await sending.say(OPEN, 4)
        others = [await RawClient.open(server) for _ in range(3)]
        assert server._guard.load.is_high
        assert await idle.codes(1) == ["421 4.4.2"]
        assert await sending.codes(1) == ["421 4.4.2"]
        for client in (idle, sending, *others):
            client.sock.close()


async def test_rule_5_fewer_connections_from_an_address() -> None:
    limits = replace(FAST, max_connections=20, max_connections_per_ip=DefaultCap(15))
    async with running(Session, limits=limits, proxy_protocol=True) as server:
        crowd = [await from_(server, f"10.{turn}.0.1") for turn in range(12)]
        some = [await from_(server, "192.0.2.1") for _ in range(5)]
        assert server._guard.load.is_high
        client, code = await from_(server, "192.0.2.1")  # the sixth; now five may be
        assert code == "421 4.7.0"
        for each, greeting in (*crowd, *some, (client, "220")):
            assert greeting == "220"
            each.sock.close()
        await eventually(lambda: server.connections == 0)


async def test_a_closed_server_is_under_no_pressure_when_it_starts_again() -> None:
    server = Server(Session, port=0, limits=ServerLimits(max_connections=1))
    async with server, await RawClient.open(server):
        assert server._guard.limits.hard_error_limit == 2
    assert server._guard.limits.hard_error_limit == 20


# Memory --------------------------------------------------------------------------------------------------------------


async def test_spool_total_memory_above_it_nothing_is_kept_for_a_session() -> None:
    release = asyncio.Event()

    class Slow(Recorder):
        async def data(self, body: Body) -> Reply:
            self.calls.append("data")
            await release.wait()
            self.keep(await body.read())
            return ok()

    watcher = Watcher()
    kind, made = recorders(Slow)
    limits = replace(FAST, spool_total_memory_bytes=1000)
    async with running(kind, limits=limits, observer=watcher) as server:
        first, second = await RawClient.open(server), await RawClient.open(server)
        await first.say(OPEN, 4)
        await first.send("x" * 998 + "\r\n")
        await eventually(lambda: server._guard.load.held_bytes >= 990)
        assert made[0].calls[-1] == "rcpt"
        await first.send("y\r\n")
        await eventually(lambda: server._guard.load.held_bytes >= 1000)
        await second.say(OPEN, 4)
        assert watcher.names == ["spool_total_memory_bytes"]
        await second.send("z\r\n")
        await eventually(lambda: made[1].calls[-1] == "data")  # at once, and not with 64 KiB
        release.set()
        for client in (first, second):
            assert await client.say(".\r\n") == ["250 2.0.0"]
            client.sock.close()
    assert [len(session.messages[0].content) for session in made] == [1003, 3]


async def test_limits_of_the_protocol_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "smtpx.server")
    watcher = Watcher()
    limits = replace(FAST, max_recipients=2)
    async with running(Session, limits=limits, observer=watcher) as server, await RawClient.open(server) as client:
        assert await client.say(EHLO + MAIL + RCPT * 2, 4) == ["250", "250 2.1.0", "250 2.1.5", "250 2.1.5"]
        assert watcher.seen == []
        assert await client.say(RCPT * 5, 5) == ["452 4.5.3"] * 5
    assert watcher.seen == [("127.0.0.1", "max_recipients", 2)]
    assert len([line for line in caplog.messages if line.endswith("ran into the limit max_recipients of 2")]) == 1
