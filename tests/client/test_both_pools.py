"""Both clients with their pools: which connection a message goes over, and what is never sent twice."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from smtpx.client.aio import AsyncClient
from smtpx.client.mail import Mail
from smtpx.client.settings import Limits
from smtpx.client.sync import Client
from smtpx.errors import (
    ConnectionLost,
    LocalProtocolError,
    PermanentRefusal,
    RemoteProtocolError,
)
from tests.client.dialogues import BODY, BODY_WIRE, ENVELOPE, FROM, LOCK, LOCK_MESSAGE, MESSAGE, QUIT, START, TO, url
from tests.peers import Colour, ScriptedServer


def test_t06_the_pool_never_hands_such_a_connection_out(colour: Colour) -> None:
    with (
        ScriptedServer(START + MESSAGE + "S: 250 injected\n", LOCK_MESSAGE) as server,
        colour.client(url(server)) as client,
    ):
        client.send(BODY, sender=FROM, recipients=[TO])
        time.sleep(0.05)
        assert client.send(BODY, sender=FROM, recipients=[TO]).reply.text == "done"
        assert server.connections == 2


def test_a_server_that_breaks_pipelining_gets_none_afterwards(colour: Colour) -> None:
    broken = START + f"C: MAIL FROM:<{FROM}> SIZE=21\nC: RCPT TO:<{TO}>\nC: DATA\nS: 250 m\nS: 354 what\n"
    with ScriptedServer(broken, LOCK_MESSAGE, tolerant=True) as server, colour.client(url(server)) as client:
        with pytest.raises(RemoteProtocolError):
            client.send(BODY, sender=FROM, recipients=[TO])
        assert client.send(BODY, sender=FROM, recipients=[TO]).reply.text == "done"


def test_idle_connection_that_died_is_replaced_and_the_message_sent_once(colour: Colour) -> None:
    for end in ("EOF", "S: 421 idle too long\nEOF"):
        with (
            ScriptedServer(START + MESSAGE + end, START + MESSAGE + QUIT) as server,
            colour.client(url(server)) as client,
        ):
            for _ in range(2):
                assert client.send(BODY, sender=FROM, recipients=[TO]).accepted
                time.sleep(0.05)
            assert server.connections == 2


def test_lost_on_a_used_connection_before_the_body_is_repeated_and_after_it_is_not(colour: Colour) -> None:
    lost = START + MESSAGE + f"C: MAIL FROM:<{FROM}> SIZE=21\nC: RCPT TO:<{TO}>\nC: DATA\nEOF"
    with ScriptedServer(lost, START + MESSAGE + QUIT) as server, colour.client(url(server)) as client:
        for _ in range(2):
            assert client.send(BODY, sender=FROM, recipients=[TO]).accepted
    lost = START + MESSAGE + MESSAGE.replace("S: 250 done\n", "EOF")
    with ScriptedServer(lost) as server, colour.client(url(server)) as client:
        client.send(BODY, sender=FROM, recipients=[TO])
        with pytest.raises(ConnectionLost) as caught:
            client.send(BODY, sender=FROM, recipients=[TO])
        assert caught.value.stage == "final"
        assert list(caught.value.result.accepted) == [TO]
        assert server.connections == 1


def test_421_to_an_envelope_is_repeated_even_if_the_content_was_written_behind_it(colour: Colour) -> None:
    start = "S: 220 ready\nC: EHLO me\nS: 250-x\nS: 250-PIPELINING\nS: 250 CHUNKING\n"
    message = f"C: MAIL FROM:<{FROM}>\nC: RCPT TO:<{TO}>\nC: BDAT 21 LAST\nC: Subject: hi\nC:\nC: .dot\n"
    fine = message + "S: 250 m\nS: 250 r\nS: 250 done\n"
    first = start + fine + message + "S: 421 that is enough\nEOF"
    with ScriptedServer(first, start + fine + QUIT) as server, colour.client(url(server)) as client:
        for _ in range(2):
            assert client.send(BODY, sender=FROM, recipients=[TO]).accepted
        assert server.connections == 2


def test_too_old_connections_are_replaced(colour: Colour) -> None:
    limits = Limits(max_age_seconds=0.01)
    script = START + "".join([ENVELOPE, "S: 250 m\nS: 250 r\nS: 354 go\n", BODY_WIRE, "S: 250 done\n"]) + "C: QUIT\n"
    with ScriptedServer(script, tolerant=True) as server, colour.client(url(server), limits=limits) as client:
        for _ in range(2):
            time.sleep(0.02)
            assert client.send(BODY, sender=FROM, recipients=[TO]).accepted
            time.sleep(0.02)
        assert server.connections == 2


def test_pool_is_used_again_and_limits_hold(colour: Colour) -> None:
    limits = Limits(max_messages_per_connection=2)
    with ScriptedServer(START + MESSAGE * 2 + QUIT) as server, colour.client(url(server), limits=limits) as client:
        for _ in range(4):
            client.send(BODY, sender=FROM, recipients=[TO])
        assert server.connections == 2
    with pytest.raises(LocalProtocolError, match="closed"):
        client.send(BODY, sender=FROM, recipients=[TO])
    limits = Limits(max_idle_seconds=0.01)
    script = START + MESSAGE + "C: QUIT\n"
    with ScriptedServer(script, tolerant=True) as server, colour.client(url(server), limits=limits) as client:
        for _ in range(2):
            client.send(BODY, sender=FROM, recipients=[TO])
            time.sleep(0.05)
        begun = time.monotonic()
        client.send(BODY, sender=FROM, recipients=[TO])
        assert time.monotonic() - begun < 2  # nobody waits for the reply to an expired connection's QUIT
        assert server.connections == 3
        for link in client._policy.drain():
            link.close()


def test_interrupted_in_the_middle_of_a_message(colour: Colour) -> None:
    """What is no error of ours closes the connection at once, and the pool counts it no more."""

    def interrupted() -> Iterator[bytes]:
        yield b"Subject: hi\r\n"
        yield b"x\r\n"
        raise KeyboardInterrupt

    first = START + MESSAGE.partition("S: 354")[0].replace(" SIZE=21", "") + "S: 354 go\nC: Subject: hi\n"
    with ScriptedServer(first, START + MESSAGE + QUIT, tolerant=True) as server:
        with colour.client(url(server), limits=Limits(max_connections=1)) as client:
            with pytest.raises(KeyboardInterrupt):
                client.send(interrupted(), sender=FROM, recipients=[TO])
            assert client.send(BODY, sender=FROM, recipients=[TO]).accepted
        assert not server.heard[0].endswith(b".\r\n")


def test_a_connection_that_can_not_be_opened_is_counted_no_more(colour: Colour) -> None:
    with (
        ScriptedServer("S: 554 no", START + MESSAGE + QUIT, tolerant=True) as server,
        colour.client(url(server), limits=Limits(max_connections=1)) as client,
    ):
        with pytest.raises(PermanentRefusal):
            client.send(BODY, sender=FROM, recipients=[TO])
        assert client.send(BODY, sender=FROM, recipients=[TO]).accepted


def test_close_without_a_word(colour: Colour) -> None:
    with ScriptedServer(LOCK) as server:
        connection = colour.open(url(server))
        connection.close()
        connection.close()
        assert not connection.is_open
        left = connection._link.leave()
        assert left is None or colour.settle(left) is None


def test_other_idle_connections_go_with_one_that_broke() -> None:
    """Those idle are as old as the one that was found dead: the repeated message gets a new one."""
    server_ends = START + MESSAGE + "EOF"
    with ScriptedServer(server_ends, server_ends, START + MESSAGE + QUIT) as server, Client(url(server)) as client:
        links = [client._acquire() for _ in range(2)]
        for link in links:
            link.send(Mail(BODY, FROM, [TO]), {}, strict=False, smtputf8=None)
            client._release(link)
        time.sleep(0.05)
        assert client.send(BODY, sender=FROM, recipients=[TO]).accepted
        assert server.connections == 3


async def test_other_idle_connections_go_with_one_that_broke_async() -> None:
    server_ends = START + MESSAGE + "EOF"
    with ScriptedServer(server_ends, server_ends, START + MESSAGE + QUIT) as server:
        async with AsyncClient(url(server)) as client:
            links = [await client._acquire() for _ in range(2)]
            for link in links:
                await link.send(Mail(BODY, FROM, [TO]), {}, strict=False, smtputf8=None)
                await client._release(link)
            await asyncio.sleep(0.05)
            assert (await client.send(BODY, sender=FROM, recipients=[TO])).accepted
        await asyncio.sleep(0.01)
        assert server.connections == 3


def test_ping_says_noop_on_an_idle_connection_or_on_a_new_one(colour: Colour) -> None:
    noop = "C: NOOP\nS: 250 here\n"
    with ScriptedServer(START + noop + MESSAGE + noop + QUIT) as server, colour.client(url(server)) as client:
        assert client.ping().text == "here"
        assert client.send(BODY, sender=FROM, recipients=[TO]).accepted
        assert client.ping().code == 250
        assert server.connections == 1


@pytest.mark.parametrize("ended", ["EOF", "C: NOOP\nS: 421 idle too long\nEOF", "C: NOOP\nEOF"])
def test_ping_replaces_a_connection_that_died(colour: Colour, ended: str) -> None:
    noop = "C: NOOP\nS: 250 here\n"
    with ScriptedServer(START + noop + ended, START + noop + QUIT) as server, colour.client(url(server)) as client:
        for _ in range(2):
            assert client.ping().text == "here"
            time.sleep(0.05)
        assert server.connections == 2


def test_ping_tells_what_a_new_connection_does_and_what_noop_is_answered(colour: Colour) -> None:
    with ScriptedServer(START + "C: NOOP\nEOF") as server:
        with colour.client(url(server)) as client, pytest.raises(ConnectionLost):
            client.ping()
        assert server.connections == 1
    with (
        ScriptedServer(START + "C: NOOP\nS: 502 what?\n" + QUIT) as server,
        colour.client(url(server)) as client,
        pytest.raises(PermanentRefusal, match="502"),
    ):
        client.ping()


def test_ping_waits_for_nobody(colour: Colour) -> None:
    limits = Limits(max_connections=1, max_idle_seconds=0.01)
    with (
        ScriptedServer(START + "C: NOOP\nS: 250 here\nC: QUIT\n", tolerant=True) as server,
        colour.client(url(server), limits=limits) as client,
    ):
        assert client.ping().code == 250
        time.sleep(0.05)
        assert client.ping().code == 250  # what is too old is left, and a new one opened
        assert server.connections == 2
        taken = client._policy.acquire(time.monotonic())
        assert client.ping() is None
        client._policy.release(taken.connection, time.monotonic(), reusable=True)
        for link in client._policy.drain():
            link.close()
    with pytest.raises(LocalProtocolError, match="closed"):
        client.ping()
