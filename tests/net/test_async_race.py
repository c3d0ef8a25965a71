"""Happy eyeballs in a loop, asyncio's and uvloop's, over real sockets (RFC 8305)."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import NoReturn

import pytest

from smtpx.errors import ConnectError
from smtpx.net import async_race as racing
from smtpx.net.addresses import Place
from smtpx.net.async_race import race
from tests.net.racing import FAILURES, hearing, place, refusing, silent

Run = Callable[[Coroutine[object, object, socket.socket]], socket.socket]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    loop: asyncio.AbstractEventLoop
    loop = pytest.importorskip("uvloop").new_event_loop() if request.param == "uvloop" else asyncio.new_event_loop()
    yield loop.run_until_complete
    loop.run_until_complete(asyncio.sleep(0))
    assert not asyncio.all_tasks(loop)
    loop.close()


def test_rfc8305_5_a_silent_address_does_not_hold_up_the_next(run: Run) -> None:
    with silent() as first, hearing() as second, hearing() as third:
        with run(race([first, place(second), place(third)], None, 30, FAILURES())) as sock:
            assert sock.getpeername() == second.getsockname()
        third.setblocking(False)
        with pytest.raises(BlockingIOError):
            third.accept()


def test_a_refusal_starts_the_next_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(racing, "ATTEMPT_DELAY_SECONDS", 3600)
    unknown = Place(12345, ("x", 25))
    with hearing() as good, run(race([refusing(), unknown, place(good)], None, 30, FAILURES())) as sock:
        assert sock.getpeername() == good.getsockname()


def test_all_fail_and_each_is_named(run: Run) -> None:
    first, second = refusing(), refusing("127.0.0.2")
    with pytest.raises(ConnectError) as caught:
        run(race([first, second], None, 30, FAILURES()))
    assert f"{first}: Connection refused; " in str(caught.value)
    assert f"{second}: Connection refused" in str(caught.value)


def test_the_time_is_over(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(racing, "ATTEMPT_DELAY_SECONDS", 3600)
    with silent() as first, pytest.raises(ConnectError) as caught:
        run(race([first, refusing()], None, 0.05, FAILURES()))
    assert "no answer in 0.05 s; " in str(caught.value)
    assert "no time was left" in str(caught.value)


def test_one_refuses_while_the_other_keeps_silent(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(racing, "ATTEMPT_DELAY_SECONDS", 0.01)
    second = refusing()
    with silent() as first, pytest.raises(ConnectError) as caught:
        run(race([first, second], None, 0.1, FAILURES()))
    assert f"{second}: Connection refused; " in str(caught.value)
    assert f"{first}: no answer in 0.1 s" in str(caught.value)


def test_local_address(run: Run) -> None:
    with hearing() as good, run(race([place(good)], "127.0.0.3", 30, FAILURES())) as sock:
        assert sock.getsockname()[0] == "127.0.0.3"


def tracked(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    opened: list[socket.socket] = []
    begin = racing.begin

    def opening(where: Place, local: str | None) -> socket.socket:
        opened.append(begin(where, local))
        return opened[-1]

    monkeypatch.setattr(racing, "begin", opening)
    return opened


def test_of_two_that_connect_at_once_one_is_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = tracked(monkeypatch)
    monkeypatch.setattr(racing, "ATTEMPT_DELAY_SECONDS", 0)
    both_are_there = asyncio.wait

    async def wait(tasks: dict["asyncio.Task[socket.socket]", Place], **_: object) -> None:
        if len(tasks) == 2:
            await both_are_there(tasks)

    with hearing() as first, hearing() as second:
        monkeypatch.setattr(asyncio, "wait", wait)
        with run(race([place(first), place(second)], None, 30, FAILURES())) as sock:
            assert sock is opened[0]
        assert [each.fileno() for each in opened] == [-1, -1]


def test_cancelled(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = tracked(monkeypatch)

    async def main() -> socket.socket:
        task = asyncio.ensure_future(race([where], None, 30, FAILURES()))
        await asyncio.sleep(0.02)
        assert opened
        task.cancel()
        return await task

    with silent() as where, pytest.raises(asyncio.CancelledError):
        run(main())
    assert opened[0].fileno() == -1


def test_cancelled_while_the_losers_are_closed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = tracked(monkeypatch)

    async def cancelled(*_: object, **__: object) -> NoReturn:
        raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "gather", cancelled)
    with hearing() as good, pytest.raises(asyncio.CancelledError):
        run(race([place(good)], None, 30, FAILURES()))
    assert opened[0].fileno() == -1
    with pytest.raises(asyncio.CancelledError):
        run(race([refusing()], None, 30, FAILURES()))


def test_an_error_of_another_kind_is_not_swallowed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> NoReturn:
        raise RuntimeError("broken")

    monkeypatch.setattr(racing, "begin", broken)
    with pytest.raises(RuntimeError, match="broken"):
        run(race([refusing()], None, 30, FAILURES()))
