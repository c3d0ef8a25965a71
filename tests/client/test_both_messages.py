"""Both clients take messages that write themselves, and send the same octets however often they have to."""

# ruff: noqa: ANN401 - values of any kind
import email
import email.policy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import smtpx
from smtpx import Address, Attachment, Message, MessageError
from smtpx.errors import LocalProtocolError, UnsupportedError
from smtpx.extensions import STANDARD
from smtpx.message.sendable import Posting
from smtpx.server.body import Body
from smtpx.wire.address import Mailbox
from tests.peers import Colour

LETTER: dict[str, Any] = {
    "from_": "Jane <jane@a.example>",
    "to": "b@b.example, c@c.example",
    "bcc": "secret@d.example",
    "subject": "Grüße",
    "text": "viele grüße",
}


def made(**fields: Any) -> Message:
    return Message(**fields)


class Keeper(smtpx.Session):
    """Keeps what it gets: parameters and recipients of the envelope, and octets."""

    kept: list[tuple[str, list[str], bytes]]

    async def data(self, body: Body) -> None:
        envelope = self.envelope
        to = [f"{each} {params}" for each, params in zip(envelope.recipients, envelope.recipient_params, strict=True)]
        self.kept.append((f"{envelope.sender} {envelope.params}", to, await body.read()))


def keeper() -> type[Keeper]:
    return type("Fresh", (Keeper,), {"kept": []})


@pytest.fixture
def kind() -> type[Keeper]:
    return keeper()


@pytest.fixture
def server(kind: type[Keeper]) -> Iterator[smtpx.ServerThread]:
    with smtpx.ServerThread(kind, port=0) as running:
        yield running


def read(octets: bytes) -> Any:
    return email.message_from_bytes(octets, policy=email.policy.default)


def test_a_message_says_all_there_is_to_say(colour: Colour, server: smtpx.ServerThread, kind: type[Keeper]) -> None:
    with colour.client(server.url) as client:
        result = client.send(Message(**LETTER, notify="FAILURE", ret="HDRS", envid="e1"))
    assert list(result.accepted) == ["b@b.example", "c@c.example", "secret@d.example"]
    [(sender, to, octets)] = kind.kept
    assert sender.startswith("jane@a.example ")
    assert f"SIZE={len(octets)}" in sender
    assert "RET=HDRS" in sender
    assert "ENVID=e1" in sender
    assert all("NOTIFY=FAILURE" in each for each in to)
    found = read(octets)
    assert found["Subject"] == "Grüße"
    assert found["Date"].datetime.utcoffset() is not None
    assert found["Message-ID"].endswith("@a.example>")
    assert found.get_content() == "viele grüße\r\n"
    assert b"secret" not in octets


def test_the_caller_may_say_otherwise(colour: Colour, server: smtpx.ServerThread, kind: type[Keeper]) -> None:
    message = Message(**LETTER, notify="FAILURE", ret="HDRS")
    with colour.client(server.url) as client:
        client.send(message, sender="", recipients=["x@y.example"], notify="NEVER", ret=None)
        client.send(
            Message(from_="a@b.example", text="x", ret="FULL"), sender="s@t.example", recipients=["x@y.example"]
        )
    first, second = kind.kept
    assert first[0].startswith(" ")
    assert "RET" not in first[0]
    assert ("x@y.example" in first[1][0], "NOTIFY=NEVER" in first[1][0]) == (True, True)
    assert ("s@t.example" in second[0], "RET=FULL" in second[0]) == (True, True)


def test_smtpx_send(server: smtpx.ServerThread, kind: type[Keeper]) -> None:
    smtpx.send(server.url, Message(**LETTER))
    assert len(kind.kept[0][1]) == 3


def test_a_connection_and_an_open_transaction(colour: Colour, server: smtpx.ServerThread, kind: type[Keeper]) -> None:
    with colour.open(server.url) as connection:
        connection.send(Message(**LETTER))
        with connection.transaction("s@t.example", ["x@y.example"]) as transaction:
            transaction.send(Message(**LETTER))
        connection.mail("s@t.example")
        connection.rcpt("x@y.example")
        connection.data(Message(**LETTER))
    assert [len(to) for _, to, _ in kind.kept] == [3, 1, 1]
    assert len({read(octets)["Message-ID"] for _, _, octets in kind.kept}) == 3


def many(colour: Colour, client: Any, messages: list[Any]) -> list[smtpx.SendOutcome]:
    async def collected(outcomes: Any) -> list[smtpx.SendOutcome]:
        return [each async for each in outcomes]

    outcomes = client.send_many(messages)
    return colour.settle(collected(outcomes)) if colour.is_async else [*outcomes]


def test_many(colour: Colour, server: smtpx.ServerThread, kind: type[Keeper], tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(bytes(3_000_000))
    messages: list[Any] = [made(**{**LETTER, "to": f"u{number}@b.example", "bcc": ()}) for number in range(50)]
    messages[20] = messages[20].with_(attachments=[path], notify="NEVER")
    messages[30] = Message(from_="a@b.example", text="to nobody")
    messages[40] = smtpx.Outgoing(messages[40], recipients=["other@b.example"])
    with colour.client(server.url) as client:
        outcomes = many(colour, client, messages)
    assert [each.index for each in outcomes if each.error is not None] == [30]
    assert isinstance(outcomes[30].error, MessageError)
    got = {to[0].split()[0]: (to[0], octets) for _, to, octets in kind.kept}
    assert len(got) == 49
    assert "other@b.example" in got
    assert "NOTIFY=NEVER" in got["u20@b.example"][0]
    assert next(read(got["u20@b.example"][1]).iter_attachments()).get_content() == bytes(3_000_000)


@pytest.mark.parametrize("size", [100, 900_000, 15_000_000])
def test_large_ones_are_streamed(
    colour: Colour, server: smtpx.ServerThread, kind: type[Keeper], tmp_path: Path, size: int
) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"\xff" * size)
    with colour.client(server.url) as client:
        client.send(Message(**LETTER, attachments=[path]))
    [(sender, _, octets)] = kind.kept
    assert f"SIZE={len(octets)}" in sender
    assert "8BITMIME" not in sender
    assert len(octets) > size * 4 // 3
    assert next(read(octets).iter_attachments()).get_content() == b"\xff" * size


def test_what_is_too_large_is_not_even_begun(
    colour: Colour, server: smtpx.ServerThread, kind: type[Keeper], tmp_path: Path
) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(bytes(20_000_000))
    with colour.client(server.url) as client, pytest.raises(UnsupportedError, match="and the server takes 26214400"):
        client.send(Message(**LETTER, attachments=[path]))
    assert kind.kept == []


class Foreign:
    """A message of somebody else's class."""

    message_id = None

    def __init__(self, pieces: list[bytes], posting: Posting | None = None) -> None:
        self.pieces = pieces
        self.asked: list[tuple[bool, bool]] = []
        self._posting = posting

    def posting(self) -> Posting:
        if self._posting is None:
            raise ValueError("nobody")
        return self._posting

    def octets(self, *, eight_bit: bool, utf8: bool) -> Iterator[bytes]:
        self.asked.append((eight_bit, utf8))
        yield from self.pieces


POSTING = Posting(Mailbox("a", "b.example"), (Mailbox("c", "d.example"),), {"notify": "NEVER"})


def test_any_sendable(colour: Colour, server: smtpx.ServerThread, kind: type[Keeper]) -> None:
    pieces = [b"Subject: x\r\n\r\n", b"", *[b"line of text\r\n" * 1000] * 200]
    with colour.client(server.url) as client:
        client.send(Foreign(pieces, POSTING))
        client.send(Foreign(pieces), sender="a@b.example", recipients=["e@f.example"])
    assert [octets for _, _, octets in kind.kept] == [b"".join(pieces)] * 2
    assert "NOTIFY=NEVER" in kind.kept[0][1][0]
    assert f"SIZE={len(b''.join(pieces))}" in kind.kept[0][0]


def test_what_can_not_be_sent(colour: Colour, server: smtpx.ServerThread, kind: type[Keeper]) -> None:
    class Unwritable(Foreign):
        def octets(self, *, eight_bit: bool, utf8: bool) -> Iterator[bytes]:
            raise ValueError("can't be written")

    with colour.client(server.url) as client:
        with pytest.raises(LocalProtocolError, match="nobody") as caught:
            client.send(Foreign([b"x\r\n"]))
        assert caught.value.stage == "mail"
        with pytest.raises(LocalProtocolError, match="bare LF"):
            client.send(Foreign([b"x\n"], POSTING))
        with pytest.raises(LocalProtocolError, match="can't be written") as caught:
            client.send(Unwritable([], POSTING))
        assert caught.value.stage == "body"
        with pytest.raises(MessageError, match="no recipient"):
            client.send(Message(from_="a@b.example", text="x"))
        with pytest.raises(MessageError, match="From is missing"):
            client.send(Message(to="a@b.example", text="x"))
        client.send(Message(**LETTER))
    assert len(kind.kept) == 1


def test_a_file_that_changes_is_not_delivered(
    colour: Colour, server: smtpx.ServerThread, kind: type[Keeper], tmp_path: Path
) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(bytes(5_000_000))
    message = Message(**LETTER, attachments=[path])
    path.write_bytes(bytes(4_000_000))
    with colour.client(server.url) as client, pytest.raises(LocalProtocolError, match="and now has 4000000"):
        client.send(message)
    assert kind.kept == []


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_all_shares_of_the_recipients_get_all_of_it(colour: Colour, kind: type[Keeper], size: int) -> None:
    """A server that takes few recipients at a time gets the message several times on one connection."""
    import io

    limits = smtpx.ServerLimits(max_recipients=2)
    to = [f"r{number}@y.example" for number in range(5)]
    message = Message(from_="a@x.example", to=to, text="x", attachments=[Attachment(bytes(size), "x")])
    file = io.BytesIO(b"Subject: x\r\n\r\n" + b"0123456789\r\n" * (size // 10))
    with smtpx.ServerThread(kind, port=0, limits=limits) as server, colour.client(server.url) as client:
        assert len(client.send(message).accepted) == 5
        assert len(client.send(file, sender="a@x.example", recipients=to).accepted) == 5
    contents = [octets for _, _, octets in kind.kept]
    assert [len(recipients) for _, recipients, _ in kind.kept] == [2, 2, 1] * 2
    assert len(set(contents[:3])) == 1
    assert len(contents[0]) > size
    assert contents[3:] == [file.getvalue()] * 3


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_the_second_attempt_has_the_same_octets(kind: type[Keeper], size: int) -> None:
    """The first connection has died in the meantime, and shows it only when it is used."""
    written: list[bytes] = []

    class Remembered(Message):
        def octets(self, *, eight_bit: bool = False, utf8: bool = False) -> Iterator[bytes]:
            for piece in super().octets(eight_bit=eight_bit, utf8=utf8):
                written.append(piece)
                yield piece

    message = Remembered(**LETTER, attachments=[Attachment(bytes(size), "x")])
    with smtpx.ServerThread(kind, port=0) as server:
        port = server.port
        with smtpx.Client(f"smtp+plain://127.0.0.1:{port}") as client:
            client.send(Message(**LETTER))
            server.stop()
            with smtpx.ServerThread(kind, port=port):
                client.send(message)
    assert len(kind.kept) == 2
    assert len({read(b"".join(written) or kind.kept[1][2])["Message-ID"], read(kind.kept[1][2])["Message-ID"]}) == 1


def test_g07_for_servers_with_extensions_and_without(colour: Colour) -> None:
    message = made(**{**LETTER, "from_": "jörg@a.example"}, encoding="8bit", envelope_from="j@a.example")
    plain = Message(**LETTER, encoding="8bit")
    every, none = keeper(), keeper()
    few = [each for each in STANDARD if each.keyword not in ("8BITMIME", "SMTPUTF8")]
    with smtpx.ServerThread(every, port=0) as server, colour.client(server.url) as client:
        client.send(message)
        client.send(plain)
        with pytest.raises(UnsupportedError, match="needs SMTPUTF8"):
            client.send(message, smtputf8=False)
    with smtpx.ServerThread(none, port=0, extensions=few) as server, colour.client(server.url) as client:
        client.send(plain)
        with pytest.raises(UnsupportedError, match="needs SMTPUTF8"):
            client.send(message)
    assert ["SMTPUTF8" in sender for sender, _, _ in every.kept] == [True, False]
    assert all("BODY=8BITMIME" in sender for sender, _, _ in every.kept)
    assert "jörg@a.example".encode() in every.kept[0][2]
    assert len(none.kept) == 1
    assert none.kept[0][2].isascii()


def test_wrapped_messages_are_streamed_too(server: smtpx.ServerThread, kind: type[Keeper], tmp_path: Path) -> None:
    from smtpx.client.mail import Source

    path = tmp_path / "x"
    path.write_bytes(b"x")

    class Wrapped(Foreign):
        inner = Message(**LETTER, attachments=[path])

    assert Source(Wrapped([], POSTING)).is_slow
    assert Source(Wrapped([], POSTING)).size_at_hand is None
    assert not Source(Foreign([], POSTING)).is_slow
    assert Source(Message(**LETTER)).size_at_hand == 0


def test_names_at_the_top() -> None:
    assert str(smtpx.Message(to=Address("Ann", "a@b.example")).to[0]) == "Ann <a@b.example>"
    assert smtpx.Alternative("x", "text/calendar").type == "text/calendar"
    assert smtpx.Group("Team").members == ()
