"""The client's log: connections at DEBUG, messages at INFO. Loaded only where somebody reads it."""

import logging

from smtpx.client.observer import ClientConnectionObserver, TransactionOutcome
from smtpx.protocol.facts import TLSFacts
from smtpx.wire.reply import Reply

__all__ = ["ConnectionLog"]

_log = logging.getLogger("smtpx.client")


class ConnectionLog(ClientConnectionObserver):
    """One connection's lines."""

    def connected(self, peer: str, seconds: float) -> None:
        self._write(logging.DEBUG, self.id, "connected to %s in %.3f s", peer, seconds)

    def attempt_failed(self, address: str, reason: str) -> None:
        self._write(logging.DEBUG, self.id, "no answer from %s: %s", address, reason)

    def open_failed(self, error: BaseException, seconds: float) -> None:
        self._write(logging.INFO, self.id, "no connection to %s: %s", self.target, error)

    def tls_started(self, facts: TLSFacts, seconds: float) -> None:
        verified = "verified" if facts.verified else "not verified"
        self._write(logging.DEBUG, self.id, "TLS %s %s, %s", facts.version, facts.cipher, verified)

    def authenticated(self, mechanism: str, reply: Reply, seconds: float) -> None:
        self._write(logging.DEBUG, self.id, "AUTH %s: %d", mechanism, reply.code)

    def transaction_ended(self, transaction: TransactionOutcome) -> None:
        result, error = transaction.result, transaction.error
        if result is None:
            self._write(logging.INFO, transaction.id, "message not sent: %s", error)
            return
        text = "message accepted for %d recipients, refused for %d: %s"
        self._write(logging.INFO, transaction.id, text, len(result.accepted), len(result.refused), result.reply)

    def closed(self, messages: int, seconds: float) -> None:
        self._write(logging.DEBUG, self.id, "closed after %d messages", messages)

    def _write(self, level: int, name: str, text: str, *args: object) -> None:
        if _log.isEnabledFor(level):
            extra = {"connection": self.id, "server": str(self.target)}
            if name != self.id:
                extra["transaction"] = name
            _log.log(level, "[%s] " + text, name, *args, extra=extra)
