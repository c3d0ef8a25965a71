"""What users of mail libraries asked for and did not get, as they would write it: seeing what happens, and Python.

A test's number is its wish's; the docstring has the public threads that asked. Sections 7 and 11.
"""

import asyncio
import inspect
import logging
import re
import subprocess
import sys
import threading
from importlib.resources import files
from typing import Any

import pytest

import smtpx
from smtpx.client.observer import ClientConnectionObserver, ClientObserver
from smtpx.extensions import STANDARD
from smtpx.net.targets import Target
from smtpx.protocol.extension import ExtensionSet
from smtpx.protocol.server import ServerProtocol
from smtpx.protocol.settings import ServerSettings
from smtpx.server.observer import ServerConnectionObserver, ServerObserver
from smtpx.server.peer import Peer
from smtpx.wire.reply import Reply
from tests.server.rig import EHLO, ENV, RawClient, Recorder, eventually, running

BODY = b"Subject: x\r\n\r\nhello\r\n"
FROM, TO = "a@x.example", "b@y.example"
LOGIN = "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n"  # user, secret

# 7. Seeing what happens


class Keeper(ServerObserver):
    """Keeps commands with their replies, and connections by their ids."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, int]] = []
        self.ended: list[tuple[str, int]] = []

    def connection_opened(self, peer: Peer) -> ServerConnectionObserver:
        keeper = self

        class Each(ServerConnectionObserver):
            def reply(self, command: str, reply: Reply) -> None:
                keeper.said.append((self.peer.id, command, reply.code))

            def closed(self, summary: Any) -> None:  # noqa: ANN401
                keeper.ended.append((self.peer.id, summary.messages))

        return Each(peer)


async def test_users_ask_7_1_every_reply_and_one_id_from_accept_on(caplog: pytest.LogCaptureFixture) -> None:
    """go-smtp#273, #282."""
    caplog.set_level(logging.DEBUG, "smtpx.server")
    keeper = Keeper()
    async with running(Recorder, observer=keeper) as server, await RawClient.open(server) as client:
        assert server.connections == 1
        await client.say(EHLO + "NONSENSE\r\nQUIT\r\n", 3)
        client.finish()
        await eventually(lambda: bool(keeper.ended))
    [(identifier, messages)] = keeper.ended
    assert messages == 0
    assert keeper.said == [(identifier, *each) for each in (("GREETING", 220), ("EHLO", 250), ("", 500), ("QUIT", 221))]
    assert caplog.messages[0] == f"[{identifier}] connected"
    assert all(line.startswith(f"[{identifier}] ") for line in caplog.messages)


async def test_users_ask_7_2_both_directions_and_no_secret() -> None:
    """go-smtp#48, #144, #192."""
    lines: list[tuple[str, str, str]] = []

    def trace(connection: str, side: str, line: str) -> None:
        lines.append((connection, side, line))

    async with (
        running(Recorder, trace=trace, allow_insecure_auth=True) as server,
        await RawClient.open(server) as one,
        await RawClient.open(server) as other,
    ):
        await one.say(EHLO + LOGIN, 2)
        await other.say("NOOP\r\n")
    assert {side for _, side, _ in lines} == {"C", "S"}
    assert len({connection for connection, _, _ in lines}) == 2
    assert [line for _, side, line in lines if side == "C"] == ["EHLO client.example", "AUTH PLAIN ****", "NOOP"]
    assert "AHVz" not in repr(lines)


async def test_users_ask_7_3_the_whole_dialogue_of_a_session() -> None:
    """projectdiscovery/interactsh#1289, gophish/gophish#35."""
    lines: list[str] = []
    trace = lambda _, side, line: lines.append(f"{side}: {line}")  # noqa: E731
    async with running(Recorder, trace=trace) as server, await RawClient.open(server) as client:
        await client.say(EHLO + ENV + "DATA\r\n", 4)
        await client.say("Subject: private\r\n\r\nx\r\n.\r\nQUIT\r\n", 2)
    text = "\n".join(lines)
    assert lines[0] == "S: 220 server.example ESMTP ready"
    assert "C: MAIL FROM:<a@client.example>\nS: 250 2.1.0" in text
    assert "C: DATA\nS: 354" in text
    assert "private" not in text
    assert lines[-1].startswith("S: 221 2.0.0")


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_users_ask_7_4_on_the_client_too(colour: str) -> None:
    """HubSpot/NioSmtpClient#38: what was said, and what it was answered."""
    said: list[tuple[str, int]] = []

    class Each(ClientConnectionObserver):
        def reply(self, command: str, reply: Reply) -> None:
            said.append((command, reply.code))

    class Watch(ClientObserver):
        def connection_started(self, connection_id: str, target: Target) -> ClientConnectionObserver:
            return Each(connection_id, target)

    async with running(Recorder) as server:
        if colour == "async":
            async with smtpx.AsyncClient(server.addresses[0], observer=Watch()) as client:
                await client.send(BODY, sender=FROM, recipients=[TO])
        else:

            def send() -> None:
                with smtpx.Client(server.addresses[0], observer=Watch()) as blocking:
                    blocking.send(BODY, sender=FROM, recipients=[TO])

            await asyncio.to_thread(send)
    expected = [("GREETING", 220), ("EHLO", 250), ("MAIL", 250), ("RCPT", 250), ("BDAT LAST", 250), ("QUIT", 221)]
    assert said == expected


async def test_users_ask_7_6_who_logs_in_and_does_nothing() -> None:
    """go-smtp#144: the session knows at its end."""
    idle: list[str] = []

    class Watch(Recorder):
        async def close(self) -> None:
            if self.peer.identity is not None and not self.messages:
                idle.append(self.peer.identity)

    async with running(Watch, allow_insecure_auth=True) as server:
        for work in ("", ENV + "BDAT 1 LAST\r\nx"):
            async with await RawClient.open(server) as client:
                await client.say(EHLO + LOGIN + work + "QUIT\r\n", 6 if work else 3)
        await eventually(lambda: server.connections == 0)
    assert idle == ["user"]


# 11. Python in particular


def test_users_ask_11_2_types_are_there_and_exact() -> None:
    """aiosmtpd's hooks are `Any`; ours say what they get and give, and the package says that it is typed."""
    assert (files("smtpx") / "py.typed").is_file()
    for kind in (smtpx.Session, smtpx.Client, smtpx.AsyncClient, smtpx.Connection, smtpx.AsyncConnection, smtpx.Server):
        for name, method in inspect.getmembers(kind, inspect.isfunction):
            if name.startswith("_"):
                continue
            signature = inspect.signature(method)
            hints = [each.annotation for each in signature.parameters.values() if each.name not in ("self", "kwargs")]
            assert inspect.Signature.empty not in (*hints, signature.return_annotation), f"{kind.__name__}.{name}"


def test_users_ask_11_4_one_client_in_both_colours() -> None:
    """The same names; the blocking one does not even load asyncio."""
    for one, other in ((smtpx.Client, smtpx.AsyncClient), (smtpx.Connection, smtpx.AsyncConnection)):
        names = [{name for name in vars(kind) if not name.startswith("_")} for kind in (one, other)]
        assert names[0] == names[1]
    code = "import sys, smtpx; smtpx.Client('smtp://x'); print('asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


async def test_users_ask_11_3_the_core_needs_no_loop() -> None:
    """Whoever has another loop feeds octets and sends what comes out; aiosmtplib sends its trio users away."""
    core = ServerProtocol(ServerSettings(hostname="server.example", extensions=ExtensionSet(STANDARD)))
    heard = b""

    def in_a_thread_without_a_loop() -> None:
        nonlocal heard
        core.greet()
        for octet in b"EHLO x\r\nNOOP\r\nQUIT\r\n":
            core.receive_data(bytes([octet]))
            while core.next_event() is not None:
                if core.is_asking:
                    core.answer()
            heard += core.data_to_send()

    thread = threading.Thread(target=in_a_thread_without_a_loop)
    thread.start()
    thread.join()
    assert re.findall(rb"(?m)^(\d{3}) ", heard) == [b"220", b"250", b"250", b"221"]


async def test_users_ask_11_1_and_11_8_no_work_for_each_line() -> None:
    """chatmail/relay#804, aiosmtpd#293, home-assistant/core#180707: calls don't grow with the lines of a body."""
    counts: list[int] = []
    for lines in (1000, 100_000):
        async with running() as server, await RawClient.open(server) as client:
            await client.say(EHLO + ENV + "DATA\r\n", 4)
            content = b"x" * 400_000 if lines == 1000 else b""
            content = (content + b"\r\n" + b"ab\r\n" * lines)[-402_000:] + b"\r\n.\r\n"
            calls = 0

            def count(frame: object, event: str, argument: object) -> None:
                nonlocal calls
                calls += event == "call"

            sys.setprofile(count)
            try:
                assert await client.say(content) == ["250 2.0.0"]
            finally:
                sys.setprofile(None)
        counts.append(calls)
    few, many = counts
    assert many < few * 3 + 2000  # a hundred times the lines
