"""The mail service sends to Postfix, with STARTTLS and AUTH: one by one, many at once, and what Postfix refuses."""

import asyncio
from collections.abc import Callable, Sequence
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser

import pytest

from smtpx.client.stamp import new_id, now_here
from smtpx.dkim import Key, Signer, verify
from smtpx.errors import AuthenticationError, PermanentRefusal, SMTPXError, TLSError
from smtpx.flows.session import Security
from smtpx.mailer import BulkResult, HealthState, MailService, Probe, SMTPProvider, SyncMailService
from smtpx.message.attachments import Attachment
from smtpx.message.compose import Message
from smtpx.message.sendable import Sendable

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


# Octet by octet -------------------------------------------------------------------------------------------------------

_TRACE = {"return-path", "delivered-to", "x-original-to", "received"}
_BLOB = bytes(range(256)) * 2000


def _stamped(subject: str, **fields: object) -> Message:
    """A message of which it is known what it will be."""
    message = _letter(subject).with_(from_=_SHOP, **fields)  # type: ignore[arg-type] # fields of a Message
    return message.stamped(now_here, new_id)


def _octets(message: Sendable) -> bytes:
    return b"".join(message.octets(eight_bit=True, utf8=False))


def _stored(postfix_server: Postfix, name: str, message: Sendable) -> list[bytes]:
    """What was stored of it, without the trace headers, and with the line ends of mail; [] if it is not there."""
    mark = (message.message_id or "?").encode()
    found = list[bytes]()
    for path in (postfix_server.maildir(name).path / "new").glob("*"):
        octets = path.read_bytes().replace(b"\n", b"\r\n")
        header = octets.partition(b"\r\n\r\n")[0]
        if b"Message-ID: " + mark not in header:
            continue
        lines = octets.splitlines(keepends=True)
        while lines[0][:1] in b" \t" or lines[0].partition(b":")[0].decode().lower() in _TRACE:
            lines.pop(0)
        found.append(b"".join(lines))
    return found


def _expect_stored(postfix_server: Postfix, messages: Sequence[Sendable], name: str = "alice") -> None:
    for message in messages:
        wait_until(lambda: _stored(postfix_server, name, message) != [], timeout_seconds=60)  # noqa: B023
        assert _stored(postfix_server, name, message) == [_octets(message)]


def _send_async(provider: SMTPProvider, messages: Sequence[Sendable]) -> BulkResult:
    async def send() -> BulkResult:
        async with MailService(provider) as mail:
            return await mail.send_bulk(messages)

    return asyncio.run(send())


def _send_sync(provider: SMTPProvider, messages: Sequence[Sendable]) -> BulkResult:
    with SyncMailService(provider) as mail:
        return mail.send_bulk(messages)


def _send_each(provider: SMTPProvider, messages: Sequence[Sendable]) -> BulkResult:
    with SyncMailService(provider) as mail:
        for message in messages:
            assert mail.send(message).accepted
    return BulkResult()


faces = pytest.mark.parametrize("send", [_send_async, _send_sync, _send_each])
Send = Callable[[SMTPProvider, Sequence[Sendable]], BulkResult]


@faces
def test_messages_arrive_octet_by_octet(
    row: Row, postfix_server: Postfix, certificates: Certificates, robot: Account, send: Send
) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    logo = Attachment(b"\x89PNG\r\n\x1a\n" + _BLOB, name="logo.png")
    messages = [
        _stamped("octets: plain", html=None, text=".\n..\n.a\nFrom me\n trailing \n" + "x" * 5000 + "\n"),
        _stamped("octets: Grüße, 日本語, привет 🎉 " * 5, to=("Jürgen, Käthe", _ALICE)),
        _stamped("octets: 8bit", html=None, text="Grüße\n" * 50, encoding="8bit"),
        _stamped(
            "octets: parts",
            html='<p>Look: <img src="cid:logo">',
            inline={"logo": logo},
            attachments=[Attachment(_BLOB, name="Übersicht 2026.bin"), Attachment.of_text("a;b\n", name="t.csv")],
            list_unsubscribe="https://shop.example/u",
            one_click=True,
        ),
    ]
    result = send(_provider(postfix_server, robot, certificates), messages)
    assert not result.failed
    _expect_stored(postfix_server, messages)


@faces
@pytest.mark.parametrize("algorithm", ["rsa", "ed25519"])
def test_signatures_hold_behind_the_delivery(
    row: Row, postfix_server: Postfix, certificates: Certificates, robot: Account, send: Send, algorithm: str
) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    key = Key.generate(algorithm)  # type: ignore[arg-type] # one of them
    signer = Signer("example.test", "mail", key)
    messages = [signer.sign(_stamped(f"signed {number} ä", attachments=[Attachment(_BLOB)])) for number in range(3)]
    assert not send(_provider(postfix_server, robot, certificates), messages).failed
    _expect_stored(postfix_server, messages)
    for message in messages:
        (stored,) = _stored(postfix_server, "alice", message)
        (found,) = verify(stored, lambda name: key.dns_record())
        assert found.is_pass, found
        (changed,) = verify(stored.replace(b"signed", b"forged"), lambda name: key.dns_record())
        assert not changed.is_pass


@pytest.mark.parametrize("send", [_send_async, _send_sync])
def test_some_hundreds(
    row: Row, postfix_server: Postfix, certificates: Certificates, robot: Account, send: Send
) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    messages = [_stamped(f"hundreds {number:03}", text=f"{number}\n" * number) for number in range(300)]
    result = send(_provider(postfix_server, robot, certificates, max_connections=3), messages)
    assert [each.index for each in result.succeeded] == list(range(300))
    wait_until(lambda: len(_arrived(postfix_server, "alice", "hundreds ")) >= 300, timeout_seconds=90)
    stored = {path.read_bytes() for path in (postfix_server.maildir("alice").path / "new").glob("*")}
    for message in messages:
        octets = _octets(message).replace(b"\r\n", b"\n")
        assert sum(each.endswith(b"\n" + octets) for each in stored if (message.message_id or "").encode() in each) == 1


# What is asked of Postfix, and what it says ---------------------------------------------------------------------------


def test_delivery_is_reported(row: Row, postfix_server: Postfix, certificates: Certificates, robot: Account) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    message = _stamped(
        "reported", to=_BOB, envelope_from=_ALICE, notify=["SUCCESS", "FAILURE"], ret="HDRS", envid="order-4711"
    )
    assert not _send_sync(_provider(postfix_server, robot, certificates), [message]).failed
    _expect_stored(postfix_server, [message], "bob")

    def reports() -> list[bytes]:
        files = (postfix_server.maildir("alice").path / "new").glob("*")
        return [each for each in (path.read_bytes() for path in files) if b"order-4711" in each]

    wait_until(lambda: reports() != [], timeout_seconds=30)
    (report,) = reports()
    assert b"\nAction: delivered\n" in report
    assert b"\nOriginal-Envelope-Id: order-4711\n" in report
    assert b"\nContent-Type: text/rfc822-headers" in report or b"text/rfc822-headers" in report


@pytest.mark.parametrize(("listener", "said"), [("narrow", "takes 50000"), ("narrow-silent", "552 5.3.4")])
@pytest.mark.parametrize("send", [_send_async, _send_sync])
def test_what_is_too_big_or_for_nobody_is_for_good_and_stops_nothing(
    row: Row, postfix_server: Postfix, send: Send, listener: str, said: str
) -> None:
    row.tls, row.auth = "none", "none"
    provider = SMTPProvider(
        "127.0.0.1", postfix_server.port(listener), security=Security.NONE, from_email=_SHOP, rate_limit=None
    )
    big = _stamped("narrow big", attachments=[Attachment(_BLOB)])
    messages = [_stamped("narrow 0"), big, _stamped("narrow 2", to=_NOBODY), _stamped("narrow 3")]
    result = send(provider, messages)
    assert [each.index for each in result.failed] == [1, 2]
    for each in result.failed:
        assert isinstance(each.error, SMTPXError)
        assert not each.error.is_temporary
        assert not each.is_unknown
    assert said in str(result.failed[0].error)
    _expect_stored(postfix_server, [messages[0], messages[3]])
    assert _stored(postfix_server, "alice", big) == []


def test_a_wrong_password_is_for_good_in_bulk_and_without_await(
    row: Row, postfix_server: Postfix, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", "wrong"
    with SyncMailService(_provider(postfix_server, robot, certificates, password="wrong")) as mail:
        with pytest.raises(AuthenticationError) as caught:
            mail.send(_letter("never"))
        assert not caught.value.is_temporary
        result = mail.send_bulk([_letter("never") for _ in range(3)])
    assert [type(each.error) for each in result.outcomes] == [AuthenticationError] * 3
    assert _arrived(postfix_server, "alice", "never") == []
