"""What is told of one connection: lines in the log, limits that were hit, events for whoever looks on."""

import logging

from smtpx.server.limit_report import report_limit
from smtpx.server.observer import ServerObserver
from smtpx.server.patience import Due
from smtpx.server.peer import Peer
from smtpx.server.settings import Deadlines
from smtpx.server.watch import Watch

__all__ = ["Teller"]

_log = logging.getLogger("smtpx.server")
_DEADLINE_OF = {
    Due.COMMAND: "command",
    Due.AUTH: "auth_step",
    Due.CONTENT: "data",
    Due.TLS: "tls_handshake",
    Due.HANDLER: "handler",
    Due.FINAL: "final",
    Due.WRITE: "write",
    Due.CLOSE: "close",
}


class Teller:
    """Tells under the name of a connection.

    Attributes:
        watch: who looks on; None: nobody.
    """

    __slots__ = ("_observer", "_peer", "watch")

    def __init__(self, peer: Peer, observer: ServerObserver | None) -> None:
        self._peer = peer
        self._observer = observer
        self.watch: Watch | None = None

    def log(self, level: int, text: str, *args: object, error: BaseException | None = None) -> None:
        """Write a line to the log."""
        if _log.isEnabledFor(level):
            peer = self._peer
            extra = {"connection": peer.id, "peer": peer.address}
            if peer.transaction_id is not None:
                extra["transaction"] = peer.transaction_id
            _log.log(level, "[%s] " + text, peer.transaction_id or peer.id, *args, exc_info=error, extra=extra)

    def limit_hit(self, limit: str, value: float) -> None:
        """Tell log and observer that the peer ran into a limit."""
        report_limit(self._observer, self.log, self._peer.address, limit, value)

    def deadline_hit(self, due: Due, deadlines: Deadlines) -> None:
        """The same of a deadline."""
        name = _DEADLINE_OF[due]
        self.limit_hit(name, getattr(deadlines, name))

    def tell(self, event: str, *args: object) -> None:
        """Tell whoever looks on, by the name of the method."""
        if self.watch is not None:
            self.watch.tell(event, *args)
