r"""DKIM signatures (RFC 6376, RFC 8301, RFC 8463): signing and verifying, on smtpx[dkim]: docs/dkim.md.

>>> key = Key.generate("ed25519")
>>> signer = Signer("example.org", "mail", key)
>>> message = b"From: me@example.org\r\nSubject: Hi\r\n\r\nHello\r\n"
>>> [found] = verify(signer.signature(message) + message, {signer.dns_name: key.dns_record()}.get)
>>> found.is_pass, found.domain
(True, 'example.org')
"""

from smtpx.dkim.keys import Key
from smtpx.dkim.records import KeyRecord, zone_text
from smtpx.dkim.signer import DEFAULT_HEADERS, Signed, Signer
from smtpx.dkim.verifier import Case, Result, Verification, Verifier, averify, verify

__all__ = [
    "DEFAULT_HEADERS",
    "Case",
    "Key",
    "KeyRecord",
    "Result",
    "Signed",
    "Signer",
    "Verification",
    "Verifier",
    "averify",
    "verify",
    "zone_text",
]
