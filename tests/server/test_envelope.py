"""What a session sees of its transaction, without having kept anything itself."""

from typing import Any

from smtpx.extensions.dsn import ENVID, NOTIFY
from smtpx.server.body import Body
from smtpx.server.middleware import Middleware, Stack
from smtpx.server.session import Reject, Session
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from tests.server.rig import EHLO, RawClient, running

MAIL = "MAIL FROM:<a@client.example> ENVID=x1\r\n"


class Forgetful(Session):
    """A handler that only judges."""

    seen: list[Any]

    async def rcpt(self, recipient: Mailbox, params: Params) -> None:
        self.seen.append(len(self.envelope.recipients))
        if recipient.local_part == "nobody":
            raise Reject.mailbox_unavailable()

    async def data(self, body: Body) -> None:
        await body.read()
        self.seen.append(repr(self.envelope))
        assert self.envelope.sender is not None
        self.seen.append((str(self.envelope.sender), self.envelope.params.get(ENVID)))
        pairs = zip(self.envelope.recipients, self.envelope.recipient_params, strict=True)
        self.seen += [(str(recipient), params.get(NOTIFY)) for recipient, params in pairs]

    async def reset(self) -> None:
        self.seen.append("reset")

    async def close(self) -> None:
        self.seen.append((self.envelope.sender, self.envelope.recipients, self.envelope.recipient_params))


async def test_p14_the_framework_keeps_the_envelope() -> None:
    kind = type("Fresh", (Forgetful,), {"seen": []})
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.say(EHLO + MAIL, 2)
        rcpt = ["b@x.example> NOTIFY=NEVER", "nobody@x.example>", "c@x.example>", "b@x.example>"]
        codes = await client.say("".join(f"RCPT TO:<{each}\r\n" for each in rcpt), 4)
        assert codes == ["250 2.1.5", "550 5.1.1", "250 2.1.5", "250 2.1.5"]
        await client.say("DATA\r\n")
        assert await client.say("x\r\n.\r\n") == ["250 2.0.0"]
        assert await client.say(MAIL + "RSET\r\nQUIT\r\n", 3) == ["250 2.1.0", "250 2.0.0", "221 2.0.0"]
    assert kind.seen == [  # type: ignore[attr-defined]
        *[0, 1, 1, 2],
        "<Envelope from a@client.example to 3 recipients>",
        ("a@client.example", "x1"),
        ("b@x.example", ("NEVER",)),
        ("c@x.example", None),
        ("b@x.example", None),
        "reset",
        "reset",
        (None, (), ()),
    ]


class Passing(Middleware):
    """Has no opinion."""


async def test_sessions_inside_of_others_see_it_too() -> None:
    kind = type("Fresh", (Forgetful,), {"seen": []})
    async with running(Stack(kind, Passing, Passing)) as server, await RawClient.open(server) as client:
        await client.say(EHLO + MAIL + "RCPT TO:<b@x.example>\r\nDATA\r\n", 4)
        assert await client.say("x\r\n.\r\n") == ["250 2.0.0"]
    assert "<Envelope from a@client.example to 1 recipients>" in kind.seen  # type: ignore[attr-defined]
