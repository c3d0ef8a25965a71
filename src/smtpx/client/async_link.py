"""A connection that is awaited, under `AsyncConnection` and in the pool of `AsyncClient`."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from smtpx.client.bulk import Hold
from smtpx.client.conversation import Conversation, check_idle, is_local_way, may_fall_back
from smtpx.client.mail import Mail, Source, octets_of
from smtpx.client.settings import ClientSettings
from smtpx.client.watch import Watch, watch_for
from smtpx.errors import SMTPXError, TransportError
from smtpx.flows.outcome import SendResult
from smtpx.flows.session import Security
from smtpx.flows.steps import Flow
from smtpx.net.addresses import Told
from smtpx.net.aio import AsyncStream, connect
from smtpx.net.deadlines import Deadline, now
from smtpx.net.drive import arun
from smtpx.net.trace import mask_auth
from smtpx.protocol.facts import TLSFacts

if TYPE_CHECKING:
    import ssl

__all__ = ["AsyncLink"]

T = TypeVar("T")


class AsyncLink:
    """One conversation over one socket."""

    def __init__(self, conversation: Conversation, stream: AsyncStream) -> None:
        self.conversation = conversation
        self._stream = stream
        self._busy = False
        self.opened = now()

    @classmethod
    async def open(cls, settings: ClientSettings) -> "AsyncLink":
        """Connect, and come to READY; see `AsyncConnection.open`."""
        deadline = Deadline(settings.timeout)
        link = await cls._watched_attempt(settings, deadline)
        if link is None:  # RFC 7435: opportunistic TLS is better than none, but none is better than no mail
            link = await cls._watched_attempt(replace(settings, security=Security.NONE), deadline)
        assert link is not None  # noqa: S101 - with Security.NONE there is nothing to fall back to
        return link

    @classmethod
    async def _watched_attempt(cls, settings: ClientSettings, deadline: Deadline) -> "AsyncLink | None":
        watch = watch_for(settings)
        try:
            link = await cls._attempt(settings, deadline, watch)
        except BaseException as error:
            if watch is not None:
                watch.failed(error)
            raise
        if watch is not None:
            watch.is_open = True
        return link

    @classmethod
    async def _attempt(cls, settings: ClientSettings, deadline: Deadline, watch: Watch | None) -> "AsyncLink | None":
        """None: the handshake broke, and another connection may do without."""
        told = watch.attempt_failed if watch is not None else None
        stream = await _connected(settings, deadline.limit(settings.timeouts.connect), told)
        if watch is not None:
            watch.connected(stream.peer)
        try:
            tls = None
            if settings.security is Security.IMPLICIT:
                tls = await _implicit_tls(stream, deadline.limit(settings.timeouts.tls))
            link = cls(Conversation(settings, stream.local, stream.peer, tls, watch), stream)
            try:
                await link.run(link.conversation.start(), deadline=deadline)
            except SMTPXError as error:
                await link.quit()
                if not may_fall_back(settings, error, local=link.conversation.is_local):
                    raise
                if watch is not None:
                    watch.failed(error)
                return None
        except BaseException:
            stream.close()
            raise
        return link

    async def run(self, flow: Flow[T], source: Source | None = None, *, deadline: Deadline | None = None) -> T:
        """Drive a flow; whatever goes wrong, the connection is in a known state after it, or closed."""
        check_idle(self._busy, self.is_open)
        chunks = _Chunks(source) if source is not None else None
        self._busy = True
        conversation = self.conversation
        try:
            if source is not None and source.is_slow:
                await asyncio.to_thread(source.prepare, conversation.protocol.capabilities)
            return await arun(flow, self._stream, deadline or Deadline(conversation.settings.timeout), chunks)
        except SMTPXError:
            if conversation.is_spoilt:
                self.close()
            raise
        except BaseException:
            self.close()  # a flow that did not finish: nobody knows where the server is
            raise
        finally:
            self._busy = False

    async def send(
        self, mail: Mail, wishes: Mapping[str, Any], *, strict: bool, smtputf8: bool | None
    ) -> SendResult | None:
        """One message; None if another connection is needed for the rest of its recipients."""
        begun = mail.begun = mail.begun or now()
        result = await self.run(self.conversation.send(mail, wishes, strict=strict, smtputf8=smtputf8), mail.source)
        return result and replace(result, duration_seconds=now() - begun)

    async def fly(self, hold: Hold) -> SMTPXError | None:
        """Messages of a hold, several under way at once; gives the error that ended the connection, if one did."""
        return await self.run(self.conversation.fly(hold), deadline=hold.deadline)

    @property
    def peer(self) -> object:
        """The name of the socket's other end."""
        return self._stream.peer

    @property
    def is_open(self) -> bool:
        """Whether commands can be sent."""
        return self.conversation.is_open and not self._stream.is_closed

    async def quit(self) -> None:
        """QUIT and close. Never an error."""
        if self.is_open:
            await self.run(self.conversation.quit())
        self.close()

    async def leave(self) -> None:
        """QUIT without waiting for its reply, and close."""
        if self.is_open:
            await self.run(self.conversation.leave())
        self.close()

    def close(self) -> None:
        """Close without a word."""
        self.conversation.protocol.connection_closed()
        self._stream.close()


async def _implicit_tls(stream: AsyncStream, timeout_seconds: float) -> TLSFacts:
    """TLS from the first octet is a part of connecting."""
    try:
        return await stream.start_tls(timeout_seconds)
    except TransportError as error:
        error.stage = error.stage or "connect"
        raise


async def _connected(settings: ClientSettings, timeout_seconds: float, told: Told | None) -> AsyncStream:
    def context() -> "ssl.SSLContext":
        from smtpx.client.tls_policy import context_for

        return context_for(settings, local=is_local_way(settings, stream.peer))

    stream = await connect(settings.target, context, timeout_seconds, settings.connect, settings.proxy, told)
    if settings.trace is not None:
        stream.trace = mask_auth(settings.trace)
    return stream


class _Chunks(AsyncIterator[bytes]):
    """Content in pieces; what is slow is read in a thread."""

    def __init__(self, source: Source) -> None:
        self._async_pieces = source.async_chunks()
        self._pieces = source.chunks() if self._async_pieces is None else iter(())
        self._is_slow = source.is_slow

    async def __anext__(self) -> bytes:
        if self._async_pieces is not None:
            return octets_of(await anext(self._async_pieces))
        piece = await asyncio.to_thread(next, self._pieces, None) if self._is_slow else next(self._pieces, None)
        if piece is None:
            raise StopAsyncIteration
        return piece
