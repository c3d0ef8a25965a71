"""Many messages of a service: each to its provider, and those that may be sent again, again."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from smtpx.flows.outcome import SendResult
from smtpx.mailer.desk import Desk
from smtpx.mailer.groups import send_group
from smtpx.mailer.ledger import Ledger, each_of
from smtpx.mailer.provider import NotTriedError, Sendables
from smtpx.message.sendable import Sendable

__all__ = ["BulkRun"]


@dataclass(frozen=True, slots=True)
class _Parcel:
    """One of the messages on its way."""

    index: int
    message: Sendable


class BulkRun:
    """One call of `send_bulk`.

    The messages of one provider go as they come; those that name another wait until these are through.

    Args:
        main: the name of the provider that most of them are for.
        wanted: the name of the one that all of them are for, whatever they say.
    """

    def __init__(self, desk: Desk, ledger: Ledger, *, main: str, wanted: str | None) -> None:
        self._desk = desk
        self._ledger = ledger
        self._main = main
        self._wanted = wanted
        self._others: dict[str, deque[_Parcel]] = {}
        self._again: dict[str, deque[_Parcel]] = {}
        self._attempt = 1

    async def run(self, messages: Sendables) -> None:
        """Send them all."""
        async with aclosing(each_of(messages)) as source:
            await self._send_main(source)
        await self._send_groups(self._others)
        while self._again:
            groups, self._again = self._again, {}
            self._attempt += 1
            await self._desk.pause(self._attempt)
            await self._send_groups(groups)

    async def _send_main(self, source: AsyncGenerator[Sendable, None]) -> None:
        why_not = await self._send(self._main, self._first(source))
        if why_not is None:
            return
        async for parcel, _ in self._first(source):  # others may take theirs
            self._told(self._main, parcel, why_not)

    async def _first(self, messages: AsyncGenerator[Sendable, None]) -> AsyncGenerator[tuple[_Parcel, Sendable], None]:
        """Those for the main provider."""
        desk, ledger = self._desk, self._ledger
        async for message in messages:
            index = ledger.take(message, partial(desk.facts, message, self._wanted))
            try:
                name = desk.name_for(message, self._wanted)
                parcel = _Parcel(index, desk.prepare(message, name))
            except Exception as error:
                ledger.settle(index, error)
            else:
                if name == self._main:
                    ledger.begin(index, parcel.message)
                    yield parcel, parcel.message
                else:
                    self._others.setdefault(name, deque()).append(parcel)
            if desk.is_closed:
                return

    async def _send_groups(self, groups: Mapping[str, deque[_Parcel]]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for name, parcels in groups.items():
                tasks.create_task(self._send_group(name, parcels))

    async def _send_group(self, name: str, parcels: deque[_Parcel]) -> None:
        why_not = await self._send(name, self._rest(parcels))
        if why_not is not None:
            for parcel in parcels:
                self._told(name, parcel, why_not)

    async def _rest(self, parcels: deque[_Parcel]) -> AsyncGenerator[tuple[_Parcel, Sendable], None]:
        while parcels:
            parcel = parcels.popleft()
            self._ledger.begin(parcel.index, parcel.message)
            yield parcel, parcel.message

    async def _send(self, name: str, source: AsyncGenerator[tuple[_Parcel, Sendable], None]) -> NotTriedError | None:
        def tell(parcel: _Parcel, outcome: SendResult | Exception) -> None:
            self._told(name, parcel, outcome)

        return await send_group(name, self._desk.registry.entries[name].provider, source, tell)

    def _told(self, name: str, parcel: _Parcel, outcome: SendResult | Exception) -> None:
        if isinstance(outcome, Exception) and self._desk.may_repeat(outcome, self._attempt + 1):
            self._ledger.postpone(parcel.index)
            self._desk.tell_retry(name, self._attempt + 1, outcome)
            self._again.setdefault(name, deque()).append(parcel)
        else:
            self._ledger.settle(parcel.index, outcome)
