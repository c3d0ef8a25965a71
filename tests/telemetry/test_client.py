"""A client's metrics and spans, as the SDK of OpenTelemetry has them, in both colours."""

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from smtpx.client.bulk import Outgoing
from smtpx.client.observer import MessageObserver
from smtpx.errors import AuthenticationError, ConnectError, LocalProtocolError, PermanentRefusal
from smtpx.net.targets import Target
from smtpx.sasl import Credentials
from smtpx.server.run import ServerThread
from smtpx.server.session import Reject, Session
from smtpx.telemetry import ClientTelemetry
from tests.client.conftest import Certificates, certificates_for
from tests.client.test_async_crew import TestAsyncCrew as AsyncMany
from tests.client.test_crew import TestCrew as Many
from tests.peers import Colour, ScriptedServer, colour_of
from tests.telemetry.collected import Collected

MESSAGE = b"Subject: private\r\n\r\nhello\r\n"
TO: dict[str, Any] = {"sender": "a@client.example", "recipients": ["b@server.example"]}
TOTAL = "email.provider.smtp.send.total"


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Iterator[Colour]:
    with colour_of(request.param) as found:
        yield found


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates_for(tmp_path_factory.mktemp("ca"), "localhost")


@pytest.fixture
def collected() -> Collected:
    return Collected()


@pytest.fixture
def telemetry(collected: Collected) -> ClientTelemetry:
    return ClientTelemetry(collected.meters, collected.tracers)


class Guarded(Session):
    async def authenticate(self, identity: Credentials) -> None:
        if not identity.is_password("secret"):
            raise Reject.bad_credentials()

    async def rcpt(self, recipient: object, params: object) -> None:
        if str(recipient).startswith("nobody"):
            raise Reject.mailbox_unavailable()


@pytest.fixture
def server(certificates: Certificates) -> Iterator[ServerThread]:
    with ServerThread(Guarded, port=0, tls=certificates.server) as running:
        yield running


def test_messages_and_what_was_opened_for_the_first(
    colour: Colour, collected: Collected, telemetry: ClientTelemetry, server: ServerThread, certificates: Certificates
) -> None:
    url = f"submission://user:secret@localhost:{server.port}"
    with colour.client(url, observer=telemetry, ca_file=certificates.ca_file) as client:
        client.send(MESSAGE, sender="a@x.example", recipients=["b@x.example", "nobody@x.example"])
        assert collected.value("smtpx.client.connection.open") == 1
        client.send(MESSAGE, **TO)
    there = {"server.address": "localhost", "server.port": server.port}
    done = {"status": "success", "send_type": "single", **there}
    assert collected.points(TOTAL) == [({**done, "smtp.reply.code": 250}, 2)]
    assert collected.points("email.provider.smtp.send.duration") == [(done, 2)]
    assert collected.value("smtpx.client.recipient", smtpx__outcome="accepted") == 2
    assert collected.value("smtpx.client.recipient", smtpx__outcome="refused") == 1
    assert collected.points("smtpx.client.connection.open") == [(there, 0)]
    assert collected.points("smtpx.client.connection.duration") == [(there, 1)]
    assert collected.points("smtpx.client.connect.duration") == [(there, 1)]
    assert [span.name for span in collected.spans] == [
        *("smtpx.connect", "smtpx.tls", "smtpx.auth"),
        *("smtpx.send", "smtpx.send"),
    ]
    connect, tls, auth, first, second = collected.spans
    assert first.context is not None
    for child in (connect, tls, auth):
        assert child.parent is not None
        assert child.parent.span_id == first.context.span_id
        assert child.kind is SpanKind.CLIENT
        assert child.status.status_code is StatusCode.UNSET
    assert first.parent is second.parent is None
    assert first.start_time is not None
    assert connect.start_time is not None
    assert first.start_time <= connect.start_time + 1_000_000_000
    assert dict(first.attributes or {}) == {
        **there,
        "network.protocol.name": "smtp",
        "smtpx.send_type": "single",
        "smtp.reply.code": 250,
        "smtpx.recipients.accepted": 1,
        "smtpx.recipients.refused": 1,
    }
    assert (tls.attributes or {})["tls.protocol.name"] == "tls"
    assert (tls.attributes or {})["tls.protocol.version"] in ("1.2", "1.3")
    assert (auth.attributes or {})["smtp.reply.code"] == 235
    everything = repr([dict(span.attributes or {}) for span in collected.spans])
    for secret in ("private", "x.example", "secret", "user"):
        assert secret not in everything
    assert not trace.get_current_span().is_recording()


def test_the_span_of_the_application_is_the_parent(
    colour: Colour, collected: Collected, telemetry: ClientTelemetry, server: ServerThread
) -> None:
    tracer = collected.tracers.get_tracer("application")
    with (
        colour.client(f"smtp+plain://localhost:{server.port}", observer=telemetry) as client,
        tracer.start_as_current_span("order") as order,
    ):
        client.send(MESSAGE, **TO)
        assert trace.get_current_span() is order
    parent = collected.span("smtpx.send").parent
    assert parent is not None
    assert parent.span_id == order.get_span_context().span_id


def test_refused_by_everybody(
    colour: Colour, collected: Collected, telemetry: ClientTelemetry, server: ServerThread
) -> None:
    with (
        colour.client(f"smtp+plain://localhost:{server.port}", observer=telemetry) as client,
        pytest.raises(PermanentRefusal),
    ):
        client.send(MESSAGE, sender="a@x.example", recipients=["nobody@x.example"])
    assert collected.value(TOTAL, status="error", error__type="550", smtp__reply__code=550) == 1
    assert collected.value("smtpx.client.recipient", smtpx__outcome="refused") == 1
    span = collected.span("smtpx.send")
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "550")


def test_nobody_there(colour: Colour, collected: Collected, telemetry: ClientTelemetry) -> None:
    with ScriptedServer("S: 220 x") as closed:
        port = closed.port
    with colour.client(f"smtp+plain://localhost:{port}", observer=telemetry) as client, pytest.raises(ConnectError):
        client.send(MESSAGE, **TO)
    assert collected.value(TOTAL, status="error", error__type="ConnectError") == 1
    assert collected.value("smtpx.client.connection.error", error__type="ConnectError", smtpx__stage="connect") == 1
    assert "smtpx.client.connection.open" not in collected.metrics()
    opening, sending = collected.spans
    assert (opening.name, sending.name) == ("smtpx.open", "smtpx.send")
    assert opening.status.status_code is sending.status.status_code is StatusCode.ERROR


def test_a_login_that_fails(
    colour: Colour, collected: Collected, telemetry: ClientTelemetry, server: ServerThread, certificates: Certificates
) -> None:
    url = f"submission://user:wrong@localhost:{server.port}"
    with pytest.raises(AuthenticationError):
        colour.open(url, observer=telemetry, ca_file=certificates.ca_file)
    assert collected.value("smtpx.client.connection.error", error__type="535", smtpx__stage="auth") == 1
    assert collected.span("smtpx.auth").status.description == "535"
    assert collected.value("smtpx.client.connection.open") == 0


def test_what_was_never_sent(colour: Colour, collected: Collected, telemetry: ClientTelemetry) -> None:
    with colour.client("lmtp+unix:///nowhere", observer=telemetry) as client, pytest.raises(LocalProtocolError):
        client.send(MESSAGE, sender="a@x.example", recipients=["no address\r\n"])
    there = {"server.address": "/nowhere"}
    fate = {"status": "error", "send_type": "single", "error.type": "LocalProtocolError"}
    assert collected.points(TOTAL) == [({**fate, **there}, 1)]


class _Spans(ClientTelemetry):
    """Keeps what was the current span when a message began."""

    def __init__(self, collected: Collected) -> None:
        super().__init__(collected.meters, collected.tracers)
        self.current: list[str] = []

    def message_started(self, target: Target, *, bulk: bool) -> MessageObserver:
        found = super().message_started(target, bulk=bulk)
        self.current.append(getattr(trace.get_current_span(), "name", ""))
        return found


@pytest.mark.parametrize("many", [Many, AsyncMany])
def test_each_of_many_is_counted_as_bulk_and_is_nobodys_parent(
    many: type[Many], collected: Collected, server: ServerThread, certificates: Certificates
) -> None:
    telemetry = _Spans(collected)
    people = ["b@x.example", "nobody@x.example", "c@x.example", "not an address"]
    url = f"submission://user:secret@localhost:{server.port}"
    messages = (Outgoing(MESSAGE, "a@x.example", [each]) for each in people)
    with collected.tracers.get_tracer("theirs").start_as_current_span("campaign") as campaign:
        options = {"observer": telemetry, "ca_file": certificates.ca_file}
        outcomes = many().send_many(url, messages, options=options)
    assert [each.error is None for each in outcomes] == [True, False, True, False]
    assert collected.value(TOTAL, send_type="bulk") == collected.value(TOTAL) == 4
    assert collected.value(TOTAL, status="success", smtp__reply__code=250) == 2
    assert collected.value(TOTAL, status="error", smtp__reply__code=550, error__type="550") == 1
    assert collected.value(TOTAL, status="error", error__type="LocalProtocolError") == 1
    assert collected.value("smtpx.client.recipient", smtpx__outcome="accepted") == 2
    assert set(telemetry.current) == {"campaign"}
    sent = [span for span in collected.spans if span.name == "smtpx.send"]
    assert len(sent) == 4
    assert {span.parent and span.parent.span_id for span in sent} == {campaign.get_span_context().span_id}


def test_an_error_that_is_not_ours(collected: Collected, telemetry: ClientTelemetry) -> None:
    telemetry.connection_started("c1", Target("localhost", 25)).open_failed(KeyboardInterrupt(), 0.1)
    assert collected.value("smtpx.client.connection.error", error__type="KeyboardInterrupt") == 1


def test_for_a_mailer_everything_but_the_count_of_messages(
    colour: Colour, collected: Collected, telemetry: ClientTelemetry, server: ServerThread
) -> None:
    with colour.client(f"smtp+plain://localhost:{server.port}", observer=telemetry.uncounted()) as client:
        client.send(MESSAGE, **TO)
    assert collected.points(TOTAL) == collected.points("email.provider.smtp.send.duration") == []
    assert collected.value("smtpx.client.recipient") == 1
    assert [span.name for span in collected.spans] == ["smtpx.connect", "smtpx.send"]
    with colour.client(f"smtp+plain://localhost:{server.port}", observer=telemetry) as client:
        client.send(MESSAGE, **TO)
    assert collected.value(TOTAL) == 1
