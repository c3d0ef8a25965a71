"""Nonces (RFC 5802 5.1)."""

from smtpx.sasl.nonce import make_nonce


def test_rfc5802_5_1_nonces_are_long_printable_and_differ() -> None:
    nonces = [make_nonce() for _ in range(100)]
    assert len(set(nonces)) == 100
    assert all(len(nonce) == 24 and nonce.isascii() and nonce.isprintable() and "," not in nonce for nonce in nonces)
