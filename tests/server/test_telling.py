"""What is told of a connection, and under which name."""

import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest

from smtpx.server.observer import ServerObserver
from smtpx.server.patience import Due
from smtpx.server.settings import Deadlines
from smtpx.server.telling import Teller


class Watching(ServerObserver):
    def __init__(self) -> None:
        self.hit: list[tuple[str, str, float]] = []

    def limit_hit(self, address: str, limit: str, value: float) -> None:
        self.hit.append((address, limit, value))


def teller(observer: ServerObserver | None = None) -> tuple[Teller, Any]:
    peer: Any = SimpleNamespace(id="id", address="192.0.2.1", transaction_id=None)
    return Teller(peer, observer), peer


def test_lines_bear_the_name_of_the_connection_or_of_its_transaction(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "smtpx.server")
    told, peer = teller()
    told.log(logging.DEBUG, "nobody reads this")
    told.log(logging.INFO, "one %d", 1)
    peer.transaction_id = "id.1"
    told.log(logging.ERROR, "two", error=ValueError("no"))
    assert [record.getMessage() for record in caplog.records] == ["[id] one 1", "[id.1] two"]
    first, second = (vars(record) for record in caplog.records)
    assert (first["connection"], first["peer"], "transaction" in first) == ("id", "192.0.2.1", False)
    assert second["transaction"] == "id.1"
    assert caplog.records[1].exc_info is not None


def test_limits_and_deadlines_reach_the_observer() -> None:
    observer = Watching()
    told, _ = teller(observer)
    told.limit_hit("max_hops", 100)
    for due in Due:
        told.deadline_hit(due, Deadlines(data=7))
    assert observer.hit[0] == ("192.0.2.1", "max_hops", 100)
    assert ("192.0.2.1", "data", 7) in observer.hit
    assert len(observer.hit) == 1 + len(Due)


def test_events_are_for_whoever_looks_on() -> None:
    told, _ = teller()
    told.tell("tls_failed", "timeout")
    seen: list[tuple[Any, ...]] = []
    told.watch = cast("Any", SimpleNamespace(tell=lambda *event: seen.append(event)))
    told.tell("tls_failed", "timeout")
    assert seen == [("tls_failed", "timeout")]
