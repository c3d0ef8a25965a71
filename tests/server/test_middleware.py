"""Sessions around sessions, on a real server."""

import asyncio
import functools
import inspect
from collections.abc import Sequence
from types import CoroutineType
from typing import Any

import pytest

from smtpx.errors import ConfigurationError
from smtpx.sasl import Credentials
from smtpx.server.exposure import Exposure
from smtpx.server.hooks import own_methods
from smtpx.server.listener import Server
from smtpx.server.middleware import ChecksExposure, Middleware, Stack
from smtpx.server.session import Reject, Session, ok
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply
from tests.server.rig import EHLO, ENV, MAIL, OPEN, RCPT, RawClient, Recorder, recorders, running

HOOKS = ("connect", "hello", "authenticate", "lookup", "mail", "rcpt", "data", "command", "reset", "close")


class Marking(Middleware):
    """Says when it was asked and when it was told."""

    def __init__(self, inner: Session, name: str, said: list[str]) -> None:
        super().__init__(inner)
        self.name, self.said = name, said

    async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
        self.said.append(f"{self.name} asked")
        await asyncio.sleep(0)
        reply = await super().mail(sender, params)
        self.said.append(f"{self.name} told {reply}")
        return reply


class Greeting(Session):
    """Has an opinion on senders only."""

    async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
        return ok(f"hello {sender} from {self.peer.address}")


async def test_the_first_is_outermost_and_each_sees_what_those_inside_say() -> None:
    said: list[str] = []
    layers = [functools.partial(Marking, name=name, said=said) for name in "abc"]
    async with running(Stack(Greeting, *layers)) as server, await RawClient.open(server) as client:
        await client.say(EHLO)
        await client.send(MAIL)
        assert (await client.reply()).text == "hello a@client.example from 127.0.0.1"
    reply = "told 250 2.0.0 hello a@client.example from 127.0.0.1"
    assert said == ["a asked", "b asked", "c asked", f"c {reply}", f"b {reply}", f"a {reply}"]


async def test_what_one_refuses_those_inside_never_hear_of() -> None:
    class Refusing(Middleware):
        async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
            raise Reject.try_later()

    said: list[str] = []
    around, inside = (functools.partial(Marking, name=name, said=said) for name in ("around", "inside"))
    kind, made = recorders()
    async with running(Stack(kind, around, Refusing, inside)) as server, await RawClient.open(server) as client:
        assert await client.say(EHLO + MAIL, 2) == ["250", "451 4.7.1"]
    assert said == ["around asked"]
    assert "mail" not in made[-1].calls


async def test_methods_that_nobody_overrides_are_not_called() -> None:
    class Empty(Middleware):
        """No opinion at all."""

    assert own_methods(Stack(Session, Middleware, Empty)()) == frozenset()
    assert own_methods(Stack(Greeting, Middleware)()) == {"mail"}
    marked = functools.partial(Marking, name="x", said=[])
    assert own_methods(Stack(Session, marked, Empty)()) == {"mail"}
    assert own_methods(Stack(Recorder, marked)()) == own_methods(Recorder())


@pytest.mark.parametrize("hook", HOOKS)
async def test_what_is_not_overridden_is_the_coroutine_of_the_session_inside(hook: str) -> None:
    """No frame of ours is around it, however many middlewares there are."""
    inner = Session()
    stacked = Stack(lambda: inner, Middleware, Middleware, Middleware)()
    count = len(inspect.signature(getattr(Session, hook)).parameters) - 1
    coroutine = getattr(stacked, hook)(*range(count))
    assert coroutine.__class__ is CoroutineType
    assert coroutine.cr_frame.f_locals["self"] is inner
    coroutine.close()
    assert (
        inspect.signature(getattr(Middleware, hook)).parameters.keys()
        == inspect.signature(getattr(Session, hook)).parameters.keys()
    )


@pytest.mark.parametrize("depth", [0, 1, 3])
async def test_a_session_in_middlewares_is_a_session_as_ever(depth: int) -> None:
    kind, made = recorders()
    async with (
        running(Stack(kind, *[Middleware] * depth), allow_insecure_auth=True) as server,
        await RawClient.open(server) as client,
    ):
        assert await client.say(EHLO + "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n", 2) == ["250", "235 2.7.0"]
        await client.say(ENV + "DATA\r\n", 3)
        assert await client.say("x\r\n.\r\n") == ["250 2.0.0"]
    assert made[-1].messages[0].identity == "user"
    assert made[-1].calls == ["connect", "authenticate", "mail", "rcpt", "data", "reset", "close"]


async def test_auth_is_offered_when_somebody_in_the_stack_judges() -> None:
    class Judge(Middleware):
        async def authenticate(self, identity: Credentials) -> Reply | None:
            return None

    for maker, offered in ((Stack(Session, Judge), True), (Stack(Session, Middleware), False), (Stack(Recorder), True)):
        async with running(maker, allow_insecure_auth=True) as server, await RawClient.open(server) as client:
            await client.send(EHLO)
            assert any(line.startswith("AUTH ") for line in (await client.reply()).lines) is offered


async def test_a_stack_in_a_stack() -> None:
    said: list[str] = []
    a, b = (functools.partial(Marking, name=name, said=said) for name in "ab")
    async with running(Stack(Stack(Session, b), a)) as server, await RawClient.open(server) as client:
        await client.say(EHLO + MAIL, 2)
    assert said == ["a asked", "b asked", "b told None", "a told None"]


def test_one_context_and_one_peer_for_all() -> None:
    inner = Session()
    stacked = Stack(lambda: inner, Middleware, Middleware)()
    peer: Any = object()
    stacked.peer = peer
    assert inner.peer is peer
    assert stacked.peer is peer
    assert stacked.context is inner.context


def test_everybody_is_asked_whether_it_may_be_served_there() -> None:
    asked: list[str] = []

    class Wary:
        def __init__(self, name: str, *, refuses: bool = False) -> None:
            self.name, self.refuses = name, refuses

        def __call__(self, inner: Session) -> Session:
            return inner

        def check_exposure(self, exposures: Sequence[Exposure]) -> None:
            (only,) = exposures
            asked.append(f"{self.name} {only.place} {only.is_public} {only.has_auth} {only.has_clear_auth}")
            if self.refuses:
                raise ConfigurationError(f"{self.name} does not want to")

    assert isinstance(Wary("x"), ChecksExposure)
    Server(Stack(Stack(Session, Wary("inside")), Middleware, Wary("around")))
    assert asked == ["around 127.0.0.1 False False False", "inside 127.0.0.1 False False False"]
    with pytest.raises(ConfigurationError, match="inside does not want to"):
        Server(Stack(Stack(Session, Wary("inside", refuses=True))))


async def test_an_exception_in_a_middleware_is_like_one_in_a_session(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Middleware):
        async def rcpt(self, recipient: Mailbox, params: Params) -> Reply | None:
            raise RuntimeError("secret")

    async with running(Stack(Session, Broken)) as server, await RawClient.open(server) as client:
        await client.say(EHLO + MAIL, 2)
        assert await client.say(RCPT) == ["451 4.3.0"]
        assert b"secret" not in client.received
    assert "rcpt raised" in caplog.text
    async with running(Stack(Session, Middleware)) as server, await RawClient.open(server) as client:
        assert (await client.say(OPEN, 4))[-1] == "354"
