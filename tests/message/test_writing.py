"""A message as octets: byte for byte where that is short, and read back by the standard library everywhere else."""

# ruff: noqa: ANN401 - values of any kind
import email
import io
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpx.message.address import Address
from smtpx.message.attachments import Attachment
from smtpx.message.compose import Alternative, Message, MessageError, MessageFields, RawHeader

GOOD: dict[str, Any] = {
    "from_": "Jane <jane@a.example>",
    "to": "b@b.example",
    "date": datetime(2026, 3, 1, 12, 30, tzinfo=timezone(timedelta(hours=1))),
    "message_id": "<1@a.example>",
}


def message(**fields: Any) -> Message:
    return Message(**{**GOOD, **fields})


def read(octets: bytes) -> EmailMessage:
    found: Any = email.message_from_bytes(octets, policy=default)
    assert not [defect for part in found.walk() for defect in part.defects]
    return found


def lines(text: str) -> str:
    """As a text arrives: its lines, all of them complete."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if not text or text.endswith("\n") else text + "\n"


def content_of(part: Any) -> Any:
    content = part.get_content()
    return content.replace("\r\n", "\n") if isinstance(content, str) else content


# Byte for byte -------------------------------------------------------------------------------------------------------

HEAD = (
    b"Date: Sun, 01 Mar 2026 12:30:00 +0100\r\nFrom: Jane <jane@a.example>\r\nTo: b@b.example\r\n"
    b"Message-ID: <1@a.example>\r\n"
)


def test_6_4_no_fields_but_these() -> None:
    assert bytes(message(text="Hello\nthere")) == (
        HEAD + b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n\r\nHello\r\nthere\r\n"
    )


def test_text_and_html() -> None:
    seed = b"=_mine.0"
    assert bytes(message(text="a", html="<b>ü", boundary="mine")) == (
        HEAD + b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="' + seed + b'"\r\n\r\n'
        b"--"
        + seed
        + b"\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\na\r\n\r\n"
        b"--"
        + seed
        + b"\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        b"<b>=C3=BC\r\n\r\n"
        b"--" + seed + b"--\r\n"
    )


def test_6_5_all_further_fields_in_their_order() -> None:
    written = bytes(
        message(
            text="x",
            sender="s@a.example",
            cc="c@c.example",
            bcc="secret@d.example",
            reply_to="r@a.example",
            subject="Grüße",
            in_reply_to="<0@b.example>",
            references="<00@b.example> <0@b.example>",
            importance="high",
            bulk=True,
            list_unsubscribe=["https://a.example/u?" + "x" * 80, "mailto:u@a.example"],
            one_click=True,
            read_receipt_to="jane@a.example, m@a.example",
            organization="Ü GmbH",
            user_agent="shop/1",
            language="de",
            headers=[("X-B", "1"), ("X-A", "2"), ("X-B", "3"), RawHeader("X-C", "4\r\n 5")],
        )
    )
    assert written.partition(b"MIME-Version")[0] == (
        b"Date: Sun, 01 Mar 2026 12:30:00 +0100\r\nFrom: Jane <jane@a.example>\r\nSender: s@a.example\r\n"
        b"Reply-To: r@a.example\r\nTo: b@b.example\r\nCc: c@c.example\r\nSubject: =?utf-8?b?R3LDvMOfZQ==?=\r\n"
        b"Message-ID: <1@a.example>\r\nIn-Reply-To: <0@b.example>\r\nReferences: <00@b.example> <0@b.example>\r\n"
        b"Importance: high\r\nPriority: urgent\r\nX-Priority: 1\r\nX-MSMail-Priority: High\r\n"
        b"Precedence: bulk\r\nX-Auto-Response-Suppress: All\r\nAuto-Submitted: auto-generated\r\n"
        b"List-Unsubscribe: <https://a.example/u?" + b"x" * 80 + b">,\r\n <mailto:u@a.example>\r\n"
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        b"Disposition-Notification-To: jane@a.example, m@a.example\r\n"
        b"Organization: =?utf-8?b?w5w=?= GmbH\r\nUser-Agent: shop/1\r\nContent-Language: de\r\n"
        b"X-B: 1\r\nX-A: 2\r\nX-B: 3\r\nX-C: 4\r\n 5\r\n"
    )


def test_g10_low_and_normal_importance() -> None:
    low = b"Importance: low\r\nPriority: non-urgent\r\nX-Priority: 5\r\nX-MSMail-Priority: Low\r\n"
    assert low in bytes(message(text="x", importance="low"))
    assert bytes(message(text="x", importance="normal")) == bytes(message(text="x"))


def test_list_unsubscribe_without_a_click() -> None:
    written = bytes(message(text="x", list_unsubscribe="<mailto:u@a.example>"))
    assert b"List-Unsubscribe: <mailto:u@a.example>\r\n" in written
    assert b"List-Unsubscribe-Post" not in written


def test_p11_bcc_is_never_written() -> None:
    plain = message(text="x", bcc="secret@d.example")
    assert b"secret" not in bytes(plain)
    assert b"bcc" not in bytes(plain).lower()
    assert "secret@d.example" in map(str, plain.posting().recipients)


def test_g12_the_same_input_gives_the_same_octets() -> None:
    def make() -> Message:
        return message(text="x", html="<p>", attachments=[Attachment(b"x", "x")], headers={"X-B": "1", "X-A": "2"})

    assert bytes(make()) == bytes(make())
    assert bytes(make()) == bytes(make().with_())
    assert bytes(make()) != bytes(make().with_(message_id="<2@a.example>"))


# What is in it -------------------------------------------------------------------------------------------------------


def types(found: Message) -> list[str]:
    return [part.get_content_type().replace("multipart/", "") for part in read(bytes(found)).walk()]


PART = Attachment(b"x", "x.pdf")


@pytest.mark.parametrize(
    ("fields", "tree"),
    [
        ({"text": "x"}, ["text/plain"]),
        ({"html": "<p>x", "derive_text": False}, ["text/html"]),
        ({"html": "<p>x"}, ["alternative", "text/plain", "text/html"]),
        ({"html": "<p>x", "text": ""}, ["text/html"]),
        ({"attachments": [PART]}, ["application/pdf"]),
        ({"attachments": [PART, PART]}, ["mixed", "application/pdf", "application/pdf"]),
        ({"text": "x", "attachments": [PART]}, ["mixed", "text/plain", "application/pdf"]),
        ({"text": "x", "html": "<p>", "inline": {"a": b"x"}, "attachments": [PART]},
         ["mixed", "related", "alternative", "text/plain", "text/html", "application/octet-stream", "application/pdf"]),
        ({"html": "<p>", "text": "", "inline": {"a": b"x"}}, ["related", "text/html", "application/octet-stream"]),
        ({"inline": {"a": b"x"}}, ["application/octet-stream"]),
        ({"text": "x", "alternatives": [Alternative("x", "text/calendar"), Alternative(b"x", "x/y")]},
         ["alternative", "text/plain", "text/calendar", "x/y"]),
        ({"text": "x", "html": "<p>", "alternatives": [Alternative("x", "text/x-amp-html")]},
         ["alternative", "text/plain", "text/x-amp-html", "text/html"]),
        ({"text": "x", "alternatives": [Alternative("x", "text/x-amp-html")]},
         ["alternative", "text/plain", "text/x-amp-html"]),
        ({}, ["text/plain"]),
        ({"attachments": [Attachment(b"x", "x", encoding="quoted-printable")]}, ["mixed", "application/octet-stream"]),
    ],
)  # fmt: skip
def test_6_2_levels_without_content_are_left_out(fields: dict[str, Any], tree: list[str]) -> None:
    assert types(message(**fields)) == tree


def test_a_text_is_derived() -> None:
    body = read(bytes(message(html="<h1>Hi</h1><p>See <a href='https://a.example/'>us</a>")))
    derived = body.get_body(("plain",))
    assert derived is not None
    assert "See us <https://a.example/>" in derived.get_content()


def test_6_3_inline_parts_have_the_content_id_that_the_html_names() -> None:
    found = read(
        bytes(
            message(
                from_="j@bücher.example",
                html='<img src="cid:logo"><img src="cid:b@c"><i style="background:url(cid:l%6Fgo)">'
                '<img src="cid:other">',
                inline={"logo": b"\x89PNG\r\n", "b@c": Attachment(b"GIF8", "b.gif")},
            )
        )
    )
    html = found.get_body(("html",))
    assert html is not None
    domain = "xn--bcher-kva.example"
    assert html.get_content() == (
        f'<img src="cid:logo@{domain}"><img src="cid:b@c"><i style="background:url(cid:logo@{domain})">'
        '<img src="cid:other">\r\n'
    )
    assert [part["Content-ID"] for part in found.walk() if part["Content-ID"]] == [f"<logo@{domain}>", "<b@c>"]


def test_calendar() -> None:
    invitation = Alternative("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", "text/calendar; method=REQUEST", "base64")
    part = [*read(bytes(message(text="x", alternatives=[invitation]))).walk()][-1]
    assert part["Content-Type"].params["method"] == "REQUEST"
    assert part["Content-Transfer-Encoding"] == "base64"
    assert part.get_content() == "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "windows-1252", "iso-8859-15", "utf-16"])
def test_charsets(charset: str) -> None:
    part = read(bytes(message(text="Grüße\nan alle", charset=charset)))
    assert part.get_content_charset() == charset
    assert content_of(part) == "Grüße\nan alle\n"


def test_8bit_and_utf8_only_where_they_are_offered() -> None:
    letter = message(text="grüße", subject="Grüße", encoding="8bit")
    assert b"".join(letter.octets(eight_bit=True, utf8=True)).count("grüße".encode()) == 1
    assert "Subject: Grüße\r\n".encode() in b"".join(letter.octets(eight_bit=True, utf8=True))
    assert b"".join(letter.octets(eight_bit=False, utf8=False)).isascii()
    assert not b"".join(letter.octets(eight_bit=True, utf8=False)).isascii()


def test_g07_nothing_becomes_8bit_or_utf8_by_itself() -> None:
    assert b"".join(message(text="grüße", subject="Hi").octets(eight_bit=True, utf8=True)).isascii()


# What can't be written -----------------------------------------------------------------------------------------------


def wrong(found: Message, **options: Any) -> list[str]:
    with pytest.raises(MessageError) as caught:
        b"".join(found.octets(**options))
    return [each.field for each in caught.value.findings]


def test_what_is_missing() -> None:
    assert wrong(Message(text="x")) == ["date", "message_id", "from_"]
    assert wrong(message(text="x").with_(from_=None)) == ["from_"]
    with pytest.raises(MessageError, match=r"date: missing: .*Message\.stamped"):
        bytes(Message(from_="a@b.example", text="x"))


def test_each_error_names_its_field(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"x" * 200_000)
    gone = message(attachments=[path], inline={"a": b"x"})
    inner = Attachment.of_message(Message(from_="a@b.example", text="x"))
    assert wrong(message(text="ü", encoding="7bit")) == ["text"]
    assert wrong(message(html="ü", encoding="7bit", derive_text=False)) == ["html"]
    assert wrong(message(alternatives=[Alternative("ü", "text/x", "7bit")])) == ["alternatives"]
    assert wrong(message(attachments=[Attachment(b"a\n", "x.txt", encoding="7bit")])) == ["attachments"]
    assert wrong(message(inline={"a": Attachment(b"a\n", encoding="7bit")})) == ["inline"]
    assert wrong(message(from_="ü@a.example", text="x")) == ["header"]
    assert b"".join(message(from_="ü@a.example", text="x").octets(utf8=True))
    assert wrong(message(attachments=[inner])) == ["date", "message_id"]
    path.unlink()
    assert wrong(gone) == ["attachments"]


# Large ones ----------------------------------------------------------------------------------------------------------


class Zeros(io.RawIOBase):
    """A stream of any length that takes no room."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = (0, self.at, self.size)[whence] + offset
        return self.at

    def read(self, size: int = -1) -> bytes:
        count = min(size, self.size - self.at)
        self.at += count
        return bytes(count)


@pytest.mark.parametrize("encoding", [None, "quoted-printable"])
def test_g13_large_attachments_in_flat_memory(encoding: Any) -> None:
    import tracemalloc

    size = 40_000_000 if encoding is None else 5_000_000
    letter = message(text="x", attachments=[Attachment(Zeros(size), "zeros", encoding=encoding)])
    tracemalloc.start()
    try:
        expected = letter.measure().size
        total = sum(map(len, letter.octets()))
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
    assert total == expected > size


def test_measured_without_being_written(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes("grüße\r\n".encode() * 20_000)
    letter = message(text="grüße", encoding="8bit", attachments=[path])
    assert letter.measure().is_ascii
    assert not letter.measure(eight_bit=True).is_ascii
    attached = message(text="x", attachments=[Attachment(path, encoding="8bit")])
    for eight_bit in (False, True):
        octets = b"".join(attached.octets(eight_bit=eight_bit))
        assert attached.measure(eight_bit=eight_bit) == (len(octets), octets.isascii()) == (len(octets), not eight_bit)


def test_written_to_a_file(tmp_path: Path) -> None:
    letter = message(text="x", attachments=[Attachment(io.BytesIO(b"x" * 500_000), "x")])
    file = io.BytesIO()
    letter.write(file)
    letter.write(tmp_path / "x.eml")
    assert file.getvalue() == bytes(letter) == (tmp_path / "x.eml").read_bytes()
    assert len(bytes(letter)) == letter.measure().size
    assert len([*letter.octets()]) > 3


# Any text, in any script ---------------------------------------------------------------------------------------------

#: What a person may type: no controls but line ends, no halves of surrogate pairs.
characters = st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\u2028\u2029")
words = st.text(characters, max_size=60)
texts = st.lists(
    st.text(characters, max_size=120) | st.sampled_from(["From here", ".", " ", "--", "=20"]), max_size=8
).map("\n".join)
# The standard library's reader makes one blank of several in a name, and takes those at the ends off.
names = (
    st.text(characters, min_size=1, max_size=40)
    .map(lambda name: " ".join(name.split()))
    .filter(lambda name: name not in ("", ".", ".."))
)
# And it takes quotes and brackets off that belong to a file's name.
filenames = names.map(lambda name: name.replace("/", "_").replace("\\", "_")).filter(lambda name: name[0] not in '<"')
attachments = st.builds(
    lambda content, name, encoding: Attachment(content, name, type="application/x-thing", encoding=encoding),
    st.binary(max_size=300),
    filenames,
    st.sampled_from([None, "base64", "quoted-printable"]),
)


@st.composite
def letters(draw: st.DrawFn) -> MessageFields:
    # Short, for the reader of Python 3.11 puts a blank between two encoded-words of a name.
    name = draw(names.map(lambda name: name[:8].strip()).filter(bool))
    fields: dict[str, Any] = {"to": [Address(name, "b@b.example"), "c@c.example"], "subject": draw(words)}
    fields["text"] = draw(st.none() | texts)
    fields["html"] = draw(st.none() | texts)
    fields["attachments"] = draw(st.lists(attachments, max_size=2))
    fields["inline"] = {f"i{number}": each for number, each in enumerate(draw(st.lists(attachments, max_size=2)))}
    fields["encoding"] = draw(st.sampled_from([None, None, "8bit", "quoted-printable", "base64"]))
    return {name: value for name, value in fields.items() if value is not None}  # type: ignore[return-value]


def leaves(found: EmailMessage) -> Iterator[Any]:
    return (part for part in found.walk() if not part.is_multipart())


@settings(max_examples=100, deadline=None)
@given(letters())
def test_6_7_read_back_by_the_standard_library(fields: MessageFields) -> None:
    letter = message(**fields)
    octets = b"".join(letter.octets(eight_bit=True))
    assert len(octets) == letter.measure(eight_bit=True).size
    assert all(len(line) <= 998 for line in octets.split(b"\r\n"))
    assert octets.count(b"\n") == octets.count(b"\r\n") == octets.count(b"\r")
    found = read(octets)
    assert found["To"].addresses[0].display_name == letter.to[0].display_name  # type: ignore[union-attr]
    assert [str(each.addr_spec) for each in found["To"].addresses] == ["b@b.example", "c@c.example"]
    assert found["Subject"] == letter.subject
    for kind, text in (("plain", letter.text), ("html", letter.html)):
        if text:
            body = found.get_body((kind,))
            assert body is not None
            assert content_of(body) == lines(text)
    parts = [part for part in leaves(found) if part.get_content_type() == "application/x-thing"]
    expected = [*letter.inline.values(), *letter.attachments]
    assert [part.get_payload(decode=True) for part in parts] == [each.content for each in expected]
    assert [part.get_filename() for part in parts] == [each.name for each in expected]
