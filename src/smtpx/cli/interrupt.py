"""A message that a signal stops: what is known of it by then is told all the same."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from smtpx.cli.status import Status
from smtpx.client.crew import Worker
from smtpx.client.link import Link
from smtpx.client.sync import Client
from smtpx.errors import SMTPXError, TransportError

__all__ = ["Interrupted", "InterruptibleClient"]

_Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers


class Interrupted(SMTPXError):
    """A signal came before it was known what would become of the message."""

    def __init__(self, number: int, *, stage: str | None, result: object = None) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}", stage=stage)
        self.result = result
        self.status = Status(128 + number)


class InterruptibleClient(Client):
    """A client for one message, stopped by SIGINT or SIGTERM inside its `with` block.

    To the conversation that is a lost connection, so the error has what was known when it ended. A second signal waits
    for nothing. A signal that is ignored, as SIGINT behind nohup is, stays so.

    Raises:
        Interrupted: when the block is left, if the signal is why.
    """

    _stopped_by: int | None = None
    _link: Link | None = None

    def __enter__(self) -> Self:
        self._handlers: dict[int, _Handler] = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                handler = signal.getsignal(number)
                if handler not in (signal.SIG_IGN, None):
                    self._handlers[number] = handler
                    signal.signal(number, self._stop)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            super().__exit__(kind, error, tb)
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
        if isinstance(error, KeyboardInterrupt):
            stage = None if self._link is None else "final"  # nobody can say how far it came
            raise Interrupted(self._stopped_by or signal.SIGINT, stage=stage) from None
        if isinstance(error, TransportError) and self._stopped_by is not None:
            raise Interrupted(self._stopped_by, stage=error.stage, result=error.result) from None

    def _stop(self, number: int, _: FrameType | None) -> None:
        again, self._stopped_by = self._stopped_by is not None, number
        if again or self._link is None:
            raise KeyboardInterrupt
        self._link.interrupt()

    def _acquire(self, *, fresh: bool = False, worker: Worker | None = None) -> Link:
        if self._stopped_by is not None:
            raise KeyboardInterrupt
        self._link = super()._acquire(fresh=fresh, worker=worker)
        return self._link
