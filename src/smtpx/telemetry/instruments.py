"""Every metric by name, and how both sides get at OpenTelemetry. Nothing here loads it before it is asked for."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from smtpx import __version__
from smtpx.errors import AuthenticationError, ConfigurationError, RefusedError

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import SpanKind, Tracer, TracerProvider

__all__ = ["CLIENT", "SCOPE", "SERVER", "SERVER_GAUGES", "Instrument", "Labels", "Tools", "error_type"]

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
        "messages, by how `send` ended, or `send_many` for one of them",
        ("status", "send_type", *_SERVER_NAME, "error.type", "smtpx.reply.code"),
    ),
    Instrument(
        "email.provider.smtp.send.duration",
        "histogram",
        "ms",
        "calls of `send`, with the wait for a connection",
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


def error_type(error: BaseException) -> str:
    """What `error.type` says: the code of a refusal, else the kind of error. Never its text."""
    if isinstance(error, RefusedError | AuthenticationError) and error.reply is not None:
        return str(error.reply.code)
    return type(error).__name__
