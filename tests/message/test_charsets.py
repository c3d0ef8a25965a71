"""Character sets by the names that mail has for them."""

import codecs
import encodings

import pytest

from smtpx.message.charsets import codec_of, decode


@pytest.mark.parametrize(
    ("name", "octets", "text"),
    [
        ("UTF-8", "Grüße".encode(), "Grüße"),
        (" utf8 ", "é".encode(), "é"),
        ("us-ascii", b"a", "a"),
        ("iso-8859-1", b"\xe4", "ä"),
        ("ISO_8859-15", b"\xa4", "€"),
        ("latin1", b"\xe4", "ä"),
        ("windows-1252", b"\x80", "€"),
        ("cp1251", b"\xe4", "д"),
        ("koi8-r", b"\xc4", "д"),
        ("gb2312", "镕".encode("gb18030"), "镕"),
        ("hz-gb-2312", b"~{VPND~}", "中文"),
        ("Big5", b"\xa4\xa4", "中"),
        ("shift_jis", "日本".encode("shift_jis"), "日本"),
        ("iso-2022-jp", "日本".encode("iso2022_jp"), "日本"),
        ("euc-kr", "한".encode("euc_kr"), "한"),
        ("ks_c_5601-1987", "한".encode("cp949"), "한"),
        ("utf-7", b"+AOQ-", "ä"),
        ("utf-16le", "ä".encode("utf-16-le"), "ä"),
        ("utf-8", b"\xff", "\ufffd"),
        ("", "ä".encode(), "ä"),
        ("nobody-knows", b"\xe4", "ä"),
    ],
)
def test_decode(name: str, octets: bytes, text: str) -> None:
    assert decode(octets, name) == text


@pytest.mark.parametrize(
    "name",
    ["", "idna", "punycode", "undefined", "unicode_escape", "rot13", "hex", "../x", "utf-8\0", "a" * 1000, "mbcs"],
)
def test_strange_names_never_reach_the_look_up(name: str) -> None:
    assert codec_of(name) is None


def test_every_known_name_is_a_codec_of_text() -> None:
    names = "utf-7 utf-8 utf-16 utf-32 utf-16be utf-32le ascii latin-1 latin9 iso-8859-16 iso8859-13 windows-874 cp1258"
    names += " windows-1250 cp437 cp775 cp866 cp932 cp949 cp950 koi8-u koi8-t gb18030 big5-hkscs big5hkscs euc-jp"
    names += " iso-2022-kr iso-2022-jp-1 iso-2022-jp-ext iso-2022-jp-2004 mac-roman mac-turkish ptcp154 x-sjis tis-620"
    for name in names.split():
        codec = codec_of(name)
        assert codec is not None, name
        assert codecs.lookup(codec)._is_text_encoding, name  # type: ignore[attr-defined]


def test_unknown_names_leave_nothing_behind() -> None:
    before = len(encodings._cache)  # type: ignore[attr-defined]
    for number in range(100):
        decode(b"x", f"nothing-{number}")
    assert len(encodings._cache) == before  # type: ignore[attr-defined]
