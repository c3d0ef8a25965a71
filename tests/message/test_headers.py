"""Fields that get out as they were meant."""

from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.policy import SMTP, SMTPUTF8, default
from email.utils import getaddresses
from typing import Any

import pytest

from smtpx.message.fields import check_value
from smtpx.message.flatten import envelope_of, flatten
from smtpx.message.headers import make_safe, write_party


def message(**fields: str) -> EmailMessage:
    made = EmailMessage(policy=SMTP)
    for name, value in fields.items():
        made[name] = value
    made.set_content("text")
    return made


def out(made: "Message[Any, Any]", **options: bool) -> bytes:
    return flatten(made, **{"eight_bit": True, "utf8": False, **options})


@pytest.mark.parametrize("hidden", ["=0D=0ABcc=3A_x", "=0ABcc=3A_x", "=0D=0A=0D=0Abody", "=00", "=E2=80=A8x"])
@pytest.mark.parametrize("field", ["Subject", "From", "X-Own"])
def test_h053_a_newline_in_an_encoded_word_never_gets_out(field: str, hidden: str) -> None:
    made = message(Subject="x") if field != "Subject" else message()
    address = " <a@b.example>" if field == "From" else ""

    def write() -> None:
        made[field] = f"=?utf-8?q?a{hidden}?={address}"
        out(made)

    with pytest.raises(ValueError, match=field if field != "From" else None):  # From: the library refuses some itself
        write()


def test_h053_a_newline_in_a_part_never_gets_out() -> None:
    made = message(Subject="x")
    made.add_attachment(b"x", maintype="a", subtype="b", filename="n")
    part = next(made.iter_attachments())
    part["X-Own"] = "=?utf-8?q?a=0D=0ABcc=3A_x?="
    with pytest.raises(ValueError, match="X-Own"):
        out(made)


def test_a_long_name_keeps_its_quotes() -> None:
    name = "word " * 30 + ", y"
    octets = out(message(To=f'"{name}" <a@b.example>, "Doe, Jane" <c@d.example>, e@f.example'))
    # Read by the older parser: the newer one puts spaces between encoded-words, against RFC 2047 6.2.
    parties = getaddresses([message_from_bytes(octets)["To"]])
    assert [(str(make_header(decode_header(text))), address) for text, address in parties] == [
        (name, "a@b.example"),
        ("Doe, Jane", "c@d.example"),
        ("", "e@f.example"),
    ]
    assert all(len(line) < 120 for line in octets.split(b"\r\n"))


def test_the_order_of_the_fields_stays() -> None:
    made = message(From="a@b.example", To="c@d.example", Cc="e@f.example", Subject="x")
    names = [line.split(b":")[0] for line in out(made).split(b"\r\n\r\n")[0].split(b"\r\n") if line[:1] != b" "]
    assert names[:4] == [b"From", b"To", b"Cc", b"Subject"]


def test_the_message_itself_is_not_changed() -> None:
    made = message(To='"Doe, Jane" <c@d.example>', Bcc="e@f.example")
    before = made.items()
    out(made)
    assert made.items() == before


def test_groups_and_addresses_beyond_ascii_are_left_to_the_library() -> None:
    made = EmailMessage(policy=SMTPUTF8)
    made["To"] = "team: a@b.example, c@d.example;"
    made["Cc"] = "ü@b.example"
    made.set_content("text")
    octets = out(made, utf8=True)
    assert b"To: team: a@b.example, c@d.example;\r\n" in octets
    assert "Cc: ü@b.example\r\n".encode() in octets


def test_a_field_that_stands_twice_is_left_alone() -> None:
    made = message_from_bytes(b"To: a@b.example\r\nTo: c@d.example\r\n\r\nx\r\n", policy=default)
    make_safe(made)
    assert [str(value) for value in made.get_all("To", [])] == ["a@b.example", "c@d.example"]


def test_old_messages_are_left_alone() -> None:
    made = message_from_bytes(b"To: a@b.example,\r\n c@d.example\r\nSubject: x\r\n\r\nx\r\n")
    assert out(made) == b"To: a@b.example,\r\n c@d.example\r\nSubject: x\r\n\r\nx\r\n"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("", "a@b"),
        ("Anna Bell", "Anna Bell <a@b>"),
        ("Doe, Jane", '"Doe, Jane" <a@b>'),
        ('The "Boss"', '"The \\"Boss\\"" <a@b>'),
        ("Jürgen", "=?utf-8?q?J=C3=BCrgen?= <a@b>"),
    ],
)
def test_write_party(name: str, written: str) -> None:
    assert write_party(name, "a@b") == written


def test_check_value_takes_tabs_and_names_the_field() -> None:
    check_value("a\tb", "Subject")
    with pytest.raises(ValueError, match=r"^Subject: .*\\x0d"):
        check_value("a\rb", "Subject")


def test_a_local_part_keeps_the_quotes_it_needs() -> None:
    octets = out(message(To='"a..b"@x.example, Jane <"c d"@x.example>'))
    assert b'To: "a..b"@x.example,\r\n Jane <"c d"@x.example>\r\n' in octets


def test_a_word_that_is_no_address_is_not_made_to_look_like_one() -> None:
    assert b"To: nobody\r\n" in out(message(To="nobody"))
    assert b"To: b@y.example,\r\n nobody\r\n" in out(message(To="b@y.example, nobody"))
    assert b'To: "no, body"\r\n' in out(message(To='"no, body"'))


def test_beside_what_is_no_address_a_long_name_keeps_its_quotes() -> None:
    octets = out(message(To=f'"{"word " * 30}, evil@z.example" <a@b.example>, nobody'))
    assert [address for _, address in getaddresses([message_from_bytes(octets)["To"]])] == ["a@b.example", "nobody"]


# What would never end (H062) ------------------------------------------------------------------------------------------

HOSTILE = {
    "comments in comments": "(" * 2_000 + "a@b.example",
    "groups without end": "g: a@b.example; " * 2_000,
    "a hundred thousand comments": "(" * 100_000,
    "a hundred thousand comments, closed": "(a) " * 100_000 + "a@b.example",
    "a million commas": "," * 1_000_000,
    "a hundred thousand encoded-words": "=?utf-8?q?a?= " * 100_000 + "<a@b.example>",
    "a hundred thousand quotes": '"' * 100_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_h062_what_the_library_can_not_read_in_measure_is_refused(text: str) -> None:
    read = message_from_bytes(f"From: s@x.example\r\nTo: {text}\r\n\r\nx\r\n".encode(), policy=default)
    with pytest.raises(ValueError, match=r"To|can.t be read"):
        envelope_of(read)
    with pytest.raises(ValueError, match=r"To|can.t be written"):
        out(read)


@pytest.mark.parametrize(
    "text", ["g:" * 100_000, "=?utf-8?q?" + "a" * 1_000_000 + "?= <a@b.example>"], ids=["groups", "one long word"]
)
def test_h062_what_is_only_long_is_read(text: str) -> None:
    read = message_from_bytes(f"From: s@x.example\r\nTo: {text}\r\n\r\nx\r\n".encode(), policy=default)
    assert envelope_of(read)[0] == "s@x.example"


def test_h062_encoded_words_of_any_field_are_counted_and_other_marks_are_not() -> None:
    read = message_from_bytes(b"Subject: " + b"=?utf-8?q?a?= " * 5_001 + b"\r\n\r\nx\r\n", policy=default)
    with pytest.raises(ValueError, match="Subject"):
        out(read)
    read = message_from_bytes(b"Subject: " + b'(,"' * 20_000 + b"\r\n\r\nx\r\n", policy=default)
    assert out(read).startswith(b"Subject: ")
