"""The character classes of RFC 5321 and RFC 6531, and the one exception of this package."""

import re
from enum import Enum

__all__ = ["ATEXT", "CONTROLS", "Fault", "WireError", "escape", "has_controls"]

# RFC 5321 4.1.2 and RFC 6531 3.3: atext, widened by UTF8-non-ascii. C1 controls (U+0085 is a line end to some
# software), the Unicode line and paragraph separators and surrogates are left out: they belong in no address.
NON_ASCII = "\u00a0-\u2027\u202a-\ud7ff\ue000-\U0010ffff"
ATEXT = rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~\-{NON_ASCII}]"

# C0, DEL, C1, and what some software takes for a line end.
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_UNSAFE = re.compile(r"[^ -~]")


class Fault(Enum):
    """What is wrong with some octets, as far as the reply to them depends on it."""

    ARGUMENT = "argument"  # the form of an argument
    ADDRESS = "address"  # the mailbox between the angle brackets
    NOT_ASCII = "not ascii"  # needs SMTPUTF8
    UNKNOWN_PARAMETER = "unknown parameter"
    BARE_LF = "bare LF"
    BARE_CR = "bare CR"
    LINE_TOO_LONG = "line too long"  # its end was seen: the rest of the input is in step
    LINE_ENDLESS = "endless line"  # no end in sight: nothing behind it can be understood
    REPLY = "reply"


class WireError(ValueError):
    """Octets or values that the grammar of SMTP does not allow.

    `fault` says what kind, `detail` says it to a person. Never holds more than an escaped, cut piece of the input.
    `limit` names the limit that it is beyond, where that can be set.
    """

    def __init__(self, fault: Fault, detail: str, limit: str = "") -> None:
        super().__init__(fault, detail, limit)
        self.fault = fault
        self.detail = detail
        self.limit = limit

    def __str__(self) -> str:
        return self.detail


def has_controls(text: str) -> bool:
    """Whether `text` holds a control character, a line separator or half a surrogate pair."""
    return not (text.isascii() and text.isprintable()) and CONTROLS.search(text) is not None


def escape(raw: bytes | str, max_chars: int = 64) -> str:
    r"""A piece of foreign text made safe for a reply or a log line: printable ASCII, the rest as `\xNN`, cut."""
    text = raw.decode("latin-1") if isinstance(raw, bytes) else raw
    cut = text[:max_chars]
    safe = cut if cut.isascii() and cut.isprintable() else _UNSAFE.sub(_escape_char, cut)
    return safe if len(text) <= max_chars else safe + "..."


def _escape_char(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
