"""`ping` of a client: whether the server can be had now, in both colours."""

from collections.abc import AsyncIterator, Iterator

import pytest

from smtpx import AsyncClient, Client, Server, ServerThread, Session
from smtpx.errors import ConnectError, ConnectionLost, LocalProtocolError, TemporaryRefusal
from tests.peers import Colour, ScriptedServer

START = "S: 220 ready\nC: EHLO me\nS: 250 x\n"
NOOP = "C: NOOP\nS: 250 fine\n"
QUIT = "C: QUIT\nS: 221 bye\n"


def url(server: ScriptedServer) -> str:
    return f"smtp+plain://127.0.0.1:{server.port}?hello_name=me"


def test_a_connection_is_opened_and_kept(colour: Colour) -> None:
    with ScriptedServer(START + NOOP + NOOP + QUIT) as server, colour.client(url(server)) as client:
        assert client.ping().text == "fine"
        assert client.ping().code == 250
        assert server.connections == 1


@pytest.mark.parametrize("end", ["EOF", "P: 421 4.3.2 shutting down\nEOF"])
def test_an_idle_connection_that_went_says_nothing_about_the_server(colour: Colour, end: str) -> None:
    with ScriptedServer(START + NOOP + end, START + NOOP + QUIT) as server, colour.client(url(server)) as client:
        client.ping()
        assert client.ping().code == 250
        assert server.connections == 2


def test_a_new_connection_that_goes_does(colour: Colour) -> None:
    with ScriptedServer(START + "C: NOOP\nEOF") as server, colour.client(url(server)) as client:
        with pytest.raises(ConnectionLost):
            client.ping()
        assert server.connections == 1


def test_a_refusal_is_an_answer(colour: Colour) -> None:
    script = START + "C: NOOP\nS: 450 4.3.2 not now\n" + QUIT
    with ScriptedServer(script) as server, colour.client(url(server)) as client:
        with pytest.raises(TemporaryRefusal, match="not now"):
            client.ping()
        assert server.connections == 1


def test_nobody_there(colour: Colour) -> None:
    with ScriptedServer(START) as server:
        gone = url(server)
    with colour.client(gone) as client, pytest.raises(ConnectError):
        client.ping()


def test_nobody_is_waited_for_when_all_are_in_use() -> None:
    answers: list[object] = []
    with ServerThread(Session, port=0) as server, Client(server.url, max_connections=1) as client:

        def content() -> Iterator[bytes]:
            yield b"Subject: x\r\n\r\n"
            answers.append(client.ping())

        client.send(content(), sender="a@example.org", recipients=["b@example.org"])
        assert client.ping() is not None
    assert answers == [None]


async def test_nobody_is_awaited_when_all_are_in_use() -> None:
    answers: list[object] = []
    async with Server(Session, port=0) as server, AsyncClient(server.addresses[0], max_connections=1) as client:

        async def content() -> AsyncIterator[bytes]:
            yield b"Subject: x\r\n\r\n"
            answers.append(await client.ping())

        await client.send(content(), sender="a@example.org", recipients=["b@example.org"])
        assert await client.ping() is not None
    assert answers == [None]
    with pytest.raises(LocalProtocolError, match="closed"):
        await client.ping()
