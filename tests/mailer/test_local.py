"""Providers that send nothing anywhere."""

import asyncio
import io
import os
import stat
import threading
from pathlib import Path

import pytest

from smtpx.errors import ConfigurationError, ConnectError, PermanentRefusal, TemporaryRefusal, TransportError
from smtpx.mailer.local import ConsoleProvider, FileProvider, MemoryProvider
from smtpx.mailer.provider import HealthState, Probe
from smtpx.wire.reply import Reply
from tests.mailer.rig import FROM, TO, Note, letter, letters, theirs

# Memory ---------------------------------------------------------------------------------------------------------------


async def test_memory_keeps_envelope_octets_message_and_mail_as_parsed() -> None:
    memory = MemoryProvider(from_email="default@shop.example")
    result = await memory.send(letter(from_=(), bcc="hidden@home.example", html="<p>Grüße", notify="NEVER"))
    (sent,) = memory.outbox
    assert sent.sender == "default@shop.example"
    assert sent.recipients == (TO, "hidden@home.example")
    assert sent.subject == "Letter 0"
    assert sent.email["Subject"] == "Letter 0"
    assert sent.email["Bcc"] is None
    html = sent.email.get_body(("html",))
    assert html is not None
    assert "Grüße" in html.get_content()
    assert sent.wishes == {"notify": "NEVER"}
    assert sent.message.message_id == sent.email["Message-ID"]
    assert result.queue_id == "1"
    assert memory.rate_limit is None
    assert memory.metadata == {"from_email": "default@shop.example"}
    assert (await memory.check()).state is HealthState.HEALTHY


async def test_memory_takes_what_needs_utf8_and_what_is_no_message() -> None:
    memory = MemoryProvider()
    await memory.send(letter(from_="käthe@shop.example"))
    await memory.send(Note(text=b"X-A: b\r\n\r\n"))
    assert memory.outbox[0].sender == "käthe@shop.example"
    assert memory.outbox[1].subject == ""


async def test_memory_fails_as_it_is_told() -> None:
    memory = MemoryProvider()
    memory.fail(ConnectError("down"), times=2)
    memory.fail(ValueError("odd"), times=None, when=lambda message: "Letter 7" in str(message))
    result = await memory.send_bulk([letter(1), letter(7), letter(2), letter(3), letter(7)])
    assert [type(theirs(each.error)) for each in result.outcomes] == [
        ConnectError,
        ConnectError,
        type(None),
        type(None),
        ValueError,
    ]
    memory.reset()
    assert memory.outbox == []
    assert (await memory.send(letter(7))).accepted


async def test_memory_refuses_recipients() -> None:
    memory = MemoryProvider()
    memory.refuse("bad@HOME.example")
    memory.refuse("busy@home.example", Reply(450, None, ("busy",)))
    result = await memory.send(letter(to=["bad@home.example", TO, "busy@home.example"]))
    assert list(result.accepted) == [TO]
    assert [type(each) for each in result.refused.values()] == [PermanentRefusal, TemporaryRefusal]
    assert memory.outbox[0].recipients == (TO,)
    with pytest.raises(PermanentRefusal, match=r"bad@home\.example"):
        await memory.send(letter(to="bad@home.example"))
    assert len(memory.outbox) == 1


async def test_memory_waits_for_messages() -> None:
    memory = MemoryProvider()
    memory.delay_seconds = 0.02
    waiting = asyncio.create_task(memory.wait_for(2))
    await asyncio.gather(*map(memory.send, letters(2)))
    assert len(await waiting) == 2
    with pytest.raises(TimeoutError, match="2 of 3 messages"):
        await memory.wait_for(3, 0.02)


def test_memory_in_one_loop_after_the_other() -> None:
    memory = MemoryProvider()
    for _ in range(2):
        asyncio.run(memory.send(letter()))
    assert len(asyncio.run(memory.wait_for(2))) == 2


# Console --------------------------------------------------------------------------------------------------------------


async def test_console_shows_what_is_sent_and_nothing_that_steers_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    await ConsoleProvider().send(letter(bcc="hidden@home.example", text="Grüße\tund\x1b[31m rot"))
    shown = capsys.readouterr().out
    assert f"MAIL FROM:<{FROM}>\nRCPT TO:<{TO}>\nRCPT TO:<hidden@home.example>\n" in shown
    assert "Subject: Letter 0\n" in shown
    assert "Grüße\tund\\x1b[31m rot" in shown or "=1B" in shown
    assert "\x1b" not in shown
    await ConsoleProvider().send(Note(text=b"Subject: x\r\n\r\n\x1b[2J \xff\r\n"))
    shown = capsys.readouterr().out
    assert "\\x1b[2J \\xff" in shown


async def test_console_writes_to_any_stream() -> None:
    stream = io.StringIO()
    async with ConsoleProvider(stream) as console:
        assert (await console.send(letter())).queue_id == "1"
    assert stream.getvalue().startswith("-" * 79)


def _files(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())


# Files ----------------------------------------------------------------------------------------------------------------


async def test_files_are_whole_private_and_never_collide(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    provider = FileProvider(directory, from_email=FROM)
    results = await asyncio.gather(*map(provider.send, letters(20)))
    files = _files(directory)
    assert len(files) == 20
    assert {each.name for each in files} == {
        result.reply.text.removeprefix("queued as ") for result in results if result.reply
    }
    for each in files:
        assert each.suffix == ".eml"
        assert stat.S_IMODE(each.stat().st_mode) == 0o600
        assert b"\r\n\r\nThis is " in each.read_bytes()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert provider.metadata["directory"] == str(directory)
    assert (await provider.check(Probe.READINESS)).is_ok


async def test_files_appear_in_the_order_of_their_names(tmp_path: Path) -> None:
    provider = FileProvider(tmp_path)
    await provider.send_bulk(letters(5))
    texts = [each.read_bytes() for each in _files(tmp_path)]
    assert [b"Letter %d" % number in text for number, text in enumerate(texts)] == [True] * 5


async def test_files_are_on_the_disk_before_they_have_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        order.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        order.append("name")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    await FileProvider(tmp_path).send(letter())
    assert order == ["file", "name", "directory"]
    monkeypatch.delattr(os, "O_DIRECTORY")
    order.clear()
    await FileProvider(tmp_path).send(letter())
    assert order == ["file", "name"]


async def test_a_disk_that_fails_leaves_nothing_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TransportError, match="No space left") as caught:
        await FileProvider(tmp_path).send(letter())
    assert caught.value.is_temporary
    assert _files(tmp_path) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="directory"):
        FileProvider(tmp_path / "file")


async def test_cancelled_a_file_is_still_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go, entered = threading.Event(), threading.Event()
    fsync = os.fsync

    def slow(descriptor: int) -> None:
        entered.set()
        go.wait(5)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    provider = FileProvider(tmp_path)
    sending = asyncio.create_task(provider.send(letter()))
    await asyncio.to_thread(entered.wait, 5)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    go.set()
    async with asyncio.timeout(5):
        while not [each for each in _files(tmp_path) if each.suffix == ".eml"]:  # noqa: ASYNC110 - a thread makes it
            await asyncio.sleep(0.005)
