"""Message objects as octets, and the envelope that their header names."""

from email import message_from_bytes
from email.message import EmailMessage, Message
from email.mime.text import MIMEText
from email.policy import SMTP, default

import pytest

from smtpx.message.flatten import envelope_of, flatten


def letter(**fields: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    message.set_content("From here\n.dot\ngrüße\n")
    return message


def test_bcc_is_left_out_and_the_original_keeps_it() -> None:
    message = letter(To="a@x.example", Bcc="b@x.example", Resent_Bcc="c@x.example")
    octets = flatten(message, eight_bit=True, utf8=True)
    assert b"Bcc" not in octets
    assert message["Bcc"] == "b@x.example"
    assert message["Resent-Bcc"] == "c@x.example"


def test_lines_end_in_crlf_and_from_is_not_mangled() -> None:
    octets = flatten(letter(To="a@x.example"), eight_bit=True, utf8=False)
    assert octets.count(b"\n") == octets.count(b"\r\n")
    assert b"\r\nFrom here\r\n.dot\r\n" in octets


@pytest.mark.parametrize("legacy", [False, True])
def test_eight_bit_only_where_it_may(legacy: bool) -> None:
    source = b"To: a@x.example\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    source += b"Content-Transfer-Encoding: 8bit\r\n\r\n" + "grüße\r\n".encode()
    message: Message = message_from_bytes(source) if legacy else message_from_bytes(source, policy=default)
    assert "grüße".encode() in flatten(message, eight_bit=True, utf8=False)
    assert flatten(message, eight_bit=False, utf8=False).isascii()


def test_header_in_utf8_only_where_it_may() -> None:
    message = letter(Subject="grüße")
    assert "Subject: grüße".encode() in flatten(message, eight_bit=True, utf8=True)
    assert b"Subject: =?utf-8?" in flatten(message, eight_bit=True, utf8=False)


def test_what_the_standard_library_can_not_write_is_one_error() -> None:
    message = Message()
    message.set_payload(5)  # type: ignore[arg-type] # on purpose
    with pytest.raises(ValueError, match="can't be written"):
        flatten(message, eight_bit=True, utf8=True)


def test_envelope() -> None:
    message = letter(
        From="A <a@x.example>", To='"B, b" <b@x.example>, c@x.example', Cc="d@x.example", Bcc="e@x.example"
    )
    assert envelope_of(message) == ("a@x.example", [f"{name}@x.example" for name in "bcde"])


def test_envelope_of_an_old_message_object() -> None:
    message = MIMEText("x")
    message["From"], message["To"] = "A <a@x.example>", "b@x.example, C <c@x.example>"
    assert envelope_of(message) == ("a@x.example", ["b@x.example", "c@x.example"])


def test_sender_counts_before_from() -> None:
    message = letter(Sender="s@x.example", From="a@x.example, b@x.example", To="c@x.example")
    assert envelope_of(message)[0] == "s@x.example"


@pytest.mark.parametrize(("fields", "text"), [({}, "no senders"), ({"From": "a@x.example, b@x.example"}, "2 senders")])
def test_sender_that_is_not_clear(fields: dict[str, str], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        envelope_of(letter(**fields))


def test_rfc5322_3_6_6_resent_fields_count() -> None:
    fields = {"From": "a@x.example", "To": "b@x.example", "Resent_From": "r@x.example", "Resent_To": "t@x.example"}
    message = letter(**fields, Resent_Date="Mon, 1 Jan 2024 00:00:00 +0000")
    assert envelope_of(message) == ("r@x.example", ["t@x.example"])
    message["Resent-Date"] = "Tue, 2 Jan 2024 00:00:00 +0000"
    with pytest.raises(ValueError, match="more than once"):
        envelope_of(message)


def test_an_envelope_from_the_header_keeps_quoted_local_parts() -> None:
    message = EmailMessage(policy=SMTP)
    message["From"] = '"a..b"@x.example'
    message["To"] = '"c d"@y.example, e@z.example'
    assert envelope_of(message) == ('"a..b"@x.example', ['"c d"@y.example', "e@z.example"])
