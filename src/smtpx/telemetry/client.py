"""A client's metrics, and a span for each message with what was done for it: connecting, TLS, AUTH."""

import time
from copy import copy
from typing import TYPE_CHECKING

from smtpx.client.observer import ClientConnectionObserver, ClientObserver, MessageObserver
from smtpx.errors import SMTPXError
from smtpx.flows.outcome import SendResult
from smtpx.net.targets import Target
from smtpx.protocol.facts import TLSFacts
from smtpx.telemetry.instruments import CLIENT, Labels, Tools, error_type, fate_of
from smtpx.wire.reply import Reply

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["ClientTelemetry"]


class ClientTelemetry(ClientObserver):
    """Metrics and spans of the clients it is given to: `Client(url, observer=ClientTelemetry())`.

    Args:
        meter_provider, tracer_provider: of the OpenTelemetry SDK; None: the global ones.

    Raises:
        ConfigurationError: without smtpx[otel].
    """

    def __init__(
        self, meter_provider: "MeterProvider | None" = None, tracer_provider: "TracerProvider | None" = None
    ) -> None:
        self._tools = Tools(CLIENT, meter_provider, tracer_provider)
        self._counts = True

    def uncounted(self) -> "ClientTelemetry":
        """The same for the client of a mailer, which counts its messages itself."""
        other = copy(self)
        other._counts = False
        return other

    def message_started(self, target: Target, *, bulk: bool) -> MessageObserver:
        """Begin a span; it is the current one until `send` is over, unless the message is one of many."""
        return _Message(self._tools, target, bulk=bulk, counts=self._counts)

    def connection_started(self, connection_id: str, target: Target) -> ClientConnectionObserver:
        """Look on."""
        return _Connection(connection_id, target, self._tools)


def _server(target: Target) -> dict[str, str | int]:
    if target.unix_path is not None:
        return {"server.address": target.unix_path}
    return {"server.address": target.host, "server.port": target.port}


class _Message(MessageObserver):
    def __init__(self, tools: Tools, target: Target, *, bulk: bool, counts: bool) -> None:
        from opentelemetry import context

        self._tools = tools
        self._counts = counts
        self._context = context
        self._server = _server(target)
        self._send_type = "bulk" if bulk else "single"
        self._begun = time.perf_counter()
        attributes = {**self._server, "network.protocol.name": "smtp", "smtpx.send_type": self._send_type}
        self._span = tools.tracer.start_span("smtpx.send", kind=tools.trace.SpanKind.CLIENT, attributes=attributes)
        # Many messages at once end in any order, so none of them can be the current one.
        self._token = None if bulk else context.attach(tools.trace.set_span_in_context(self._span))

    def ended(self, result: SendResult | None, error: BaseException | None) -> None:
        milliseconds = (time.perf_counter() - self._begun) * 1000
        if self._token is not None:
            self._context.detach(self._token)
        status = {"status": "success" if error is None else "error", "send_type": self._send_type, **self._server}
        found = result or getattr(error, "result", None)
        if isinstance(found, SendResult):
            self._count(found)
        fate = fate_of(found, error)
        if self._counts:
            self._tools.record("email.provider.smtp.send.duration", milliseconds, status)
            self._tools.add("email.provider.smtp.send.total", 1, {**status, **fate})
        self._tools.close(self._span, fate)

    def _count(self, result: SendResult) -> None:
        for outcome, recipients in (("accepted", result.accepted), ("refused", result.refused)):
            self._span.set_attribute(f"smtpx.recipients.{outcome}", len(recipients))
            if recipients:
                labels = {"smtpx.outcome": outcome, **self._server}
                self._tools.add("smtpx.client.recipient", len(recipients), labels)


class _Connection(ClientConnectionObserver):
    def __init__(self, connection_id: str, target: Target, tools: Tools) -> None:
        super().__init__(connection_id, target)
        self._tools = tools
        self._server = _server(target)
        self._is_counted = False

    def _span(self, name: str, seconds: float, attributes: Labels, error: str | None = None) -> None:
        kind = self._tools.trace.SpanKind.CLIENT
        every = {**self._server, "smtpx.connection.id": self.id, **attributes}
        self._tools.span(name, kind, seconds, every, error)

    def connected(self, peer: str, seconds: float) -> None:
        self._is_counted = True
        self._tools.add("smtpx.client.connection.open", 1, self._server)
        self._tools.record("smtpx.client.connect.duration", seconds, self._server)
        self._span("smtpx.connect", seconds, {"network.peer.address": peer})

    def open_failed(self, error: BaseException, seconds: float) -> None:
        stage = (error.stage if isinstance(error, SMTPXError) else None) or "connect"
        fate = {"error.type": error_type(error), "smtpx.stage": stage}
        self._tools.add("smtpx.client.connection.error", 1, {**self._server, **fate})
        self._span("smtpx.open", seconds, fate, error_type(error))

    def tls_started(self, facts: TLSFacts, seconds: float) -> None:
        name, _, version = facts.version.partition("v")
        attributes = {"tls.protocol.name": name.lower(), "tls.protocol.version": version, "tls.cipher": facts.cipher}
        self._span("smtpx.tls", seconds, attributes)

    def authenticated(self, mechanism: str, reply: Reply, seconds: float) -> None:
        error = None if reply.code == 235 else str(reply.code)
        attributes: dict[str, str | int] = {"smtpx.mechanism": mechanism, "smtp.reply.code": reply.code}
        self._span("smtpx.auth", seconds, attributes, error)

    def closed(self, messages: int, seconds: float) -> None:
        if self._is_counted:
            self._tools.add("smtpx.client.connection.open", -1, self._server)
            self._tools.record("smtpx.client.connection.duration", seconds, self._server)
