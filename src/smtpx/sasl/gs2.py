"""The GS2 header (RFC 5801 4), which SCRAM and OAUTHBEARER messages begin with: channel binding, whom to act for."""

import re
from typing import NamedTuple

from smtpx.sasl.mechanism import SASLError

__all__ = ["GS2Header", "escape_name", "unescape_name"]

_HEADER = re.compile(r"(?:p=(?P<binding>[A-Za-z0-9.-]+)|(?P<flag>[ny])),(?:a=(?P<name>[^,]+))?,")
_BAD_ESCAPE = re.compile(r"=(?!2C|3D)")


class GS2Header(NamedTuple):
    """`flag`: "p": bound, `binding` is the type; "y": the client could, but was not offered it; "n": it can't."""

    flag: str
    binding: str = ""
    authorization_id: str = ""

    def to_text(self) -> str:
        """The header as it is sent.

        >>> GS2Header("p", "tls-exporter", "a,b").to_text()
        'p=tls-exporter,a=a=2Cb,'
        """
        flag = f"p={self.binding}" if self.flag == "p" else self.flag
        name = f"a={escape_name(self.authorization_id)}" if self.authorization_id else ""
        return f"{flag},{name},"

    @classmethod
    def split(cls, message: str) -> "tuple[GS2Header, str]":
        """The header of a message, and what stands behind it.

        Raises:
            SASLError: if it has another form. `F,`, for mechanisms that are not of GS2, is refused.
        """
        match = _HEADER.match(message)
        if match is None:
            raise SASLError("not a GS2 header")
        name = unescape_name(match["name"] or "")
        return cls(match["flag"] or "p", match["binding"] or "", name), message[match.end() :]


def escape_name(name: str) -> str:
    """A name with `,` and `=` written as `=2C` and `=3D` (RFC 5802 5.1)."""
    return name.replace("=", "=3D").replace(",", "=2C")


def unescape_name(text: str) -> str:
    """The name as it was.

    Raises:
        SASLError: for a `=` that escapes nothing, and for a NUL.
    """
    if _BAD_ESCAPE.search(text) or "\0" in text:
        raise SASLError("not a name: = is written as =3D, comma as =2C, and there is no NUL")
    return text.replace("=2C", ",").replace("=3D", "=")
