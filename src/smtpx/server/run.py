"""A server without an event loop of your own: blocking, or in a thread."""

import asyncio
import contextlib
import logging
import signal
import ssl
import threading
from collections.abc import Callable, Coroutine, Generator, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any

from smtpx.errors import ConfigurationError
from smtpx.net.systemd import inherited_sockets, notify, reloading
from smtpx.net.tls import recipe_of
from smtpx.server.health import Health
from smtpx.server.listener import Listener, Server
from smtpx.server.session import Session

if TYPE_CHECKING:
    from typing import Self

__all__ = ["ServerThread", "inherited_listeners", "run_until_signal", "serve"]

_log = logging.getLogger("smtpx.server")
_CALL_SECONDS = 10.0
_STOP = (signal.SIGTERM, signal.SIGINT)
_RELOAD: signal.Signals | None = getattr(signal, "SIGHUP", None)  # not on Windows


async def run_until_signal(
    server: Server, *, ready: Callable[[Server], None] | None = None, drain_seconds: float = 30.0
) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends it at once. SIGHUP reloads certificates.

    A service manager that waits for it (`Type=notify-reload` of systemd) is told what the server is doing.

    Args:
        ready: called when the server listens.
    """
    signalled = asyncio.Event()
    again = asyncio.Event()

    def on_signal() -> None:
        (again if signalled.is_set() else signalled).set()

    async with server:
        handlers: dict[signal.Signals, Callable[[], None]] = dict.fromkeys(_STOP, on_signal)
        if _RELOAD is not None:
            handlers[_RELOAD] = lambda: _reload(server)
        with _signal_handlers(handlers):
            if ready is not None:
                ready(server)
            notify("READY=1")
            await _first(server.serve_forever(), signalled.wait())
            notify("STOPPING=1")
            await _first(server.drain(drain_seconds), again.wait())


@contextlib.contextmanager
def _signal_handlers(handlers: Mapping[signal.Signals, Callable[[], None]]) -> Generator[None]:
    loop = asyncio.get_running_loop()
    for number, handler in handlers.items():
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)


def _reload(server: Server) -> None:
    if not server.certificates.are_reloadable:
        _log.info("there are no certificates to reload")
        return
    reloading()
    with contextlib.suppress(ConfigurationError):  # it is in the log
        server.reload_tls()
    notify("READY=1")


def inherited_listeners(
    tls: ssl.SSLContext | None = None, *, implicit_tls: bool = False, proxy_protocol: bool = False
) -> list[Listener]:
    """Listeners on the sockets that a service manager has opened for this process; empty if it has not.

    Raises:
        ConfigurationError: if they are no sockets to listen on, or a TLS context is not enough for several of them
            and was not made by `server_tls`.
    """
    sockets = inherited_sockets()
    recipe = recipe_of(tls) if tls is not None else None
    if len(sockets) > 1 and tls is not None and recipe is None:
        for sock in sockets:
            sock.close()
        raise ConfigurationError("several sockets were handed over: TLS for them is made by server_tls")
    contexts = [tls, *(recipe.make() if recipe else None for _ in sockets[1:])]  # each listener has one of its own
    return [
        Listener(sock=sock, tls=context, implicit_tls=implicit_tls, proxy_protocol=proxy_protocol)
        for sock, context in zip(sockets, contexts, strict=False)
    ]


async def _first(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait for the first to end; the others are cancelled. Its error is raised."""
    tasks = [asyncio.ensure_future(each) for each in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def serve(session: Callable[[], Session], **options: Any) -> None:  # noqa: ANN401 - those of Server
    """Serve until SIGTERM or Ctrl-C, then let messages under way finish. Takes the options of `Server`.

    SIGHUP reloads certificates. Started by systemd with sockets (socket activation) it listens on those, unless the
    options say where to listen.

    Raises:
        ConfigurationError, OSError: before anything is served.
    """
    if not options.keys() & {"host", "port", "unix", "listeners"}:
        how = {name: options[name] for name in ("implicit_tls", "proxy_protocol") if name in options}
        if listeners := inherited_listeners(options.get("tls"), **how):
            options["listeners"] = listeners
    asyncio.run(run_until_signal(Server(session, **options)))


class ServerThread:
    """A server in a thread with a loop of its own, for synchronous tests and programs.

    with ServerThread(MySession, port=0) as server:
        smtpx.send(server.url, ...)
    """

    def __init__(
        self,
        session: Callable[[], Session],
        *,
        drain_seconds: float = 5.0,
        **options: Any,  # noqa: ANN401 - those of Server
    ) -> None:
        self._session = session
        self._options = options
        self._drain_seconds = drain_seconds
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._server: Server | None = None
        self._port = 0
        self._is_listening = False
        self.addresses: list[str] = []

    def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError, OSError: if the server can't start.
        """
        if self._thread is not None:
            raise ConfigurationError("this server is running already")
        self._started.clear()
        self._is_listening = False
        self._thread = thread = threading.Thread(target=self._main, name="smtpx-server", daemon=True)
        thread.start()
        self._started.wait()
        if not self._is_listening:
            self._join(thread)

    def stop(self) -> None:
        """Drain and end; may be called again.

        Raises:
            OSError: if listening came to an end by itself.
        """
        thread = self._thread
        if thread is None:
            return
        self._started.wait()  # another thread may be starting it
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._stop.set)
        self._join(thread)

    def _join(self, thread: threading.Thread) -> None:
        thread.join()
        self._thread, error = None, self._error
        self._error = None
        if error is not None:
            raise error

    def health(self, timeout_seconds: float = 1.0) -> Health:
        """Whether it serves, asked from another thread: live if the loop answers in time."""
        loop, server = self._loop, self._server
        if self._thread is None or loop is None or server is None:
            return Health(is_live=False, connections=0, stuck=0, problems=("not running",))
        answer: Future[Health] = Future()
        try:
            loop.call_soon_threadsafe(lambda: answer.set_result(server.health()))
            return answer.result(timeout_seconds)
        except (TimeoutError, RuntimeError):  # RuntimeError: the loop is closed
            problem = f"the event loop did not answer in {timeout_seconds:g} s"
            return Health(is_live=False, connections=0, stuck=0, problems=(problem,))

    def pause(self) -> None:
        """Turn new connections away from now on; see `Server.pause`.

        Raises:
            ConfigurationError: if it does not run.
        """
        self._call(lambda server: server.pause())

    def resume(self) -> None:
        """Serve new connections again.

        Raises:
            ConfigurationError: if it does not run.
        """
        self._call(lambda server: server.resume())

    def reload_tls(self) -> None:
        """Read certificates again; see `Server.reload_tls`. In this thread.

        Raises:
            ConfigurationError: if they are not good, or the server does not run.
        """
        _, server = self._running()
        server.reload_tls()

    def _running(self) -> tuple[asyncio.AbstractEventLoop, Server]:
        if self._thread is None or self._loop is None or self._server is None:
            raise ConfigurationError("this server is not running")
        return self._loop, self._server

    def _call(self, call: Callable[[Server], None]) -> None:
        """Have something done in the loop, and wait for it."""
        loop, server = self._running()
        done: Future[None] = Future()

        def make() -> None:
            call(server)
            done.set_result(None)

        try:
            loop.call_soon_threadsafe(make)
            done.result(_CALL_SECONDS)
        except (TimeoutError, RuntimeError):  # RuntimeError: the loop is closed
            raise ConfigurationError("this server is not running: its event loop does not answer") from None

    @property
    def port(self) -> int:
        """The port of the first TCP listener."""
        return self._port

    @property
    def url(self) -> str:
        """The first address as a URL for clients."""
        return self.addresses[0]

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._error = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with Server(self._session, **self._options) as server:
            self._server = server
            self.addresses = server.addresses
            with contextlib.suppress(ConfigurationError):
                self._port = server.port
            self._is_listening = True
            self._started.set()
            await _first(server.serve_forever(), self._stop.wait())
            await server.drain(self._drain_seconds)

    def __enter__(self) -> "Self":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()
