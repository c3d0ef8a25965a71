"""ENHANCEDSTATUSCODES (RFC 2034): said, and done."""

from smtpx.extensions.enhanced_codes import EnhancedStatusCodes
from smtpx.protocol.facts import ServerFacts
from tests.protocol.server_peer import EHLO, ENVELOPE, make_settings, survives


def test_offered_without_arguments() -> None:
    assert EnhancedStatusCodes().advertise(make_settings(), ServerFacts()) == ""


def test_rfc2034_3_codes_where_they_belong() -> None:
    outcome = survives(EHLO, ENVELOPE + "DATA\r\n", ".\r\n")
    assert [reply.enhanced is None for reply in outcome.replies] == [True, False, False, True, False]
