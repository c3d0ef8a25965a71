"""Observers that are no good, or want to know nothing, change nothing; and what a summary says."""

import logging
from typing import Any

import pytest

from smtpx.protocol import replies
from smtpx.protocol.events import AbortCause
from smtpx.server.listener import Listener
from smtpx.server.observer import ServerConnectionObserver, ServerObserver, TransactionSummary, shielded
from smtpx.server.peer import Peer
from smtpx.wire.reply import Reply
from tests.server.rig import EHLO, ENV, RawClient, fresh_server_tls, recorders, running
from tests.server.watching import PLAIN, Keeper


@pytest.mark.parametrize(
    ("verdicts", "recipients", "refused", "given_up", "outcome"),
    [
        ((replies.MESSAGE_OK,), 1, 0, None, "accepted"),
        ((replies.TOO_LARGE, replies.MESSAGE_OK), 2, 0, None, "accepted"),
        ((replies.TOO_LARGE,), 1, 0, AbortCause.REFUSED, "refused"),
        ((), 1, 0, AbortCause.REFUSED, "refused"),
        ((), 0, 2, None, "refused"),
        ((), 1, 2, None, "abandoned"),
        ((), 0, 0, AbortCause.LOST, "abandoned"),
    ],
)
def test_outcome(
    verdicts: tuple[Reply, ...], recipients: int, refused: int, given_up: AbortCause | None, outcome: str
) -> None:
    summary = TransactionSummary(
        id="x.1",
        sender="",
        recipients=recipients,
        refused_recipients=refused,
        command="",
        octets=0,
        verdicts=verdicts,
        given_up=given_up,
        seconds=0,
        content_seconds=0,
        verdict_seconds=0,
    )
    assert summary.outcome == outcome


async def test_one_that_can_not_even_begin(caplog: pytest.LogCaptureFixture) -> None:
    class Worse(ServerObserver):
        def connection_opened(self, peer: Peer) -> ServerConnectionObserver | None:
            raise ZeroDivisionError("opened")

        def connection_refused(self, address: str, reason: str) -> None:
            raise ZeroDivisionError("refused")

        def limit_hit(self, address: str, limit: str, value: float) -> None:
            raise ZeroDivisionError("limit")

    async with running(recorders()[0], observer=Worse()) as server, await RawClient.open(server) as client:
        await client.probe()
    observer = shielded(Worse())
    assert observer is not None
    observer.connection_refused("192.0.2.1", "why")
    observer.limit_hit("192.0.2.1", "max_connections", 1)
    assert [record.message.split("] ")[-1] for record in caplog.records if record.exc_info] == [
        "connection_opened of the observer raised",
        "connection_refused of the observer raised",
        "limit_hit of the observer raised",
    ]


async def test_who_looks_on_need_not_look_at_everything(caplog: pytest.LogCaptureFixture) -> None:
    """Observers that override nothing, and one that wants to know nothing of a connection."""

    class Plain(ServerObserver):
        def connection_opened(self, peer: Peer) -> ServerConnectionObserver | None:
            return ServerConnectionObserver(peer)

    tls = fresh_server_tls()
    for observer in (Plain(), ServerObserver()):
        options: dict[str, Any] = {"listeners": [Listener(port=0, tls=tls)], "observer": observer}
        async with running(recorders()[0], **options) as server, await RawClient.open(server) as client:
            await client.say(EHLO)
            await client.say("STARTTLS\r\n")
            await client.start_tls()
            await client.say(EHLO + PLAIN, 2)
            await client.say(ENV + "DATA\r\n", 3)
            await client.say("x\r\n.\r\nQUIT\r\n", 2)
    nobody = ServerConnectionObserver(None)  # type: ignore[arg-type] # looked at by nobody
    assert nobody.tls_failed("eof") is nobody.hook_failed("mail", "x", ValueError()) is None
    assert nobody.deadline_passed("command") is None
    assert ServerObserver().limit_hit("192.0.2.1", "max_connections", 1000) is None
    assert ServerObserver().connection_refused("192.0.2.1", "why") is None
    assert shielded(None) is None
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_limits_are_told_as_they_are() -> None:
    keeper = Keeper()
    observer = shielded(keeper)
    assert observer is not None
    observer.limit_hit("192.0.2.1", "max_connections", 5)
    assert keeper.events == [("limit", "192.0.2.1", "max_connections", 5)]
