"""Lists of those who are welcome, and of those who are not."""

from collections.abc import Iterable

from smtpx.server.addresses import Addresses
from smtpx.server.middleware import Middleware
from smtpx.server.networks import Network, Networks
from smtpx.server.session import Reject, Session
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply

__all__ = ["Allow", "Deny"]


class _List:
    is_welcome: bool

    def __init__(
        self,
        *,
        networks: Iterable[str | Network] | None = None,
        senders: Iterable[str] | None = None,
        recipients: Iterable[str] | None = None,
    ) -> None:
        self.networks = Networks(networks, everybody=True) if networks is not None else None
        self.senders = Addresses(senders) if senders is not None else None
        self.recipients = Addresses(recipients) if recipients is not None else None

    def __call__(self, inner: Session) -> Session:
        if self.networks is not None:
            inner = _Clients(inner, self.networks, self.is_welcome)
        if self.senders is not None:
            inner = _Senders(inner, self.senders, self.is_welcome)
        if self.recipients is not None:
            inner = _Recipients(inner, self.recipients, self.is_welcome)
        return inner


class Allow(_List):
    """Only who is listed is served; None: everybody. `<Postmaster>` is always a recipient (RFC 5321 4.5.1).

    Args:
        networks: of clients, `unix` for unix sockets. The others are told 554 5.7.1 in place of a greeting.
        senders: mailboxes, `example.org`, `*.example.org`, and `<>` for the null sender; the others are 550 5.7.1.
        recipients: the same; the others are 550 5.1.1.

    Raises:
        ConfigurationError: for what is no network, domain or address.
    """

    is_welcome = True


class Deny(_List):
    """Who is listed is refused, all others are served.

    Args:
        networks: of clients, `unix` for unix sockets. They are told 554 5.7.1 in place of a greeting.
        senders: mailboxes, `example.org`, `*.example.org`, and `<>` for the null sender: 550 5.7.1.
        recipients: the same, and `postmaster` for the one without a domain: 550 5.1.1.

    Raises:
        ConfigurationError: for what is no network, domain or address.
    """

    is_welcome = False


class _Clients(Middleware):
    def __init__(self, inner: Session, listed: Networks, is_welcome: bool) -> None:
        super().__init__(inner)
        self._listed = listed
        self._is_welcome = is_welcome

    async def connect(self) -> Reply | None:
        if self._listed.include(self.peer.address) is not self._is_welcome:
            raise Reject(554, "5.7.1", "no mail is taken from your network", close=True)
        return await super().connect()


class _Senders(Middleware):
    def __init__(self, inner: Session, listed: Addresses, is_welcome: bool) -> None:
        super().__init__(inner)
        self._listed = listed
        self._is_welcome = is_welcome

    async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
        if self._listed.include(sender) is not self._is_welcome:
            raise Reject(550, "5.7.1", "no mail is taken from this sender")
        return await super().mail(sender, params)


class _Recipients(Middleware):
    def __init__(self, inner: Session, listed: Addresses, is_welcome: bool) -> None:
        super().__init__(inner)
        self._listed = listed
        self._is_welcome = is_welcome

    async def rcpt(self, recipient: Mailbox, params: Params) -> Reply | None:
        is_listed = self._listed.include(recipient)
        if is_listed is not self._is_welcome and not (self._is_welcome and not recipient.domain):
            raise Reject.mailbox_unavailable()
        return await super().rcpt(recipient, params)
