"""XFORWARD (H094)."""

from collections.abc import Iterable

import pytest

from smtpx.extensions import XForward
from smtpx.protocol.facts import Claims
from smtpx.server.peer import Peer
from tests.protocol.server_peer import EHLO, ENVELOPE, EXTENSIONS, MAIL, RCPT, ServerPeer, make_settings

FILTER = "192.0.2.1"
GOOD = "XFORWARD NAME=client.example ADDR=198.51.100.7 PORT=4711 SOURCE=remote\r\n"
SAID = Claims(name="client.example", address="198.51.100.7", port=4711, source="REMOTE")


def connect(trusted: Iterable[str] = (FILTER,)) -> ServerPeer:
    peer = ServerPeer(make_settings(extensions=[*EXTENSIONS, XForward(trusted)]))
    peer.protocol.facts.address = FILTER
    return peer.connect()


def forwarded(peer: ServerPeer) -> Claims | None:
    return Peer("1", (FILTER, 25), peer.protocol).forwarded


@pytest.mark.parametrize(("trusted", "offered"), [((), False), ((FILTER,), True)])
def test_h094_offered_to_trusted_peers_only(trusted: tuple[str, ...], offered: bool) -> None:
    peer = connect(trusted)
    codes = peer.send(EHLO + GOOD)
    assert ("XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE" in peer.outcome.replies[0].lines) == offered
    assert codes == ["250", "250 2.0.0" if offered else "550 5.7.0"]
    assert forwarded(peer) == (SAID if offered else None)


def test_h094_between_transactions_only() -> None:
    assert connect().send(GOOD + EHLO + MAIL + GOOD + RCPT + GOOD) == [
        *("503 5.5.1", "250", "250 2.1.0", "503 5.5.1", "250 2.1.5", "503 5.5.1")
    ]


@pytest.mark.parametrize("argument", ["", " FOO=x", " NAME=+4", " PORT=x", " SOURCE=both", " IDENT=" + "a" * 256])
def test_h094_malformed_changes_nothing(argument: str) -> None:
    peer = connect()
    assert peer.send(EHLO + f"XFORWARD{argument}\r\n" + MAIL) == ["250", "501 5.5.4", "250 2.1.0"]
    assert forwarded(peer) is None


def test_values_come_in_several_commands() -> None:
    peer = connect()
    assert peer.send(EHLO + GOOD + "XFORWARD NAME=[UNAVAILABLE] IDENT=42 ADDR=elsewhere\r\n") == [
        *("250", "250 2.0.0", "250 2.0.0")
    ]
    assert forwarded(peer) == Claims(address="elsewhere", port=4711, source="REMOTE", ident="42")


@pytest.mark.parametrize("end", ["DATA\r\n|.\r\n", "BDAT 1 LAST\r\nx", "RSET\r\n", EHLO, "BDAT 1 NO\r\nx"])
def test_h094_values_end_with_the_transaction(end: str) -> None:
    peer = connect()
    peer.send(EHLO + GOOD + ENVELOPE)
    assert forwarded(peer) == SAID
    for step in end.split("|"):
        peer.send(step)
    assert forwarded(peer) is None


def test_values_outlive_a_refused_mail() -> None:
    peer = connect()
    peer.send(EHLO + GOOD + "MAIL FROM:<a@b> FOO=1\r\n")
    assert forwarded(peer) == SAID


def test_a_client_that_is_a_filter() -> None:
    argument = XForward.argument(SAID)
    assert argument == "NAME=client.example ADDR=198.51.100.7 PORT=4711 SOURCE=REMOTE"
    peer = connect()
    peer.send(f"{EHLO}XFORWARD {argument}\r\n")
    assert forwarded(peer) == SAID
