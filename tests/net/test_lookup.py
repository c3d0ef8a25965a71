"""A name is looked up for as long as the caller wants to wait."""

import socket
import threading
from typing import Any

import pytest

from smtpx.net.lookup import look_up


def test_a_name_and_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {each[4][1] for each in look_up("localhost", 25, 5)} == {25}
    monkeypatch.setattr(threading, "Thread", None)  # an address needs none
    assert [each[4] for each in look_up("127.0.0.1", 25, 5)] == [("127.0.0.1", 25)]


@pytest.mark.parametrize("error", [socket.gaierror(socket.EAI_NONAME, "not known"), UnicodeError("label too long")])
def test_its_errors_are_the_systems(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> Any:  # noqa: ANN401
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(type(error)) as caught:
        look_up("mail.example", 25, 5)
    assert caught.value is error


def test_the_wait_ends_and_the_thread_too(monkeypatch: pytest.MonkeyPatch) -> None:
    late = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: late.wait(60))
    with pytest.raises(TimeoutError, match=r"no answer in 0\.02 s"):
        look_up("mail.example", 25, 0.02)
    (left,) = [each for each in threading.enumerate() if each.name == "smtpx-look-up"]
    assert left.daemon
    late.set()
    left.join(5)
    assert not left.is_alive()
