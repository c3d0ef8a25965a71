"""Timeouts by stage."""

import pytest

from smtpx.flows.steps import Timeouts


@pytest.mark.parametrize(
    ("stage", "seconds"),
    [
        ("greeting", 300),
        ("hello", 300),
        ("starttls", 300),
        ("auth", 300),
        ("mail", 300),
        ("rcpt", 300),
        ("data", 120),
        ("body", 180),
        ("final", 600),
        ("reset", 300),
        ("verify", 300),
        ("noop", 300),
        ("xclient", 300),
        ("quit", 2),
    ],
)
def test_rfc5321_4_5_3_2_waits(stage: str, seconds: float) -> None:
    assert Timeouts().of(stage) == seconds


def test_each_can_be_changed() -> None:
    names = ["greeting", "hello", "auth", "mail", "rcpt", "data", "final", "quit"]
    for n, name in enumerate(names):
        assert Timeouts(**{name: float(n)}).of(name) == n
    assert Timeouts(block=7).of("body") == 7
    assert Timeouts(other=8).of("starttls") == 8
