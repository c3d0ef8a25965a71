"""`smtpx serve` run in this process leaves the log as it was."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def leave_logging_as_it_was() -> Iterator[None]:
    logger = logging.getLogger("smtpx")
    handlers, level, propagate = list(logger.handlers), logger.level, logger.propagate
    yield
    logger.handlers[:], logger.propagate = handlers, propagate
    logger.setLevel(level)
