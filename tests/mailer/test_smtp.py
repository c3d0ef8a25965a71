"""The provider for SMTP servers: on real sockets, with STARTTLS and AUTH, and against servers that misbehave."""

import asyncio
import email
import email.policy
import gc
import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from smtpx.client.observer import ClientObserver, MessageObserver
from smtpx.client.settings import ClientSettings, Limits, settings_for
from smtpx.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    DeadlineError,
    LocalProtocolError,
    PermanentRefusal,
    TemporaryRefusal,
    TLSError,
    TransportError,
    UnsupportedError,
)
from smtpx.flows.outcome import SendResult
from smtpx.flows.session import Security
from smtpx.mailer.observer import MailObserver
from smtpx.mailer.provider import HealthState, NotTriedError, Probe, ProviderClosedError
from smtpx.mailer.rate_limit import RateLimit
from smtpx.mailer.service import MailService
from smtpx.mailer.smtp import SMTPProvider
from smtpx.message.attachments import Attachment
from smtpx.message.compose import Message
from smtpx.net.targets import Target
from smtpx.protocol.dialect import LMTP
from smtpx.server.body import Body
from smtpx.server.session import Reject
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from tests.certificates import Authority, server_context
from tests.mailer.rig import DROP, FROM, STALL, TO, FakeServer, Note, faking, letter, letters, office, subject_of
from tests.server.rig import Recorder, client_tls, eventually

# Construction ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"host": ""}, "host"),
        ({"host": "a b"}, "host"),
        ({"host": "user@mail.example"}, "host"),
        ({"host": "::zz"}, "host"),
        ({"port": 0}, "port"),
        ({"port": -1}, "port"),
        ({"port": 65536}, "port"),
        ({"port": "587"}, "port"),
        ({"port": True}, "port"),
        ({"username": "user"}, "password"),
        ({"password": "secret"}, "username"),
        ({"from_email": "nobody"}, "from_email"),
        ({"from_email": "a@b.example, c@d.example"}, "from_email"),
        ({"max_connections": 0}, "max_connections"),
        ({"probe": "often"}, "probe"),
        ({"check_seconds": 0}, "check_seconds"),
        ({"check_cache_seconds": -1}, "check_cache_seconds"),
        ({"close_seconds": -1}, "close_seconds"),
        ({"timeout": 0}, "timeout"),
        ({"ratelimit": None}, "ratelimit"),
    ],
)
def test_constructor_names_what_is_wrong_and_shows_no_secret(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named) as caught:
        SMTPProvider(arguments.pop("host", "mail.example"), **arguments)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("port", [1, 587, 65535])
def test_constructor_valid_and_nothing_is_dialled(port: int) -> None:
    provider = SMTPProvider("mail.invalid", port)
    assert provider.settings.target == Target("mail.invalid", port)
    assert provider.settings.security is Security.STARTTLS
    assert provider.settings.auth is None
    assert provider.settings.limits.max_connections == 1
    assert provider.rate_limit is not None
    assert (provider.rate_limit.per_second, provider.rate_limit.burst) == (10, 20)


def test_type_name_metadata_and_bulk_support() -> None:
    provider = SMTPProvider("mail.example", 25, "user", "top-secret", "Shop <a@b.example>", max_connections=3)
    assert provider.provider_type == "smtp"
    assert provider.name == "EmailProvider (SMTP)"
    assert provider.metadata == {
        "host": "mail.example",
        "port": 25,
        "from_email": "Shop <a@b.example>",
        "security": "starttls",
    }
    assert not provider.supports_bulk_sending
    assert provider.settings.limits.max_connections == 3
    assert "top-secret" not in repr(provider) + repr(provider.settings) + repr(provider.metadata)


def test_defaults_are_not_shared_and_given_ones_are() -> None:
    one, other = SMTPProvider("a.example"), SMTPProvider("a.example")
    assert one.rate_limit is not other.rate_limit
    shared = RateLimit(1, 1)
    assert SMTPProvider("a.example", rate_limit=shared).rate_limit is shared
    assert SMTPProvider("a.example", rate_limit=None).rate_limit is None


@pytest.mark.parametrize("host", ["[::1]", "::1"])
def test_ipv6_with_and_without_brackets(host: str) -> None:
    assert SMTPProvider(host).settings.target == Target("::1", 587)


def test_from_url_and_from_settings() -> None:
    provider = SMTPProvider.from_url("submissions://user:secret@mail.example", from_email="a@b.example", strict=True)
    assert provider.settings.security is Security.IMPLICIT
    assert provider.settings.limits.max_connections == 1
    assert provider.conduct.strict
    assert provider.from_email == "a@b.example"
    assert SMTPProvider.from_url("smtp://a.example?max_connections=4").settings.limits.max_connections == 4
    assert SMTPProvider.from_url("smtp://a.example", limits=Limits()).settings.limits.max_connections == 10
    assert SMTPProvider.from_url("submission://user@a.example", password="secret").settings.auth is not None
    assert SMTPProvider.from_url("submission://a.example", username="u", token="t").settings.auth is not None
    settings = settings_for("smtp://a.example", max_connections=7)
    assert SMTPProvider.from_url(settings).settings == settings
    assert SMTPProvider("a.example", 587, "user", token="t").settings.auth is not None
    unix = SMTPProvider.from_url("lmtp+unix:///run/x.sock")
    assert unix.provider_type == "lmtp"
    assert unix.name == "EmailProvider (LMTP)"
    assert unix.metadata["path"] == "/run/x.sock"
    assert isinstance(unix.settings, ClientSettings)


# Sending --------------------------------------------------------------------------------------------------------------


async def test_p18_mail_is_sent_with_starttls_and_auth_over_one_connection() -> None:
    async with office() as post, post.provider(from_email=FROM) as provider:
        for number in range(3):
            result = await provider.send(letter(number, from_=()))
            assert result.accepted
            assert result.tls is not None
            assert result.tls.verified
        assert len(post.sessions) == 1
        assert post.subjects == ["Letter 0", "Letter 1", "Letter 2"]
        first = post.messages[0]
        assert (first.sender, first.recipients) == (FROM, (TO,))
        assert (first.identity, first.tls) == ("user", True)
        assert b"\r\nDate: " in b"\r\n" + first.content
        assert b"\r\nMessage-ID: <" in first.content


async def test_nothing_is_dialled_before_the_first_message_and_an_empty_list_does_not_dial() -> None:
    async with office() as post, post.provider() as provider:
        assert (await provider.send_bulk([])).outcomes == ()
        assert (await provider.check(Probe.READINESS)).state is HealthState.DEGRADED
        assert post.sessions == []
        await provider.send(letter())
        assert len(post.sessions) == 1


async def test_no_credentials_mean_no_auth_even_where_none_is_offered() -> None:
    async with faking() as server, server.provider() as provider:
        assert (await provider.send(letter())).accepted
        assert not any(line.startswith("AUTH") for line in server.lines)


async def test_starttls_that_is_not_offered_and_certificates_that_are_not_good_end_it(tmp_path: Path) -> None:
    async with faking() as server, server.provider(security=Security.STARTTLS) as provider:
        with pytest.raises(UnsupportedError, match="STARTTLS"):
            await provider.send(letter())
        assert server.messages == []
    authority = Authority()
    context = server_context(authority.faulty()["expired"], tmp_path)
    async with office(tls=context) as post:
        trusting = post.provider(ssl_context=None, ca_file=authority.trust(tmp_path))
        with pytest.raises(TLSError) as caught:
            await trusting.send(letter())
        assert caught.value.is_certificate
        assert not caught.value.is_temporary
        assert post.messages == []
        await trusting.close()


async def test_wrong_password() -> None:
    async with office() as post, post.provider(password="wrong") as provider:
        with pytest.raises(AuthenticationError) as caught:
            await provider.send(letter())
        assert not caught.value.is_temporary
        assert "wrong" not in str(caught.value)
        result = await provider.send_bulk(letters(5))
        assert [type(each.error) for each in result.outcomes] == [AuthenticationError] * 5


async def test_opportunistic_and_plain_are_explicit_choices() -> None:
    async with faking() as server:
        for security in (Security.OPPORTUNISTIC, Security.NONE):
            async with server.provider(security=security) as provider:
                assert (await provider.send(letter())).tls is None
        assert len(server.messages) == 2


async def test_lmtp_and_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "lmtp.sock")
    async with (
        office(dialect=LMTP, unix=path, tls=None) as post,
        SMTPProvider.from_url(f"lmtp+unix://{path}", rate_limit=None) as provider,
    ):
        result = await provider.send(letter(to=[TO, "b@home.example"]))
        assert len(result.verdicts) == 2
        assert post.messages[0].recipients == (TO, "b@home.example")
        assert (await provider.check(Probe.READINESS)).state is HealthState.HEALTHY


async def test_default_sender_only_where_there_is_none() -> None:
    async with office() as post, post.provider(from_email="Shop <default@shop.example>") as provider:
        await provider.send(letter(from_=()))
        await provider.send(letter())
        await provider.send(Note())
        assert [each.sender for each in post.messages] == ["default@shop.example", FROM, FROM]
        assert b"From: Shop <default@shop.example>\r\n" in post.messages[0].content


async def test_built_and_checked_before_a_token_is_taken() -> None:
    async with office() as post, post.provider(rate_limit=RateLimit(0.001, 1)) as provider:
        with pytest.raises(LocalProtocolError, match="From"):
            await provider.send(letter(from_=()))
        with pytest.raises(ValueError, match="no recipients"):
            await provider.send(Note(recipients=()))
        with pytest.raises(LocalProtocolError, match="posting"):
            await provider.send(b"octets")  # type: ignore[arg-type]
        with pytest.raises(LocalProtocolError, match=r"stands alone|bare"):
            await provider.send(Note(text=b"Subject: x\n\nbare\n"))  # only the client sees that: the token comes back
        result = await provider.send_bulk([Note(text=b"a\nb")])
        assert isinstance(result.outcomes[0].error, LocalProtocolError)
        async with asyncio.timeout(2):
            assert (await provider.send(letter())).accepted
        assert len(post.messages) == 1


async def test_the_rate_limit_holds_and_waiting_can_be_cancelled() -> None:
    async with office() as post, post.provider(rate_limit=RateLimit(0.001, 2)) as provider:
        await provider.send(letter(0))
        await provider.send(letter(1))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await provider.send(letter(2))
        assert post.subjects == ["Letter 0", "Letter 1"]


async def test_strict_and_smtputf8_are_passed_on() -> None:
    class Picky(Recorder):
        async def rcpt(self, recipient: Mailbox, params: Params) -> None:
            if recipient.local_part == "bad":
                raise Reject.mailbox_unavailable()
            await super().rcpt(recipient, params)

    both = letter(to=[TO, "bad@home.example"])
    async with office(Picky) as post:
        async with post.provider(strict=True) as provider:
            with pytest.raises(PermanentRefusal):
                await provider.send(both)
            assert (await provider.send_bulk([both])).failed
            assert post.messages == []
        async with post.provider(smtputf8=True) as provider:
            await provider.send(letter())
            assert any("SMTPUTF8" in call or call == "mail" for call in post.sessions[-1].calls)
    async with faking() as server, server.provider(smtputf8=True) as provider:
        with pytest.raises(UnsupportedError, match="SMTPUTF8"):
            await provider.send(letter())


async def test_reconnects_when_the_connection_died_in_between_and_sends_once() -> None:
    dropped: list[bytes | None] = [b"250 done\r\n", b"250 done\r\n"]
    async with faking(BODY=dropped, MAIL=[b"250 ok\r\n", b"421 idle too long\r\n"]) as server:
        async with server.provider() as provider:
            for number in range(3):
                assert (await provider.send(letter(number))).accepted
        assert [subject_of(each) for each in server.messages] == ["Letter 0", "Letter 1", "Letter 2"]
        assert server.connections == 2


async def test_one_loop_at_a_time() -> None:
    async with office() as post:
        provider = post.provider()
        await provider.send(letter())

        async def elsewhere() -> None:
            with pytest.raises(LocalProtocolError, match="another event loop"):
                await provider.send(letter())
            health = await provider.check(Probe.READINESS)
            assert health.state is HealthState.DEGRADED
            with pytest.raises(LocalProtocolError, match="another event loop"):
                await provider.close()
            result = await MailService(provider, owned=False).send_bulk([letter()])
            assert isinstance(result.outcomes[0].error, NotTriedError)
            assert isinstance(result.outcomes[0].error.__cause__, LocalProtocolError)

        await asyncio.to_thread(lambda: asyncio.run(elsewhere()))
        assert len(post.messages) == 1
        assert (await provider.send(letter())).accepted
        await provider.close()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # of the loop that was closed over them
def test_a_loop_that_is_gone_is_replaced() -> None:
    from smtpx.server.run import ServerThread
    from tests.server.rig import FAST, fresh_server_tls, recorders

    session, made = recorders()
    with ServerThread(session, port=0, tls=fresh_server_tls(), limits=FAST) as server:
        provider = SMTPProvider("localhost", server.port, "user", "secret", ssl_context=client_tls())

        async def twice(*, close: bool) -> None:
            await provider.send(letter())
            await provider.send(letter())
            if close:
                await provider.close()

        asyncio.run(twice(close=False))
        asyncio.run(twice(close=True))
        asyncio.run(provider.close())
        assert [len(each.messages) for each in made] == [2, 2]
    gc.collect()


# Bulk -----------------------------------------------------------------------------------------------------------------


async def test_bulk_in_order_each_outcome_and_progress() -> None:
    async with office() as post, post.provider() as provider:
        told: list[int] = []
        messages = letters(30)
        result = await provider.send_bulk(messages, on_outcome=lambda outcome: told.append(outcome.index))
        assert [each.index for each in result.outcomes] == told == list(range(30))
        assert [each.message for each in result.outcomes] == messages
        assert not result.failed
        assert post.subjects == [f"Letter {number}" for number in range(30)]
        assert len(post.sessions) == 1


async def test_bulk_never_stops_early_and_takes_iterators_of_both_kinds() -> None:
    class Picky(Recorder):
        async def rcpt(self, recipient: Mailbox, params: Params) -> None:
            number = int(recipient.local_part)
            if number % 3 == 0:
                raise Reject.mailbox_unavailable()
            if number % 3 == 1:
                raise Reject.mailbox_full()
            await super().rcpt(recipient, params)

    async def source() -> AsyncIterator[Message]:
        for number in range(12):
            yield letter(number, to=f"{number}@home.example")

    async with office(Picky) as post, post.provider() as provider:
        for messages in (source(), (letter(number, to=f"{number}@home.example") for number in range(12))):
            result = await provider.send_bulk(messages)
            kinds = [type(each.error) for each in result.outcomes]
            assert kinds == [PermanentRefusal, TemporaryRefusal, type(None)] * 4
            assert len(result.succeeded) == 4
        assert len(post.messages) == 8


async def test_p14_those_that_cant_be_built_are_reported_by_index_and_the_others_sent() -> None:
    bad: list[Any] = [None, Note(recipients=()), letter(from_=())]
    messages = [bad[0], letter(1), bad[1], letter(3), bad[2]]
    async with office() as post, post.provider() as provider:
        told: list[int] = []
        result = await provider.send_bulk(messages, on_outcome=lambda outcome: told.append(outcome.index))
        assert [each.index for each in result.failed] == [0, 2, 4]
        assert [each.message for each in result.outcomes] == messages
        assert told == [0, 1, 2, 3, 4]
        assert post.subjects == ["Letter 1", "Letter 3"]


async def test_what_the_source_raises_comes_behind_the_outcomes_of_all_it_gave() -> None:
    def source() -> Iterator[Message]:
        yield letter(0)
        raise RuntimeError("the database went away")

    told: list[int] = []
    async with office() as post, post.provider() as provider:
        with pytest.raises(RuntimeError, match="database"):
            await provider.send_bulk(source(), on_outcome=lambda outcome: told.append(outcome.index))
        assert told == [0]
        assert len(post.messages) == 1


async def test_bulk_takes_a_token_for_each_message() -> None:
    async with office() as post, post.provider(rate_limit=RateLimit(0.001, 3)) as provider:
        told: list[Any] = []
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await provider.send_bulk(letters(6), on_outcome=told.append)
        assert post.subjects == ["Letter 0", "Letter 1", "Letter 2"]
        assert [each.error is None for each in told] == [True] * 3 + [False] * 3
        assert all(isinstance(each.error, NotTriedError) for each in told[3:])


async def test_cancelled_in_bulk_what_is_under_way_is_unknown_and_the_rest_not_tried() -> None:
    async with faking(BODY=[b"250 done\r\n", STALL]) as server, server.provider() as provider:
        told: list[Any] = []
        sending = asyncio.create_task(provider.send_bulk(letters(20), on_outcome=told.append))
        await eventually(lambda: len(server.messages) == 2)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert [each.index for each in told] == list(range(20))
        assert told[0].error is None
        assert told[1].is_unknown
        assert isinstance(told[19].error, NotTriedError)
        assert not told[19].is_unknown
        assert len(server.messages) == 2


# Piko's defects -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "error", "temporary"),
    [
        ({"RCPT": b"550 5.1.1 no\r\n"}, PermanentRefusal, False),
        ({"RCPT": b"451 4.7.1 greylisted, come back\r\n"}, TemporaryRefusal, True),
        ({"MAIL": b"421 4.3.2 going down\r\n"}, TemporaryRefusal, True),
        ({"GREETING": b"554 no service\r\n"}, PermanentRefusal, False),
        ({"BODY": b"451 4.3.0 try again\r\n"}, TemporaryRefusal, True),
        ({"BODY": b"554 5.6.0 spam, as 421 or 500 would not be\r\n"}, PermanentRefusal, False),
        ({"MAIL": STALL}, DeadlineError, True),
        ({"MAIL": DROP}, ConnectionLost, True),
    ],
)
async def test_p01_every_error_is_classified_and_nothing_is_repeated(
    answers: dict[str, Any], error: type[Exception], temporary: bool
) -> None:
    async with faking(**answers) as server, server.provider(timeout=0.5) as provider:
        with pytest.raises(error) as caught:
            await provider.send(letter())
        assert caught.value.is_temporary is temporary  # type: ignore[attr-defined]
        assert server.connections == 1
        assert sum(line.startswith("MAIL") for line in server.lines) <= 1


async def test_p01_a_refused_connection_is_temporary() -> None:
    async with faking() as server:
        pass
    async with server.provider() as provider:
        with pytest.raises(ConnectError) as caught:
            await provider.send(letter())
        assert caught.value.is_temporary


@pytest.mark.parametrize("where", ["MAIL", "DATA", "BODY"])
async def test_p03_a_stalling_server_can_be_left_by_cancelling_and_by_the_deadline(where: str) -> None:
    async with faking(**{where: STALL}) as server:
        async with server.provider(timeout=0.2) as provider:
            async with asyncio.timeout(1.2):
                with pytest.raises(DeadlineError) as caught:
                    await provider.send(letter())
            assert (caught.value.stage == "final") is (where == "BODY")
        async with server.provider() as provider:
            sending = asyncio.create_task(provider.send(letter()))
            await eventually(lambda: any(line.startswith("MAIL") for line in server.lines) or not server.lines)
            await asyncio.sleep(0.05)
            sending.cancel()
            async with asyncio.timeout(1):
                with pytest.raises(asyncio.CancelledError):
                    await sending


async def test_p03_a_server_that_does_not_read_the_body() -> None:
    over = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x\r\n")
        for reply in (b"250 x\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            await reader.readline()
            writer.write(reply)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await over.wait()
        writer.transport.abort()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1024)
    port = server.sockets[0].getsockname()[1]
    provider = SMTPProvider("127.0.0.1", port, security=Security.NONE, timeout=0.3, rate_limit=None)
    big = Note(text=b"Subject: big\r\n\r\n" + (b"y" * 76 + b"\r\n") * 400_000)
    async with asyncio.timeout(2):
        with pytest.raises(DeadlineError):
            await provider.send(big)
    await provider.close()
    over.set()
    server.close()
    await asyncio.sleep(0.05)


async def test_p04_fifty_tasks_and_one_connection_give_fifty_whole_messages() -> None:
    body = os.urandom(700_000).hex()[: 1 << 20]
    lines = "\r\n".join(body[start : start + 76] for start in range(0, len(body), 76)) + "\r\n"
    async with office() as post, post.provider() as provider:
        notes = [Note(text=f"Subject: {number}\r\n\r\n{lines}".encode()) for number in range(50)]
        await asyncio.gather(*(provider.send(note) for note in notes))
        assert sorted(each.content for each in post.messages) == sorted(note.text for note in notes)
        assert len(post.sessions) == 1
        calls = " ".join(post.sessions[0].calls)
        assert re.fullmatch(r"connect authenticate( mail rcpt data( reset)?){50}", calls), calls[:200]


class _Counting(ClientObserver):
    def __init__(self) -> None:
        self.counted: list[tuple[bool, str]] = []

    def message_started(self, target: Target, *, bulk: bool) -> MessageObserver:
        counted = self.counted

        class One(MessageObserver):
            def ended(self, result: SendResult | None, error: BaseException | None) -> None:
                counted.append((bulk, "success" if error is None else "error"))

        return One()


async def test_p05_each_message_of_a_bulk_counts_once() -> None:
    watching = _Counting()
    async with office() as post, post.provider(observer=watching) as provider:
        await provider.send_bulk(letters(3))
        assert watching.counted == [(True, "success")] * 3
        await provider.send(letter())
        assert watching.counted[3:] == [(False, "success")]


async def test_p06_the_type_of_an_attachment_is_the_one_that_was_given() -> None:
    async with office() as post, post.provider() as provider:
        await provider.send(letter(attachments=[Attachment(b"\x00\x01", name="data.bin", type="application/x-thing")]))
        read = email.message_from_bytes(post.messages[0].content, policy=email.policy.default)
        (part,) = read.iter_attachments()
        assert part.get_content_type() == "application/x-thing"
        assert part.get_filename() == "data.bin"


async def test_p07_bcc_only_is_fine_and_the_case_of_a_domain_makes_no_second_recipient() -> None:
    async with office() as post, post.provider() as provider:
        await provider.send(letter(to=(), bcc=["a@home.example", "a@HOME.example", "A@home.example"]))
        assert post.messages[0].recipients == ("a@home.example", "A@home.example")
        assert b"Bcc" not in post.messages[0].content


async def test_p11_no_bcc_no_injection_no_made_up_sender() -> None:
    async with office() as post, post.provider() as provider:
        await provider.send(letter(bcc="hidden@home.example"))
        assert b"hidden" not in post.messages[0].content
        assert post.messages[0].recipients == (TO, "hidden@home.example")
        injected: list[dict[str, Any]] = [
            {"subject": "a\r\nBcc: b@c.example"},
            {"to": "a@b.example\r\n"},
            {"headers": {"X-A": "b\r\nC: d"}},
        ]
        for field in injected:
            with pytest.raises(LocalProtocolError):
                letter(**field)
        with pytest.raises(ValueError, match="control"):
            Attachment(b"", name="a\r\nb")
        with pytest.raises(LocalProtocolError, match="From"):
            await provider.send(Message(to=TO, text="hi"))
        assert b"@shop.example>\r\n" in next(
            line + b"\r\n" for line in post.messages[0].content.split(b"\r\n") if line.startswith(b"Message-ID")
        )


async def test_p17_a_server_that_died_is_unhealthy_within_the_deadline() -> None:
    async with faking() as server:
        provider = server.provider(check_seconds=0.5, check_cache_seconds=0)
        await provider.send(letter())
        assert (await provider.check(Probe.READINESS)).state is HealthState.HEALTHY
    async with asyncio.timeout(2):
        health = await provider.check(Probe.READINESS)
    assert health.state is HealthState.UNHEALTHY
    assert not health.is_ok
    assert "127.0.0.1" in health.message
    await provider.close()


# Those of go-mail -----------------------------------------------------------------------------------------------------


async def test_g01_one_refused_recipient_does_not_stop_the_others() -> None:
    async with faking(RCPT=[b"550 5.1.1 no\r\n"]) as server, server.provider() as provider:
        result = await provider.send(letter(to=["bad@home.example", TO]))
        assert list(result.accepted) == [TO]
        assert list(result.refused) == ["bad@home.example"]
        assert len(server.messages) == 1


@pytest.mark.parametrize("answer", [b"500 what?\r\n", b"421 bye\r\n", DROP])
async def test_g02_trouble_with_rset_behind_the_message_is_no_failure(answer: bytes | None) -> None:
    async with faking(RSET=answer, NOOP=answer) as server, server.provider() as provider:
        for number in range(2):
            assert (await provider.send(letter(number))).accepted
        assert [subject_of(each) for each in server.messages] == ["Letter 0", "Letter 1"]
        assert "RSET" not in server.lines  # behind a message that was taken nothing is left to forget
        server.answers["RCPT"] = [b"550 no\r\n"]
        with pytest.raises(PermanentRefusal):
            await provider.send(letter(2))
        assert (await provider.send(letter(3))).accepted
        assert "RSET" in server.lines
        assert [subject_of(each) for each in server.messages[2:]] == ["Letter 3"]


@pytest.mark.parametrize(("rounds", "begins"), [(0, False), (1, True)])  # looked through, then on the wire
async def test_g03_a_body_that_breaks_off_is_never_delivered(rounds: int, begins: bool) -> None:
    left = rounds

    class Breaking(Note):
        def octets(self, *, eight_bit: bool, utf8: bool) -> Iterator[bytes]:
            nonlocal left
            yield b"Subject: x\r\n\r\n"
            yield b"half of it\r\n" * 200_000
            left -= 1
            if left < 0:
                raise ValueError("the disk is gone")

    async with faking() as server, server.provider() as provider:
        with pytest.raises(ValueError, match="disk"):
            await provider.send(Breaking())
        assert ("DATA" in server.lines) is begins
        assert (await provider.send(letter())).accepted
        assert len(server.messages) == 1


@pytest.mark.parametrize("order", [0, 1])
async def test_g04_each_recipient_has_its_own_class(order: int) -> None:
    replies = [b"450 4.2.0 busy\r\n", b"550 5.1.1 no\r\n"]
    answers = replies if order == 0 else replies[::-1]
    async with faking(RCPT=list(answers)) as server, server.provider() as provider:
        with pytest.raises(TemporaryRefusal) as caught:
            await provider.send(letter(to=["a@home.example", "b@home.example"]))
        kinds = [type(each) for each in caught.value.refusals.values()]
        assert kinds == ([TemporaryRefusal, PermanentRefusal] if order == 0 else [PermanentRefusal, TemporaryRefusal])
        assert server.messages == []
    async with faking(RCPT=b"550\r\n") as server, server.provider() as provider:
        with pytest.raises(PermanentRefusal):  # a reply without text is a reply
            await provider.send(letter())


@pytest.mark.parametrize(("reply", "falls_back"), [(b"500 what?\r\n", True), (b"550 not you\r\n", False)])
async def test_g05_helo_only_where_ehlo_is_unknown(reply: bytes, falls_back: bool) -> None:
    async with faking(EHLO=reply) as server, server.provider() as provider:
        if falls_back:
            assert (await provider.send(letter())).accepted
        else:
            with pytest.raises(PermanentRefusal):
                await provider.send(letter())
        assert any(line.startswith("HELO") for line in server.lines) is falls_back


@pytest.mark.parametrize("offered", ["XPLAIN", "SCRAM-SHA-256-PLUS-X PLAINER", ""])
async def test_g06_mechanisms_are_whole_words(offered: str) -> None:
    ehlo = f"250-fake.example\r\n250 AUTH {offered}\r\n".encode()
    async with faking(EHLO=ehlo) as server, server.provider(username="user", password="secret") as provider:
        with pytest.raises(UnsupportedError):
            await provider.send(letter())
        assert not any(line.startswith("AUTH") for line in server.lines)


async def test_g07_smtputf8_and_8bitmime_only_when_they_are_needed() -> None:
    ehlo = b"250-fake.example\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
    async with faking(EHLO=ehlo) as server, server.provider() as provider:
        await provider.send(letter())
        await provider.send(letter(from_="käthe@shop.example"))
        await provider.send(Note(text="Subject: x\r\n\r\nä\r\n".encode()))
        asked = [line for line in server.lines if line.startswith("MAIL")]
        assert "SMTPUTF8" not in asked[0]
        assert "BODY" not in asked[0]
        assert "SMTPUTF8" in asked[1]
        assert "BODY=8BITMIME" in asked[2]


# Health (2.6) ---------------------------------------------------------------------------------------------------------


async def test_liveness_is_asked_without_network() -> None:
    async with SMTPProvider("mail.invalid", 2525) as provider:
        health = await provider.check()
        assert health.state is HealthState.HEALTHY
        assert "mail.invalid:2525" in health.message
        assert health.name == "EmailProvider (SMTP)"
        assert health.to_json()["state"] == "HEALTHY"


async def test_readiness_without_connection_is_degraded_and_dials_nothing() -> None:
    async with office() as post, post.provider() as provider:
        health = await provider.check(Probe.READINESS)
        assert health.state is HealthState.DEGRADED
        assert "will connect to localhost" in health.message
        assert post.sessions == []


async def test_readiness_closed_is_degraded() -> None:
    provider = SMTPProvider("mail.invalid", probe="connect")
    await provider.close()
    health = await provider.check(Probe.READINESS)
    assert (health.state, health.message) == (HealthState.DEGRADED, "closed")


async def test_readiness_with_probe_connect_goes_all_the_way() -> None:
    async with office() as post, post.provider(probe="connect") as provider:
        health = await provider.check(Probe.READINESS)
        assert health.state is HealthState.HEALTHY
        assert post.sessions[0].calls == ["connect", "authenticate"]
    async with office() as post, post.provider(probe="connect", password="wrong") as provider:
        health = await provider.check(Probe.READINESS)
        assert health.state is HealthState.UNHEALTHY
        assert "wrong" not in health.message


async def test_readiness_says_noop_on_the_idle_connection_and_remembers_the_answer() -> None:
    async with faking() as server, server.provider(check_cache_seconds=60) as provider:
        await provider.send(letter())
        first, second = [await provider.check(Probe.READINESS) for _ in range(2)]
        assert first is second
        assert first.state is HealthState.HEALTHY
        assert server.lines.count("NOOP") == 1
        assert server.connections == 1
        health = await asyncio.gather(*(provider.check(Probe.READINESS) for _ in range(5)))
        assert {id(each) for each in health} == {id(first)}


@pytest.mark.parametrize("ended", [b"421 idle\r\n", DROP])
async def test_readiness_goes_on_to_a_new_connection_when_the_idle_one_died(ended: bytes | None) -> None:
    async with faking(NOOP=[ended]) as server, server.provider() as provider:
        await provider.send(letter())
        assert (await provider.check(Probe.READINESS)).state is HealthState.HEALTHY
        assert server.connections == 2


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ({"NOOP": b"502 what?\r\n"}, HealthState.HEALTHY),
        ({"NOOP": b"454 not now\r\n"}, HealthState.UNHEALTHY),
        ({"NOOP": STALL}, HealthState.UNHEALTHY),
        ({"GREETING": b"554 no service\r\n"}, HealthState.UNHEALTHY),
        ({"GREETING": STALL}, HealthState.UNHEALTHY),
        ({"EHLO": DROP}, HealthState.UNHEALTHY),
    ],
)
async def test_readiness_tells_what_the_server_does(answers: dict[str, Any], state: HealthState) -> None:
    async with faking(**answers) as server, server.provider(probe="connect", check_seconds=0.3) as provider:
        async with asyncio.timeout(2):
            health = await provider.check(Probe.READINESS)
        assert health.state is state
        assert health.message


async def test_readiness_while_all_connections_are_busy() -> None:
    async with faking(BODY=[b"250 done\r\n", STALL]) as server, server.provider(check_cache_seconds=0) as provider:
        await provider.send(letter())
        sending = asyncio.create_task(provider.send(letter()))
        await eventually(lambda: len(server.messages) == 2)
        health = await provider.check(Probe.READINESS)
        assert (health.state, "in use" in health.message) == (HealthState.HEALTHY, True)
        assert server.lines.count("NOOP") == 0
        assert provider._succeeded_at is not None
        provider._succeeded_at -= 61
        assert (await provider.check(Probe.READINESS)).state is HealthState.DEGRADED
        assert not sending.done()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def test_readiness_never_waits_for_the_rate_limit() -> None:
    limit = RateLimit(0.001, 1)
    async with office() as post, post.provider(rate_limit=limit) as provider:
        await provider.send(letter())
        waiting = asyncio.create_task(provider.send(letter()))
        await asyncio.sleep(0)
        async with asyncio.timeout(2):
            assert (await provider.check(Probe.READINESS)).state is HealthState.HEALTHY
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert len(post.messages) == 1


# Shutdown (2.7) -------------------------------------------------------------------------------------------------------


async def test_close_without_a_connection_and_twice() -> None:
    provider = SMTPProvider("mail.invalid")
    await provider.close()
    await provider.close()
    with pytest.raises(ProviderClosedError, match="closed"):
        await provider.send(letter())
    with pytest.raises(ProviderClosedError, match="closed"):
        await provider.send_bulk([letter()])
    assert provider.is_closed


async def test_close_says_quit_on_idle_connections() -> None:
    async with faking() as server:
        async with server.provider() as provider:
            await provider.send(letter())
        assert server.lines[-1] == "QUIT"


async def test_close_lets_what_is_being_sent_finish_and_takes_no_more() -> None:
    go = asyncio.Event()
    entered: list[None] = []

    class Slow(Recorder):
        async def data(self, body: Body) -> Any:  # noqa: ANN401 - as in the rig
            entered.append(None)
            await go.wait()
            return await super().data(body)

    async with office(Slow) as post:
        provider = post.provider(max_connections=2)
        sending = asyncio.create_task(provider.send(letter(0)))
        many = asyncio.create_task(provider.send_bulk(letters(50)))
        await eventually(lambda: len(entered) == 2)
        closing = [asyncio.create_task(provider.close()) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ProviderClosedError):
            await provider.send(letter(2))
        assert not closing[0].done()
        go.set()
        await asyncio.gather(*closing)
        assert (await sending).accepted
        result = await many
        assert len(result.outcomes) == 50
        assert len(result.succeeded) + 1 == len(post.messages)
        assert all(isinstance(each.error, NotTriedError) for each in result.failed)
        assert 0 < len(result.failed) < 50


async def test_close_cuts_off_what_takes_too_long_and_says_that_it_is_unknown() -> None:
    async with faking(BODY=STALL) as server:
        provider = server.provider(close_seconds=0.1)
        sending = asyncio.create_task(provider.send(letter()))
        await eventually(lambda: len(server.messages) == 1)
        async with asyncio.timeout(2):
            await provider.close()
        with pytest.raises(TransportError) as caught:
            await sending
        assert caught.value.stage == "final"
    async with faking(BODY=[b"250 done\r\n", STALL]) as server:
        provider = server.provider(close_seconds=0.1)
        many = asyncio.create_task(provider.send_bulk(letters(20)))
        await eventually(lambda: len(server.messages) == 2)
        async with asyncio.timeout(2):
            await provider.close()
        result = await many
        assert len(result.outcomes) == 20
        assert result.outcomes[0].error is None
        assert result.outcomes[1].is_unknown
        assert isinstance(result.outcomes[19].error, NotTriedError)


async def test_close_ends_the_wait_for_a_token_as_not_tried() -> None:
    async with faking() as server:
        provider = server.provider(close_seconds=0.05, rate_limit=RateLimit(0.001, 1))
        await provider.send(letter())
        waiting = asyncio.create_task(provider.send(letter()))
        await asyncio.sleep(0)
        await provider.close()
        with pytest.raises(ProviderClosedError, match="before"):
            await waiting
        assert len(server.messages) == 1


# Faults under load ----------------------------------------------------------------------------------------------------


async def test_a_connection_that_drops_between_messages_loses_none_and_repeats_none() -> None:
    count = 0

    def every_third(line: str) -> bytes | None:
        nonlocal count
        count += 1
        return DROP if count % 3 == 0 else b"250 ok\r\n"

    async with faking(MAIL=every_third) as server, server.provider() as provider:
        result = await provider.send_bulk(letters(30))
        sent = [subject_of(each) for each in server.messages]
        good = [each.index for each in result.succeeded]
        assert sent == [f"Letter {index}" for index in good]
        assert len(set(sent)) == len(sent)
        assert all(each.error is not None and not each.is_unknown for each in result.failed)


async def test_421_in_mid_session() -> None:
    async with faking(MAIL=[b"250 ok\r\n", b"250 ok\r\n", b"421 too many\r\n"]) as server:
        async with server.provider() as provider:
            assert not (await provider.send_bulk(letters(6))).failed
        assert [subject_of(each) for each in server.messages] == [f"Letter {number}" for number in range(6)]
        assert server.connections == 2


async def test_greylisting() -> None:
    seen: set[str] = set()

    def grey(line: str) -> bytes:
        if line in seen:
            return b"250 ok\r\n"
        seen.add(line)
        return b"451 4.7.1 greylisted\r\n"

    async with faking(RCPT=grey) as server, server.provider() as provider:
        first = await provider.send_bulk([letter(1, to="a@x.example"), letter(2, to="b@x.example")])
        assert [each.error.is_temporary for each in first.outcomes] == [True, True]  # type: ignore[union-attr]
        again = await provider.send_bulk([each.message for each in first.failed])  # type: ignore[misc]
        assert not again.failed
        assert len(server.messages) == 2


async def test_a_server_that_restarts_under_load_loses_nothing_silently_and_gets_nothing_twice() -> None:
    server = FakeServer()
    await server.start()
    provider = server.provider(max_connections=3, timeout=5)
    outcomes: list[Any] = []

    async def sender(start: int) -> None:
        for number in range(start, start + 40):
            try:
                outcomes.append((number, await provider.send(letter(number))))
            except TransportError as error:
                outcomes.append((number, error))
                await asyncio.sleep(0.005)

    tasks = [asyncio.create_task(sender(start)) for start in (0, 1000, 2000)]
    for _ in range(4):
        before = len(server.messages)
        await eventually(lambda: len(server.messages) > before + 5 or all(task.done() for task in tasks))  # noqa: B023
        await server.stop()
        await server.start()
    await asyncio.gather(*tasks)
    await provider.close()
    await server.stop()
    got = [subject_of(each) for each in server.messages]
    assert len(outcomes) == 120
    assert len(set(got)) == len(got)  # none twice
    for number, outcome in outcomes:
        arrived = f"Letter {number}" in got
        if isinstance(outcome, TransportError):
            assert outcome.is_temporary
            assert not arrived or outcome.stage == "final"  # only where it is said to be unknown
        else:
            assert arrived


async def test_a_bulk_over_a_server_that_restarts_has_the_truth_about_each_message() -> None:
    server = FakeServer()
    await server.start()
    provider = server.provider(timeout=5)
    sending = asyncio.create_task(provider.send_bulk(letters(200)))
    await eventually(lambda: len(server.messages) > 20)
    await server.stop()
    await server.start()
    result = await sending
    await provider.close()
    await server.stop()
    got = [subject_of(each) for each in server.messages]
    assert len(result.outcomes) == 200
    assert len(set(got)) == len(got)
    for outcome in result.outcomes:
        arrived = f"Letter {outcome.index}" in got
        assert arrived if outcome.error is None else not arrived or outcome.is_unknown
    assert all(getattr(each.error, "is_temporary", False) for each in result.failed)
    again = await server_again(server, [each.message for each in result.failed if not each.is_unknown])
    assert not again


async def server_again(server: FakeServer, messages: list[Any]) -> list[Any]:
    """Those of these messages that could not be sent when the server is there again."""
    await server.start()
    async with server.provider() as provider:
        result = await provider.send_bulk(messages)
    await server.stop()
    return list(result.failed)


async def test_an_observer_says_who_looks_on_at_connections() -> None:
    seen: list[str] = []

    class Connections(ClientObserver):
        def connection_started(self, connection_id: str, target: Target) -> None:
            seen.append(str(target))

    class Looking(MailObserver):
        def client_observer(self, own: ClientObserver | None) -> ClientObserver | None:
            return own or Connections()

    async with faking() as server, server.provider() as provider, server.provider(observer=ClientObserver()) as other:
        for each in (provider, other):
            each.observe(Looking())
            await each.send(letter())
    assert len(seen) == 1


async def test_readiness_that_was_given_up_leaves_the_provider_in_step() -> None:
    async with (
        faking(NOOP=[STALL], GREETING=[b"220 a\r\n", STALL]) as server,
        server.provider(check_cache_seconds=0, check_seconds=0.2) as provider,
    ):
        await provider.send(letter(1))
        probing = asyncio.create_task(provider.check(Probe.READINESS))
        await eventually(lambda: "NOOP" in server.lines)
        probing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probing
        health = await provider.check(Probe.READINESS)  # dials, and is not greeted
        assert (health.state, server.connections) == (HealthState.UNHEALTHY, 2)
        async with asyncio.timeout(2):
            await provider.send(letter(2))
        assert server.connections == 3
        assert len(server.messages) == 2


async def test_readiness_asked_by_many_at_once_is_found_out_once() -> None:
    async with faking(NOOP=STALL) as server, server.provider(check_cache_seconds=0, check_seconds=0.2) as provider:
        await provider.send(letter())
        found = await asyncio.gather(*(provider.check(Probe.READINESS) for _ in range(20)))
        assert {each.state for each in found} == {HealthState.UNHEALTHY}
        assert server.lines.count("NOOP") == 1
        await provider.check(Probe.READINESS)
        assert server.connections == 2


async def test_readiness_between_many_messages_disturbs_none() -> None:
    async with office() as post, post.provider(check_cache_seconds=0) as provider:
        await provider.send(letter(0))
        probes = [asyncio.create_task(provider.check(Probe.READINESS)) for _ in range(20)]
        sent = await asyncio.gather(*(provider.send(letter(number)) for number in range(1, 21)))
        more = asyncio.create_task(provider.send_bulk(letters(20)))
        probes += [asyncio.create_task(provider.check(Probe.READINESS)) for _ in range(20)]
        assert {each.state for each in await asyncio.gather(*probes)} == {HealthState.HEALTHY}
        assert all(each.accepted for each in sent)
        assert not (await more).failed
        assert len(post.messages) == 41
        assert len(post.sessions) == 1
