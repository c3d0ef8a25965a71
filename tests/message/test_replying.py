"""Answers keep the thread."""

from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from smtpx.message.compose import Message
from smtpx.message.eml import Eml
from smtpx.message.replying import reply_fields

FIRST = Message(
    from_="Ann <a@b.example>",
    to="c@d.example",
    subject="Plans",
    text="x",
    date=datetime(2026, 3, 1, tzinfo=UTC),
    message_id="<1@b.example>",
)


def read(message: Message) -> tuple[Message | Eml | EmailMessage, ...]:
    import email
    import email.policy

    octets = bytes(message)
    return message, Eml(octets), email.message_from_bytes(octets, policy=email.policy.default)  # type: ignore[return-value]


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_the_first_answer(kind: int) -> None:
    answer = Message(from_="c@d.example", text="Yes").reply_to_message(read(FIRST)[kind])  # type: ignore[arg-type]
    assert answer.in_reply_to == ("<1@b.example>",)
    assert answer.references == ("<1@b.example>",)
    assert answer.subject == "Re: Plans"
    assert answer.to == FIRST.from_


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_the_next_answers(kind: int) -> None:
    second = FIRST.with_(
        message_id="<2@d.example>",
        references="<0@x.example> <1@b.example>",
        subject="RE: Plans",
        reply_to="list@b.example",
    )
    answer = Message(from_="a@b.example", text="x").reply_to_message(read(second)[kind])  # type: ignore[arg-type]
    assert answer.references == ("<0@x.example>", "<1@b.example>", "<2@d.example>")
    assert answer.subject == "RE: Plans"
    assert str(answer.to[0]) == "list@b.example"


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_a_parent_with_in_reply_to_only(kind: int) -> None:
    second = FIRST.with_(message_id="<2@d.example>", in_reply_to="<1@b.example>", subject=None)
    answer = Message(from_="a@b.example", text="x").reply_to_message(read(second)[kind])  # type: ignore[arg-type]
    assert answer.references == ("<1@b.example>", "<2@d.example>")
    assert answer.subject is None


def test_what_was_set_stays() -> None:
    answer = Message(from_="c@d.example", to="x@y.example", subject="No", text="x").reply_to_message(FIRST)
    assert (str(answer.to[0]), answer.subject) == ("x@y.example", "No")


def test_long_threads_keep_their_first_and_latest() -> None:
    references = [f"<{number}@x.example>" for number in range(100)]
    fields = reply_fields(FIRST.with_(references=references))
    assert len(fields["references"]) == 50
    assert fields["references"][0] == "<0@x.example>"
    assert fields["references"][-2:] == ["<99@x.example>", "<1@b.example>"]


def test_an_original_that_says_nothing() -> None:
    assert reply_fields(EmailMessage()) == {}
    assert reply_fields(Message()) == {}


def test_an_original_that_says_too_much() -> None:
    original = Eml(b"From: x\r\nSubject: =?utf-8?q?a=0D=0ABcc:_x?=\r\nMessage-ID: <a@b>\r\n\r\n")
    assert Message().with_(text="x").reply_to_message(original).subject is not None
