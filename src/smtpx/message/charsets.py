"""Character sets by the names they have in mail, without asking Python for every name that a stranger thinks of.

Python looks each unknown name up on disk and remembers it for ever, and some of its codecs take quadratic time; so only
character sets that mail is written in are known here.
"""

import re
from functools import lru_cache

__all__ = ["codec_of", "decode"]

_CODECS = {
    "gb2312": "gb18030",  # senders write it of text in its supersets
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949",
    "euc-kr": "cp949",
    "iso-2022-jp": "iso2022_jp_ext",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "sjis": "cp932",
    "windows-31j": "cp932",
    "big5": "big5hkscs",
    "iso-8859-8-i": "iso8859_8",
    "iso-8859-8-e": "iso8859_8",
    "iso-8859-6-i": "iso8859_6",
    "tis-620": "cp874",
    "macintosh": "mac_roman",
    "ansi_x3.4-1968": "ascii",
    "iso-10646-ucs-2": "utf_16",
    "unicode-1-1-utf-8": "utf_8",
    "unicode-1-1-utf-7": "utf_7",
}
_KNOWN = re.compile(
    r"utf-?(?:7|8|16|32)|utf-(?:16|32)[bl]e|(?:us-)?ascii|latin-?[1-9]|iso[-_]?8859-(?:[1-9]|1[013456])"
    r"|(?:windows|cp)-?(?:874|125[0-8])|cp(?:437|737|775|85[0-9]|86[0-9]|932|949|950)|koi8-[rut]|gb18030|hz-gb-2312"
    r"|big5-?hkscs|euc-jp|iso-2022-(?:kr|jp-(?:[123]|ext|2004))|mac-(?:roman|cyrillic|greek|turkish)|ptcp154"
)


@lru_cache(maxsize=256)
def codec_of(charset: str) -> str | None:
    """The name of Python's codec for a character set of mail; None for one that is not known."""
    name = charset.strip().lower()
    if name in _CODECS:
        return _CODECS[name]
    if not _KNOWN.fullmatch(name):
        return None
    return name.replace("windows-", "cp").replace("hz-gb-2312", "hz")


def decode(octets: bytes, charset: str) -> str:
    """Octets as text; what is not in the character set becomes U+FFFD. An unknown one is taken for UTF-8 or Latin-1."""
    codec = codec_of(charset)
    if codec is not None:
        return octets.decode(codec, "replace")
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")
