"""How a client behaves on one connection: what is counted against it, and when it is too much.

Pure policy: it closes nothing and knows no phase. The limits come with each call, because pressure changes them.
"""

from collections.abc import Callable
from typing import NamedTuple

from smtpx.protocol import replies
from smtpx.protocol.events import LimitHit
from smtpx.protocol.limits import ServerLimits
from smtpx.wire.reply import Reply

__all__ = ["Conduct", "Ending"]

_NOTHING: frozenset[str] = frozenset()  # most clients never hit a limit, and an empty set has 216 octets
_NOT_COUNTED = frozenset({530, 538})  # the client did not err, it came too early


class Ending(NamedTuple):
    """Why the connection is to be closed, for the client and for us."""

    reply: Reply
    reason: str


class Conduct:
    """One client's record. What counts something gives the end of the connection when it was one too many, else None.

    Args:
        tell: told of each limit that was hit, once for each message and each run of the same.

    Attributes:
        errors: since the last message.
        excused: how many 503 are not the client's errors.
        commands: lines that were taken for commands, all of them.
        auth_failures: wrong guesses, all of them.
    """

    __slots__ = ("_junk", "_tell", "_told", "auth_failures", "commands", "errors", "excused")

    def __init__(self, tell: Callable[[LimitHit], None]) -> None:
        self._tell = tell
        self._told = _NOTHING
        self._junk = 0
        self.errors = 0
        self.excused = 0
        self.commands = 0
        self.auth_failures = 0

    def limit_hit(self, limit: str, limits: ServerLimits) -> None:
        """A limit was hit, by its name."""
        if limit not in self._told:
            self._told |= {limit}
            self._tell(LimitHit(limit, getattr(limits, limit)))

    def message_taken(self) -> None:
        """A client that delivers is forgiven."""
        self.errors = self._junk = 0
        self._told = _NOTHING

    def count_refusal(self, reply: Reply, limits: ServerLimits) -> Ending | None:
        """Count a 5yz reply, if it was the client's error."""
        if reply.code == 503 and self.excused:
            self.excused -= 1
            return None
        return None if reply.code in _NOT_COUNTED else self._count_error("too many errors", limits)

    def count_junk(self, limits: ServerLimits) -> Ending | None:
        """Count a command that does nothing; beyond a limit each is an error."""
        self._junk += 1
        if self._junk <= limits.junk_command_limit:
            return None
        self.limit_hit("junk_command_limit", limits)
        return self._count_error("too many commands that do nothing", limits)

    def judge_overshoot(self, overshoot: int, limits: ServerLimits) -> Ending | None:
        """So many recipients came behind the last that was taken; beyond a limit each is an error."""
        if overshoot <= limits.recipient_overshoot:
            return None
        self.limit_hit("recipient_overshoot", limits)
        return self._count_error("too many recipients", limits)

    def judge_stranger(self, limits: ServerLimits) -> Ending | None:
        """Whether a client that has not authenticated has said enough."""
        limit = limits.max_unauthenticated_commands
        if limit is None or self.commands <= limit:
            return None
        self.limit_hit("max_unauthenticated_commands", limits)
        return Ending(replies.NOT_AUTHENTICATED_IN_TIME, "too many commands without authentication")

    def count_auth_failure(self, limits: ServerLimits) -> Ending | None:
        """Count a wrong guess."""
        self.auth_failures += 1
        self.errors += 1
        if self.auth_failures < limits.max_auth_failures:
            return None
        self.limit_hit("max_auth_failures", limits)
        return Ending(replies.TOO_MANY_AUTH_FAILURES, "too many authentication failures")

    def _count_error(self, reason: str, limits: ServerLimits) -> Ending | None:
        self.errors += 1
        if self.errors < limits.hard_error_limit:
            return None
        self.limit_hit("hard_error_limit", limits)
        return Ending(replies.TOO_MANY_ERRORS, reason)
