"""Extensions and mechanisms of somebody's that raise what they should not: one connection ends, and leaves nothing."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from smtpx.extensions import STANDARD
from smtpx.protocol.extension import Extension
from smtpx.sasl import Challenge, ExchangeContext, Lookup, ServerMechanism
from smtpx.sasl.credentials import Secret
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Param, Params
from smtpx.wire.reply import Reply
from tests.server.rig import RawClient, Recorder, eventually, recorders, running

HELLO = "EHLO c\r\n"
MAIL = f"{HELLO}MAIL FROM:<a@b.example>\r\n"
RCPT = f"{MAIL}RCPT TO:<c@d.example>\r\n"
SAID = {  # what leads to the place that raises
    "advertise": HELLO,
    "parse": f"{HELLO}MAIL FROM:<a@b.example> XBROKEN=1\r\n",
    "check_mail": MAIL,
    "check_rcpt": RCPT,
    "check_data": f"{RCPT}DATA\r\n",
    "verb": f"{HELLO}XBROKEN\r\n",
}


def fail(*_: object) -> NoReturn:
    raise KeyError("internal")


def broken(place: str) -> Extension:
    """An extension that raises in one place."""
    members: dict[str, Any] = {"keyword": "XBROKEN"}
    if place == "verb":
        members["verbs"] = lambda _: {"XBROKEN": fail}
    elif place == "parse":
        members["mail_params"] = (Param("XBROKEN", fail, str),)
    else:
        members[place] = fail
    made: Extension = type("Broken", (Extension,), members)()
    return made


class Waiting(Recorder):
    """Its hooks wait, so that the protocol is answered by the connection's task."""

    async def hello(self, verb: str, name: str) -> Reply | None:
        await asyncio.sleep(0)
        return None

    async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
        await asyncio.sleep(0)
        return await super().mail(sender, params)


@pytest.mark.parametrize("place", list(SAID))
@pytest.mark.parametrize("kind", [Recorder, Waiting])
async def test_an_extension_that_raises_ends_its_connection_only(
    place: str, kind: type[Recorder], caplog: pytest.LogCaptureFixture
) -> None:
    session, made = recorders(kind)
    async with running(session, extensions=[*STANDARD, broken(place)]) as server:
        async with await RawClient.open(server) as client:
            await client.send(SAID[place])
            assert (await client.codes(SAID[place].count("\r\n")))[-1] == "421 4.3.0"
            await client.closed()
            assert b"421 4.3.0 internal error\r\n" in client.received
        await eventually(lambda: server.connections == 0)
    (session_made,) = made
    assert session_made.calls[-1] == "close"
    assert session_made.calls.count("close") == 1
    errors = [record.exc_info for record in caplog.records if record.levelno >= logging.ERROR]
    assert [error and error[0] for error in errors] == [KeyError]


class Looking(Recorder):
    async def lookup(self, mechanism: str, username: str) -> Secret:
        return Secret("secret")


def raising_at(step: str) -> Callable[[ExchangeContext], Any]:
    def start(_: ExchangeContext) -> Any:  # noqa: ANN401
        yield Challenge(b"challenge")
        if step == "lookup":
            yield Lookup("CRAM-MD5", "user")
        fail()

    return start


@pytest.mark.parametrize("step", ["response", "lookup"])
async def test_a_mechanism_that_raises_ends_its_connection_only(step: str) -> None:
    mechanism = ServerMechanism("XBOOM", False, False, raising_at(step), needs_lookup=step == "lookup")
    async with running(Looking, mechanisms=[mechanism], allow_insecure_auth=True) as server:
        async with await RawClient.open(server) as client:
            assert await client.say(f"{HELLO}AUTH XBOOM\r\n", 2) == ["250", "334"]
            assert await client.say("eA==\r\n") == ["421 4.3.0"]
            await client.closed()
        await eventually(lambda: server.connections == 0)
