"""Sockets that listen."""

import errno
import math
import os
import resource
import socket
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smtpx.net import listening as module
from smtpx.net.listening import Listening, descriptor_limit, listen

_NOBODY = 65534


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

    def bind(
        self,
        family: int,
        address: tuple[object, ...] | str,
        before_listening: Callable[[], None] = lambda: None,
    ) -> socket.socket:
        self.made += 1
        if number := self.plan.get(self.made):
            raise OSError(number, os.strerror(number))
        return self.real(family, address, before_listening)


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


@pytest.fixture
def stranger() -> Iterator[Path]:
    """An empty directory of somebody who is not root, who this process is for a while."""
    with tempfile.TemporaryDirectory() as directory:
        is_root, groups = os.geteuid() == 0, os.getgroups()
        if is_root:
            os.chown(directory, _NOBODY, _NOBODY)
            os.setgroups([])
            os.setegid(_NOBODY)
            os.seteuid(_NOBODY)
        try:
            yield Path(directory)
        finally:
            if is_root:
                os.seteuid(0)
                os.setegid(0)
                os.setgroups(groups)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_rights_of_a_unix_path_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        default, for_all = listen(unix=tmp_path / "a"), listen(unix=tmp_path / "b", unix_mode=0o666)
    finally:
        os.umask(before)
    assert (mode_of(tmp_path / "a"), mode_of(tmp_path / "b")) == (0o600, 0o666)
    close_all(default + for_all)


def test_rights_are_there_before_anybody_can_connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sock"
    seen: list[int] = []

    class Sock(socket.socket):
        def listen(self, backlog: int = 0, /) -> None:
            seen.append(mode_of(path))
            super().listen(backlog)

    monkeypatch.setattr(module.socket, "socket", Sock)
    close_all(listen(unix=path, unix_mode=0o660))
    assert seen == [0o660]


def test_group_of_a_unix_path(tmp_path: Path) -> None:
    group = 8 if os.geteuid() == 0 else os.getgroups()[-1]
    listening = listen(unix=tmp_path / "sock", unix_mode=0o660, unix_group=group)
    assert ((tmp_path / "sock").stat().st_gid, mode_of(tmp_path / "sock")) == (group, 0o660)
    close_all(listening)


def test_a_group_that_we_may_not_give_it_to(stranger: Path) -> None:
    with pytest.raises(OSError, match=r"can't listen on .*: can't set its group and rights: ") as caught:
        listen(unix=stranger / "sock", unix_group=0)
    assert caught.value.errno == errno.EPERM
    assert os.listdir(stranger) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="takes two users")
def test_a_living_server_of_somebody_else_whom_we_may_not_connect_to(stranger: Path) -> None:
    path = stranger / "sock"
    os.seteuid(0)
    living = listen(unix=path)
    os.seteuid(_NOBODY)
    with pytest.raises(OSError, match="can't listen on") as caught:
        listen(unix=path)
    assert caught.value.errno == errno.EADDRINUSE
    assert path.is_socket()
    os.seteuid(0)
    close_all(living)


def test_a_living_socket_of_another_kind_stays(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        with pytest.raises(OSError, match="can't listen on"):
            listen(unix=tmp_path / "log")
    assert (tmp_path / "log").is_socket()


@pytest.mark.parametrize("kind", ["link to a dead socket", "dangling link", "directory", "fifo"])
def test_what_is_no_socket_stays(tmp_path: Path, kind: str) -> None:
    path, dead = tmp_path / "path", tmp_path / "dead"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(dead))
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(dead if kind == "link to a dead socket" else tmp_path / "nothing")
    before = path.lstat()
    with pytest.raises(OSError, match="can't listen on") as caught:
        listen(unix=path)
    assert caught.value.errno == errno.EADDRINUSE
    assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert dead.is_socket()


def test_a_dead_socket_that_we_may_not_remove(stranger: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(stranger / "sock"))
    stranger.chmod(0o500)
    try:
        with pytest.raises(OSError, match="can't listen on") as caught:
            listen(unix=stranger / "sock")
        assert caught.value.errno == errno.EADDRINUSE
    finally:
        stranger.chmod(0o700)


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
