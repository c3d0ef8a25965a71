"""Who can reach a listener."""

import socket
from pathlib import Path

import pytest

from smtpx.server.exposure import is_reachable


@pytest.mark.parametrize(
    ("host", "public"),
    [("127.0.0.1", False), ("::1", False), ("localhost", False), ("0.0.0.0", True), ("mx.example", True), ("::", True)],
)
def test_hosts(host: str, public: bool) -> None:
    assert is_reachable(host, None, None) == (host, public)


def test_no_host_is_all_of_them() -> None:
    assert is_reachable(None, None, None) == ("all addresses", True)


def test_unix_paths() -> None:
    assert is_reachable("0.0.0.0", "/run/x", None) == ("/run/x", False)
    assert is_reachable("0.0.0.0", Path("/run/x"), None) == ("/run/x", False)


@pytest.mark.parametrize(("host", "public"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_sockets(host: str, public: bool) -> None:
    with socket.create_server((host, 0)) as sock:
        assert is_reachable(None, None, sock) == (f"{host}:{sock.getsockname()[1]}", public)


def test_unix_sockets(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "s"))
        assert is_reachable(None, None, sock) == (str(tmp_path / "s"), False)
