"""Rates by address and by user, on a real server and with a clock of our own."""

import logging

import pytest

from smtpx.server.hooks import own_methods
from smtpx.server.middleware import Stack
from smtpx.server.observer import ServerObserver
from smtpx.server.rate import Rate
from smtpx.server.rate_limit import RateLimit
from smtpx.server.session import Session
from tests.server.rig import EHLO, ENV, MAIL, RCPT, RawClient, Recorder, running

LOGIN = "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n"


class Watching(ServerObserver):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.hits: list[tuple[str, str, float]] = []

    def limit_hit(self, address: str, limit: str, value: float) -> None:
        self.hits.append((address, limit, value))


async def test_messages_by_address(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "smtpx.server")
    now, observer = [0.0], Watching()
    limit = RateLimit(messages_per_address=Rate(2, per_seconds=60), clock=lambda: now[0], observer=observer)
    async with running(Stack(Session, limit)) as server:
        for _ in range(2):  # two connections, one address
            async with await RawClient.open(server) as client:
                assert await client.say(EHLO + MAIL, 2) == ["250", "250 2.1.0"]
        async with await RawClient.open(server) as client:
            await client.say(EHLO)
            for _ in range(3):
                await client.send(MAIL)
                refusal = await client.reply()
                assert str(refusal) == "451 4.7.1 too many messages; try again in 30 s"
            await client.probe()
            now[0] = 30.0
            assert await client.say(ENV, 2) == ["250 2.1.0", "250 2.1.5"]
    assert observer.hits == [("127.0.0.1", "messages_per_address", 2)] * 3
    lines = [record for record in caplog.records if "messages_per_address: more than 2 in 60 s" in record.message]
    assert len(lines) == 1
    assert lines[0].__dict__["peer"] == "127.0.0.1"


async def test_recipients_by_address() -> None:
    limit = RateLimit(recipients_per_address=Rate(3, per_seconds=3600), clock=lambda: 0.0)
    async with running(Stack(Session, limit)) as server, await RawClient.open(server) as client:
        await client.say(EHLO + MAIL, 2)
        assert await client.say(RCPT * 4, 4) == ["250 2.1.5"] * 3 + ["451 4.7.1"]
        await client.say("DATA\r\n")
        assert await client.say("x\r\n.\r\n") == ["250 2.0.0"]  # those that were taken get it
        assert await client.say(MAIL + RCPT, 2) == ["250 2.1.0", "451 4.7.1"]


async def test_by_user_from_wherever() -> None:
    limit = RateLimit(
        messages_per_user=Rate(1, per_seconds=60),
        messages_per_address=Rate(1),
        exempt=["127.0.0.0/8"],
        clock=lambda: 0.0,
    )
    async with running(Stack(Recorder, limit), allow_insecure_auth=True) as server:
        for expected in ("250 2.1.0", "451 4.7.1"):
            async with await RawClient.open(server) as client:
                await client.say(EHLO + LOGIN, 2)
                assert await client.say(MAIL) == [expected]
        async with await RawClient.open(server) as client:  # nobody in particular
            assert await client.say(EHLO + MAIL, 2) == ["250", "250 2.1.0"]


async def test_both_together_and_neither() -> None:
    assert own_methods(Stack(Session, RateLimit())()) == frozenset()
    both = RateLimit(messages_per_address=Rate(9), recipients_per_user=Rate(1, per_seconds=60), clock=lambda: 0.0)
    assert own_methods(Stack(Session, both)()) == {"mail", "rcpt"}
    async with (
        running(Stack(Recorder, both), allow_insecure_auth=True) as server,
        await RawClient.open(server) as client,
    ):
        await client.say(EHLO + LOGIN + MAIL, 3)
        assert await client.say(RCPT * 2, 2) == ["250 2.1.5", "451 4.7.1"]
