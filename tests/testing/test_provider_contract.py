"""The contract holds for all providers of ours, and it notices what breaks it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from smtpx.errors import ConnectError
from smtpx.flows.outcome import SendResult
from smtpx.mailer.base import BaseProvider
from smtpx.mailer.failover import FailoverProvider, RoundRobinProvider
from smtpx.mailer.local import ConsoleProvider, FileProvider, MemoryProvider
from smtpx.mailer.provider import BulkResult, OnOutcome, Provider, Sendables
from smtpx.mailer.smtp import SMTPProvider
from smtpx.message.sendable import Sendable
from smtpx.protocol.dialect import LMTP
from smtpx.server.run import ServerThread
from smtpx.testing.provider_contract import ProviderContract
from tests.mailer.rig import result_for, subject_of
from tests.server.rig import FAST, Recorder, client_tls, fresh_server_tls, recorders


class TestMemory(ProviderContract):
    memory: MemoryProvider

    async def provider(self) -> Provider:
        self.memory = MemoryProvider()
        return self.memory

    def delivered(self) -> Sequence[str]:
        return [each.subject for each in self.memory.outbox]


class TestConsole(ProviderContract):
    async def provider(self) -> Provider:
        return ConsoleProvider()


class TestFile(ProviderContract):
    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        self.directory = tmp_path / "out"

    async def provider(self) -> Provider:
        return FileProvider(self.directory)

    def delivered(self) -> Sequence[str]:
        return [subject_of(path.read_bytes()) for path in sorted(self.directory.glob("*.eml"))]


class TestSMTP(ProviderContract):
    secrets = ("secret",)
    options: ClassVar[dict[str, Any]] = {}
    sessions: list[Recorder]

    async def provider(self) -> Provider:
        session, self.sessions = recorders()
        self.server = ServerThread(session, port=0, tls=fresh_server_tls(), limits=FAST, hostname="server.example")
        self.server.start()
        return SMTPProvider(
            "localhost", self.server.port, "user", "secret", ssl_context=client_tls(), rate_limit=None, **self.options
        )

    async def clean_up(self) -> None:
        await asyncio.to_thread(self.server.stop)

    def delivered(self) -> Sequence[str]:
        return [subject_of(message.content) for each in self.sessions for message in each.messages]


class TestSMTPWithSeveralConnections(TestSMTP):
    options: ClassVar[dict[str, Any]] = {"max_connections": 3}

    def _check_delivered(self, *numbers: int) -> None:
        """Over several connections they may overtake each other."""
        assert sorted(self.delivered()) == sorted(f"Message {number}" for number in numbers)


class TestLMTP(ProviderContract):
    @pytest.fixture(autouse=True)
    def _path(self, tmp_path: Path) -> None:
        self.path = tmp_path / "lmtp.sock"

    async def provider(self) -> Provider:
        session, self.sessions = recorders()
        self.server = ServerThread(session, unix=str(self.path), dialect=LMTP, limits=FAST)
        self.server.start()
        return SMTPProvider.from_url(f"lmtp+unix://{self.path}", rate_limit=None)

    async def clean_up(self) -> None:
        await asyncio.to_thread(self.server.stop)

    def delivered(self) -> Sequence[str]:
        return [subject_of(message.content) for each in self.sessions for message in each.messages]


class TestFailover(TestMemory):
    async def provider(self) -> Provider:
        broken, self.memory = MemoryProvider(), MemoryProvider()
        broken.fail(ConnectError("nobody there"), times=None)
        return FailoverProvider([broken, self.memory])


class TestRoundRobin(ProviderContract):
    async def provider(self) -> Provider:
        return RoundRobinProvider([MemoryProvider(), MemoryProvider(), MemoryProvider()])


class TestThirtyLines(ProviderContract):
    """The shortest provider there is."""

    async def provider(self) -> Provider:
        class Nowhere(BaseProvider):
            provider_type = "nowhere"

            async def deliver(self, message: Sendable) -> SendResult:
                return result_for(message)

        return Nowhere()


# What it notices ------------------------------------------------------------------------------------------------------


class _Faulty(MemoryProvider):
    """Breaks one rule."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def __repr__(self) -> str:
        return "_Faulty(password='hidden')" if self.fault == "repr" else "_Faulty()"

    @property
    def metadata(self) -> dict[str, Any]:
        return {"token": "hidden"} if self.fault == "metadata" else {}

    async def send(self, message: Sendable) -> SendResult:
        if self.is_closed and self.fault == "closed":
            raise RuntimeError("no connection")
        try:
            result = await super().send(message)
        except ValueError:
            if self.fault == "swallows":
                return SendResult({}, {})
            raise
        return SendResult({}, {}) if self.fault == "forgets" else result

    async def send_bulk(self, messages: Sendables, *, on_outcome: OnOutcome | None = None) -> BulkResult:
        result = await super().send_bulk(messages, on_outcome=None if self.fault == "silent" else on_outcome)
        outcomes = result.outcomes
        if self.fault == "stops" and result.failed:
            outcomes = outcomes[: result.failed[0].index + 1]
        if self.fault == "order":
            outcomes = outcomes[::-1]
        return BulkResult(outcomes)


@pytest.mark.parametrize(
    ("fault", "test"),
    [
        ("closed", "test_closed_it_sends_nothing_and_says_so"),
        ("swallows", "test_a_message_that_cannot_be_sent_raises_and_others_can_be_sent_after_it"),
        ("forgets", "test_one_message_is_sent_and_every_recipient_is_in_the_result"),
        ("silent", "test_bulk_has_one_outcome_for_each_in_order"),
        ("stops", "test_bulk_never_stops_early"),
        ("order", "test_bulk_has_one_outcome_for_each_in_order"),
        ("metadata", "test_listing_tells_its_kind_and_nothing_secret"),
        ("repr", "test_listing_tells_its_kind_and_nothing_secret"),
    ],
)
def test_the_contract_notices(fault: str, test: str) -> None:
    class Contract(ProviderContract):
        secrets = ("hidden",)

        async def provider(self) -> Provider:
            return _Faulty(fault)

    with pytest.raises(AssertionError):
        getattr(Contract(), test)()


def test_without_a_provider_it_says_what_is_missing() -> None:
    with pytest.raises(NotImplementedError, match="give the provider"):
        ProviderContract().test_bulk_of_nothing()
