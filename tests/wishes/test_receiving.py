"""What users of mail servers' libraries asked for and did not get, as they would write it: receiving.

A test's number is its wish's; the docstring has the public threads that asked. Sections 5 and 6.
"""

import asyncio
import contextlib
import logging
from typing import Any

import pytest

import smtpx
from smtpx.extensions import ALL, STANDARD
from smtpx.extensions.deliverby import BY
from smtpx.extensions.dsn import NOTIFY
from smtpx.extensions.mt_priority import MT_PRIORITY
from smtpx.extensions.xclient import XClient
from smtpx.protocol.extension import Conversation
from smtpx.server.body import Body
from smtpx.server.settings import Deadlines
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from tests.server.rig import (
    BDAT,
    EHLO,
    FAST,
    MAIL,
    OPEN,
    RCPT,
    RawClient,
    Recorder,
    eventually,
    fresh_server_tls,
    recorders,
    running,
)

# 5. The protocol


async def test_users_ask_5_1_the_octets_of_a_refused_bdat() -> None:
    """Swallowed in every phase, never read as commands (go-smtp#315)."""
    async with running() as server, await RawClient.open(server) as client:
        chunk = "BDAT 12 LAST\r\nQUIT\r\nQUIT\r\n"
        assert await client.say(chunk) == ["503 5.5.1"]
        await client.say(EHLO)
        assert await client.say(chunk) == ["503 5.5.1"]
        await client.say(MAIL)
        assert await client.say(chunk) == ["503 5.5.1"]
        await client.probe()


async def test_users_ask_5_2_content_in_chunks() -> None:
    """aiosmtpd#558: counted, so nothing in it can end it."""
    kind, made = recorders()
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.send(EHLO)
        assert "CHUNKING" in (await client.reply()).lines
        await client.say(MAIL + RCPT, 2)
        assert await client.say("BDAT 5\r\n\r\n.\r\nBDAT 3 LAST\r\nend", 2) == ["250 2.0.0", "250 2.0.0"]
    assert made[0].messages[0].content == b"\r\n.\r\nend"


async def test_users_ask_5_3_late_in_the_body_is_the_end() -> None:
    """Leftovers of a message never become commands (go-smtp#196)."""
    async with running(deadlines=Deadlines(data=0.2)) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        await client.send("half a li")
        assert await client.codes(1) == ["421 4.4.2"]
        await client.closed()


async def test_users_ask_5_4_parameters_of_rcpt() -> None:
    """Typed for the session; unknown ones are 555 and name themselves (aiosmtpd#183, #299, chatmail/relay#651)."""
    seen: list[Any] = []

    class Watch(Recorder):
        async def rcpt(self, recipient: Mailbox, params: Params) -> None:
            seen.append(params.get(NOTIFY))

    async with running(Watch) as server, await RawClient.open(server) as client:
        await client.say(EHLO + MAIL, 2)
        assert await client.say("RCPT TO:<b@x.example> NOTIFY=SUCCESS,DELAY\r\n") == ["250 2.1.5"]
        await client.send("RCPT TO:<b@x.example> COLOUR=blue\r\n")
        refusal = await client.reply()
        assert (refusal.code, "COLOUR" in refusal.text) == (555, True)
    assert seen == [("SUCCESS", "DELAY")]


async def test_users_ask_5_5_by_and_priority_on_mail() -> None:
    """Where RFC 2852 and RFC 6710 put them (go-smtp#311)."""
    seen: list[Any] = []

    class Watch(Recorder):
        async def mail(self, sender: Mailbox, params: Params) -> None:
            seen.append((params.get(BY), params.get(MT_PRIORITY)))

    async with running(Watch, extensions=ALL) as server, await RawClient.open(server) as client:
        await client.say(EHLO)
        assert await client.say("MAIL FROM:<a@x.example> BY=120;R MT-PRIORITY=4\r\n") == ["250 2.1.0"]
        assert await client.say("RCPT TO:<b@x.example> BY=120;R\r\nRCPT TO:<b@x.example> MT-PRIORITY=4\r\n", 2) == [
            "555 5.5.4",
            "555 5.5.4",
        ]
    [(by, priority)] = seen
    assert (by.seconds, by.returns, priority) == (120, True, 4)


async def test_users_ask_5_6_lmtp_answers_for_each_recipient() -> None:
    """aiosmtpd#517, go-smtp#23: in order, whoever is named twice has two."""

    class Judge(Recorder):
        async def data(self, body: Body) -> Any:  # noqa: ANN401
            await body.read()
            return {"b@server.example": smtpx.ok(), "full@x.example": smtpx.reply(452, "4.2.2", "full")}

    async with running(Judge, dialect=smtpx.LMTP) as server, await RawClient.open(server) as client:
        envelope = MAIL + RCPT + "RCPT TO:<full@x.example>\r\n" + RCPT
        await client.say("LHLO x\r\n" + envelope + "DATA\r\n", 6)
        assert await client.say("x\r\n.\r\n", 3) == ["250 2.0.0", "452 4.2.2", "250 2.0.0"]
        await client.probe()


async def test_users_ask_5_7_a_body_is_a_stream() -> None:
    """A message larger than any buffer, in constant memory (aiosmtpd#543, chatmail/relay#804)."""
    largest = 0

    class Counter(Recorder):
        async def data(self, body: Body) -> Any:  # noqa: ANN401
            nonlocal largest
            total = 0
            async for piece in body:
                largest = max(largest, len(piece))
                total += len(piece)
            return smtpx.ok(str(total))

    piece = b"\r\n" + (b"x" * 98 + b"\r\n") * 1000
    async with running(Counter) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        for _ in range(100):
            await client.send(piece)
        await client.send(".\r\n")
        assert (await client.reply()).text == str(100 * len(piece))
    assert largest <= 1 << 19


async def test_users_ask_5_8_lines_of_any_length() -> None:
    """aiosmtpd#285: a long line is content; it breaks neither the framing nor the connection."""
    kind, made = recorders()
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        assert await client.say("x" * 300_000 + "\r\n.\r\n") == ["250 2.0.0"]
        await client.probe()
    assert len(made[0].messages[0].content) == 300_002


async def test_users_ask_5_10_a_verb_of_ones_own() -> None:
    """go-smtp#303, #268 refused; see examples/own_extension.py for the whole of it."""

    class Ping(smtpx.Extension):
        keyword = "XPING"

        def verbs(self) -> Any:  # noqa: ANN401
            def ping(conversation: Conversation, argument: str | None) -> None:
                conversation.reply(smtpx.reply(250, "2.0.0", f"pong {argument}"))

            return {"XPING": ping}

    async with running(extensions=[*STANDARD, Ping()]) as server, await RawClient.open(server) as client:
        await client.send(EHLO)
        assert "XPING" in (await client.reply()).lines
        await client.send("xping 7\r\n")
        assert (await client.reply()).text == "pong 7"


async def test_users_ask_5_11_xclient_fails_closed() -> None:
    """Nobody is trusted who is not listed (go-smtp#295, foxcpp/maddy#376, chrj/smtpd#71)."""
    claim = "XCLIENT ADDR=192.0.2.9 NAME=mail.example\r\n"
    kind, made = recorders()
    for trusted, code in (((), "550 5.7.0"), (("127.0.0.1/32",), "220")):
        extensions = [*STANDARD, XClient(trusted)]
        async with running(kind, extensions=extensions) as server, await RawClient.open(server) as client:
            await client.send(EHLO)
            assert any("XCLIENT" in line for line in (await client.reply()).lines) is bool(trusted)
            assert (await client.say(claim))[0].startswith(code)
            assert made[-1].peer.address == ("192.0.2.9" if trusted else "127.0.0.1")


async def test_users_ask_5_12_proxy_from_trusted_peers_only() -> None:
    """go-smtp#295, chrj/smtpd#71: v1 and v2; whoever is not listed, or sends none in time, is closed without a word."""
    v1 = b"PROXY TCP4 192.0.2.9 192.0.2.1 4711 25\r\n"
    v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\0\2\x09\xc0\0\2\1\x12\x67\0\x19"
    kind, made = recorders()
    deadlines = Deadlines(proxy_header=0.2)
    async with running(kind, proxy_protocol=True, deadlines=deadlines) as server:
        for header in (v1, v2):
            async with await RawClient.open(server, greeting=False) as client:
                await client.send_raw(header)
                assert await client.codes(1) == ["220"]
            assert (made[-1].peer.address, made[-1].peer.port) == ("192.0.2.9", 4711)
        for header in (b"", EHLO.encode(), b"PROXY " + b"x" * 200):
            async with await RawClient.open(server, greeting=False) as client:
                await client.send_raw(header)
                await client.closed()
    async with (
        running(kind, proxy_protocol=True, proxy_trusted=()) as server,
        await RawClient.open(server, greeting=False) as client,
    ):
        await client.send_raw(v1)
        await client.closed()
    assert len(made) == 2


async def test_users_ask_5_13_data_behind_refused_recipients() -> None:
    """haraka/Haraka#538: the reply says that they were refused, not that there were none."""

    class Nobody(Recorder):
        async def rcpt(self, recipient: Mailbox, params: Params) -> None:
            raise smtpx.Reject.mailbox_unavailable()

    async with running(Nobody) as server, await RawClient.open(server) as client:
        await client.say(EHLO)
        await client.send(MAIL + RCPT + RCPT + "DATA\r\n")
        assert (await client.codes(3)) == ["250 2.1.0", "550 5.1.1", "550 5.1.1"]
        reply = await client.reply()
        assert (reply.code, "2" in reply.text, "refused" in reply.text) == (503, True, True)


async def test_users_ask_5_14_replies_to_a_group_leave_together() -> None:
    """IndySockets/Indy#239: one write, and nothing is held back when the input is empty."""
    async with running() as server, await RawClient.open(server) as client:
        await client.say(EHLO)
        await client.send(MAIL + RCPT * 20)
        octets = await client.receive()
        assert octets.count(b"\r\n") == 21


async def test_users_ask_5_15_rset_keeps_hello_and_login() -> None:
    """And messages already taken (OpenSMTPD/OpenSMTPD#1149, mocktools/go-smtp-mock#172)."""
    kind, made = recorders()
    async with running(kind, allow_insecure_auth=True) as server, await RawClient.open(server) as client:
        await client.say(EHLO)
        assert await client.say("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n") == ["235 2.7.0"]
        await client.say(MAIL + RCPT + "DATA\r\n", 3)
        assert await client.say("x\r\n.\r\n") == ["250 2.0.0"]
        assert await client.say(MAIL + "RSET\r\n" + MAIL + RCPT, 4) == [
            "250 2.1.0",
            "250 2.0.0",
            "250 2.1.0",
            "250 2.1.5",
        ]
    assert [message.identity for message in made[0].messages] == ["user"]


async def test_users_ask_5_16_the_null_sender() -> None:
    """Is a value of its own, and writes itself as nothing."""
    kind, made = recorders()
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.say(EHLO)
        assert await client.say("MAIL FROM:<>\r\n") == ["250 2.1.0"]
        sender = made[0].sender
        assert sender is not None
        assert (sender.is_null, str(sender), sender == smtpx.NULL_SENDER) == (True, "", True)


async def test_users_ask_5_17_quoted_local_parts() -> None:
    """Come through as they are and go out the same (go-mail#495, nodemailer/nodemailer#1766, cpython#78772)."""
    kind, made = recorders()
    odd = '"a b\\"@c"@x.example'
    async with running(kind) as server, smtpx.AsyncClient(server.addresses[0]) as sender:
        await sender.send(b"x\r\n", sender="a@x.example", recipients=[odd])
    assert made[0].messages[0].recipients == (odd,)
    assert made[0].recipients == []


# 6. Policy and running


async def test_users_ask_6_1_caps() -> None:
    """In all, and for each address (go-smtp#193, aiosmtpd#282, suitenumerique/messages#783)."""
    for limits, code in (({"max_connections": 1}, "421 4.3.2"), ({"max_connections_per_ip": 1}, "421 4.7.0")):
        async with (
            running(limits=smtpx.ServerLimits(**limits)) as server,
            await RawClient.open(server),
            await RawClient.open(server, greeting=False) as second,
        ):
            assert await second.codes(1) == [code]
            await second.closed()


async def test_users_ask_6_2_pause_and_resume() -> None:
    """aiosmtpd#327: who is there goes on, who comes is told to come again."""
    async with running() as server, await RawClient.open(server) as old:
        server.pause()
        async with await RawClient.open(server, greeting=False) as client:
            assert await client.codes(1) == ["421 4.3.2"]
            await client.closed()
        await old.probe()
        server.resume()
        async with await RawClient.open(server) as client:
            await client.probe()


async def test_users_ask_6_3_drain() -> None:
    """Idle clients are told, a message under way gets its verdict, and who never ends is not waited for."""
    kind, made = recorders()
    async with running(kind) as server:
        idle, busy, endless = [await RawClient.open(server) for _ in range(3)]
        await busy.say(OPEN, 4)
        await endless.say(OPEN, 4)
        draining = asyncio.create_task(server.drain(0.5))
        assert await idle.codes(1) == ["421 4.3.2"]
        await busy.send("x\r\n.\r\n")
        assert await busy.codes(2) == ["250 2.0.0", "421 4.3.2"]
        assert await endless.codes(1) == ["421 4.3.2"]
        for client in (idle, busy, endless):
            client.sock.close()
        await draining
    assert sum(len(session.messages) for session in made) == 1


async def test_users_ask_6_4_in_the_loop_that_runs() -> None:
    """No hidden thread (aiosmtpd#160, #378)."""
    loop = asyncio.get_running_loop()
    loops: list[object] = []

    class Watch(Recorder):
        async def connect(self) -> None:
            loops.append(asyncio.get_running_loop())

    async with running(Watch) as server, await RawClient.open(server):
        assert loops == [loop]


async def test_users_ask_6_5_a_greeting_of_ones_own() -> None:
    """go-smtp#132, #219, cosullivan/SmtpServer#265."""
    banner = "welcome, and no spam"
    async with running(banner=banner) as server, await RawClient.open(server, greeting=False) as client:
        assert (await client.reply()).text == f"server.example ESMTP {banner}"


async def test_users_ask_6_6_the_text_of_success() -> None:
    """go-smtp#86, #97, #131, slimta/python-slimta#56."""

    class Queue(Recorder):
        async def data(self, body: Body) -> Any:  # noqa: ANN401
            await body.read()
            return smtpx.ok("queued as 42")

    async with running(Queue) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        await client.send("x\r\n.\r\n")
        assert (await client.reply()).text == "queued as 42"


@pytest.mark.parametrize("hook", ["connect", "hello", "mail", "rcpt", "data"])
async def test_users_ask_6_7_any_refusal_is_ones_own(hook: str) -> None:
    """A 451 for a rate limit, at every stage (mhale/smtpd#3, apache/james-project#3137)."""

    async def refuse(self: smtpx.Session, *args: object) -> None:
        raise smtpx.Reject(451, "4.7.1", "slow down, please")

    kind = type("Refusing", (Recorder,), {hook: refuse})
    stages = {"connect": 0, "hello": 1, "mail": 2, "rcpt": 3, "data": 5}
    async with running(kind) as server, await RawClient.open(server, greeting=False) as client:
        steps = ["", EHLO, MAIL, RCPT, "DATA\r\n", "x\r\n.\r\n"]
        for step in steps[: stages[hook]]:
            await client.send(step)
            assert (await client.reply()).code < 400
        await client.send(steps[stages[hook]])
        reply = await client.reply()
        assert (reply.code, str(reply.enhanced), reply.text.endswith("slow down, please")) == (451, "4.7.1", True)


async def test_users_ask_6_8_faults_stay_inside(caplog: pytest.LogCaptureFixture) -> None:
    """Temporary, and without a word of what went wrong (aiosmtpd answers 500 with class and text)."""

    class Broken(Recorder):
        async def data(self, body: Body) -> Any:  # noqa: ANN401
            raise RuntimeError("password=hunter2")

    async with running(Broken) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        await client.send("x\r\n.\r\n")
        reply = await client.reply()
        assert (reply.code, str(reply.enhanced)) == (451, "4.3.0")
        assert "hunter2" not in reply.text
        assert "RuntimeError" not in reply.text
        await client.probe()
    [record] = [record for record in caplog.records if record.exc_info]
    identifier = record.getMessage().rsplit("reference ", 1)[1].rstrip(")")
    assert identifier in reply.text


async def test_users_ask_6_9_health_checks_are_no_errors(caplog: pytest.LogCaptureFixture) -> None:
    """A connection that says nothing, whichever way it ends, with TLS or without."""
    caplog.set_level(logging.INFO, "smtpx")
    for options in ({}, {"tls": fresh_server_tls(), "implicit_tls": True}):
        async with running(**options) as server:
            for vanish in (RawClient.reset, lambda client: client.sock.close()):
                client = await RawClient.open(server, greeting=False)
                if not options:
                    await client.reply()
                vanish(client)
                await eventually(lambda: server.connections == 0)
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.INFO] == []


async def test_users_ask_6_10_a_rate_below_the_least() -> None:
    """Ekleog/kannader#65: a body that drips is ended by its budget, though each octet comes in time."""
    deadlines = Deadlines(data=0.3, min_data_rate=1000)
    async with running(deadlines=deadlines) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        dripping = asyncio.create_task(_drip(client))
        assert await client.codes(1) == ["421 4.4.2"]
        dripping.cancel()


async def _drip(client: RawClient) -> None:
    """An octet now and then, for longer than anybody may take."""
    with contextlib.suppress(ConnectionError):
        for _ in range(500):
            await client.send("x")
            await asyncio.sleep(0.02)


async def test_users_ask_6_11_context_before_ehlo() -> None:
    """go-smtp#19, #273: what `connect` puts on the session is there for all that follows."""

    class Tenant(Recorder):
        tenant = ""

        async def connect(self) -> None:
            self.tenant = f"of {self.peer.address} and {self.peer.id}"

        async def data(self, body: Body) -> Any:  # noqa: ANN401
            await body.read()
            return smtpx.ok(self.tenant)

    async with running(Tenant, limits=FAST) as server, await RawClient.open(server) as client:
        await client.say(BDAT, 3)
        await client.send("BDAT 1 LAST\r\nx")
        assert (await client.reply()).text.startswith("of 127.0.0.1 and ")
