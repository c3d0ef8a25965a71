"""Who looks on at mail: told of each message once, and of what is done for it, without a say in it.

>>> class Failures(MailObserver):
...     def message_started(self, provider):
...         return Failure(provider)
>>> class Failure(MessageObserver):
...     def __init__(self, provider):
...         self.provider = provider
...
...     def ended(self, result, error):
...         if error is not None:
...             print(self.provider.name, type(error).__name__)
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol, cast

from smtpx.client.observer import ClientObserver, MessageObserver

__all__ = ["BulkObserver", "MailObserver", "MessageObserver", "ProviderFacts"]

_SPEAK_SMTP = frozenset({"smtp", "lmtp"})


class ProviderFacts(NamedTuple):
    """A provider, as observers see it.

    Attributes:
        name: by which the service knows it; else its own.
        type: its kind, such as "smtp".
        address: of its server, or the path of its socket; None without.
        port: of its server.
        speaks_smtp: whether it, or one of those that it stands on, is for SMTP or LMTP.
    """

    name: str
    type: str
    address: str | None = None
    port: int | None = None
    speaks_smtp: bool = False

    @classmethod
    def of(cls, provider: object, name: str) -> "ProviderFacts":
        """Those of a provider, from its type and its metadata."""
        kind = str(getattr(provider, "provider_type", "unknown"))
        metadata: Mapping[str, object] = getattr(provider, "metadata", {})
        address, port = metadata.get("path") or metadata.get("host"), metadata.get("port")
        members = cast("Mapping[str, str]", metadata.get("providers") or {})
        return cls(
            name,
            kind,
            address if isinstance(address, str) else None,
            port if isinstance(port, int) else None,
            not _SPEAK_SMTP.isdisjoint((kind, *members.values())),
        )


class BulkObserver(Protocol):
    """Told of one `send_bulk`. Its methods do nothing; override what you want to know."""

    def message_started(self, provider: ProviderFacts | None) -> MessageObserver | None:
        """One of the messages was taken from the source."""
        return None

    def ended(self, error: BaseException | None) -> None:
        """All of them have ended; an error is the end of the whole, not of one of them."""


class MailObserver(Protocol):
    """Told of what happens in a `MailService`, or in a provider without one. Its methods do nothing; override some.

    Each message is told once, however often it is tried. Methods are called in the event loop, which is that of a
    thread of its own for a `SyncMailService`, and must not block; what they raise is logged and changes nothing. What
    begins and ends is told in one task, so that a context variable that is set by the first may be reset by the second.
    """

    def message_started(self, provider: ProviderFacts | None) -> MessageObserver | None:
        """`send` was called. Give an object that is told how it ended, or None.

        Args:
            provider: by which it is to be sent; None if there is none of that name.
        """
        return None

    def bulk_started(self, provider: ProviderFacts | None) -> BulkObserver | None:
        """`send_bulk` was called. Give an object that is told of its messages, or None."""
        return None

    def retried(self, provider: ProviderFacts, attempt: int, error: BaseException) -> None:
        """A message is tried again, for the second time or more, because of this error."""

    def failed_over(self, provider: str, error: BaseException) -> None:
        """A provider could not send a message, which another one will be asked to."""

    def breaker_changed(self, provider: str, *, is_open: bool) -> None:
        """A circuit breaker has opened, so that its provider is left alone, or closed."""

    def waited(self, provider: ProviderFacts, seconds: float) -> None:
        """A message has waited for the rate limit, and has its token or was given up."""

    def client_observer(self, own: ClientObserver | None) -> ClientObserver | None:
        """Who is to look on at the connections of an `SMTPProvider`: `own`, which it was given, or another."""
        return own
