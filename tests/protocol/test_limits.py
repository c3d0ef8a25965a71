"""The numbers of `ServerLimits` and `ClientLimits`, where a standard says how small they may be."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from smtpx.errors import ConfigurationError
from smtpx.protocol.events import LimitHit
from smtpx.protocol.limits import ClientLimits, DefaultCap, ServerLimits
from tests.protocol.server_peer import (
    BAD_AUTH,
    EHLO,
    ENVELOPE,
    MAIL,
    MECHANISMS,
    NOOP,
    RCPT,
    Outcome,
    make_settings,
    play,
)


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


UNLIMITED = {
    "max_message_bytes",
    "max_text_line_bytes",
    "max_null_sender_recipients",
    "max_messages_per_connection",
    "max_unauthenticated_commands",
    "auth_failures_per_user",
    "max_connections_per_ip",
    "connection_rate_per_ip",
    "max_session_seconds",
}


@pytest.mark.parametrize("kind", [ServerLimits, ClientLimits])
def test_rule_4_none_is_unlimited_only_where_it_is_allowed(kind: Callable[..., Any]) -> None:
    """Anywhere else it would be an exception for every connection, and that is too late to hear of it."""
    for name in (each.name for each in dataclasses.fields(kind())):
        if name in UNLIMITED:
            assert getattr(kind(**{name: None}), name) is None
            continue
        with pytest.raises(ConfigurationError, match=f"{name} can't be unlimited"):
            kind(**{name: None})


@pytest.mark.parametrize("value", [-1, -0.5, float("nan")])
def test_no_limit_is_less_than_nothing(value: float) -> None:
    kinds: list[tuple[Callable[..., Any], str]] = [
        (ServerLimits, "max_recipients"),
        (ServerLimits, "max_session_seconds"),
        (ClientLimits, "chunk_bytes"),
    ]
    for kind, name in kinds:
        with pytest.raises(ConfigurationError, match=f"{name} is {value}, and must be 0 or more"):
            kind(**{name: value})


# Under pressure ------------------------------------------------------------------------------------------------------


def changes(limits: ServerLimits) -> dict[str, Any]:
    """What pressure changes."""
    before, after = dataclasses.asdict(limits), dataclasses.asdict(limits.under_pressure())
    return {name: value for name, value in after.items() if value != before[name]}


def test_rule_5_the_values_under_pressure() -> None:
    usual = ServerLimits(max_unauthenticated_commands=20)
    assert changes(usual) == {
        "soft_error_limit": 1,
        "error_delay_seconds": 0.0,
        "hard_error_limit": 2,
        "junk_command_limit": 5,
        "small_chunk_limit": 100,
        "recipient_overshoot": 10,
        "max_messages_per_connection": 20,
        "max_unauthenticated_commands": 10,
        "max_connections_per_ip": 5,
        "connection_rate_per_ip": 30,
        "max_session_seconds": 600.0,
    }
    assert changes(usual.under_pressure()) == {}


def test_rule_5_what_is_tighter_or_has_no_limit_stays() -> None:
    free = ServerLimits(
        max_messages_per_connection=None,
        max_connections_per_ip=None,
        connection_rate_per_ip=None,
        max_session_seconds=None,
    )
    assert not changes(free).keys() & {
        "max_messages_per_connection",
        "max_unauthenticated_commands",
        "max_connections_per_ip",
        "connection_rate_per_ip",
        "max_session_seconds",
    }
    assert "hard_error_limit" not in changes(ServerLimits(hard_error_limit=1))


@pytest.mark.parametrize("number", [DefaultCap(50), 50])
def test_rule_5_a_default_stays_one(number: int) -> None:
    pressed = ServerLimits(max_connections_per_ip=number).under_pressure()
    assert pressed.max_connections_per_ip == 5
    assert type(pressed.max_connections_per_ip) is type(number)


# Each limit, just below and just above -------------------------------------------------------------------------------


def message(content: str) -> tuple[str, str]:
    return ENVELOPE + "DATA\r\n", content + ".\r\n"


def rows() -> list[tuple[str, int, dict[str, Any], tuple[str, ...], tuple[str, ...], str]]:
    """Limit, its number, limits beside it; what is within it and what is beyond, and the last reply to that."""
    bad = "XYZZY\r\n"
    chunks = EHLO + ENVELOPE + "BDAT 1\r\nx" * 3
    one = (EHLO, *message("x\r\n"))
    return [
        ("soft_error_limit", 2, {}, (bad * 2,), (bad * 3,), "500 5.5.2"),
        ("hard_error_limit", 3, {}, (bad * 2,), (bad * 3,), "421 4.7.0"),
        ("junk_command_limit", 3, {}, (NOOP * 3,), (NOOP * 4,), "250 2.0.0"),
        ("small_chunk_limit", 3, {}, (chunks,), (chunks + "BDAT 1\r\nx",), "250 2.0.0"),
        ("max_recipients", 2, {}, (EHLO + MAIL + RCPT * 2,), (EHLO + MAIL + RCPT * 3,), "452 4.5.3"),
        (
            "recipient_overshoot",
            2,
            {"max_recipients": 1, "hard_error_limit": 1},
            (EHLO + MAIL + RCPT * 3,),
            (EHLO + MAIL + RCPT * 4,),
            "421 4.7.0",
        ),
        (
            "max_null_sender_recipients",
            1,
            {},
            (EHLO + "MAIL FROM:<>\r\n" + RCPT + "RSET\r\n" + MAIL + RCPT * 2,),
            (EHLO + "MAIL FROM:<>\r\n" + RCPT * 2,),
            "452 4.5.3",
        ),
        ("max_messages_per_connection", 1, {}, one, (*one, MAIL), "421 4.7.0"),
        ("max_unauthenticated_commands", 2, {}, (NOOP * 2,), (NOOP * 3,), "421 4.7.0"),
        ("max_command_line_bytes", 40, {}, (f"NOOP {'x' * 33}\r\n",), (f"NOOP {'x' * 34}\r\n",), "500 5.5.2"),
        ("max_command_line_bytes", 40, {}, (NOOP,), (f"NOOP {'x' * 13_000}\r\n",), "500 5.5.2"),
        ("max_discard_bytes", 20_000, {}, (f"NOOP {'x' * 15_000}\r\n",), ("x" * 40_000,), "500 5.5.2"),
        (
            "max_auth_line_bytes",
            16,
            {},
            (EHLO, "AUTH LOGIN\r\n", "QUFB" * 4 + "\r\n"),
            (EHLO, "AUTH LOGIN\r\n", "QUFB" * 5 + "\r\n"),
            "500 5.5.6",
        ),
        ("max_auth_failures", 2, {}, (EHLO + BAD_AUTH,), (EHLO + BAD_AUTH * 2,), "421 4.7.0"),
        (
            "max_local_part_bytes",
            5,
            {},
            (EHLO + "MAIL FROM:<abcde@x.example>\r\n",),
            (EHLO + "MAIL FROM:<abcdef@x.example>\r\n",),
            "501 5.1.7",
        ),
        (
            "max_esmtp_params",
            1,
            {},
            (EHLO + "MAIL FROM:<a@x.example> SIZE=1\r\n",),
            (EHLO + "MAIL FROM:<a@x.example> SIZE=1 BODY=8BITMIME\r\n",),
            "501 5.5.4",
        ),
        ("max_text_line_bytes", 5, {}, (EHLO, *message("abcde\r\n")), (EHLO, *message("abcdef\r\n")), "550 5.6.0"),
        (
            "max_header_bytes",
            10,
            {},
            (EHLO, *message("A: 45678\r\n\r\nx\r\n")),
            (EHLO, *message("A: 456789\r\n")),
            "552 5.3.4",
        ),
        (
            "max_hops",
            1,
            {},
            (EHLO, *message("Received: x\r\n\r\n")),
            (EHLO, *message("Received: x\r\n" * 2)),
            "554 5.4.6",
        ),
        ("max_message_bytes", 10, {}, (EHLO, *message("12345678\r\n")), (EHLO, *message("123456789\r\n")), "552 5.3.4"),
        (
            "max_message_bytes",
            10,
            {},
            (EHLO + "MAIL FROM:<a@x.example> SIZE=10\r\n",),
            (EHLO + "MAIL FROM:<a@x.example> SIZE=11\r\n",),
            "552 5.3.4",
        ),
        (
            "max_message_bytes",
            10,
            {},
            (EHLO + ENVELOPE + "BDAT 10 LAST\r\n12345678\r\n",),
            (EHLO + ENVELOPE + "BDAT 11 LAST\r\n123456789\r\n",),
            "552 5.3.4",
        ),
        ("max_message_bytes", 10, {}, (EHLO + ENVELOPE,), (EHLO + ENVELOPE + "BDAT 99999999\r\n",), "552 5.3.4"),
    ]


def hits(outcome: Outcome) -> list[tuple[str, float]]:
    return [(hit.limit, hit.value) for hit in outcome.of(LimitHit)]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_rule_3_a_limit_is_told_when_it_is_hit_and_not_before(row: tuple[Any, ...]) -> None:
    name, value, others, within, beyond, code = row
    settings = make_settings(limits={name: value} | others, mechanisms=MECHANISMS, allow_insecure_auth=True)
    below = play(*within, settings=settings)
    assert name not in dict(hits(below))
    assert not below.closed
    above = play(*beyond, settings=settings)
    assert hits(above).count((name, value)) == 1
    assert above.codes[-1] == code


def test_rule_3_another_protocol_is_a_limit_too() -> None:
    assert hits(play(NOOP)) == []
    for octets in ("GET / HTTP/1.1\r\n", b"\x16\x03", f"POST {'x' * 13_000}\r\n"):
        outcome = play(octets)
        assert ("foreign_verbs", 0) in hits(outcome)
        assert outcome.closed


def test_rule_3_a_run_is_told_once_until_a_message_is_accepted() -> None:
    settings = make_settings(limits={"junk_command_limit": 1, "hard_error_limit": 100})
    outcome = play(NOOP * 10, EHLO, *message("x\r\n"), NOOP * 10, settings=settings)
    assert hits(outcome).count(("junk_command_limit", 1)) == 2
