"""Transcripts of the wire with secrets masked."""

import re
from collections.abc import Callable

__all__ = ["Trace", "mask_auth"]

Trace = Callable[[str, bytes], None]
_AUTH = re.compile(rb"(AUTH +[!-~]+)( +[^\r\n]+)?", re.IGNORECASE)


def mask_auth(trace: Trace) -> Trace:
    """`trace` that never sees what a client says in an AUTH exchange.

    "C" is the client's direction, "S" the server's.
    """
    in_exchange = False
    reply = b""  # of the server, as far as its line has come
    secrets: list[bytes] = []  # what was said in the last exchange: some servers repeat it

    def masked(direction: str, octets: bytes) -> None:
        nonlocal in_exchange, reply
        if direction == "S":
            *lines, reply = (reply + octets).split(b"\n")
            reply = reply[:4]  # no more is looked at
            for line in lines if in_exchange else ():
                in_exchange = line[:3] == b"334" or line[3:4] == b"-"
            for secret in secrets:
                octets = octets.replace(secret, b"****")
        elif in_exchange:
            secrets.append(octets.strip() or b"\r\n\r\n")
            octets = b"****\r\n"
        elif (match := _AUTH.match(octets)) is not None:
            in_exchange = True
            secrets[:] = [match[2].strip()] if match[2] else []
            octets = match[1] + (b" ****" if match[2] else b"") + octets[match.end() :]
        trace(direction, octets)

    return masked
