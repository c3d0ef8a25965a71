"""The log of the mailer, and messages that end in odd ways."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from smtpx.errors import ConnectError, PermanentRefusal
from smtpx.mailer.failover import FailoverError, FailoverProvider
from smtpx.mailer.local import MemoryProvider
from smtpx.mailer.provider import ProviderClosedError
from smtpx.mailer.service import MailService
from smtpx.mailer.watch import bulk_watch, message_watch
from smtpx.message.findings import MessageError
from tests.mailer.rig import TO, BulkAPI, Note, letter, letters
from tests.mailer.test_observer import Everything

MAIL = "smtpx.mailer"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, MAIL):
        yield caplog


def lines(log: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in log.records if each.name == MAIL]


async def test_a_line_for_each_message_with_its_id_and_what_became_of_it(log: pytest.LogCaptureFixture) -> None:
    memory = MemoryProvider()
    memory.refuse("nobody@home.example")
    number = iter(range(9))
    async with MailService(
        {"shop": FailoverProvider({"first": memory})}, new_id=lambda domain: f"<{next(number)}@{domain}>"
    ) as mail:
        await mail.send(letter(bcc="nobody@home.example"))
        with pytest.raises(PermanentRefusal):
            await mail.send(letter(to="nobody@home.example"))
        await mail.send_bulk([letter(), letter(to=())])
    assert [each.partition(": 250")[0] for each in lines(log)] == [
        "message <0@shop.example> sent by shop: accepted for 1 recipients, refused for 1",
        lines(log)[1],
        "message without Message-ID not sent by shop: MessageError: to",  # before the first is sent
        "message <2@shop.example> sent by shop: accepted for 1 recipients, refused for 0",
    ]
    assert lines(log)[1].startswith("message <1@shop.example> not sent by shop: PermanentRefusal: ")
    assert [each.levelname for each in log.records if each.name == MAIL] == ["INFO"] * 4
    fields: dict[str, Any] = vars(log.records[0])
    assert (fields["message_id"], fields["provider"], fields["outcome"]) == ("<0@shop.example>", "shop", "sent")
    assert vars(log.records[1])["outcome"] == "PermanentRefusal"


async def test_no_text_of_a_message_and_no_error_of_others_is_in_it(log: pytest.LogCaptureFixture) -> None:
    memory = MemoryProvider()
    several = FailoverProvider({"a": BulkAPI(lambda _: [ConnectError("a is down")]), "b": memory})
    async with MailService({"api": memory, "several": several}, default="api") as mail:
        memory.fail(RuntimeError("password=secret"))
        with pytest.raises(RuntimeError):
            await mail.send(letter())
        memory.fail(RuntimeError("password=secret"))
        await mail.send_bulk(letters(1))
        with pytest.raises(MessageError):
            await mail.send(letter(from_=(), subject="private"))
        with pytest.raises(ValueError, match="no provider"):
            await mail.send(letter(), provider="other")
        with pytest.raises(ValueError, match="recipients"):
            await mail.send(Note(recipients=()))
        memory.fail(ConnectError("b is down"))
        with pytest.raises(FailoverError):
            await mail.send(letter(), provider="several")
        await mail.send(Note(message_id="<a\r\nb\x1b[0m>" + "x" * 300))
    for private in ("secret", TO, "private", "\r", "\n", "\x1b", "x" * 201):
        assert private not in "|".join(lines(log))
    assert lines(log)[0].endswith("not sent by api: RuntimeError")
    assert "not sent by no provider: ConfigurationError" in lines(log)[3]
    assert lines(log)[5].endswith("not sent by several: a: ConnectError: a is down; b: ConnectError: b is down")


async def test_a_provider_without_a_service_writes_its_own_lines(log: pytest.LogCaptureFixture) -> None:
    async with MemoryProvider() as memory:
        await memory.send(letter())
        await memory.send_bulk(letters(2))
    with pytest.raises(ProviderClosedError):
        await memory.send(letter())
    assert len(lines(log)) == 4
    assert "sent by EmailProvider (memory): accepted" in lines(log)[0]
    assert "ProviderClosedError" in lines(log)[3]


async def test_nothing_is_made_where_nobody_reads(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, MAIL):
        assert message_watch(None, lambda: pytest.fail("asked for nothing")) is None
        assert bulk_watch(None, lambda: pytest.fail("asked for nothing")) is None
        async with MailService(MemoryProvider()) as mail:
            await mail.send(letter())
            await mail.send_bulk(letters(1))
    with caplog.at_level(logging.DEBUG, MAIL):
        assert message_watch(None, lambda: None, logs=False) is None
        assert bulk_watch(None, lambda: None, logs=False) is None
    assert lines(caplog) == []


async def test_cancelled_is_an_outcome(log: pytest.LogCaptureFixture) -> None:
    memory = MemoryProvider()
    memory.delay_seconds = 60
    async with MailService(memory) as mail:
        sending = asyncio.create_task(mail.send(letter()))
        await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
    assert lines(log)[0].endswith("not sent by default: CancelledError")


def test_what_was_taken_ends_with_the_whole() -> None:
    observer = Everything()
    watch = bulk_watch(observer, lambda: None)
    assert watch is not None
    watch.take(0)
    with pytest.raises(KeyboardInterrupt), watch:
        raise KeyboardInterrupt
    assert observer.told[2] == ("one of many ended", KeyboardInterrupt)


async def test_facts_that_can_not_be_had(log: pytest.LogCaptureFixture) -> None:
    class Odd(BulkAPI):
        @property
        def metadata(self) -> Any:  # type: ignore[override]  # noqa: ANN401
            raise RuntimeError("x")

    async with MailService(Odd(lambda _: [ConnectError("down")])) as mail:
        with pytest.raises(ConnectError):
            await mail.send(letter())
    assert lines(log)[-1].endswith("not sent by no provider: ConnectError: down")
