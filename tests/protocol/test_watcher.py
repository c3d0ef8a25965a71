"""Both protocol objects tell whoever looks on of whole lines, in order; and no more than they may."""

from typing import Any

import pytest

from smtpx.protocol.client import ClientProtocol
from smtpx.protocol.dialect import LMTP
from smtpx.protocol.events import AuthAsked, BodyEnded, HelloAsked, MailAsked, PauseAsked, RcptAsked, ResetAsked
from smtpx.protocol.facts import TLSFacts
from smtpx.protocol.server import ServerProtocol
from smtpx.wire.reply import Reply
from tests.protocol.server_peer import CUTS, EHLO, ENVELOPE, MECHANISMS, TLS_FACTS, AtServer, make_settings

ASKING = (AuthAsked, BodyEnded, HelloAsked, MailAsked, PauseAsked, RcptAsked, ResetAsked)


class AtClient:
    """Keeps what a client tells."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def said(self, command: str, line: str) -> None:
        self.told.append(("said", command, line))

    def heard(self, command: str, reply: Reply) -> None:
        self.told.append(("heard", command, str(reply)))

    def secured(self, tls: TLSFacts) -> None:
        self.told.append(("secured", tls))

    def closed(self) -> None:
        self.told.append(("closed",))


def served(script: str, *, cut: int | None, **options: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401
    """What a server tells of a script."""
    protocol = ServerProtocol(make_settings(**options))
    protocol.watcher = watcher = AtServer()
    protocol.greet()
    octets = script.encode()
    for start in range(0, len(octets), cut or len(octets)):
        protocol.receive_data(octets[start : start + (cut or len(octets))])
        while (event := protocol.next_event()) is not None:
            if isinstance(event, ASKING):
                protocol.answer()
    return watcher.told


@pytest.mark.parametrize("cut", CUTS)
def test_a_server_tells_of_a_message(cut: int | None) -> None:
    script = EHLO + ENVELOPE + "DATA\r\n"
    told = served(script, cut=cut)
    assert told == [
        ("said", 220),
        ("heard", b"EHLO client.example"),
        ("said", 250),
        ("heard", b"MAIL FROM:<a@client.example>"),
        ("said", 250),
        ("heard", b"RCPT TO:<b@server.example>"),
        ("said", 250),
        ("heard", b"DATA"),
        ("said", 354),
    ]
    content = served(script + "x\r\n.\r\nQUIT\r\n", cut=cut, sync_check="off")
    assert content[len(told) :] == [("content", 3), ("said", 250), ("heard", b"QUIT"), ("said", 221)]


@pytest.mark.parametrize("cut", CUTS)
def test_a_server_tells_of_auth_without_its_answers(cut: int | None) -> None:
    script = EHLO + "AUTH LOGIN\r\ndXNlcg==\r\nc2VjcmV0\r\n"
    told = served(script, cut=cut, mechanisms=MECHANISMS, allow_insecure_auth=True)
    assert told[3:] == [
        ("heard", b"AUTH LOGIN"),
        ("said", 334),
        ("responded",),
        ("said", 334),
        ("responded",),
        ("said", 535),
    ]


@pytest.mark.parametrize("cut", CUTS)
def test_an_answer_that_is_too_long_is_an_answer(cut: int | None) -> None:
    script = EHLO + "AUTH LOGIN\r\n" + "A" * 20_000 + "\r\n"
    told = served(script, cut=cut, mechanisms=MECHANISMS, allow_insecure_auth=True)
    assert told[3:] == [("heard", b"AUTH LOGIN"), ("said", 334), ("responded",), ("said", 500)]


def test_a_server_tells_of_every_reply() -> None:
    """Also those that do not go the usual way: LMTP's verdicts, 421, what comes late, STARTTLS."""
    lmtp = "LHLO x\r\n" + ENVELOPE + "RCPT TO:<c@server.example>\r\nDATA\r\nx\r\n.\r\n"
    assert served(lmtp, cut=None, dialect=LMTP, sync_check="off")[-2:] == [("said", 250), ("said", 250)]
    assert [event for event in served("\r\n" * 30, cut=None) if event[0] == "said"][-1] == ("said", 421)
    assert served(EHLO + "STARTTLS\r\n", cut=None, starttls=True)[-1] == ("heard", b"STARTTLS")
    protocol = ServerProtocol(make_settings(starttls=True))
    protocol.watcher = watcher = AtServer()
    protocol.greet()
    protocol.receive_data(b"EHLO x\r\nSTARTTLS\r\n")
    while protocol.next_event() is not None:
        protocol.answer()
    assert watcher.told[-1] == ("said", 220)


# The client ----------------------------------------------------------------------------------------------------------


def test_a_client_tells_what_it_says_and_hears() -> None:
    protocol = ClientProtocol()
    protocol.watcher = watcher = AtClient()

    def hear(text: str) -> None:
        protocol.receive_data(text.encode())
        while protocol.next_answer() is not None:
            pass

    hear("220 x\r\n")
    protocol.command("EHLO", "me")
    hear("250-x\r\n250 STARTTLS\r\n")
    protocol.command("STARTTLS")
    hear("220 go\r\n")
    protocol.tls_started(TLS_FACTS)
    protocol.command("EHLO", "me")
    hear("250 x\r\n")
    protocol.command("AUTH", "LOGIN c2VjcmV0", shown="AUTH LOGIN ****")
    hear("334 x\r\n")
    protocol.respond(b"c2VjcmV0")
    hear("235 in\r\n")
    protocol.connection_closed()
    assert watcher.told == [
        ("heard", "GREETING", "220 x"),
        ("said", "EHLO", "EHLO me"),
        ("heard", "EHLO", "250 x / STARTTLS"),
        ("said", "STARTTLS", "STARTTLS"),
        ("heard", "STARTTLS", "220 go"),
        ("secured", TLS_FACTS),
        ("said", "EHLO", "EHLO me"),
        ("heard", "EHLO", "250 x"),
        ("said", "AUTH", "AUTH LOGIN ****"),
        ("heard", "AUTH", "334 x"),
        ("said", "AUTH RESPONSE", "****"),
        ("heard", "AUTH RESPONSE", "235 in"),
        ("closed",),
    ]


def test_a_command_that_is_never_sent_is_not_told_of() -> None:
    protocol = ClientProtocol()
    protocol.watcher = watcher = AtClient()
    with pytest.raises(ValueError, match="out of order"):
        protocol.command("MAIL", "FROM:<a@b.example>")
    assert watcher.told == []
