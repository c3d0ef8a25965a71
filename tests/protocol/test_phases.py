"""THE table, and the two functions that read it."""

import pytest

from smtpx.protocol.phases import TABLE, Phase, after, allows
from smtpx.wire.codes import Severity

IN_TRANSACTION = [Phase.SENDER, Phase.RECIPIENTS, Phase.CHUNKS]


def test_every_row_leads_somewhere() -> None:
    for (phase, command), row in TABLE.items():
        assert Severity.TEMPORARY in row, (phase, command)
        assert Severity.PERMANENT in row, (phase, command)
        assert len(row) > 2, (phase, command)


@pytest.mark.parametrize("key", TABLE, ids=str)
def test_after_follows_the_table(key: tuple[Phase, str]) -> None:
    for severity, phase in TABLE[key].items():
        assert after(*key, severity * 100 + 50) is phase


@pytest.mark.parametrize("key", TABLE, ids=str)
def test_rfc5321_3_8_a_421_closes_from_everywhere(key: tuple[Phase, str]) -> None:
    assert after(*key, 421) is Phase.CLOSED


def test_what_is_absent_changes_nothing() -> None:
    for phase in Phase:
        assert after(phase, "XYZZY", 250) is phase
        assert after(phase, "XYZZY", 503) is phase
    assert after(Phase.READY, "RCPT", 503) is Phase.READY


def test_rfc2920_3_1_a_354_opens_a_body_even_where_none_was_due() -> None:
    assert after(Phase.SENDER, "DATA", 354) is Phase.BODY
    assert after(Phase.SENDER, "DATA", 503) is Phase.SENDER


@pytest.mark.parametrize("phase", IN_TRANSACTION)
def test_rfc5321_4_1_4_mail_only_outside_a_transaction(phase: Phase) -> None:
    assert not allows(phase, "MAIL")
    assert not allows(phase, "AUTH")
    assert allows(phase, "RSET")
    assert after(phase, "RSET", 250) is Phase.READY


def test_rfc5321_4_1_4_what_needs_no_hello() -> None:
    for command in ("NOOP", "HELP", "EXPN", "VRFY", "RSET", "QUIT"):
        assert allows(Phase.HELLO, command)
    for command in ("MAIL", "RCPT", "DATA", "BDAT", "AUTH", "STARTTLS"):
        assert not allows(Phase.HELLO, command)
    assert after(Phase.HELLO, "RSET", 250) is Phase.HELLO


def test_rfc3030_2_no_data_behind_a_chunk() -> None:
    assert not allows(Phase.CHUNKS, "DATA")
    assert allows(Phase.CHUNKS, "BDAT LAST")


def test_verbs_of_extensions_are_in_order_once_greeted() -> None:
    for phase in Phase:
        assert allows(phase, "XOWN") == (phase in (Phase.READY, *IN_TRANSACTION))


def test_every_phase_is_reached() -> None:
    assert {phase for row in TABLE.values() for phase in row.values()} == set(Phase) - {Phase.BANNER}
