"""`send_many` of the client for asyncio: tasks, each with one connection at a time, and one that reads the source."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from typing import NamedTuple, Protocol

from smtpx.client.async_link import AsyncLink
from smtpx.client.bulk import Hold, Order, Run, SendManyOptions, SendOutcome
from smtpx.client.settings import ClientSettings
from smtpx.client.watch import bulk_messages
from smtpx.errors import SMTPXError

__all__ = ["AsyncCrew", "AsyncPool"]


class _Acquire(Protocol):
    def __call__(self, *, fresh: bool) -> Awaitable[AsyncLink]: ...


class AsyncPool(NamedTuple):
    """What a crew needs of its client. `note` learns from errors."""

    acquire: _Acquire
    release: Callable[[AsyncLink | None], Awaitable[None]]
    note: Callable[[SMTPXError], None]
    is_wanted: Callable[[], bool]


class AsyncCrew:
    """The tasks of one run. They are made when there is work for them, and gone when the run is over."""

    def __init__(
        self, settings: ClientSettings, options: SendManyOptions, pool: AsyncPool, crews: "set[AsyncCrew]"
    ) -> None:
        self._pool = pool
        self._run = Run(settings.limits, options, wake=self._wake, begin=bulk_messages(settings))
        self._crews = crews  # all of the client's that are at work
        self._tasks: list[asyncio.Task[None]] = []
        self._signals = [asyncio.Event() for _ in range(3)]
        self._something_done, self._something_to_do, self._room = self._signals
        self._failure: Exception | None = None

    async def outcomes(self, messages: "Iterable[object] | AsyncIterable[object]") -> AsyncGenerator[SendOutcome]:
        """What became of each message."""
        run = self._run
        self._crews.add(self)
        try:
            self._tasks.append(asyncio.create_task(self._feed(messages)))
            while not run.is_over:
                outcome = run.next_outcome()
                if outcome is not None:
                    self._room.set()
                    yield outcome
                    continue
                run.check()
                self._something_done.clear()
                await self._something_done.wait()
        finally:
            await self.stop()
            self._crews.discard(self)
        if self._failure is not None:
            raise self._failure

    def _wake(self) -> None:
        self._something_done.set()
        self._something_to_do.set()

    async def _feed(self, messages: "Iterable[object] | AsyncIterable[object]") -> None:
        try:
            if isinstance(messages, AsyncIterable):
                async for given in messages:
                    await self._add(given)
            else:
                for given in messages:
                    await self._add(given)
        except Exception as error:
            self._failure = error
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._run.crash = error
        finally:
            self._run.has_ended = True
            self._wake()

    async def _add(self, given: object) -> None:
        if self._run.add(given):
            self._tasks.append(asyncio.create_task(self._work()))
        while not self._run.has_room:
            self._room.clear()
            await self._room.wait()

    async def stop(self) -> None:
        """Cut off what is under way, and see the tasks out."""
        self._run.is_stopped = True
        me = asyncio.current_task()
        left = [task for task in self._tasks if task is not me]
        for task in left:
            task.cancel()
        self._wake()
        await asyncio.gather(*left, return_exceptions=True)
        self._run.give_up()

    async def _take(self) -> Order:
        """The next order, when there is one."""
        run = self._run
        while (order := run.take()) is None:
            run.idles(1)
            self._something_to_do.clear()
            try:
                await self._something_to_do.wait()
            finally:
                run.idles(-1)
        return order

    async def _work(self) -> None:
        run = self._run
        connected = fresh = gave_up = False
        crash: BaseException | None = None
        try:
            while True:
                order = await self._take()
                try:
                    link = await self._pool.acquire(fresh=fresh)
                except Exception as error:
                    if run.not_connected(order, error):
                        continue
                    gave_up = True
                    return
                run.connected(first=not connected)
                connected = True
                fresh = await self._send(link, order)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            crash = error
        finally:
            run.leaves(connected=connected, crash=crash, gave_up=gave_up)

    async def _send(self, link: AsyncLink, order: Order) -> bool:
        """Work on one connection as long as there is anything to send; True if the next must be a new one."""
        needs_other = False
        pool = self._pool
        hold = Hold(self._run, link.conversation, order, wanted=pool.is_wanted)
        try:
            while link.conversation.is_reusable:
                error = await link.fly(hold)
                if error is not None:
                    pool.note(error)
                alone = hold.take_alone()
                if alone is None:
                    break
                if not await self._send_alone(link, hold, alone):
                    needs_other = True
                    break
        finally:
            hold.end()
            lost = not link.is_open
            wanted = pool.is_wanted()
            await pool.release(link)
            if wanted:
                await asyncio.sleep(0)  # so that whoever waited for it gets it
        return lost or needs_other

    async def _send_alone(self, link: AsyncLink, hold: Hold, order: Order) -> bool:
        """False if the rest of its recipients needs another connection."""
        try:
            mail = self._run.prepare(order)
            result = await link.send(mail, order.wishes, strict=order.strict, smtputf8=order.smtputf8)
        except Exception as error:
            if isinstance(error, SMTPXError):
                self._pool.note(error)
            hold.failed_alone(order, error)
        else:
            if result is None:
                hold.alone = order  # on another connection it goes on
                return False
            hold.sent_alone(order, result)
        return True
