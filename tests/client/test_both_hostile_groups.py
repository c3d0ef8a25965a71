"""Servers that break the rules where commands go in groups: by PIPELINING and CHUNKING, in LMTP, and in flights."""

import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from smtpx.client.bulk import Outgoing
from smtpx.client.settings import Limits
from smtpx.errors import (
    ConnectionLost,
    DeadlineError,
    PermanentRefusal,
    RefusedError,
    RemoteProtocolError,
    SMTPXError,
    TemporaryRefusal,
)
from smtpx.flows.steps import Timeouts
from smtpx.protocol.limits import ClientLimits
from tests.client.bulk_cases import BULK, FINE, ONE, THREE, chunk
from tests.client.dialogues import BODY, BODY_WIRE, ENVELOPE, FROM, MESSAGE, QUIT, START, TO, url
from tests.client.test_async_crew import TestAsyncCrew as AsyncMany
from tests.client.test_crew import TestCrew as Many
from tests.peers import Colour, ScriptedServer

ALSO = "c@y.example"
LMTP = START.replace("EHLO", "LHLO")
PAIR = ENVELOPE.replace("C: DATA", f"C: RCPT TO:<{ALSO}>\nC: DATA")
CHUNK = chunk(reset=False)
PAIR_TAKEN = f"{PAIR}S: 250 m\nS: 250 r\nS: 250 r\nS: 354 go\n{BODY_WIRE}"


def say(*replies: str) -> str:
    return "".join(f"S: {each}\n" for each in replies)


@dataclass(frozen=True)
class Row:
    """One message to a server that answers so. `accepted`: whom the error's result, or the result, has as such."""

    name: str
    script: str
    error: type[SMTPXError] | None
    stage: str | None = None
    accepted: tuple[str, ...] = ()
    to: tuple[str, ...] = (TO,)
    scheme: str = "smtp+plain"


ROWS = (
    # A group by PIPELINING
    Row("a reply too few", START + ENVELOPE + say("250 m", "354 go"), RemoteProtocolError, "rcpt"),
    Row("a reply too many", START + ENVELOPE + say("250 m", "250 r", "250 r", "354 go"), RemoteProtocolError, "data"),
    Row("in another order", START + ENVELOPE + say("354 go", "250 m", "250 r"), RemoteProtocolError, "mail"),
    Row("all in one, and more", START + ENVELOPE + say("250 m", "250 r", "354 go", "250 done"), RemoteProtocolError),
    Row("421 to MAIL", START + ENVELOPE + say("421 no") + "EOF", TemporaryRefusal, "mail"),
    Row("421 to RCPT", START + ENVELOPE + say("250 m", "421 no") + "EOF", TemporaryRefusal, "rcpt"),
    Row(
        "421 to the second RCPT",
        START + PAIR + say("250 m", "250 r", "421 no") + "EOF",
        TemporaryRefusal,
        to=(TO, ALSO),
    ),
    Row("421 to DATA", START + ENVELOPE + say("250 m", "250 r", "421 no") + "EOF", TemporaryRefusal, "data"),
    Row("421, and goes on", START + ENVELOPE + say("250 m", "421 no", "354 go", "250 done"), TemporaryRefusal, "rcpt"),
    Row(
        "354 for nobody",
        f"{START}{ENVELOPE}{say('250 m', '550 r', '354 go')}C: .\n{say('250 done')}{QUIT}",
        PermanentRefusal,
        "rcpt",
    ),
    Row(
        "354 behind MAIL that was refused",
        f"{START}{ENVELOPE}{say('550 m', '250 r', '354 go')}C: .\n{say('250 done')}{QUIT}",
        PermanentRefusal,
        "mail",
    ),
    Row("closes in a group", START + ENVELOPE + say("250 m") + "EOF", ConnectionLost, "rcpt"),
    Row(
        "closes behind 354", START + ENVELOPE + say("250 m", "250 r", "354 go") + "EOF", ConnectionLost, "final", (TO,)
    ),
    # A message in one piece by CHUNKING
    Row("chunk: a reply too few", BULK + CHUNK + say("250 m", "250 r") + "EOF", ConnectionLost, "final", (TO,)),
    Row("chunk: 354", BULK + CHUNK + say("250 m", "250 r", "354 go"), RemoteProtocolError, "final", (TO,)),
    Row("chunk: 250 for nobody", BULK + CHUNK + say("250 m", "550 r", "250 done"), PermanentRefusal, "rcpt"),
    Row(
        "chunk: 250 behind MAIL that was refused",
        BULK + CHUNK + say("550 m", "250 r", "250 done"),
        PermanentRefusal,
        "mail",
    ),
    Row("chunk: 421 in the group", BULK + CHUNK + say("250 m", "421 no", "250 done"), TemporaryRefusal, "rcpt"),
    Row(
        "chunk: a verdict said again", BULK + CHUNK + say("250 m", "250 r", "250 done", "550 no"), None, accepted=(TO,)
    ),
    Row(
        "chunk: closes in its verdict",
        BULK + CHUNK + say("250 m", "250 r") + "S: 250-do\nEOF",
        ConnectionLost,
        "final",
        (TO,),
    ),
    # Verdicts of LMTP
    Row("lmtp: no verdict", LMTP + PAIR_TAKEN + "EOF", ConnectionLost, "final", (), (TO, ALSO), "lmtp"),
    Row(
        "lmtp: a verdict too few",
        LMTP + PAIR_TAKEN + say("250 b") + "EOF",
        ConnectionLost,
        "final",
        (TO,),
        (TO, ALSO),
        "lmtp",
    ),
    Row(
        "lmtp: a verdict too few, and silence",
        LMTP + PAIR_TAKEN + say("250 b"),
        DeadlineError,
        "final",
        (TO,),
        (TO, ALSO),
        "lmtp",
    ),
    Row(
        "lmtp: a verdict too many",
        LMTP + PAIR_TAKEN + say("250 b", "550 c", "250 d"),
        None,
        None,
        (TO,),
        (TO, ALSO),
        "lmtp",
    ),
    Row(
        "lmtp: 421 in place of a verdict",
        LMTP + PAIR_TAKEN + say("250 b", "421 no") + "EOF",
        None,
        None,
        (TO,),
        (TO, ALSO),
        "lmtp",
    ),
    Row(
        "lmtp: 354 in place of a verdict",
        LMTP + PAIR_TAKEN + say("250 b", "354 go"),
        RemoteProtocolError,
        "final",
        (TO,),
        (TO, ALSO),
        "lmtp",
    ),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(colour: Colour, row: Row) -> None:
    with ScriptedServer(row.script, tolerant=True) as server:
        client = colour.client(url(server, row.scheme), timeout=0.7)
        error = None
        try:
            result = client.send(BODY, sender=FROM, recipients=row.to)
        except SMTPXError as caught:
            error, result = caught, caught.result
        client.close()
        assert server.connections == 1
    assert type(error) is (row.error or type(None)), error
    assert error is None or row.stage in (None, error.stage)
    accepted = tuple(result.accepted) if result is not None else ()
    assert accepted == row.accepted
    if not isinstance(error, RefusedError) and error is not None and result is not None:
        assert not result.refused


def answers_early(reply: bytes, *, leaves: bool) -> Callable[[socket.socket], None]:
    """A server that answers a chunk whose octets it has not seen, and then vanishes or takes them after all."""

    def act(sock: socket.socket) -> None:
        def until(what: bytes) -> None:
            heard = b""
            while what not in heard and (octets := sock.recv(100)):
                heard += octets

        sock.sendall(b"220 x\r\n")
        until(b"EHLO me\r\n")
        sock.sendall(b"250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n")
        until(b"RCPT TO:")
        sock.sendall(b"250 m\r\n250 r\r\n")
        until(b"BDAT")
        sock.sendall(reply)
        if leaves:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        else:
            while sock.recv(1 << 20):
                pass

    return act


@pytest.mark.parametrize(
    ("reply", "leaves", "error", "stage"),
    [
        (b"250 taken\r\n", True, ConnectionLost, "final"),
        (b"250 taken\r\n", False, None, None),
        (b"552 5.3.4 too much\r\n", False, PermanentRefusal, "final"),
        (b"421 4.3.2 no\r\n", False, TemporaryRefusal, "final"),
    ],
)
def test_an_answer_to_a_chunk_before_its_octets_were_sent(
    colour: Colour, reply: bytes, leaves: bool, error: type[SMTPXError] | None, stage: str | None
) -> None:
    """Success counts when all octets have left; of a server that did not wait for them nothing is known."""
    options = {"protocol_limits": ClientLimits(chunk_bytes=1 << 26), "timeouts": Timeouts(quit=0.1)}
    with (
        ScriptedServer(act=answers_early(reply, leaves=leaves), tolerant=True) as server,
        colour.client(url(server, "smtp+plain"), **options) as client,
    ):
        with pytest.raises(error) if error is not None else contextlib.nullcontext() as caught:
            assert list(client.send(b"x" * (8 << 20) + b"\r\n", sender=FROM, recipients=[TO]).accepted) == [TO]
        assert caught is None or caught.value.stage == stage
        assert server.connections <= 1


both = pytest.mark.parametrize("many", [Many, AsyncMany])


@both
@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        (say("250 m") + "EOF", ConnectionLost),
        (say("250 m", "250 r") + "S: 250-do\nEOF", ConnectionLost),
        (say("250 m", "354 go"), RemoteProtocolError),
        (say("250 m", "nonsense"), RemoteProtocolError),
        (say("250 m"), DeadlineError),
    ],
)
def test_what_was_in_flight_is_unknown_and_never_sent_twice(
    many: type[Many], answers: str, kind: type[SMTPXError]
) -> None:
    with ScriptedServer(BULK + FINE + CHUNK + chunk() + answers, BULK + FINE + QUIT, tolerant=True) as server:
        outcomes = many().send_many(url(server), THREE, options={"limits": ONE, "timeout": 0.5})
        assert server.connections == 1
        assert server.heard[0].count(b"BDAT") == 3
    assert [each.is_unknown for each in outcomes] == [False, True, True]
    assert [type(each.error) for each in outcomes[1:]] == [kind, kind]


@both
def test_what_was_not_looked_at_goes_over_another_connection(many: type[Many]) -> None:
    """Behind a 421 nothing counts; the third message has its first turn only on the second connection."""
    first = BULK + FINE + CHUNK + chunk() + say("250 m", "421 enough") + "EOF"
    second = BULK + FINE + CHUNK + say("421 enough") + "EOF"
    with ScriptedServer(first, second, BULK + FINE + QUIT) as server:
        outcomes = many().send_many(url(server), THREE, options={"limits": ONE})
        assert server.connections == 3
        assert [each.count(b"BDAT") for each in server.heard] == [3, 2, 1]
    assert [each.error for each in outcomes] == [None] * 3


@both
def test_a_reply_too_many_in_a_flight(many: type[Many]) -> None:
    """It answers for the next message; the one whose reply is then missing is unknown, and none goes twice."""
    text = BULK + FINE + CHUNK + chunk() + say("250 m", "250 r", "250 done", "250 done", "250 reset", "250 m", "250 r")
    with ScriptedServer(text + "EOF", tolerant=True) as server:
        outcomes = many().send_many(url(server), THREE, options={"limits": ONE})
        assert server.connections == 1
    assert [each.error is None for each in outcomes] == [True, True, True]


@both
def test_a_flight_by_data_that_ends_between_dot_and_verdict(many: type[Many]) -> None:
    first = START + MESSAGE.replace("S: 250 done\n", ENVELOPE) + say("250 done", "250 m", "250 r", "354 go") + BODY_WIRE
    with ScriptedServer(first + ENVELOPE + "EOF", START + MESSAGE + QUIT) as server:
        outcomes = many().send_many(url(server), THREE, options={"limits": Limits(max_connections=1)})
        assert server.connections == 2
    assert [each.is_unknown for each in outcomes] == [False, True, False]
    assert outcomes[2].result


@both
def test_lmtp_without_a_verdict_is_unknown(many: type[Many]) -> None:
    messages = [Outgoing(BODY, FROM, [TO, ALSO]), Outgoing(BODY, FROM, [TO])]
    with ScriptedServer(LMTP + PAIR_TAKEN + say("250 b") + "EOF", LMTP + MESSAGE + QUIT) as server:
        outcomes = many().send_many(url(server, "lmtp"), messages, options={"limits": ONE})
    assert [each.is_unknown for each in outcomes] == [True, False]
    assert list(outcomes[0].error.result.accepted) == [TO]  # type: ignore[union-attr]
