"""Mail by SMTP or LMTP to one server, over connections that are kept and used again."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from smtpx.client.aio import AsyncClient
from smtpx.client.settings import ClientSettings, Limits
from smtpx.errors import LocalProtocolError, RefusedError, SMTPXError
from smtpx.flows.outcome import SendResult
from smtpx.mailer.base import BaseProvider
from smtpx.mailer.ledger import Ledger, each_of
from smtpx.mailer.provider import Health, HealthState, Probe, Sendables
from smtpx.mailer.smtp_settings import Conduct, SMTPOptions, login_of, sorted_options, target_of
from smtpx.mailer.watch import tell
from smtpx.message.sendable import Sendable
from smtpx.net.deadlines import now

if TYPE_CHECKING:
    from typing import Self

__all__ = ["SMTPProvider"]

_MINUTE = 60.0
_ALIVE = frozenset({500, 502, 503, 504})  # answers of servers that don't know NOOP
_ONE_CONNECTION = Limits(max_connections=1)


class SMTPProvider(BaseProvider):
    """Sends by any SMTP server; STARTTLS is demanded and verified unless `security` says otherwise.

    Nothing is dialled before the first message. Connections are kept open and used again, and one that died is
    replaced; no message is ever sent twice. One event loop at a time may use it, by any number of tasks.

    Args:
        host: name or IP address of the server.
        port: 1 to 65535.
        username, password: blank for no login.
        from_email: sender of messages that name none.
        options: those of `Conduct`, above all `rate_limit`, and fields of `ClientSettings`. Unless they say otherwise
            there is one connection, and ten messages a second.

    Attributes:
        settings: of the client.
        conduct: its own.

    Raises:
        ConfigurationError: naming the argument.
    """

    def __init__(
        self,
        host: str,
        port: int = 587,
        username: str = "",
        password: str = "",
        from_email: str = "",
        **options: Unpack[SMTPOptions],
    ) -> None:
        settings = ClientSettings(target=target_of(host, port), limits=_ONE_CONNECTION)
        self._begin(*sorted_options(settings, {**options, **login_of(username, password, options)}), from_email)

    @classmethod
    def from_url(
        cls,
        url: str | ClientSettings,
        *,
        username: str = "",
        password: str = "",
        from_email: str = "",
        **options: Unpack[SMTPOptions],
    ) -> "Self":
        """From a URL as clients take it, whose scheme says how connections are protected; or from their settings.

        `submission://user:secret@mail.example.org` is what the constructor makes by default.

        Raises:
            ConfigurationError: naming what is wrong. Never shows a password.
        """
        login = {name: text for name, text in (("username", username), ("password", password)) if text}
        provider = cls.__new__(cls)
        provider._begin(*sorted_options(url, {**options, **login}), from_email)
        return provider

    def _begin(self, settings: ClientSettings, conduct: Conduct, from_email: str) -> None:
        self.settings = settings
        self.conduct = conduct
        self.provider_type = settings.dialect.name.lower()
        super().__init__(from_email=from_email, rate_limit=conduct.limit(), close_seconds=conduct.close_seconds)
        self._client: AsyncClient | None = None
        self._forget()

    def _forget(self) -> object:
        client, self._client = self._client, None
        self._was_used = False
        self._checking = asyncio.Lock()
        self._checked: tuple[float, Health] | None = None
        self._succeeded_at: float | None = None
        return client

    def __repr__(self) -> str:
        return f"SMTPProvider({str(self.settings.target)!r}, security={self.settings.security.name})"

    @property
    def name(self) -> str:
        """For health and errors."""
        return f"EmailProvider ({self.provider_type.upper()})"

    @property
    def metadata(self) -> Mapping[str, Any]:
        """See `Provider`."""
        target = self.settings.target
        place = {"path": target.unix_path} if target.unix_path else {"host": target.host, "port": target.port}
        return {**place, "from_email": self.from_email, "security": self.settings.security.value}

    # Sending ---------------------------------------------------------------------------------------------------------

    def prepare(self, message: Sendable) -> Sendable:
        """See `BaseProvider`."""
        ready = super().prepare(message)
        if self.rate_limit is not None:
            ready.posting()  # so that a token is not waited for in vain
        return ready

    async def deliver(self, message: Sendable) -> SendResult:
        """Send one message.

        Raises:
            RefusedError: nobody got it, or with `strict` somebody would not have.
            LocalProtocolError, UnsupportedError: it can't be sent.
            TransportError, RemoteProtocolError: at stage "final" it is not known whether it was delivered.
        """
        conduct = self.conduct
        self._was_used = True
        try:
            result = await self._connected().send(message, strict=conduct.strict, smtputf8=conduct.smtputf8)
        except LocalProtocolError:
            self._give_back()
            raise
        self._succeeded_at = now()
        return result

    def _give_back(self) -> None:
        """Nothing was sent: the token is for another message."""
        if self.rate_limit is not None:
            self.rate_limit.give_back()

    def _connected(self) -> AsyncClient:
        if self._client is None:
            self._client = AsyncClient(self._watched(self.settings))
        return self._client

    def _watched(self, settings: ClientSettings) -> ClientSettings:
        """With whoever is to look on at connections."""
        if self._observer is None:
            return settings
        own = settings.observer
        return replace(settings, observer=tell(self._observer.client_observer, own) or own)

    async def _send_all(self, messages: Sendables, ledger: Ledger) -> None:
        fed: deque[int] = deque()
        many = self._connected().send_many(
            self._feed(messages, ledger, fed), strict=self.conduct.strict, smtputf8=self.conduct.smtputf8
        )
        async with contextlib.aclosing(many) as outcomes:
            async for outcome in outcomes:
                if outcome.result is not None:
                    self._succeeded_at = now()
                elif isinstance(outcome.error, LocalProtocolError):
                    self._give_back()
                ledger.settle(fed.popleft(), outcome.result or outcome.error)

    async def _feed(self, messages: Sendables, ledger: Ledger, fed: deque[int]) -> AsyncIterator[Sendable]:
        """Those messages that can be built, at the pace of the rate limit."""
        async for message in each_of(messages):
            index = ledger.take(message)
            try:
                ready = self.prepare(message)
            except Exception as error:
                ledger.settle(index, error)
            else:
                await self._token()
                ledger.begin(index, ready)
                fed.append(index)
                self._was_used = True
                yield ready
            if self._life.is_closed:
                return

    # Health ----------------------------------------------------------------------------------------------------------

    async def check(self, probe: Probe = Probe.LIVENESS) -> Health:
        """See `Provider`. Readiness says NOOP to the server, and remembers the answer for a few seconds."""
        if probe is Probe.LIVENESS:
            return self._health(HealthState.HEALTHY, f"configured for {self.settings.target}")
        if self.is_closed:
            return self._health(HealthState.DEGRADED, "closed")
        if self._life.is_elsewhere:
            return self._health(HealthState.DEGRADED, "used by another event loop, which has to be asked")
        self._life.come_home()
        if not self._was_used and self.conduct.probe == "lazy":
            return self._health(HealthState.DEGRADED, f"will connect to {self.settings.target} on first send")
        asked = now()
        async with self._checking:  # whoever waited for somebody else's answer takes it
            if self._checked is not None and self._checked[0] > min(asked, now() - self.conduct.check_cache_seconds):
                return self._checked[1]
            health = await self._ask()
            self._checked = (now(), health)
            return health

    async def _ask(self) -> Health:
        begun = now()
        state, message = HealthState.UNHEALTHY, ""
        try:
            async with asyncio.timeout(self.conduct.check_seconds):
                reply = await self._connected().ping()
            state, message = self._busy() if reply is None else (HealthState.HEALTHY, "connected")
        except RefusedError as error:
            alive = error.stage == "noop" and error.reply.code in _ALIVE
            state, message = (HealthState.HEALTHY, "connected") if alive else (state, str(error))
        except TimeoutError as error:
            message = str(error) or f"no answer in {self.conduct.check_seconds:g} s"
        except (SMTPXError, OSError) as error:
            message = str(error)
        return self._health(state, f"{self.settings.target}: {message}", now() - begun)

    def _busy(self) -> tuple[HealthState, str]:
        if self._succeeded_at is not None and now() - self._succeeded_at < _MINUTE:
            return HealthState.HEALTHY, "all connections are in use"
        return HealthState.DEGRADED, "all connections are in use, and none has delivered anything for a minute"

    async def release(self) -> None:
        """Say QUIT on idle connections."""
        if self._client is not None:
            await self._client.close()
