"""What observers of mail are told, when nothing is overridden and when everything is."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from smtpx.client.observer import ClientObserver, MessageObserver
from smtpx.errors import ConnectError
from smtpx.flows.outcome import SendResult
from smtpx.mailer.failover import FailoverProvider
from smtpx.mailer.local import MemoryProvider
from smtpx.mailer.observer import BulkObserver, MailObserver, ProviderFacts
from smtpx.mailer.rate_limit import RateLimit
from smtpx.mailer.retry import Retry
from smtpx.mailer.service import MailService
from smtpx.mailer.smtp import SMTPProvider
from tests.mailer.rig import BulkAPI, letter, letters, office, result_for

QUICK = Retry(attempts=2, first_seconds=0, jitter_seconds=0)


class Note(MessageObserver):
    def __init__(self, told: list[Any], kind: str) -> None:
        self.told = told
        self.kind = kind

    def ended(self, result: SendResult | None, error: BaseException | None) -> None:
        self.told.append((self.kind, type(result or error)))


class Many(BulkObserver):
    def __init__(self, told: list[Any]) -> None:
        self.told = told

    def message_started(self, provider: ProviderFacts | None) -> MessageObserver:
        self.told.append(("one of many", provider and provider.name))
        return Note(self.told, "one of many ended")

    def ended(self, error: BaseException | None) -> None:
        self.told.append(("many ended", error))


class Everything(MailObserver):
    def __init__(self) -> None:
        self.told: list[Any] = []

    def message_started(self, provider: ProviderFacts | None) -> MessageObserver:
        self.told.append(("message", provider and provider.name))
        return Note(self.told, "ended")

    def bulk_started(self, provider: ProviderFacts | None) -> BulkObserver:
        self.told.append(("many", provider and provider.name))
        return Many(self.told)

    def retried(self, provider: ProviderFacts, attempt: int, error: BaseException) -> None:
        self.told.append(("retried", provider.name, attempt, type(error)))

    def failed_over(self, provider: str, error: BaseException) -> None:
        self.told.append(("failed over", provider, type(error)))

    def breaker_changed(self, provider: str, *, is_open: bool) -> None:
        self.told.append(("breaker", provider, is_open))

    def waited(self, provider: ProviderFacts, seconds: float) -> None:
        self.told.append(("waited", provider.name, seconds >= 0))


def test_facts_are_those_that_a_provider_tells_and_nothing_secret() -> None:
    smtp = SMTPProvider("mail.example.org", username="user", password="secret")
    assert smtp.facts() == ProviderFacts("EmailProvider (SMTP)", "smtp", "mail.example.org", 587, True)
    path = SMTPProvider.from_url("lmtp+unix:///run/lmtp")
    assert ProviderFacts.of(path, "local") == ("local", "lmtp", "/run/lmtp", None, True)
    assert ProviderFacts.of(MemoryProvider(), "memory") == ("memory", "memory", None, None, False)
    assert ProviderFacts.of(FailoverProvider([MemoryProvider(), smtp]), "x").speaks_smtp
    assert not ProviderFacts.of(FailoverProvider([MemoryProvider()]), "x").speaks_smtp
    assert ProviderFacts.of(object(), "mine") == ("mine", "unknown", None, None, False)

    class Odd:
        metadata: Mapping[str, Any] = {"host": 7, "port": "x", "providers": None}

    assert ProviderFacts.of(Odd(), "odd") == ("odd", "unknown", None, None, False)


async def test_each_message_is_told_once_and_what_is_done_for_it() -> None:
    observer = Everything()
    memory = MemoryProvider()
    memory.rate_limit = RateLimit(1000, 1)
    memory.fail(ConnectError("down"))
    async with MailService({"first": memory}, observer=observer, retry=QUICK) as mail:
        await mail.send(letter())
        assert (await mail.send_bulk(letters(1))).succeeded
    assert [each for each in observer.told if each[0] != "waited"] == [
        ("message", "first"),
        ("retried", "first", 2, ConnectError),
        ("ended", SendResult),
        ("many", "first"),
        ("one of many", "first"),
        ("one of many ended", SendResult),
        ("many ended", None),
    ]
    assert ("waited", "first", True) in observer.told


async def test_a_failover_tells_its_steps_whoever_its_members_are() -> None:
    observer = Everything()
    down = BulkAPI(lambda given: [ConnectError("down") for _ in given])
    up = BulkAPI(lambda given: [result_for(each) for each in given])
    several = FailoverProvider({"a": down, "b": up})
    several.observe(observer)
    async with several:
        for _ in range(5):
            await several.send(letter())
        assert not (await several.send_bulk(letters(1))).failed
    told = observer.told
    assert told.count(("failed over", "a", ConnectError)) == 5
    assert told.count(("breaker", "a", True)) == 1
    assert told[-4:-2] == [("one of many", "EmailProvider (failover)"), ("failed over", "a", told[-3][2])]
    assert len([each for each in told if each[0] == "message"]) == 5


async def test_doing_nothing_is_fine() -> None:
    class Nothing(MailObserver):
        pass

    class NothingOfMany(MailObserver):
        def bulk_started(self, provider: ProviderFacts | None) -> BulkObserver:
            class Idle(BulkObserver):
                pass

            return Idle()

    down, up = MemoryProvider(), MemoryProvider()
    up.rate_limit = RateLimit(1000, 1)
    down.fail(ConnectError("down"), times=None)
    for observer in (Nothing(), NothingOfMany()):
        async with MailService(FailoverProvider([down, up], owned=False), observer=observer, retry=QUICK) as mail:
            for _ in range(5):
                assert (await mail.send(letter())).accepted
            assert not (await mail.send_bulk(letters(2))).failed
    own = ClientObserver()
    assert Nothing().client_observer(own) is own
    async with office() as post, MailService(post.provider(), observer=Nothing(), retry=QUICK) as mail:
        await mail.send(letter())
    refused = MemoryProvider()
    refused.fail(ConnectError("down"))
    async with MailService(refused, observer=Nothing(), retry=QUICK) as mail:
        assert (await mail.send(letter())).accepted


async def test_what_observers_raise_is_logged_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Everything):
        def message_started(self, provider: ProviderFacts | None) -> MessageObserver:
            raise RuntimeError("x")

        def bulk_started(self, provider: ProviderFacts | None) -> BulkObserver:
            raise RuntimeError("x")

        def client_observer(self, own: ClientObserver | None) -> ClientObserver | None:
            raise RuntimeError("x")

    async with office() as post, MailService(post.provider(), observer=Broken()) as mail:
        await mail.send(letter())
        await mail.send_bulk(letters(1))
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert [each.rpartition(".")[2] for each in told] == [
        f"{name} of the observer raised" for name in ("message_started", "client_observer", "bulk_started")
    ]


async def test_a_message_sent_while_another_is_told_of_is_told_of_too() -> None:
    observer = Everything()
    tasks: list[asyncio.Task[SendResult]] = []
    async with MailService(MemoryProvider(), observer=observer) as mail:
        await mail.send_bulk(letters(1), on_outcome=lambda _: tasks.append(asyncio.create_task(mail.send(letter(7)))))
        await tasks[0]
    assert [each for each in observer.told if each[0] == "message"] == [("message", "default")]
