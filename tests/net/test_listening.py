"""Sockets that listen."""

import errno
import math
import os
import resource
import socket
import sys
from pathlib import Path

import pytest

from smtpx.net import listening as module
from smtpx.net.listening import Listening, descriptor_limit, listen


def close_all(listening: list[Listening]) -> None:
    for each in listening:
        each.close()
        each.close()


def test_any_free_port() -> None:
    listening = listen(host="127.0.0.1", port=0)
    (only,) = listening
    assert not only.sock.getblocking()
    with socket.create_connection(only.sock.getsockname()):
        pass
    close_all(listening)
    assert only.sock.fileno() == -1


def test_both_families_on_one_port() -> None:
    listening = listen(host=None, port=0)
    assert {each.sock.family for each in listening} == {socket.AF_INET, socket.AF_INET6}
    assert len({each.sock.getsockname()[1] for each in listening}) == 1
    close_all(listening)


def test_a_name_that_is_none() -> None:
    with pytest.raises(OSError, match=r"can't listen on nowhere\.invalid"):
        listen(host="nowhere.invalid", port=0)


def test_an_address_that_is_taken() -> None:
    first = listen(host="127.0.0.1", port=0)
    port = first[0].sock.getsockname()[1]
    with pytest.raises(OSError, match=f"can't listen on 127.0.0.1:{port}") as caught:
        listen(host="127.0.0.1", port=port)
    assert caught.value.errno == errno.EADDRINUSE
    close_all(first)


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(OSError, match=r"192\.0\.2\.1:0") as caught:
        listen(host="192.0.2.1", port=0)
    assert caught.value.errno == errno.EADDRNOTAVAIL


class Sockets:
    """Makes sockets that fail as planned: errors by number of the attempt."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, plan: dict[int, int]) -> None:
        self.made = 0
        self.plan = plan
        self.real = module._bind
        monkeypatch.setattr(module, "_bind", self.bind)

    def bind(self, family: int, address: tuple[object, ...] | str) -> socket.socket:
        self.made += 1
        if number := self.plan.get(self.made):
            raise OSError(number, os.strerror(number))
        return self.real(family, address)


def test_a_family_that_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    Sockets(monkeypatch, {1: errno.EADDRNOTAVAIL})
    listening = listen(host=None, port=0)
    assert len(listening) == 1
    close_all(listening)


def test_a_port_that_only_one_family_can_have(monkeypatch: pytest.MonkeyPatch) -> None:
    sockets = Sockets(monkeypatch, {2: errno.EADDRINUSE, 4: errno.EADDRINUSE})
    listening = listen(host=None, port=0)
    assert len(listening) == 2
    assert sockets.made == 6
    close_all(listening)


def test_no_port_that_both_can_have(monkeypatch: pytest.MonkeyPatch) -> None:
    Sockets(monkeypatch, dict.fromkeys(range(2, 100, 2), errno.EADDRINUSE))
    with pytest.raises(OSError, match="in use"):
        listen(host=None, port=0)


def test_a_family_this_system_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, "no such family")

    monkeypatch.setattr(module.socket, "socket", fail)
    with pytest.raises(OSError, match="no such family"):
        listen(host="127.0.0.1", port=0)


def test_a_unix_path_is_removed(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    listening = listen(unix=path)
    assert listening[0].unix == path
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    close_all(listening)
    assert not os.path.exists(path)


def test_a_unix_path_as_an_object(tmp_path: Path) -> None:
    listening = listen(unix=tmp_path / "sock")
    assert listening[0].unix == str(tmp_path / "sock")
    close_all(listening)


def test_a_unix_path_left_behind_is_taken_over(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    close_all(listen(unix=path))


def test_a_unix_path_that_is_listened_on_stays(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    first = listen(unix=path)
    with pytest.raises(OSError, match="can't listen on") as caught:
        listen(unix=path)
    assert caught.value.errno == errno.EADDRINUSE
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    close_all(first)


def test_a_living_server_whose_backlog_is_full(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(path)
        busy.listen(0)
        clients: list[socket.socket] = []
        result = 0
        while not result:
            clients.append(socket.socket(socket.AF_UNIX))
            clients[-1].setblocking(False)
            result = clients[-1].connect_ex(path)
        assert result == errno.EAGAIN
        with pytest.raises(OSError, match="can't listen on"):
            listen(unix=path)
        assert os.path.exists(path)
        for client in clients:
            client.close()


def test_a_file_in_the_way_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    with pytest.raises(OSError, match="can't listen on"):
        listen(unix=str(path))
    assert path.read_text() == "x"


def test_a_path_that_somebody_else_has_taken_stays(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    first = listen(unix=path)
    os.rename(path, path + ".old")
    second = listen(unix=path)
    close_all(first)
    assert os.path.exists(path)
    close_all(second)
    assert not os.path.exists(path)
    close_all([Listening(socket.socket(), str(tmp_path / "never"))])


@pytest.mark.skipif(not os.path.isdir("/proc/net"), reason="abstract names are a matter of Linux")
def test_an_abstract_name() -> None:
    name = f"\0smtpx-test-{os.getpid()}"
    listening = listen(unix=name)
    assert listening[0].unix is None
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(name)
    close_all(listening)


def test_a_socket_of_one_s_own() -> None:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    listening = listen(sock=sock)
    assert listening[0].sock is sock
    assert not sock.getblocking()
    with socket.create_connection(sock.getsockname()):
        pass
    close_all(listening)


def test_descriptor_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert descriptor_limit() == (math.inf if soft == resource.RLIM_INFINITY else soft)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 200))
    assert descriptor_limit() == 100
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, 200))
    assert descriptor_limit() == math.inf
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    assert descriptor_limit() == math.inf
