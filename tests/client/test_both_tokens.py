"""Tokens that are fetched when they are needed, by whichever kind of callable."""

import asyncio
import threading
import time
from typing import Any

import pytest

from smtpx.client.aio import AsyncClient
from smtpx.client.sync import Client, Connection
from smtpx.errors import AuthenticationError, ConfigurationError, ConnectError, DeadlineError
from smtpx.flows.steps import Timeouts
from smtpx.sasl import BearerToken
from tests.client.dialogues import BODY, FROM, TO, url
from tests.peers import Colour, ScriptedServer

START = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 AUTH XOAUTH2\n"
ONE = "C: AUTH XOAUTH2 dXNlcj11AWF1dGg9QmVhcmVyIG9uZQEB\n"
TWO = "C: AUTH XOAUTH2 dXNlcj11AWF1dGg9QmVhcmVyIHR3bwEB\n"
QUIT = "C: QUIT\nS: 221 bye\n"


def test_a_callable_that_blocks_runs_in_a_thread_only_under_asyncio(colour: Colour) -> None:
    threads: list[threading.Thread] = []

    def token() -> str:
        threads.append(threading.current_thread())
        return "one"

    auth = BearerToken("u", token)
    script = START + ONE + "S: 235 ok\n" + QUIT
    with ScriptedServer(script) as server, colour.open(url(server), auth=auth) as connection:
        assert connection.is_open
    assert (threads[0] is threading.main_thread()) is not colour.is_async


def test_what_is_refused_is_fetched_once_more(colour: Colour) -> None:
    tokens = ["one", "two"]
    auth = BearerToken("u", lambda: tokens.pop(0))
    script = START + ONE + "S: 535 stale\n" + TWO + "S: 235 ok\n" + QUIT
    with ScriptedServer(script) as server, colour.open(url(server), auth=auth) as connection:
        assert connection.is_open


def test_coroutine_functions_are_awaited() -> None:
    tokens = ["one", "two"]

    async def token() -> str:
        await asyncio.sleep(0)
        return tokens.pop(0)

    async def main(auth: BearerToken) -> None:
        script = START + ONE + "S: 535 stale\n" + TWO + "S: 235 ok\n"
        message = f"C: MAIL FROM:<{FROM}>\nS: 250 m\nC: RCPT TO:<{TO}>\nS: 250 r\nC: DATA\nS: 354 go\n"
        message += "C: Subject: hi\nC:\nC: ..dot\nC: .\nS: 250 done\n"
        with ScriptedServer(script + message + QUIT) as server:
            async with AsyncClient(url(server), auth=auth) as client:
                assert (await client.send(BODY, sender=FROM, recipients=[TO])).accepted

    asyncio.run(main(BearerToken("u", token)))
    tokens[:] = ["one", "two"]
    asyncio.run(main(BearerToken("u", lambda: token())))


def test_the_blocking_client_refuses_them() -> None:
    async def token() -> str:
        return "one"

    with pytest.raises(ConfigurationError, match="async client"):
        Client("smtp://localhost", auth=BearerToken("u", token))
    with pytest.raises(ConfigurationError, match="async client"):
        Connection.open("smtp://localhost", auth=BearerToken("u", token))
    with ScriptedServer(START, tolerant=True) as server, pytest.raises(ConfigurationError, match="async client"):
        Connection.open(url(server), auth=BearerToken("u", lambda: token()))


@pytest.mark.parametrize("options", [{"timeout": 0.05}, {"timeouts": Timeouts(auth=0.05)}])
def test_a_callable_that_comes_back_late(colour: Colour, options: dict[str, Any]) -> None:
    auth = BearerToken("u", lambda: time.sleep(0.1) or "one")
    with ScriptedServer(START, tolerant=True) as server, pytest.raises(DeadlineError, match="too long") as caught:
        colour.open(url(server), auth=auth, **options)
    assert caught.value.stage == "auth"


class Broken(Exception):
    """What a caller's own code may raise."""


@pytest.mark.parametrize(("error", "is_temporary"), [(Broken("s3cret"), False), (ConnectionError("s3cret"), True)])
def test_a_callable_that_raises(colour: Colour, error: Exception, is_temporary: bool) -> None:
    def token() -> str:
        raise error

    with ScriptedServer(START + QUIT) as server, pytest.raises(AuthenticationError) as caught:
        colour.open(url(server), auth=BearerToken("u", token))
    assert (caught.value.__cause__, caught.value.stage, caught.value.reply) == (error, "auth", None)
    assert str(caught.value) == f"XOAUTH2 given up: the callable for it raised {type(error).__name__} (stage: auth)"
    assert caught.value.is_temporary is is_temporary


def test_a_callable_that_raises_leaves_the_connection_as_it_was(colour: Colour) -> None:
    def token() -> str:
        raise Broken

    with ScriptedServer(START + "C: NOOP\nS: 250 ok\n" + QUIT) as server, colour.open(url(server)) as connection:
        with pytest.raises(AuthenticationError):
            connection.auth(BearerToken("u", token))
        connection.noop()


def test_a_callable_that_raises_the_second_time(colour: Colour) -> None:
    tokens = ["one"]
    script = START + ONE + "S: 535 stale\n" + QUIT
    with ScriptedServer(script) as server, pytest.raises(AuthenticationError) as caught:
        colour.open(url(server), auth=BearerToken("u", lambda: tokens.pop(0)))
    assert isinstance(caught.value.__cause__, IndexError)


def test_errors_of_ours_from_a_callable_stay_what_they_are(colour: Colour) -> None:
    def token() -> str:
        raise ConnectError("no way to the issuer")

    with ScriptedServer(START + QUIT) as server, pytest.raises(ConnectError) as caught:
        colour.open(url(server), auth=BearerToken("u", token))
    assert (caught.value.stage, caught.value.__cause__) == ("auth", None)


def test_a_callable_that_never_comes_back() -> None:
    async def main() -> None:
        async def token() -> str:
            await asyncio.sleep(60)
            return "late"

        async def impatient() -> str:
            raise TimeoutError("mine")

        with ScriptedServer(START, tolerant=True) as server:
            impatient_client = AsyncClient(url(server), auth=BearerToken("u", token), timeouts=Timeouts(auth=0.05))
            with pytest.raises(DeadlineError, match="too long"):
                await impatient_client.send(BODY, sender=FROM, recipients=[TO])
            failing_client = AsyncClient(url(server), auth=BearerToken("u", impatient))
            with pytest.raises(AuthenticationError) as caught:
                await failing_client.send(BODY, sender=FROM, recipients=[TO])
            assert isinstance(caught.value.__cause__, TimeoutError)

    asyncio.run(main())
