"""What must be true of a message that `smtpx serve` has stored."""

import re
from collections.abc import Sequence

from .letters import Letter
from .maildirs import Delivered
from .serving import SmtpxServe

__all__ = ["stored_intact"]


def stored_intact(
    server: SmtpxServe,
    letter: Letter,
    *,
    recipients: Sequence[str] = ("alice@example.test",),
    sender: str = "sender@example.org",
    protocol: str = "E?SMTP",
) -> Delivered:
    """The stored message, once it is there, with its octets, trace headers and recipients checked."""
    (delivered,) = server.maildir.wait_for(letter)
    assert delivered.octets == letter.octets, "the message was changed on the way"
    assert delivered.trace_values("Return-Path") == [f"<{sender}>"]
    assert sorted(map(_bare, delivered.trace_values("Delivered-To"))) == sorted(recipients)
    # RFC 3848 and RFC 6531, 4.3: the protocol tells whether TLS and AUTH were used.
    received = delivered.trace_values("Received")[0]
    assert re.search(rf"\swith\s+{protocol}\b", received), received
    return delivered


def _bare(address: str) -> str:
    return address.strip().removeprefix("<").removesuffix(">")
