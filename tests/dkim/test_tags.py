"""Lists of tags."""

import pytest

from smtpx.dkim.tags import TagError, decode_base64, parse_tags, without_space


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=b", {"a": "b"}),
        (" a = b ;\r\n\tc_1 = d e\r\n f ; ", {"a": "b", "c_1": "d e\r\n f"}),
        ("p=;", {"p": ""}),
        ("b=a==", {"b": "a=="}),
        ("i=\u00fc@x", {"i": "\u00fc@x"}),
        ("A=1; a=2", {"A": "1", "a": "2"}),
        ("", {}),
    ],
)
def test_lists(text: str, expected: dict[str, str]) -> None:
    assert parse_tags(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a=1; a=1", "the tag a= comes twice"),
        ("a=1;; b=2", "not a tag: "),
        (";", "not a tag: "),
        ("=1", "not a tag: =1"),
        ("1a=1", "not a tag: 1a=1"),
        ("a b=1", "not a tag: a b=1"),
        ("a", "not a tag: a"),
        ("a=\x00", r"a character that has no place there: \x00"),
        ("a=\x85", r"a character that has no place there: \x85"),
        ("a=\udcff", r"a character that has no place there: \udcff"),
        ("x" * 100_000, "not a tag: " + "x" * 40 + "..."),
    ],
)
def test_what_is_none(text: str, reason: str) -> None:
    with pytest.raises(TagError) as caught:
        parse_tags(text)
    assert str(caught.value) == reason


def test_many_tags_take_linear_time() -> None:
    assert len(parse_tags("".join(f"a{number}=;" for number in range(50_000)))) == 50_000


def test_base64() -> None:
    assert decode_base64("YW\r\n\tJj", "p") == b"abc"
    assert decode_base64("", "p") == b""
    for bad in ("YWJ", "=YWJj", "YW-j", "\u00fc", "YWJj!"):
        with pytest.raises(TagError, match="p= is not base64"):
            decode_base64(bad, "p")


def test_space() -> None:
    assert without_space(" a \r\n\tb ") == "ab"
