"""A mailer's metrics, and a span for each message, or for many, around those of SMTP."""

import time
from typing import TYPE_CHECKING, Protocol

from smtpx.client.observer import ClientObserver, MessageObserver
from smtpx.flows.outcome import SendResult
from smtpx.telemetry.client import ClientTelemetry
from smtpx.telemetry.instruments import MAILER, SENDING, Labels, Tools, error_type, fate_of

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["MailTelemetry"]


class Facts(Protocol):
    """What is asked of `smtpx.mailer.ProviderFacts`, which is of a higher layer."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def address(self) -> str | None: ...
    @property
    def port(self) -> int | None: ...
    @property
    def speaks_smtp(self) -> bool: ...


class MailTelemetry:
    """Metrics and spans of the mailers it is given to: `MailService(..., observer=MailTelemetry())`.

    It is a `smtpx.mailer.MailObserver`. The connections of an `SMTPProvider` that has no observer of its own have their
    metrics and spans too; where that is a `ClientTelemetry`, it leaves the counting of messages to this.

    Args:
        meter_provider, tracer_provider: of the OpenTelemetry SDK; None: the global ones.

    Raises:
        ConfigurationError: without smtpx[otel].
    """

    def __init__(
        self, meter_provider: "MeterProvider | None" = None, tracer_provider: "TracerProvider | None" = None
    ) -> None:
        self._tools = Tools((*MAILER, *SENDING), meter_provider, tracer_provider)
        self._client = ClientTelemetry(meter_provider, tracer_provider).uncounted()

    def client_observer(self, own: ClientObserver | None) -> ClientObserver | None:
        """Who looks on at connections; see the class."""
        if own is None:
            return self._client
        return own.uncounted() if isinstance(own, ClientTelemetry) else own

    def message_started(self, provider: Facts | None) -> "_Message":
        """Begin a span; it is the current one until `send` is over."""
        return _Message(self._tools, provider, _Scope(self._tools, "smtpx.mailer.send", provider, "single"), "single")

    def bulk_started(self, provider: Facts | None) -> "_Bulk":
        """Begin a span for all of them."""
        return _Bulk(self._tools, provider)

    def retried(self, provider: Facts, attempt: int, error: BaseException) -> None:
        """Count, and note it in the span of the message."""
        labels = {**_by(provider), "error.type": error_type(error)}
        self._tools.add("smtpx.mailer.retry.attempts", 1, labels)
        self._note("smtpx.mailer.retry", {**labels, "smtpx.attempt": attempt})

    def failed_over(self, provider: str, error: BaseException) -> None:
        """Count, and note it in the span of the message."""
        labels = {"smtpx.provider": provider, "error.type": error_type(error)}
        self._tools.add("smtpx.mailer.failover", 1, labels)
        self._note("smtpx.mailer.failover", labels)

    def breaker_changed(self, provider: str, *, is_open: bool) -> None:
        """Count those that are open."""
        self._tools.add("smtpx.mailer.breaker.open", 1 if is_open else -1, {"smtpx.provider": provider})

    def waited(self, provider: Facts, seconds: float) -> None:
        """Put the wait into the histogram."""
        self._tools.record("smtpx.mailer.rate_limit.wait", seconds * 1000, _by(provider))

    def _note(self, name: str, labels: Labels) -> None:
        self._tools.trace.get_current_span().add_event(name, labels)


def _by(provider: Facts | None) -> dict[str, str | int]:
    return {} if provider is None else {"smtpx.provider": provider.name, "smtpx.provider.type": provider.type}


def _server(provider: Facts | None) -> dict[str, str | int]:
    if provider is None or provider.address is None:
        return {}
    return {"server.address": provider.address, **({} if provider.port is None else {"server.port": provider.port})}


class _Scope:
    """A span that is the current one."""

    def __init__(self, tools: Tools, name: str, provider: Facts | None, send_type: str) -> None:
        from opentelemetry import context

        self._tools = tools
        self._context = context
        attributes = {**_by(provider), **_server(provider), "smtpx.send_type": send_type}
        self.span = tools.tracer.start_span(name, attributes=attributes)
        self._token = context.attach(tools.trace.set_span_in_context(self.span))

    def close(self, attributes: Labels) -> None:
        """End it."""
        self._context.detach(self._token)
        self._tools.close(self.span, attributes)


class _Message(MessageObserver):
    """One message; `scope` is its span, unless it is one of many."""

    def __init__(self, tools: Tools, provider: Facts | None, scope: _Scope | None, send_type: str) -> None:
        self._tools = tools
        self._provider = provider
        self._scope = scope
        self._send_type = send_type
        self._begun = time.perf_counter()

    def ended(self, result: SendResult | None, error: BaseException | None) -> None:
        tools, provider = self._tools, self._provider
        milliseconds = (time.perf_counter() - self._begun) * 1000
        found = result or getattr(error, "result", None)
        fate = fate_of(found if isinstance(found, SendResult) else None, error)
        kind = {"send_type": self._send_type}
        if provider is not None and provider.speaks_smtp:
            status = {"status": "success" if error is None else "error", **kind, **_server(provider)}
            tools.record("email.provider.smtp.send.duration", milliseconds, status)
            tools.add("email.provider.smtp.send.total", 1, {**status, **fate})
        by = {**_by(provider), **kind}
        tools.add("smtpx.mailer.builder.send.count", 1, by)
        tools.record("smtpx.mailer.builder.send.duration", milliseconds, by)
        if error is not None:
            tools.add("smtpx.mailer.builder.send.errors", 1, {**by, "error.type": error_type(error)})
        if self._scope is not None:
            self._scope.close({**fate, **_numbers(found)})


def _numbers(result: object) -> dict[str, int]:
    if not isinstance(result, SendResult):
        return {}
    return {"smtpx.recipients.accepted": len(result.accepted), "smtpx.recipients.refused": len(result.refused)}


class _Bulk:
    """One `send_bulk`: its span is the parent of those of SMTP."""

    def __init__(self, tools: Tools, provider: Facts | None) -> None:
        self._tools = tools
        self._provider = provider
        self._scope = _Scope(tools, "smtpx.mailer.send_bulk", provider, "bulk")
        self._messages = 0

    def message_started(self, provider: Facts | None) -> _Message:
        self._messages += 1
        return _Message(self._tools, provider, None, "bulk")

    def ended(self, error: BaseException | None) -> None:
        self._tools.record("smtpx.mailer.batch.size", self._messages, _by(self._provider))
        self._scope.close({**fate_of(None, error), "smtpx.messages": self._messages})
