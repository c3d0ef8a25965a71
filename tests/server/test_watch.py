"""What a server tells whoever looks on, over real connections: the whole story, in order, without secrets."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Mapping
from typing import Any

import pytest

from smtpx.protocol.dialect import LMTP
from smtpx.protocol.events import AbortCause
from smtpx.protocol.limits import ServerLimits
from smtpx.server.body import Body
from smtpx.server.listener import Server
from smtpx.server.observer import ServerConnectionObserver, ServerObserver
from smtpx.server.peer import Peer
from smtpx.server.session import Reject, Session, ok
from smtpx.server.settings import Deadlines
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply
from tests.server.rig import (
    BDAT,
    EHLO,
    ENV,
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
from tests.server.watching import EVENTS, PLAIN, SECRETS, Keeper, codes, watched, whole

# The usual story -----------------------------------------------------------------------------------------------------


async def test_a_connection_from_beginning_to_end() -> None:
    keeper = await whole(EHLO, ENV, "DATA\r\n", "Subject: x\r\n\r\nhello\r\n.\r\n", "QUIT\r\n")
    assert codes(keeper) == [
        ("GREETING", 220),
        ("EHLO", 250),
        ("MAIL", 250),
        ("RCPT", 250),
        ("DATA", 354),
        ("END OF DATA", 250),
        ("QUIT", 221),
    ]
    assert keeper.of("command") == [
        ("EHLO", "EHLO client.example"),
        ("MAIL", "MAIL FROM:<a@client.example>"),
        ("RCPT", "RCPT TO:<b@server.example>"),
        ("DATA", "DATA"),
        ("END OF DATA", "<21 octets>"),
        ("QUIT", "QUIT"),
    ]
    ((connection_id,),) = keeper.of("opened")
    transaction = keeper.transaction
    assert keeper.of("transaction_started") == [(transaction.id, "a@client.example")]
    assert transaction.id == f"{connection_id}.1"
    assert (transaction.sender, transaction.recipients, transaction.refused_recipients) == ("a@client.example", 1, 0)
    assert (transaction.command, transaction.octets, transaction.given_up) == ("DATA", 21, None)
    assert [str(verdict) for verdict in transaction.verdicts] == ["250 2.0.0 kept"]
    assert transaction.outcome == "accepted"
    assert transaction.seconds >= transaction.content_seconds + transaction.verdict_seconds >= 0
    summary = keeper.summary
    assert (summary.reason, summary.messages) == ("QUIT", 1)
    assert summary.octets_in == len(EHLO + ENV + "DATA\r\nSubject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n")
    assert summary.octets_out > 100
    hooks = [hook for hook, seconds in keeper.of("hook_ended") if seconds >= 0]
    assert hooks == ["connect", "mail", "rcpt", "data", "reset", "close"]
    assert keeper.events[-1][0] == "closed"


async def test_octet_by_octet_the_same_is_told() -> None:
    script = EHLO + ENV + "RCPT TO:<>\r\nbogus line\r\nDATA\r\n"
    told: list[list[tuple[Any, ...]]] = []
    for size in (1, 1000):
        async with watched(recorders()[0]) as (server, keeper):
            async with await RawClient.open(server) as client:
                for start in range(0, len(script), size):
                    await client.send(script[start : start + size])
                    await asyncio.sleep(0)
                await client.codes(6)
                await client.say("x\r\n.\r\nQUIT\r\n", 2)
            await eventually(lambda keeper=keeper: bool(keeper.of("closed")))
        told.append([event for event in keeper.events if event[0] in ("command", "reply")])
    assert told[0] == told[1]
    assert ("command", "", "bogus line") in told[0]


async def test_chunks_and_a_second_message() -> None:
    chunks = ("BDAT 3\r\nabc", "BDAT 3 last\r\ndef")
    keeper = await whole(EHLO, ENV, *chunks, MAIL, "RSET\r\n", "QUIT\r\n")
    assert ("BDAT", "BDAT 3") in keeper.of("command")
    assert ("BDAT LAST", "BDAT 3 last") in keeper.of("command")
    first, second = (event[0] for event in keeper.of("transaction_ended"))
    assert (first.command, first.octets, first.outcome, len(first.verdicts)) == ("BDAT", 6, "accepted", 1)
    assert (second.command, second.octets, second.outcome, second.verdicts) == ("", 0, "abandoned", ())
    assert [first.id[-2:], second.id[-2:]] == [".1", ".2"]
    assert second.verdict_seconds == 0


async def test_lmtp_each_recipient_has_a_verdict() -> None:
    class Choosy(Recorder):
        async def data(self, body: Body) -> Mapping[str, Reply]:
            await body.discard()
            return {"b@server.example": ok("kept"), "c@server.example": Reject.mailbox_full().reply}

    lmtp = EHLO.replace("EHLO", "LHLO")
    async with watched(recorders(Choosy)[0], dialect=LMTP) as (server, keeper):
        async with await RawClient.open(server) as client:
            await client.say(lmtp + ENV + "RCPT TO:<c@server.example>\r\nDATA\r\n", 5)
            await client.say("x\r\n.\r\n", 2)
            await client.say("QUIT\r\n")
        await eventually(lambda: bool(keeper.of("closed")))
    assert [verdict.code for verdict in keeper.transaction.verdicts] == [250, 452]
    assert keeper.transaction.outcome == "accepted"
    assert codes(keeper)[-3:] == [("END OF DATA", 250), ("END OF DATA", 452), ("QUIT", 221)]


# Refusals and ends ---------------------------------------------------------------------------------------------------


async def test_a_refused_sender_begins_no_transaction() -> None:
    class Refusing(Recorder):
        async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
            raise Reject.try_later()

    keeper = await whole(EHLO, MAIL, "QUIT\r\n", session=recorders(Refusing)[0])
    assert keeper.of("transaction_started") == keeper.of("transaction_ended") == []
    assert ("MAIL", 451) in codes(keeper)


async def test_no_recipient_was_good_enough() -> None:
    class Refusing(Recorder):
        async def rcpt(self, recipient: Mailbox, params: Params) -> Reply | None:
            raise Reject.mailbox_unavailable()

    keeper = await whole(EHLO, MAIL, RCPT, "RSET\r\n", "QUIT\r\n", session=recorders(Refusing)[0])
    transaction = keeper.transaction
    assert (transaction.recipients, transaction.refused_recipients, transaction.outcome) == (0, 1, "refused")


@pytest.mark.parametrize(
    ("turns", "verdicts"),
    [
        ((ENV, "DATA\r\n", f"{'x' * 90}\r\n.\r\n"), [552]),
        ((ENV, f"BDAT 90\r\n{'x' * 90}", "RSET\r\n"), [552]),
        ((ENV, f"BDAT 90 LAST\r\n{'x' * 90}"), [552]),
    ],
)
async def test_content_refused_by_the_protocol(turns: tuple[str, ...], verdicts: list[int]) -> None:
    keeper = await whole(EHLO, *turns, "QUIT\r\n", limits=ServerLimits(max_message_bytes=50))
    assert [verdict.code for verdict in keeper.transaction.verdicts] == verdicts
    assert (keeper.transaction.given_up, keeper.transaction.outcome) == (AbortCause.REFUSED, "refused")


async def test_a_client_that_vanishes_in_its_message() -> None:
    async with watched(recorders()[0]) as (server, keeper):
        async with await RawClient.open(server) as client:
            await client.say(OPEN, 4)
            await client.send("half")
            await asyncio.sleep(0.02)
        await eventually(lambda: bool(keeper.of("closed")))
    assert (keeper.transaction.given_up, keeper.transaction.outcome) == (AbortCause.LOST, "abandoned")
    assert "connection lost" in keeper.summary.reason


async def test_a_reply_that_nobody_asked_for_answers_nothing() -> None:
    async with watched(recorders()[0], timeout=0.05) as (server, keeper):
        async with await RawClient.open(server) as client:
            await client.say(EHLO)
            assert (await client.reply()).code == 421
        await eventually(lambda: bool(keeper.of("closed")))
    assert codes(keeper)[-1] == ("", 421)
    assert keeper.of("deadline_passed") == [("command",)]


async def test_a_hook_that_takes_too_long_and_one_that_raises() -> None:
    class Odd(Recorder):
        async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
            await asyncio.sleep(60)
            return None

        async def hello(self, verb: str, name: str) -> Reply | None:
            raise ValueError("inside")

    deadlines = Deadlines(handler=0.05)
    keeper = await whole("EHLO x\r\n", "HELO x\r\n", "QUIT\r\n", session=recorders(Odd)[0])
    ((hook, reference, error), second) = keeper.of("hook_failed")
    assert (hook, second[0], type(error)) == ("hello", "hello", ValueError)
    ((connection_id,),) = keeper.of("opened")
    assert reference == f"{connection_id}-1"

    class Slow(Recorder):
        mail = Odd.mail

    keeper = await whole(EHLO, MAIL, "QUIT\r\n", session=recorders(Slow)[0], deadlines=deadlines)
    assert keeper.of("deadline_passed") == [("handler",)]
    assert ("MAIL", 451) in codes(keeper)


async def test_a_client_that_does_not_read() -> None:
    limits = ServerLimits(max_unsent_bytes=1000, junk_command_limit=10**9, hard_error_limit=10**9)
    async with watched(recorders()[0], limits=limits, deadlines=Deadlines(write=0.1)) as (server, keeper):
        small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)]
        async with await RawClient.open(server, sockopts=small) as client:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(3):
                    while not keeper.of("deadline_passed"):
                        await client._loop.sock_sendall(client.sock, b"HELP\r\n" * 2000)
            await eventually(lambda: bool(keeper.of("closed")))
    assert keeper.of("deadline_passed") == [("write",)]


# Secrets -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        [PLAIN],
        ["AUTH PLAIN\r\n", "AHVzZXIAc2VjcmV0\r\n"],
        ["AUTH LOGIN dXNlcg==\r\n", "c2VjcmV0\r\n"],
        ["auth login\r\n", "dXNlcg==\r\n", "c2VjcmV0\r\n"],
        ["AUTH GSSAPI AHVzZXIAc2VjcmV0\r\n", "c2VjcmV0\r\n", "dXNlcg==\r\n"],  # refused, and the client goes on
        ["AUTH c2VjcmV0\r\n"],  # the mechanism forgotten
        ["AUTH\r\n", "c2VjcmV0\r\n"],
        ["AUTH  PLAIN  AHVzZXIAc2VjcmV0\r\n"],
        ["AUTH\tPLAIN AHVzZXIAc2VjcmV0\r\n", PLAIN],
        [" auth PLAIN AHVzZXIAc2VjcmV0\r\n", "c2VjcmV0\r\n", PLAIN],
        ["AUTH PLAIN\r\n", "*\r\n"],
        ["AUTH LOGIN\r\n", "dXNlcg==" * 3000 + "\r\n"],
    ],
)
async def test_d45_no_secret_is_told(script: list[str]) -> None:
    lines: list[str] = []
    told = Keeper()
    async with running(
        recorders()[0],
        observer=told,
        allow_insecure_auth=True,
        trace=lambda connection, side, line: lines.append(f"{side}: {line}"),
    ) as server:
        async with await RawClient.open(server) as client:
            for turn in [EHLO, *script, "NOOP\r\n"]:
                await client.say(turn)
        await eventually(lambda: bool(told.of("closed")))
    everything = "\n".join(lines) + repr([event for event in told.events if event[0] != "authenticated"])
    assert not [secret for secret in SECRETS if secret in everything]
    assert "C: NOOP" in lines
    assert len(told.of("authenticated")) == 1
    ((mechanism, verdict),) = told.of("authenticated")
    assert mechanism in ("", "PLAIN", "LOGIN")
    assert not [secret for secret in SECRETS if secret in str(verdict)]


async def test_what_was_said_in_auth() -> None:
    keeper = await whole(
        EHLO, "AUTH LOGIN dXNlcg==\r\n", "c2VjcmV0\r\n", "what\r\n", "QUIT\r\n", allow_insecure_auth=True
    )
    assert keeper.of("command")[1:4] == [("AUTH", "AUTH LOGIN ****"), ("AUTH RESPONSE", "****"), ("", "what")]
    ((mechanism, verdict),) = keeper.of("authenticated")
    assert (mechanism, verdict.code) == ("LOGIN", 235)
    assert [each for each in codes(keeper) if each[0].startswith("AUTH")] == [("AUTH", 334), ("AUTH RESPONSE", 235)]


async def test_a_line_that_is_not_utf8() -> None:
    async with watched(recorders()[0]) as (server, keeper), await RawClient.open(server) as client:
        await client.say(b"EHLO \xff\r\n")
        await client.say("NOOP\r\n")
    assert keeper.of("command") == [("EHLO", "EHLO \\xff"), ("NOOP", "NOOP")]


# TLS -----------------------------------------------------------------------------------------------------------------


async def test_starttls() -> None:
    async with watched(recorders()[0], tls=fresh_server_tls()) as (server, keeper):
        async with await RawClient.open(server) as client:
            await client.say(EHLO)
            await client.say("STARTTLS\r\n")
            await client.start_tls()
            await client.say(EHLO + "QUIT\r\n", 2)
        await eventually(lambda: bool(keeper.of("closed")))
    ((facts,),) = keeper.of("tls_started")
    assert facts.version in ("TLSv1.2", "TLSv1.3")


@pytest.mark.parametrize(
    ("octets", "reason"),
    [(b"EHLO x\r\n", "not_tls"), (b"GET / HTTP/1.1\r\n\r\n", "not_tls"), (b"", "eof"), (None, "timeout")],
)
async def test_a_handshake_that_fails(octets: bytes | None, reason: str) -> None:
    options: dict[str, Any] = {"tls": fresh_server_tls(), "implicit_tls": True}
    async with (
        watched(recorders()[0], deadlines=Deadlines(tls_handshake=0.1), **options) as (server, keeper),
        await RawClient.open(server, greeting=False) as client,
    ):
        if octets == b"":
            client.finish()
        elif octets is not None:
            await client.send_raw(octets)
        await eventually(lambda: bool(keeper.of("closed")))
    assert keeper.of("tls_failed") == [(reason,)]
    assert keeper.of("deadline_passed") == ([("tls",)] if reason == "timeout" else [])


async def test_a_client_that_does_not_trust_us() -> None:
    async with (
        watched(recorders()[0], tls=fresh_server_tls(), implicit_tls=True) as (server, keeper),
        await RawClient.open(server, greeting=False) as client,
    ):
        with pytest.raises(Exception, match="not good"):
            await client.start_tls(ssl.create_default_context())
        assert client.layer is None
        client.sock.close()
        await eventually(lambda: bool(keeper.of("closed")))
    ((reason,),) = keeper.of("tls_failed")
    assert reason in ("eof", "alert")


# Who is turned away --------------------------------------------------------------------------------------------------


async def test_refused_before_there_is_a_connection() -> None:
    async with (
        watched(Recorder, limits=ServerLimits(max_connections=0)) as (server, keeper),
        await RawClient.open(server, greeting=False) as client,
    ):
        assert (await client.reply()).code == 421
    assert keeper.events == [
        ("limit", "127.0.0.1", "max_connections", 0),
        ("refused", "127.0.0.1", "too many connections; try again later"),
    ]


async def test_refused_because_no_session_can_be_made() -> None:
    class Unmade(Session):
        def __init__(self) -> None:
            raise OSError("no")

    async with watched(Unmade) as (server, keeper), await RawClient.open(server, greeting=False) as client:
        assert (await client.reply()).code == 421
    assert keeper.events == [("refused", "127.0.0.1", "internal error")]


@pytest.mark.parametrize(
    ("header", "limits", "told"),
    [
        ("nonsense\r\n", FAST, ("127.0.0.1", "no good PROXY header")),
        ("", FAST, ("127.0.0.1", "said nothing")),
        (
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
            ServerLimits(max_connections_per_ip=0),
            ("192.0.2.1", "too many connections from your network"),
        ),
    ],
)
async def test_refused_behind_a_balancer(header: str, limits: ServerLimits, told: tuple[str, str]) -> None:
    keeper = Keeper()
    server = Server(Recorder, port=0, proxy_protocol=True, observer=keeper, limits=FAST, deadlines=Deadlines())
    async with server:
        async with await RawClient.open(server, greeting=False) as client:
            server._guard.limits = limits
            await client.send(header)
            client.finish()
            await client.receive()
        await eventually(lambda: bool(keeper.events))
    assert keeper.of("refused") == [told]


async def test_refused_because_nobody_trusts_it() -> None:
    async with (
        watched(Recorder, proxy_protocol=True, proxy_trusted=()) as (server, keeper),
        await RawClient.open(server, greeting=False) as client,
    ):
        await client.closed()
    assert keeper.events == [("refused", "127.0.0.1", "not trusted to speak for others")]


# An observer that is no good -----------------------------------------------------------------------------------------


class Broken(ServerObserver):
    """Raises at everything."""

    def connection_opened(self, peer: Peer) -> ServerConnectionObserver | None:
        class Raising(ServerConnectionObserver):
            def __getattribute__(self, name: str) -> object:
                if name in EVENTS:
                    raise ZeroDivisionError(name)
                return super().__getattribute__(name)

        return Raising(peer)

    def connection_refused(self, address: str, reason: str) -> None:
        raise ZeroDivisionError("refused")

    def limit_hit(self, address: str, limit: str, value: float) -> None:
        raise ZeroDivisionError("limit")


async def test_what_an_observer_raises_is_logged_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    session, made = recorders()
    async with running(session, observer=Broken()) as server, await RawClient.open(server) as client:
        assert await client.say(OPEN, 4) == ["250", "250 2.1.0", "250 2.1.5", "354"]
        assert await client.say("x\r\n.\r\nNOOP\r\nNOOP\r\nQUIT\r\n", 4) == ["250 2.0.0"] * 3 + ["221 2.0.0"]
        peer_id = made[0].peer.id
    assert len(made[0].messages) == 1
    raised = [record for record in caplog.records if "of the observer raised" in record.message]
    names = [record.message.split()[1] for record in raised]
    assert len(names) == len(set(names)) >= 6  # each once, however often it raised
    assert all(record.message.startswith(f"[{peer_id}") and record.exc_info for record in raised)


# The log -------------------------------------------------------------------------------------------------------------


async def test_lines_inside_a_transaction_carry_its_id(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="smtpx.server")
    ids: list[str | None] = []

    class Noting(Recorder):
        async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
            ids.append(self.peer.transaction_id)
            if str(sender).startswith("no"):
                raise Reject.try_later()
            return None

        async def reset(self) -> None:
            ids.append(self.peer.transaction_id)

    session, made = recorders(Noting)
    async with running(session) as server, await RawClient.open(server) as client:
        await client.say(EHLO + "MAIL FROM:<no@x.example>\r\n", 2)
        assert made[0].peer.transaction_id is None
        await client.say(ENV + "DATA\r\n", 3)
        await client.say("x\r\n.\r\n")
        assert made[0].peer.transaction_id is None
        await client.say("QUIT\r\n")
    name = made[0].peer.id
    assert ids == [f"{name}.1", f"{name}.2", f"{name}.2"]
    fields = {record.message: record.__dict__ for record in caplog.records}
    (line,) = [text for text in fields if "message from" in text]
    assert line.startswith(f"[{name}.2] message from <a@client.example> to 1 recipients")
    assert (fields[line]["connection"], fields[line]["transaction"]) == (name, f"{name}.2")
    assert "transaction" not in fields[f"[{name}] connected"]


async def test_without_a_reset_hook_the_id_goes_too() -> None:
    peers: list[Peer] = []

    class Plain(Session):
        async def connect(self) -> Reply | None:
            peers.append(self.peer)
            return None

    async with running(Plain) as server, await RawClient.open(server) as client:
        await client.say(EHLO + MAIL, 2)
        assert peers[0].transaction_id == f"{peers[0].id}.1"
        await client.say("RSET\r\n")
        assert peers[0].transaction_id is None
        await client.say(BDAT + "BDAT 1 LAST\r\nx", 4)
        assert peers[0].transaction_id is None
