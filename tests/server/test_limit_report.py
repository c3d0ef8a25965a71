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
    def __init__(self, error: Exception | None = None) -> None:
        self.seen: list[tuple[str, str, float]] = []
        self.error = error

    def limit_hit(self, address: str, limit: str, value: float) -> None:
        self.seen.append((address, limit, value))
        if self.error is not None:
            raise self.error


def test_a_line_with_peer_name_and_value() -> None:
    log = Log()
    report_limit(None, log, "192.0.2.1", "max_recipients", 100)
    assert log.lines == [(logging.INFO, "192.0.2.1 ran into the limit max_recipients of 100", None)]


def test_the_observer_is_told_and_may_fail() -> None:
    log, watcher, failing = Log(), Watcher(), Watcher(ValueError("no"))
    report_limit(watcher, log, "unix", "max_hops", 100)
    assert watcher.seen == [("unix", "max_hops", 100)]
    report_limit(failing, log, "unix", "max_hops", 100)
    assert failing.seen == watcher.seen
    assert log.lines[-1] == (logging.ERROR, "the observer raised in limit_hit", failing.error)
