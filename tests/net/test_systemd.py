"""Sockets that a service manager hands over, and what it is told; with real descriptors, in processes of their own."""

import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from smtpx.errors import ConfigurationError
from smtpx.net.systemd import inherited_sockets, notify, reloading

PRINT = """
    import os
    from smtpx.errors import ConfigurationError
    from smtpx.net.systemd import inherited_sockets

    try:
        for sock in inherited_sockets():
            print(sock.family.name, sock.getsockname(), os.get_inheritable(sock.fileno()))
    except ConfigurationError as error:
        print(error)
    print(sorted(name for name in os.environ if name.startswith("LISTEN_")))
"""


def handed_over(*sockets: socket.socket, count: str | None = None, pid: str = "") -> list[str]:
    """What a process says of the sockets it was started with, as descriptors 3 and up."""
    script = f"""
        import os, sys
        for place, number in enumerate({[sock.fileno() for sock in sockets]}):
            os.dup2(number, 100 + place)
        for place in range({len(sockets)}):
            os.dup2(100 + place, 3 + place)
        os.environ.update(LISTEN_PID={pid!r} or str(os.getpid()), LISTEN_FDS={count or str(len(sockets))!r})
        os.environ["LISTEN_FDNAMES"] = "x"
        os.execv(sys.executable, [sys.executable, "-c", {textwrap.dedent(PRINT)!r}])
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    numbers = tuple(sock.fileno() for sock in sockets)
    done = subprocess.run(command, pass_fds=numbers, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_sockets_that_listen_already(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(path)
        unix.listen()
        said = handed_over(tcp, unix)
        port = tcp.getsockname()[1]
    assert said == [f"AF_INET ('127.0.0.1', {port}) False", f"AF_UNIX {path} False", "[]"]


def test_sockets_of_somebody_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        assert handed_over(tcp, pid="1") == ["['LISTEN_FDNAMES', 'LISTEN_FDS', 'LISTEN_PID']"]


@pytest.mark.parametrize("kind", ["connected", "datagram", "nothing"])
def test_what_nobody_can_listen_on(kind: str) -> None:
    if kind == "nothing":
        assert handed_over(count="1")[0].startswith("descriptor 3 is not a socket to listen on: ")
        return
    one, other = socket.socketpair()
    with one, other, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        said = handed_over(datagram if kind == "datagram" else one)
    assert said == ["descriptor 3 is not a stream socket that listens (Accept=no)", "[]"]


@pytest.mark.parametrize("count", ["", "x", "-1", "²", "1025"])
def test_a_count_that_is_none(count: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", count)
    with pytest.raises(ConfigurationError, match="not a number of sockets"):
        inherited_sockets()
    assert "LISTEN_PID" not in os.environ


def test_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LISTEN_PID", raising=False)
    assert inherited_sockets() == []
    one, other = socket.socketpair()
    with one, other, socket.create_server(("127.0.0.1", 0)) as server:
        for number, what in ((server.fileno(), None), (one.fileno(), "Accept=no"), (999_999, "Bad file descriptor")):
            monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
            monkeypatch.setenv("LISTEN_FDS", "1")
            monkeypatch.setattr("smtpx.net.systemd._FIRST", number)
            if what is None:
                (found,) = inherited_sockets()
                assert found.fileno() == number
                found.detach()
            else:
                with pytest.raises(ConfigurationError, match=what):
                    inherited_sockets()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    name = str(tmp_path / "notify") if request.param == "path" else f"\0smtpx-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.bind(name)
        monkeypatch.setenv("NOTIFY_SOCKET", name.replace("\0", "@"))
        yield sock


def test_a_manager_is_told(manager: socket.socket) -> None:
    assert notify("READY=1", "STATUS=fine")
    assert manager.recv(1000) == b"READY=1\nSTATUS=fine"
    assert reloading()
    first, second = manager.recv(1000).split(b"\n")
    assert first == b"RELOADING=1"
    assert second.removeprefix(b"MONOTONIC_USEC=").isdigit()


@pytest.mark.parametrize("address", [None, "", "vsock:2:1", "/nonexistent/notify"])
def test_nobody_to_tell(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if address is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify("READY=1")
