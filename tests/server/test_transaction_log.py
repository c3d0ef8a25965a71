"""One line for each transaction, on a real server."""

import json
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from smtpx.protocol.dialect import LMTP
from smtpx.server.body import Body
from smtpx.server.hooks import own_methods
from smtpx.server.middleware import Stack
from smtpx.server.session import Reject, Session, ok
from smtpx.server.transaction_log import TransactionLog
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply
from tests.server.rig import EHLO, ENV, MAIL, RCPT, RawClient, Recorder, eventually, fresh_server_tls, running

LOGIN = "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n"


class Choosy(Recorder):
    """Its opinion is in the addresses."""

    async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
        if sender.local_part == "refused":
            return Reject().reply
        self.sender = sender
        return None

    async def rcpt(self, recipient: Mailbox, params: Params) -> Reply | None:
        if recipient.local_part == "refused":
            return Reject.mailbox_unavailable().reply
        if recipient.local_part == "raised":
            raise Reject.mailbox_unavailable()
        return None

    async def data(self, body: Body) -> Any:  # noqa: ANN401
        await body.discard()
        what = str(self.sender).partition("@")[0]
        if what == "reject":
            raise Reject.content_refused("bad\x1b[31m content")
        if what == "raise":
            raise RuntimeError("secret")
        return ok("queued as 42") if what == "kept" else None


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    caplog.set_level(logging.INFO, "smtpx.transactions")
    found: list[dict[str, Any]] = []

    class Keeping(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            if record.name == "smtpx.transactions":
                fields = record.__dict__["transaction"]
                text = " ".join(f"{name}={json.dumps(value)}" for name, value in fields.items())
                assert record.getMessage() == f"transaction {text}"
                assert "\n" not in text
                assert (record.__dict__["peer"], record.__dict__["connection"]) == ("127.0.0.1", fields["connection"])
                found.append(fields)
            return True

    caplog.handler.addFilter(Keeping())
    return found


def ticking() -> TransactionLog:
    now = iter(range(1000))
    return TransactionLog(clock=lambda: next(now) / 4)


async def test_a_message(lines: list[dict[str, Any]]) -> None:
    async with (
        running(Stack(Choosy, ticking()), tls=fresh_server_tls()) as server,
        await RawClient.open(server) as client,
    ):
        await client.say(EHLO + "STARTTLS\r\n", 2)
        await client.start_tls()
        await client.say(EHLO + LOGIN, 2)
        await client.say("MAIL FROM:<kept@client.example>\r\n")
        for name in ("b", "refused", "raised", "c"):
            await client.say(f"RCPT TO:<{name}@server.example>\r\n")
        await client.say("DATA\r\n")
        await client.say("x\r\n.\r\n")
    (line,) = lines
    assert line.pop("id") == f"{line['connection']}.1"
    del line["connection"]
    assert line == {
        "peer": "127.0.0.1",
        "hello": "client.example",
        "user": "user",
        "tls": "TLSv1.3",
        "from": "kept@client.example",
        "to": ["b@server.example", "c@server.example"],
        "accepted": 2,
        "refused": 2,
        "octets": 3,
        "seconds": 0.25,
        "outcome": "250 2.0.0 queued as 42",
    }


@pytest.mark.parametrize(
    ("sender", "outcome"),
    [
        ("x", "250 2.0.0 message accepted"),
        ("reject", r"550 5.6.0 bad\x1b[31m content"),
        ("raise", "error"),
    ],
)
async def test_outcomes(sender: str, outcome: str, lines: list[dict[str, Any]]) -> None:
    async with running(Stack(Choosy, ticking())) as server, await RawClient.open(server) as client:
        for _ in range(2):
            await client.say(f"EHLO client.example\r\nMAIL FROM:<{sender}@client.example>\r\n{RCPT}DATA\r\n", 4)
            await client.say("x\r\n.\r\n")
    assert [line["outcome"] for line in lines] == [outcome] * 2
    assert [line["id"].partition(".")[2] for line in lines] == ["1", "2"]
    assert [line["accepted"] for line in lines] == [1, 1]


async def test_transactions_without_a_message(lines: list[dict[str, Any]]) -> None:
    async with running(Stack(Choosy, ticking())) as server:
        async with await RawClient.open(server) as client:
            await client.say(EHLO + "MAIL FROM:<refused@client.example>\r\n", 2)  # not even begun
            await client.say(MAIL + "RSET\r\nRSET\r\n", 3)
            await client.say(ENV, 2)
        await eventually(lambda: server.connections == 0)
    assert [(line["outcome"], line["accepted"]) for line in lines] == [("no message", 0), ("no message", 1)]


async def test_a_message_that_does_not_arrive(lines: list[dict[str, Any]]) -> None:
    async with running(Stack(Choosy, ticking())) as server:
        async with await RawClient.open(server) as client:
            await client.say(EHLO + ENV + "DATA\r\n", 4)
            await client.send("half\r\n")
            await client.silence(0.02)
        await eventually(lambda: server.connections == 0)
    assert lines[0]["outcome"].startswith("the message was given up: ")
    assert len(lines) == 1


async def test_many_recipients_are_counted_and_some_named(lines: list[dict[str, Any]]) -> None:
    async with running(Stack(Choosy, ticking())) as server, await RawClient.open(server) as client:
        await client.say(EHLO + MAIL, 2)
        await client.say(RCPT * 30, 30)
        await client.say("RSET\r\n")
    assert (len(lines[0]["to"]), lines[0]["accepted"]) == (20, 30)


async def test_a_verdict_for_each_recipient(lines: list[dict[str, Any]]) -> None:
    class Each(Session):
        async def data(self, body: Body) -> Mapping[str, Reply]:
            await body.discard()
            full = Reject.mailbox_full().reply
            return {"b@server.example": ok(), "c@server.example": full, "d@server.example": ok()}

    async with running(Stack(Each, ticking()), dialect=LMTP) as server, await RawClient.open(server) as client:
        await client.say("LHLO client.example\r\n" + MAIL, 2)
        for name in "bcd":
            await client.say(f"RCPT TO:<{name}@server.example>\r\n")
        await client.say("DATA\r\n")
        await client.say("x\r\n.\r\n", 3)
    assert lines[0]["outcome"] == "250:2 452:1"


def test_nobody_listens_nothing_is_wrapped() -> None:
    logger = logging.getLogger("smtpx.tests.nobody")
    logger.setLevel(logging.WARNING)
    assert own_methods(Stack(Session, TransactionLog(logger))()) == frozenset()
    assert own_methods(Stack(Session, TransactionLog(logger, level=logging.WARNING))()) == {
        "mail",
        "rcpt",
        "data",
        "reset",
        "close",
    }
