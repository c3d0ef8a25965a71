"""Which TLS context a connection gets."""

import ssl

from smtpx.client.settings import ClientSettings
from smtpx.flows.session import Security
from smtpx.net.tls import client_context

__all__ = ["context_for"]


def context_for(settings: ClientSettings, *, local: bool) -> ssl.SSLContext:
    """The caller's context, or one that verifies as the security demands.

    Opportunistic TLS without credentials takes any certificate: the alternative is no TLS at all. With credentials it
    verifies, unless the peer is local.
    """
    if settings.ssl_context is not None:
        return settings.ssl_context
    opportunistic = settings.security is Security.OPPORTUNISTIC and (settings.auth is None or local)
    verify = settings.verify and not (opportunistic and settings.ca_file is None)
    return client_context(verify=verify, ca_file=settings.ca_file)
