"""What all tests stand on."""

import signal


def pytest_configure() -> None:
    """A shell starts programs in the background deaf to Ctrl-C, and they pass that on to those that they start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
