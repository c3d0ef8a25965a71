"""What callers give for fields: every form that is meant, and nothing that breaks a header."""

# ruff: noqa: ANN401 - values of any kind
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from smtpx.message.address import Address
from smtpx.message.attachments import Attachment
from smtpx.message.compose import MessageFields
from smtpx.message.input import READERS, Alternative, RawHeader
from smtpx.wire.address import NULL_SENDER, Mailbox

A = Address("", "a@b.example")


def take(field: str, value: object) -> Any:
    return READERS[field](field, value)


def test_every_field_has_its_reader() -> None:
    assert READERS.keys() == MessageFields.__annotations__.keys()


@pytest.mark.parametrize(
    ("field", "value", "taken"),
    [
        ("to", "a@b.example", (A,)),
        ("to", ["a@b.example", ("Ann", "a@b.example")], (A, Address("Ann", "a@b.example"))),
        ("to", "Ann <a@b.example>, a@b.example", (Address("Ann", "a@b.example"), A)),
        ("from_", "a@b.example", (A,)),
        ("sender", "a@b.example", A),
        ("envelope_from", "", NULL_SENDER),
        ("envelope_from", "<>", NULL_SENDER),
        ("envelope_from", "a@b.example", A.mailbox),
        ("recipients", ["a@b.example", "Ann <c@d.example>"], (A.mailbox, Mailbox("c", "d.example"))),
        ("subject", "Grüße\tan alle", "Grüße\tan alle"),
        ("text", "any\r\ntext\0", "any\r\ntext\0"),
        ("date", datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        ("message_id", "<a@b>", "<a@b>"),
        ("message_id", "a@b", "<a@b>"),
        ("references", "<a@b> <c@d>", ("<a@b>", "<c@d>")),
        ("references", ["a@b", "<c@d>"], ("<a@b>", "<c@d>")),
        ("references", [], ()),
        ("importance", "high", "high"),
        ("importance", "normal", None),
        ("list_unsubscribe", "https://a.example/u", ("https://a.example/u",)),
        (
            "list_unsubscribe",
            "<https://a.example/u>, <mailto:u@a.example>",
            ("https://a.example/u", "mailto:u@a.example"),
        ),
        ("list_unsubscribe", ["<https://a.example/u>"], ("https://a.example/u",)),
        ("list_unsubscribe", (), ()),
        ("language", "de-CH, en", "de-CH, en"),
        ("bulk", True, True),
        ("charset", "latin1", "iso-8859-1"),
        ("encoding", "8bit", "8bit"),
        ("boundary", "mine", "mine"),
        ("headers", {"X-A": "b"}, (("X-A", "b"),)),
        ("headers", [("X-A", "b"), ("X-A", "ü")], (("X-A", "b"), ("X-A", "ü"))),
        ("headers", [RawHeader("X-A", "b\r\n c")], (RawHeader("X-A", "b\r\n c"),)),
        ("notify", "FAILURE", "FAILURE"),
    ],
)
def test_forms(field: str, value: object, taken: object) -> None:
    assert take(field, value) == taken


HARMFUL = ["a\r\nBcc: x@y.example", "a\nb", "a\rb", "a\0b", "a\x1bb", "a\x7fb", "\ud800"]


@pytest.mark.parametrize("bad", HARMFUL)
@pytest.mark.parametrize(
    ("field", "make"),
    [
        *[(field, lambda bad: bad) for field in ("subject", "organization", "user_agent", "language", "boundary")],
        *[(field, lambda bad: f"{bad}@b.example") for field in ("from_", "to", "cc", "bcc", "reply_to", "sender")],
        *[(field, lambda bad: (bad, "a@b.example")) for field in ("from_", "to", "sender", "read_receipt_to")],
        *[(field, lambda bad: [f"{bad}@b.example"]) for field in ("recipients", "read_receipt_to")],
        ("envelope_from", lambda bad: f"{bad}@b.example"),
        *[(field, lambda bad: f"<{bad}@b.example>") for field in ("message_id", "in_reply_to", "references")],
        ("list_unsubscribe", lambda bad: f"https://a.example/{bad}"),
        ("headers", lambda bad: {"X-A": bad}),
        ("headers", lambda bad: {f"X-{bad}": "x"}),
        ("headers", lambda bad: [RawHeader("X-A", bad)]),
        ("headers", lambda bad: [RawHeader(bad, "x")]),
        ("inline", lambda bad: {bad: b"x"}),
        ("charset", lambda bad: bad),
        ("encoding", lambda bad: bad),
        ("importance", lambda bad: bad),
    ],
)
def test_p11_nothing_gets_into_a_header(field: str, make: Any, bad: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of many kinds
        take(field, make(bad))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("from_", "Team:;"),
        ("to", "a@b.example c@d.example"),
        ("sender", "a@b.example, c@d.example"),
        ("date", datetime(2026, 3, 1)),  # noqa: DTZ001 - on purpose
        ("message_id", "<a@b> <c@d>"),
        ("list_unsubscribe", "ftp://a.example/u"),
        ("list_unsubscribe", "https://a.example/ü"),
        ("headers", {"Subject": "x"}),
        ("headers", {"bcc": "x"}),
        ("headers", {"Content-Type": "text/html"}),
        ("text", "half \ud800"),
        ("inline", {"a b": b"x"}),
        ("boundary", "x" * 61),
    ],
)
def test_values_that_make_no_sense(field: str, value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of many kinds
        take(field, value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subject", b"bytes"),
        ("text", 5),
        ("date", "2026-03-01"),
        ("bulk", 1),
        ("to", 5),
        ("headers", ["X-A: b"]),
        ("headers", [("X-A", 5)]),
        ("headers", [("X-A", "b", "c")]),
        ("alternatives", ["text"]),
        ("attachments", ["/etc/passwd"]),
        ("attachments", Attachment(b"x")),
        ("attachments", "/etc/passwd"),
        ("inline", {"logo": "/etc/passwd"}),
    ],
)
def test_values_of_another_kind(field: str, value: object) -> None:
    with pytest.raises(TypeError):
        take(field, value)


def test_attachments_and_inline(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(b"\x89PNG")
    attachment = Attachment(b"x", "x.pdf")
    assert take("attachments", [attachment, path]) == (attachment, Attachment(path))
    assert take("inline", {"a": attachment, "b": path}) == {"a": attachment, "b": Attachment(path)}


@pytest.mark.parametrize(
    ("cid", "content", "media_type"),
    [
        ("a", b"\x89PNG\r\n\x1a\n", "image/png"),
        ("a", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("a", b"GIF89a", "image/gif"),
        ("a", b"RIFF\0\0\0\0WEBP", "image/webp"),
        ("a", b"RIFF\0\0\0\0WAVE", "application/octet-stream"),
        ("logo.svg", b"<svg>", "image/svg+xml"),
    ],
)
def test_octets_that_are_shown_are_looked_at(cid: str, content: bytes, media_type: str) -> None:
    assert take("inline", {cid: content})[cid].type == media_type


@pytest.mark.parametrize(
    ("content", "media_type", "encoding", "error"),
    [
        ("x", "nonsense", None, ValueError),
        ("x", "multipart/mixed", None, ValueError),
        ("x", "message/rfc822", None, ValueError),
        ("x", "text/x", "rot13", ValueError),
        (b"x", "text/x", "7bit", ValueError),
        (5, "text/x", None, TypeError),
    ],
)
def test_alternatives(content: Any, media_type: str, encoding: Any, error: type[Exception]) -> None:
    good = Alternative("x", "text/calendar; method=REQUEST")
    assert take("alternatives", [good]) == (good,)
    with pytest.raises(error):
        Alternative(content, media_type, encoding)


def test_a_cid_fits_into_a_line() -> None:
    take("inline", {"a" * 600: b"x"})
    with pytest.raises(ValueError, match="a cid is up to 600"):
        take("inline", {"a" * 601: b"x"})
