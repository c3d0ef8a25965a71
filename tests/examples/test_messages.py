"""The example messages are what their recipes make, and are fit to be sent as they are."""

from __future__ import annotations

import email
import email.policy
import os
import re
import subprocess
import sys
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
COMMITTED = sorted((EXAMPLES / "messages").glob("*.eml"))
BIG = {"attachment-1mb.eml", "attachment-5mb.eml", "dots-1mb.eml", "text-2mb-8bit.eml"}

# RFC 6532 headers, and a plain parameter given beside its RFC 2231 form.
INTENDED_DEFECTS = {"emoji-raw-utf8.eml", "smtputf8-addresses.eml", "rfc2231-file-names.eml"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with every message as the script makes it, in a locale without UTF-8."""
    directory = tmp_path_factory.mktemp("messages")
    run_script(directory, LC_ALL="C", PYTHONHASHSEED="1")
    return directory


def run_script(directory: Path, **environment: str) -> None:
    script = EXAMPLES / "make_messages.py"
    command = [sys.executable, "-B", str(script), "--all", str(directory)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})


def parse(path: Path) -> EmailMessage:
    return email.message_from_bytes(path.read_bytes(), policy=email.policy.default)


def defects_of(message: EmailMessage) -> list[object]:
    """What the parser complains about, in any part and in any header."""
    parts = list(message.walk())
    headers = [header for part in parts for header in part.values()]
    return [defect for each in [*parts, *headers] for defect in each.defects]


def test_there_are_enough_of_them() -> None:
    assert len(COMMITTED) >= 24


def test_committed_ones_are_what_the_script_makes(made: Path) -> None:
    expected = {path.name: path.read_bytes() for path in made.iterdir() if path.name not in BIG}
    assert {path.name: path.read_bytes() for path in COMMITTED} == expected


def test_big_ones_are_the_same_every_time(made: Path, tmp_path: Path) -> None:
    run_script(tmp_path, PYTHONHASHSEED="2")
    for name in BIG:
        assert (made / name).read_bytes() == (tmp_path / name).read_bytes()


def test_big_ones_are_big(made: Path) -> None:
    sizes = {name: (made / name).stat().st_size for name in BIG}
    assert min(sizes.values()) >= 1_000_000
    assert sizes["attachment-5mb.eml"] >= 5_000_000


@pytest.mark.parametrize("name", [*(path.name for path in COMMITTED), *sorted(BIG)])
def test_rfc5322_2_3_line_ends_and_line_length(made: Path, name: str) -> None:
    content = (made / name).read_bytes()
    assert content.endswith(b"\r\n")
    assert b"\0" not in content
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", content), "a bare CR or a bare LF"
    assert max(len(line) for line in content.split(b"\r\n")) <= 998


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_parses_without_defects(path: Path) -> None:
    assert bool(defects_of(parse(path))) == (path.name in INTENDED_DEFECTS)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_rfc5322_3_6_headers_there_must_be(path: Path) -> None:
    message = parse(path)
    for header in ("From", "To", "Date", "Message-ID", "Subject"):
        assert len(message.get_all(header, [])) == 1, header


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_rfc2045_6_2_eight_bits_are_declared(path: Path) -> None:
    message = parse(path)
    body = path.read_bytes().partition(b"\r\n\r\n")[2]
    encodings = {part.get("Content-Transfer-Encoding", "7bit") for part in message.walk()}
    assert body.isascii() or "8bit" in encodings


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_day_of_the_week_is_that_of_the_date(path: Path) -> None:
    date = str(parse(path)["Date"])
    assert date.startswith(parsedate_to_datetime(date).strftime("%a, "))


def test_message_ids_are_unique() -> None:
    ids = [str(parse(path)["Message-ID"]) for path in COMMITTED]
    assert len(set(ids)) == len(ids)


def test_longest_lines_are_as_long_as_allowed() -> None:
    lines = (EXAMPLES / "messages" / "lines-of-998.eml").read_bytes().split(b"\r\n")
    assert [len(line) for line in lines].count(998) == 5


def test_dots_begin_and_end_the_body() -> None:
    body = (EXAMPLES / "messages" / "lines-of-dots.eml").read_bytes().partition(b"\r\n\r\n")[2]
    assert body.startswith(b".\r\n..\r\n...\r\n")
    assert body.endswith(b"\r\n.\r\n")


def test_body_is_empty_or_absent() -> None:
    empty = (EXAMPLES / "messages" / "empty-body.eml").read_bytes()
    absent = (EXAMPLES / "messages" / "headers-only.eml").read_bytes()
    assert empty.endswith(b">\r\n\r\n")
    assert absent.endswith(b">\r\n")


def test_attached_text_survives_its_encoding() -> None:
    path = EXAMPLES / "messages" / "quoted-printable-soft-breaks.eml"
    lines = parse(path).get_content().splitlines()
    assert "Leerzeichen am Ende: " in lines
    assert "a = b; c == d; =41 ist kein A" in lines
    assert b"=\r\n" in path.read_bytes()


def test_inline_images_are_where_the_html_looks_for_them() -> None:
    parts = list(parse(EXAMPLES / "messages" / "alternative-inline-images.eml").walk())
    html = next(part for part in parts if part.get_content_type() == "text/html").get_content()
    images = [part for part in parts if part.get_content_maintype() == "image"]
    assert len(images) == 2
    for image in images:
        assert image.get_content().startswith(b"\x89PNG\r\n\x1a\n")
        assert f"cid:{str(image['Content-ID']).strip('<>')}" in html


def test_rfc2231_names_are_read_back() -> None:
    parts = parse(EXAMPLES / "messages" / "rfc2231-file-names.eml").iter_attachments()
    names = {part.get_filename() for part in parts}
    assert "café.txt" in names
    assert "会議の資料と議事録のまとめ (copy 2).txt" in names
