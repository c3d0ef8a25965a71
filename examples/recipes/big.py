"""Messages too big for the repository."""

from __future__ import annotations

import random
from collections.abc import Iterator

from recipes.building import base64_lines, generated, noise, octets

WORDS = (
    "kettle tea Löffel Straße naïve œuvre żółć kůň çay θάλασσα чайник קומקום شاي चाय ชา お茶 やかん 茶壶 주전자 "
    "☕ 🫖 – … “quoted” 12,50 € . .. .x"
)


@generated
def attachment_1mb() -> bytes:
    """One attachment of 1 MiB, in base64."""
    return with_attachment("attachment-1mb", noise(30, 1 << 20))


@generated
def attachment_5mb() -> bytes:
    """One attachment of 5 MiB, in base64: almost 7 MB on the wire."""
    return with_attachment("attachment-5mb", noise(31, 5 << 20))


def with_attachment(name: str, data: bytes) -> bytes:
    """A letter with `data` attached as a file."""
    return octets(
        """
        From: ada@example.org
        To: bela@example.net
        Subject: $name
        Date: Sun, 09 Feb 2025 09:00:00 +0000
        Message-ID: <$name.1@example.org>
        MIME-Version: 1.0
        Content-Type: multipart/mixed; boundary="big"

        --big
        Content-Type: text/plain

        A big one.

        --big
        Content-Type: application/octet-stream; name="$name.bin"
        Content-Disposition: attachment; filename="$name.bin"
        Content-Transfer-Encoding: base64

        $data
        --big--
        """,
        name=name,
        data=base64_lines(data),
    )


@generated
def text_2mb_8bit() -> bytes:
    """2 MB of text in many alphabets as 8bit, now and then with a dot at a line's start."""
    return octets(
        """
        From: ada@example.org
        To: bela@example.net
        Subject: text-2mb-8bit
        Date: Sun, 09 Feb 2025 09:30:00 +0000
        Message-ID: <text-2mb-8bit.1@example.org>
        MIME-Version: 1.0
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: 8bit

        $text
        """,
        charset="utf-8",
        text="\n".join(random_lines(32, WORDS.split(), size=2_000_000)),
    )


@generated
def dots_1mb() -> bytes:
    """1 MB in which every line is a single dot: the worst case of dot-stuffing."""
    return octets(
        """
        From: ada@example.org
        To: bela@example.net
        Subject: dots-1mb
        Date: Sun, 09 Feb 2025 10:00:00 +0000
        Message-ID: <dots-1mb.1@example.org>

        $dots
        """,
        dots="\n".join(["."] * 333_333),
    )


def random_lines(seed: int, words: list[str], size: int) -> Iterator[str]:
    """Lines of these words in random order, at least `size` octets of UTF-8 in all."""
    chance = random.Random(seed)
    while size > 0:
        line = " ".join(chance.choices(words, k=chance.randrange(40)))
        size -= len(line.encode("utf-8")) + 2
        yield line
