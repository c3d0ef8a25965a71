"""Parts within parts: boundaries that never occur in what they stand between, and sizes that are right."""

# ruff: noqa: ANN401 - values of any kind
import io
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from smtpx.message.attachments import Attachment
from smtpx.message.compose import Message
from smtpx.message.entity import Leaf, Multipart, Part, Streamed, attachment_leaf, octets_leaf, text_leaf, written
from smtpx.message.media_types import MediaType

PLAIN = MediaType("text/plain")


def octets(root: Part, seed: str = "<1@x.example>", *, given: bool = False) -> bytes:
    fields, body = written(root, seed, given=given)
    pieces = [each if isinstance(each, bytes) else b"".join(each.pieces()) for each in body]
    for each, piece in zip(body, pieces, strict=True):
        assert isinstance(each, bytes) or each.size == len(piece)
    return b"MIME-Version: 1.0\r\n" + fields + b"\r\n" + b"".join(pieces)


def read(root: Part, seed: str = "<1@x.example>", *, given: bool = False) -> Any:
    message = message_from_bytes(octets(root, seed, given=given), policy=default)
    assert not [defect for part in message.walk() for defect in part.defects]
    return message


@pytest.mark.parametrize(
    ("text", "wanted", "eight_bit", "encoding"),
    [
        ("plain", None, True, "7bit"),
        ("grüße an alle", None, True, "quoted-printable"),
        ("grüße", "8bit", True, "8bit"),
        ("grüße an alle", "8bit", False, "quoted-printable"),
        ("plain", "8bit", True, "7bit"),
        ("plain", "base64", False, "base64"),
        ("plain", "quoted-printable", False, "quoted-printable"),
    ],
)
def test_6_2_encoding_of_text(text: str, wanted: Any, eight_bit: bool, encoding: str) -> None:
    leaf = text_leaf(text, PLAIN, encoding=wanted, eight_bit=eight_bit)
    assert leaf.encoding == encoding
    assert f"Content-Transfer-Encoding: {encoding}\r\n".encode() in leaf.fields
    assert read(leaf).get_content() == text + "\r\n"


def test_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="7bit is impossible: it is not ASCII"):
        text_leaf("ü", PLAIN, encoding="7bit")
    assert text_leaf("ü" * 600, PLAIN, encoding="8bit", eight_bit=True).encoding == "base64"
    with pytest.raises(ValueError, match="does not exist in latin-1"):
        text_leaf("€", PLAIN, charset="latin-1")


def test_parameters_of_a_type() -> None:
    leaf = text_leaf("x", MediaType("text/calendar", (("method", "REQUEST"), ("charset", "x"))))
    part = read(leaf)
    assert part["Content-Type"].params == {"charset": "utf-8", "method": "REQUEST"}


def test_octets() -> None:
    assert read(octets_leaf(b"\0\1", MediaType("image/x-y"))).get_content() == b"\0\1"


def test_g08_a_boundary_for_each_level() -> None:
    text, html = text_leaf("a", PLAIN), text_leaf("<b>", MediaType("text/html"))
    image = attachment_leaf(Attachment(b"i", "i.png"), inline_id="i@x")
    tree = Multipart("mixed", [Multipart("related", [Multipart("alternative", [text, html]), image]), image])
    for given in (False, True):
        message = read(tree, "mine", given=given)
        boundaries = [part.get_boundary() for part in message.walk() if part.is_multipart()]
        assert len(set(boundaries)) == 3
        assert len({len(each) for each in boundaries}) == 1
        assert all("mine" in each for each in boundaries) is given
        assert [part.get_content_type() for part in message.walk()] == [
            "multipart/mixed",
            "multipart/related",
            "multipart/alternative",
            "text/plain",
            "text/html",
            "image/png",
            "image/png",
        ]
    assert message.get_payload()[0]["Content-Type"].params["type"] == "multipart/alternative"


@pytest.mark.parametrize("given", [False, True])
def test_a_boundary_that_occurs_in_the_text_is_not_taken(given: bool) -> None:
    plain = text_leaf("x", PLAIN)
    boundary = read(Multipart("mixed", [plain, plain]), given=given).get_boundary()
    for text in (f"--{boundary}\r\nfalse", f"x\r\n--{boundary}--\r\n"):
        leaf = text_leaf(text, PLAIN)
        assert leaf.encoding == "7bit"
        message = read(Multipart("mixed", [leaf, plain]), given=given)
        assert message.get_boundary() != boundary
        assert len(message.get_payload()) == 2


def test_a_boundary_in_what_is_streamed_is_found_across_pieces() -> None:
    plain = text_leaf("x", PLAIN)
    boundary = read(Multipart("mixed", [plain, plain])).get_boundary()
    content = b"line\r\n" * 50_000 + b"--" + boundary.encode() + b"\r\n" + b"line\r\n" * 1000

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, 997))

    leaf = attachment_leaf(Attachment(Slow(content), "x.txt", encoding="7bit"))
    assert isinstance(leaf.body, Streamed)
    message = read(Multipart("mixed", [leaf, plain]))
    assert message.get_boundary() != boundary
    assert message.get_payload()[0].get_payload(decode=True) == content


def test_8bit_shows_at_every_level() -> None:
    eight = text_leaf("ü", PLAIN, encoding="8bit", eight_bit=True)
    message = read(Multipart("mixed", [Multipart("alternative", [eight, eight]), eight]))
    assert message["Content-Transfer-Encoding"] == "8bit"
    assert message.get_payload()[0]["Content-Transfer-Encoding"] == "8bit"
    assert (
        read(Multipart("mixed", [octets_leaf(b"x", PLAIN), text_leaf("x", PLAIN)]))["Content-Transfer-Encoding"] is None
    )


def big(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "big.txt"
    path.write_bytes(content)
    return path


LINES = b"a line of text, which is ASCII \r\n" * 5000


@pytest.mark.parametrize("content", [LINES, bytes(range(256)) * 800, b"short", b"", "ü\r\n".encode() * 100_000])
@pytest.mark.parametrize("encoding", [None, "base64", "quoted-printable"])
def test_attachments_in_every_encoding(tmp_path: Path, content: bytes, encoding: Any) -> None:
    text = text_leaf("x", PLAIN)
    for given in (content, big(tmp_path, content), io.BytesIO(content)):
        leaf = attachment_leaf(Attachment(given, "x.bin", encoding=encoding))
        assert isinstance(leaf.body, Streamed) is (len(content) > 65536 or isinstance(given, Path)) or (
            encoding == "quoted-printable" and len(content) < 65536
        )
        message = read(Multipart("mixed", [text, leaf]))
        assert message.get_payload()[1].get_payload(decode=True) == content


@pytest.mark.parametrize("encoding", ["7bit", "8bit"])
def test_attachments_as_they_are(tmp_path: Path, encoding: Any) -> None:
    content = LINES if encoding == "7bit" else "grüße an alle, und noch mehr\r\n".encode() * 5000
    for given in (content, big(tmp_path, content), content[:62], io.BytesIO(content[:62])):
        attachment = Attachment(given, "x.txt", encoding=encoding)
        leaf = attachment_leaf(attachment, eight_bit=True)
        assert leaf.encoding == encoding
        without = attachment_leaf(attachment, eight_bit=False)
        assert without.encoding != "8bit"
        for each in (leaf, without):
            part = read(Multipart("mixed", [each, text_leaf("x", PLAIN)])).get_payload()[0]
            assert content.startswith(part.get_payload(decode=True))


@pytest.mark.parametrize("content", [b"a\nb\n", "ü\r\n".encode(), b"x" * 1000, b"\0"])
def test_attachments_that_can_not_be_as_they_are(tmp_path: Path, content: bytes) -> None:
    for given in (content, big(tmp_path, content * 70_000)):
        with pytest.raises(ValueError, match="7bit is impossible"):
            attachment_leaf(Attachment(given, "x.txt", encoding="7bit"))
        if content.strip().isascii():
            leaf = attachment_leaf(Attachment(given, "x.txt", encoding="8bit"), eight_bit=True)
            assert leaf.encoding in ("quoted-printable", "base64")


def test_fields_of_an_attachment() -> None:
    attachment = Attachment(
        b"x", "grüße.pdf", content_id="a@b", description="Ein Bericht über alles", language="de", disposition="inline"
    )
    part = read(attachment_leaf(attachment))
    assert part.get_filename() == "grüße.pdf"
    assert part.get_content_disposition() == "inline"
    assert part["Content-ID"] == "<a@b>"
    assert part["Content-Description"] == "Ein Bericht über alles"
    assert part["Content-Language"] == "de"
    shown = read(attachment_leaf(Attachment(b"x"), inline_id="c@d"))
    assert (shown["Content-ID"], shown.get_content_disposition(), shown.get_filename()) == ("<c@d>", "inline", None)


def stamped(message: Message) -> Message:
    from datetime import UTC, datetime

    return message.stamped(lambda: datetime(2026, 3, 1, tzinfo=UTC), lambda domain: f"<in@{domain}>")


def test_6_3_a_message_in_a_message_is_never_encoded(tmp_path: Path) -> None:
    inner = stamped(Message(from_="a@b.example", to="c@d.example", subject="Grüße", text="viele grüße"))
    path = tmp_path / "x.eml"
    path.write_bytes(bytes(inner).replace(b"\r\n", b"\n"))
    for given in (Attachment.of_message(inner), Attachment.of_message(bytes(inner)), Attachment(path)):
        leaf = attachment_leaf(given)
        assert leaf.encoding == "7bit"
        found = read(Multipart("mixed", [leaf, text_leaf("x", PLAIN)])).get_payload()[0].get_payload()[0]
        assert found["Subject"] == "Grüße"
        assert found.get_content() == "viele grüße\r\n"


def test_a_message_in_a_message_for_servers_with_8_bit_and_without() -> None:
    inner = stamped(Message(from_="a@b.example", to="c@d.example", text="grüße an alle", encoding="8bit"))
    attachment = Attachment.of_message(inner)
    assert attachment_leaf(attachment, eight_bit=True).encoding == "8bit"
    assert attachment_leaf(attachment, eight_bit=False).encoding == "7bit"
    ready = Attachment.of_message(b"Subject: x\r\n\r\n\xc3\xbc\r\n")
    assert attachment_leaf(ready, eight_bit=True).encoding == "8bit"
    with pytest.raises(ValueError, match="8-bit"):
        attachment_leaf(ready, eight_bit=False)


class Odd:
    """A message of somebody else's."""

    message_id = None

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    def posting(self) -> Any:
        raise ValueError

    def octets(self, *, eight_bit: bool, utf8: bool) -> Iterator[bytes]:
        return iter(self._pieces)


def test_a_message_in_a_message_that_breaks_the_rules() -> None:
    with pytest.raises(ValueError, match="a message in a message: a bare LF"):
        attachment_leaf(Attachment(Odd(b"x\n")))
    with pytest.raises(ValueError, match="is 8-bit"):
        attachment_leaf(Attachment(Odd("ü\r\n".encode())))


def test_what_may_be_all_of_a_message(tmp_path: Path) -> None:
    assert text_leaf("x", PLAIN).ends_line
    assert octets_leaf(b"", PLAIN).ends_line
    assert attachment_leaf(Attachment(big(tmp_path, b"x" * 99_999))).ends_line
    assert not attachment_leaf(Attachment(b"x", encoding="quoted-printable")).ends_line
    assert not attachment_leaf(Attachment(big(tmp_path, LINES), encoding="7bit")).ends_line
    assert isinstance(attachment_leaf(Attachment(b"")), Leaf)
