"""Every metric by name, and how both sides get at OpenTelemetry. Nothing here loads it before it is asked for."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from smtpx import __version__
from smtpx.errors import AuthenticationError, ConfigurationError, RefusedError
from smtpx.flows.outcome import SendResult
from smtpx.wire.reply import Reply

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, SpanKind, Tracer, TracerProvider

__all__ = [
    "CLIENT",
    "MAILER",
    "SCOPE",
    "SENDING",
    "SERVER",
    "SERVER_GAUGES",
    "Instrument",
    "Labels",
    "Tools",
    "error_type",
    "fate_of",
]

SCOPE = "smtpx"
Labels = Mapping[str, str | int]


class Instrument(NamedTuple):
    """A metric: its name, what it is, the unit of its values, what it tells, and the attributes it may have."""

    name: str
    kind: Literal["counter", "histogram", "up_down_counter", "gauge", "observable_gauge"]
    unit: str
    description: str
    attributes: tuple[str, ...] = ()


SERVER = (
    Instrument("smtpx.server.connection.open", "up_down_counter", "{connection}", "clients connected"),
    Instrument("smtpx.server.connection.duration", "histogram", "s", "connections that are over, by length"),
    Instrument("smtpx.server.connection.silent", "counter", "{connection}", "clients that never sent an octet"),
    Instrument("smtpx.server.connection.refused", "counter", "{connection}", "clients turned away", ("smtpx.reason",)),
    Instrument("smtpx.server.io", "counter", "By", "octets of SMTP, without TLS", ("network.io.direction",)),
    Instrument(
        "smtpx.server.command", "counter", "{command}", "commands answered", ("smtpx.verb", "smtpx.reply.class")
    ),
    Instrument("smtpx.server.auth", "counter", "{login}", "logins", ("smtpx.mechanism", "smtpx.result")),
    Instrument("smtpx.server.tls", "counter", "{handshake}", "handshakes", ("smtpx.result",)),
    Instrument("smtpx.server.tls.reload", "counter", "{reload}", "certificates read from files", ("smtpx.result",)),
    Instrument("smtpx.server.tls.certificate_not_after", "gauge", "s", "Unix time when the first certificate ends"),
    Instrument("smtpx.server.transaction.duration", "histogram", "s", "MAIL to the end", ("smtpx.outcome",)),
    Instrument("smtpx.server.message", "counter", "{message}", "transactions that are over", ("smtpx.outcome",)),
    Instrument("smtpx.server.message.open", "up_down_counter", "{message}", "messages whose content is under way"),
    Instrument("smtpx.server.message.size", "histogram", "By", "content of messages accepted"),
    Instrument("smtpx.server.hook.duration", "histogram", "s", "methods of the session", ("smtpx.hook",)),
    Instrument("smtpx.server.hook.error", "counter", "{error}", "methods of the session that raised", ("smtpx.hook",)),
    Instrument("smtpx.server.deadline", "counter", "{deadline}", "deadlines passed", ("smtpx.deadline",)),
    Instrument("smtpx.server.limit", "counter", "{hit}", "limits hit", ("smtpx.limit",)),
)

# Read from a server when somebody collects.
SERVER_GAUGES = (
    Instrument("smtpx.server.message.held", "observable_gauge", "By", "content in memory that waits for sessions"),
    Instrument("smtpx.server.hook.stuck", "observable_gauge", "{call}", "methods of sessions that ignore a cancel"),
    Instrument("smtpx.server.ready", "observable_gauge", "1", "1 if it takes connections and can serve them"),
)

_SERVER_NAME = ("server.address", "server.port")
CLIENT = (
    Instrument(
        "email.provider.smtp.send.total",
        "counter",
        "{email}",
        "messages, each once, by how it ended",
        ("status", "send_type", *_SERVER_NAME, "error.type", "smtp.reply.code"),
    ),
    Instrument(
        "email.provider.smtp.send.duration",
        "histogram",
        "ms",
        "calls of `send`, with all waits; messages of `send_many` and `send_bulk`, from their turn on",
        ("status", "send_type", *_SERVER_NAME),
    ),
    Instrument(
        "smtpx.client.recipient",
        "counter",
        "{recipient}",
        "recipients, by outcome",
        ("smtpx.outcome", *_SERVER_NAME),
    ),
    Instrument("smtpx.client.connection.open", "up_down_counter", "{connection}", "connections open", _SERVER_NAME),
    Instrument("smtpx.client.connection.duration", "histogram", "s", "connections closed, by length", _SERVER_NAME),
    Instrument("smtpx.client.connect.duration", "histogram", "s", "connecting, without TLS", _SERVER_NAME),
    Instrument(
        "smtpx.client.connection.error",
        "counter",
        "{connection}",
        "connections that were not to be had",
        (*_SERVER_NAME, "error.type", "smtpx.stage"),
    ),
)

_BY = ("smtpx.provider", "smtpx.provider.type", "send_type")
MAILER = (
    Instrument("smtpx.mailer.builder.send.count", "counter", "{send}", "messages, by whatever provider", _BY),
    Instrument("smtpx.mailer.builder.send.duration", "histogram", "ms", "messages, with waits and repeats", _BY),
    Instrument("smtpx.mailer.builder.send.errors", "counter", "{error}", "messages nobody got", (*_BY, "error.type")),
    Instrument("smtpx.mailer.batch.size", "histogram", "{email}", "calls of `send_bulk`, by messages", _BY[:2]),
    Instrument(
        "smtpx.mailer.retry.attempts", "counter", "{attempt}", "attempts after the first", (*_BY[:2], "error.type")
    ),
    Instrument(
        "smtpx.mailer.failover", "counter", "{email}", "messages left to the next provider", (_BY[0], "error.type")
    ),
    Instrument("smtpx.mailer.breaker.open", "up_down_counter", "{breaker}", "providers that are left alone", _BY[:1]),
    Instrument("smtpx.mailer.rate_limit.wait", "histogram", "ms", "waits for the rate limit", _BY[:2]),
)
SENDING = CLIENT[:2]  # of clients and of mailers


class Tools:
    """Instruments by name, and a tracer.

    Raises:
        ConfigurationError: without smtpx[otel].
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        meter_provider: "MeterProvider | None",
        tracer_provider: "TracerProvider | None",
    ) -> None:
        try:
            from opentelemetry import metrics, trace
        except ImportError as error:
            raise ConfigurationError("this needs smtpx[otel]: pip install 'smtpx[otel]'") from error
        self._meter = meter = metrics.get_meter(SCOPE, __version__, meter_provider)
        self._observation = metrics.Observation
        self.trace = trace
        self.tracer: Tracer = trace.get_tracer(SCOPE, __version__, tracer_provider)
        self._by_name: dict[str, Any] = {
            each.name: getattr(meter, f"create_{each.kind}")(each.name, each.unit, each.description)
            for each in instruments
        }

    def add(self, name: str, amount: int, labels: Labels | None = None) -> None:
        """Count."""
        self._by_name[name].add(amount, labels)

    def record(self, name: str, value: float, labels: Labels | None = None) -> None:
        """Put into a histogram."""
        self._by_name[name].record(value, labels)

    def set(self, name: str, value: float) -> None:
        """What a gauge shows."""
        self._by_name[name].set(value)

    def gauge(self, instrument: Instrument, read: Callable[[], float | None]) -> None:
        """Have a value read whenever somebody collects; None: there is none at present."""

        def observe(_: object) -> list[Any]:
            value = read()
            return [] if value is None else [self._observation(value)]

        self._meter.create_observable_gauge(
            instrument.name, [observe], unit=instrument.unit, description=instrument.description
        )

    def span(self, name: str, kind: "SpanKind", seconds: float, attributes: Labels, error: str | None = None) -> None:
        """A span that is over already, under the one that is current."""
        end = time.time_ns()
        begin = end - int(seconds * 1e9)
        span = self.tracer.start_span(name, kind=kind, attributes=dict(attributes), start_time=begin)
        if error is not None:
            span.set_status(self.trace.StatusCode.ERROR, error)
        span.end(end)

    def close(self, span: "Span", attributes: Labels) -> None:
        """End a span; it is an error if there is an `error.type`."""
        span.set_attributes(attributes)
        if "error.type" in attributes:
            span.set_status(self.trace.StatusCode.ERROR, str(attributes["error.type"]))
        span.end()


def fate_of(result: SendResult | None, error: BaseException | None) -> dict[str, str | int]:
    """The last reply's code, and what kind of error it was."""
    fate: dict[str, str | int] = {}
    reply = getattr(error, "reply", None) or getattr(result, "reply", None)
    if isinstance(reply, Reply):
        fate["smtp.reply.code"] = reply.code
    if error is not None:
        fate["error.type"] = error_type(error)
    return fate


def error_type(error: BaseException) -> str:
    """What `error.type` says: the code of a refusal, else the kind of error. Never its text."""
    if isinstance(error, RefusedError | AuthenticationError) and error.reply is not None:
        return str(error.reply.code)
    return type(error).__name__
