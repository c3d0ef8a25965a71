"""Attachments: what they may be, and what is refused."""

# ruff: noqa: ANN401 - values of any kind
import io
import sys
import zipfile
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from smtpx.message.attachments import Attachment
from smtpx.message.compose import Message
from smtpx.message.contents import FileContents


def test_p06_the_given_type_counts() -> None:
    assert Attachment(b"x", "data.bin", type="application/x-thing").type == "application/x-thing"
    assert Attachment(b"x", "data.pdf").type == "application/pdf"
    assert Attachment(b"x", "data").type == "application/octet-stream"
    assert Attachment(b"x").type == "application/octet-stream"


def test_a_path(tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(b"%PDF")
    attachment = Attachment(path)
    assert (attachment.name, attachment.type, attachment.size) == ("report.pdf", "application/pdf", 4)
    assert isinstance(attachment.contents, FileContents)
    assert attachment.is_streamed
    assert Attachment(path, "other.txt").type == "text/plain"
    with pytest.raises(ValueError, match="No such file"):
        Attachment(tmp_path / "nothing.pdf")


@pytest.mark.parametrize("given", ["report.pdf", "/etc/passwd"])
def test_text_is_never_a_path(given: Any) -> None:
    with pytest.raises(TypeError, match="a file is Path"):
        Attachment(given, "x.txt")


@pytest.mark.parametrize(
    "name",
    ["../x", "a/b", "a\\b", "C:\\x", "", ".", "..", "a\r\nBcc: x@y.example", "a\nb", "a\0b", "a\x7fb", "a\u2028b"],
)
def test_p11_names_without_paths_and_controls(name: str) -> None:
    with pytest.raises(ValueError, match="name: "):
        Attachment(b"x", name)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"type": "nonsense"}, "not a media type"),
        ({"type": "multipart/mixed"}, "has no parts"),
        ({"type": "text/plain\r\nX: y"}, "not a media type"),
        ({"content_id": "a b"}, "content_id"),
        ({"content_id": "<a@b>"}, "content_id"),
        ({"content_id": "a\r\nb"}, "content_id"),
        ({"content_id": "a" * 901}, "content_id"),
        ({"disposition": "hidden"}, "disposition"),
        ({"description": "a\r\nb"}, "description"),
        ({"language": "a\r\nb"}, "language"),
        ({"language": "not a tag"}, "language"),
        ({"encoding": "rot13"}, "encoding"),
        ({"type": "message/rfc822", "encoding": "base64"}, "never encoded"),
    ],
)
def test_p11_what_is_said_of_it(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Attachment(b"x", "x", **options)


def test_all_that_can_be_said() -> None:
    attachment = Attachment(
        b"x", "x", content_id="a@b", disposition="inline", description="Ü", language="de-CH, en", encoding="8bit"
    )
    assert (attachment.content_id, attachment.disposition, attachment.language) == ("a@b", "inline", "de-CH, en")
    assert attachment == replace(attachment)
    assert attachment != replace(attachment, name="y")
    assert "%PDF" not in repr(Attachment(b"%PDF"))


def test_text() -> None:
    attachment = Attachment.of_text("ü\n", "t.csv")
    assert attachment.type == "text/csv; charset=utf-8"
    assert attachment.content == "ü\n".encode()
    assert Attachment.of_text("ü", charset="latin-1").type == "text/plain; charset=iso-8859-1"
    assert Attachment.of_text("x", "x.pdf").type == "text/plain; charset=utf-8"
    assert Attachment.of_text("x", "x", type="text/vcard").type == "text/vcard; charset=utf-8"
    with pytest.raises(ValueError, match="does not exist in"):
        Attachment.of_text("€", charset="latin-1")
    with pytest.raises(ValueError, match="not a charset"):
        Attachment.of_text("x", charset="nonsense")


def test_a_stream_is_not_read_again_by_a_copy() -> None:
    class Pipe(io.BytesIO):
        def tell(self) -> int:
            raise OSError

    attachment = Attachment(Pipe(b"abc"), "x")
    copy = replace(attachment, name="y")
    assert copy.size == 3
    assert b"".join(copy.contents.pieces()) == b"abc"  # type: ignore[union-attr]
    assert Attachment(Pipe(bytes(2_000_000))).is_streamed


def test_a_resource(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Attachment.of_resource("smtpx", "py.typed")
    assert (found.name, isinstance(found.contents, FileContents)) == ("py.typed", True)
    with pytest.raises(ValueError, match="No such file"):
        Attachment.of_resource("smtpx", "nothing")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.writestr("packedpkg/__init__.py", "")
        archive.writestr("packedpkg/logo.png", b"\x89PNG")
    monkeypatch.syspath_prepend(str(tmp_path / "packed.zip"))
    packed = Attachment.of_resource("packedpkg", "logo.png")
    assert (packed.content, packed.name, packed.type) == (b"\x89PNG", "logo.png", "image/png")
    with pytest.raises(ValueError, match="packedpkg has no nothing"):
        Attachment.of_resource("packedpkg", "nothing")
    sys.modules.pop("packedpkg", None)


def test_a_message_in_several_forms() -> None:
    inner = EmailMessage()
    inner["Subject"] = "Inner"
    for given in (Message(from_="a@b.example"), b"Subject: Inner\r\n\r\nx\r\n", inner):
        attachment = Attachment.of_message(given, "x.eml")
        assert attachment.is_message
        assert attachment.type == "message/rfc822"
        assert attachment.size is None
        assert not attachment.is_streamed
    assert Attachment(b"Subject: x\r\n\r\n", "x.eml").size is None
    assert Attachment(Message(from_="a@b.example")).type == "message/rfc822"
    with pytest.raises(ValueError, match="a message in a message is message/rfc822"):
        Attachment(Message(from_="a@b.example"), type="text/plain")


def test_much_at_hand_counts_as_streamed() -> None:
    assert not Attachment(b"x" * (1 << 20)).is_streamed
    assert Attachment(b"x" * ((1 << 20) + 1)).is_streamed
