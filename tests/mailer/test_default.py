"""One service for the process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from smtpx.errors import ConfigurationError
from smtpx.mailer.default import configure, get_service, get_sync_service, reset
from smtpx.mailer.local import FileProvider, MemoryProvider
from smtpx.mailer.settings import MailerSettings
from smtpx.message.compose import MessageError
from tests.mailer.rig import letter


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("SMTPX_URL", raising=False)
    reset()
    yield
    reset()


async def test_one_service_until_it_is_closed() -> None:
    memory = MemoryProvider()
    configure(memory, owned=False, max_recipients=1)
    service = get_service()
    assert get_service() is service
    await service.send(letter())
    with pytest.raises(MessageError):
        await service.send(letter(to=["a@b.example", "c@d.example"]))
    await service.close()
    assert get_service() is not service
    await get_service().send(letter())
    assert len(memory.outbox) == 2


def test_the_blocking_one() -> None:
    memory = MemoryProvider()
    configure({"a": memory})
    with get_sync_service() as mail:
        assert get_sync_service() is mail
        mail.send(letter())
    assert len(memory.outbox) == 1


async def test_of_a_url_each_makes_its_own(tmp_path: Path) -> None:
    configure(f"file://{tmp_path}/out")
    assert get_service().provider() is not get_sync_service().provider()
    assert isinstance(get_service().provider(), FileProvider)
    with pytest.raises(ConfigurationError, match="scheme"):
        configure("mail.example")


async def test_of_settings() -> None:
    configure(MailerSettings(url="memory:", from_email="a@b.example", max_recipients=1))
    with pytest.raises(MessageError):
        await get_service().send(letter(to=["a@b.example", "c@d.example"]))
    with pytest.raises(ConfigurationError):
        configure(MailerSettings(url="nothing:"))


async def test_not_configured_it_is_made_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="SMTPX_URL is missing"):
        get_service()
    monkeypatch.setenv("SMTPX_URL", "memory:")
    monkeypatch.setenv("SMTPX_FROM", "a@b.example")
    await get_service().send(letter(from_=()))
    provider = get_service().provider()
    assert isinstance(provider, MemoryProvider)
    assert provider.outbox[0].sender == "a@b.example"
