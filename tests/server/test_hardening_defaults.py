"""Every number of the hardening list as a server has it that nobody told anything (tests/rows)."""

import asyncio
import inspect
import socket

import pytest

from smtpx.net import listening
from smtpx.protocol.limits import ServerLimits
from smtpx.server import accepting, load
from smtpx.server.listener import Server
from smtpx.server.maildir import Maildir
from smtpx.server.session import Session
from smtpx.server.settings import Deadlines
from smtpx.server.threads import ThreadPool
from tests.server.rig import EHLO, ENV, RawClient, running

MIB = 1 << 20


def has(**numbers: float | None) -> None:
    """These are the limits of a server."""
    limits = Server(Session, port=0)._guard.limits
    assert limits == ServerLimits()
    assert {name: getattr(limits, name) for name in numbers} == numbers


def test_rule_5_numbers() -> None:
    assert (load._HIGH, load._LOW, load._CALM_SECONDS) == (8, 6, 30.0)


def test_section_1_defaults() -> None:
    has(
        soft_error_limit=10,
        error_delay_seconds=1.0,
        hard_error_limit=20,
        junk_command_limit=100,
        small_chunk_limit=1000,
        recipient_overshoot=100,
        max_messages_per_connection=1000,
        max_unauthenticated_commands=None,
    )


def test_section_2_defaults() -> None:
    has(
        max_connections=1000,
        max_connections_per_ip=50,
        connection_rate_per_ip=300,
        network_factor=3,
        ipv6_prefix=64,
        max_session_seconds=3600.0,
        descriptor_reserve=10,
    )


def test_section_2_backlog(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Sock(socket.socket):
        def listen(self, backlog: int = 0, /) -> None:
            asked.append(backlog)
            super().listen(backlog)

    monkeypatch.setattr(listening.socket, "socket", Sock)
    for each in listening.listen(host="127.0.0.1", port=0, unix=None, sock=None):
        each.close()
    assert asked == [1024]


def test_section_2_accept_errors() -> None:
    assert (accepting._RETRY_SECONDS, accepting._MAX_RETRY_SECONDS, accepting._LOG_SECONDS) == (0.005, 1.0, 60.0)


def test_section_3_defaults() -> None:
    expected = {
        "command": (300.0, 10.0),
        "auth_step": (60.0, 10.0),
        "auth_exchange": (180.0, 30.0),
        "data": (180.0, 10.0),
        "min_data_rate": (500.0, 2000.0),
        "tls_handshake": (60.0, 10.0),
        "proxy_header": (5.0, 2.0),
        "handler": (60.0, 60.0),
        "final": (300.0, 120.0),
        "write": (60.0, 10.0),
        "close": (5.0, 1.0),
        "drain_envelope": (10.0, 10.0),
    }
    usual = Server(Session, port=0)._shell.deadlines
    assert usual == Deadlines()
    pressed = usual.under_pressure()
    assert {name: (getattr(usual, name), getattr(pressed, name)) for name in expected} == expected
    assert set(expected) == set(Deadlines.__dataclass_fields__)
    assert inspect.signature(Server.drain).parameters["timeout_seconds"].default == 30.0


def test_section_4_defaults() -> None:
    has(
        max_command_line_bytes=2048,
        max_discard_bytes=65_536,
        max_auth_line_bytes=12_288,
        max_local_part_bytes=64,
        max_esmtp_params=20,
        max_message_bytes=26_214_400,
        max_header_bytes=MIB,
        max_hops=100,
        max_text_line_bytes=None,
        max_recipients=1000,
        max_unread_bytes=65_536,
        max_unsent_bytes=65_536,
        spool_total_memory_bytes=64 * MIB,
    )
    store = inspect.signature(Maildir).parameters
    assert store["spool_memory_bytes"].default == 256 * 1024
    assert store["spool_total_memory_bytes"].default == 64 * MIB
    assert store["spool_total_disk_bytes"].default == 1024 * MIB


def test_section_5_defaults() -> None:
    has(
        max_auth_failures=3,
        auth_failure_delay_seconds=1.0,
        auth_failures_per_ip_minute=10,
        auth_failures_per_ip_day=50,
        auth_failures_per_user=100,
        max_auth_checks=64,
        max_auth_checks_per_ip=4,
    )


async def test_section_7_nobody_looks_names_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither of the peer's address nor of what it says in EHLO."""
    asked: list[object] = []
    async with running() as server, await RawClient.open(server) as client:

        def look(*args: object) -> None:
            asked.append(args)
            raise OSError("nobody is asked")

        for name in ("getnameinfo", "gethostbyaddr", "getfqdn", "getaddrinfo", "gethostbyname"):
            monkeypatch.setattr(socket, name, look)
        for name in ("getnameinfo", "getaddrinfo"):
            monkeypatch.setattr(asyncio.get_running_loop(), name, look)
        await client.say(EHLO + ENV + "BDAT 1 LAST\r\nx", 4)
    assert asked == []


def test_section_9_watch() -> None:
    assert inspect.signature(Server).parameters["tls_watch_seconds"].default == 60.0


def test_section_11_defaults() -> None:
    pool = inspect.signature(ThreadPool).parameters
    assert [pool[name].default for name in ("threads", "queue", "max_abandoned")] == [32, 256, 8]
