"""How long a connection waits, and for what: one timer, and the budget that content refills."""

import asyncio
from collections.abc import Callable
from enum import Enum

from smtpx.server.settings import Deadlines

__all__ = ["Alarm", "Due", "Patience"]


class Due(Enum):
    """What is waited for."""

    COMMAND = "command"
    AUTH = "authentication"
    CONTENT = "content"
    TLS = "TLS handshake"
    HANDLER = "handler"  # the session's opinion
    FINAL = "end of data"  # the session's verdict on a message
    WRITE = "write"  # the peer takes what we wrote
    CLOSE = "close"  # the peer closes its side


_FIELDS = {Due.AUTH: "auth_step", Due.TLS: "tls_handshake", Due.FINAL: "final"}


class Alarm:
    """One timer, moved along lazily: setting it anew costs an assignment.

    `due` is what it is set for, or None. Once it has gone off it is not set any more.
    """

    __slots__ = ("_at", "_loop", "_on_expiry", "_rings_at", "_timer", "due")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_expiry: Callable[[Due], None]) -> None:
        self._loop = loop
        self._on_expiry = on_expiry
        self._timer: asyncio.Handle | None = None
        self._rings_at = 0.0  # the timer's time: a handle of uvloop that is due at once does not know it
        self._at = 0.0
        self.due: Due | None = None

    def set(self, due: Due, seconds: float) -> None:
        """Go off in so many seconds, whatever was set before."""
        self.due = due
        self._at = self._loop.time() + max(seconds, 0.0)
        timer = self._timer
        if timer is None or self._rings_at > self._at:
            if timer is not None:
                timer.cancel()
            self._start()

    def clear(self) -> None:
        """Don't go off."""
        self.due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        self._rings_at = self._at
        self._timer = self._loop.call_at(self._at, self._tick)

    def _tick(self) -> None:
        self._timer = None
        due = self.due
        if due is None:
            return
        if self._loop.time() < self._at:
            self._start()
        else:
            self.due = None
            self._on_expiry(due)


class Patience(Alarm):
    """One connection's alarm, set by what its deadlines say.

    No command is waited for beyond `session_seconds` from the beginning.

    Content has a budget: time takes from it, octets add to it (the rule Postfix documents), so whoever sends faster
    than `min_data_rate` never expires. Only the time in which content is waited for counts.
    """

    __slots__ = ("_auth_until", "_began_at", "_budget", "_budget_at", "_deadlines", "_session_seconds")

    def __init__(
        self,
        deadlines: Deadlines,
        loop: asyncio.AbstractEventLoop,
        on_expiry: Callable[[Due], None],
        session_seconds: float | None = None,
    ) -> None:
        super().__init__(loop, on_expiry)
        self._deadlines = deadlines
        self._session_seconds = session_seconds
        self._began_at = loop.time()
        self._auth_until: float | None = None
        self._budget = 0.0
        self._budget_at = 0.0

    def await_command(self, *, delay: float = 0.0) -> None:
        """A whole command line must come; `delay` seconds later than usual."""
        self._auth_until = None
        seconds = self._deadlines.command + delay
        if self._session_seconds is not None:
            seconds = min(seconds, self._began_at + self._session_seconds - self._loop.time())
        self.set(Due.COMMAND, seconds)

    @property
    def session_is_over(self) -> bool:
        """Whether the whole session has taken as long as it may."""
        return self._session_seconds is not None and self._loop.time() >= self._began_at + self._session_seconds

    def follow(self, deadlines: Deadlines, session_seconds: float | None) -> None:
        """Other deadlines from now on. What is waited for already has no longer than these would give it now."""
        self._deadlines, self._session_seconds = deadlines, session_seconds
        due, left = self.due, self._at - self._loop.time()
        if due is Due.COMMAND:
            self.await_command()
        elif due is Due.CONTENT:
            self._budget = min(left, deadlines.data)
            self.await_content()
        elif due is Due.AUTH or due is Due.TLS or due is Due.FINAL:
            if self._auth_until is not None:
                self._auth_until = min(self._auth_until, self._loop.time() + deadlines.auth_exchange)
            self.set(due, getattr(deadlines, _FIELDS[due]))
        if due is not None and self._at - self._loop.time() > left:
            self.set(due, left)

    def await_auth(self) -> None:
        """The next line of an AUTH exchange must come, and with it the exchange's end must be in reach."""
        now = self._loop.time()
        if self._auth_until is None:
            self._auth_until = now + self._deadlines.auth_exchange
        self.set(Due.AUTH, min(self._deadlines.auth_step, self._auth_until - now))

    def await_tls(self) -> None:
        """The whole handshake must be done."""
        self.set(Due.TLS, self._deadlines.tls_handshake)

    def await_handler(self, *, delay: float = 0.0) -> None:
        """The session must answer."""
        self.set(Due.HANDLER, self._deadlines.handler + delay)

    def await_verdict(self) -> None:
        """The session must store the message and say so, or take what it was given."""
        self.set(Due.FINAL, self._deadlines.final)

    def begin_content(self) -> None:
        """A message begins, with a full budget."""
        self._budget = self._deadlines.data

    def await_content(self) -> None:
        """Content must come before the budget is used up."""
        self._budget_at = self._loop.time()
        self.set(Due.CONTENT, self._budget)

    def earn(self, octets: int) -> None:
        """Content has come."""
        now = self._loop.time()
        budget = self._budget + octets / self._deadlines.min_data_rate
        if self.due is Due.CONTENT:
            budget -= now - self._budget_at
        self._budget = min(budget, self._deadlines.data)
        self._budget_at = now
        if self.due is Due.CONTENT:
            self.set(Due.CONTENT, self._budget)
