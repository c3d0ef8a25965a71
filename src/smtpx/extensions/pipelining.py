"""PIPELINING (RFC 2920): commands may come in groups. The protocol objects always work that way; this says so."""

from smtpx.protocol.extension import Extension

__all__ = ["Pipelining"]


class Pipelining(Extension):
    """Offer command groups; clients send MAIL, RCPT and DATA in one write where it is offered."""

    keyword = "PIPELINING"
