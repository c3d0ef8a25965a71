"""The numbers of `ServerLimits` and `ClientLimits`, where a standard says how small they may be."""

import dataclasses

import pytest

from smtpx.protocol.limits import ClientLimits, ServerLimits


def test_rfc5321_4_5_3_1_minimum_sizes() -> None:
    limits = ServerLimits()
    assert limits.max_command_line_bytes >= 512
    assert limits.max_local_part_bytes >= 64
    assert limits.max_recipients >= 100
    assert limits.max_text_line_bytes is None
    assert limits.max_message_bytes is None or limits.max_message_bytes >= 65_536


def test_rfc5321_6_3_at_least_100_hops() -> None:
    assert ServerLimits().max_hops >= 100


def test_rfc4954_4_and_9_lines_and_failures() -> None:
    limits = ServerLimits()
    assert limits.max_auth_line_bytes >= 12_288
    assert limits.max_auth_failures >= 3


def test_delays_come_before_the_end() -> None:
    limits = ServerLimits()
    assert limits.soft_error_limit < limits.hard_error_limit
    assert limits.max_command_line_bytes <= limits.max_discard_bytes


def test_client_takes_replies_of_any_allowed_size() -> None:
    limits = ClientLimits()
    assert limits.max_reply_line_bytes >= 512
    assert limits.max_reply_bytes >= limits.max_reply_line_bytes


@pytest.mark.parametrize("limits", [ServerLimits(), ClientLimits()])
def test_limits_are_values(limits: ServerLimits | ClientLimits) -> None:
    assert limits == dataclasses.replace(limits)
    name = dataclasses.fields(limits)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(limits, name, 1)
