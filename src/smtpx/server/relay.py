"""Who may send where: the guard against being an open relay, and against writing under somebody else's name."""

from collections.abc import Iterable, Mapping, Sequence

from smtpx.errors import ConfigurationError
from smtpx.server.addresses import Addresses, Domains
from smtpx.server.exposure import Exposure
from smtpx.server.middleware import Middleware
from smtpx.server.networks import Network, Networks
from smtpx.server.peer import Peer
from smtpx.server.session import Reject, Session
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply

__all__ = ["AuthorizedRelay", "SenderLogin"]

_ANONYMOUS = "anonymous"  # who logged in by the mechanism of that name has proven nothing (RFC 4505)


class AuthorizedRelay:
    """Recipients in domains of ours are taken from everybody, all others only for those who may relay: 550 5.7.1.

    Domains compare as names: `bücher.example` and `xn--bcher-kva.example` are one. `*.example.org` means everything
    below it, and not itself; without it no subdomain is ours. Local parts are never looked into: `a%b@c`, `"a@b"@c` and
    `b!a@c` are mailboxes of c, and a source route is dropped before anybody sees it. `<Postmaster>` is ours (RFC 5321
    4.5.1). Where a trusted peer speaks for a client, it is that client who is judged.

    Args:
        local_domains: ours; an address literal like `[192.0.2.1]` only if it is listed.
        trusted_networks: may relay without a login; `unix` for unix sockets.
        authenticated: who is logged in may relay; ANONYMOUS is no login.

    Raises:
        ConfigurationError: for what is no domain or network, and for networks of all addresses.
    """

    def __init__(
        self,
        local_domains: Iterable[str] = (),
        *,
        trusted_networks: Iterable[str | Network] = (),
        authenticated: bool = True,
    ) -> None:
        self.local_domains = Domains(local_domains)
        self.trusted_networks = Networks(trusted_networks)
        self.authenticated = authenticated

    def __call__(self, inner: Session) -> Session:
        return _Guarded(inner, self)

    def may_relay(self, peer: Peer) -> bool:
        """Whether this client may send to anybody."""
        if self.authenticated and peer.identity not in (None, "", _ANONYMOUS):
            return True
        return self.trusted_networks.include(peer.address)

    def is_local(self, recipient: Mailbox) -> bool:
        """Whether a recipient is ours."""
        return not recipient.domain or self.local_domains.include(recipient.domain)

    def check_exposure(self, exposures: Sequence[Exposure]) -> None:
        """See where the server is going to listen.

        Raises:
            ConfigurationError: if a password for the relay could be overheard, or if there is nobody to serve.
        """
        for each in exposures:
            if each.is_public and self.authenticated and each.has_clear_auth:
                raise ConfigurationError(f"{each.place}: a login that gives the right to relay needs TLS")
            if each.is_public and not self.local_domains and not (self.authenticated and each.has_auth):
                raise ConfigurationError(f"{each.place}: without local domains and without AUTH nobody is served")

    def __str__(self) -> str:
        others = [f"from {self.trusted_networks}"] if self.trusted_networks else []
        others += ["for users who are logged in"] if self.authenticated else []
        ours = str(self.local_domains) or "no domain"
        return f"mail to {ours} from everybody, to others {' and '.join(others) or 'from nobody'}"


class _Guarded(Middleware):
    def __init__(self, inner: Session, policy: AuthorizedRelay) -> None:
        super().__init__(inner)
        self._policy = policy

    async def rcpt(self, recipient: Mailbox, params: Params) -> Reply | None:
        policy = self._policy
        if not policy.is_local(recipient) and not policy.may_relay(self.peer):
            raise Reject.relaying_denied()
        return await super().rcpt(recipient, params)


class SenderLogin:
    """Who is logged in may only send as the addresses and domains of its own: 553 5.7.1.

    Args:
        owners: what each user may send as: mailboxes, `example.org`, `*.example.org`; `<>` for reports. Who is not
            listed may send as nobody.
        protect: those addresses are for their owners alone: others, not logged in, may not send as them. It stops
            forgery at the door, and mailing lists and forwarders that keep the sender with it.
    """

    def __init__(self, owners: Mapping[str, Iterable[str]], *, protect: bool = False) -> None:
        self._owned = {user: Addresses(addresses) for user, addresses in owners.items()}
        self._protect = protect

    def __call__(self, inner: Session) -> Session:
        return _Owned(inner, self)

    def is_allowed(self, identity: str | None, sender: Mailbox) -> bool:
        """Whether somebody, or nobody in particular, may send as this address."""
        if identity is not None:
            owned = self._owned.get(identity)
            return owned is not None and owned.include(sender)
        if not self._protect or sender.is_null:
            return True
        return not any(owned.include(sender) for owned in self._owned.values())


class _Owned(Middleware):
    def __init__(self, inner: Session, policy: SenderLogin) -> None:
        super().__init__(inner)
        self._policy = policy

    async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
        if not self._policy.is_allowed(self.peer.identity, sender):
            raise Reject(553, "5.7.1", "this sender address is not yours")
        return await super().mail(sender, params)
