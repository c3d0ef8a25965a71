"""A mailer's metrics and spans, as the SDK of OpenTelemetry has them, with and without an event loop."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode

from smtpx.client.observer import ClientObserver
from smtpx.errors import ConnectError, PermanentRefusal
from smtpx.flows.session import Security
from smtpx.mailer.blocking import SyncMailService
from smtpx.mailer.circuit_breaker import CircuitBreaker
from smtpx.mailer.failover import FailoverProvider
from smtpx.mailer.local import MemoryProvider
from smtpx.mailer.observer import MailObserver, ProviderFacts
from smtpx.mailer.rate_limit import RateLimit
from smtpx.mailer.retry import Retry
from smtpx.mailer.service import MailService
from smtpx.mailer.settings import MailerSettings, mailer_from_url
from smtpx.mailer.smtp import SMTPProvider
from smtpx.message.findings import MessageError
from smtpx.server.run import ServerThread
from smtpx.server.session import Reject, Session
from smtpx.telemetry import ClientTelemetry, MailTelemetry
from tests.mailer.rig import letter, letters
from tests.telemetry.collected import Collected

TOTAL = "email.provider.smtp.send.total"
DURATION = "email.provider.smtp.send.duration"
SENDS = "smtpx.mailer.builder.send.count"
QUICK = Retry(attempts=3, first_seconds=0, jitter_seconds=0)


@pytest.fixture
def collected() -> Collected:
    return Collected()


@pytest.fixture
def telemetry(collected: Collected) -> MailTelemetry:
    return MailTelemetry(collected.meters, collected.tracers)


class Picky(Session):
    """Has no room for nobody@, and none for later@ the first time."""

    later: ClassVar[set[str]] = set()

    async def rcpt(self, recipient: object, params: object) -> None:
        address = str(recipient)
        if address.startswith("nobody"):
            raise Reject.mailbox_unavailable()
        if address.startswith("later") and address not in self.later:
            self.later.add(address)
            raise Reject(451, "4.7.1", "greylisted")


@pytest.fixture
def server() -> Iterator[ServerThread]:
    Picky.later.clear()
    with ServerThread(Picky, port=0) as running:
        yield running


def provider_for(server: ServerThread, **options: Any) -> SMTPProvider:  # noqa: ANN401 - those of SMTPProvider
    usual: dict[str, Any] = {"security": Security.NONE, "rate_limit": None}
    return SMTPProvider("localhost", server.port, **{**usual, **options})


class Face:
    """A service, called without await."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - those of MailService
        self.service = MailService(*args, **options)
        self.runner = asyncio.Runner()

    def __enter__(self) -> "Face":
        return self

    def __exit__(self, *_: object) -> None:
        self.runner.run(self.service.close())
        self.runner.close()

    def send(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - those of MailService
        return self.runner.run(self.service.send(*args, **options))

    def send_bulk(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - those of MailService
        return self.runner.run(self.service.send_bulk(*args, **options))


@pytest.fixture(params=[Face, SyncMailService], ids=["async", "sync"])
def make(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return request.param  # type: ignore[no-any-return]


def test_one_message_is_counted_once_with_a_span_around_those_of_smtp(
    make: Callable[..., Any], collected: Collected, telemetry: MailTelemetry, server: ServerThread
) -> None:
    application = collected.tracers.get_tracer("application")
    with make(provider_for(server), observer=telemetry) as mail, application.start_as_current_span("request") as span:
        mail.send(letter(to=["jane@home.example", "nobody@home.example"]))
        assert trace.get_current_span() is span
    there = {"server.address": "localhost", "server.port": server.port}
    by = {"smtpx.provider": "default", "smtpx.provider.type": "smtp"}
    done = {"status": "success", "send_type": "single", **there}
    assert collected.points(TOTAL) == [({**done, "smtp.reply.code": 250}, 1)]
    assert collected.points(DURATION) == [(done, 1)]
    assert collected.points(SENDS) == [({**by, "send_type": "single"}, 1)]
    assert collected.value("smtpx.mailer.builder.send.duration") == 1
    assert collected.points("smtpx.mailer.builder.send.errors") == []
    assert [each.name for each in collected.spans] == ["smtpx.connect", "smtpx.send", "smtpx.mailer.send", "request"]
    connect, sent, around, request = collected.spans
    assert [each.parent and each.parent.span_id for each in (connect, sent, around)] == [
        each.context and each.context.span_id for each in (sent, around, request)
    ]
    assert dict(around.attributes or {}) == {
        **there,
        **by,
        "smtpx.send_type": "single",
        "smtp.reply.code": 250,
        "smtpx.recipients.accepted": 1,
        "smtpx.recipients.refused": 1,
    }
    everything = repr([(dict(each.attributes or {}), each.events) for each in collected.spans])
    for private in ("home.example", "Letter", "This is"):
        assert private not in everything


def test_p05_each_message_of_a_bulk_is_counted_once_as_bulk(
    make: Callable[..., Any], collected: Collected, telemetry: MailTelemetry, server: ServerThread
) -> None:
    bad = [letter(to=()), letter(to="nobody@home.example")]
    with make(provider_for(server), observer=telemetry) as mail:
        assert len(mail.send_bulk([*letters(3), *bad]).failed) == 2
    assert collected.value(TOTAL) == collected.value(DURATION) == collected.value(SENDS) == 5
    assert collected.value(TOTAL, send_type="single") == 0
    assert collected.value(TOTAL, status="success", send_type="bulk", smtp__reply__code=250) == 3
    assert collected.value(TOTAL, status="error", error__type="MessageError") == 1
    assert collected.value(TOTAL, status="error", error__type="550", smtp__reply__code=550) == 1
    assert collected.points("smtpx.mailer.batch.size")[0][1] == 1
    around = collected.span("smtpx.mailer.send_bulk")
    assert (around.attributes or {})["smtpx.messages"] == 5
    assert around.status.status_code is StatusCode.UNSET
    assert around.context is not None
    sent = [each for each in collected.spans if each.name == "smtpx.send"]
    assert len(sent) == 4
    assert {each.parent and each.parent.span_id for each in sent} == {around.context.span_id}
    assert {each.context and each.context.trace_id for each in collected.spans} == {around.context.trace_id}


def test_what_fails_before_anything_is_said_is_counted_too(
    make: Callable[..., Any], collected: Collected, telemetry: MailTelemetry, server: ServerThread
) -> None:
    with make(provider_for(server), observer=telemetry) as mail:
        with pytest.raises(MessageError):
            mail.send(letter(to=()))
        with pytest.raises(PermanentRefusal):
            mail.send(letter(to="nobody@home.example"))
        with pytest.raises(ValueError, match="no provider 'other'"):
            mail.send(letter(), provider="other")
    assert collected.value(TOTAL, status="error", send_type="single", error__type="MessageError") == 1
    assert collected.value(TOTAL, status="error", error__type="550") == 1
    assert collected.value(TOTAL) == 2  # of the third nobody knows whether it was for SMTP
    assert collected.value(SENDS) == collected.value("smtpx.mailer.builder.send.errors") == 3
    assert collected.value("smtpx.mailer.builder.send.errors", error__type="ConfigurationError") == 1
    spans = [each for each in collected.spans if each.name == "smtpx.mailer.send"]
    assert [each.status.description for each in spans] == ["MessageError", "550", "ConfigurationError"]


async def test_a_wait_that_is_given_up_is_counted_and_so_is_the_wait(
    collected: Collected, telemetry: MailTelemetry, server: ServerThread
) -> None:
    provider = provider_for(server, rate_limit=RateLimit(0.001, 1))
    async with MailService(provider, observer=telemetry) as mail:
        await mail.send(letter())
        waiting = asyncio.create_task(mail.send(letter()))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert collected.value(TOTAL) == 2
    assert collected.value(TOTAL, status="error", error__type="CancelledError") == 1
    by = {"smtpx.provider": "default", "smtpx.provider.type": "smtp"}
    assert collected.points("smtpx.mailer.rate_limit.wait") == [(by, 1)]


async def test_a_bulk_that_is_cancelled_counts_what_it_took(
    collected: Collected, telemetry: MailTelemetry, server: ServerThread
) -> None:
    provider = provider_for(server, rate_limit=RateLimit(0.001, 2))
    async with MailService(provider, observer=telemetry) as mail:
        second = asyncio.Event()
        sending = asyncio.create_task(mail.send_bulk(letters(5), on_outcome=lambda each: each.index and second.set()))
        await second.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
    assert collected.value(TOTAL) == 5
    assert collected.value(TOTAL, status="success") == 2
    assert collected.value(TOTAL, status="error") == 3
    assert collected.span("smtpx.mailer.send_bulk").status.description == "CancelledError"


def test_repeats_count_as_attempts_and_not_as_messages(
    make: Callable[..., Any], collected: Collected, telemetry: MailTelemetry, server: ServerThread
) -> None:
    with make(provider_for(server), observer=telemetry, retry=QUICK) as mail:
        mail.send(letter(to="later@home.example"))
        mail.send_bulk([letter(to="later-too@home.example"), letter()])
    assert collected.value(TOTAL) == collected.value(TOTAL, status="success") == 3
    assert collected.value("smtpx.mailer.retry.attempts", error__type="451", smtpx__provider="default") == 2
    (event,) = collected.span("smtpx.mailer.send").events
    assert event.name == "smtpx.mailer.retry"
    assert (event.attributes or {})["smtpx.attempt"] == 2
    assert [each.name for each in collected.span("smtpx.mailer.send_bulk").events] == ["smtpx.mailer.retry"]


def test_a_failover_counts_each_message_once_and_its_steps_and_breakers(
    make: Callable[..., Any], collected: Collected, telemetry: MailTelemetry, server: ServerThread
) -> None:
    broken = MemoryProvider()
    broken.fail(ConnectError("down"), times=3)
    clock = [0.0]
    breaker = CircuitBreaker(failures=2, open_seconds=1, clock=lambda: clock[0])
    several = FailoverProvider({"first": broken, "second": provider_for(server)}, breaker=breaker)
    with make(several, observer=telemetry) as mail:
        mail.send(letter())
        mail.send_bulk(letters(2))
        assert collected.points("smtpx.mailer.breaker.open") == [({"smtpx.provider": "first"}, 1)]
        clock[0] += 2
        mail.send(letter())
    assert collected.value(TOTAL) == collected.value(SENDS) == 4
    assert collected.points(TOTAL)[0][0].get("server.address") is None
    assert collected.value("smtpx.mailer.failover", smtpx__provider="first") == 3
    assert collected.value("smtpx.mailer.breaker.open") == 0
    first, _ = (each for each in collected.spans if each.name == "smtpx.mailer.send")
    assert [each.name for each in first.events] == ["smtpx.mailer.failover"]
    assert first.status.status_code is StatusCode.UNSET


async def test_a_provider_without_a_service_counts_its_messages_itself(
    collected: Collected, telemetry: MailTelemetry, server: ServerThread
) -> None:
    provider = provider_for(server)
    provider.observe(telemetry)
    async with provider:
        await provider.send(letter())
        await provider.send_bulk([*letters(2), letter(to=())])
        with pytest.raises(MessageError):
            await provider.send(letter(to=()))
    assert collected.value(TOTAL) == 5
    assert collected.value(TOTAL, send_type="bulk", status="success") == 2
    assert collected.value(SENDS, smtpx__provider="EmailProvider (SMTP)") == 5


async def test_however_many_look_on_nothing_is_counted_twice(
    collected: Collected, telemetry: MailTelemetry, server: ServerThread
) -> None:
    provider = provider_for(server, observer=ClientTelemetry(collected.meters, collected.tracers))
    provider.observe(telemetry)
    several = FailoverProvider([provider])
    several.observe(telemetry)
    async with MailService(several, observer=telemetry) as mail:
        await mail.send(letter())
        await mail.send_bulk(letters(2))
    assert collected.value(TOTAL) == collected.value(SENDS) == collected.value(DURATION) == 3
    assert collected.value("smtpx.client.recipient") == 3
    assert len([each for each in collected.spans if each.name == "smtpx.send"]) == 3


async def test_an_observer_of_the_application_stays_at_its_connections(
    collected: Collected, telemetry: MailTelemetry, server: ServerThread
) -> None:
    own = ClientObserver()
    assert telemetry.client_observer(own) is own
    async with MailService(provider_for(server, observer=own), observer=telemetry) as mail:
        await mail.send(letter())
    assert collected.value(TOTAL) == 1
    assert [each.name for each in collected.spans] == ["smtpx.mailer.send"]


async def test_other_providers_count_only_as_the_mailers(collected: Collected, telemetry: MailTelemetry) -> None:
    async with MailService(MemoryProvider(), observer=telemetry) as mail:
        await mail.send(letter())
    assert collected.points(TOTAL) == []
    assert collected.value(SENDS, smtpx__provider__type="memory") == 1


async def test_messages_of_several_providers_in_one_bulk(
    collected: Collected, telemetry: MailTelemetry, server: ServerThread
) -> None:
    providers = {"a": provider_for(server), "b": MemoryProvider()}
    async with MailService(providers, default="a", observer=telemetry) as mail:
        await mail.send_bulk([letter(), letter(provider="b"), letter(provider="c")])
    assert collected.value(SENDS, smtpx__provider="a") == collected.value(SENDS, smtpx__provider="b") == 1
    assert collected.value(SENDS) == 3
    assert collected.value(TOTAL) == 1


async def test_from_a_url_and_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Collected()
    with monkeypatch.context() as patched:
        patched.setattr("opentelemetry.metrics.get_meter", lambda name, version, _: own.meters.get_meter(name, version))
        patched.setattr(
            "opentelemetry.trace.get_tracer", lambda name, version, _: own.tracers.get_tracer(name, version)
        )
        settings = MailerSettings.from_environment({"SMTPX_URL": "memory:", "SMTPX_TELEMETRY": "on"})
        services = [mailer_from_url("memory:", telemetry=True), settings.service(), mailer_from_url("memory:")]
    for mail in services:
        async with mail:
            await mail.send(letter())
    assert own.value(SENDS) == 2
    assert "observer" not in MailerSettings.from_environment({"SMTPX_URL": "memory:"}).limits()


def test_it_is_an_observer_of_mail(telemetry: MailTelemetry) -> None:
    observer: MailObserver = telemetry
    facts = ProviderFacts("local", "lmtp", "/run/lmtp", None, True)
    started = observer.message_started(facts)
    assert started is not None
    with contextlib.suppress(Exception):
        started.ended(None, ConnectError("x"))


def test_a_socket_has_a_path_and_no_port(collected: Collected, telemetry: MailTelemetry) -> None:
    telemetry.message_started(ProviderFacts("local", "lmtp", "/run/lmtp", None, True)).ended(None, ConnectError("x"))
    ((labels, count),) = collected.points(TOTAL)
    assert count == 1
    assert labels["server.address"] == "/run/lmtp"
    assert "server.port" not in labels
