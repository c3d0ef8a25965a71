"""The demonstration's bookkeeping: what is to be sent, and whether it arrived as it was.

A letter's envelope comes from its own headers. In the Maildir a letter is the octets that were
sent, behind three kinds of trace header that the server put there: Return-Path, Delivered-To
(one for each recipient) and Received. The comparison takes those off, and nothing else.
"""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path

__all__ = ["Letter", "Stored", "compare", "read_letters", "read_maildir"]

# Where a letter goes that names no recipient (To: undisclosed-recipients:;).
FALLBACK_RECIPIENT = "subscriber@example.net"

# A local part that needs no quotes.
DOT_STRING = re.compile(r"[^\s.\"(),:;<>@\[\\\]]+(\.[^\s.\"(),:;<>@\[\\\]]+)*")

# What the server puts in front of a message, each header possibly folded.
FOLDED = rb"[^\n]*\n(?:[ \t][^\n]*\n)*"
TRACE = re.compile(
    rb"Return-Path:(?P<return_path>" + FOLDED + rb")"
    rb"(?P<delivered_to>(?:Delivered-To:" + FOLDED + rb")+)"
    rb"Received:" + FOLDED
)
DELIVERED_TO = re.compile(rb"^Delivered-To:(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message and its envelope. The sender is empty for the null reverse path."""

    name: str
    content: bytes
    sender: str
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """A file of the Maildir: the server's trace headers, and what it received."""

    path: Path
    return_path: str
    delivered_to: tuple[str, ...]
    content: bytes


def read_letters(directory: Path) -> list[Letter]:
    """The `.eml` files of `directory`, by name."""
    return [read_letter(path) for path in sorted(directory.glob("*.eml"))]


def read_letter(path: Path) -> Letter:
    """One file, with the envelope that its headers ask for."""
    content = path.read_bytes()
    headers = parse_headers(content)
    recipients = addresses(headers, "To") + addresses(headers, "Cc") or [FALLBACK_RECIPIENT]
    senders = [] if is_automatic(headers) else addresses(headers, "From")
    return Letter(path.name, content, next(iter(senders), ""), tuple(dict.fromkeys(recipients)))


def parse_headers(content: bytes) -> EmailMessage:
    """The headers of a message; in UTF-8 where they are not ASCII (RFC 6532)."""
    head = content.partition(b"\r\n\r\n")[0]
    return email.message_from_string(head.decode("utf-8", "replace"), policy=email.policy.default)


def addresses(headers: EmailMessage, name: str) -> list[str]:
    """The addresses in all headers of that name, without display names."""
    values = headers.get_all(name, [])
    return [wire_form(address) for value in values for address in value.addresses]


def wire_form(address: Address) -> str:
    """The address as the envelope has it: the local part quoted where it must be (RFC 5321, 4.1.2).

    `Address.addr_spec` leaves two dots in a row without quotes.
    """
    if DOT_STRING.fullmatch(address.username):
        return f"{address.username}@{address.domain}"
    escaped = re.sub(r'(["\\])', r"\\\1", address.username)
    return f'"{escaped}"@{address.domain}'


def is_automatic(headers: EmailMessage) -> bool:
    """Whether no program may answer this: a report (RFC 3464, 2) or a reply (RFC 3834, 3.3)."""
    return "Auto-Submitted" in headers or headers.get_content_type() == "multipart/report"


def read_maildir(maildir: Path) -> list[Stored]:
    """What lies in the Maildir's `new`.

    Raises ValueError, with the name of the file, if one does not begin with the trace headers.
    """
    return [read_stored(path) for path in sorted((maildir / "new").iterdir())]


def read_stored(path: Path) -> Stored:
    """One file, taken apart."""
    whole = path.read_bytes()
    trace = TRACE.match(whole)
    if trace is None:
        raise ValueError(f"{path.name} does not begin with the trace headers: {whole[:200]!r}")
    return_path = trace["return_path"].decode().strip(" <>\r\n")
    delivered_to = [line.strip(b" <>\r") for line in DELIVERED_TO.findall(trace["delivered_to"])]
    recipients = tuple(line.decode() for line in delivered_to)
    return Stored(path, return_path, recipients, whole[trace.end() :])


def compare(letters: list[Letter], stored: list[Stored]) -> tuple[dict[Letter, Path], list[str]]:
    """The file of each letter that arrived intact, and what is wrong with the others."""
    unclaimed = list(stored)
    files: dict[Letter, Path] = {}
    lost: list[Letter] = []
    for letter in letters:
        match = next((each for each in unclaimed if is_intact(letter, each)), None)
        if match is None:
            lost.append(letter)
        else:
            unclaimed.remove(match)
            files[letter] = match.path
    problems = [f"{letter.name}: {explain_loss(letter, unclaimed)}" for letter in lost]
    if len(unclaimed) > len(lost):
        problems.append(f"{len(unclaimed) - len(lost)} more files arrived than were sent")
    return files, problems


def is_intact(letter: Letter, stored: Stored) -> bool:
    """Whether that file holds this letter, octet by octet, under the right envelope."""
    return (
        letter.content == stored.content
        and letter.sender == stored.return_path
        and set(letter.recipients) == set(stored.delivered_to)
    )


def explain_loss(letter: Letter, unclaimed: list[Stored]) -> str:
    """What became of a letter that is in none of the files as it should be."""
    message_id = parse_headers(letter.content)["Message-ID"]
    for stored in unclaimed:
        if parse_headers(stored.content)["Message-ID"] == message_id:
            return f"{explain_difference(letter, stored)} ({stored.path.name})"
    return "did not arrive"


def explain_difference(letter: Letter, stored: Stored) -> str:
    """The first thing in which a letter and its file differ."""
    if letter.content != stored.content:
        return explain_octets(letter.content, stored.content)
    if letter.sender != stored.return_path:
        return f"sent by <{letter.sender}>, stored as from <{stored.return_path}>"
    return f"sent to {', '.join(letter.recipients)}; stored for {', '.join(stored.delivered_to)}"


def explain_octets(sent: bytes, stored: bytes) -> str:
    """Where two different strings of octets begin to differ, and how."""
    pairs = enumerate(zip(sent, stored, strict=False))
    shorter = min(len(sent), len(stored))
    at = next((index for index, (left, right) in pairs if left != right), shorter)
    shown = slice(max(at - 10, 0), at + 20)
    return (
        f"sent {len(sent)} octets, stored {len(stored)}; they differ from octet {at} on: "
        f"{sent[shown]!r} became {stored[shown]!r}"
    )
