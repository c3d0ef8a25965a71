"""How a server is, for whoever decides whether it gets traffic, or is restarted."""

from dataclasses import dataclass

__all__ = ["FULL", "MAX_STUCK", "Health"]

MAX_STUCK = 8  # a method or two may hang in something; more is a disease
FULL = 0.95  # of the memory for messages that wait for their sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A server at one moment.

    Attributes:
        is_live: the event loop answers.
        connections: clients connected.
        stuck: methods of sessions that go on although they were cancelled, a whole deadline ago.
        problems: why it should get no new connections, for people; empty when it should.
        held_bytes: content in memory that waits for sessions.
    """

    is_live: bool
    connections: int
    stuck: int
    problems: tuple[str, ...] = ()
    held_bytes: int = 0

    @property
    def is_ready(self) -> bool:
        """Whether it takes connections and can serve them."""
        return self.is_live and not self.problems
