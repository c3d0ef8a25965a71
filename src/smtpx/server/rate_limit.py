"""How much one address, and one user, may send."""

import logging
import time
from collections.abc import Callable, Iterable
from math import ceil

from smtpx.server.guard import network_of
from smtpx.server.middleware import Middleware
from smtpx.server.networks import Network, Networks
from smtpx.server.observer import ServerObserver
from smtpx.server.rate import Rate
from smtpx.server.session import Reject, Session
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply

__all__ = ["RateLimit"]

_log = logging.getLogger("smtpx.server")


class RateLimit:
    """Messages and recipients in a time, by the client's address (IPv6: its /64) and by who is logged in.

    Who sends more is told 451 4.7.1 to MAIL or RCPT, and when to come back. What is refused for this reason is not
    counted. A client that is logged in is counted under both.

    Args:
        messages_per_address, recipients_per_address, messages_per_user, recipients_per_user: `Rate(100,
            per_seconds=3600)`; None: no limit. A rate belongs to one `RateLimit`, or is shared by those that have it.
        exempt: networks whose addresses are not counted; `unix` for unix sockets. Their users are.
        observer: told of each refusal, as of the server's own limits.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        *,
        messages_per_address: Rate | None = None,
        recipients_per_address: Rate | None = None,
        messages_per_user: Rate | None = None,
        recipients_per_user: Rate | None = None,
        exempt: Iterable[str | Network] = (),
        ipv6_prefix: int = 64,
        observer: ServerObserver | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._messages = (messages_per_address, messages_per_user)
        self._recipients = (recipients_per_address, recipients_per_user)
        self._exempt = Networks(exempt)
        self._ipv6_prefix = ipv6_prefix
        self._observer = observer
        self._clock = clock

    def __call__(self, inner: Session) -> Session:
        if self._recipients != (None, None):
            inner = _Recipients(inner, self)
        return _Messages(inner, self) if self._messages != (None, None) else inner

    def check_message(self, session: "_Limited") -> None:
        """One more message.

        Raises:
            Reject: if it is one too many.
        """
        self._check(session, "messages", *self._messages)

    def check_recipient(self, session: "_Limited") -> None:
        """One more recipient.

        Raises:
            Reject: if it is one too many.
        """
        self._check(session, "recipients", *self._recipients)

    def _check(self, session: "_Limited", what: str, by_address: Rate | None, by_user: Rate | None) -> None:
        peer, now = session.peer, self._clock()
        if by_address is not None and not self._exempt.include(peer.address):
            wait = by_address.wait_seconds(network_of(peer.address, self._ipv6_prefix), now=now)
            if wait > 0:
                raise self._refusal(session, f"{what}_per_address", by_address, wait)
        if by_user is not None and peer.identity is not None:
            wait = by_user.wait_seconds(peer.identity, now=now)
            if wait > 0:
                raise self._refusal(session, f"{what}_per_user", by_user, wait)

    def _refusal(self, session: "_Limited", limit: str, rate: Rate, wait: float) -> Reject:
        peer = session.peer
        if not session.was_logged:  # once for each connection: who does not listen must not fill the disk
            session.was_logged = True
            extra = {"connection": peer.id, "peer": peer.address}
            _log.info("[%s] %s: more than %s", peer.id, limit, rate, extra=extra)
        if self._observer is not None:
            self._observer.limit_hit(peer.address, limit, rate.count)
        return Reject.try_later(f"too many {limit.partition('_')[0]}; try again in {ceil(wait)} s")


class _Limited(Middleware):
    def __init__(self, inner: Session, policy: RateLimit) -> None:
        super().__init__(inner)
        self._policy = policy
        self.was_logged = False


class _Messages(_Limited):
    async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
        self._policy.check_message(self)
        return await super().mail(sender, params)


class _Recipients(_Limited):
    async def rcpt(self, recipient: Mailbox, params: Params) -> Reply | None:
        self._policy.check_recipient(self)
        return await super().rcpt(recipient, params)
