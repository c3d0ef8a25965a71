"""Session methods called by name, and what becomes of what they raise."""

import asyncio
import contextvars
import gc
import logging
import weakref
from collections.abc import Coroutine
from typing import Any

import pytest

from smtpx.protocol import replies
from smtpx.protocol.replies import make
from smtpx.server.context import current_session
from smtpx.server.hooks import Hooks
from smtpx.server.inline import Outcome
from smtpx.server.session import Reject, Session, ok
from smtpx.wire.address import Mailbox
from smtpx.wire.reply import Reply


class Rig:
    """Hooks, and what was written to the log."""

    def __init__(self, session: Session) -> None:
        self.lines: list[tuple[int, str]] = []
        self.hooks = Hooks(session, asyncio.get_running_loop(), self.log, "1f2e3d4c")
        self.later: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def log(self, level: int, text: str, *args: object, error: BaseException | None = None) -> None:
        self.lines.append((level, text % args))

    async def call(self, name: str, *args: object) -> Outcome:
        outcome = self.hooks.start(name, args, self.later.set_result)
        return outcome if outcome is not None else await self.later


class Naming(Session):
    async def mail(self, sender: Any, params: Any) -> Reply | None:  # noqa: ANN401
        return ok(f"{sender} {params}")

    async def data(self, body: Any) -> None:  # noqa: ANN401
        await asyncio.sleep(10)

    async def command(self, verb: str, argument: str | None) -> Reply | None:
        await asyncio.sleep(10)
        return None


def names(kind: type[Session]) -> set[str]:
    return set(Hooks(kind(), asyncio.get_running_loop(), lambda *_, **__: None, "").own)


async def test_which_methods_are_a_session_s_own() -> None:
    class Derived(Naming):
        async def close(self) -> None: ...

    assert names(Session) == set()
    assert names(Naming) == {"mail", "data", "command"}
    assert names(Derived) == {"mail", "data", "command", "close"}


async def test_classes_are_not_kept() -> None:
    def make() -> "weakref.ref[type[Session]]":
        class Passing(Naming): ...

        assert names(Passing)
        return weakref.ref(Passing)

    passing = make()
    gc.collect()
    assert passing() is None


async def test_start() -> None:
    rig = Rig(Naming())
    for name in ("a", "c"):
        rig.later = asyncio.get_running_loop().create_future()
        assert (await rig.call("mail", name, "b")).value == ok(f"{name} b")
    rig.hooks.stop()


class Compiled(Coroutine[Any, Any, None]):
    """A coroutine as extension modules make them."""

    def send(self, value: object) -> None:
        raise StopIteration("compiled")

    def throw(self, *args: Any) -> None: ...  # noqa: ANN401

    def close(self) -> None: ...

    def __await__(self) -> Any: ...  # noqa: ANN401


async def test_a_coroutine_that_is_not_python_s_own() -> None:
    rig = Rig(type("Fast", (Session,), {"reset": lambda self: Compiled()})())
    started: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: started.set_result(rig.hooks.start("reset", (), print)))
    assert await started == Outcome("compiled", None)
    rig.hooks.stop()


@pytest.mark.parametrize("method", [lambda self, x: None, lambda self: None, lambda self, x: 1 / 0])
async def test_what_is_no_hook(method: object) -> None:
    rig = Rig(type("Wrong", (Session,), {"reset": method})())
    outcome = await rig.call("reset", 1)
    assert isinstance(outcome.error, TypeError | ZeroDivisionError)
    rig.hooks.stop()


async def test_the_method_that_was_started_last_is_cancelled() -> None:
    rig = Rig(Naming())
    loop = asyncio.get_running_loop()
    data: asyncio.Future[Outcome] = loop.create_future()
    command: asyncio.Future[Outcome] = loop.create_future()
    rig.hooks.cancel(replies.HANDLER_TIMED_OUT)  # nothing waits
    assert rig.hooks.start("data", (None,), data.set_result) is None
    for _ in range(2):
        command = loop.create_future()
        assert rig.hooks.start("command", ("X", None), command.set_result) is None
        rig.hooks.cancel(replies.HANDLER_TIMED_OUT)
        assert rig.hooks.reply_to("command", await command) is replies.HANDLER_TIMED_OUT
    assert not data.done()
    rig.hooks.start("command", ("X", None), lambda outcome: None)
    rig.hooks.cancel(replies.SHUTTING_DOWN, everything=True)
    assert rig.hooks.reply_to("data", await data) is replies.SHUTTING_DOWN
    rig.hooks.stop()
    assert rig.lines == [
        (logging.ERROR, "command took too long and was cancelled"),
        (logging.ERROR, "command took too long and was cancelled"),
        (logging.INFO, "data was cancelled: 421 4.3.2 shutting down"),
    ]


@pytest.mark.parametrize("value", [None, ok()])
async def test_reply_to_what_was_returned(value: Reply | None) -> None:
    assert Rig(Session()).hooks.reply_to("mail", Outcome(value, None)) is value


async def test_reply_to_what_was_raised() -> None:
    rig = Rig(Session())
    reply_to = rig.hooks.reply_to
    assert reply_to("mail", Outcome(None, Reject())) == Reject().reply
    assert str(reply_to("mail", Outcome(None, ValueError("x")))) == "451 4.3.0 internal error; reference 1f2e3d4c-1"
    assert str(reply_to("mail", Outcome(42, None))) == "451 4.3.0 internal error; reference 1f2e3d4c-2"
    closing = reply_to("reset", Outcome(None, asyncio.CancelledError()), close=True)
    assert str(closing) == "421 4.3.0 internal error; reference 1f2e3d4c-3"
    assert [level for level, _ in rig.lines] == [logging.ERROR] * 3


async def test_a_hook_that_took_too_long_where_the_connection_can_not_go_on() -> None:
    rig = Rig(Session())
    rig.hooks.cancel(replies.HANDLER_TIMED_OUT)
    late = rig.hooks.reply_to("reset", Outcome(None, asyncio.CancelledError()), close=True)
    assert str(late) == "421 4.3.0 took too long; try again later"


async def test_verdicts() -> None:
    rig = Rig(Session())
    a, b = Mailbox("a", "x.example"), Mailbox("b", "x.example")
    assert rig.hooks.verdicts_of(Outcome(None, None), [a, b]) == [None]
    assert rig.hooks.verdicts_of(Outcome({a: ok("1"), "b@x.example": None}, None), [a, b, a]) == [
        ok("1"),
        None,
        ok("1"),
    ]
    assert rig.hooks.verdicts_of(Outcome({}, None), [a]) == [replies.NO_VERDICT]
    assert rig.hooks.verdicts_of(Outcome(None, Reject()), [a, b]) == [Reject().reply]
    (odd,) = rig.hooks.verdicts_of(Outcome({a: "yes"}, None), [a])
    assert odd is not None
    assert odd.code == 451


async def test_whether_it_was_told_to_end_is_known_until_the_next_call() -> None:
    rig = Rig(Naming())
    ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    assert rig.hooks.start("command", ("XTAG", None), ended.set_result) is None
    assert not rig.hooks.is_cancelled
    rig.hooks.cancel(replies.HANDLER_TIMED_OUT)
    assert rig.hooks.is_cancelled
    await ended
    assert rig.hooks.is_cancelled
    rig.hooks.start("mail", ("a", "b"), lambda outcome: None)
    assert not rig.hooks.is_cancelled
    rig.hooks.stop()


@pytest.mark.parametrize(
    ("reply", "sent"),
    [
        (make(250, "2.0.0", "x", close=True), make(250, "2.0.0", "x")),
        (make(451, "4.7.1", "x", close=True), make(421, "4.7.1", "x", close=True)),
        (make(451, "4.7.1", "x"), make(451, "4.7.1", "x")),
        (make(421, "4.7.1", "x", close=True), make(421, "4.7.1", "x", close=True)),
        (make(550, "5.7.1", "x", close=True), make(550, "5.7.1", "x", close=True)),
    ],
)
async def test_a_connection_ends_behind_421_and_5yz_only(reply: Reply, sent: Reply) -> None:
    """server-hardening 11: and only where the session has marked its reply."""
    hooks = Hooks(Session(), asyncio.get_running_loop(), lambda *_, **__: None, "")
    assert hooks.reply_to("mail", Outcome(reply, None)) == sent
    if reply.code >= 400:
        assert hooks.reply_to("mail", Outcome(None, Reject.of(reply))) == sent
    assert hooks.verdicts_of(Outcome(reply, None), []) == [sent]


async def test_all_methods_run_in_one_context_that_knows_the_session() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

    class Counting(Session):
        async def data(self, body: Any) -> None:  # noqa: ANN401
            variable.set(1)
            await asyncio.sleep(0.01)

        async def command(self, verb: str, argument: str | None) -> Reply | None:
            await asyncio.sleep(0)
            assert current_session() is self
            return ok(str(variable.get()))

    session = Counting()
    hooks = Hooks(session, loop := asyncio.get_running_loop(), lambda *_, **__: None, "")
    data, command = loop.create_future(), loop.create_future()
    assert hooks.start("data", (None,), data.set_result) is None
    assert hooks.start("command", ("X", None), command.set_result) is None  # while `data` waits
    assert (await command).value == ok("1")
    assert not data.done()
    await data
    assert current_session() is None
    assert variable.get() == 0
    hooks.stop()
