"""Encoded-words, both ways: within their limits, no character cut, read by others as well."""

from email.header import decode_header, make_header

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smtpx.message.encoded_words import LEAST_ROOM, cut_escaped, decode_words, encode_words, without_controls
from tests.message.texts import SAMPLES, texts


@pytest.mark.parametrize("text", SAMPLES)
def test_samples_come_back(text: str) -> None:
    words = encode_words(text)
    assert decode_words("\r\n ".join(words)) == text
    assert str(make_header(decode_header(" ".join(words)))) == text


@given(texts(), st.integers(LEAST_ROOM, 75))
@example("=", 24)
@example("\U0010ffff" * 30, 24)
@example("a" * 200 + "\U0010ffff" * 3, 24)
@example("\t=?x?q?y?=", 24)
def test_2_whole_characters_within_75_octets(text: str, room: int) -> None:
    words = encode_words(text, room)
    assert all(len(word) <= (75 if index else room) for index, word in enumerate(words))
    assert "".join(decode_words(word) for word in words) == text  # each by itself: none has half a character
    assert decode_words(" ".join(words)) == text


@pytest.mark.parametrize(("text", "kind"), [("Über uns und euch", "q"), ("日本", "b"), ("ä", "b")])
def test_the_shorter_form(text: str, kind: str) -> None:
    (word,) = encode_words(text)
    assert word[8] == kind


def test_half_a_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        encode_words("\ud83d")


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("plain", "plain"),
        ("=?utf-8?Q?a_b=20c?=", "a b c"),
        ("=?UTF-8?b?w6Q=?=", "ä"),
        ("=?UTF-8?b?w6Q?=", "ä"),  # without its padding
        ("=?iso-8859-1*de?q?=E4?=", "ä"),  # RFC 2231 5
        ("x =?utf-8?q?a?= y", "x a y"),
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a?=\r\n\t=?iso-8859-1?q?=E4?=", "aä"),
        ("=?utf-8?q?a?= x =?utf-8?q?b?=", "a x b"),
        ("=?utf-8?b?w?= =?utf-8?q?a?=", "=?utf-8?b?w?= a"),  # too little for base64
        ("=?utf-8?q?=C3?= =?utf-8?q?=A4?=", "ä"),  # cut in two by its sender
        ("=?utf-8?q?=C3?= =?us-ascii?q?x?=", "\ufffdx"),
        ("=?nothing?q?a?=", "=?nothing?q?a?="),
        ("=?nothing?q?a?= =?utf-8?q?b?=", "=?nothing?q?a?= b"),
        ("=?utf-8?b?a?=", "=?utf-8?b?a?="),
        ("=?utf-8?q?ä?=", "=?utf-8?q?ä?="),
        ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
        ("=?utf-8?q?a b?=", "a b"),
        ("=?utf-8?q?a=0D=0ABcc:_x?=", "a\ufffd\ufffdBcc: x"),
        ("=?utf-8?q?a=09b?=", "a\tb"),
        ("=?", "=?"),
        ("=?utf-8?q??=", ""),
    ],
)
def test_decode(written: str, text: str) -> None:
    assert decode_words(written) == text


def test_controls_may_be_wanted() -> None:
    assert decode_words("=?utf-8?q?a=0D=0Ab?=", keep_controls=True) == "a\r\nb"


@given(st.text(st.sampled_from("=?utf-8qb _\t\r\nA4É*")))
def test_decoding_never_raises_and_gives_no_line_ends_that_were_hidden(written: str) -> None:
    assert decode_words(written).count("\n") <= written.count("\n")


@pytest.mark.parametrize("unit", ["=?", "=?a?q?", "=?utf-8?q?a?= ", "=?utf-8?b?", "?=", "=?utf-8*a?q?x?="])
def test_hostile_repetition(unit: str) -> None:
    decode_words(unit * 50_000)


def test_without_controls() -> None:
    assert without_controls("a\tb\x00\x85\u2028\ud800") == "a\tb" + "\ufffd" * 4


def test_cut_escaped() -> None:
    assert cut_escaped("%C3%A4x", 0, 12, "%") == 7
    encoded = "a" * 10 + "%C3%A4"
    assert [cut_escaped(encoded, 0, room, "%") for room in (12, 13, 14, 15, 16)] == [10, 10, 10, 10, 16]
