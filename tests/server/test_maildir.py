"""Delivery into a Maildir: a 250 means that the file is in `new`, whole, whatever the disk does."""

import asyncio
import errno
import json
import logging
import os
import re
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from smtpx.protocol.dialect import LMTP
from smtpx.protocol.limits import ServerLimits
from smtpx.server.listener import Server
from smtpx.server.maildir import Files, GivenUp, Maildir, MaildirSession, NewMessage, _store
from smtpx.server.middleware import Middleware, Stack
from smtpx.server.patience import Due
from smtpx.server.session import Reject
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply
from tests.server.rig import EHLO, ENV, MAIL, OPEN, RCPT, RawClient, eventually, fresh_server_tls, running

STEPS = ["open", "write", "sync", "rename", "sync_directory"]
BIG = 700_000  # more than is kept in memory
AUTH = "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n"


class FaultyFiles(Files):
    """Fails at the n-th call of a step, counted from the first message on."""

    def __init__(self, step: str = "", error: int = errno.EIO, *, at: int = 1) -> None:
        self.step = step
        self.error = error
        self.at = at
        self.calls: list[str] = []
        self.free = 1 << 40

    def check(self, step: str) -> None:
        self.calls.append(step)
        if step == self.step and self.calls.count(step) == self.at:
            raise OSError(self.error, os.strerror(self.error))

    def open_new(self, path: str) -> BinaryIO:
        self.check("open")
        return super().open_new(path)

    def write(self, file: BinaryIO, data: bytes) -> None:
        if self.step == "write" and self.calls.count("write") + 1 == self.at:
            super().write(file, data[: len(data) // 2])  # what a full disk does
        self.check("write")
        super().write(file, data)

    def sync(self, file: BinaryIO) -> None:
        self.check("sync")
        super().sync(file)

    def rename(self, source: str, target: str) -> None:
        self.check("rename")
        super().rename(source, target)

    def sync_directory(self, path: str) -> None:
        self.check("sync_directory")
        super().sync_directory(path)

    def remove(self, path: str) -> None:
        self.check("remove")
        super().remove(path)

    def free_bytes(self, path: str) -> int:
        if self.free < 0:
            raise OSError(errno.EIO, "no numbers")
        return self.free


def session(maildir: Maildir, protocol: str = "SMTP") -> Callable[[], MaildirSession]:
    """Makes sessions; everybody may log in."""

    class Open(MaildirSession):
        async def authenticate(self, identity: Any) -> None:  # noqa: ANN401
            """Everybody is welcome."""

    return lambda: Open(maildir, "server.example", protocol)


def files_in(maildir: Maildir, name: str) -> list[Path]:
    return sorted((maildir.path / name).iterdir())


def contents(maildir: Maildir) -> list[bytes]:
    """What was delivered, without the fields we put in front."""
    found = [path.read_bytes() for path in files_in(maildir, "new")]
    return [content.partition(b" +0000\r\n")[2] for content in found]


async def send(client: RawClient, body: str, *, chunked: bool = False) -> str:
    """One message; the code it was answered with."""
    if chunked:
        assert (await client.say(ENV, 2))[1] == "250 2.1.5"
        return (await client.say(f"BDAT {len(body)} LAST\r\n{body}"))[0]
    assert (await client.say(ENV + "DATA\r\n", 3))[2] == "354"
    return (await client.say(f"{body}.\r\n"))[0]


def transaction_in(text: str, name: str) -> bytes:
    """The transaction's id in a reply, as a pattern."""
    match = re.fullmatch(rf"queued as {re.escape(name)} \(([0-9a-f]{{8}}\.1)\)", text)
    assert match is not None, text
    return re.escape(match[1].encode())


# What is in a file ---------------------------------------------------------------------------------------------------


async def test_a_file_as_others_can_read_it(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path / "deep" / "Maildir")
    assert [path.name for path in sorted(maildir.path.iterdir())] == ["cur", "new", "tmp"]
    async with running(session(maildir)) as server, await RawClient.open(server) as client:
        await client.say(EHLO)
        await client.say(MAIL + RCPT + "RCPT TO:<c@server.example>\r\nDATA\r\n", 4)
        await client.send("Subject: x\r\n\r\n..dot\r\n.\r\n")
        answer = await client.reply()
    (path,) = files_in(maildir, "new")
    transaction = transaction_in(answer.text, path.name)
    assert path.stat().st_mode & 0o777 == 0o600
    assert files_in(maildir, "tmp") == []
    assert re.fullmatch(
        rb"Return-Path: <a@client\.example>\r\n"
        rb"Delivered-To: b@server\.example\r\n"
        rb"Delivered-To: c@server\.example\r\n"
        rb"Received: from client\.example \(\[127\.0\.0\.1\]\)\r\n"
        rb"\tby server\.example \(smtpx\) with ESMTP\r\n"
        rb"\tid [0-9]+\.M[0-9]+P[0-9]+Q1R[0-9a-f]{8} \(" + transaction + rb"\);\r\n"
        rb"\t(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} \+0000\r\n"
        rb"Subject: x\r\n\r\n\.dot\r\n",
        path.read_bytes(),
    )


@pytest.mark.parametrize(
    ("script", "protocol", "expected"),
    [
        ("HELO c\r\n", "SMTP", b"with SMTP\r\n"),
        (EHLO, "SMTP", b"with ESMTP\r\n"),
        (EHLO + AUTH, "SMTP", b"with ESMTPA\r\n"),
        ("LHLO c\r\n", "LMTP", b"with LMTP\r\n"),
        ("LHLO c\r\n" + AUTH, "LMTP", b"with LMTPA\r\n"),
    ],
)
async def test_rfc3848_the_protocol_s_name(tmp_path: Path, script: str, protocol: str, expected: bytes) -> None:
    maildir = Maildir(tmp_path)
    options: dict[str, Any] = {"dialect": LMTP} if protocol == "LMTP" else {}
    async with (
        running(session(maildir, protocol), allow_insecure_auth=True, **options) as server,
        await RawClient.open(server) as client,
    ):
        await client.say(script, script.count("\r\n"))
        assert await send(client, "x\r\n") == "250 2.0.0"
    text = files_in(maildir, "new")[0].read_bytes()
    assert expected in text
    assert b"\r\n\tfor <b@server.example>;\r\n" in text


async def test_under_tls_and_with_utf8(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path)
    async with running(session(maildir), tls=fresh_server_tls()) as server, await RawClient.open(server) as client:
        await client.say(EHLO + "STARTTLS\r\n", 2)
        await client.start_tls()
        await client.say(EHLO + AUTH, 2)
        await client.say("MAIL FROM:<\u00fc@client.example> SMTPUTF8\r\nRCPT TO:<\u00f6@server.example>\r\nDATA\r\n", 3)
        await client.say("x\r\n.\r\n")
    text = files_in(maildir, "new")[0].read_text(encoding="utf-8")
    assert "Return-Path: <\u00fc@client.example>\n" in text
    assert "with UTF8SMTPSA\n\t(TLSv1.3 cipher TLS_AES_" in text


async def test_h012_h070_odd_contents(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path)
    bodies = ["", "From a@b Mon Jan  1 00:00:00 2024\r\n\r\n", "\r\n" + "x" * BIG + "\r\n"]
    async with running(session(maildir)) as server, await RawClient.open(server) as client:
        await client.say("HELO \u00fc\r\n".encode().replace(b"\xc3\xbc", b"bad;name"))
        for body in bodies:
            assert await send(client, body) == "250 2.0.0"
        await client.say("RSET\r\n" + EHLO + "MAIL FROM:<>\r\n" + RCPT, 4)
        assert await client.say("BDAT 9 LAST\r\nno CRLF\r\n") == ["250 2.0.0"]
    assert sorted(contents(maildir), key=len) == sorted([*(body.encode() for body in bodies), b"no CRLF\r\n"], key=len)
    assert any(path.read_bytes().startswith(b"Return-Path: <>\r\n") for path in files_in(maildir, "new"))


async def test_recipients_that_somebody_else_refused_are_not_named(tmp_path: Path) -> None:
    class Late(Middleware):
        """Asks first, and refuses then."""

        async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
            await super().mail(sender, params)
            if sender.local_part == "refused":
                raise Reject()
            return None

        async def rcpt(self, recipient: Mailbox, params: Params) -> Reply | None:
            await super().rcpt(recipient, params)
            if recipient.local_part == "refused":
                raise Reject.mailbox_unavailable()
            return None

    maildir = Maildir(tmp_path / "Maildir")
    async with running(Stack(session(maildir), Late)) as server, await RawClient.open(server) as client:
        await client.say(EHLO + "MAIL FROM:<refused@a.example> SMTPUTF8\r\n" + MAIL, 3)
        assert await client.say("RCPT TO:<refused@server.example>\r\n") == ["550 5.1.1"]
        assert await client.say(RCPT) == ["250 2.1.5"]
        assert await client.say("BDAT 3 LAST\r\nx\r\n") == ["250 2.0.0"]
    content = files_in(maildir, "new")[0].read_bytes()
    assert b"refused" not in content
    assert b"with ESMTP\r\n" in content
    assert content.count(b"Delivered-To: ") == content.count(b"\tfor <b@server.example>;") == 1


async def test_a_unix_socket_in_received(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path / "Maildir")
    path = str(tmp_path / "sock")
    async with running(session(maildir), unix=path) as server, await RawClient.open(path) as client:
        assert server.addresses
        await client.say("EHLO c\r\n")
        assert await send(client, "x\r\n") == "250 2.0.0"
    assert b"Received: from c (unix socket)\r\n" in files_in(maildir, "new")[0].read_bytes()


async def test_an_ipv6_address_in_received(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path)
    async with running(session(maildir), host="::1") as server, await RawClient.open(server, host="::1") as client:
        await client.say(EHLO)
        assert await send(client, "x\r\n") == "250 2.0.0"
    assert b"([IPv6:::1])\r\n" in files_in(maildir, "new")[0].read_bytes()


def test_names_are_never_the_same(tmp_path: Path) -> None:
    maildir, other = Maildir(tmp_path), Maildir(tmp_path)
    names = {place.new_message().name for place in (maildir, other) for _ in range(1000)}
    assert len(names) == 2000
    assert not any("/" in name or ":" in name for name in names)


def test_a_directory_that_can_not_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="file"):
        Maildir(tmp_path / "file")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="can't write to the Maildir"):
        Maildir(tmp_path / "Maildir")


# Faults --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10, BIG])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("error", "codes"),
    [
        (errno.ENOSPC, "452 4.3.1"),
        (errno.EDQUOT, "452 4.3.1"),
        (errno.EROFS, "452 4.3.1"),
        (errno.EIO, "451 4.3.0"),
    ],
)
async def test_h091_h092_a_fault_anywhere(
    tmp_path: Path, step: str, error: int, codes: str, size: int, chunked: bool, caplog: pytest.LogCaptureFixture
) -> None:
    files = FaultyFiles(step, error)
    maildir = Maildir(tmp_path, files=files)
    body = "\r\n" + "x" * size + "\r\n"
    async with running(session(maildir)) as server, await RawClient.open(server) as client:
        await client.say(EHLO)
        assert await send(client, body, chunked=chunked) == codes
        assert files_in(maildir, "new") == []
        await eventually(lambda: files_in(maildir, "tmp") == [])
        await client.probe()
        assert maildir.is_healthy is (error != errno.EIO)
        assert await send(client, body, chunked=chunked) == "250 2.0.0"  # behind a probe, where one was due
        assert maildir.is_healthy
    assert contents(maildir) == [body.encode()]
    assert files_in(maildir, "tmp") == []
    assert sum("can't store a message" in line for line in caplog.messages) == 1


async def test_h092_an_fsync_is_not_asked_twice(tmp_path: Path) -> None:
    files = FaultyFiles("sync")
    maildir = Maildir(tmp_path, files=files)
    async with running(session(maildir)) as server, await RawClient.open(server) as client:
        await client.say(EHLO)
        assert await send(client, "x\r\n") == "451 4.3.0"
    assert files.calls == ["open", "write", "sync", "remove"]


async def test_h092_unhealthy_until_a_fresh_file_is_safe(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(FaultyFiles):
        works = False

        def sync(self, file: BinaryIO) -> None:
            if not self.works:
                raise OSError(errno.EIO, "broken disk")
            super().sync(file)

    files = Broken()
    maildir = Maildir(tmp_path, files=files)
    async with running(session(maildir)) as server, await RawClient.open(server) as client:
        await client.say(EHLO)
        assert await send(client, "x\r\n") == "451 4.3.0"
        for _ in range(2):
            assert await client.say(MAIL) == ["451 4.3.0"]
        assert maildir.health_problems() == [f"the Maildir {tmp_path} can't be written to"]
        assert files_in(maildir, "tmp") == []
        files.works = True
        assert await send(client, "x\r\n") == "250 2.0.0"
    assert "still can't be written to" in caplog.text
    calls = len(files.calls)
    assert maildir.health_problems() == []
    assert maildir.check()  # a healthy one is not probed
    assert len(files.calls) == calls


async def test_h091_too_little_room(tmp_path: Path) -> None:
    files = FaultyFiles()
    maildir = Maildir(tmp_path, min_free_bytes=1000, files=files)
    async with running(session(maildir)) as server, await RawClient.open(server) as client:
        await client.say(EHLO)
        files.free = 999
        assert await client.say(MAIL) == ["452 4.3.1"]
        files.free = 1000
        assert await client.say(MAIL + "RSET\r\n", 2) == ["250 2.1.0", "250 2.0.0"]
        files.free = -1  # nobody knows: writing will tell
        assert await send(client, "x\r\n") == "250 2.0.0"


async def test_a_file_that_can_not_be_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Sticky(FaultyFiles):
        def remove(self, path: str) -> None:
            raise OSError(errno.EIO, "it stays")

    maildir = Maildir(tmp_path, files=Sticky("sync"))
    async with running(session(maildir)) as server, await RawClient.open(server) as client:
        await client.say(EHLO)
        assert await send(client, "x\r\n") == "451 4.3.0"
    assert files_in(maildir, "new") == []
    assert "can't remove" in caplog.text


@pytest.mark.parametrize("size", [10, BIG])
async def test_h019_a_message_that_is_not_finished_leaves_nothing(tmp_path: Path, size: int) -> None:
    maildir = Maildir(tmp_path)
    async with running(session(maildir)) as server:
        async with await RawClient.open(server) as client:
            await client.say(OPEN, 4)
            await client.send("\r\n" + "x" * size)
            if size == BIG:
                await eventually(lambda: len(files_in(maildir, "tmp")) == 1)
        await eventually(lambda: server.connections == 0)
        await eventually(lambda: files_in(maildir, "tmp") == [])
    assert files_in(maildir, "new") == []


async def test_another_error_than_the_disk_s(tmp_path: Path) -> None:
    class Buggy(FaultyFiles):
        def write(self, file: BinaryIO, data: bytes) -> None:
            raise ValueError("a bug")

    maildir = Maildir(tmp_path, files=Buggy())
    for size in (10, BIG):
        async with running(session(maildir)) as server, await RawClient.open(server) as client:
            await client.say(EHLO)
            assert await send(client, "\r\n" + "x" * size + "\r\n") == "451 4.3.0"
        assert files_in(maildir, "tmp") == []


# Slow disks ----------------------------------------------------------------------------------------------------------


class Hanging(FaultyFiles):
    """Hangs in one step until it is released."""

    def __init__(self, step: str) -> None:
        super().__init__()
        self.hangs_in = step
        self.hanging = threading.Event()
        self.released = threading.Event()

    def check(self, step: str) -> None:
        super().check(step)
        if step == self.hangs_in:
            self.hanging.set()
            self.released.wait(30)


async def run_out_of_time(server: Server, files: Hanging) -> None:
    """Let the deadline for the message pass when the disk hangs, however long it took to get there."""
    assert await asyncio.to_thread(files.hanging.wait, 30)
    (connection,) = server._connections
    await eventually(lambda: connection.patience.due is Due.FINAL)
    connection.patience.set(Due.FINAL, 0.0)
    await eventually(lambda: connection.patience.due is not Due.FINAL)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("size", [10, BIG])
async def test_a_disk_that_hangs_and_a_deadline(tmp_path: Path, step: str, size: int) -> None:
    """Refused and stored is a message twice: only what is refused may be missing, only what is stored accepted."""
    files = Hanging(step)
    maildir = Maildir(tmp_path, files=files)
    async with running(session(maildir)) as server, await RawClient.open(server) as client:
        await client.say(EHLO + ENV + "DATA\r\n", 4)
        await client.send("\r\n" + "x" * size + "\r\n.\r\n")
        await run_out_of_time(server, files)
        if step in ("rename", "sync_directory"):
            await client.silence()  # it is being published: the truth is worth waiting for
            files.released.set()
            assert await client.codes(1) == ["250 2.0.0"]
        else:
            assert await client.codes(1) == ["451 4.3.0"]
            await client.probe()
            files.released.set()
        await eventually(lambda: files_in(maildir, "tmp") == [])
    assert len(files_in(maildir, "new")) == (step in ("rename", "sync_directory"))


async def test_a_disk_that_fails_while_it_is_waited_for(tmp_path: Path) -> None:
    class Worse(Hanging):
        def rename(self, source: str, target: str) -> None:
            super().rename(source, target)
            os.unlink(target)
            raise OSError(errno.EIO, "gone")

    files = Worse("rename")
    maildir = Maildir(tmp_path, files=files)
    async with running(session(maildir)) as server, await RawClient.open(server) as client:
        await client.say(EHLO + ENV + "DATA\r\n", 4)
        await client.send("x\r\n.\r\n")
        await run_out_of_time(server, files)
        await client.silence()
        files.released.set()
        assert await client.codes(1) == ["451 4.3.0"]
        assert not maildir.is_healthy


async def test_a_server_that_closes_while_a_message_is_written(tmp_path: Path) -> None:
    files = Hanging("write")
    maildir = Maildir(tmp_path, files=files)
    async with running(session(maildir)) as server, await RawClient.open(server) as client:
        await client.say(OPEN, 4)
        await client.send("x\r\n.\r\n")
        await asyncio.to_thread(files.hanging.wait, 5)
        await server.close()
        assert await client.codes(1) == ["421 4.3.2"]
        files.released.set()
        await eventually(lambda: files_in(maildir, "tmp") == [])
    assert files_in(maildir, "new") == []


async def test_a_loop_that_ends_while_a_message_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`asyncio.run` cancels the writing together with who waits for it: a message not yet published is given up."""
    begun, released = threading.Event(), threading.Event()

    def store(message: NewMessage, pieces: Sequence[bytes]) -> None:
        begun.set()
        released.wait(5)

    monkeypatch.setattr(NewMessage, "store", store)
    before = asyncio.all_tasks()
    message = Maildir(tmp_path).new_message()
    delivering = asyncio.create_task(_store(message, [b"x"]))
    await asyncio.to_thread(begun.wait, 5)
    for task in asyncio.all_tasks() - before:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await delivering
    released.set()
    with pytest.raises(GivenUp):
        message.write(b"x")


def test_what_is_given_up_is_not_written_any_more(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path)
    message = maildir.new_message()
    assert message.give_up()
    with pytest.raises(GivenUp):
        message.write(b"x")
    begun = maildir.new_message()
    begun.write(b"x")
    assert begun.give_up()
    with pytest.raises(GivenUp):
        begun.store([b"y"])
    stored = maildir.new_message()
    stored.store([b"x", b"y"])
    assert not stored.give_up()
    stored.discard()
    assert [path.name for path in files_in(maildir, "new")] == [stored.name]
    assert files_in(maildir, "tmp") == []


# Kills ---------------------------------------------------------------------------------------------------------------

CHILD = """
    import asyncio, json, os, signal, sys
    from smtpx.server.listener import Server
    from smtpx.server.maildir import Files, Maildir, MaildirSession

    path, step, at = sys.argv[1], sys.argv[2], sys.argv[3]

    class Deadly(Files):
        def kill(self, name, when):
            if step == name and at == when:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(name):
        real = getattr(Files, name)
        def call(self, *args):
            self.kill(name, "before")
            if name == "write" and step == name and at == "middle":
                real(self, args[0], args[1][: len(args[1]) // 2])
                self.kill(name, "middle")
            result = real(self, *args)
            self.kill(name, "after")
            return result
        return call

    for name in ("open_new", "write", "sync", "rename", "sync_directory"):
        setattr(Deadly, name, around(name))

    async def main():
        maildir = Maildir(path, files=Deadly(), min_free_bytes=0)
        async with Server(lambda: MaildirSession(maildir, "server.example"), port=0) as server:
            print(server.port, flush=True)
            await server.serve_forever()

    asyncio.run(main())
"""
KILLS = [
    *(
        (step, when)
        for step in ("open_new", "write", "sync", "rename", "sync_directory")
        for when in ("before", "after")
    ),
    ("write", "middle"),
    ("never", "never"),
]


@pytest.mark.parametrize(("step", "when"), KILLS)
async def test_sigkill_between_the_end_of_data_and_the_250(tmp_path: Path, step: str, when: str) -> None:
    """A 250 that was seen means a message in `new`; no 250 means none or one; a torn one never."""
    maildir = Maildir(tmp_path)
    body = "Subject: t\r\n\r\n" + "0123456789\r\n" * 5000
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(CHILD), str(tmp_path), step, when, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    port = int(await child.stdout.readline())
    seen = ""
    async with await RawClient.open(port) as client:
        await client.say(OPEN, 4)
        await client.send(f"{body}.\r\n")
        if step == "never":
            seen = (await client.codes(1))[0]
            child.kill()
        else:
            await client.closed()
    await child.wait()
    found = contents(maildir)
    assert found in ([], [body.encode()])
    if seen or (step, when) in (("rename", "after"), ("sync_directory", "before"), ("sync_directory", "after")):
        assert found == [body.encode()]
    assert seen in ("", "250 2.0.0")
    assert len(files_in(maildir, "tmp")) <= 1


class Disk(Files):
    """Knows what a power cut would leave: octets that were synced, and names whose directory was."""

    def __init__(self) -> None:
        self.written: dict[str, bytes] = {}
        self.synced: dict[str, bytes] = {}
        self.named: dict[
            str, str
        ] = {}  # in `new`, and perhaps on the disk: a rename may get there before anything else
        self.safe: set[str] = set()
        self.torn: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def write(self, file: BinaryIO, data: bytes) -> None:
        super().write(file, data)
        self.written[file.name] = self.written.get(file.name, b"") + data

    def open_new(self, path: str) -> BinaryIO:
        return open(path, "xb", buffering=0)

    def sync(self, file: BinaryIO) -> None:
        super().sync(file)
        self.synced[file.name] = self.written[file.name]

    def rename(self, source: str, target: str) -> None:
        super().rename(source, target)
        self.named[target] = source
        if self.synced.get(source) != self.written[source]:
            self.torn.append(target)

    def sync_directory(self, path: str) -> None:
        self.gate.wait(5)
        super().sync_directory(path)
        self.safe |= {target for target in self.named if target.startswith(path)}


@pytest.mark.parametrize("size", [10, BIG])
@pytest.mark.parametrize("chunked", [False, True])
async def test_power_cut_whatever_was_not_synced_is_lost(tmp_path: Path, size: int, chunked: bool) -> None:
    """A name never gets to the disk before its octets, and 250 is never said before both are there."""
    disk = Disk()
    maildir = Maildir(tmp_path, files=disk)
    body = "\r\n" + "x" * size + "\r\n"
    async with running(session(maildir)) as server, await RawClient.open(server) as client:
        await client.say(EHLO)
        disk.gate.clear()
        sending = asyncio.create_task(send(client, body, chunked=chunked))
        await eventually(lambda: bool(disk.named))
        await asyncio.sleep(0.02)
        assert not sending.done()
        assert disk.safe == set()
        disk.gate.set()
        assert await sending == "250 2.0.0"
    assert disk.torn == []
    assert disk.safe == set(disk.named)
    (path,) = files_in(maildir, "new")
    assert disk.synced[disk.named[str(path)]] == path.read_bytes()


async def test_many_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "smtpx.server")
    maildir = Maildir(tmp_path)

    async def one(server: Any, number: int) -> None:  # noqa: ANN401
        async with await RawClient.open(server) as client:
            await client.say(EHLO)
            for turn in range(5):
                assert await send(client, json.dumps([number, turn]) + "\r\n") == "250 2.0.0"

    async with running(session(maildir), limits=ServerLimits()) as server:
        await asyncio.gather(*(one(server, number) for number in range(20)))
    assert sorted(json.loads(each) for each in contents(maildir)) == [[n, t] for n in range(20) for t in range(5)]


# Messages under way --------------------------------------------------------------------------------------------------


async def under_way(client: RawClient, size: int) -> None:
    """A message of which so much was sent, and not its end."""
    await client.say(EHLO)
    assert (await client.say(ENV + "DATA\r\n", 3))[2] == "354"
    await client.send("x" * (size - 2) + "\r\n")


async def test_section_4_what_waits_in_memory_is_bounded_in_all(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path, spool_memory_bytes=200_000, spool_total_memory_bytes=250_000)
    async with running(session(maildir)) as server:
        first, second = await RawClient.open(server), await RawClient.open(server)
        await under_way(first, 150_000)
        await eventually(lambda: maildir.spooled_memory_bytes > 80_000)
        assert files_in(maildir, "tmp") == []  # just below both limits
        await under_way(second, 190_000)
        await eventually(lambda: len(files_in(maildir, "tmp")) == 1)  # above the limit for all: to the file
        await eventually(lambda: maildir.spooled_disk_bytes > 0)
        assert maildir.spooled_memory_bytes < 250_000
        assert (await first.say(".\r\n"))[0] == "250 2.0.0"
        second.reset()
        await eventually(lambda: files_in(maildir, "tmp") == [])
        await eventually(lambda: (maildir.spooled_memory_bytes, maildir.spooled_disk_bytes) == (0, 0))
        first.sock.close()
    assert len(contents(maildir)[0]) == 150_000


async def test_section_4_too_much_under_way_on_the_disk_is_452_at_mail(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    maildir = Maildir(tmp_path, spool_memory_bytes=1, spool_total_disk_bytes=100_000)
    async with (
        running(session(maildir)) as server,
        await RawClient.open(server) as first,
        await RawClient.open(server) as second,
    ):
        await second.say(EHLO)
        await under_way(first, 99_000)
        assert await second.say(MAIL + "RSET\r\n", 2) == ["250 2.1.0", "250 2.0.0"]
        await first.send("y" * 70_000 + "\r\n")
        await eventually(lambda: maildir.spooled_disk_bytes >= 100_000)
        assert await second.say(MAIL) == ["452 4.3.1"]
        assert (await first.say(".\r\n"))[0] == "250 2.0.0"
        assert maildir.spooled_disk_bytes == 0
        assert await second.say(MAIL) == ["250 2.1.0"]
    assert "spool_total_disk_bytes (100000)" in caplog.text


def test_what_a_dead_process_left_is_swept(tmp_path: Path) -> None:
    """Not what is new, nor a directory, nor what a link points to."""
    Maildir(tmp_path)
    long_ago = time.time() - 37 * 3600
    for name in ("old", "new"):
        (tmp_path / "tmp" / name).write_bytes(b"x")
    (tmp_path / "tmp" / "directory").mkdir()
    (tmp_path / "elsewhere").write_bytes(b"x")
    (tmp_path / "tmp" / "link").symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "tmp" / "old", tmp_path / "tmp" / "directory", tmp_path / "elsewhere"):
        os.utime(path, (long_ago, long_ago))
    (tmp_path / "new" / "stored").write_bytes(b"x")
    os.utime(tmp_path / "new" / "stored", (long_ago, long_ago))
    Maildir(tmp_path)
    assert sorted(each.name for each in (tmp_path / "tmp").iterdir()) == ["directory", "link", "new"]
    assert (tmp_path / "new" / "stored").exists()
    assert (tmp_path / "elsewhere").exists()
