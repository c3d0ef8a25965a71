"""What callers hand over: addresses, and content of every kind."""

# ruff: noqa: ANN401 - a message is anything here
import asyncio
import io
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any

import pytest

from smtpx.client.mail import Mail, Source, envelope, mailbox
from smtpx.errors import LocalProtocolError
from smtpx.protocol.capabilities import Capabilities
from smtpx.wire.address import NULL_SENDER, Mailbox

ALL = Capabilities({"8BITMIME": (), "SMTPUTF8": ()})
NONE = Capabilities()


def letter(**fields: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in {"From": "a@x.example", "To": "b@x.example", **fields}.items():
        message[name] = value
    message.set_content("grüße\n")
    return message


def test_null_sender_and_postmaster() -> None:
    for nobody in ("", "<>", NULL_SENDER):
        assert mailbox(nobody, "mail") is NULL_SENDER
        with pytest.raises(LocalProtocolError):
            mailbox(nobody, "rcpt")
    assert mailbox(Mailbox("PostMaster", ""), "rcpt") == Mailbox("PostMaster", "")
    assert mailbox(Mailbox("a", "x"), "rcpt") == Mailbox("a", "x")


@pytest.mark.parametrize("bad", ["Name <a@b.example>", "a@b> SIZE=1", Mailbox("a b", "x"), Mailbox("a", "x\r\n")])
def test_p42_one_form_of_address(bad: str | Mailbox) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        mailbox(bad, "rcpt")
    assert caught.value.stage == "rcpt"
    if bad == "Name <a@b.example>":
        assert "an envelope takes only the address" in str(caught.value)


def test_envelope() -> None:
    assert envelope("a@x", "b@x").recipients == (Mailbox("b", "x"),)
    assert envelope("a@x", Mailbox("b", "x")).recipients == (Mailbox("b", "x"),)
    assert len(envelope("a@x", ["b@x", "c@x"]).recipients) == 2
    with pytest.raises(LocalProtocolError):
        envelope("a@x", [])


def test_envelope_from_the_header() -> None:
    mail = Mail(letter(Cc="c@x.example"), None, None)
    assert str(mail.envelope.sender) == "a@x.example"
    assert [str(each) for each in mail.envelope.recipients] == ["b@x.example", "c@x.example"]
    assert str(Mail(letter(), "z@x.example", None).envelope.sender) == "z@x.example"
    assert Mail(letter(), None, ["z@x.example"]).envelope.recipients == (Mailbox("z", "x.example"),)
    with pytest.raises(LocalProtocolError, match="senders"):
        Mail(letter(From="a@x.example, b@x.example"), None, None)


@pytest.mark.parametrize("message", ["text", 5, None, object()])
def test_what_is_no_message(message: Any) -> None:
    with pytest.raises(TypeError, match="a message is"):
        Source(message)


def test_octets() -> None:
    for data in (b"a\r\n", bytearray(b"a\r\n"), memoryview(b"a\r\n")):
        source = Source(data)
        assert source.content(NONE, utf8=False).data == b"a\r\n"
        assert source.can_repeat


def test_h098_a_message_object_is_encoded_for_the_server() -> None:
    source = Source(letter())
    assert source.can_repeat
    assert source.content(ALL, utf8=False).eight_bit
    assert not source.content(NONE, utf8=True).eight_bit


def test_a_message_object_that_can_not_be_written() -> None:
    message = letter()
    message.set_payload(5)  # type: ignore[arg-type] # on purpose
    with pytest.raises(LocalProtocolError, match="can't be written"):
        Source(message).content(NONE, utf8=False)


def test_file_is_looked_through_once_and_read_from_where_it_stood() -> None:
    file = io.BytesIO(b"skipped" + b"a\r\n")
    file.seek(7)
    source = Source(file)
    assert not source.can_repeat
    for _ in range(2):
        assert source.content(NONE, utf8=False).size == 3
        assert list(source.chunks()) == [b"a\r\n"]
    assert source.can_repeat


class Pipe(io.BytesIO):
    """A file that can't be read twice."""

    def tell(self) -> int:
        raise OSError


def test_pipe_is_not_looked_through() -> None:
    source = Source(Pipe(b"a\r\n"), normalize_newlines=True)
    content = source.content(NONE, utf8=False)
    assert (content.data, content.size, content.repair) == (None, None, True)
    assert not source.can_repeat
    assert list(source.chunks()) == [b"a\r\n"]


def test_text_is_no_content() -> None:
    with pytest.raises(TypeError, match="bytes, not str"):
        Source(io.StringIO("text")).content(NONE, utf8=False)
    with pytest.raises(TypeError, match="bytes, not int"):
        list(Source([1]).chunks())


class Nothing(Pipe):
    """A file that has nothing for now."""

    def read(self, size: int | None = -1) -> Any:
        return None


def test_a_file_with_nothing_for_now_has_not_ended() -> None:
    with pytest.raises(TypeError):
        list(Source(Nothing()).chunks())


async def letters() -> AsyncIterator[bytes]:
    yield b"a\r\n"
    await asyncio.sleep(0)
    yield b"b\r\n"


async def test_async_iterator() -> None:
    source = Source(letters())
    assert source.content(NONE, utf8=False).data is None
    with pytest.raises(TypeError, match="async client"):
        source.chunks()
    pieces = source.async_chunks()
    assert pieces is not None
    assert [piece async for piece in pieces] == [b"a\r\n", b"b\r\n"]
    assert Source([b"x"]).async_chunks() is None
    assert list(Source([b"x", bytearray(b"y")]).chunks()) == [b"x", b"y"]


def test_who_says_sender_and_recipients_has_the_last_word() -> None:
    mail = Mail(letter(), "y@x.example", "z@x.example")
    assert (str(mail.envelope.sender), list(map(str, mail.envelope.recipients))) == ("y@x.example", ["z@x.example"])


@pytest.mark.parametrize(("sender", "recipients"), [(None, "b@x"), ("a@x", None), (None, None)])
def test_octets_do_not_tell_the_envelope(sender: str | None, recipients: str | None) -> None:
    with pytest.raises(LocalProtocolError, match="octets don't tell") as caught:
        Mail(b"x\r\n", sender, recipients)
    assert caught.value.stage == "mail"


def test_a_second_attempt_goes_on_where_the_first_one_stopped() -> None:
    source = Source([b"x", b"y"])
    assert next(source.chunks()) == b"x"
    assert list(source.chunks()) == [b"y"]
