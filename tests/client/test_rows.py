"""Rows of other libraries' defects and wishes that concern the client as a whole, in both colours."""

import asyncio
import threading
from email.message import EmailMessage
from typing import Any

import pytest

import smtpx
from smtpx.errors import DeadlineError, LocalProtocolError, TransportError
from smtpx.server.body import Body
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from tests.peers import Colour, ScriptedServer

BODY = b"Subject: x\r\n\r\nhello\r\n"
FROM, TO = "a@x.example", "b@y.example"
SERVED: list[tuple[str, tuple[str, ...], bytes, str]] = []


class Judge(smtpx.Session):
    """Knows nobody whose name begins with "no", and answers each message with its subject."""

    async def rcpt(self, recipient: Mailbox, params: Params) -> None:
        if recipient.local_part.startswith("no"):
            raise smtpx.Reject.mailbox_unavailable()

    async def data(self, body: Body) -> Any:  # noqa: ANN401
        content = await body.read()
        to = tuple(str(each) for each in self.envelope.recipients)
        SERVED.append((str(self.envelope.sender), to, content, self.envelope.params.to_wire()))
        subject = content.partition(b"\r\n")[0].decode()
        if self.is_lmtp:
            return {each: smtpx.ok(f"{subject} for {each}") for each in to}
        return smtpx.ok(subject)

    is_lmtp = False


class LMTPJudge(Judge):
    is_lmtp = True


@pytest.fixture(autouse=True)
def nothing_served() -> None:
    SERVED.clear()


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("evil", ["\r\nRSET", "\n", "\r", "\0", ">", "> SIZE=1"])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_transactions_b06_nothing_is_injected(colour: Colour, evil: str, pipelining: bool, place: int) -> None:
    addresses = [f"{name}@x.example" for name in "abcd"]
    addresses[place] += evil
    with ScriptedServer("S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 PIPELINING\nC: QUIT\nS: 221 bye\n") as server:
        address = f"smtp://localhost:{server.port}?hello_name=me"
        with colour.open(address, pipelining=pipelining) as connection, pytest.raises(LocalProtocolError):
            connection.send(BODY, sender=addresses[0], recipients=addresses[1:])


@pytest.mark.parametrize(
    ("recipient", "header", "asks", "wire"),
    [
        (TO, "x", False, TO),
        ("jürgen@y.example", "x", True, "jürgen@y.example"),
        ("b@bücher.example", "x", False, "b@xn--bcher-kva.example"),
        (TO, "grüße", False, TO),  # an encoded-word does
    ],
)
def test_x26_smtputf8_by_content(colour: Colour, recipient: str, header: str, asks: bool, wire: str) -> None:
    message = EmailMessage()
    message["Subject"] = header
    message["From"] = FROM
    message.set_content("hello")
    with smtpx.ServerThread(Judge, port=0) as server, colour.client(server.url) as client:
        result = client.send(message, sender=FROM, recipients=[recipient])
    assert list(result.accepted) == [recipient]
    [(_, to, _, params)] = SERVED
    assert to == (wire,)
    assert ("SMTPUTF8" in params.split()) is asks


def test_x26_a_header_in_utf8(colour: Colour) -> None:
    """Octets are not looked through for it: who hands them over says so."""
    raw = "Subject: grüße\r\n\r\nhello\r\n".encode()
    with smtpx.ServerThread(Judge, port=0) as server, colour.client(server.url) as client:
        client.send(raw, sender=FROM, recipients=[TO], smtputf8=True)
    assert "SMTPUTF8" in SERVED[0][3].split()


def test_x27_d07_the_second_message_by_lmtp(colour: Colour) -> None:
    with smtpx.ServerThread(LMTPJudge, port=0, dialect=smtpx.LMTP) as server, colour.open(server.url) as connection:
        first = connection.send(b"one\r\n", sender=FROM, recipients=[TO, "c@y.example", "no@y.example"])
        second = connection.send(b"two\r\n", sender=FROM, recipients=["d@y.example"])
    assert [(to, reply.text) for to, reply in first.verdicts] == [
        (TO, f"<{TO}> one for {TO}"),
        ("c@y.example", "<c@y.example> one for c@y.example"),
    ]
    assert list(first.refused) == ["no@y.example"]
    [(to, verdict)] = second.verdicts
    assert (to, verdict.text) == ("d@y.example", "<d@y.example> two for d@y.example")


def test_f18_p41_partly_sent(colour: Colour) -> None:
    """The accepted one's reply is there too, not only the refusal."""
    with smtpx.ServerThread(Judge, port=0) as server, colour.client(server.url) as client:
        result = client.send(BODY, sender=FROM, recipients=[TO, "nobody@y.example"])
    assert {to: reply.code for to, reply in result.accepted.items()} == {TO: 250}
    assert {to: error.reply.code for to, error in result.refused.items()} == {"nobody@y.example": 550}
    assert [(to, content) for _, to, content, _ in SERVED] == [((TO,), BODY)]


def test_p51_recipients_of_three_domains(colour: Colour) -> None:
    to = ["b@y.example", "nobody@z.example", "c@w.example"]
    with smtpx.ServerThread(Judge, port=0) as server, colour.client(server.url) as client:
        result = client.send(BODY, sender=FROM, recipients=to)
    assert (list(result.accepted), list(result.refused)) == ([to[0], to[2]], [to[1]])


def test_f28_what_is_announced_is_what_is_sent(colour: Colour) -> None:
    """BDAT counts the pieces it has in hand: a source of another length can't be out of step."""
    pieces = [b"x" * 7, b"", b"\r\n" * 3, b"y" * 300_000 + b"\r\n", b"z"]
    with smtpx.ServerThread(Judge, port=0) as server, colour.client(server.url) as client:
        result = client.send(iter(pieces), sender=FROM, recipients=[TO])
        assert result.used_chunking
        client.send(b"next\r\n", sender=FROM, recipients=[TO])
    assert [content for _, _, content, _ in SERVED] == [b"".join(pieces), b"next\r\n"]


@pytest.mark.parametrize("at", ["greeting", "hello", "mail", "final"])
def test_p49_a_timeout_closes(colour: Colour, at: str) -> None:
    script = (
        "S: 220 x\nC: EHLO me\nS: 250 x\nC: MAIL FROM:<a@x.example>\nS: 250 x\nC: RCPT TO:<b@y.example>\nS: 250 x\n"
    )
    script += "C: DATA\nS: 354 x\nC: Subject: x\nC: \nC: hello\nC: .\n"
    lines = script.splitlines(keepends=True)
    said = {"greeting": 0, "hello": 2, "mail": 4, "final": len(lines)}[at]
    stages = smtpx.Timeouts(greeting=0.1, hello=0.1, mail=0.1, final=0.1)
    with ScriptedServer("".join(lines[:said]) or "C: never\n", tolerant=not said) as server:
        url = f"smtp://localhost:{server.port}?hello_name=me"
        if at in ("greeting", "hello"):
            with pytest.raises(DeadlineError) as caught:
                colour.open(url, timeouts=stages)
        else:
            connection = colour.open(url, timeouts=stages)
            with pytest.raises(DeadlineError) as caught:
                connection.send(BODY, sender=FROM, recipients=[TO])
            assert not connection.is_open
            with pytest.raises(LocalProtocolError):
                connection.noop()
    assert caught.value.stage == at
    assert isinstance(caught.value, TransportError)


def _letter(number: int) -> bytes:
    return b"%d\r\n\r\nhello\r\n" % number


async def test_p50_one_client_and_twenty_tasks() -> None:
    with smtpx.ServerThread(Judge, port=0) as server:
        async with smtpx.AsyncClient(server.url, limits=smtpx.Limits(max_connections=3)) as client:
            sends = [client.send(_letter(i), sender=FROM, recipients=[f"u{i}@y.example"]) for i in range(20)]
            results = await asyncio.gather(*sends)
    assert [result.reply.text for result in results if result.reply] == [str(i) for i in range(20)]
    assert [list(result.accepted) for result in results] == [[f"u{i}@y.example"] for i in range(20)]


def test_p50_one_client_and_twenty_threads() -> None:
    texts: dict[int, str] = {}
    with (
        smtpx.ServerThread(Judge, port=0) as server,
        smtpx.Client(server.url, limits=smtpx.Limits(max_connections=3)) as client,
    ):

        def send(number: int) -> None:
            result = client.send(_letter(number), sender=FROM, recipients=[f"u{number}@y.example"])
            texts[number] = result.reply.text if result.reply else ""

        threads = [threading.Thread(target=send, args=(i,)) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert texts == {i: str(i) for i in range(20)}
