"""One mail service for the whole process, for programs that want one place to send from."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from smtpx.mailer.blocking import SyncMailService
from smtpx.mailer.forks import anew_in_child
from smtpx.mailer.provider import Provider
from smtpx.mailer.service import MailService
from smtpx.mailer.settings import MailerSettings, provider_from_url

__all__ = ["configure", "get_service", "get_sync_service", "reset"]


class _Defaults:
    """How the services are made, and those that were."""

    def __init__(self) -> None:
        self.begin_anew()
        anew_in_child(self)
        self.make_options: Callable[[], dict[str, Any]] | None = None
        self.service: MailService | None = None
        self.sync_service: SyncMailService | None = None

    def begin_anew(self) -> None:
        """In a child process nobody holds the lock any more."""
        self.lock = threading.Lock()


_defaults = _Defaults()


def configure(
    providers: str | MailerSettings | Provider | Mapping[str, Provider],
    **options: Any,  # noqa: ANN401 - those of MailService
) -> None:
    """Say how this process sends mail. Services that were made before go on as they are, and are their users' to close.

    Args:
        providers: a URL (see `provider_from_url`), settings, or what `MailService` takes. Provider objects serve
            either `get_service` or `get_sync_service`, since they belong to one event loop; of a URL each makes its
            own.
        options: keyword arguments of `MailService`.

    Raises:
        ConfigurationError: a URL or settings make no sense.
    """
    if isinstance(providers, str):
        provider_from_url(providers)  # so that a mistake shows here

        def make() -> dict[str, Any]:
            return {"providers": provider_from_url(providers), **options}

    elif isinstance(providers, MailerSettings):
        providers.provider()

        def make() -> dict[str, Any]:
            return {"providers": providers.provider(), **providers.limits(), **options}

    else:

        def make() -> dict[str, Any]:
            return {"providers": providers, **options}

    with _defaults.lock:
        _defaults.make_options, _defaults.service, _defaults.sync_service = make, None, None


def _options() -> dict[str, Any]:
    if _defaults.make_options is not None:
        return _defaults.make_options()
    settings = MailerSettings.from_environment()
    return {"providers": settings.provider(), **settings.limits()}


def get_service() -> MailService:
    """The process's service: the same one until it is closed. Not configured, it is made of the environment.

    Raises:
        ConfigurationError: there is no configuration, and none in the environment.
    """
    with _defaults.lock:
        if _defaults.service is None or _defaults.service.is_closed:
            _defaults.service = MailService(**_options())
        return _defaults.service


def get_sync_service() -> SyncMailService:
    """The same for programs without an event loop.

    Raises:
        ConfigurationError: as `get_service`.
    """
    with _defaults.lock:
        if _defaults.sync_service is None or _defaults.sync_service.is_closed:
            _defaults.sync_service = SyncMailService(**_options())
        return _defaults.sync_service


def reset() -> None:
    """Forget the configuration and the services, for tests. What is open has to be closed by whoever used it."""
    with _defaults.lock:
        _defaults.make_options = _defaults.service = _defaults.sync_service = None
