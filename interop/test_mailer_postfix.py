"""The mail service sends to Postfix, with STARTTLS and AUTH: one by one, many at once, and what Postfix refuses."""

import asyncio
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser

import pytest

from smtpx.errors import AuthenticationError, PermanentRefusal, TLSError
from smtpx.mailer import HealthState, MailService, Probe, SMTPProvider, SyncMailService
from smtpx.message.compose import Message

from .certificates import Certificates
from .children import wait_until
from .postfix import Account, Postfix
from .table import Row

pytestmark = pytest.mark.peer("Postfix", direction="smtpx → Postfix")

_SHOP, _ALICE, _BOB, _NOBODY = "shop@example.test", "alice@example.test", "bob@example.test", "nobody@example.test"


def _letter(subject: str, to: object = _ALICE) -> Message:
    return Message(to=to, subject=subject, text="Grüße\n", html="<p>Grüße")  # type: ignore[arg-type] # addresses


def _arrived(postfix_server: Postfix, name: str, prefix: str) -> list[EmailMessage]:
    parser = BytesParser(policy=policy.default)
    files = sorted((postfix_server.maildir(name).path / "new").glob("*"))
    read = [parser.parsebytes(path.read_bytes()) for path in files]
    return [each for each in read if str(each["Subject"]).startswith(prefix)]  # type: ignore[misc]


def _provider(postfix_server: Postfix, robot: Account, certificates: Certificates, **options: object) -> SMTPProvider:
    login = {"username": robot.user, "password": robot.password, "ca_file": certificates.authority, **options}
    return SMTPProvider(
        "localhost",
        postfix_server.port("submission"),
        from_email=_SHOP,
        rate_limit=None,
        **login,  # type: ignore[arg-type] # a mixture
    )


def test_service(row: Row, postfix_server: Postfix, certificates: Certificates, robot: Account) -> None:
    row.tls, row.auth = "STARTTLS", "best common"

    async def send() -> None:
        async with MailService(_provider(postfix_server, robot, certificates)) as mail:
            assert (await mail.check(Probe.READINESS)).state is HealthState.DEGRADED
            result = await mail.new().to(_ALICE).bcc(_BOB).subject("service ä").html("<p>Grüße").send()
            assert list(result.accepted) == [_ALICE, _BOB]
            assert result.tls is not None
            assert result.tls.verified
            assert result.queue_id
            assert (await mail.check(Probe.READINESS)).state is HealthState.HEALTHY

    asyncio.run(send())
    for name in ("alice", "bob"):
        wait_until(lambda: len(_arrived(postfix_server, name, "service ä")) == 1, timeout_seconds=20)  # noqa: B023
        (got,) = _arrived(postfix_server, name, "service ä")
        assert got["Bcc"] is None
        assert got["From"] == _SHOP
        text = got.get_body(("plain",))
        assert text is not None
        assert "Grüße" in text.get_content()


def test_service_in_bulk(row: Row, postfix_server: Postfix, certificates: Certificates, robot: Account) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    subjects = [f"bulk {number:03}" for number in range(60)]
    with SyncMailService(_provider(postfix_server, robot, certificates)) as mail:
        messages = [_letter(subject) for subject in subjects]
        messages[30] = _letter("bulk 030", _NOBODY)
        result = mail.send_bulk(messages)
    assert [each.index for each in result.failed] == [30]
    assert isinstance(result.failed[0].error, PermanentRefusal)
    del subjects[30]
    wait_until(lambda: len(_arrived(postfix_server, "alice", "bulk ")) >= len(subjects), timeout_seconds=60)
    assert sorted(str(each["Subject"]) for each in _arrived(postfix_server, "alice", "bulk ")) == subjects


def test_service_when_postfix_says_no(
    row: Row, postfix_server: Postfix, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", "best common"

    async def send() -> None:
        async with _provider(postfix_server, robot, certificates) as provider:
            result = await provider.send(_letter("partly", [_ALICE, _NOBODY]))
            assert list(result.accepted) == [_ALICE]
            assert isinstance(result.refused[_NOBODY], PermanentRefusal)
        async with _provider(postfix_server, robot, certificates, password="wrong") as provider:
            with pytest.raises(AuthenticationError):
                await provider.send(_letter("never"))
        async with _provider(postfix_server, robot, certificates, ca_file=None) as provider:
            with pytest.raises(TLSError) as caught:
                await provider.send(_letter("never"))
            assert caught.value.is_certificate

    asyncio.run(send())
    wait_until(lambda: len(_arrived(postfix_server, "alice", "partly")) == 1, timeout_seconds=20)
    assert _arrived(postfix_server, "alice", "never") == []
