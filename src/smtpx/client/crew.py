"""`send_many` of the blocking client: threads, each with one connection at a time, and the caller's own."""

import contextvars
import threading
from collections.abc import Callable, Generator, Iterable
from typing import NamedTuple, Protocol

from smtpx.client.bulk import GIVEN_UP, Hold, Order, Run, SendManyOptions, SendOutcome
from smtpx.client.link import Link
from smtpx.client.settings import ClientSettings
from smtpx.client.watch import bulk_messages
from smtpx.errors import LocalProtocolError, SMTPXError
from smtpx.net.sockets import SocketStream

__all__ = ["Crew", "Pool", "Worker"]


class _Acquire(Protocol):
    def __call__(self, *, fresh: bool, worker: "Worker") -> Link: ...


class Pool(NamedTuple):
    """What a crew needs of its client. `note` learns from errors; `wake` makes waiting workers look again."""

    acquire: _Acquire
    release: Callable[[Link | None], None]
    note: Callable[[SMTPXError], None]
    is_wanted: Callable[[], bool]
    wake: Callable[[], None]


class Crew:
    """The threads of one run. They are made when there is work for them, and gone when the run is over."""

    def __init__(self, settings: ClientSettings, options: SendManyOptions, pool: Pool, crews: "set[Crew]") -> None:
        self._change = threading.Condition()
        self.pool = pool
        begin = bulk_messages(settings)
        self.run = Run(settings.limits, options, wake=self._wake, lock=self._change, begin=begin)
        self._workers: list[Worker] = []
        self._crews = crews  # all of the client's that are at work

    def outcomes(self, messages: Iterable[object]) -> Generator[SendOutcome]:
        """What became of each message. The source is read here, in the caller's own thread."""
        run, source = self.run, iter(messages)
        failure: Exception | None = None
        self._crews.add(self)
        try:
            while not run.is_over:
                # One for one: the window grows while there is nothing to give out, and a slow source holds back little.
                if run.has_room and not run.has_ended:
                    try:
                        given = next(source, self)
                    except Exception as error:
                        failure, given = error, self
                    if given is self:
                        run.has_ended = True
                    elif run.add(given):
                        self._start()
                outcome = run.next_outcome() or (self._wait() if run.has_ended or not run.has_room else None)
                if outcome is not None:
                    yield outcome
        finally:
            self.stop()
            self._crews.discard(self)
        if failure is not None:
            raise failure

    def _wake(self) -> None:
        with self._change:
            self._change.notify_all()

    def _wait(self) -> SendOutcome | None:
        """The next outcome, when it is there; None if there will be none."""
        with self._change:
            while (outcome := self.run.next_outcome()) is None and not self.run.is_over:
                self.run.check()
                self._change.wait()
        return outcome

    def _start(self) -> None:
        worker = Worker(self)
        self._workers.append(worker)
        worker.thread.start()

    def take(self) -> Order | None:
        """The next order, when there is one; None when there will be none."""
        run = self.run
        while (order := run.take()) is None:
            with self._change:
                run.idles(1)
                while not run.has_work and not run.needs_nobody:
                    self._change.wait()
                run.idles(-1)
            if run.needs_nobody:
                return None
        return order

    def stop(self) -> None:
        """Cut off what is under way, and see the threads out."""
        self.run.is_stopped = True
        for worker in self._workers:
            worker.interrupt()
        self._wake()
        self.pool.wake()
        for worker in self._workers:
            # Nobody can hurry a system that connects; such a thread closes what it gets, and ends by itself.
            worker.thread.join(1.0 if worker.is_connecting else None)
        self.run.give_up()


class Worker:
    """One thread.

    Attributes:
        is_connecting: it waits for a connection to come about.
    """

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._stream: SocketStream | None = None
        self._link: Link | None = None
        self.is_connecting = False
        context = contextvars.copy_context()
        self.thread = threading.Thread(target=context.run, args=(self._work,), name="smtpx-send-many", daemon=True)

    def check(self) -> None:
        """See that there is anything to do yet.

        Raises:
            LocalProtocolError: if the run is stopped.
        """
        if self._crew.run.is_stopped:
            raise LocalProtocolError(GIVEN_UP)

    def watch(self, stream: SocketStream) -> None:
        """A connection stands."""
        self._stream, self.is_connecting = stream, False
        self.check()

    def interrupt(self) -> None:
        """For another thread: end what this one waits for."""
        for each in (self._stream, self._link):
            if each is not None:
                each.interrupt()

    def _work(self) -> None:
        run = self._crew.run
        connected = fresh = gave_up = False
        crash: BaseException | None = None
        try:
            while (order := self._crew.take()) is not None:
                try:
                    link = self._connect(fresh=fresh)
                except Exception as error:
                    if run.not_connected(order, error):
                        continue
                    gave_up = True
                    return
                run.connected(first=not connected)
                connected = True
                fresh = self._send(link, order)
        except BaseException as error:
            crash = error
        finally:
            run.leaves(connected=connected, crash=crash, gave_up=gave_up)

    def _connect(self, *, fresh: bool) -> Link:
        self.is_connecting = True
        try:
            return self._crew.pool.acquire(fresh=fresh, worker=self)
        finally:
            self._stream, self.is_connecting = None, False

    def _send(self, link: Link, order: Order) -> bool:
        """Work on one connection as long as there is anything to send; True if the next must be a new one."""
        needs_other = False
        pool, run = self._crew.pool, self._crew.run
        hold = Hold(run, link.conversation, order, wanted=pool.is_wanted)
        self._link = link
        try:
            while link.conversation.is_reusable and not run.is_stopped:
                error = link.fly(hold)
                if error is not None:
                    pool.note(error)
                alone = hold.take_alone()
                if alone is None:
                    break
                if not self._send_alone(link, hold, alone):
                    needs_other = True
                    break
        finally:
            self._link = None
            hold.end()
            lost = not link.is_open
            if run.is_stopped:
                link.close()
            pool.release(link)
        return lost or needs_other

    def _send_alone(self, link: Link, hold: Hold, order: Order) -> bool:
        """False if the rest of its recipients needs another connection."""
        try:
            mail = self._crew.run.prepare(order)
            result = link.send(mail, order.wishes, strict=order.strict, smtputf8=order.smtputf8)
        except Exception as error:
            if isinstance(error, SMTPXError):
                self._crew.pool.note(error)
            hold.failed_alone(order, error)
        else:
            if result is None:
                hold.alone = order  # on another connection it goes on
                return False
            hold.sent_alone(order, result)
        return True
