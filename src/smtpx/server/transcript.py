"""The dialogue of a connection, line by line: what was said in AUTH is masked, and of content only the size is told."""

from collections.abc import Callable

from smtpx.server.observer import ServerConnectionObserver
from smtpx.server.peer import Peer
from smtpx.wire.reply import Reply

__all__ = ["Trace", "Transcript"]

Trace = Callable[[str, str, str], None]
"""Called with the connection's id, "C" or "S" for who speaks, and a line without its end.

Octets that are not UTF-8 are escaped; control characters are as they came.
"""


class Transcript(ServerConnectionObserver):
    """Tells a connection's lines."""

    def __init__(self, peer: Peer, trace: Trace) -> None:
        super().__init__(peer)
        self._trace = trace

    def command(self, verb: str, line: str) -> None:
        """What the client says."""
        self._trace(self.peer.id, "C", line)

    def reply(self, command: str, reply: Reply) -> None:
        """What we say, as it goes on the wire."""
        for line in reply.to_bytes().decode("ascii").removesuffix("\r\n").split("\r\n"):
            self._trace(self.peer.id, "S", line)
