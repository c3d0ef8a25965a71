"""What is kept about one connection: under typed keys, and found again by whatever runs for it.

>>> SCORE: Key[int] = Key("score")
>>> context = Context()
>>> context[SCORE] = 7
>>> context.get(SCORE)
7
"""

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

if TYPE_CHECKING:
    from smtpx.server.session import Session

__all__ = ["CURRENT", "ConnectionFilter", "Context", "Key", "current_session"]

T = TypeVar("T")
CURRENT: "ContextVar[Session]" = ContextVar("smtpx_session")


class Key(Generic[T]):
    """A name for something of type T; each key object is a name of its own, whatever it is called."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"Key({self._name!r})"


class Context:
    """Things kept about a connection until it ends, shared by a session and the middlewares around it.

    STARTTLS does not empty it: what was learnt from the client before is best taken out in `Session.reset`.
    """

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[Key[Any], Any] = {}

    def __getitem__(self, key: Key[T]) -> T:
        """What is kept under a key.

        Raises:
            KeyError: if there is nothing.
        """
        return cast("T", self._values[key])

    def __setitem__(self, key: Key[T], value: T) -> None:
        self._values[key] = value

    def __delitem__(self, key: Key[Any]) -> None:
        del self._values[key]

    def __contains__(self, key: Key[Any]) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)

    @overload
    def get(self, key: Key[T]) -> T | None: ...
    @overload
    def get(self, key: Key[T], default: T) -> T: ...
    def get(self, key: Key[T], default: T | None = None) -> T | None:
        """What is kept under a key, or the default."""
        return self._values.get(key, default)


def current_session() -> "Session | None":
    """The session whose method runs, in whatever function it has called; None outside of sessions.

    Tasks and threads that a method starts by `asyncio.create_task` and `asyncio.to_thread` know it too.
    """
    return CURRENT.get(None)


class ConnectionFilter(logging.Filter):
    """Gives every record the attributes `connection` and `peer`: the connection's id and address, or "-".

    Put it on a handler, and lines that your own code logs from inside a session say whom they are about.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Never drops a record, and leaves attributes that it has already."""
        session = CURRENT.get(None)
        known = {"connection": session.peer.id, "peer": session.peer.address} if session is not None else {}
        for name in ("connection", "peer"):
            if not hasattr(record, name):
                setattr(record, name, known.get(name, "-"))
        return True
