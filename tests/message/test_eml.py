"""Messages that exist already: nothing is lost, nothing is changed unless asked, nothing raises."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smtpx.message import fields
from smtpx.message.address import Address, Group, addresses_of
from smtpx.message.eml import Defect, Eml, EmlLimits, Raw
from smtpx.message.headers import address_of
from smtpx.message.sendable import Posting
from smtpx.wire.address import NULL_SENDER, Mailbox

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "messages"
A, B, C, D = (Mailbox(name, "x.example") for name in "abcd")

PLAIN = (
    b"Received: from x\r\n\tby y; Mon, 2 Feb 2026 10:00:00 +0000\r\n"
    b"Return-Path: <bounce@x.example>\r\n"
    b"X-Odd:no blank\r\nX-ODD :  two   blanks \r\n"
    b"From: =?utf-8?q?J=C3=BCrgen?= <a@x.example>\r\n"
    b"To: b@x.example, Team: c@x.example;\r\nCc: B@x.example, b@X.example\r\nBcc: d@x.example\r\n"
    b"Reply-To: r@x.example\r\nSubject: =?utf-8?b?R3LDvMOfZQ==?=\r\n =?utf-8?q?_an_alle?=\r\n"
    b"Date: Mon, 2 Feb 2026 11:00:00 +0100\r\nMessage-ID: <1@x.example>\r\n"
    b"References: <0@x.example>\r\n <00@x.example>\r\n"
    b"\r\nHello\r\n.\r\n"
)


def wire(message: "Eml | Raw", *, eight_bit: bool = True, utf8: bool = True) -> bytes:
    return b"".join(message.octets(eight_bit=eight_bit, utf8=utf8))


def test_the_header_decoded() -> None:
    eml = Eml(PLAIN)
    assert bytes(eml) == PLAIN
    assert eml.subject == eml.header("subject") == "Grüße an alle"
    assert eml.header("nothing") is None
    assert eml.headers("x-odd") == ("no blank", "two   blanks")
    assert eml.from_ == (Address("Jürgen", A),)
    assert eml.to == (Address("", B), Group("Team", (Address("", C),)))
    assert [str(each) for each in eml.cc] == ["B@x.example", "b@X.example"]
    assert (eml.bcc, eml.reply_to, eml.sender) == ((Address("", D),), (Address("", Mailbox("r", "x.example")),), ())
    assert eml.date == datetime(2026, 2, 2, 10, tzinfo=UTC)
    assert eml.message_id == "<1@x.example>"
    assert eml.ids("References") == ("<0@x.example>", "<00@x.example>")
    assert [field.name for field in eml.fields][:4] == ["Received", "Return-Path", "X-Odd", "X-ODD"]
    assert (eml.text, eml.html, eml.attachments, eml.inline, eml.alternatives) == ("Hello\n.\n", None, (), (), ())
    assert eml.defects == ()
    assert repr(eml) == "<Eml <1@x.example> 10 octets>"
    assert repr(Eml(b"")) == "<Eml without Message-ID 0 octets>"


@pytest.mark.parametrize(
    "value", ["", "yesterday", "Mon, 99 Foo 2026", "x" * 300, "1 Jan 999999999999 0:0:0", "Mon, 2 Feb 2026"]
)
def test_dates_that_are_none(value: str) -> None:
    eml = Eml(f"Date: {value}\n\n".encode())
    assert eml.date is None
    assert bool(eml.defects) == bool(value)


# --- changes ---


def test_a_change_keeps_all_the_rest_octet_by_octet() -> None:
    eml = Eml(PLAIN)
    changed = eml.with_header("subject", "Grüße")
    before, after = PLAIN.splitlines(), bytes(changed).splitlines()
    assert [line for line in after if line not in before] == [b"subject: =?utf-8?b?R3LDvMOfZQ==?="]
    assert [line for line in before if line not in after] == [
        b"Subject: =?utf-8?b?R3LDvMOfZQ==?=",
        b" =?utf-8?q?_an_alle?=",
    ]
    assert after.index(b"subject: =?utf-8?b?R3LDvMOfZQ==?=") == before.index(b"Subject: =?utf-8?b?R3LDvMOfZQ==?=")
    assert bytes(eml) == PLAIN
    assert changed.text == "Hello\n.\n"


def test_changes() -> None:
    eml = Eml(b"A: 1\r\nB: 2\r\na: 3\r\n\r\nx")
    assert bytes(eml.with_header("A", "4")) == b"A: 4\r\nB: 2\r\n\r\nx"
    assert bytes(eml.with_header("C", "4")) == b"A: 1\r\nB: 2\r\na: 3\r\nC: 4\r\n\r\nx"
    assert bytes(eml.with_added("a", "4")) == b"A: 1\r\nB: 2\r\na: 3\r\na: 4\r\n\r\nx"
    assert bytes(eml.with_added("a", "4", first=True)) == b"a: 4\r\nA: 1\r\nB: 2\r\na: 3\r\n\r\nx"
    assert bytes(eml.without("A")) == b"B: 2\r\n\r\nx"
    assert bytes(eml.without("C")) == bytes(eml)
    assert bytes(eml.with_header("A", b"x\r\n y")) == b"A: x\r\n y\r\nB: 2\r\n\r\nx"
    assert bytes(eml.with_added("To", ["Jane <a@b>", ("Jörg", "c@d")])).endswith(
        b"To: Jane <a@b>, =?utf-8?b?SsO2cmc=?= <c@d>\r\n\r\nx"
    )
    assert bytes(Eml(b"A: 1\nB: 2\n\nx").with_header("A", b"x\r\n y")) == b"A: x\n y\nB: 2\n\nx"
    assert bytes(Eml(b"A: 1").with_added("B", "2")) == b"A: 1\r\nB: 2\r\n\r\n"
    assert bytes(Eml(b"").with_added("B", "2")) == b"B: 2\r\n\r\n"
    assert bytes(Eml(b"From x\nA: 1\n\nx").with_header("A", "2")) == b"From x\nA: 2\n\nx"
    part = Eml(b"Content-Type: text/html\n\nx").with_header("Content-Type", "text/plain")
    assert (part.html, part.text) == (None, "x")


def test_content_seen_before_a_change_is_looked_at_again() -> None:
    eml = Eml(b"Content-Type: text/html\n\nx")
    assert eml.html == "x"
    assert eml.without("Content-Type").text == "x"


def test_a_change_of_a_broken_header_does_not_make_its_rest_a_body() -> None:
    eml = Eml(b"A: 1\nwhat\never\nB: 2\n\nx")
    assert bytes(eml.with_header("A", "2")) == b"A: 2\nwhat\never\nB: 2\n\nx"
    assert bytes(eml.without("A")) == b"what\never\nB: 2\n\nx"
    assert bytes(Eml(b" no header").with_added("A", "1")) == b"A: 1\r\n\r\n no header"
    assert bytes(Eml(b" no header").without("A")) == b" no header"


@pytest.mark.parametrize(
    ("name", "value"), [("A", "x\r\nBcc: y"), ("A\r\nB", "x"), ("A", b"x\r\nBcc: y"), ("To", "x\r\n@y")]
)
def test_injection(name: str, value: str | bytes) -> None:
    for change in (Eml(PLAIN).with_header, Eml(PLAIN).with_added):
        with pytest.raises(ValueError):  # noqa: PT011
            change(name, value)


# --- reading and writing ---


def test_sources(tmp_path: Path) -> None:
    path = tmp_path / "x.eml"
    path.write_bytes(PLAIN)

    class Dribble(io.RawIOBase):
        """A raw file: gives little, whatever is asked for."""

        def __init__(self) -> None:
            self.left = PLAIN

        def read(self, size: int = -1) -> bytes:
            piece, self.left = self.left[:7], self.left[7:]
            return piece

    dribble: Any = Dribble()
    sources: list[Any] = [PLAIN, bytearray(PLAIN), memoryview(PLAIN), path, io.BytesIO(PLAIN), dribble]
    for source in sources:
        assert bytes(Eml(source)) == PLAIN
    Eml(PLAIN).write(tmp_path / "y.eml")
    assert (tmp_path / "y.eml").read_bytes() == PLAIN
    out = io.BytesIO()
    Eml(PLAIN).write(out)
    assert out.getvalue() == PLAIN


def test_other_sources(tmp_path: Path) -> None:
    for source in ("x.eml", None, 3, io.StringIO("A: b")):
        with pytest.raises(TypeError, match="binary file"):
            Eml(source)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        Eml(tmp_path / "nothing")
    path = tmp_path / "x.eml"
    path.write_bytes(PLAIN)
    for large in (PLAIN, path, io.BytesIO(PLAIN)):
        with pytest.raises(ValueError, match="a message of more than 100 octets"):
            Eml(large, EmlLimits(max_bytes=100))
        Eml(large if large is not path else path, EmlLimits(max_bytes=len(PLAIN)))


# --- bodies ---


def stdlib_message() -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = "Jürgen <a@x.example>", "b@x.example", "Größe " * 30
    message.set_content("text ä\n")
    message.add_alternative("<p>html ä <img src='cid:logo'></p>\n", subtype="html")
    parts: Any = message.get_payload()
    html = parts[1]
    html.add_related(b"\x89PNG", "image", "png", cid="<logo>")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Größe 日本.pdf")
    message.add_attachment("a,b\n", subtype="csv", filename="a.csv")
    return message


def test_a_message_of_the_standard_library() -> None:
    message = stdlib_message()
    eml = Eml(message.as_bytes())
    assert eml.subject == ("Größe " * 30).strip()
    assert eml.text == "text ä\n"
    assert eml.html == "<p>html ä <img src='cid:logo'></p>\n"
    assert [(part.filename, part.content_type, part.content) for part in eml.attachments] == [
        ("Größe 日本.pdf", "application/pdf", b"%PDF"),
        ("a.csv", "text/csv", b"a,b\r\n"),
    ]
    assert [(part.content_id, part.content) for part in eml.inline] == [("logo", b"\x89PNG")]
    assert eml.defects == ()


def test_several_texts_and_other_forms() -> None:
    octets = (
        b"Content-Type: multipart/mixed; boundary=B\n\n--B\n\none\n--B\nContent-Type: image/gif\n\nx\n--B\n\ntwo\n--B\n"
        b"Content-Type: multipart/alternative; boundary=C\n\n--C\nContent-Type: text/calendar\n\nV\n--C--\n--B--\n"
    )
    eml = Eml(octets)
    assert eml.text == "one\ntwo"
    assert [part.content for part in eml.attachments] == [b"x"]
    assert [part.content for part in eml.alternatives] == [b"V"]
    assert eml.root.content_type == "multipart/mixed"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.eml")), ids=lambda path: path.stem)
def test_examples(path: Path) -> None:
    octets = path.read_bytes()
    eml = Eml(path)
    assert bytes(eml) == octets
    assert wire(eml) == octets + (b"\r\n" if path.stem == "headers-only" else b"")
    assert [str(defect) for defect in eml.defects] == (
        ["header: a header without an empty line behind it"] if path.stem == "headers-only" else []
    )
    reference: Any = message_from_bytes(octets, policy=default)
    raw_names = [field.name for field in eml.fields]
    assert raw_names == list(reference.keys())
    if octets.isascii() and path.stem != "rfc2231-file-names":
        assert eml.subject == reference["Subject"].lstrip()  # it keeps the blank of a fold behind the name
        names = [name for name in ("From", "To", "Cc") if name in reference]
        for name in names:
            assert [str(address.mailbox) for address in _flat(eml.addresses(name))] == [
                address_of(address) for address in reference[name].addresses
            ]
    plain = reference.get_body(("plain",))
    if plain is not None and reference.get_content_type() in ("text/plain", "multipart/alternative"):
        assert eml.text == plain.get_content().replace("\r\n", "\n")


def _flat(parties: tuple[Address | Group, ...]) -> list[Address]:
    return [each for party in parties for each in (party.members if isinstance(party, Group) else (party,))]


# --- odd ones, as they come from the field ---


@pytest.mark.parametrize(
    ("octets", "where"),
    [
        (b"From nobody Mon\nFrom: a@b\n\nx", "header: a line of an mbox"),
        (b"From: a@b\nnonsense\n\nx", "header: a line in the header that is no field"),
        (b"X: a@b\nno blank\nTo: c@d\n\nx", "header: a line in the header that is no field: taken for a part"),
        (b"From: a@b", "header: a header without an empty line"),
        (b"From: nobody\n\nx", "From: no address: nobody"),
        (b"To: a@b, <c@d\n\nx", "To: a < without its > (at character 6)"),
        (b"Date: never\n\nx", "Date: a date that can't be read"),
        (b"Content-Type: multipart/mixed\n\nx", "part 1: a multipart without a boundary"),
        (
            b"Content-Type: multipart/mixed; boundary=B\n\n--B\nx\n--B--",
            "part 1.1: a line in the header that is no field",
        ),
        (b"Content-Transfer-Encoding: base64\n\n!", "part 1: octets that are not base64"),
    ],
)
def test_defects(octets: bytes, where: str) -> None:
    eml = Eml(octets)
    assert len(eml.defects) == 1
    assert str(eml.defects[0]).startswith(where)
    assert isinstance(eml.defects[0], Defect)
    assert bytes(eml) == octets


def test_limits_of_the_header() -> None:
    octets = b"A: b\r\n" * 5 + b"\r\nx"
    eml = Eml(octets, EmlLimits(max_headers=3))
    assert len(eml.fields) == 3
    assert bytes(eml) == octets
    assert len(eml.defects) == 1


OCTETS = st.binary(max_size=300) | st.lists(
    st.sampled_from(
        [
            *(
                b"From: a@b\r\n",
                b"To: c@d\n",
                b"Bcc: e@f\r\n",
                b"Subject: \xc3\xa4\xff\r\n",
                b"\r\n",
                b"\n",
                b"\r",
                b" ",
            ),
            *(
                b"Content-Type: multipart/mixed; boundary=B\r\n",
                b"--B\r\n",
                b"--B--",
                b"Date: x\r\n",
                b"x",
                b"\0",
                b"From ",
            ),
            *(b"Content-Type: multipart/alternative; boundary=B\n", b"Content-Type: text/html\n", b"Sender: a@b\n"),
            *(
                b"Content-Transfer-Encoding: base64\n",
                b"Content-Transfer-Encoding: quoted-printable\n",
                b"=?utf-8?q?=0A?=",
            ),
        ]
    )
).map(b"".join)


@pytest.mark.parametrize("local", [b"\0", b"a\rb", b"a\0b"])
def test_nobody_is_sent_mail_by_an_address_that_can_not_be_read(local: bytes) -> None:
    eml = Eml(b"From: a@x.example\r\nTo: %s@x.example\r\n\r\nhello\r\n" % local)
    assert eml.to == ()
    with pytest.raises(ValueError, match=r"To: something that can't be read"):
        eml.posting()


@given(OCTETS)
@example(b"Bcc: a@b\nx\nTo: c@d\n")
@example(b"From: a@b\rBcc: x@y\n\n\r")
@example(b"To:\0\r@0\nFrom:!@0")
@example(b"To:\0\r:!@0\nFrom:!@0")
def test_whatever_comes(octets: bytes) -> None:
    eml = Eml(octets, EmlLimits(max_parts=5, max_depth=3, max_headers=10))
    assert bytes(eml) == octets
    seen = [
        eml.subject,
        eml.text,
        eml.html,
        eml.date,
        eml.message_id,
        eml.from_,
        eml.attachments,
        eml.inline,
        eml.defects,
    ]
    assert len(seen) == 9
    assert bytes(eml.with_added("X-Own", "y").without("x-own")).endswith(bytes(eml._body))
    changed = Eml(bytes(eml.with_added("X-Own", "y", first=True)))
    if not octets.startswith((b"From ", b">From ")):
        assert changed.header("X-Own") == "y"
    try:
        sent = wire(eml)
        posting = eml.posting()
    except ValueError:
        return
    assert posting.recipients
    assert sent.count(b"\n") == sent.count(b"\r\n") == sent.count(b"\r")
    assert Eml(sent).bcc == ()
    sent_to, own_to = ([each.mailbox for each in addresses_of(parsed.to)] for parsed in (Eml(sent), eml))
    assert sent_to == own_to


ODD = b"".join(
    line + b"\n"
    for line in (
        *(b"From: Jane <a@x.example> John <b@x.example>", b"To: <c@x.example>"),
        b"Subject: =?utf-8? Q?odd?= =?utf-8?Q?=C3=A4 ?=",
        *(b"Content-Type: multipart/mixed;", b"boundary=B", b"", b"--B"),
        *(b'Content-Type: text/html; charset="UTF-8X-Own: x', b"", b"<p>\xc3\xa4", b"--B"),
        *(b"Content-Type: application/zip; x-unix-mode=0600;", b"name=wrapped.zip"),
        *(b"Content-Transfer-Encoding: base64", b"", b"YWJj", b"", b"--B"),
        b"Content-Type: application/pdf; name=Invoice_(302).pdf; name=x",
        *(b"Content-Transfer-Encoding: base64 ", b"", b"Y", b"--B"),
        *(b"Content-Disposition: attachment; filename*0*=euc-kr''%C7%D1%B1; filename*1*=%B9.pdf", b"", b"x", b"--B"),
        *(b"Content-Type: text/html;iso-8859-1", b"Content-Disposition: inline", b"Content-Disposition: attachment"),
        *(b"", b"y", b"--B--x"),
    )
)


def test_what_programs_in_the_field_write() -> None:
    """Missing commas, folds without blanks, quotes that don't end, boundaries that almost do."""
    eml = Eml(ODD)
    assert bytes(eml) == ODD
    assert [str(each) for each in eml.from_] == ["Jane <a@x.example>", "John <b@x.example>"]
    assert eml.subject == "=?utf-8? Q?odd?= ä "
    assert eml.html == "<p>ä\ny\n--B--x\n"
    assert [(part.filename, part.content) for part in eml.attachments] == [
        ("wrapped.zip", b"abc"),
        ("Invoice_(302).pdf", b""),
        ("한국.pdf", b"x"),
    ]
    assert [str(defect) for defect in eml.defects] == [
        "header: a line in the header that is no field: taken for a part of the one before it",
        "part 1: a multipart that does not end",
        "part 1.1: a character set that nobody knows",
        "part 1.2: a line in the header that is no field: taken for a part of the one before it",
    ]


# --- sending ---


def test_the_envelope_of_the_header() -> None:
    eml = Eml(PLAIN)
    assert eml.posting() == Posting(A, (B, C, Mailbox("B", "x.example"), D))
    assert eml.with_header("Sender", "c@x.example").posting().sender == C


def test_an_envelope_of_its_own() -> None:
    eml = Eml(PLAIN).with_envelope(sender="", recipients=["Jane <c@x.example>"], wishes={"ret": "HDRS"})
    assert eml.posting() == Posting(NULL_SENDER, (C,), {"ret": "HDRS"})
    assert eml.with_header("Subject", "x").posting() == eml.posting()
    assert eml.with_envelope(sender=B).posting() == Posting(B, (C,), {"ret": "HDRS"})
    with pytest.raises(ValueError, match="no address: nobody"):
        eml.with_envelope(recipients="nobody")


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ("To: a@b", "names no sender"),
        ("From: a@b, c@d\nTo: a@b", "From names 2 senders"),
        ("From: a@b", "no recipient"),
        ("From: a@b\nTo: hidden:;", "no recipient"),
        ("From: a@b\nTo: c@d, nobody", "To: no address: nobody"),
        ("From: nobody\nTo: c@d", "From: no address: nobody"),
        ("From: a@b\nTo: c@d\nResent-Date: x\nResent-Date: y", "resent more than once"),
        ("From: a@b\nTo: c@d\nResent-Date: x", "no sender"),
    ],
)
def test_headers_without_an_envelope(header: str, what: str) -> None:
    eml = Eml(f"{header}\n\nx".encode())
    with pytest.raises(ValueError, match=what):
        eml.posting()
    with pytest.raises(ValueError, match=what):
        Raw(f"{header}\n\nx".replace("\n", "\r\n").encode()).posting()


def test_resent() -> None:
    header = b"Resent-Date: x\nResent-From: b@x.example\nResent-To: c@x.example\nResent-Bcc: d@x.example\n"
    eml = Eml(header + b"From: a@x.example\nTo: b@x.example\nBcc: e@x.example\n\nx")
    assert eml.posting() == Posting(B, (C, D))
    assert b"cc" not in wire(eml)


def test_on_the_wire() -> None:
    assert wire(Eml(PLAIN)) == PLAIN.replace(b"Bcc: d@x.example\r\n", b"")
    assert wire(Eml(b"From x\nA: 1\n 2\nbcc : x@y,\n z\n\na\nb\rc\r\n\n")) == b"A: 1\r\n 2\r\n\r\na\r\nb\r\nc\r\n\r\n"
    assert wire(Eml(b"A: 1")) == b"A: 1\r\n\r\n"
    assert wire(Eml(b"")) == b"\r\n"
    assert wire(Eml(b"A: x\rBcc: y\n\n")) == b"A: x Bcc: y\r\n\r\n"  # a line end that hides a field
    assert wire(Eml(b"what\nA: 1\n\nx")) == b"what\r\nA: 1\r\n\r\nx"


@pytest.mark.parametrize("hidden", [b"Bcc: a@b", b"BCC : a@b", b"Resent-Bcc:a@b"])
def test_a_bcc_that_nobody_sees_never_gets_out(hidden: bytes) -> None:
    assert hidden not in wire(Eml(b"A: 1\nwhat\n" + hidden + b"\n\nx"))
    for octets in (b"A: 1\nwhat\n\x00\n%s\n\nx", b"what\n%s", b"From: a@b\n\n\x00: what\n%s"):
        eml = Eml(octets % hidden)
        if eml._header.gap:
            assert hidden in wire(eml)  # in the body it is text
        else:
            with pytest.raises(ValueError, match="a Bcc stands behind that"):
                wire(eml)
    with pytest.raises(ValueError, match="a Bcc stands behind that"):
        wire(Eml(b"A: 1\n" * 5 + hidden + b"\n\nx", EmlLimits(max_headers=5)))
    assert hidden in wire(Eml(b"A: 1\nwhat\n\n" + hidden))


def test_eight_bit() -> None:
    eml = Eml("Subject: x\r\n\r\nä\r\n".encode())
    assert wire(eml) == bytes(eml)
    with pytest.raises(ValueError, match="8BITMIME"):
        wire(eml, eight_bit=False)


def test_raw_utf8_in_the_header() -> None:
    octets = "Subject: Grüße\r\nTo: Jürgen <a@bücher.example>\r\nX: plain\r\n\r\nx".encode()
    eml = Eml(octets)
    assert wire(eml) == octets
    assert wire(eml, utf8=False) == (
        b"Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\nTo: =?utf-8?q?J=C3=BCrgen?= <a@xn--bcher-kva.example>\r\n"
        b"X: plain\r\n\r\nx"
    )
    for bad in ("To: ä@b", "To: ä", "To: a@b, ä"):
        with pytest.raises(ValueError, match="To: "):
            wire(Eml(f"{bad}\r\n\r\n".encode()), utf8=False)


def test_it_can_be_sent_more_than_once() -> None:
    eml = Eml(PLAIN.replace(b"\r\n", b"\n"))
    assert wire(eml) == wire(eml)


# --- raw ---


def test_raw_octets() -> None:
    raw = Raw(PLAIN)
    assert raw.posting() == Eml(PLAIN).posting()
    assert wire(raw) == wire(Eml(PLAIN))
    assert raw.message_id == "<1@x.example>"
    assert repr(raw) == "<Raw <1@x.example>>"
    given = Raw(memoryview(b"anything\r\n"), "", ["a@x.example"], {"notify": "NEVER"})
    assert given.posting() == Posting(NULL_SENDER, (A,), {"notify": "NEVER"})
    assert wire(given) == b"anything\r\n"
    assert repr(given) == "<Raw without Message-ID>"


@pytest.mark.parametrize("octets", [b"A: 1\n\n", b"A: 1\r\n\r\na\rb", b"\r"])
def test_raw_octets_with_bare_newlines(octets: bytes) -> None:
    with pytest.raises(ValueError, match="stands alone"):
        Raw(octets)


@pytest.mark.parametrize("message", ["text", None, io.BytesIO(b"")])
def test_raw_of_another_kind(message: object) -> None:
    with pytest.raises(TypeError, match=r"octets or an email.message object"):
        Raw(message)  # type: ignore[arg-type]


def test_raw_objects() -> None:
    message = stdlib_message()
    message["Bcc"], message["Message-ID"] = "c@x.example, b@x.example", "<1@x.example>"
    raw = Raw(message)
    assert raw.posting() == Posting(A, (B, C))
    assert raw.message_id == "<1@x.example>"
    assert b"Bcc" not in wire(raw)
    assert "Größe" in wire(raw).decode()
    assert wire(raw, eight_bit=False, utf8=False).isascii()
    assert Raw(message, sender="").posting() == Posting(NULL_SENDER, (B, C))
    assert Raw(message, recipients="d@x.example").posting() == Posting(A, (D,))
    bare = EmailMessage()
    assert Raw(bare, "a@x.example", D).posting() == Posting(A, (D,))
    assert Raw(bare).message_id is None
    with pytest.raises(ValueError, match="senders"):
        Raw(bare).posting()


# --- what we write is what we read ---


@given(
    st.lists(
        st.tuples(st.sampled_from(["Subject", "X-Own"]), st.text(st.sampled_from("aä =?\t"), max_size=80)), max_size=5
    )
)
def test_fields_that_we_wrote(written: list[tuple[str, str]]) -> None:
    octets = b"".join(fields.unstructured(name, value) for name, value in written) + b"\r\n"
    eml = Eml(octets)
    assert [(field.name, field.value) for field in eml.fields] == written
    assert eml.defects == ()
    assert wire(eml) == octets


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"A: b\r\n" * 20_000 + b"\r\n",
        lambda: b"A: " + b"=?utf-8?q?a?= " * 50_000 + b"\r\n\r\n",
        lambda: b"To: " + b"(" * 200_000 + b"\r\n\r\n",
        lambda: b"Content-Type: " + b";a=" * 100_000 + b"\r\n\r\n",
        lambda: b"\r" * 500_000,
        lambda: b"A: b\n" + b" \n" * 200_000,
        lambda: b"Content-Transfer-Encoding: base64\n\n" + b"=" * 500_000,
        lambda: b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=" * 500_000,
    ],
)
def test_hostile_sizes(make: Callable[[], bytes]) -> None:
    octets = make()
    eml = Eml(octets)
    assert bytes(eml) == octets
    assert json.dumps([eml.subject, eml.text, [str(defect) for defect in eml.defects]])
    assert isinstance(eml.to, tuple)
