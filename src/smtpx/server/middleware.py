"""Sessions around sessions: what has an opinion on mail, whatever becomes of it.

class Greylist(Middleware):
    async def rcpt(self, recipient, params):
        if self.is_new(recipient):
            raise Reject.try_later()
        return await super().rcpt(recipient, params)      # whoever is inside

Server(Stack(Archive, TransactionLog(), Greylist))        # the first one is outermost
"""

# A method that returns a coroutine does for one that is one; that pyright wants the very type of the latter would bind
# those who override it. And a property does for a variable that is set and read.
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from smtpx.sasl import Credentials, ScramRecord, Secret
from smtpx.server.body import Body
from smtpx.server.context import Context
from smtpx.server.exposure import Exposure
from smtpx.server.health import problems_of
from smtpx.server.peer import Peer
from smtpx.server.session import Session
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply

__all__ = ["ChecksExposure", "Middleware", "MiddlewareMaker", "Stack"]

MiddlewareMaker = Callable[[Session], Session]
"""Takes the session inside and gives the one around it: a `Middleware` class, or an object that makes one."""

_Answer = Coroutine[Any, Any, Reply | None]


class Middleware(Session):
    """A session around another one. Each method hands on to the one inside; override those you have an opinion on.

    `super().mail(...)` asks the session inside, and so must be awaited for it to be asked at all. One is made for each
    connection. Methods that neither it nor a session inside overrides are not called and cost nothing. Overriding
    `authenticate` or `lookup` makes the server offer AUTH.

    Attributes:
        inner: the session inside.
    """

    def __init__(self, inner: Session) -> None:
        self.inner = inner

    @property  # one peer for all of them
    def peer(self) -> Peer:
        """Who is there."""
        return self.inner.peer

    @peer.setter
    def peer(self, peer: Peer) -> None:
        self.inner.peer = peer

    @property
    def context(self) -> Context:
        """What is kept about the connection: the same for all sessions of a stack."""
        return self.inner.context

    # Not `async def`: the coroutine of the session inside is handed out as it is, and there is no frame around it.

    def connect(self) -> _Answer:
        """See `Session.connect`."""
        return self.inner.connect()

    def hello(self, verb: str, name: str) -> _Answer:
        """See `Session.hello`."""
        return self.inner.hello(verb, name)

    def authenticate(self, identity: Credentials) -> _Answer:
        """See `Session.authenticate`."""
        return self.inner.authenticate(identity)

    def lookup(self, mechanism: str, username: str) -> Coroutine[Any, Any, ScramRecord | Secret | None]:
        """See `Session.lookup`."""
        return self.inner.lookup(mechanism, username)

    def mail(self, sender: Mailbox, params: Params) -> _Answer:
        """See `Session.mail`."""
        return self.inner.mail(sender, params)

    def rcpt(self, recipient: Mailbox, params: Params) -> _Answer:
        """See `Session.rcpt`."""
        return self.inner.rcpt(recipient, params)

    def data(self, body: Body) -> Coroutine[Any, Any, Reply | Mapping[str, Reply] | None]:
        """See `Session.data`."""
        return self.inner.data(body)

    def command(self, verb: str, argument: str | None) -> _Answer:
        """See `Session.command`."""
        return self.inner.command(verb, argument)

    def reset(self) -> Coroutine[Any, Any, None]:
        """See `Session.reset`."""
        return self.inner.reset()

    def close(self) -> Coroutine[Any, Any, None]:
        """See `Session.close`."""
        return self.inner.close()


@runtime_checkable
class ChecksExposure(Protocol):
    """A middleware's maker that refuses to serve where it would do harm."""

    def check_exposure(self, exposures: Sequence[Exposure]) -> None:
        """See where the server is going to listen.

        Raises:
            ConfigurationError: to keep it from that.
        """
        ...


class Stack:
    """Makes sessions inside middlewares; what `Server` takes in the place of a session class.

    Args:
        session: makes the innermost session: the class, or any callable; another `Stack` too.
        middlewares: the first is outermost: asked first, and told last what became of it.
    """

    def __init__(self, session: Callable[[], Session], *middlewares: MiddlewareMaker) -> None:
        self.session = session
        self.middlewares = middlewares

    def __call__(self) -> Session:
        made = self.session()
        for middleware in reversed(self.middlewares):
            made = middleware(made)
        return made

    @property
    def _makers(self) -> tuple[object, ...]:
        return (*self.middlewares, self.session)

    def health_problems(self) -> Iterable[str]:
        """What those inside say is wrong."""
        return [problem for each in self._makers for problem in problems_of(each)]

    def check_exposure(self, exposures: Sequence[Exposure]) -> None:
        """Ask everybody inside whether it may be served there.

        Raises:
            ConfigurationError: if one of them does not want to.
        """
        for each in self._makers:
            if isinstance(each, ChecksExposure):
                each.check_exposure(exposures)
