"""Who looks on need not look at everything."""

from smtpx.server.observer import ServerObserver


def test_an_observer_that_overrides_nothing_does_nothing() -> None:
    assert ServerObserver().limit_hit("192.0.2.1", "max_connections", 1000) is None
