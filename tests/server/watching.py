"""Somebody who looks on and keeps what it is told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from smtpx.server.listener import Server
from smtpx.server.observer import ConnectionSummary, ServerConnectionObserver, ServerObserver, TransactionSummary
from smtpx.server.peer import Peer
from tests.server.rig import RawClient, Recorder, eventually, recorders, running

__all__ = ["EVENTS", "PLAIN", "SECRETS", "Keeper", "codes", "watched", "whole"]

PLAIN = "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n"
SECRETS = ("AHVzZXIAc2VjcmV0", "c2VjcmV0", "dXNlcg==", "secret")
EVENTS = [name for name in vars(ServerConnectionObserver) if not name.startswith("_")]


class Keeper(ServerObserver):
    """Keeps what it is told, as tuples."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def connection_opened(self, peer: Peer) -> ServerConnectionObserver:
        self.events.append(("opened", peer.id))
        return _Connection(peer, self.events)

    def connection_refused(self, address: str, reason: str) -> None:
        self.events.append(("refused", address, reason))

    def limit_hit(self, address: str, limit: str, value: float) -> None:
        self.events.append(("limit", address, limit, value))

    def of(self, name: str) -> list[tuple[Any, ...]]:
        """What was told by one method."""
        return [event[1:] for event in self.events if event[0] == name]

    @property
    def transaction(self) -> TransactionSummary:
        """The only one."""
        ((transaction,),) = self.of("transaction_ended")
        assert isinstance(transaction, TransactionSummary)
        return transaction

    @property
    def summary(self) -> ConnectionSummary:
        """The only connection's."""
        ((summary,),) = self.of("closed")
        assert isinstance(summary, ConnectionSummary)
        return summary


class _Connection(ServerConnectionObserver):
    def __init__(self, peer: Peer, events: list[tuple[Any, ...]]) -> None:
        super().__init__(peer)
        for name in EVENTS:
            setattr(self, name, self._keep(name, events))

    @staticmethod
    def _keep(name: str, events: list[tuple[Any, ...]]) -> Any:  # noqa: ANN401 - a method of any form
        return lambda *args: events.append((name, *args))


@contextlib.asynccontextmanager
async def watched(
    session: Any = Recorder,  # noqa: ANN401 - a class or a factory
    **options: Any,  # noqa: ANN401 - those of Server
) -> AsyncIterator[tuple[Server, Keeper]]:
    keeper = Keeper()
    async with running(session, observer=keeper, **options) as server:
        yield server, keeper


async def whole(*turns: str, session: Any = None, **options: Any) -> Keeper:  # noqa: ANN401
    """Say each of these, wait for one reply at least, leave; gives what was told."""
    async with watched(session or recorders()[0], **options) as (server, keeper):
        async with await RawClient.open(server) as client:
            for turn in turns:
                await client.say(turn, 1)
                await asyncio.sleep(0.01)
        await eventually(lambda: bool(keeper.of("closed")))
    return keeper


def codes(keeper: Keeper) -> list[tuple[str, int]]:
    return [(command, reply.code) for command, reply in keeper.of("reply")]
