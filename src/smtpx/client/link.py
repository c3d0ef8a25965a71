"""A connection that blocks, under `Connection` and in the pool of `Client`: conversation, stream and driver."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from smtpx.client.bulk import Hold
from smtpx.client.conversation import Conversation, check_idle, is_local_way, may_fall_back
from smtpx.client.mail import Mail, Source
from smtpx.client.settings import ClientSettings
from smtpx.client.watch import Watch, watch_for
from smtpx.errors import SMTPXError, TransportError
from smtpx.flows.outcome import SendResult
from smtpx.flows.session import Security
from smtpx.flows.steps import Flow
from smtpx.net.addresses import Told
from smtpx.net.deadlines import Deadline, now
from smtpx.net.drive import run
from smtpx.net.proxies import through
from smtpx.net.sockets import SocketStream, connect, dial
from smtpx.net.trace import mask_auth
from smtpx.protocol.facts import TLSFacts

if TYPE_CHECKING:
    import ssl

__all__ = ["Link", "connected"]

T = TypeVar("T")


class Link:
    """One conversation over one socket."""

    def __init__(self, conversation: Conversation, stream: SocketStream) -> None:
        self.conversation = conversation
        self._stream = stream
        self._busy = False
        self.opened = now()

    @classmethod
    def open(cls, settings: ClientSettings, on_stream: Callable[[SocketStream], None] | None = None) -> "Link":
        """Connect, and come to READY; see `Connection.open`.

        Args:
            on_stream: is told of each connection as soon as it stands.
        """
        deadline = Deadline(settings.timeout)
        link = cls._watched_attempt(settings, deadline, on_stream)
        if link is None:  # RFC 7435: opportunistic TLS is better than none, but none is better than no mail
            link = cls._watched_attempt(replace(settings, security=Security.NONE), deadline, on_stream)
        assert link is not None  # noqa: S101 - with Security.NONE there is nothing to fall back to
        return link

    @classmethod
    def _watched_attempt(
        cls, settings: ClientSettings, deadline: Deadline, on_stream: Callable[[SocketStream], None] | None
    ) -> "Link | None":
        watch = watch_for(settings)
        try:
            link = cls._attempt(settings, deadline, watch, on_stream)
        except BaseException as error:
            if watch is not None:
                watch.failed(error)
            raise
        if watch is not None:
            watch.is_open = True
        return link

    @classmethod
    def _attempt(
        cls,
        settings: ClientSettings,
        deadline: Deadline,
        watch: Watch | None,
        on_stream: Callable[[SocketStream], None] | None,
    ) -> "Link | None":
        """None: the handshake broke, and another connection may do without."""
        told = watch.attempt_failed if watch is not None else None
        stream = connected(settings, deadline.limit(settings.timeouts.connect), told)
        if watch is not None:
            watch.connected(stream.peer)
        try:
            if on_stream is not None:
                on_stream(stream)
            tls = None
            if settings.security is Security.IMPLICIT:
                tls = _implicit_tls(stream, deadline.limit(settings.timeouts.tls))
            link = cls(Conversation(settings, stream.local, stream.peer, tls, watch), stream)
            try:
                link.run(link.conversation.start(), deadline=deadline)
            except SMTPXError as error:
                link.quit()
                if not may_fall_back(settings, error, local=link.conversation.is_local):
                    raise
                if watch is not None:
                    watch.failed(error)
                return None
        except BaseException:
            stream.close()
            raise
        return link

    def run(self, flow: Flow[T], source: Source | None = None, *, deadline: Deadline | None = None) -> T:
        """Drive a flow; whatever goes wrong, the connection is in a known state after it, or closed."""
        check_idle(self._busy, self.is_open)
        chunks = source.chunks() if source is not None else None
        self._busy = True
        conversation = self.conversation
        try:
            return run(flow, self._stream, deadline or Deadline(conversation.settings.timeout), chunks)
        except SMTPXError:
            if conversation.is_spoilt:
                self.close()
            raise
        except BaseException:
            self.close()  # a flow that did not finish: nobody knows where the server is
            raise
        finally:
            self._busy = False

    def send(self, mail: Mail, wishes: Mapping[str, Any], *, strict: bool, smtputf8: bool | None) -> SendResult | None:
        """One message; None if another connection is needed for the rest of its recipients."""
        begun = mail.begun = mail.begun or now()
        result = self.run(self.conversation.send(mail, wishes, strict=strict, smtputf8=smtputf8), mail.source)
        return result and replace(result, duration_seconds=now() - begun)

    def fly(self, hold: Hold) -> SMTPXError | None:
        """Messages of a hold, several under way at once; gives the error that ended the connection, if one did."""
        return self.run(self.conversation.fly(hold), deadline=hold.deadline)

    @property
    def peer(self) -> object:
        """The name of the socket's other end."""
        return self._stream.peer

    @property
    def is_open(self) -> bool:
        """Whether commands can be sent."""
        return self.conversation.is_open and not self._stream.is_closed

    def interrupt(self) -> None:
        """For another thread: whatever is waited for on this connection ends now."""
        self._stream.interrupt()

    def quit(self) -> None:
        """QUIT and close. Never an error."""
        if self.is_open:
            self.run(self.conversation.quit())
        self.close()

    def leave(self) -> None:
        """QUIT without waiting for its reply, and close."""
        if self.is_open:
            self.run(self.conversation.leave())
        self.close()

    def close(self) -> None:
        """Close without a word."""
        self.conversation.protocol.connection_closed()
        self._stream.close()


def _implicit_tls(stream: SocketStream, timeout_seconds: float) -> TLSFacts:
    """TLS from the first octet is a part of connecting."""
    try:
        return stream.start_tls(timeout_seconds)
    except TransportError as error:
        error.stage = error.stage or "connect"
        raise


def connected(settings: ClientSettings, timeout_seconds: float, told: Told | None = None) -> SocketStream:
    """A stream to the target, nothing said yet; `told` hears of addresses that fail."""
    target = settings.target
    if settings.proxy is not None:
        sock = through(settings.proxy, target, timeout_seconds, told)
    elif settings.connect is None:
        sock = connect(target, timeout_seconds, told)
    else:
        sock = dial(settings.connect, target, timeout_seconds)

    def context() -> "ssl.SSLContext":
        from smtpx.client.tls_policy import context_for

        return context_for(settings, local=is_local_way(settings, stream.peer))

    stream = SocketStream(sock, context, target.tls_name)
    if settings.trace is not None:
        stream.trace = mask_auth(settings.trace)
    return stream
