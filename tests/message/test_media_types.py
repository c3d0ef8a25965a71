"""Media types, read and guessed."""

import pytest

from smtpx.message.media_types import parse_media_type, type_of_name


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("text/plain", "text/plain", ()),
        ("Text/Calendar; METHOD=REQUEST", "text/calendar", (("method", "REQUEST"),)),
        ('text/x;a=1 ; b="two; \\"words\\""', "text/x", (("a", "1"), ("b", 'two; "words"'))),
    ],
)
def test_parse(text: str, name: str, parameters: tuple[tuple[str, str], ...]) -> None:
    assert parse_media_type(text) == (name, parameters)


@pytest.mark.parametrize(
    "text",
    ["", "text", "text/", "/x", "text/plain\r\nBcc: x", "text/plain; x", "text/plain y", f"text/{'x' * 128}"],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="not a media type"):
        parse_media_type(text)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.pdf", "application/pdf"),
        ("A.PNG", "image/png"),
        ("x.tar.gz", "application/gzip"),
        ("x.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("x.webp", "image/webp"),
        ("x.jpg", "image/jpeg"),
        ("x.eml", "message/rfc822"),
        ("x.ics", "text/calendar"),
        ("x.rtf", "application/rtf"),
        ("x.unknown", "application/octet-stream"),
        ("pdf", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_by_name(name: str, media_type: str) -> None:
    assert type_of_name(name) == media_type
