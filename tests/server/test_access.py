"""Lists of those who are welcome, and of those who are not, on a real server."""

import pytest

from smtpx.errors import ConfigurationError
from smtpx.server.access import Allow, Deny
from smtpx.server.hooks import own_methods
from smtpx.server.middleware import Stack
from smtpx.server.session import Session
from tests.server.rig import EHLO, MAIL, RawClient, recorders, running


@pytest.mark.parametrize(
    ("middleware", "is_welcome"),
    [
        (Allow(networks=["127.0.0.0/8"]), True),
        (Allow(networks=["10.0.0.0/8"]), False),
        (Allow(networks=[]), False),
        (Deny(networks=["127.0.0.0/8"]), False),
        (Deny(networks=["0.0.0.0/0"]), False),
        (Deny(networks=["10.0.0.0/8"]), True),
        (Deny(), True),
    ],
)
async def test_clients(middleware: Allow | Deny, is_welcome: bool) -> None:
    kind, made = recorders()
    async with running(Stack(kind, middleware)) as server, await RawClient.open(server, greeting=False) as client:
        assert (await client.codes(1))[0].split()[0] == ("220" if is_welcome else "554")
        if not is_welcome:
            await client.closed()
    assert ("connect" in made[-1].calls) is is_welcome


SENDERS = ["bad@client.example", "*.spam.example", "<>"]


@pytest.mark.parametrize(
    ("sender", "is_listed"),
    [("<bad@client.example>", True), ('<"BAD"@client.example>', True), ("<>", True), ("<a@client.example>", False)],
)
async def test_senders(sender: str, is_listed: bool) -> None:
    for middleware, is_welcome in ((Deny(senders=SENDERS), not is_listed), (Allow(senders=SENDERS), is_listed)):
        async with running(Stack(Session, middleware)) as server, await RawClient.open(server) as client:
            answer = "250 2.1.0" if is_welcome else "550 5.7.1"
            assert await client.say(EHLO + f"MAIL FROM:{sender}\r\n", 2) == ["250", answer]
            await client.probe()


@pytest.mark.parametrize(
    ("recipient", "allowed", "denied"),
    [
        ("<b@server.example>", "250 2.1.5", "550 5.1.1"),
        ("<c@server.example>", "550 5.1.1", "250 2.1.5"),
        ("<Postmaster>", "250 2.1.5", "250 2.1.5"),
    ],
)
async def test_recipients(recipient: str, allowed: str, denied: str) -> None:
    for middleware, answer in (
        (Allow(recipients=["b@server.example"]), allowed),
        (Deny(recipients=["b@server.example"]), denied),
    ):
        async with running(Stack(Session, middleware)) as server, await RawClient.open(server) as client:
            await client.say(EHLO + MAIL, 2)
            assert await client.say(f"RCPT TO:{recipient}\r\n") == [answer]


async def test_a_postmaster_that_is_not_wanted() -> None:
    maker = Stack(Session, Deny(recipients=["postmaster"]))
    async with running(maker) as server, await RawClient.open(server) as client:
        await client.say(EHLO + MAIL, 2)
        assert await client.say("RCPT TO:<Postmaster>\r\n") == ["550 5.1.1"]


def test_only_what_is_listed_costs_something() -> None:
    assert own_methods(Stack(Session, Deny(), Allow())()) == frozenset()
    assert own_methods(Stack(Session, Deny(senders=[]), Allow(networks=["unix"]))()) == {"mail", "connect"}


@pytest.mark.parametrize("options", [{"networks": ["x"]}, {"senders": ["a@"]}, {"recipients": ["a b"]}])
def test_what_can_not_be_listed(options: dict[str, list[str]]) -> None:
    for kind in (Allow, Deny):
        with pytest.raises(ConfigurationError, match="not a"):
            kind(**options)  # type: ignore[arg-type]
