"""How a server is, for whoever decides whether it gets traffic, or is restarted."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

__all__ = ["MAX_STUCK", "Health", "TellsHealth", "problems_of"]

_log = logging.getLogger("smtpx.server")
MAX_STUCK = 8  # a method or two may hang in something; more is a disease


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


@runtime_checkable
class TellsHealth(Protocol):
    """What a server's sessions are made of, and may be unwell: a store, a pool, whatever makes the sessions."""

    def health_problems(self) -> Iterable[str]:
        """What is wrong, for people; nothing when all is well. Called in the event loop, so it must not block."""
        ...


def problems_of(maker: object) -> list[str]:
    """What the maker of sessions says is wrong: it, or what `functools.partial` makes them of."""
    func = getattr(maker, "func", None)
    parts = [func, *getattr(maker, "args", ()), *getattr(maker, "keywords", {}).values()] if func is not None else []
    return [problem for each in (maker, *parts) for problem in _asked(each)]


def _asked(each: object) -> list[str]:
    if not isinstance(each, TellsHealth):
        return []
    try:
        return list(each.health_problems())
    except Exception:
        _log.exception("health_problems of %s raised", type(each).__name__)
        return [f"{type(each).__name__} can't tell how it is"]
