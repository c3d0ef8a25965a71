"""Mail for Starlette and FastAPI: a mail service that lives as long as the application.

    mailer = MailerLifespan("submission://user:secret@mail.example.org", from_email="shop@example.org")
    app = Starlette(routes=routes, lifespan=mailer)

    async def signup(request):
        await request.state.mailer.send(Message(to="jane@example.org", subject="Hi", text="..."))
        request.state.mailer.send_soon(Message(to="boss@example.org", subject="Somebody signed up", text="..."))

With FastAPI: `mailer: Annotated[Mailer, Depends(get_mailer)]`. See docs/frameworks.md.
"""

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, Unpack, cast

from smtpx.errors import ConfigurationError, SMTPXError
from smtpx.mailer.ledger import lost
from smtpx.mailer.local import MemoryProvider, Sent
from smtpx.mailer.provider import NotTriedError, Provider
from smtpx.mailer.service import MailService, ServiceOptions
from smtpx.mailer.settings import MailerSettings, provider_from_url
from smtpx.message.sendable import Sendable

try:
    from starlette.requests import HTTPConnection
except ImportError as error:
    raise ImportError("this needs smtpx[starlette]: pip install 'smtpx[starlette]'") from error

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Mailer", "MailerLifespan", "OnFailure", "QueueFullError", "get_mailer"]

OnFailure: TypeAlias = Callable[[Sendable, Exception], object]
Lifespan: TypeAlias = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]
OtherLifespan: TypeAlias = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]]

_log = logging.getLogger("smtpx.adapters.starlette")


class QueueFullError(SMTPXError):
    """So many messages wait to be sent already: this one was not taken. It may be sent later."""

    is_temporary = True


class _Waiting(NamedTuple):
    """A message of `send_soon`: as it was given, and as it will be sent by a provider."""

    given: Sendable
    provider: str
    ready: Sendable


class Mailer(MailService):
    """A mail service that can also send behind an answer, in the background.

    Args:
        providers: as for `MailService`.
        queue_size: so many messages of `send_soon` may wait.
        workers: so many of them are sent at once.
        on_failure: called, and awaited if it can be, with each message of `send_soon` that was not sent to everybody,
            and the error; its `result` says who got it. Failures are logged in any case.
        drain_seconds: how long `close` goes on sending what waits. What is left then is given to `on_failure`.
        options: those of `MailService`.

    Raises:
        ConfigurationError: naming what is wrong.
    """

    def __init__(
        self,
        providers: Provider | Mapping[str, Provider] | None = None,
        *,
        queue_size: int = 1000,
        workers: int = 4,
        on_failure: OnFailure | None = None,
        drain_seconds: float = 30.0,
        **options: Unpack[ServiceOptions],
    ) -> None:
        super().__init__(providers, **options)
        if queue_size < 1 or workers < 1 or not drain_seconds >= 0:
            raise ConfigurationError("queue_size and workers are at least 1, drain_seconds at least 0")
        self._queue_size = queue_size
        self._max_workers = workers
        self._on_failure = on_failure
        self._drain_seconds = drain_seconds
        self._waiting: deque[_Waiting] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._is_draining = False
        self._loop: asyncio.AbstractEventLoop | None = None  # of the application that has started

    async def __aenter__(self) -> "Self":
        self._loop = asyncio.get_running_loop()
        return self

    @property
    def waiting(self) -> int:
        """How many messages of `send_soon` have not had their turn yet."""
        return len(self._waiting)

    def send_soon(self, message: Sendable, *, provider: str | None = None) -> None:
        """Send a message in the background; it is looked at now, so an error shows where it was made.

        Threads may call it too, such as those of endpoints that are no coroutines, once the application has started.

        Args:
            provider: as for `send`.

        Raises:
            MessageError: it can't be sent.
            ConfigurationError: there is no such provider.
            QueueFullError: too many wait already.
            ProviderClosedError: the application is shutting down.
        """
        desk = self._desk
        desk.check_open()
        if self._is_draining:
            raise NotTriedError("the application is shutting down: nothing more is taken")
        if len(self._waiting) >= self._queue_size:
            raise QueueFullError(f"{self._queue_size} messages wait to be sent already")
        name = desk.name_for(message, provider)
        waiting = _Waiting(message, name, desk.prepare(message, name))
        loop = self._loop
        if loop is None or loop is _running_loop():
            self._enqueue(waiting)
        else:
            loop.call_soon_threadsafe(self._enqueue, waiting)

    def _enqueue(self, waiting: _Waiting) -> None:
        if self.is_closed:  # it came from a thread, at the last moment
            self._begin(self._tell(waiting, NotTriedError("the application shut down before its turn")))
            return
        self._waiting.append(waiting)
        if len(self._workers) < self._max_workers:
            self._begin(self._work())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        worker = asyncio.get_running_loop().create_task(work, name="smtpx-mailer")
        self._workers.add(worker)
        worker.add_done_callback(self._workers.discard)

    async def _work(self) -> None:
        """Until nothing waits."""
        while self._waiting:
            waiting = self._waiting.popleft()
            try:
                (await self._desk.send(waiting.provider, waiting.ready)).raise_for_refused()
            except asyncio.CancelledError:
                await self._tell(waiting, lost("given up because the application shut down"))
                raise
            except Exception as error:
                await self._tell(waiting, error)

    async def _tell(self, waiting: _Waiting, error: Exception) -> None:
        _log.error("a message in the background was not sent to everybody: %s", error)
        if self._on_failure is None:
            return
        try:
            answer = self._on_failure(waiting.given, error)
            if inspect.isawaitable(answer):
                await answer
        except Exception:
            _log.exception("on_failure failed")

    async def drain(self) -> None:
        """Wait until nothing is sent in the background any more."""
        while self._workers:
            await asyncio.wait(self._workers)

    async def close(self) -> None:
        """Take nothing more for the background, send what waits, then close the providers. May be called again."""
        self._is_draining = True
        try:
            async with asyncio.timeout(self._drain_seconds):
                await self.drain()
        except TimeoutError:
            left = list(self._waiting)
            self._waiting.clear()
            for worker in self._workers:
                worker.cancel()
            await self.drain()
            for waiting in left:
                await self._tell(waiting, NotTriedError("the application shut down before its turn"))
        await super().close()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class MailerLifespan:
    """A lifespan for an application: a `Mailer` in `request.state.mailer`, closed when the application shuts down.

    Args:
        providers: a URL (see `provider_from_url`), `MailerSettings`, or what `MailService` takes. Provider objects
            serve one start only; of a URL or settings each start makes its own.
        from_email: sender of messages that name none, where `providers` is a URL.
        options: those of `Mailer`.

    Raises:
        ConfigurationError: naming what is wrong.
    """

    def __init__(
        self,
        providers: str | MailerSettings | Provider | Mapping[str, Provider],
        *,
        from_email: str = "",
        queue_size: int = 1000,
        workers: int = 4,
        on_failure: OnFailure | None = None,
        drain_seconds: float = 30.0,
        **options: Unpack[ServiceOptions],
    ) -> None:
        sender = {"from_email": from_email} if from_email else {}
        if isinstance(providers, MailerSettings):
            options = {**cast("ServiceOptions", providers.limits()), **options}

        def made() -> Provider | Mapping[str, Provider]:
            if isinstance(providers, MailerSettings):
                return providers.provider()
            return provider_from_url(providers, **sender) if isinstance(providers, str) else providers

        def make() -> Mailer:
            return Mailer(
                made(),
                queue_size=queue_size,
                workers=workers,
                on_failure=on_failure,
                drain_seconds=drain_seconds,
                **options,
            )

        self._make = make
        self._mailer = make()  # so that a mistake shows here

    @property
    def mailer(self) -> Mailer:
        """The service of the application that runs, or ran last."""
        return self._mailer

    @property
    def outbox(self) -> list[Sent]:
        """For tests, with `memory:`: what was sent.

        Raises:
            ConfigurationError: the default provider is another one.
        """
        provider = self._mailer.provider()
        if not isinstance(provider, MemoryProvider):
            raise ConfigurationError('an outbox needs MailerLifespan("memory:")')
        return provider.outbox

    @asynccontextmanager
    async def __call__(self, app: object) -> AsyncGenerator[dict[str, Any]]:
        """What Starlette and FastAPI call."""
        if self._mailer.is_closed:
            self._mailer = self._make()
        async with self._mailer as mailer:
            yield {"mailer": mailer}

    def compose(self, other: OtherLifespan) -> Lifespan:
        """This lifespan around another one, whose state is added; its shutdown may still send."""

        @asynccontextmanager
        async def both(app: object) -> AsyncGenerator[dict[str, Any]]:
            async with self(app) as state, other(app) as more:
                yield {**state, **(more or {})}

        return both


def get_mailer(connection: HTTPConnection) -> Mailer:
    """The mailer of a request or a web socket; for FastAPI's `Depends`.

    Raises:
        RuntimeError: the application has another lifespan.
    """
    found = getattr(connection.state, "mailer", None)
    if not isinstance(found, Mailer):
        raise RuntimeError("request.state has no mailer: MailerLifespan has to be the lifespan, or composed with it")
    return found
