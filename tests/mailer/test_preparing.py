"""What is done to a message before anything else."""

from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from smtpx.errors import ConfigurationError, LocalProtocolError
from smtpx.mailer.preparing import Limits, check_from, clean_up, complete, named_provider, prepared
from smtpx.message.compose import Message, MessageError
from tests.mailer.rig import FROM, TO, Note, letter

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
TIGHT = Limits(2, 100)


def test_default_senders() -> None:
    for text in ("", "a@b.example", "Shop <a@b.example>"):
        assert check_from(text) == text
    for text in ("nobody", "a@b.example, c@d.example", "a@b.example\r\n", "Team: a@b.example;"):
        with pytest.raises(ConfigurationError, match="from_email"):
            check_from(text)


@pytest.mark.parametrize("arguments", [(0, 1), (1, 0), (-1, 1)])
def test_limits_of_nothing(arguments: tuple[int, int]) -> None:
    with pytest.raises(ConfigurationError, match="at least 1"):
        Limits(*arguments)


def test_complete_has_sender_date_and_id_and_keeps_those_it_had() -> None:
    done = complete(letter(from_=()), FROM, Limits(), lambda: NOON, lambda domain: f"<1@{domain}>")
    assert isinstance(done, Message)
    assert (done.date, done.message_id) == (NOON, "<1@shop.example>")
    again = complete(done, "other@shop.example")
    assert again == done
    note = Note()
    assert complete(note, FROM) is note
    with pytest.raises(MessageError, match="From is missing"):
        complete(letter(from_=()))
    for thing in (b"x", EmailMessage()):
        with pytest.raises(LocalProtocolError, match=rf"not {type(thing).__name__}; Raw of smtpx\.message\.eml"):
            complete(thing)  # type: ignore[arg-type]


def test_limits_hold_for_every_kind() -> None:
    with pytest.raises(MessageError, match="3 recipients"):
        complete(letter(to="a@b.example, c@d.example, e@f.example"), "", TIGHT)
    with pytest.raises(MessageError, match="octets"):
        complete(letter(text="x" * 101), "", TIGHT)
    with pytest.raises(LocalProtocolError, match="3 recipients"):
        complete(Note(recipients=("a@b.example", "c@d.example", "e@f.example")), "", TIGHT)
    with pytest.raises(LocalProtocolError, match="more than the 100 octets"):
        complete(Note(text=b"x" * 101), "", TIGHT)
    complete(Note(text=b"x" * 100), "", TIGHT)


def test_prepared_names_each_recipient_once() -> None:
    ready = prepared(letter(cc=TO), "", Limits(), lambda: NOON, lambda domain: "<1@x.example>")
    assert isinstance(ready, Message)
    assert ready.cc == ()
    note = Note()
    assert prepared(note, "", Limits(), lambda: NOON, lambda domain: "") is note


def test_clean_up_leaves_alone_what_is_clean() -> None:
    message = letter(cc="c@home.example", bcc="Team: x@home.example, jane@home.example;")
    assert clean_up(message) is message


def test_the_provider_that_a_message_names() -> None:
    assert named_provider(letter(provider="bulk")) == "bulk"
    assert named_provider(letter()) is None
    assert named_provider(Note()) is None
