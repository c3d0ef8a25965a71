"""Transcripts of the wire with secrets masked."""

import re
from collections.abc import Callable

__all__ = ["Trace", "mask_auth"]

Trace = Callable[[str, bytes], None]
_AUTH = re.compile(rb"(AUTH +[!-~]+)( +[^\r\n]+)?", re.IGNORECASE)


def mask_auth(trace: Trace) -> Trace:
    """`trace` that never sees what a client says in an AUTH exchange. "C" is the client's direction, "S" the server's."""
    in_exchange = False

    def masked(direction: str, octets: bytes) -> None:
        nonlocal in_exchange
        if direction == "S":
            if in_exchange and not octets.startswith(b"334"):
                in_exchange = False
        elif in_exchange:
            octets = b"****\r\n"
        elif (match := _AUTH.match(octets)) is not None:
            in_exchange = True
            octets = match[1] + (b" ****" if match[2] else b"") + octets[match.end() :]
        trace(direction, octets)

    return masked
