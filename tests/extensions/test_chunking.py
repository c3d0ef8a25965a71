"""CHUNKING (RFC 3030), PIPELINING (RFC 2920) and ENHANCEDSTATUSCODES (RFC 2034): said, and done."""

from smtpx.extensions import Chunking, EnhancedStatusCodes, Pipelining
from smtpx.protocol.commands import bdat
from smtpx.protocol.facts import ServerFacts
from tests.protocol.server_peer import EHLO, ENVELOPE, make_settings, survives


def test_all_are_offered_without_arguments() -> None:
    for extension in (Chunking(), Pipelining(), EnhancedStatusCodes()):
        assert extension.advertise(make_settings(), ServerFacts()) == ""


def test_chunking_brings_bdat() -> None:
    assert Chunking().verbs() == {"BDAT": bdat}
    assert survives(EHLO, ENVELOPE + "BDAT 1\r\nxBDAT 1 LAST\r\ny").contents == [b"xy"]


def test_rfc2034_3_codes_where_they_belong() -> None:
    outcome = survives(EHLO, ENVELOPE + "DATA\r\n", ".\r\n")
    assert [reply.enhanced is None for reply in outcome.replies] == [True, False, False, True, False]
