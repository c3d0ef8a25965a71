"""E-mail for applications: providers behind one port, a service over them, and what messages are made of.

Names are loaded when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "smtpx.mailer.base": ("BaseProvider",),
    "smtpx.mailer.blocking": ("SyncMailService",),
    "smtpx.mailer.builder": ("Builder",),
    "smtpx.mailer.circuit_breaker": ("BreakerOpenError", "CircuitBreaker"),
    "smtpx.mailer.default": ("configure", "get_service", "get_sync_service"),
    "smtpx.mailer.failover": ("FailoverError", "FailoverProvider", "RoundRobinProvider"),
    "smtpx.mailer.health": ("http_answer",),
    "smtpx.mailer.local": ("ConsoleProvider", "FileProvider", "MemoryProvider", "Sent"),
    "smtpx.mailer.observer": ("BulkObserver", "MailObserver", "ProviderFacts"),
    "smtpx.mailer.once": ("DuplicateError",),
    "smtpx.mailer.provider": (
        "BulkError",
        "BulkResult",
        "Health",
        "HealthState",
        "NotTriedError",
        "Probe",
        "Provider",
        "ProviderClosedError",
        "is_unknown",
    ),
    "smtpx.mailer.rate_limit": ("RateLimit",),
    "smtpx.mailer.retry": ("Retry",),
    "smtpx.mailer.service": ("MailService", "ProviderInfo"),
    "smtpx.mailer.settings": ("MailerSettings", "mailer_from_url", "provider_from_url"),
    "smtpx.mailer.smtp": ("SMTPProvider",),
    "smtpx.mailer.status": ("Status", "statuses"),
    "smtpx.mailer.template": ("Templates",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

if TYPE_CHECKING:
    from smtpx.mailer.base import BaseProvider
    from smtpx.mailer.blocking import SyncMailService
    from smtpx.mailer.builder import Builder
    from smtpx.mailer.circuit_breaker import BreakerOpenError, CircuitBreaker
    from smtpx.mailer.default import configure, get_service, get_sync_service
    from smtpx.mailer.failover import FailoverError, FailoverProvider, RoundRobinProvider
    from smtpx.mailer.health import http_answer
    from smtpx.mailer.local import ConsoleProvider, FileProvider, MemoryProvider, Sent
    from smtpx.mailer.observer import BulkObserver, MailObserver, ProviderFacts
    from smtpx.mailer.once import DuplicateError
    from smtpx.mailer.provider import (
        BulkError,
        BulkResult,
        Health,
        HealthState,
        NotTriedError,
        Probe,
        Provider,
        ProviderClosedError,
        is_unknown,
    )
    from smtpx.mailer.rate_limit import RateLimit
    from smtpx.mailer.retry import Retry
    from smtpx.mailer.service import MailService, ProviderInfo
    from smtpx.mailer.settings import MailerSettings, mailer_from_url, provider_from_url
    from smtpx.mailer.smtp import SMTPProvider
    from smtpx.mailer.status import Status, statuses
    from smtpx.mailer.template import Templates

__all__ = [
    "BaseProvider",
    "BreakerOpenError",
    "Builder",
    "BulkError",
    "BulkObserver",
    "BulkResult",
    "CircuitBreaker",
    "ConsoleProvider",
    "DuplicateError",
    "FailoverError",
    "FailoverProvider",
    "FileProvider",
    "Health",
    "HealthState",
    "MailObserver",
    "MailService",
    "MailerSettings",
    "MemoryProvider",
    "NotTriedError",
    "Probe",
    "Provider",
    "ProviderClosedError",
    "ProviderFacts",
    "ProviderInfo",
    "RateLimit",
    "Retry",
    "RoundRobinProvider",
    "SMTPProvider",
    "Sent",
    "Status",
    "SyncMailService",
    "Templates",
    "configure",
    "get_service",
    "get_sync_service",
    "http_answer",
    "is_unknown",
    "mailer_from_url",
    "provider_from_url",
    "statuses",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module attribute of any kind
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'smtpx.mailer' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
