"""Octets and faults that have broken mail servers, sent to a port. Each test is named for its entries.

What the sans-IO core makes of them is tested in `tests/protocol`; here is what a client sees, and what is left behind.
"""

import asyncio
import json
import logging
import re
import resource
import socket
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from smtpx.net.tls import TLSLayer
from smtpx.protocol.limits import ServerLimits
from smtpx.server.connection import Connection
from smtpx.server.listener import Listener
from smtpx.server.session import Reject
from smtpx.server.settings import Deadlines
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
    client_tls,
    eventually,
    fresh_client_tls,
    fresh_server_tls,
    recorders,
    running,
)

OPENED = ["250", "250 2.1.0", "250 2.1.5", "354"]
BOPENED = OPENED[:3]
HEADER = "Subject: t\r\n\r\n"
SMUG = "MAIL FROM:<x@evil.example>\r\nRCPT TO:<b@server.example>\r\nDATA\r\nSubject: smuggled\r\n\r\nboo"
MIB = 1 << 20


@dataclass(frozen=True)
class Case:
    """What is sent once the connection is greeted, and what must come of it."""

    id: str
    send: str | bytes
    codes: list[str]
    stored: list[bytes] = field(default_factory=list)
    closed: bool = False
    opening: str = ""
    opened: list[str] = field(default_factory=list)
    limits: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


def in_data(id_: str, send: str | bytes, *codes: str, **rest: Any) -> Case:  # noqa: ANN401
    return Case(id_, send, list(codes), opening=OPEN, opened=OPENED, **rest)


def in_chunks(id_: str, send: str | bytes, *codes: str, **rest: Any) -> Case:  # noqa: ANN401
    return Case(id_, send, list(codes), opening=BDAT, opened=BOPENED, **rest)


def greeted(id_: str, send: str | bytes, *codes: str, **rest: Any) -> Case:  # noqa: ANN401
    return Case(id_, send, list(codes), opening=EHLO, opened=["250"], **rest)


def tricky(x: str) -> str:
    """Content in which `x` looks like an end of data, if a server is careless."""
    return f"{HEADER}one{x}NOOP\r\n.\r\n"


REFUSED = "550 5.5.2"
ENDS = {
    "H001": ("\n.\n", b"one\r\nNOOP\r\n"),
    "H002": ("\r.\r", b"one . NOOP\r\n"),
    "H003": ("\r.\n", b"one .\r\nNOOP\r\n"),
    "H004": ("\n.\r", b"one\r\n NOOP\r\n"),
    "H005": ("\n.\r\n", b"one\r\nNOOP\r\n"),
    "H006": ("\r\n.\n", b"one\r\nNOOP\r\n"),
    "H007": ("\r.\r\n", b"one .\r\nNOOP\r\n"),
    "H008": ("\r\n.\r", b"one\r\n NOOP\r\n"),
    "H010a": ("\r\n.\r\r\n", b"one\r\n \r\nNOOP\r\n"),
    "H010b": ("\r\r\n.\r\r\n", b"one \r\n \r\nNOOP\r\n"),
}
LINES = "".join(["..x\r\n", "..\r\n", ".x\r\n", "...\r\n", ". \r\n", ".\r\n"])
INJECTED = "STARTTLS\r\nMAIL FROM:<x@evil.example>\r\n"
TLS_ON = {"tls": True}

CASES = [
    *(in_data(id_, tricky(x), REFUSED) for id_, (x, _) in ENDS.items()),
    *(
        in_data(
            f"{id_}-normalize",
            tricky(x),
            "250 2.0.0",
            stored=[HEADER.encode() + body],
            options={"bare_newline": "normalize"},
        )
        for id_, (x, body) in ENDS.items()
    ),
    in_data("H009a", tricky("\r\n\0.\r\n"), "250 2.0.0", stored=[HEADER.encode() + b"one\r\n\0.\r\nNOOP\r\n"]),
    in_data("H009b", tricky("\r\n.\0\r\n"), "250 2.0.0", stored=[HEADER.encode() + b"one\r\n\0\r\nNOOP\r\n"]),
    in_data("H009-nul", tricky("\r\n\0.\r\n"), "550 5.6.0", options={"nul": "reject"}),
    in_data("H010c", tricky("\r\r\n.\r\n"), REFUSED, "250 2.0.0", "500 5.5.2"),
    in_data("H012", ".\r\n", "250 2.0.0", stored=[b""]),
    in_data("H013", LINES, "250 2.0.0", stored=[b".x\r\n.\r\nx\r\n..\r\n \r\n"]),
    Case("H014", "NOOP\nMAIL FROM:<a@client.example>\r\n", ["500 5.5.2"], closed=True),
    Case("H014-silent", "EHLO client.example\n", ["500 5.5.2"], closed=True),
    Case("H015", "NO\rOP\r\n", ["500 5.5.2"], closed=True),
    in_data("H015-content", "one\rtwo\r\n.\r\n", REFUSED),
    in_data(
        "H015-normalize",
        "one\rtwo\r\n.\r\n",
        "250 2.0.0",
        stored=[b"one two\r\n"],
        options={"bare_newline": "normalize"},
    ),
    in_data("H016", "A" * 2000 + "\r\nx\n.\r\n" + SMUG + "\r\n.\r\n", "552 5.3.4", limits={"max_message_bytes": 1000}),
    in_data(
        "H016-exact",
        "A" * 998 + "\r\n.\r\n",
        "250 2.0.0",
        stored=[b"A" * 998 + b"\r\n"],
        limits={"max_message_bytes": 1000},
    ),
    in_data("H016-one-more", "A" * 999 + "\r\n.\r\n", "552 5.3.4", limits={"max_message_bytes": 1000}),
    in_data("H017", f"{HEADER}one\n.\r\n{SMUG}\r\n.\r\n", REFUSED),
    Case("H017-sync", OPEN + "Subject: x\r\n\r\n.\r\n", [*BOPENED, "554 5.5.0"], closed=True),
    greeted("H021", "BDAT 10\r\nRSET\r\nQUIT", "503 5.5.1"),
    in_chunks(
        "H022", "BDAT 12\r\nRSET\r\nRSET\r\nBDAT 0 LAST\r\n", "250 2.0.0", "250 2.0.0", stored=[b"RSET\r\nRSET\r\n"]
    ),
    in_chunks(
        "H023",
        "BDAT 200\r\n" + "A" * 200 + "RCPT TO:<b@server.example>\r\nDATA\r\n",
        "552 5.3.4",
        "503 5.5.1",
        "503 5.5.1",
        limits={"max_message_bytes": 100},
    ),
    in_chunks("H024", "BDAT 3\r\nabcRCPT TO:<b@server.example>\r\nDATA\r\n", "250 2.0.0", "503 5.5.1", "503 5.5.1"),
    in_chunks("H025a", "BDAT 0 LAST\r\n", "250 2.0.0", stored=[b""]),
    *(
        in_chunks(f"H025b-{word}", f"BDAT {word}\r\nNOOP\r\n", "501 5.5.4", closed=True)
        for word in ("LAST", "-1", "+5", "0x10", "1e3", "", "\u0661", "1" * 21)
    ),
    in_chunks("H025c", "BDAT 99999999999999999999\r\nNOOP\r\n", "552 5.3.4", closed=True),
    in_chunks("H025d", "BDAT 5 FIRST\r\nabcde", "501 5.5.4"),
    in_chunks("H025d-2", "BDAT 5 LAST x\r\nabcde", "501 5.5.4"),
    in_chunks(
        "H027",
        "BDAT 60\r\n" + "A" * 60 + "BDAT 60\r\n" + "B" * 60 + "BDAT 5 LAST\r\nabcde",
        "250 2.0.0",
        "552 5.3.4",
        "503 5.5.1",
        limits={"max_message_bytes": 100},
    ),
    in_chunks("H030", "BDAT 15 LAST\r\na\r\n.\r\nb\r\n..\r\n\r\n", "250 2.0.0", stored=[b"a\r\n.\r\nb\r\n..\r\n\r\n"]),
    greeted(
        "H031",
        "MAIL FROM:<a@client.example> BODY=BINARYMIME\r\n" + RCPT + "DATA\r\n",
        "250 2.1.0",
        "250 2.1.5",
        "503 5.5.1",
    ),
    greeted(
        "H032-S35-binary",
        f"MAIL FROM:<a@client.example> BODY=BINARYMIME\r\n{RCPT}BDAT 256 LAST\r\n".encode() + bytes(range(256)),
        "250 2.1.0",
        "250 2.1.5",
        "250 2.0.0",
        stored=[bytes(range(256))],
    ),
    *(in_chunks(f"H032-{id_}", f"BDAT {len(x) + 2} LAST\r\na{x}b", REFUSED) for id_, (x, _) in ENDS.items()),
    greeted("H033", "BDAT 6\r\nNOOP\r\nRSET\r\nNOOP\r\n", "503 5.5.1", "250 2.0.0", "250 2.0.0"),
    greeted("H034", INJECTED, "554 5.5.0", closed=True, options=TLS_ON),
    greeted("H035", "STARTTLS\r\nMAIL FROM:<x@evil", "554 5.5.0", closed=True, options=TLS_ON),
    greeted("H035-one", "STARTTLS\r\nA", "554 5.5.0", closed=True, options=TLS_ON),
    greeted("H037", "STARTTLS foo\r\n", "501 5.5.4", options=TLS_ON),
    greeted("H037-2", "STARTTLSfoo\r\n", "500 5.5.2", options=TLS_ON),
    greeted("H038", "STARTTLS\r\n", "502 5.5.1"),
    greeted("H043", "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n", "538 5.7.11", options=TLS_ON),
    greeted(
        "H043-require",
        MAIL + "VRFY a\r\nNOOP\r\nHELP\r\n",
        "530 5.7.0",
        "530 5.7.0",
        "250 2.0.0",
        "530 5.7.0",
        options=TLS_ON | {"require_tls": True},
    ),
    *(
        Case(f"H047-{number}", line, ["500 5.5.2"], closed=True)
        for number, line in enumerate(
            [
                "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nMAIL FROM",
                "CONNECT h:25 HTTP/1.0\r\n\r\n",
                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                "SSH-2.0-x\r\n",
                "PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n",
                "Subject: x\r\n",
                b"\x16\x03\x01\x02\x00",
                b"\xff\xf4",
            ]
        )
    ),
    greeted("H047-later", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "500 5.5.2", closed=True),
    greeted("H061", f"MAIL FROM:<{'a' * 65}@x.example>\r\n", "501 5.1.7"),
    greeted(
        "H061-rcpt",
        MAIL + f"RCPT TO:<{'a' * 65}@x.example>\r\nRCPT TO:<{'a' * 64}@x.example>\r\n",
        "250 2.1.0",
        "501 5.1.3",
        "250 2.1.5",
    ),
    greeted("H061-endless", f"RCPT TO:<{'a' * 70_000}", "500 5.5.2", closed=True),
    greeted(
        "H063",
        MAIL + 'RCPT TO:<"a@evil.example"@good.example>\r\nRCPT TO:<a@b@c.example>\r\nRCPT TO:<a@b.example>c@d\r\n',
        "250 2.1.0",
        "250 2.1.5",
        "501 5.1.3",
        "501 5.5.4",
    ),
    greeted("H064", b"MAIL FROM:<a@xn--0049>\r\nMAIL FROM:<\xc0\xae@x.example>\r\n", "501 5.1.7", "501 5.5.4"),
    greeted("H065", MAIL + "RCPT TO:<a@[junk]>\r\nRCPT TO:<a@[127.0.0.1]>\r\n", "250 2.1.0", "501 5.1.3", "250 2.1.5"),
    greeted("H066", "MAIL FROM:<>\r\nRCPT TO:<>\r\nRCPT TO:\r\n", "250 2.1.0", "501 5.1.3", "501 5.5.4"),
    greeted("H067", "MAIL FROM:a@b.example\r\nmail from: <a@b.example>  \r\n", "501 5.5.4", "250 2.1.0"),
    greeted(
        "H068", "MAIL FROM:<a@b.example> FOO=1\r\nMAIL FROM:<a@b.example> SIZE=1 SIZE=1\r\n", "555 5.5.4", "501 5.5.4"
    ),
    in_data(
        "H069",
        "no colon\r\n" + "X: " + "y" * 70_000 + "\r\n \r\n\u00fc\0\r\n\r\nbody\r\n.\r\n",
        "250 2.0.0",
        stored=["no colon\r\nX: {}\r\n \r\n\u00fc\0\r\n\r\nbody\r\n".format("y" * 70_000).encode()],
    ),
    in_data(
        "H069-header-too-large", "X: " + "y" * 3000 + "\r\n\r\n.\r\n", "552 5.3.4", limits={"max_header_bytes": 2000}
    ),
    in_data(
        "H070",
        "From a@b Mon Jan  1 00:00:00 2024\r\nSubject: x\r\n\r\n>From x\r\n.\r\n",
        "250 2.0.0",
        stored=[b"From a@b Mon Jan  1 00:00:00 2024\r\nSubject: x\r\n\r\n>From x\r\n"],
    ),
    greeted("H073", f"NOOP {'x' * 2041}\r\nNOOP {'x' * 2042}\r\n", "250 2.0.0", "500 5.5.2"),
    greeted("H073-discard", f"NOOP {'x' * 60_000}\r\n", "500 5.5.2"),
    greeted("H073-endless", "NOOP " + "x" * (1 * MIB), "500 5.5.2", closed=True),
    in_data("H074", "x" * 200_000 + "\r\n.\r\n", "250 2.0.0", stored=[b"x" * 200_000 + b"\r\n"]),
    in_data(
        "H074-option", "x" * 998 + "\r\n" + "y" * 999 + "\r\n.\r\n", "550 5.6.0", limits={"max_text_line_bytes": 998}
    ),
    greeted(
        "H075",
        "AUTH PLAIN =AAA\r\nAUTH XFOO\r\nauth plain AHVzZXIAc2VjcmV0\r\nAUTH PLAIN\r\n",
        "501 5.5.2",
        "504 5.5.4",
        "235 2.7.0",
        "503 5.5.1",
        options={"allow_insecure_auth": True},
    ),
    greeted(
        "H075-long",
        "AUTH PLAIN\r\n" + "A" * 12_289 + "\r\nAUTH PLAIN\r\n*\r\n",
        "334",
        "500 5.5.6",
        "334",
        "501 5.0.0",
        options={"allow_insecure_auth": True},
    ),
    greeted("H076", "XYZZY\r\n" * 25, *["500 5.5.2"] * 19, "421 4.7.0", closed=True),
    greeted("H077", "NOOP\r\n" * 150, *["250 2.0.0"] * 100, *["250 2.0.0"] * 18, "421 4.7.0", closed=True),
    greeted("H079", b"VRFY \xc3\xbc\r\nMAIL FROM:<\xc3\xbc@x.example>\r\n", "553 5.6.7", "553 5.6.7"),
    greeted(
        "H080",
        MAIL + RCPT * 5,
        "250 2.1.0",
        *["250 2.1.5"] * 3,
        *["452 4.5.3"] * 2,
        limits={"max_recipients": 3},
    ),
    Case(
        "H089",
        EHLO + "NOOP\r\nVRFY a\r\n" + ENV + "DATA\r\n",
        ["250", "250 2.0.0", "252 2.5.0", "250 2.1.0", "250 2.1.5", "354"],
        stored=[b""],
    ),
    greeted("H090", "QUIT\r\nNOOP\r\nQUIT\r\n", "221 2.0.0", closed=True),
    in_data("H095", "Received: x\r\n" * 101 + "\r\n.\r\n", "554 5.4.6"),
    in_data(
        "H095-just", "Received: x\r\n" * 100 + "\r\n.\r\n", "250 2.0.0", stored=[b"Received: x\r\n" * 100 + b"\r\n"]
    ),
]


def prepared(case: Case) -> dict[str, Any]:
    options = dict(case.options)
    if options.get("tls"):
        options["tls"] = fresh_server_tls()
    patient: dict[str, Any] = {"error_delay_seconds": 0.0, "auth_failure_delay_seconds": 0.0}
    return options | {"limits": ServerLimits(**(patient | case.limits))}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_corpus(case: Case) -> None:
    kind, made = recorders()
    async with running(kind, **prepared(case)) as server, await RawClient.open(server) as client:
        if case.opening:
            assert await client.say(case.opening, len(case.opened)) == case.opened
        assert await client.say(case.send, len(case.codes)) == case.codes
        if case.codes[-1] == "354" and case.stored:
            assert await client.say(".\r\n") == ["250 2.0.0"]
        if case.closed:
            await client.closed()
        else:
            await client.probe()
        assert [message.content for message in made[0].messages] == case.stored
    assert made[0].calls.count("close") == 1


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
async def test_h011_the_end_of_data_in_two_pieces(cut: int) -> None:
    kind, made = recorders()
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        content = "Subject: t\r\n\r\nx"
        await client.send(content + "\r\n.\r\n"[:cut])
        await client.silence(0.02)
        assert await client.say("\r\n.\r\n"[cut:]) == ["250 2.0.0"]
        await client.probe()
        assert [message.content for message in made[0].messages] == [f"{content}\r\n".encode()]


@pytest.mark.parametrize("vanish", [RawClient.finish, RawClient.reset], ids=["fin", "rst"])
@pytest.mark.parametrize("sent", ["Subject: t\r\n\r\nhalf", "QUIT\r\n", "x\r\n.\r"])
async def test_h019_gone_before_the_end_of_data(
    vanish: Callable[[RawClient], None], sent: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "smtpx.server")
    kind, made = recorders()
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        await client.send(sent)
        await asyncio.sleep(0.02)
        vanish(client)
        await eventually(lambda: server.connections == 0)
        if vanish is RawClient.finish:
            await client.closed()
    assert made[0].messages == []
    assert made[0].calls[-1] == "close"
    assert any(re.search(r"connection lost in DATA after \d+ octets", line) for line in caplog.messages)


class Slow(Recorder):
    """Takes its time with a verdict."""

    async def data(self, body: Any) -> Any:  # noqa: ANN401
        content = await body.read()
        await asyncio.sleep(0.05)
        self.keep(content)


@pytest.mark.parametrize("vanish", [RawClient.finish, RawClient.reset], ids=["fin", "rst"])
async def test_h020_gone_before_the_reply(
    vanish: Callable[[RawClient], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "smtpx.server")
    kind, made = recorders(Slow)
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        await client.send("x\r\n.\r\n")
        await asyncio.sleep(0.02)
        vanish(client)
        if vanish is RawClient.finish:
            assert await client.codes(1) == ["250 2.0.0"]
            await client.closed()
        await eventually(lambda: server.connections == 0)
    assert [message.content for message in made[0].messages] == [b"x\r\n"]
    assert any("message from <a@client.example> to 1 recipients, 3 octets: 250" in line for line in caplog.messages)
    assert any("client gone before reply" in line for line in caplog.messages)


async def test_h026_a_million_small_chunks() -> None:
    kind, made = recorders()
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.say(BDAT, 3)
        sending = asyncio.create_task(client.send("BDAT 1\r\nA" * 3000))
        codes = [await client.codes(1) for _ in range(1000 + 99 + 19)]  # EHLO was the first junk command
        assert set(map(str, codes)) == {"['250 2.0.0']"}
        assert await client.codes(1) == ["421 4.7.0"]
        await asyncio.wait([sending])
        sending.exception()
    assert made[0].messages == []


async def test_h028_close_notify_in_the_middle_of_a_chunk_then_clear_text() -> None:
    kind, made = recorders()
    async with running(kind, tls=fresh_server_tls()) as server, await RawClient.open(server) as client:
        await client.say(EHLO + "STARTTLS\r\n", 2)
        await client.start_tls()
        await client.say(BDAT, 3)
        await client.send("BDAT 100\r\n0123456789")
        assert client.layer is not None
        client.layer.close()
        await client.send_raw(client.layer.output() + b"NOOP\r\n")
        seen = len(client.received)
        while await client.receive():
            pass
        rest = client.received[seen:]
        client.layer.receive(rest)
        assert b"250" not in rest
        assert b"NOOP" not in rest
        assert rest[:1] in (b"", b"\x15", b"\x17")  # records of TLS, or nothing
        await eventually(lambda: server.connections == 0)
    assert made[0].messages == []


@pytest.mark.parametrize("vanish", [RawClient.finish, RawClient.reset], ids=["fin", "rst"])
async def test_h029_gone_in_the_middle_of_a_chunk(vanish: Callable[[RawClient], None]) -> None:
    kind, made = recorders()
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.say(BDAT, 3)
        await client.send("BDAT 100\r\n0123456789")
        await asyncio.sleep(0.02)
        vanish(client)
        await eventually(lambda: server.connections == 0)
        if vanish is RawClient.finish:
            await client.closed()
    assert made[0].messages == []


async def test_h034_nothing_said_in_clear_is_known_under_tls() -> None:
    """H039 too: the hello is forgotten, and so is the envelope."""
    async with running(Recorder, tls=fresh_server_tls()) as server, await RawClient.open(server) as client:
        assert await client.say(EHLO, 1) == ["250"]
        await client.say(ENV, 2)
        assert await client.say("STARTTLS\r\n") == ["220 2.0.0"]
        await client.start_tls()
        assert await client.say(RCPT + MAIL, 2) == ["503 5.5.1", "503 5.5.1"]
        assert await client.say(EHLO + "STARTTLS\r\n", 2) == ["250", "503 5.5.1"]  # H038
        assert await client.say("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n") == ["235 2.7.0"]
        await client.probe()


@pytest.mark.parametrize("implicit", [True, False])
async def test_h042_a_handshake_that_never_ends(implicit: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "smtpx.server")
    options: dict[str, Any] = {"tls": fresh_server_tls(), "implicit_tls": implicit}
    async with (
        running(Recorder, deadlines=Deadlines(tls_handshake=0.3), **options) as server,
        await RawClient.open(server, greeting=not implicit) as client,
    ):
        if not implicit:
            await client.say(EHLO + "STARTTLS\r\n", 2)
        began = asyncio.get_running_loop().time()
        for octet in b"\x16\x03\x01\x02\x00\x01\x00":
            await asyncio.sleep(0.02)
            await client.send_raw(bytes([octet]))
        await client.closed()
        assert 0.25 < asyncio.get_running_loop().time() - began < 2
        await eventually(lambda: server.connections == 0)
    assert any("deadline passed: TLS handshake" in line for line in caplog.messages)


async def test_h046_a_session_ticket_of_another_listener_opens_nothing() -> None:
    listeners = [Listener(port=0, tls=fresh_server_tls(), implicit_tls=True) for _ in range(2)]
    context = fresh_client_tls()
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # whose sessions are there when the handshake is done
    async with running(Recorder, listeners=listeners) as server:
        ports = [int(url.rpartition(":")[2]) for url in server.addresses]
        reused: list[bool] = []

        def connect(port: int, session: ssl.SSLSession | None) -> ssl.SSLSession | None:
            with (
                socket.create_connection(("127.0.0.1", port)) as sock,
                context.wrap_socket(sock, server_hostname="localhost", session=session) as tls,
            ):
                assert tls.recv(3) == b"220"
                reused.append(bool(tls.session_reused))
                return tls.session

        session = await asyncio.to_thread(connect, ports[0], None)
        await asyncio.to_thread(connect, ports[0], session)
        await asyncio.to_thread(connect, ports[1], session)
    assert reused == [False, True, False]


@pytest.mark.parametrize("cut", [*range(1, 65), 700])
async def test_h049_a_client_hello_in_two_pieces(cut: int) -> None:
    async with (
        running(Recorder, tls=fresh_server_tls(), implicit_tls=True) as server,
        await RawClient.open(server, greeting=False) as client,
    ):
        layer = TLSLayer(client_tls(), server_hostname="localhost")
        layer.start()
        hello = layer.output()
        cut = min(cut, len(hello) - 1)
        await client.send_raw(hello[:cut])
        await asyncio.sleep(0.005 if cut < 64 else 0.05)
        await client.send_raw(hello[cut:])
        while not layer.is_ready:
            client.feed(layer.receive(await client.receive()))
            await client.send_raw(layer.output())
        client.layer = layer
        assert await client.codes(1) == ["220"]
        await client.probe()


async def test_h048_alpn_that_is_not_mail() -> None:
    context = fresh_client_tls()
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with running(Recorder, tls=fresh_server_tls()) as server, await RawClient.open(server) as client:
        await client.say(EHLO + "STARTTLS\r\n", 2)
        await client.start_tls(context)
        assert await client.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n") == ["500 5.5.2"]
        await client.closed()


async def test_h056_nothing_steers_a_terminal(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "smtpx.server")

    class Strict(Recorder):
        async def rcpt(self, recipient: Any, params: Any) -> Any:  # noqa: ANN401
            raise Reject.mailbox_unavailable(f"no {recipient}")

    kind, _ = recorders(Strict)
    async with running(kind) as server, await RawClient.open(server) as client:
        assert await client.say(b"EHLO \x1b[2Jx\r\n") == ["500 5.5.2"]
        assert await client.say(EHLO, 1) == ["250"]
        await client.send("MAIL FROM:<\u00fc\u202e@x.example> SMTPUTF8\r\nRCPT TO:<\u00fc\u202e@x.example>\r\n")
        assert await client.codes(2) == ["250 2.1.0", "550 5.1.1"]
        await client.say("HELO " + "%0a" * 100_000 + "\r\n")
    assert all(octet < 0x7F for octet in client.received)
    assert b"\x1b" not in client.received
    assert all(len(line) <= 512 for line in client.received.splitlines(keepends=True))
    assert caplog.messages
    assert all(line.isascii() and line.isprintable() for line in caplog.messages)


async def test_h078_a_dictionary_of_recipients(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "smtpx.server")

    class Full(Recorder):
        async def rcpt(self, recipient: Any, params: Any) -> Any:  # noqa: ANN401
            raise Reject.mailbox_full() if recipient.local_part == "full" else Reject.mailbox_unavailable()

    kind, _ = recorders(Full)
    async with running(kind) as server:
        async with await RawClient.open(server) as client:
            await client.say(EHLO + MAIL, 2)
            codes = await client.say("".join(f"RCPT TO:<u{i}@x.example>\r\n" for i in range(30)), 20)
            assert codes == ["550 5.1.1"] * 19 + ["421 4.7.0"]
            await client.closed()
        caplog.clear()
        async with await RawClient.open(server) as client:
            await client.say(EHLO + MAIL, 2)
            codes = await client.say("RCPT TO:<full@x.example>\r\n" * 50 + "RSET\r\n", 51)
            assert codes == ["452 4.2.2"] * 50 + ["250 2.0.0"]
    lines = [line for line in caplog.messages if "recipient" in line]
    assert len(lines) == 21
    assert "30 more recipients refused" in lines[-1]


async def test_h081_a_verdict_does_not_reach_the_next_message() -> None:
    class Moody(Recorder):
        async def data(self, body: Any) -> Any:  # noqa: ANN401
            content = await body.read()
            if b"bad" in content:
                raise Reject.content_refused()
            self.keep(content)

    kind, made = recorders(Moody)
    async with running(kind) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        assert await client.say("bad\r\n.\r\n") == ["550 5.6.0"]
        assert await client.say(RCPT, 1) == ["503 5.5.1"]
        assert await client.say("DATA\r\n") == ["503 5.5.1"]
        assert await client.say(ENV + "DATA\r\n", 3) == OPENED[1:]
        assert await client.say("good\r\n.\r\n") == ["250 2.0.0"]
        assert [message.content for message in made[0].messages] == [b"good\r\n"]


SLOW = Deadlines(command=0.25, auth_step=0.25, auth_exchange=0.4, data=0.25, min_data_rate=5000.0)


@pytest.mark.parametrize(
    ("opening", "count", "octets"),
    [
        ("", 0, "NOOP" + "x" * 100),
        (EHLO + "AUTH LOGIN\r\n", 2, "dXNl" * 30),
        (OPEN, 4, "x\r\n" * 40),
        (BDAT + "BDAT 100\r\n", 3, "x" * 100),
        (BDAT + "BDAT 1\r\nx", 4, ""),
        (EHLO + MAIL, 2, ""),
    ],
    ids=["command", "auth", "data", "bdat", "between-chunks", "silence"],
)
async def test_h082_a_client_that_sends_octet_by_octet(opening: str, count: int, octets: str) -> None:
    """One deadline for the whole unit, however often an octet comes."""
    kind, made = recorders()
    async with (
        running(kind, deadlines=SLOW, allow_insecure_auth=True) as server,
        await RawClient.open(server) as client,
    ):
        if opening:
            await client.say(opening, count)
        began = asyncio.get_running_loop().time()

        async def trickle() -> None:
            for octet in octets:
                await client.send(octet)
                await asyncio.sleep(0.02)

        sending = asyncio.create_task(trickle())
        assert await client.codes(1) == ["421 4.4.2"]
        assert 0.2 < asyncio.get_running_loop().time() - began < 1.5
        sending.cancel()
        await asyncio.wait([sending])
        await client.closed()
    assert made[0].messages == []
    assert made[0].calls[-1] == "close"


async def test_h082_a_proxy_header_octet_by_octet() -> None:
    """No reply: nobody is known yet to whom it would go."""
    kind, made = recorders()
    async with (
        running(kind, proxy_protocol=True, deadlines=Deadlines(proxy_header=0.3)) as server,
        await RawClient.open(server, greeting=False) as client,
    ):
        began = asyncio.get_running_loop().time()
        for octet in b"PROXY TCP4 192":
            await client.send_raw(bytes([octet]))
            await asyncio.sleep(0.01)
        await client.closed()
        assert 0.25 < asyncio.get_running_loop().time() - began < 1.5
        assert client.received == b""
        await eventually(lambda: server.connections == 0)
    assert made == []


async def test_h082_an_auth_exchange_as_a_whole() -> None:
    deadlines = Deadlines(auth_step=0.25, auth_exchange=0.4)
    async with (
        running(Recorder, deadlines=deadlines, allow_insecure_auth=True) as server,
        await RawClient.open(server) as client,
    ):
        await client.say(EHLO + "AUTH LOGIN\r\n", 2)
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(0.2)
        assert await client.say("dXNlcg==\r\n") == ["334"]
        assert await client.codes(1) == ["421 4.4.2"]
        assert 0.35 < asyncio.get_running_loop().time() - began < 0.6


async def test_d04_h082_whoever_sends_fast_enough_never_expires() -> None:
    kind, made = recorders()
    deadlines = Deadlines(command=0.3, data=0.3, min_data_rate=5000.0)
    async with running(kind, deadlines=deadlines) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        for _ in range(10):
            await asyncio.sleep(0.1)
            await client.send("x" * 998 + "\r\n")
        assert await client.say(".\r\n") == ["250 2.0.0"]
        assert len(made[0].messages[0].content) == 10_000


async def test_d04_silence_inside_a_body_and_octets_behind_it() -> None:
    kind, made = recorders()
    async with running(kind, deadlines=Deadlines(data=0.2)) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        await client.send("x\r\n")
        assert await client.codes(1) == ["421 4.4.2"]
        await client.send(".\r\nNOOP\r\n")
        await client.closed()
    assert made[0].messages == []


async def test_h083_a_client_that_never_reads() -> None:
    limits = ServerLimits(junk_command_limit=10**9, max_unsent_bytes=65536)
    deadlines = Deadlines(write=0.3, command=0.2)
    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]
    kind, made = recorders()
    async with (
        running(kind, limits=limits, deadlines=deadlines) as server,
        await RawClient.open(server, sockopts=small) as client,
    ):
        sending = asyncio.create_task(client.send(EHLO * 100_000))
        await eventually(lambda: bool(server._connections))
        connection = next(iter(server._connections))
        await eventually(lambda: connection.is_paused)
        await asyncio.sleep(0.1)
        assert connection.transport.get_write_buffer_size() < 256 * 1024
        assert connection._core.unread_bytes < 512 * 1024
        assert not connection.transport.is_reading()
        await eventually(lambda: server.connections == 0)
        await asyncio.wait([sending])
        sending.exception()
    assert made[0].calls == ["connect", "close"]


async def test_h083_a_client_that_reads_slowly_is_served() -> None:
    limits = ServerLimits(junk_command_limit=10**9)
    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]
    deadlines = Deadlines(write=0.3, command=0.1)
    async with (
        running(Recorder, limits=limits, deadlines=deadlines) as server,
        await RawClient.open(server, sockopts=small) as client,
    ):
        sending = asyncio.create_task(client.send(EHLO * 8000 + "QUIT\r\n"))
        loop = asyncio.get_running_loop()
        total = 0
        last = b""
        while octets := await loop.sock_recv(client.sock, 32768):
            total += len(octets)
            last = (last + octets)[-100:]
            await asyncio.sleep(0.005)
        await sending
        assert last.endswith(b"221 2.0.0 bye\r\n")
        assert total > 8000 * 100


async def test_h084_sixty_connections_from_one_address() -> None:
    limits = ServerLimits(max_connections_per_ip=50)
    async with running(Recorder, limits=limits) as server:
        clients = [await RawClient.open(server) for _ in range(50)]
        for _ in range(10):
            async with await RawClient.open(server, greeting=False) as client:
                assert await client.codes(1) == ["421 4.7.0"]
                await client.closed()
        assert server.connections == 50
        clients.pop().reset()
        await eventually(lambda: server.connections == 49)
        clients.append(await RawClient.open(server))
        for client in clients:
            client.sock.close()


async def test_h084_sixty_connections_in_all() -> None:
    async with running(Recorder, limits=ServerLimits(max_connections=50)) as server:
        clients = [await RawClient.open(server) for _ in range(50)]
        for _ in range(10):
            async with await RawClient.open(server, greeting=False) as client:
                assert await client.codes(1) == ["421 4.3.2"]
                await client.closed()
        for client in clients:
            assert await client.say("QUIT\r\n") == ["221 2.0.0"]
            client.sock.close()
        await eventually(lambda: server.connections == 0)
        async with await RawClient.open(server) as client:
            await client.probe()


async def test_h084_refused_before_a_handshake() -> None:
    options: dict[str, Any] = {"tls": fresh_server_tls(), "implicit_tls": True}
    async with (
        running(Recorder, limits=ServerLimits(max_connections=0), **options) as server,
        await RawClient.open(server, greeting=False) as client,
    ):
        await client.closed()
        assert client.received == b""


THOUSAND = 1000
FILES = 2 * THOUSAND + 100  # both ends of each connection are here


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many descriptors as a thousand connections take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[Connection]:
    """How often each connection did anything: heard octets, went on, or was looked at when time had passed."""
    counted = Counter[Connection]()

    def count(name: str) -> None:
        real = getattr(Connection, name)

        def counting(self: Connection, *args: object) -> None:
            counted[self] += 1
            real(self, *args)

        monkeypatch.setattr(Connection, name, counting)

    for name in ("advance", "octets_received", "_look_again", "_expired"):
        count(name)
    return counted


@pytest.mark.usefixtures("many_files")
async def test_h084_a_thousand_idle_connections(work: Counter[Connection]) -> None:
    """They cost a good one nothing: while it is served, none of them does anything."""
    kind, made = recorders()
    async with running(kind, limits=ServerLimits(max_connections=2 * THOUSAND)) as server:
        clients = [await RawClient.open(server) for _ in range(THOUSAND)]
        idle = set(server._connections)
        assert len(idle) == THOUSAND
        work.clear()
        async with await RawClient.open(server) as client:
            await client.say(OPEN, 4)
            assert await client.say("x\r\n.\r\n") == ["250 2.0.0"]
        assert work
        assert not idle & work.keys()
        for each in clients:
            each.sock.close()
        await eventually(lambda: server.connections == 0)
    assert sum(len(session.messages) for session in made) == 1


@pytest.mark.parametrize("number", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_h085_churn(number: int, caplog: pytest.LogCaptureFixture) -> None:
    """X21: nothing at warning or above for connections that say nothing."""
    caplog.set_level(logging.DEBUG, "smtpx.server")
    kind, made = recorders()
    async with running(kind, limits=ServerLimits(max_connections=10_000)) as server:
        address = ("127.0.0.1", server.port)

        def churn() -> None:
            for turn in range(number):
                with socket.create_connection(address) as sock:
                    if turn % 2:
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

        await asyncio.to_thread(churn)
        await eventually(lambda: server.connections == 0, 20)
        async with await RawClient.open(server) as client:
            await client.probe()
    assert all(session.calls.count("close") == 1 for session in made)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_h086_talking_before_the_greeting() -> None:
    kind, made = recorders()
    async with running(kind, greeting_delay=0.1) as server:
        async with await RawClient.open(server, greeting=False) as client:
            await client.send(EHLO)
            assert await client.codes(1) == ["554 5.5.0"]
            await client.closed()
        for vanish in (RawClient.finish, RawClient.reset):
            async with await RawClient.open(server, greeting=False) as client:
                await asyncio.sleep(0.02)
                vanish(client)
                await eventually(lambda: server.connections == 0)
        async with await RawClient.open(server, greeting=False) as client:
            await client.silence(0.05)
            assert await client.codes(1) == ["220"]
            await client.probe()
    assert [session.calls for session in made] == [["close"], ["connect", "close"], ["close"], ["connect", "close"]]


async def test_h086_without_a_delay_the_line_is_served_behind_the_greeting() -> None:
    async with running(Recorder) as server, await RawClient.open(server, greeting=False) as client:
        await client.send(EHLO)
        assert await client.codes(2) == ["220", "250"]


async def test_h087_d15_guessing_passwords() -> None:
    bad = "AUTH PLAIN AHVzZXIAd3Jvbmc=\r\n"
    limits = ServerLimits(auth_failure_delay_seconds=0.1, auth_failures_per_ip_minute=4)
    async with running(Recorder, limits=limits, allow_insecure_auth=True) as server:
        loop = asyncio.get_running_loop()
        async with await RawClient.open(server) as client:
            await client.say(EHLO, 1)
            for turn in (1, 2):
                began = loop.time()
                assert await client.say(bad) == ["535 5.7.8"]
                assert 0.09 * turn < loop.time() - began < 0.1 * turn + 0.5
            assert await client.say(bad) == ["421 4.7.0"]
            await client.closed()
        async with await RawClient.open(server) as client:
            await client.say(EHLO, 1)
            assert await client.say(bad) == ["535 5.7.8"]
            assert await client.say(bad) == ["454 4.7.0"]
            assert await client.say("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n") == ["454 4.7.0"]
            await client.probe()


@pytest.mark.usefixtures("many_files")
async def test_h076_a_thousand_delays_hold_up_nobody_else_and_see_the_end(work: Counter[Connection]) -> None:
    """A good client is done before any of them is over, and meanwhile nothing is done for them."""
    limits = ServerLimits(error_delay_seconds=3600.0, soft_error_limit=1, max_connections=2 * THOUSAND)
    async with running(Recorder, limits=limits) as server:
        delayed = [await RawClient.open(server) for _ in range(THOUSAND)]
        for client in delayed:
            assert await client.say("XYZZY\r\n" * 3) == ["500 5.5.2"]
        waiting = set(server._connections)
        await eventually(lambda: all(each._exchange.is_waiting for each in waiting))
        work.clear()
        async with await RawClient.open(server) as client:
            await client.say(OPEN, 4)
            assert await client.say("x\r\n.\r\n") == ["250 2.0.0"]
        assert work
        assert not waiting & work.keys()
        assert all(each._exchange.is_waiting for each in waiting)
        for client in delayed:
            client.reset()
        await eventually(lambda: server.connections == 0)


async def test_h076_replies_that_were_delayed_come_in_the_end() -> None:
    limits = ServerLimits(error_delay_seconds=0.01, soft_error_limit=1)
    async with running(Recorder, limits=limits) as server, await RawClient.open(server) as client:
        assert await client.say("XYZZY\r\n" * 3, 3) == ["500 5.5.2"] * 3
        await client.probe()


async def test_h076_one_good_message_and_nineteen_errors_for_ever() -> None:
    async with running(Recorder, limits=FAST) as server, await RawClient.open(server) as client:
        await client.say(EHLO, 1)
        for _ in range(5):
            assert await client.say("XYZZY\r\n" * 19, 19) == ["500 5.5.2"] * 19
            assert await client.say(ENV + "DATA\r\n", 3) == OPENED[1:]
            assert await client.say("x\r\n.\r\n") == ["250 2.0.0"]


@pytest.mark.slow
async def test_h074_a_message_that_is_one_line() -> None:
    async with running(Recorder) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        for _ in range(30):
            await client.send(b"x" * MIB)
        assert await client.say("\r\n.\r\n") == ["552 5.3.4"]
        await client.probe()


async def test_p13_replies_of_a_group_leave_in_few_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []
    real = Connection.write

    def write(self: Connection, data: bytes) -> None:
        writes.append(data)
        real(self, data)

    monkeypatch.setattr(Connection, "write", write)
    async with running(Recorder) as server, await RawClient.open(server) as client:
        await client.say(EHLO, 1)
        assert len(writes) == 2  # the greeting, the whole of EHLO's reply
        await client.say(MAIL + RCPT * 100 + "DATA\r\n", 102)
        assert len(writes) <= 6


@pytest.mark.parametrize(
    ("alpn", "names", "served"),
    [
        ("any", ["h2"], True),
        ("require", ["h2", "http/1.1"], False),
        ("require", ["h2", "smtp"], True),
        ("require", ["esmtp"], True),
        ("require", [], True),
    ],
)
@pytest.mark.parametrize("implicit", [True, False])
async def test_h048_alpn_may_be_required(
    alpn: Literal["any", "require"], names: list[str], served: bool, implicit: bool
) -> None:
    context = fresh_client_tls()
    if names:
        context.set_alpn_protocols(names)
    async with running(Recorder, tls=fresh_server_tls(), implicit_tls=implicit, alpn=alpn) as server:

        def connect() -> bytes:
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
                if not implicit:
                    sock.recv(100)
                    sock.sendall(b"EHLO x\r\n")
                    sock.recv(1000)
                    sock.sendall(b"STARTTLS\r\n")
                    assert sock.recv(100).startswith(b"220")
                with context.wrap_socket(sock, server_hostname="localhost") as tls:
                    if not implicit:
                        tls.sendall(b"EHLO x\r\n")
                    return tls.recv(3)

        if served:
            assert await asyncio.to_thread(connect) in (b"220", b"250")
        else:
            with pytest.raises(OSError):  # noqa: PT011 - reset, or an end in the handshake
                await asyncio.to_thread(connect)


@pytest.mark.parametrize("options", [{}, {"require_tls": True}], ids=["TLS offered", "TLS required"])
async def test_h043_what_was_sent_in_clear_is_neither_evaluated_nor_logged(
    options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    kind, made = recorders()
    seen: list[str] = []
    trace: dict[str, Any] = {"trace": lambda _, __, line: seen.append(line)}
    async with (
        running(kind, tls=fresh_server_tls(), **trace, **options) as server,
        await RawClient.open(server) as client,
    ):
        codes = await client.say(EHLO + "AUTH PLAIN AHVzZXIAc2VjcmV0\r\nAUTH LOGIN dXNlcg==\r\n", 3)
        assert codes[1:] == ["530 5.7.0" if options else "538 5.7.11"] * 2
        await client.probe()
    assert "authenticate" not in made[0].calls
    assert seen
    for secret in ("AHVzZXIAc2VjcmV0", "dXNlcg=="):
        assert secret not in caplog.text
        assert secret not in "\n".join(seen)


PRINT_ARGUMENTS = "import json, sys; print(json.dumps(sys.argv[1:]))"
SHELL_TEXT = ["|id@x.example", "${run{id}}@x.example", "-oQ/tmp@x.example", "`id`@x.example", '"; id; #"@x.example']


async def test_h060_an_address_is_one_argument_of_a_program() -> None:
    """What a session hands to a program: the address as it came, one argument, behind `--`, and no shell."""
    given: list[list[str]] = []

    class Deliver(Recorder):
        async def data(self, body: Any) -> Any:  # noqa: ANN401
            for recipient in self.envelope.recipients:
                arguments = [sys.executable, "-c", PRINT_ARGUMENTS, "--", str(recipient)]
                pipe = asyncio.subprocess.PIPE
                program = await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe)
                out, _ = await program.communicate(await body.read())
                given.append(json.loads(out))

    async with running(Deliver) as server, await RawClient.open(server) as client:
        for address in SHELL_TEXT:
            await client.say(EHLO, 1)
            assert await client.say(f"{MAIL}RCPT TO:<{address}>\r\nDATA\r\n", 3) == OPENED[1:]
            assert await client.say("x\r\n.\r\n") == ["250 2.0.0"]
        assert await client.say(MAIL + "RCPT TO:<;for i in 0;do id;done;>\r\n", 2) == ["250 2.1.0", "501 5.1.3"]
    assert given == [["--", address] for address in SHELL_TEXT]


async def test_h097_refusing_at_rcpt_takes_one_line_and_nothing_is_accepted_to_be_bounced() -> None:
    class Local(Recorder):
        async def rcpt(self, recipient: Any, params: Any) -> Any:  # noqa: ANN401
            if recipient.local_part != "b":
                raise Reject.mailbox_unavailable()

    kind, made = recorders(Local)
    async with running(kind) as server, await RawClient.open(server) as client:
        unknown = "RCPT TO:<nobody@server.example>\r\n"
        codes = await client.say(EHLO + MAIL + unknown + "DATA\r\n", 4)
        assert codes[2:] == ["550 5.1.1", "503 5.5.1"]
        assert await client.say(unknown + RCPT + unknown + "DATA\r\n", 4) == [
            "550 5.1.1",
            "250 2.1.5",
            "550 5.1.1",
            "354",
        ]
        assert await client.say("x\r\n.\r\n") == ["250 2.0.0"]
    assert "data" in made[0].calls
    assert len(made[0].messages) == 1


async def test_h100_nobody_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    async with running(Recorder) as server:
        for name in ("getaddrinfo", "getnameinfo", "gethostbyaddr", "gethostbyname", "gethostbyname_ex", "getfqdn"):
            monkeypatch.setattr(socket, name, lambda *_, name=name, **__: asked.append(name))
        async with await RawClient.open(server) as client:
            await client.say(OPEN, 4)
            assert await client.say("x\r\n.\r\n") == ["250 2.0.0"]
        monkeypatch.undo()
    assert asked == []


@pytest.mark.parametrize("days", [1, -1])
async def test_fault_schedule_the_clock_jumps_a_day(days: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines go by the monotonic clock: none passes because of it, and none fails to."""
    real = time.time
    kind, made = recorders()
    deadlines = Deadlines(command=0.6)
    async with running(kind, deadlines=deadlines) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        monkeypatch.setattr(time, "time", lambda: real() + days * 86_400)
        assert await client.say("x\r\n.\r\n") == ["250 2.0.0"]
        await client.probe()
        assert await client.codes(1) == ["421 4.4.2"]
        await client.closed()
        monkeypatch.undo()
    assert len(made[0].messages) == 1
