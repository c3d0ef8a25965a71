"""PIPELINING (RFC 2920): said, and done."""

from smtpx.extensions.pipelining import Pipelining
from smtpx.protocol.facts import ServerFacts
from tests.protocol.server_peer import EHLO, ENVELOPE, NOOP, make_settings, survives


def test_offered_without_arguments() -> None:
    assert Pipelining().advertise(make_settings(), ServerFacts()) == ""


def test_rfc2920_3_2_a_group_is_answered_in_order() -> None:
    assert survives(EHLO, "RSET\r\n" + ENVELOPE + NOOP).codes[1:] == [
        "250 2.0.0",
        "250 2.1.0",
        "250 2.1.5",
        "250 2.0.0",
    ]
