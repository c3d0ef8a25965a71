"""Happy eyeballs, blocking, over real sockets (RFC 8305)."""

import contextlib
import socket
from typing import NoReturn

import pytest

from smtpx.errors import ConnectError
from smtpx.net import race as racing
from smtpx.net.addresses import Place
from smtpx.net.race import race
from tests.net.racing import FAILURES, hearing, place, refusing, silent


def test_rfc8305_5_a_silent_address_does_not_hold_up_the_next() -> None:
    with silent() as first, hearing() as second, hearing() as third:
        with race([first, place(second), place(third)], None, 30, FAILURES()) as sock:
            assert sock.getpeername() == second.getsockname()
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        third.setblocking(False)
        with pytest.raises(BlockingIOError):
            third.accept()


def test_a_refusal_starts_the_next_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(racing, "ATTEMPT_DELAY_SECONDS", 3600)
    with hearing() as good, race([refusing(), place(good)], None, 30, FAILURES()) as sock:
        assert sock.getpeername() == good.getsockname()


def test_an_address_that_can_not_be_tried_starts_the_next_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(racing, "ATTEMPT_DELAY_SECONDS", 3600)
    unknown = Place(12345, ("x", 25))
    unreachable = Place(int(socket.AF_INET), ("255.255.255.255", 25))
    with hearing() as good, race([unknown, unreachable, place(good)], None, 30, FAILURES()) as sock:
        assert sock.getpeername() == good.getsockname()


def test_the_first_stays_in_the_race(monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers after the second was begun, and wins; the second is closed."""
    monkeypatch.setattr(racing, "ATTEMPT_DELAY_SECONDS", 0.02)
    with contextlib.ExitStack() as stack:
        slow = stack.enter_context(socket.socket())
        slow.bind(("127.0.0.1", 0))
        never = stack.enter_context(silent())
        opened: list[socket.socket] = []
        begin = racing.begin

        def opening(where: Place, local: str | None) -> socket.socket:
            opened.append(begin(where, local))
            return opened[-1]

        monkeypatch.setattr(racing, "begin", opening)
        good = stack.enter_context(hearing())
        with race([never, never, place(good)], None, 30, FAILURES()) as sock:
            assert sock is opened[2]
        assert [each.fileno() for each in opened[:2]] == [-1, -1]


def test_all_fail_and_each_is_named() -> None:
    first, second = refusing(), refusing("127.0.0.2")
    with pytest.raises(ConnectError) as caught:
        race([first, second], None, 30, FAILURES())
    assert str(first) in str(caught.value)
    assert str(second) in str(caught.value)
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


def test_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(racing, "ATTEMPT_DELAY_SECONDS", 3600)
    with silent() as first, pytest.raises(ConnectError) as caught:
        race([first, refusing()], None, 0.05, FAILURES())
    assert "no answer in 0.05 s; " in str(caught.value)
    assert "no time was left" in str(caught.value)


def test_one_refuses_while_the_other_keeps_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(racing, "ATTEMPT_DELAY_SECONDS", 0.01)
    second = refusing()
    with silent() as first, pytest.raises(ConnectError) as caught:
        race([first, second], None, 0.1, FAILURES())
    assert f"{second}: Connection refused; " in str(caught.value)
    assert f"{first}: no answer in 0.1 s" in str(caught.value)


def test_local_address() -> None:
    with hearing() as good:
        with race([place(good)], "127.0.0.3", 30, FAILURES()) as sock:
            assert sock.getsockname()[0] == "127.0.0.3"
        with pytest.raises(ConnectError, match="Cannot assign"):
            race([place(good)], "192.0.2.7", 30, FAILURES())


def test_an_interrupt_closes_what_was_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[socket.socket] = []
    begin = racing.begin

    def opening(where: Place, local: str | None) -> socket.socket:
        opened.append(begin(where, local))
        return opened[-1]

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(racing, "begin", opening)
    monkeypatch.setattr(racing, "_has_connected", interrupt)
    with hearing() as good, pytest.raises(KeyboardInterrupt):
        race([place(good)], None, 30, FAILURES())
    assert opened[0].fileno() == -1
