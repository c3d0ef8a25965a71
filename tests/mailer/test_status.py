"""What became of each recipient, in one word."""

import pytest

from smtpx.errors import (
    AuthenticationError,
    ConnectError,
    ConnectionLost,
    LocalProtocolError,
    PermanentRefusal,
    RefusedError,
)
from smtpx.flows.outcome import SendResult, all_refused
from smtpx.mailer.provider import NotTriedError
from smtpx.mailer.status import Status, statuses
from smtpx.message.compose import Message
from smtpx.wire.reply import Reply
from tests.mailer.rig import Note, faking, letter

A, B, C = "a@x.example", "b@x.example", "c@x.example"
THREE = letter(to=[A, B, C])
OK = Reply(250, None)


def refusal(code: int, address: str) -> RefusedError:
    return RefusedError.of(Reply(code, None), recipient=address, stage="rcpt")


def test_p70_each_recipient_has_its_word() -> None:
    result = SendResult({A: OK}, {B: refusal(450, B), C: refusal(550, C)}, OK)
    assert statuses(THREE, result) == {A: "sent", B: "failed", C: "rejected"}
    assert statuses(THREE, SendResult({A: OK}, {B: refusal(550, B)}, OK))[C] is Status.UNKNOWN  # LMTP, in the middle
    nobody = all_refused(SendResult({}, {A: refusal(450, A), B: refusal(550, B), C: refusal(451, C)}))
    assert statuses(THREE, nobody) == {A: "failed", B: "rejected", C: "failed"}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConnectError("x"), "failed"),
        (NotTriedError("x"), "failed"),
        (AuthenticationError("x", mechanism="PLAIN"), "rejected"),
        (refusal(550, A), "rejected"),
        (LocalProtocolError("x"), "invalid"),
        (ValueError("x"), "invalid"),
        (ConnectionLost("x", stage="final"), "unknown"),
        (RuntimeError("x"), "unknown"),
    ],
)
def test_p70_an_error_is_everybodys(error: Exception, status: str) -> None:
    assert set(statuses(THREE, error).values()) == {status}


def test_p70_what_was_accepted_at_rcpt_is_unknown_when_the_connection_was_lost() -> None:
    error = ConnectionLost("x", stage="final")
    error.result = SendResult({A: OK, B: OK}, {C: refusal(550, C)})
    assert statuses(THREE, error) == {A: "unknown", B: "unknown", C: "rejected"}
    stopped = refusal(550, C)
    stopped.result = SendResult({A: OK}, {})  # one part of several has it
    assert statuses(THREE, stopped) == {A: "sent", B: "rejected", C: "rejected"}


async def test_p70_of_a_real_server() -> None:
    async with faking(RCPT=[b"250 ok\r\n", b"450 busy\r\n", b"550 no\r\n"]) as server, server.provider() as provider:
        assert statuses(THREE, await provider.send(THREE)) == {A: "sent", B: "failed", C: "rejected"}
        server.answers["DATA"] = b"554 no\r\n"
        with pytest.raises(PermanentRefusal) as caught:
            await provider.send(THREE)
        assert set(statuses(THREE, caught.value).values()) == {"rejected"}


def test_without_recipients_there_is_nothing_to_say() -> None:
    with pytest.raises(ValueError, match="recipients"):
        statuses(Note(recipients=()), ValueError("x"))


def test_a_message_need_not_name_a_sender() -> None:
    """The provider's own counts, and the message that the caller has in hand knows nothing of it."""
    assert statuses(THREE.with_(from_=None), ConnectError("x")) == dict.fromkeys((A, B, C), "failed")
    with pytest.raises(ValueError, match="no recipient"):
        statuses(Message(from_=A), ConnectError("x"))
