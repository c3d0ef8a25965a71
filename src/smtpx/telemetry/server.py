"""A server's metrics, and a span for each transaction."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from smtpx.protocol.facts import TLSFacts
from smtpx.server.observer import ConnectionSummary, ServerConnectionObserver, ServerObserver, TransactionSummary
from smtpx.server.peer import Peer
from smtpx.telemetry.instruments import SERVER, SERVER_GAUGES, Labels, Tools
from smtpx.wire.reply import Reply

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from smtpx.server.listener import Server

__all__ = ["ServerTelemetry"]


class ServerTelemetry(ServerObserver):
    """Metrics and spans of the servers it is given to: `Server(..., observer=ServerTelemetry())`.

    Args:
        meter_provider, tracer_provider: of the OpenTelemetry SDK; None: the global ones.

    Raises:
        ConfigurationError: without smtpx[otel].
    """

    def __init__(
        self, meter_provider: "MeterProvider | None" = None, tracer_provider: "TracerProvider | None" = None
    ) -> None:
        self._tools = Tools(SERVER, meter_provider, tracer_provider)

    def attach(self, server: "Server") -> None:
        """Give the gauges of a server too, once it is made.

        They are read when somebody collects, in any thread.
        """
        values: tuple[Callable[[], float | None], ...] = (
            lambda: server.health().held_bytes,
            lambda: server.health().stuck,
            lambda: server.health().is_ready,
        )
        for instrument, read in zip(SERVER_GAUGES, values, strict=True):
            self._tools.gauge(instrument, read)

    def connection_opened(self, peer: Peer) -> ServerConnectionObserver:
        """Count it, and look on."""
        return _Connection(peer, self._tools)

    def connection_refused(self, address: str, reason: str) -> None:
        """Count it."""
        self._tools.add("smtpx.server.connection.refused", 1, {"smtpx.reason": reason})

    def limit_hit(self, address: str, limit: str, value: float) -> None:
        """Count it."""
        self._tools.add("smtpx.server.limit", 1, {"smtpx.limit": limit})

    def certificates_reloaded(self, error: str | None, not_after: float | None) -> None:
        """Count it, and keep when they end."""
        result = "success" if error is None else "failure"
        self._tools.add("smtpx.server.tls.reload", 1, {"smtpx.result": result})
        if not_after is not None:
            self._tools.set("smtpx.server.tls.certificate_not_after", not_after)


class _Connection(ServerConnectionObserver):
    def __init__(self, peer: Peer, tools: Tools) -> None:
        super().__init__(peer)
        self._tools = tools
        self._in_transaction = False
        self._in_content = False
        self._hook_failed = False
        tools.add("smtpx.server.connection.open", 1)

    def tls_started(self, facts: TLSFacts) -> None:
        self._tools.add("smtpx.server.tls", 1, {"smtpx.result": "success"})

    def tls_failed(self, reason: str) -> None:
        self._tools.add("smtpx.server.tls", 1, {"smtpx.result": reason})

    def authenticated(self, mechanism: str, reply: Reply) -> None:
        result = "success" if reply.code == 235 else "failure"
        self._tools.add("smtpx.server.auth", 1, {"smtpx.mechanism": mechanism or "other", "smtpx.result": result})

    def command(self, verb: str, line: str) -> None:
        if verb.startswith("BDAT"):
            self._enter_content()

    def reply(self, command: str, reply: Reply) -> None:
        labels: Labels = {"smtpx.verb": command or "other", "smtpx.reply.class": f"{reply.code // 100}yz"}
        self._tools.add("smtpx.server.command", 1, labels)
        if reply.code == 354:
            self._enter_content()

    def _enter_content(self) -> None:
        if self._in_transaction and not self._in_content:
            self._in_content = True
            self._tools.add("smtpx.server.message.open", 1)

    def transaction_started(self, transaction_id: str, sender: str) -> None:
        self._in_transaction, self._hook_failed = True, False

    def transaction_ended(self, transaction: TransactionSummary) -> None:
        if self._in_content:
            self._tools.add("smtpx.server.message.open", -1)
        self._in_transaction = self._in_content = False
        outcome: Labels = {"smtpx.outcome": transaction.outcome}
        self._tools.add("smtpx.server.message", 1, outcome)
        self._tools.record("smtpx.server.transaction.duration", transaction.seconds, outcome)
        if transaction.outcome == "accepted":
            self._tools.record("smtpx.server.message.size", transaction.octets)
        kind = self._tools.trace.SpanKind.SERVER
        error = "a method of the session raised" if self._hook_failed else None
        self._tools.span("smtpx.server.transaction", kind, transaction.seconds, self._attributes(transaction), error)

    def _attributes(self, transaction: TransactionSummary) -> Labels:
        peer = self.peer
        attributes: dict[str, str | int] = {
            "network.protocol.name": "smtp",
            "network.transport": "tcp" if peer.port else "unix",
            "network.peer.address": peer.address,
            "smtpx.connection.id": peer.id,
            "smtpx.transaction.id": transaction.id,
            "smtpx.outcome": transaction.outcome,
            "smtpx.recipients": transaction.recipients,
            "smtpx.recipients.refused": transaction.refused_recipients,
            "smtpx.octets": transaction.octets,
        }
        if transaction.outcome == "refused" and transaction.verdicts:
            attributes["error.type"] = str(transaction.verdicts[0].code)
        elif transaction.given_up is not None:
            attributes["error.type"] = transaction.given_up.name.lower()
        return attributes

    def hook_ended(self, hook: str, seconds: float) -> None:
        self._tools.record("smtpx.server.hook.duration", seconds, {"smtpx.hook": hook})

    def hook_failed(self, hook: str, reference: str, error: BaseException) -> None:
        self._hook_failed = True
        self._tools.add("smtpx.server.hook.error", 1, {"smtpx.hook": hook})

    def deadline_passed(self, due: str) -> None:
        self._tools.add("smtpx.server.deadline", 1, {"smtpx.deadline": due})

    def closed(self, summary: ConnectionSummary) -> None:
        self._tools.add("smtpx.server.connection.open", -1)
        self._tools.record("smtpx.server.connection.duration", summary.seconds)
        if summary.was_silent:
            self._tools.add("smtpx.server.connection.silent", 1)
        self._tools.add("smtpx.server.io", summary.octets_in, {"network.io.direction": "receive"})
        self._tools.add("smtpx.server.io", summary.octets_out, {"network.io.direction": "transmit"})
