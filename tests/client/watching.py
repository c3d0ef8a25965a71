"""Somebody who looks on and keeps what it is told."""

from typing import Any

from smtpx.client.observer import ClientConnectionObserver, ClientObserver, MessageObserver
from smtpx.flows.outcome import SendResult
from smtpx.net.targets import Target

__all__ = ["EVENTS", "Keeper"]

EVENTS = [name for name in vars(ClientConnectionObserver) if not name.startswith("_")]


class Keeper(ClientObserver):
    """Keeps what it is told, as tuples."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def message_started(self, target: Target, *, bulk: bool) -> MessageObserver:
        self.events.append(("message", bulk))
        return _Message(self.events)

    def connection_started(self, connection_id: str, target: Target) -> ClientConnectionObserver:
        self.events.append(("started", connection_id, str(target)))
        return _Connection(connection_id, target, self.events)

    def of(self, name: str) -> list[tuple[Any, ...]]:
        """What was told by one method."""
        return [event[1:] for event in self.events if event[0] == name]

    @property
    def names(self) -> list[str]:
        """Which methods were called, in order, but for commands and replies."""
        return [event[0] for event in self.events if event[0] not in ("command", "reply")]


class _Message(MessageObserver):
    def __init__(self, events: list[tuple[Any, ...]]) -> None:
        self._events = events

    def ended(self, result: SendResult | None, error: BaseException | None) -> None:
        self._events.append(("ended", result, error))


class _Connection(ClientConnectionObserver):
    def __init__(self, connection_id: str, target: Target, events: list[tuple[Any, ...]]) -> None:
        super().__init__(connection_id, target)
        for name in EVENTS:
            setattr(self, name, self._keep(name, events))

    @staticmethod
    def _keep(name: str, events: list[tuple[Any, ...]]) -> Any:  # noqa: ANN401 - a method of any form
        return lambda *args: events.append((name, *args))
