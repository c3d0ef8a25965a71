"""Sessions that block: in threads, bounded, on a real server."""

import asyncio
import errno
import functools
import logging
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pytest

from smtpx.errors import ConfigurationError
from smtpx.protocol.dialect import LMTP
from smtpx.sasl import Credentials, Secret
from smtpx.server import threads as threads_module
from smtpx.server.context import Key, current_session
from smtpx.server.session import Reject, Session, ok
from smtpx.server.settings import Deadlines
from smtpx.server.threads import BlockingSession, ThreadPool, in_threads
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply
from tests.server.rig import EHLO, ENV, MAIL, OPEN, RawClient, eventually, running

SEEN: Key[list[str]] = Key("seen")


class Gate:
    """Calls that go on until they are let go."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.inside = 0
        self._lock = threading.Lock()

    def wait(self, result: object = None) -> object:
        """Wait at the gate."""
        with self._lock:
            self.inside += 1
        self.opened.wait(20)
        with self._lock:
            self.inside -= 1
        return result


@contextmanager
def gate() -> Iterator[Gate]:
    made = Gate()
    try:
        yield made
    finally:
        made.opened.set()


# The pool ------------------------------------------------------------------------------------------------------------


async def test_what_a_call_gives_and_raises() -> None:
    pool = ThreadPool(1)
    assert await pool.run(divmod, 7, 3) == (2, 1)
    with pytest.raises(ZeroDivisionError):
        await pool.run(divmod, 7, 0)
    with pytest.raises(RuntimeError):  # as in any coroutine
        await pool.run(next, iter(()))
    assert await pool.run(threading.get_ident) != threading.get_ident()


@pytest.mark.parametrize("options", [{"threads": 0}, {"queue": -1}, {"max_abandoned": -1}])
def test_pools_that_make_no_sense(options: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError):
        ThreadPool(**options)


async def test_threads_and_queue_are_bounded() -> None:
    pool = ThreadPool(3, queue=2)
    with gate() as blocked:
        calls = [asyncio.create_task(pool.run(blocked.wait, number)) for number in range(5)]
        await eventually(lambda: blocked.inside == 3)
        with pytest.raises(Reject, match=r"451 4\.3\.0 too busy"):
            await pool.run(print)
        assert pool._threads == 3
        blocked.opened.set()
        assert await asyncio.gather(*calls) == [0, 1, 2, 3, 4]
    assert await pool.run(str, 1) == "1"


async def test_no_queue_at_all() -> None:
    pool = ThreadPool(1, queue=0)
    with gate() as blocked:
        call = asyncio.create_task(pool.run(blocked.wait))
        await eventually(lambda: blocked.inside == 1)
        with pytest.raises(Reject):
            await pool.run(print)
        blocked.opened.set()
        await call
    await eventually(lambda: pool._idle == 1)
    assert await pool.run(str, 1) == "1"


async def test_threads_end_when_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads_module, "_IDLE_SECONDS", 0.01)
    pool = ThreadPool(4)
    await asyncio.gather(*(pool.run(str, number) for number in range(20)))
    await eventually(lambda: pool._threads == 0)
    assert await pool.run(str, 1) == "1"
    await eventually(lambda: pool._threads == 0)


async def test_abandoned_calls_are_counted_and_their_threads_replaced(caplog: pytest.LogCaptureFixture) -> None:
    pool = ThreadPool(2, queue=4, max_abandoned=2)
    with gate() as blocked:
        for round_ in range(1, 4):
            calls = [asyncio.create_task(pool.run(blocked.wait)) for _ in range(2)]
            await eventually(lambda: blocked.inside == min(2 * round_, 4))  # noqa: B023 - called here only
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            assert pool.abandoned == min(2 * round_, 4)
            assert pool.is_healthy is (round_ == 1)
        assert pool._threads == 4  # and no more, whatever happens
        assert "4 of them go on" in caplog.text
        blocked.opened.set()
        await eventually(lambda: pool.abandoned == 0)
    assert pool.is_healthy
    assert await pool.run(str, 1) == "1"
    await eventually(lambda: pool._threads <= 2)


async def test_what_waits_behind_an_abandoned_call_gets_a_new_thread() -> None:
    pool = ThreadPool(1)
    with gate() as blocked:
        first = asyncio.create_task(pool.run(blocked.wait))
        await eventually(lambda: blocked.inside == 1)
        second = asyncio.create_task(pool.run(str, 2))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == "2"


async def test_a_call_that_was_cancelled_before_it_began_is_never_made() -> None:
    pool = ThreadPool(1)
    with gate() as blocked:
        first = asyncio.create_task(pool.run(blocked.wait))
        await eventually(lambda: blocked.inside == 1)
        second = asyncio.create_task(pool.run(blocked.wait))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        assert (pool.abandoned, len(pool._waiting)) == (0, 0)
        blocked.opened.set()
        await first


async def test_cancelled_when_it_is_over_already() -> None:
    pool = ThreadPool(1)
    job = pool.submit(str, 1)
    await eventually(lambda: job.is_over)
    waiting = asyncio.create_task(pool.result(job))
    await asyncio.sleep(0)
    pool._abandon(job)
    assert pool.abandoned == 0
    assert not pool.after(job, print)
    assert await waiting == "1"


def test_a_loop_that_ends_before_its_call() -> None:
    with gate() as blocked:
        pool = ThreadPool(1)

        async def leave() -> None:
            call = asyncio.create_task(pool.run(blocked.wait))
            await eventually(lambda: blocked.inside == 1)
            call.cancel()

        asyncio.run(leave())
        assert pool.abandoned == 1
        blocked.opened.set()
        asyncio.run(eventually(lambda: pool.abandoned == 0))
        assert asyncio.run(pool.run(str, 1)) == "1"


async def test_what_is_to_be_done_behind_a_call(caplog: pytest.LogCaptureFixture) -> None:
    pool = ThreadPool(1)
    done: list[int] = []
    with gate() as blocked:
        job = pool.submit(blocked.wait)
        await eventually(lambda: blocked.inside == 1)
        assert pool.after(job, lambda: 1 / 0)
        assert pool.after(job, lambda: done.append(1))
        blocked.opened.set()
        await pool.result(job)
    assert done == [1]
    assert "behind an abandoned call" in caplog.text


# Sessions ------------------------------------------------------------------------------------------------------------


class Keeper(BlockingSession):
    """Keeps what it is given, and where it was called."""

    made: list["Keeper"] = []  # noqa: RUF012 - replaced by `keepers`

    def __init__(self, text: str = "kept") -> None:
        self.text = text
        self.calls: list[tuple[str, Any]] = []
        self.idents: set[int] = set()
        self.made.append(self)

    def keep(self, name: str, value: object = None) -> None:
        self.calls.append((name, value))
        self.idents.add(threading.get_ident())
        self.context[SEEN] = [*self.context.get(SEEN, []), name]
        session = current_session()
        assert session is not None
        assert session.peer is self.peer

    def connect(self) -> Reply | None:
        self.keep("connect", self.peer.address)
        return None

    def hello(self, verb: str, name: str) -> Reply | None:
        self.keep("hello", name)
        return None

    def authenticate(self, identity: Credentials) -> Reply | None:
        self.keep("authenticate", identity.username)
        if not identity.is_password("secret"):
            raise Reject.bad_credentials()
        return None

    def lookup(self, mechanism: str, username: str) -> Secret | None:
        self.keep("lookup", mechanism)
        return None

    def mail(self, sender: Mailbox, params: Params) -> Reply | None:
        self.keep("mail", str(sender))
        return None

    def rcpt(self, recipient: Mailbox, params: Params) -> Reply | None:
        self.keep("rcpt", str(recipient))
        return None

    def data(self, message: BinaryIO) -> Reply | None:
        self.keep("data", message.read())
        return ok(self.text)

    def reset(self) -> None:
        self.keep("reset")

    def close(self) -> None:
        self.keep("close")


def keepers(kind: type[Keeper] = Keeper) -> tuple[type[Keeper], list[Keeper]]:
    made: list[Keeper] = []
    return type(kind.__name__, (kind,), {"made": made}), made


async def test_all_methods_are_called_in_threads() -> None:
    kind, made = keepers()
    async with (
        running(in_threads(functools.partial(kind, "thanks")), allow_insecure_auth=True) as server,
        await RawClient.open(server) as client,
    ):
        await client.say(EHLO)
        assert await client.say("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n") == ["235 2.7.0"]
        await client.say(ENV + "DATA\r\n", 3)
        await client.send("x\r\n.\r\n")
        assert (await client.reply()).text == "thanks"
        (keeper,) = made
        await eventually(lambda: keeper.calls[-1][0] == "reset")
    names = [name for name, _ in keeper.calls]
    assert names == ["connect", "hello", "authenticate", "mail", "rcpt", "data", "reset", "close"]
    assert ("data", b"x\r\n") in keeper.calls
    assert threading.get_ident() not in keeper.idents
    assert keeper.context[SEEN] == names


async def test_methods_that_are_not_overridden_are_not_called() -> None:
    class Deaf(BlockingSession):
        def lookup(self, mechanism: str, username: str) -> Secret | None:
            return None

    pool = ThreadPool(1)
    async with (
        running(in_threads(Deaf, pool=pool), allow_insecure_auth=True) as server,
        await RawClient.open(server) as client,
    ):
        assert (await client.say(OPEN, 4))[-1] == "354"
        assert await client.say("x\r\n.\r\n") == ["250 2.0.0"]
        assert pool._threads == 0
        assert await client.say("AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9YWJj\r\n") == ["334"]
        assert pool._threads == 1


def test_methods_that_do_nothing() -> None:
    session: Any = BlockingSession()
    for name, count in {
        "connect": 0,
        "hello": 2,
        "authenticate": 1,
        "lookup": 2,
        "mail": 2,
        "rcpt": 2,
        "data": 1,
    }.items():
        assert getattr(session, name)(*range(count)) is None
    for name, count in {"command": 2, "reset": 0, "close": 0}.items():
        assert getattr(session, name)(*range(count)) is None


@pytest.mark.parametrize("wrong", [Session, lambda: BlockingSession(), functools.partial(Session)])
def test_what_is_no_blocking_session(wrong: Any) -> None:  # noqa: ANN401
    with pytest.raises(ConfigurationError, match="subclass of BlockingSession"):
        in_threads(wrong)


class Slow(Keeper):
    """Waits at a gate."""

    gate: Gate

    def mail(self, sender: Mailbox, params: Params) -> Reply | None:
        self.gate.wait()
        return None


def slow(blocked: Gate) -> tuple[type[Keeper], list[Keeper]]:
    kind, made = keepers(Slow)
    kind.gate = blocked  # type: ignore[attr-defined]
    return kind, made


async def test_a_full_queue_is_a_temporary_refusal() -> None:
    """server-hardening 11, in small: the loop serves others meanwhile."""
    pool = ThreadPool(2, queue=1)
    with gate() as blocked:
        kind, made = slow(blocked)
        async with running(in_threads(kind, pool=pool)) as server:
            clients = [await RawClient.open(server) for _ in range(4)]
            for client in clients:
                await client.say(EHLO)
            for client in clients[:3]:
                await client.send(MAIL)
            await eventually(lambda: blocked.inside == 2 and len(pool._waiting) == 1)
            assert await clients[3].say(MAIL) == ["451 4.3.0"]
            assert await clients[3].say("NOOP\r\n") == ["250 2.0.0"]
            blocked.opened.set()
            for client in clients[:3]:
                assert await client.codes(1) == ["250 2.1.0"]
            assert await clients[3].say(MAIL) == ["250 2.1.0"]
            for client in clients:
                client.sock.close()
            await eventually(lambda: server.connections == 0)
    assert all(keeper.calls[-1] == ("close", None) for keeper in made)


async def test_a_call_that_never_returns() -> None:
    """Answered at the deadline, abandoned; nothing else is called for that client until it is over, then close is."""
    pool = ThreadPool(2, max_abandoned=0)
    with gate() as blocked:
        kind, made = slow(blocked)
        async with running(in_threads(kind, pool=pool), deadlines=Deadlines(handler=0.1)) as server:
            async with await RawClient.open(server) as client:
                await client.say(EHLO)
                assert await client.say(MAIL) == ["451 4.3.0"]
                assert (pool.abandoned, pool.is_healthy) == (1, False)
                assert list(pool.health_problems()) == ["1 blocking calls go on that nobody waits for"]
                assert await client.say("RSET\r\n") == ["421 4.3.0"]
                await client.closed()
            await eventually(lambda: server.connections == 0)
            assert [name for name, _ in made[0].calls] == ["connect", "hello"]
            blocked.opened.set()
            await eventually(lambda: made[0].calls[-1] == ("close", None))
            await eventually(lambda: pool.is_healthy)
            assert list(pool.health_problems()) == []


async def test_close_and_reset_don_t_mind_a_full_queue() -> None:
    pool = ThreadPool(1, queue=0)
    kind, made = keepers()
    with gate() as blocked:
        async with running(in_threads(kind, pool=pool)) as server, await RawClient.open(server) as client:
            await client.say(EHLO)
            other = asyncio.create_task(pool.run(blocked.wait))
            await eventually(lambda: blocked.inside == 1)
            await client.send("RSET\r\n")
            await client.silence(0.02)
            blocked.opened.set()
            await other
            assert await client.codes(1) == ["250 2.0.0"]
    assert [name for name, _ in made[0].calls] == ["connect", "hello", "reset", "close"]


# Bodies --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 262_144, 262_145, 3_000_000])
async def test_bodies_of_all_sizes(size: int) -> None:
    kind, made = keepers()
    content = b"\r\n" + (b"x" * 998 + b"\r\n") * (size // 1000)
    content = content[: max(size - 2, 0)] + b"\r\n"
    content = content.replace(b"\r\r", b"x\r")
    async with running(in_threads(kind)) as server, await RawClient.open(server) as client:
        await client.say(EHLO + ENV, 3)
        await client.send(f"BDAT {len(content)} LAST\r\n".encode() + content)
        assert await client.codes(1) == ["250 2.0.0"]
    assert dict(made[0].calls)["data"] == content


def the_file(made: list[BinaryIO]) -> Callable[[], BinaryIO]:
    make = threads_module.tempfile.TemporaryFile

    def opened() -> BinaryIO:
        made.append(make())
        return made[-1]

    return opened


@pytest.mark.parametrize("how", ["sent", "lost", "full", "broken", "refused"])
async def test_temporary_files_are_closed(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(Keeper):
        def data(self, message: BinaryIO) -> Reply | None:
            raise Reject.content_refused()

    def fail() -> BinaryIO:
        raise OSError(errno.ENOSPC if how == "full" else errno.EIO, "no")

    made: list[BinaryIO] = []
    monkeypatch.setattr(threads_module.tempfile, "TemporaryFile", fail if how in ("full", "broken") else the_file(made))
    kind, keeping = keepers(Refusing if how == "refused" else Keeper)
    async with running(in_threads(kind)) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        await client.send(b"x" * 500_000 + b"\r\n")
        if how == "lost":
            await eventually(lambda: bool(made))
            client.sock.close()
            await eventually(lambda: server.connections == 0)
        else:
            codes = {"sent": "250 2.0.0", "full": "452 4.3.1", "broken": "451 4.3.0", "refused": "550 5.6.0"}
            assert await client.say(b".\r\n") == [codes[how]]
    assert all(file.closed for file in made)
    assert len(made) == (how in ("sent", "lost", "refused"))
    assert ("data" in dict(keeping[0].calls)) is (how == "sent")


async def test_a_message_that_does_not_arrive_is_not_shown() -> None:
    kind, made = keepers()
    async with running(in_threads(kind)) as server:
        async with await RawClient.open(server) as client:
            await client.say(OPEN, 4)
            await client.send("half")
        await eventually(lambda: server.connections == 0)
    assert [name for name, _ in made[0].calls] == ["connect", "hello", "mail", "rcpt", "close"]


async def test_a_data_that_never_returns_keeps_its_file(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    read: list[bytes] = []
    with gate() as blocked:

        class Reading(Keeper):
            def data(self, message: BinaryIO) -> Reply | None:
                blocked.wait()
                read.append(message.read())
                return None

        kind, _ = keepers(Reading)
        async with (
            running(in_threads(kind), deadlines=Deadlines(final=0.1)) as server,
            await RawClient.open(server) as client,
        ):
            await client.say(OPEN, 4)
            assert await client.say(b"x\r\n.\r\n") == ["451 4.3.0"]
            blocked.opened.set()
            await eventually(lambda: read == [b"x\r\n"])


def test_nothing_keeps_the_process_from_ending() -> None:
    script = """
        import asyncio, threading
        from smtpx.server.threads import ThreadPool

        async def main():
            call = asyncio.create_task(ThreadPool().run(threading.Event().wait))
            await asyncio.sleep(0.05)
            call.cancel()

        asyncio.run(main())
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=30)


# Verdicts from threads ------------------------------------------------------------------------------------------------


class Teller(BlockingSession):
    """Gives verdicts from its thread, one by one."""

    gate: Gate
    errors: list[str]

    def rcpt(self, recipient: Mailbox, params: Params) -> Reply | None:
        self.attempt(recipient, ok())
        return None

    def data(self, message: BinaryIO) -> Reply | None:
        self.verdict("b@x.example", ok("kept"))
        self.gate.wait()
        self.attempt("b@x.example", ok())
        self.attempt("nobody@x.example", ok())
        self.verdict("c@x.example", Reply(550, None, ("no",)))
        return None

    def attempt(self, recipient: Mailbox | str, reply: Reply) -> None:
        try:
            self.verdict(recipient, reply)
        except (ValueError, RuntimeError) as error:
            self.errors.append(str(error))


LHLO = "LHLO x\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nRCPT TO:<c@x.example>\r\nDATA\r\n"


async def test_verdicts_from_a_thread_leave_at_once() -> None:
    with gate() as held:
        kind = type("Told", (Teller,), {"gate": held, "errors": []})
        async with running(in_threads(kind), dialect=LMTP) as server, await RawClient.open(server) as client:
            await client.say(LHLO, 5)
            assert (await client.say("x\r\n.\r\n"))[0].startswith("250")
            held.opened.set()
            assert (await client.reply()).code == 550
        nothing = "there is no message to give a verdict on"
        assert kind.errors == [  # type: ignore[attr-defined]
            *(nothing, nothing),
            "b@x.example has its verdict already",
            "nobody@x.example is no recipient of this message",
        ]


async def test_a_call_that_was_abandoned_has_no_say_any_more() -> None:
    with gate() as held:
        kind = type("Told", (Teller,), {"gate": held, "errors": []})
        made: list[BlockingSession] = []

        def remember(self: BlockingSession) -> None:
            made.append(self)

        kind.__init__ = remember  # type: ignore[misc]
        sessions = in_threads(kind)
        deadlines = Deadlines(final=0.1)
        async with (
            running(sessions, dialect=LMTP, deadlines=deadlines) as server,
            await RawClient.open(server) as client,
        ):
            await client.say(LHLO, 5)
            assert len(await client.say("x\r\n.\r\n", 2)) == 2
            with pytest.raises(RuntimeError, match="there is no message"):
                await asyncio.to_thread(made[0].verdict, "c@x.example", ok())
            held.opened.set()
        assert "there is no message to give a verdict on" in kind.errors  # type: ignore[attr-defined]
