"""Listeners that contradict themselves or each other, who can reach them, and their names."""

import grp
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from smtpx.errors import ConfigurationError
from smtpx.server.exposure import Exposure
from smtpx.server.listener import Listener, Server
from smtpx.server.session import Session
from tests.server.rig import (
    fresh_server_tls,
)


class Authenticating(Session):
    async def authenticate(self, identity: Any) -> None:  # noqa: ANN401
        """Everybody is welcome."""


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"implicit_tls": True}, "implicit TLS needs a certificate"),
        ({"require_tls": True}, "require_tls without a certificate"),
        ({"require_auth": True}, "no method for any mechanism"),
        ({"listeners": [Listener(), Listener(implicit_tls=True)]}, "implicit TLS needs a certificate"),
        ({"unix": "/run/x", "unix_mode": 660}, "unix_mode is 0 to 0o777, not 0o1224"),
        ({"unix": "/run/x", "unix_mode": -1}, "unix_mode is 0 to 0o777"),
        ({"unix": "/run/x", "unix_group": "no such group"}, "there is no group 'no such group'"),
        ({"unix": "/run/x", "unix_group": "4294967295"}, "4294967295 is no number of a group"),
        ({"unix": "/run/x", "unix_group": -1}, "-1 is no number of a group"),
        ({"unix": "\0x", "unix_group": 0}, "unix_group is for the path of a unix socket"),
        ({"unix_group": 0}, "unix_group is for the path of a unix socket"),
    ],
)
def test_settings_that_contradict_each_other(options: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        Server(Session, **options)


@pytest.mark.parametrize("spelling", [str, int, "name"])
async def test_rights_and_group_of_a_socket_file(tmp_path: Path, spelling: Any) -> None:  # noqa: ANN401
    number = os.getegid()
    group = grp.getgrgid(number).gr_name if spelling == "name" else spelling(number)
    listeners = [Listener(unix=tmp_path / "s", unix_mode=0o660, unix_group=group), Listener(unix=tmp_path / "default")]
    async with Server(Session, listeners=listeners):
        assert stat.S_IMODE((tmp_path / "default").stat().st_mode) == 0o600
        found = (tmp_path / "s").stat()
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, number)


def test_groups_on_a_system_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grp", None)  # as on Windows
    with pytest.raises(ConfigurationError, match="there is no group 'mail'"):
        Server(Session, unix="/run/x", unix_group="mail")


def test_one_context_for_two_listeners() -> None:
    shared = fresh_server_tls()
    with pytest.raises(ConfigurationError, match="share a TLS context"):
        Server(Session, listeners=[Listener(tls=shared), Listener(tls=shared)])


def test_what_strangers_see_is_shown_to_whoever_judges_it() -> None:
    class Judge:
        seen: Sequence[Exposure] = ()

        def __call__(self) -> Session:
            return Authenticating()

        def check_exposure(self, exposures: Sequence[Exposure]) -> None:
            self.seen = exposures

    listeners = [
        Listener(),
        Listener(host="0.0.0.0", tls=fresh_server_tls()),
        Listener(host="0.0.0.0", tls=fresh_server_tls(), implicit_tls=True),
    ]
    for clear in (False, True):
        judge = Judge()
        server = Server(judge, listeners=listeners, allow_insecure_auth=clear)
        assert judge.seen == server.exposures
        assert [each.is_public for each in judge.seen] == [False, True, True]
        assert all(each.has_auth for each in judge.seen)
        assert [each.has_clear_auth for each in judge.seen] == [clear, clear, False]


@pytest.mark.parametrize(
    ("implicit", "name", "url"),
    [
        (False, ("127.0.0.1", 25), "lmtp://127.0.0.1:25"),
        (True, ("::1", 25, 0, 0), "lmtps://[::1]:25"),
        (False, "/run/x", "lmtp+unix:///run/x"),
    ],
)
def test_how_a_place_is_called(implicit: bool, name: Any, url: str) -> None:  # noqa: ANN401
    assert Listener(implicit_tls=implicit).url("lmtp", name) == url
