"""Logins: who may try, when it is their turn, and what is counted."""

import asyncio
import logging

import pytest

from smtpx.protocol import replies
from smtpx.protocol.events import (
    AuthFailed,
    LookupAsked,
)
from smtpx.protocol.limits import ServerLimits
from smtpx.sasl.credentials import Secret
from smtpx.server.exchange import Exchange
from tests.server.exchange_rig import LOGIN, Rig, refuse, session


@pytest.fixture(autouse=True)
def verbose(caplog: pytest.LogCaptureFixture) -> None:
    """Lines are made only for those who read them."""
    caplog.set_level(logging.INFO, "smtpx.server")


async def test_h087_logins() -> None:
    rig = Rig(session(False, authenticate=refuse), auth_failures_per_ip_minute=2)
    await rig.handle(LOGIN, AuthFailed("SCRAM-SHA-256", "user"), LOGIN, LookupAsked("SCRAM-SHA-256", "user"))
    assert [str(answer) for answer in rig.answers] == [
        "550 5.7.1 no",
        "454 4.7.0 temporary authentication failure",
        "454 4.7.0 temporary authentication failure",
    ]
    assert rig.lines == [
        "INFO login failed with PLAIN",
        "INFO login failed with SCRAM-SHA-256",
        "auth_failures_per_ip_minute 2",
        "auth_failures_per_ip_minute 2",
    ]
    rig = await Rig(session(False, authenticate=lambda identity: None)).handle(LOGIN)
    assert rig.answers == [replies.AUTHENTICATED]


@pytest.mark.parametrize("wait", [False, True])
async def test_lookups(wait: bool) -> None:
    event = LookupAsked("CRAM-MD5", "user")
    secret = Secret("x")
    for found in (secret, None):
        rig = await Rig(session(wait, lookup=lambda *args, found=found: found)).handle(event)
        assert rig.answers == [found]
    rig = Rig(session(wait, lookup=lambda *args: None))
    rig.core.is_asking = False
    assert (await rig.handle(event)).answers == []
    rig = await Rig(session(wait, lookup=refuse)).handle(event)
    assert str(rig.answers[0]) == "550 5.7.1 no"
    assert rig.lines == ["INFO login failed with CRAM-MD5"]
    rig = await Rig(session(wait, lookup=lambda *args: "x")).handle(event)
    assert str(rig.answers[0]) == "451 4.3.0 internal error; reference id-1"


async def test_a_user_who_is_guessed_too_often_is_refused_late() -> None:
    rig = Rig(session(False, authenticate=refuse, lookup=refuse), auth_failures_per_user=1)
    rig.core.settings.limits = ServerLimits(auth_failure_delay_seconds=0.02)
    rig.core.auth_failures = 1
    rig.guard.count_failure("198.51.100.1", "user", asyncio.get_running_loop().time())
    began = asyncio.get_running_loop().time()
    await rig.handle(LOGIN, LookupAsked("SCRAM-SHA-256", "user"))
    assert asyncio.get_running_loop().time() - began > 0.07
    assert rig.answers == [replies.CANNOT_AUTHENTICATE_NOW] * 2
    assert rig.lines == ["auth_failures_per_user 1"] * 2


async def test_a_login_waits_for_its_turn() -> None:
    rig = Rig(session(False, authenticate=lambda identity: None), max_auth_checks_per_ip=1)
    busy = rig.guard.auth_turns.take("192.0.2.1", lambda: None)
    asyncio.get_running_loop().call_soon(rig.exchange.handle, LOGIN)
    await asyncio.sleep(0.01)
    assert rig.exchange.is_waiting
    assert (rig.done, rig.lines, rig.answers) == (["await turn"], ["max_auth_checks_per_ip 1"], [])
    busy.end()
    await asyncio.sleep(0.01)
    assert not rig.exchange.is_waiting
    assert rig.answers == [replies.AUTHENTICATED]
    assert rig.guard.auth_turns.is_idle
    rig.hooks.stop()


async def test_a_login_that_waits_can_be_given_up() -> None:
    rig = Rig(session(False, authenticate=lambda identity: None), max_auth_checks=1)
    busy = rig.guard.auth_turns.take("198.51.100.1", lambda: None)
    asyncio.get_running_loop().call_soon(rig.exchange.handle, LOGIN)
    await asyncio.sleep(0.01)
    assert rig.lines == ["max_auth_checks 1"]
    rig.exchange.end_pause()
    rig.exchange.logins.end()
    assert not rig.exchange.is_waiting
    busy.end()
    await asyncio.sleep(0.01)
    assert rig.answers == []
    assert rig.guard.auth_turns.is_idle


async def test_a_login_that_is_being_checked_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    rig.exchange.logins.give_up()  # there is none
    asked: list[str] = []
    monkeypatch.setattr(Exchange, "ask", lambda _, then, name, *args: asked.append(name))
    rig.exchange.handle(LOGIN)
    rig.exchange.logins.give_up()
    assert asked == ["authenticate"]
    assert not rig.guard.auth_turns.is_idle
    rig.exchange.logins.end()
    rig.exchange.logins.end()
    assert rig.guard.auth_turns.is_idle
