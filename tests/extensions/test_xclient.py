"""XCLIENT, alone and on a real server (H094)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

import pytest

from smtpx.extensions import STANDARD, XClient
from smtpx.protocol import replies
from smtpx.protocol.events import AuthAsked, ConnectAsked, Event
from smtpx.protocol.facts import Claims, TLSFacts
from smtpx.protocol.phases import Phase
from smtpx.protocol.settings import ServerSettings
from smtpx.server.listener import Server
from smtpx.server.session import Reject, Session
from smtpx.wire.reply import Reply
from tests.protocol.server_peer import (
    EHLO,
    EXTENSIONS,
    GOOD_AUTH,
    MAIL,
    MECHANISMS,
    NOOP,
    RCPT,
    TLS_FACTS,
    Policy,
    ServerPeer,
    make_settings,
)

PROXY = "192.0.2.1"
GOOD = "XCLIENT NAME=client.example ADDR=198.51.100.7 PORT=4711 PROTO=ESMTP HELO=client.example\r\n"
OFFER = "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"


def settings(trusted: Iterable[str] = (PROXY,), *, login: bool = False) -> ServerSettings:
    extensions = [*EXTENSIONS, XClient(trusted, login=login)]
    return make_settings(extensions=extensions, starttls=True, mechanisms=MECHANISMS, allow_insecure_auth=True)


def connect(
    rules: ServerSettings | None = None,
    policy: Policy | None = None,
    *,
    tls: TLSFacts | None = None,
    address: str = PROXY,
) -> ServerPeer:
    peer = ServerPeer(rules or settings(), policy, tls=tls)
    peer.protocol.facts.address, peer.protocol.facts.port = address, 25
    return peer.connect()


def offers(peer: ServerPeer) -> tuple[str, ...]:
    peer.send(EHLO)
    return peer.outcome.replies[-1].lines


def test_h094_offered_to_trusted_peers_only() -> None:
    assert OFFER in offers(connect())
    assert OFFER not in offers(connect(address="192.0.2.2"))
    assert OFFER not in offers(connect(settings(())))


def test_h094_refused_to_others() -> None:
    for rules in (settings(()), settings(("192.0.2.2",))):
        peer = connect(rules)
        assert peer.send(EHLO + GOOD + NOOP) == ["250", "550 5.7.0", "250 2.0.0"]
        assert peer.protocol.facts.claims is None


def test_h094_between_transactions_only() -> None:
    assert connect().send(GOOD) == ["503 5.5.1"]
    assert connect().send(EHLO + MAIL + GOOD + RCPT + GOOD + "BDAT 1\r\nx" + GOOD) == [
        *("250", "250 2.1.0", "503 5.5.1", "250 2.1.5", "503 5.5.1", "250 2.0.0", "503 5.5.1")
    ]


@pytest.mark.parametrize(
    "argument",
    ["", " ", " FOO=x", " ADDR=+4", " ADDR=host", " PORT=70000", " PROTO=HTTP", " NAME=" + "a" * 256, " NAME=a FOO=b"],
)
def test_h094_malformed_changes_nothing(argument: str) -> None:
    peer = connect()
    assert peer.send(EHLO + f"XCLIENT{argument}\r\n" + MAIL) == ["250", "501 5.5.4", "250 2.1.0"]
    assert peer.protocol.facts.claims is None


@pytest.mark.parametrize("cut", [None, 1, 7])
def test_h094_back_to_after_connect(cut: int | None) -> None:
    peer = connect(tls=TLS_FACTS)
    assert peer.send(EHLO + GOOD + MAIL + EHLO + MAIL, cut) == ["250", "220", "503 5.5.1", "250", "250 2.1.0"]
    facts = peer.protocol.facts
    assert peer.outcome.replies[1].text == "server.example ESMTP ready"
    assert (facts.tls, facts.address, facts.port) == (TLS_FACTS, PROXY, 25)
    assert facts.claims == Claims(
        name="client.example", address="198.51.100.7", port=4711, protocol="ESMTP", hello_name="client.example"
    )


def test_h094_starttls_is_not_to_be_had_any_more() -> None:
    peer = connect()
    assert "STARTTLS" in offers(peer)
    peer.send(GOOD)
    assert "STARTTLS" not in offers(peer)
    assert peer.send("STARTTLS\r\n" + NOOP) == ["503 5.5.1", "250 2.0.0"]


def test_what_a_proxy_does_not_know() -> None:
    peer = connect()
    peer.send(EHLO + "XCLIENT ADDR=[unavailable] NAME=[TEMPUNAVAIL] port=[UNAVAILABLE]\r\n")
    assert peer.protocol.facts.claims == Claims(address="unknown")


def test_what_it_said_before_holds_on() -> None:
    peer = connect()
    peer.send(EHLO + GOOD + EHLO + "XCLIENT NAME=[UNAVAILABLE] DESTADDR=IPV6:2001:db8::1 DESTPORT=25\r\n")
    claims = peer.protocol.facts.claims
    assert claims is not None
    assert (claims.name, claims.address) == (None, "198.51.100.7")
    assert (claims.destination_address, claims.destination_port) == ("2001:db8::1", 25)


def test_a_login_is_forgotten() -> None:
    peer = connect()
    assert peer.send(EHLO + GOOD_AUTH + GOOD) == ["250", "235 2.7.0", "220"]
    assert peer.protocol.facts.identity is None
    assert peer.send(EHLO + GOOD_AUTH) == ["250", "235 2.7.0"]
    assert len(peer.outcome.of(AuthAsked)) == 2


@pytest.mark.parametrize("counts", [True, False])
def test_login_counts_only_if_it_is_allowed_to(counts: bool) -> None:
    peer = connect(settings(login=counts))
    peer.send(EHLO + "XCLIENT LOGIN=user ADDR=198.51.100.7\r\n")
    facts = peer.protocol.facts
    assert facts.identity == ("user" if counts else None)
    assert facts.claims is not None
    assert facts.claims.login == "user"
    assert peer.send(EHLO + GOOD_AUTH)[-1] == ("503 5.5.1" if counts else "235 2.7.0")


@pytest.mark.parametrize(
    ("answer", "codes", "phase"),
    [
        (None, ["250", "220"], Phase.HELLO),
        (replies.OK, ["250", "220"], Phase.HELLO),
        (replies.make(554, "5.7.1", "no"), ["250", "554 5.7.1"], Phase.CLOSED),
        (replies.SHUTTING_DOWN, ["250", "421 4.3.2"], Phase.CLOSED),
    ],
)
def test_the_shell_is_asked_again(answer: Reply | None, codes: list[str], phase: Phase) -> None:
    peer = connect(policy=Policy({ConnectAsked: answer}))
    assert peer.send(EHLO + GOOD + NOOP)[:2] == codes
    assert peer.protocol.phase is phase


def test_a_client_that_is_a_proxy() -> None:
    claims = Claims(name="a b", address="2001:db8::1", port=25, destination_address="192.0.2.1", login="u=1")
    argument = XClient.argument(claims)
    assert argument == "NAME=a+20b ADDR=IPV6:2001:db8::1 PORT=25 LOGIN=u+3D1 DESTADDR=192.0.2.1"
    peer = connect()
    peer.send(f"{EHLO}XCLIENT {argument}\r\n")
    assert peer.protocol.facts.claims == claims
    assert XClient.argument(Claims(address="unknown")) == "ADDR=[UNAVAILABLE]"


# On a port ----------------------------------------------------------------------------------------------------------


class Seen(Session):
    """Notes whom it saw, and refuses one."""

    peers: list[tuple[str, int, str | None, bool, str | None]]

    async def connect(self) -> None:
        peer = self.peer
        name = peer.claims.name if peer.claims else None
        self.peers.append((peer.address, peer.port, peer.hello_name, peer.is_local, name))
        if peer.address == "203.0.113.9":
            raise Reject(554, "5.7.1", "not you")


@contextlib.asynccontextmanager
async def dialogue(session: type[Session]) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    extensions = [*STANDARD, XClient(["127.0.0.1"])]
    async with Server(session, port=0, extensions=extensions, hostname="server.example") as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        assert (await reader.readline()).startswith(b"220 ")
        yield reader, writer
        writer.close()


async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: str) -> bytes:
    writer.write(line.encode())
    while (reply := await reader.readline())[3:4] == b"-":
        pass
    return reply[:4]


async def test_a_session_sees_the_client_behind_the_proxy() -> None:
    Seen.peers = []
    async with dialogue(Seen) as (reader, writer):
        port = writer.get_extra_info("sockname")[1]
        assert await say(reader, writer, EHLO) == b"250 "
        assert await say(reader, writer, GOOD) == b"220 "
        assert await say(reader, writer, EHLO) == b"250 "
        assert await say(reader, writer, "XCLIENT ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE]\r\n") == b"220 "
        assert await say(reader, writer, EHLO) == b"250 "
        assert await say(reader, writer, "XCLIENT ADDR=203.0.113.9\r\n") == b"554 "
        assert await reader.read() == b""
    assert Seen.peers == [
        ("127.0.0.1", port, None, True, None),
        ("198.51.100.7", 4711, "client.example", False, "client.example"),
        ("unknown", 0, "client.example", False, "client.example"),
        ("203.0.113.9", 0, "client.example", False, "client.example"),
    ]


async def test_a_session_without_connect_is_not_asked() -> None:
    async with dialogue(Session) as (reader, writer):
        assert await say(reader, writer, EHLO) == b"250 "
        assert await say(reader, writer, GOOD) == b"220 "
        assert await say(reader, writer, EHLO) == b"250 "


def test_one_question_for_each() -> None:
    peer = connect()
    peer.send(EHLO + GOOD)
    asked: list[Event] = peer.outcome.of(ConnectAsked)
    assert asked == [ConnectAsked()]
