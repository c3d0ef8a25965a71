"""The demonstration's bookkeeping notices every octet that changes, and nothing else."""

from pathlib import Path

import pytest

from examples.letters import Letter, Stored, compare, read_letters, read_maildir

MESSAGES = Path(__file__).resolve().parents[2] / "examples" / "messages"
LETTER = Letter("a.eml", b"Message-ID: <1@x>\r\nSubject: a\r\n\r\n.\r\n", "from@x", ("to@x", "cc@x"))
TRACE = (
    b"Return-Path: <from@x>\r\nDelivered-To: to@x\r\nDelivered-To: cc@x\r\n"
    b"Received: from a ([127.0.0.1])\r\n\tby b; Tue, 14 Jan 2025 09:30:00 +0000\r\n"
)


def store(tmp_path: Path, *files: bytes) -> list[Stored]:
    """These files as they are read from a Maildir."""
    new = tmp_path / "new"
    new.mkdir()
    for number, content in enumerate(files):
        (new / f"{number}.localhost").write_bytes(content)
    return read_maildir(tmp_path)


@pytest.fixture(scope="module")
def letters() -> dict[str, Letter]:
    return {letter.name: letter for letter in read_letters(MESSAGES)}


def test_envelope_is_from_to_and_cc(letters: dict[str, Letter]) -> None:
    letter = letters["pdf-attachment.eml"]
    assert letter.sender == "billing@example.org"
    assert letter.recipients == ("bela@example.net", "accounts@example.net")


def test_envelope_of_folded_to(letters: dict[str, Letter]) -> None:
    assert len(letters["sixty-recipients.eml"].recipients) == 60


def test_envelope_of_raw_utf8(letters: dict[str, Letter]) -> None:
    letter = letters["smtputf8-addresses.eml"]
    assert letter.sender == "鈴木@例え.example"
    assert letter.recipients == ("ليلى@بريد.example", "jürgen@bücher.example", "bela@example.net")


def test_rfc5321_4_1_2_local_part_is_quoted_where_it_must_be(letters: dict[str, Letter]) -> None:
    assert letters["odd-addresses.eml"].recipients == (
        '"bela..sommer"@example.net',
        '"with space"@example.net',
        "o'hara_{x}=y@example.net",
        "cleo@example.net",
        "dora@[192.0.2.25]",
        "!#$%&'*+-/=?^_`{|}~@example.net",
    )


@pytest.mark.parametrize("name", ["bounce", "delivery-success", "read-receipt", "vacation-reply", "abuse-report"])
def test_rfc3834_3_3_automatic_messages_have_no_sender(letters: dict[str, Letter], name: str) -> None:
    assert letters[f"{name}.eml"].sender == ""


def test_letter_that_names_no_recipient_goes_somewhere(letters: dict[str, Letter]) -> None:
    assert len(letters["html-newsletter.eml"].recipients) == 1


def test_headers_alone_have_an_envelope(letters: dict[str, Letter]) -> None:
    assert letters["headers-only.eml"].sender == "meter@example.org"


def test_intact(tmp_path: Path) -> None:
    files, problems = compare([LETTER], store(tmp_path, TRACE + LETTER.content))
    assert files == {LETTER: tmp_path / "new" / "0.localhost"}
    assert problems == []


@pytest.mark.parametrize("name", ["forty-received.eml", "authenticated-headers.eml"])
def test_trace_headers_of_the_letter_itself_stay(tmp_path: Path, letters: dict[str, Letter], name: str) -> None:
    [stored] = store(tmp_path, TRACE + letters[name].content)
    assert stored.content == letters[name].content


def test_same_letter_twice_needs_two_files(tmp_path: Path) -> None:
    _, problems = compare([LETTER, LETTER], store(tmp_path, TRACE + LETTER.content))
    assert problems == ["a.eml: did not arrive"]


def test_file_nobody_sent(tmp_path: Path) -> None:
    _, problems = compare([], store(tmp_path, TRACE + LETTER.content))
    assert problems == ["1 more files arrived than were sent"]


@pytest.mark.parametrize(
    ("sent", "became"),
    [
        (b"Subject: a", b"Subject: A"),
        (b"\r\n.\r\n", b"\r\n..\r\n"),
        (b"\r\n.\r\n", b"\r\n"),
        (b"\r\n.\r\n", b"\r\n.\r\n\r\n"),
        (b"\r\n.\r\n", b"\n.\n"),
    ],
)
def test_one_octet_that_changed(tmp_path: Path, sent: bytes, became: bytes) -> None:
    files, problems = compare([LETTER], store(tmp_path, TRACE + LETTER.content.replace(sent, became)))
    assert files == {}
    assert len(problems) == 1
    assert "they differ from octet" in problems[0]


@pytest.mark.parametrize(
    ("sent", "became", "problem"),
    [
        (b"<from@x>", b"<>", "sent by <from@x>, stored as from <>"),
        (b"Delivered-To: cc@x\r\n", b"", "sent to to@x, cc@x; stored for to@x"),
    ],
)
def test_wrong_envelope(tmp_path: Path, sent: bytes, became: bytes, problem: str) -> None:
    _, problems = compare([LETTER], store(tmp_path, TRACE.replace(sent, became) + LETTER.content))
    assert problems == [f"a.eml: {problem} (0.localhost)"]


def test_file_without_trace_headers(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"0\.localhost does not begin with the trace headers"):
        store(tmp_path, LETTER.content)
