"""Verbs of extensions, in both colours."""

import pytest

from smtpx.errors import LocalProtocolError, PermanentRefusal, TemporaryRefusal
from tests.peers import Colour, ScriptedServer

START = "S: 220 ready\nC: EHLO me\nS: 250-x\nS: 250 XCLIENT ADDR\n"
QUIT = "C: QUIT\nS: 221 bye\n"


def url(server: ScriptedServer) -> str:
    return f"smtp://localhost:{server.port}?hello_name=me"


def test_a_verb_of_an_extension(colour: Colour) -> None:
    script = START + "C: XTAGS\nS: 250 2.0.0 a=1\nC: XTAGS b\nS: 501 5.5.4 no\n" + QUIT
    with ScriptedServer(script) as server, colour.open(url(server)) as connection:
        assert connection.command("xtags").text == "a=1"
        with pytest.raises(PermanentRefusal) as caught:
            connection.command("XTAGS", "b")
        assert (caught.value.stage, caught.value.command) == ("xtags", "XTAGS b")


def test_behind_xclient_the_hello_comes_again(colour: Colour) -> None:
    again = "C: XCLIENT ADDR=192.0.2.1\nS: 220 ready\nC: EHLO me\nS: 250 y\n"
    with ScriptedServer(START + again + QUIT) as server, colour.open(url(server)) as connection:
        assert "XCLIENT" in connection.capabilities
        assert connection.command("XCLIENT", "ADDR=192.0.2.1").code == 220
        assert "XCLIENT" not in connection.capabilities


def test_a_refused_xclient_changes_nothing(colour: Colour) -> None:
    refused = "C: XCLIENT ADDR=192.0.2.1\nS: 421 4.3.2 not now\n"
    with ScriptedServer(START + refused) as server, colour.open(url(server)) as connection:
        with pytest.raises(TemporaryRefusal):
            connection.command("XCLIENT", "ADDR=192.0.2.1")
        assert not connection.is_open


@pytest.mark.parametrize("verb", ["DATA", "quit", "StartTLS", "BDAT", "Auth", "X\r\nQUIT", "", "X Y"])
def test_verbs_that_are_not_sent(colour: Colour, verb: str) -> None:
    with ScriptedServer(START + QUIT) as server, colour.open(url(server)) as connection:
        with pytest.raises(LocalProtocolError):
            connection.command(verb)
        assert connection.is_open
