"""SMTP for Python, whole: client, server, LMTP, on one core free of I/O.

Names are loaded when they are first used: sending mail does not load the server, and nothing loads TLS before TLS is
needed.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

_HOMES = {
    "smtpx.client.aio": ("AsyncClient", "AsyncConnection"),
    "smtpx.client.bulk": ("Outgoing", "SendOutcome"),
    "smtpx.client.sync": ("Client", "Connection", "send"),
    "smtpx.client.observer": ("ClientObserver",),
    "smtpx.client.settings": ("ClientSettings", "Limits"),
    "smtpx.errors": (
        "AuthenticationError",
        "ConfigurationError",
        "ConnectError",
        "ConnectionLost",
        "DeadlineError",
        "LocalProtocolError",
        "PermanentRefusal",
        "ProtocolError",
        "RefusedError",
        "RemoteProtocolError",
        "SMTPXError",
        "TLSError",
        "TemporaryRefusal",
        "TransportError",
        "UnsupportedError",
    ),
    "smtpx.extensions": ("STANDARD",),
    "smtpx.flows.outcome": ("SendResult",),
    "smtpx.flows.session": ("Security",),
    "smtpx.flows.steps": ("Timeouts",),
    "smtpx.message.address": ("Address", "Group"),
    "smtpx.message.attachments": ("Attachment",),
    "smtpx.message.compose": ("Alternative", "Message", "MessageError"),
    "smtpx.net.tls": ("client_context", "server_tls"),
    "smtpx.protocol.dialect": ("LMTP", "SMTP"),
    "smtpx.protocol.extension": ("Extension",),
    "smtpx.protocol.limits": ("DefaultCap", "ServerLimits"),
    "smtpx.sasl": ("Credentials", "Password", "ScramRecord", "Secret"),
    "smtpx.sasl.anonymous": ("Anonymous",),
    "smtpx.sasl.external": ("Certificate",),
    "smtpx.sasl.oauth": ("BearerToken",),
    "smtpx.server.listener": ("Listener", "Server"),
    "smtpx.server.profiles": ("PROFILES", "Profile"),
    "smtpx.server.observer": ("ServerObserver",),
    "smtpx.server.middleware": ("Middleware", "Stack"),
    "smtpx.server.relay": ("AuthorizedRelay",),
    "smtpx.server.run": ("ServerThread", "serve"),
    "smtpx.server.session": ("Reject", "Session", "ok", "reply"),
    "smtpx.server.settings": ("Deadlines",),
    "smtpx.wire.address": ("NULL_SENDER", "Mailbox"),
    "smtpx.wire.reply": ("Reply",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

if TYPE_CHECKING:
    from smtpx.client.aio import AsyncClient, AsyncConnection
    from smtpx.client.bulk import Outgoing, SendOutcome
    from smtpx.client.observer import ClientObserver
    from smtpx.client.settings import ClientSettings, Limits
    from smtpx.client.sync import Client, Connection, send
    from smtpx.errors import (
        AuthenticationError,
        ConfigurationError,
        ConnectError,
        ConnectionLost,
        DeadlineError,
        LocalProtocolError,
        PermanentRefusal,
        ProtocolError,
        RefusedError,
        RemoteProtocolError,
        SMTPXError,
        TemporaryRefusal,
        TLSError,
        TransportError,
        UnsupportedError,
    )
    from smtpx.extensions import STANDARD
    from smtpx.flows.outcome import SendResult
    from smtpx.flows.session import Security
    from smtpx.flows.steps import Timeouts
    from smtpx.message.address import Address, Group
    from smtpx.message.attachments import Attachment
    from smtpx.message.compose import Alternative, Message, MessageError
    from smtpx.net.tls import client_context, server_tls
    from smtpx.protocol.dialect import LMTP, SMTP
    from smtpx.protocol.extension import Extension
    from smtpx.protocol.limits import DefaultCap, ServerLimits
    from smtpx.sasl import Credentials, Password, ScramRecord, Secret
    from smtpx.sasl.anonymous import Anonymous
    from smtpx.sasl.external import Certificate
    from smtpx.sasl.oauth import BearerToken
    from smtpx.server.listener import Listener, Server
    from smtpx.server.middleware import Middleware, Stack
    from smtpx.server.observer import ServerObserver
    from smtpx.server.profiles import PROFILES, Profile
    from smtpx.server.relay import AuthorizedRelay
    from smtpx.server.run import ServerThread, serve
    from smtpx.server.session import Reject, Session, ok, reply
    from smtpx.server.settings import Deadlines
    from smtpx.wire.address import NULL_SENDER, Mailbox
    from smtpx.wire.reply import Reply

__all__ = [
    "LMTP",
    "NULL_SENDER",
    "PROFILES",
    "SMTP",
    "STANDARD",
    "Address",
    "Alternative",
    "Anonymous",
    "AsyncClient",
    "AsyncConnection",
    "Attachment",
    "AuthenticationError",
    "AuthorizedRelay",
    "BearerToken",
    "Certificate",
    "Client",
    "ClientObserver",
    "ClientSettings",
    "ConfigurationError",
    "ConnectError",
    "Connection",
    "ConnectionLost",
    "Credentials",
    "DeadlineError",
    "Deadlines",
    "DefaultCap",
    "Extension",
    "Group",
    "Limits",
    "Listener",
    "LocalProtocolError",
    "Mailbox",
    "Message",
    "MessageError",
    "Middleware",
    "Outgoing",
    "Password",
    "PermanentRefusal",
    "Profile",
    "ProtocolError",
    "RefusedError",
    "Reject",
    "RemoteProtocolError",
    "Reply",
    "SMTPXError",
    "ScramRecord",
    "Secret",
    "Security",
    "SendOutcome",
    "SendResult",
    "Server",
    "ServerLimits",
    "ServerObserver",
    "ServerThread",
    "Session",
    "Stack",
    "TLSError",
    "TemporaryRefusal",
    "Timeouts",
    "TransportError",
    "UnsupportedError",
    "client_context",
    "ok",
    "reply",
    "send",
    "serve",
    "server_tls",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module attribute of any kind
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'smtpx' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
