"""Limits are told to the log and to whoever looks on, who changes nothing."""

import logging

from smtpx.server.limit_report import report_limit
from smtpx.server.observer import ServerObserver

Line = tuple[int, str, BaseException | None]


class Log:
    def __init__(self) -> None:
        self.lines: list[Line] = []

    def __call__(self, level: int, text: str, *args: object, error: BaseException | None = None) -> None:
        self.lines.append((level, text % args, error))


class Watcher(ServerObserver):
    def __init__(self) -> None:
        self.seen: list[tuple[str, str, float]] = []

    def limit_hit(self, address: str, limit: str, value: float) -> None:
        self.seen.append((address, limit, value))


def test_a_line_with_peer_name_and_value() -> None:
    log = Log()
    report_limit(None, log, "192.0.2.1", "max_recipients", 100)
    assert log.lines == [(logging.INFO, "192.0.2.1 ran into the limit max_recipients of 100", None)]


def test_the_observer_is_told() -> None:
    log, watcher = Log(), Watcher()
    report_limit(watcher, log, "unix", "max_hops", 100)
    assert watcher.seen == [("unix", "max_hops", 100)]
    assert len(log.lines) == 1
