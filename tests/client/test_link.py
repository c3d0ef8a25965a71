"""The blocking link: however a call ends, the connection is in a known state or closed."""
# ruff: noqa: ANN401 - a message is anything here, and options are of any kind

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from smtpx.client.link import Link
from smtpx.client.mail import Mail
from smtpx.client.settings import settings_for
from smtpx.errors import (
    DeadlineError,
    LocalProtocolError,
    PermanentRefusal,
    TLSError,
    UnsupportedError,
)
from smtpx.flows.steps import Timeouts
from tests.client.conftest import Certificates
from tests.client.dialogues import BODY, FROM, LOCK, MESSAGE, QUIT, START, TO, url
from tests.peers import ScriptedServer

STARTTLS = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n"


def opened(server: ScriptedServer, scheme: str = "smtp", **options: Any) -> Link:
    return Link.open(settings_for(url(server, scheme), **options))


def send(link: Link, message: Any = BODY) -> Any:
    return link.send(Mail(message, FROM, [TO]), {}, strict=False, smtputf8=None)


def test_one_message() -> None:
    seen: list[tuple[str, bytes]] = []
    with ScriptedServer(START + MESSAGE + QUIT) as server:
        link = opened(server, trace=lambda *each: seen.append(each))
        assert link.is_open
        assert str(server.port) in str(link.peer)
        result = send(link)
        assert (result.reply.text, result.duration_seconds > 0) == ("done", True)
        link.quit()
        link.quit()
        assert not link.is_open
    assert ("S", b"220 ready\r\n") in seen
    assert seen[-2:] == [("C", b"QUIT\r\n"), ("S", b"221 bye\r\n")]


def test_content_comes_in_pieces() -> None:
    with ScriptedServer(START + MESSAGE + QUIT) as server:
        link = opened(server)
        assert send(link, iter([BODY[:5], BODY[5:]])).accepted
        link.quit()


def test_a_link_of_the_callers_making() -> None:
    with ScriptedServer(LOCK + "C: QUIT\n") as server:
        port = server.port
        settings = settings_for(
            "smtp://mail.invalid?hello_name=me", connect=lambda *_: socket.create_connection(("127.0.0.1", port))
        )
        link = Link.open(settings)
        link.leave()  # waits for nothing
        link.leave()
        assert not link.is_open


def test_a_refusal_leaves_it_open() -> None:
    with ScriptedServer(LOCK + "C: NOOP\nS: 550 no\n" + QUIT) as server:
        link = opened(server)
        with pytest.raises(PermanentRefusal):
            link.run(link.conversation.noop())
        assert link.is_open
        link.quit()


def test_a_late_reply_closes() -> None:
    with ScriptedServer(LOCK + "C: NOOP\n") as server:
        link = opened(server, timeouts=Timeouts(other=0.05))
        with pytest.raises(DeadlineError):
            link.run(link.conversation.noop())
        assert not link.is_open
        with pytest.raises(LocalProtocolError, match="closed"):
            link.run(link.conversation.noop())


def test_an_interruption_closes() -> None:
    def pieces() -> Iterator[bytes]:
        yield BODY
        raise KeyboardInterrupt

    with ScriptedServer(LOCK) as server:
        link = opened(server)
        with pytest.raises(KeyboardInterrupt):
            send(link, pieces())
        assert not link.is_open


def test_one_thing_at_a_time() -> None:
    with ScriptedServer(LOCK + QUIT) as server:
        link = opened(server)

        def pieces() -> Iterator[bytes]:
            link.run(link.conversation.noop())
            yield b""

        with pytest.raises(LocalProtocolError, match="in use"):
            send(link, pieces())
        assert link.is_open
        link.quit()


def test_opportunistic_goes_on_in_clear_over_a_new_connection() -> None:
    with ScriptedServer(STARTTLS + "EOF", LOCK + QUIT, tolerant=True) as server:
        link = opened(server)
        assert link.conversation.protocol.tls is None
        link.quit()
        assert server.connections == 2


def test_who_wants_tls_does_not() -> None:
    with ScriptedServer(STARTTLS + "EOF", LOCK, tolerant=True) as server:
        with pytest.raises(TLSError):
            opened(server, "submission")
        assert server.connections == 1
    with ScriptedServer(LOCK + QUIT) as server, pytest.raises(UnsupportedError):
        opened(server, "submission")


@pytest.mark.parametrize(("scheme", "script"), [("smtps", "TLS\n" + LOCK), ("smtp+starttls", STARTTLS + "TLS\n")])
def test_tls(certificates: Certificates, scheme: str, script: str) -> None:
    script += QUIT if scheme == "smtps" else "C: EHLO me\nS: 250 x\n" + QUIT
    with ScriptedServer(script, tls=certificates.server) as server:
        link = opened(server, scheme, ca_file=certificates.ca_file)
        assert link.conversation.protocol.tls is not None
        assert link.conversation.protocol.tls.verified
        link.quit()


def test_tls_from_the_start_is_a_part_of_connecting() -> None:
    with ScriptedServer("S: 220 in clear\n", tolerant=True) as server, pytest.raises(TLSError) as caught:
        opened(server, "smtps")
    assert caught.value.stage == "connect"
