"""ENHANCEDSTATUSCODES (RFC 2034): replies carry X.Y.Z codes. Ours always do; this says so."""

from smtpx.protocol.extension import Extension

__all__ = ["EnhancedStatusCodes"]


class EnhancedStatusCodes(Extension):
    """Announce enhanced status codes on every reply of class 2, 4 and 5 but greeting and hello."""

    keyword = "ENHANCEDSTATUSCODES"
