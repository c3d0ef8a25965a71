"""CHUNKING (RFC 3030): said, and done."""

from smtpx.extensions.chunking import Chunking
from smtpx.protocol.commands import bdat
from smtpx.protocol.facts import ServerFacts
from tests.protocol.server_peer import EHLO, ENVELOPE, make_settings, survives


def test_offered_without_arguments() -> None:
    assert Chunking().advertise(make_settings(), ServerFacts()) == ""


def test_chunking_brings_bdat() -> None:
    assert Chunking().verbs() == {"BDAT": bdat}
    assert survives(EHLO, ENVELOPE + "BDAT 1\r\nxBDAT 1 LAST\r\ny").contents == [b"xy"]
