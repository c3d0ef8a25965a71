"""What holds where nothing was said."""

import functools
import socket
from typing import Any

import pytest

from smtpx.server.defaults import host_name
from smtpx.server.session import Session
from tests.server.rig import (
    EHLO,
    RawClient,
    Recorder,
    running,
)


class Authenticating(Session):
    async def authenticate(self, identity: Any) -> None:  # noqa: ANN401
        """Everybody is welcome."""


@pytest.mark.parametrize(
    ("make", "offered"),
    [
        (Session, False),
        (Recorder, True),
        (Authenticating, True),
        (lambda: Authenticating(), True),
        (lambda: Session(), False),
        (functools.partial(Authenticating), True),
        (functools.partial(Session), False),
    ],
)
async def test_auth_is_offered_by_sessions_that_authenticate(make: Any, offered: bool) -> None:  # noqa: ANN401
    async with running(make, allow_insecure_auth=True) as server, await RawClient.open(server) as client:
        await client.send(EHLO)
        assert ("AUTH PLAIN LOGIN" in (await client.reply()).lines) is offered


def test_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "mx.example.org")
    assert host_name() == "mx.example.org"
    for odd in ("m\u00fcller", "two words"):
        monkeypatch.setattr(socket, "gethostname", lambda odd=odd: odd)
        assert host_name() == "localhost"
