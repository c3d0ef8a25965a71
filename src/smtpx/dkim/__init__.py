"""DKIM signatures (RFC 6376, RFC 8301, RFC 8463): signing and verifying, on smtpx[dkim]."""
