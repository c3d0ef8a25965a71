"""A message made of options: what was meant arrives, and nothing else gets in."""

import email
import email.policy
import re
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from smtpx.cli.compose import Party, compose, party
from smtpx.message.flatten import flatten

LONG = "a" * 70


def message(**options: Any) -> EmailMessage:  # noqa: ANN401 - the options of the command
    usual: dict[str, Any] = {"sender": "a@example.org", "to": ("b@example.net",), "cc": (), "subject": None}
    return compose({**usual, "text": None, "html": None, "attach": (), "headers": (), **options})


def sent(**options: Any) -> bytes:  # noqa: ANN401 - as above
    return flatten(message(**options), eight_bit=False, utf8=False)


def received(**options: Any) -> EmailMessage:  # noqa: ANN401 - as above
    octets = sent(**options)
    assert octets.isascii()
    assert max(map(len, octets.splitlines())) <= 998
    parsed = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def parties(parsed: EmailMessage, name: str) -> list[tuple[str, str]]:
    return [(each.display_name, each.addr_spec) for each in parsed[name].addresses]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a@example.org", ("", "a@example.org")),
        (" a@example.org ", ("", "a@example.org")),
        ("<a@example.org>", ("", "a@example.org")),
        ("Anna <a@example.org>", ("Anna", "a@example.org")),
        ('"Doe, \\"J\\"" <j@example.org>', ('Doe, "J"', "j@example.org")),
        ("Doe, Jane <j@example.org>", ("Doe, Jane", "j@example.org")),
        ("a <b> <c@example.org>", ("a <b>", "c@example.org")),
        ('"<a>"@example.org', ("", '"<a>"@example.org')),
        ("", ("", "")),
        ("<>", ("", "")),
        ("a> <b", ("", "a> <b")),
    ],
)
def test_party(text: str, expected: tuple[str, str]) -> None:
    assert party(text) == Party(*expected)


def test_a_plain_message() -> None:
    parsed = received(to=("b@example.net", "c@example.net"), cc=("d@example.net",), subject="Hi", text="Hello\nyou")
    assert list(parsed) == [
        "From",
        "To",
        "Cc",
        "Subject",
        "Date",
        "Message-ID",
        "Content-Type",
        "Content-Transfer-Encoding",
        "MIME-Version",
    ]
    assert parsed["From"] == "a@example.org"
    assert parties(parsed, "To") == [("", "b@example.net"), ("", "c@example.net")]
    assert parties(parsed, "Cc") == [("", "d@example.net")]
    assert parsed["Subject"] == "Hi"
    assert parsed["Date"].datetime is not None
    assert re.fullmatch(r"<[^@ ]+@example\.org>", parsed["Message-ID"])
    assert parsed.get_content().splitlines() == ["Hello", "you"]


def test_a_message_of_nothing() -> None:
    parsed = received(to=())
    assert "To" not in parsed
    assert "Subject" not in parsed
    assert parsed.get_content().strip() == ""


def test_the_null_sender_is_nobody_who_could_be_answered() -> None:
    assert re.fullmatch(r"MAILER-DAEMON@[^@ ]+", received(sender="")["From"])
    assert received(sender="<>")["From"] == received(sender="")["From"]


@pytest.mark.parametrize(
    "name",
    [
        "Anna",
        "Anna B.",
        "Doe, Jane",
        'A "B" C',
        "back\\slash",
        "Müller, Anna",
        "x@y.example",
        "安娜",
        "=?utf-8?q?x?=",
        "Ü" * 80,
        f"{LONG}, {LONG}",
        "word " * 30 + ", <x@y.example>",
        "a; b: c <x@y>",
        "Anna (x) Müller",
        "é <x@y>, z@w",
    ],
)
def test_display_names_arrive_and_name_nobody_else(name: str) -> None:
    text = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '" <b@example.net>'
    parsed = received(sender=text, to=(text, "c@example.net", text))
    expected = " ".join(name.split()) if len(name) > 60 else name
    shown = parties(parsed, "To")
    assert [address for _, address in shown] == ["b@example.net", "c@example.net", "b@example.net"]
    assert parties(parsed, "From")[0][1] == "b@example.net"
    assert {"".join(each.split()) for each, _ in shown} == {"".join(expected.split()), ""}


def test_a_domain_in_another_script_stands_there_in_a_labels() -> None:
    parsed = received(sender="Jörg <j@bücher.example>", to=("b@例え.jp",))
    assert parties(parsed, "From") == [("Jörg", "j@xn--bcher-kva.example")]
    assert parties(parsed, "To") == [("", "b@xn--r8jz45g.jp")]
    assert parsed["Message-ID"].endswith("@xn--bcher-kva.example>")


def test_a_local_part_in_another_script_goes_in_utf8() -> None:
    octets = flatten(message(to=("Jörg <jörg@example.net>", "b@example.net")), eight_bit=True, utf8=True)
    assert 'To: "Jörg" <jörg@example.net>'.encode() in octets or "To: Jörg <jörg@example.net>".encode() in octets


@pytest.mark.parametrize("address", ['"a b"@example.org', '"a@b"@example.org', '"a..b"@example.org', "a@[192.0.2.1]"])
@pytest.mark.parametrize("name", ["", "Anna "])
def test_odd_addresses_stay_as_they_are(address: str, name: str) -> None:
    text = f"{name}<{address}>" if name else address
    assert f"To: {text}\r\n".encode() in sent(to=(text,))


def test_a_long_address_is_not_folded() -> None:
    address = f"{'a' * 64}@{'b' * 63}.{'c' * 60}.example"
    assert f'"Doe, Jane" <{address}>\r\n'.encode() in sent(to=(f'"Doe, Jane" <{address}>',))


@pytest.mark.parametrize("subject", ["", "Grüße 🎉", "x" * 2000, "word " * 100, "日本語" * 60, "a\tb"])
def test_subjects(subject: str) -> None:
    assert "".join(received(subject=subject)["Subject"].split()) == "".join(subject.split())


def test_own_fields_are_added_and_take_the_place_of_usual_ones() -> None:
    own = (
        "X-A: 1",
        "X-A: 2",
        "X-B:",
        "From: Somebody Else <e@example.org>",
        "subject: mine",
        "Date: x",
        "Message-ID: <1@x>",
    )
    parsed = received(headers=(*own, "Content-Language: de", "X-C: Grüße: ja"), subject="not this")
    assert parsed.get_all("X-A") == ["1", "2"]
    assert parsed["X-B"] == ""
    assert parsed["From"] == "Somebody Else <e@example.org>"
    assert parsed.get_all("Subject") == ["mine"]
    assert parsed.get_all("Message-ID") == ["<1@x>"]
    assert (parsed["Content-Language"], parsed["X-C"]) == ("de", "Grüße: ja")


def test_addresses_among_the_own_fields_are_folded_as_the_others() -> None:
    parsed = received(
        headers=(f'Reply-To: "{LONG}, {LONG}" <b@example.net>, c@b\u00fccher.example', "Cc: All: x@y.example;")
    )
    shown = [(name.replace(" ", ""), address) for name, address in parties(parsed, "Reply-To")]
    assert shown == [(f"{LONG},{LONG}", "b@example.net"), ("", "c@xn--bcher-kva.example")]
    assert parsed["Cc"] == "All: x@y.example;"


def test_bcc_among_the_own_fields_does_not_leave() -> None:
    assert b"secret" not in sent(headers=("Bcc: secret@example.org",))


@pytest.mark.parametrize("field", ["no colon", ": x", "a b: x", "ü: x", "a\r\nb: x", "", "\x00: x"])
def test_what_is_no_field(field: str) -> None:
    with pytest.raises(ValueError, match=r"--header: not a header field: .*give 'Name: value'"):
        message(headers=(field,))


@pytest.mark.parametrize("name", ["Content-Type", "mime-version", "Content-Transfer-Encoding", "Content-Disposition"])
def test_fields_that_follow_from_the_body(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} follows from the body"):
        message(headers=(f"{name}: x",))


def test_a_field_that_may_occur_once() -> None:
    with pytest.raises(ValueError, match="at most 1"):
        message(headers=("To: a@example.org", "To: b@example.org"))


@pytest.mark.parametrize("bad", ["a\r\nBcc: x", "a\nb", "a\rb", "a\x00b", "a\x1b[2J", "a\x85b", "a\u2028b", "a\ud800b"])
def test_nothing_gets_into_the_header(bad: str) -> None:
    with pytest.raises(ValueError, match="--subject: a control character"):
        message(subject=bad)
    with pytest.raises(ValueError, match="--header X-A: a control character"):
        message(headers=(f"X-A: {bad}",))
    with pytest.raises(ValueError, match="--from: a control character"):
        message(sender=f"{bad} <a@example.org>")
    with pytest.raises(ValueError, match="--to: a control character"):
        message(to=("c@example.net", f'"{bad}" <a@example.org>'))
    with pytest.raises(ValueError, match="not an e-mail address"):
        message(cc=(f"{bad}@example.org",))


@pytest.mark.parametrize("word", ["=?utf-8?q?a=0D=0ABcc=3A_x?=", "=?utf-8?q?a=0D=0A=0D=0Abody?=", "=?utf-8?b?YQpi?="])
def test_what_decodes_to_a_newline_is_no_field(word: str) -> None:
    with pytest.raises(ValueError, match="--subject: a control character"):
        message(subject=word)
    with pytest.raises(ValueError, match="--header X-A: a control character"):
        message(headers=(f"X-A: {word}",))
    with pytest.raises(ValueError, match=r"CR or LF|control character"):
        message(headers=(f"Reply-To: {word} <a@example.org>",))


def test_text_and_html() -> None:
    assert received(html="<p>é</p>").get_content_type() == "text/html"
    both = received(text="é", html="<p>é</p>")
    assert [part.get_content_type() for part in both.iter_parts()] == ["text/plain", "text/html"]
    assert [part.get_content().splitlines() for part in both.iter_parts()] == [["é"], ["<p>é</p>"]]


def test_text_is_text() -> None:
    with pytest.raises(ValueError, match="--text: not text"):
        message(text="a\udcff")
    with pytest.raises(ValueError, match="--html: not text"):
        message(html="a\udcff")


def test_text_of_any_shape() -> None:
    text = "From here\n.\n..\n" + "x" * 5000 + "\n\nend"
    assert received(text=text).get_content().splitlines() == text.splitlines()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.pdf", "application/pdf"),
        ("a.txt", "text/plain"),
        ("a.tar.gz", "application/octet-stream"),
        ("a.unknown", "application/octet-stream"),
        ("a.eml", "application/octet-stream"),
        ('Grüße, "x".bin', "application/octet-stream"),
    ],
)
def test_attachments_arrive_octet_by_octet(tmp_path: Path, name: str, kind: str) -> None:
    octets = bytes(range(256)) * 40 + b"\r\n.\r\n\n\r"
    (tmp_path / name).write_bytes(octets)
    (tmp_path / "empty.bin").write_bytes(b"")
    parsed = received(text="see", attach=(str(tmp_path / name), str(tmp_path / "empty.bin")))
    first, second = parsed.iter_attachments()
    assert (first.get_filename(), first.get_content_type()) == (name, kind)
    assert first.get_payload(decode=True) == octets
    assert second.get_payload(decode=True) == b""
    body = parsed.get_body()
    assert body is not None
    assert body.get_content().splitlines() == ["see"]


def test_a_file_name_with_a_newline(tmp_path: Path) -> None:
    (tmp_path / "a\nb").write_bytes(b"x")
    with pytest.raises(ValueError, match="--attach: a control character"):
        message(attach=(str(tmp_path / "a\nb"),))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        message(attach=(str(tmp_path / "none"),))
