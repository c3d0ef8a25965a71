"""One line in the log for each transaction: who, to whom, how much, and what became of it."""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping

from smtpx.protocol import replies
from smtpx.server.body import Body, TransferAborted
from smtpx.server.middleware import Middleware
from smtpx.server.session import Reject, Session
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply

__all__ = ["TransactionLog"]

_MAX_RECIPIENTS = 20  # named in a line; all are counted
_Verdict = Reply | Mapping[str, Reply] | None


class TransactionLog:
    """Writes `transaction id=... from=... to=... outcome=...` for each MAIL that was accepted.

    The record has the same as attributes: `transaction`, a dictionary for programs, and `connection` and `peer`. Put it
    outermost, so that it sees what the others refuse.

    Args:
        logger: default `smtpx.transactions`.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        logger: logging.Logger | None = None,
        *,
        level: int = logging.INFO,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.logger = logger or logging.getLogger("smtpx.transactions")
        self.level = level
        self.clock = clock

    def __call__(self, inner: Session) -> Session:
        return _Logged(inner, self) if self.logger.isEnabledFor(self.level) else inner

    def write(self, fields: Mapping[str, object]) -> None:
        """One line."""
        text = " ".join(f"{name}={_shown(value)}" for name, value in fields.items())
        extra = {"transaction": dict(fields), "connection": fields["connection"], "peer": fields["peer"]}
        self.logger.log(self.level, "transaction %s", text, extra=extra)


class _Logged(Middleware):
    def __init__(self, inner: Session, log: TransactionLog) -> None:
        super().__init__(inner)
        self._log = log
        self._count = 0
        self._sender: Mailbox | None = None  # None: no transaction, or its line is written
        self._begun = 0.0
        self._recipients: list[str] = []
        self._accepted = self._refused = 0

    async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
        begun = self._log.clock()
        reply = await super().mail(sender, params)
        if _is_success(reply):
            self._count += 1
            self._sender, self._begun, self._recipients = sender, begun, []
            self._accepted = self._refused = 0
        return reply

    async def rcpt(self, recipient: Mailbox, params: Params) -> Reply | None:
        self._refused += 1  # unless it is taken
        reply = await super().rcpt(recipient, params)
        if _is_success(reply):
            self._refused -= 1
            self._accepted += 1
            if self._accepted <= _MAX_RECIPIENTS:
                self._recipients.append(str(recipient))
        return reply

    async def data(self, body: Body) -> _Verdict:
        outcome = "error"
        try:
            verdict = await super().data(body)
            outcome = _outcome(verdict)
        except Reject as refusal:
            outcome = str(refusal.reply)
            raise
        except TransferAborted as error:
            outcome = str(error)
            raise
        finally:
            self._write(outcome, body.size)
        return verdict

    async def reset(self) -> None:
        self._write("no message", 0)
        await super().reset()

    async def close(self) -> None:
        self._write("no message", 0)
        await super().close()

    def _write(self, outcome: str, octets: int) -> None:
        sender, self._sender = self._sender, None
        if sender is None:
            return
        peer = self.peer
        self._log.write(
            {
                "id": f"{peer.id}.{self._count}",
                "connection": peer.id,
                "peer": peer.address,
                "hello": peer.hello_name,
                "user": peer.identity,
                "tls": peer.tls.version if peer.tls is not None else None,
                "from": str(sender),
                "to": self._recipients,
                "accepted": self._accepted,
                "refused": self._refused,
                "octets": octets,
                "seconds": round(self._log.clock() - self._begun, 3),
                "outcome": outcome,
            }
        )


def _is_success(reply: Reply | None) -> bool:
    return reply is None or reply.code < 300


def _outcome(verdict: _Verdict) -> str:
    if isinstance(verdict, Mapping):
        counts = Counter(reply.code for reply in verdict.values())
        return " ".join(f"{code}:{count}" for code, count in sorted(counts.items()))
    return str(verdict or replies.MESSAGE_OK)


def _shown(value: object) -> str:
    """JSON, so that nothing a client sends can make a field or a line of its own."""
    return json.dumps(value)
