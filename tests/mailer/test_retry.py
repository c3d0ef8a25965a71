"""When a message is tried again."""

import pytest

from smtpx.errors import ConfigurationError, ConnectError, ConnectionLost, LocalProtocolError, RefusedError
from smtpx.flows.outcome import SendResult
from smtpx.mailer.provider import NotTriedError
from smtpx.mailer.retry import Retry, may_repeat
from smtpx.wire.reply import Reply


def test_waits_grow_up_to_a_limit_and_are_spread() -> None:
    retry = Retry(attempts=6, first_seconds=5, factor=3, max_seconds=60, jitter_seconds=2, dice=lambda: 0.5)
    assert [retry.seconds_before(attempt) for attempt in range(2, 7)] == [6, 16, 46, 61, 61]
    assert 5 <= Retry().seconds_before(2) <= 6


@pytest.mark.parametrize(
    "options",
    [{"attempts": 0}, {"first_seconds": -1}, {"factor": 0.5}, {"max_seconds": -1}, {"jitter_seconds": -1}],
)
def test_what_makes_no_sense(options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        Retry(**options)  # type: ignore[arg-type]


def test_only_temporary_errors_before_the_content() -> None:
    temporary = RefusedError.of(Reply(451, None), stage="rcpt")
    assert may_repeat(temporary)
    assert may_repeat(ConnectError("x"))
    temporary.result = SendResult({"a@b.example": Reply(250, None)}, {})
    for error in (
        temporary,  # somebody has it
        RefusedError.of(Reply(550, None), stage="rcpt"),
        RefusedError.of(Reply(451, None), stage="final"),
        ConnectionLost("x", stage="body"),
        ConnectionLost("x", stage="final"),
        LocalProtocolError("x"),
        NotTriedError("x"),
        ValueError("x"),
        OSError("x"),
    ):
        assert not may_repeat(error), error
