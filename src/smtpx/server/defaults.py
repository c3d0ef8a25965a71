"""What `Server` does where neither a keyword nor its profile says anything: its name, and its mechanisms."""

import socket
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from smtpx.sasl import LOGIN, PLAIN, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ServerMechanism
from smtpx.server.hooks import own_methods, own_methods_of
from smtpx.server.session import Session

__all__ = ["MECHANISMS", "given", "host_name", "served_by"]

MECHANISMS = (SCRAM_SHA_256_PLUS, SCRAM_SHA_256, PLAIN, LOGIN)

T = TypeVar("T")


def given(value: T | None, usual: T) -> T:
    """What was given, or else the usual."""
    return usual if value is None else value


def host_name() -> str:
    """The host's name, as far as it can stand in a greeting."""
    name = socket.gethostname()
    return name if name.isascii() and " " not in name else "localhost"


def served_by(session: Callable[[], Session], mechanisms: Sequence[ServerMechanism]) -> tuple[ServerMechanism, ...]:
    """The mechanisms that the session has a method for."""
    maker: object = getattr(session, "func", session)  # functools.partial(MySession, ...)
    own = own_methods_of(cast("type[Session]", maker)) if isinstance(maker, type) else own_methods(session())
    return tuple(each for each in mechanisms if ("lookup" if each.needs_lookup else "authenticate") in own)
