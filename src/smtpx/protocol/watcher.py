"""Who may look on at the two protocol objects, line by line. Nobody, as a rule: then each place costs one test."""

from typing import Protocol

from smtpx.protocol.facts import TLSFacts
from smtpx.wire.reply import Reply

__all__ = ["ClientWatcher", "ServerWatcher"]


class ServerWatcher(Protocol):
    """Told what a `ServerProtocol` hears and says, in that order. Must not raise."""

    def heard(self, line: bytes) -> None:
        """A command line has come, whatever it is; here without its end. That of AUTH may hold a secret."""
        ...

    def responded(self) -> None:
        """The answer to an AUTH challenge has come. It is nobody's business."""
        ...

    def content_ended(self, size: int) -> None:
        """The end of data has come, behind so many octets."""
        ...

    def said(self, reply: Reply) -> None:
        """A reply goes out."""
        ...


class ClientWatcher(Protocol):
    """Told what a `ClientProtocol` says and hears. Must not raise."""

    def said(self, command: str, line: str) -> None:
        """A command is about to be written: its name in the table, and its line with secrets masked."""
        ...

    def heard(self, command: str, reply: Reply) -> None:
        """The reply to a command has come."""
        ...

    def secured(self, tls: TLSFacts) -> None:
        """A handshake is done."""
        ...

    def closed(self) -> None:
        """Nothing more will be said. May be called again."""
        ...
