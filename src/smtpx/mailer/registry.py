"""Providers by name, and which of them is the default."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smtpx.errors import ConfigurationError
from smtpx.mailer.provider import Provider

__all__ = ["Entry", "ProviderInfo", "Registry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderInfo:
    """A provider in a listing; nothing secret."""

    name: str
    type: str
    is_default: bool
    metadata: Mapping[str, Any]
    registered_at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """A provider; `owned`: who keeps the registry closes it."""

    provider: Provider
    owned: bool
    registered_at: datetime


class Registry:
    """Names and providers.

    Args:
        default: the name of the default one, which may be registered later.
        clock: tells when each was registered.
    """

    def __init__(self, default: str | None, clock: Callable[[], datetime]) -> None:
        self.entries: dict[str, Entry] = {}
        self._chosen = default
        self._clock = clock

    def register(self, name: str, provider: Provider, *, owned: bool = True) -> None:
        """Add one.

        Raises:
            ConfigurationError: the name is empty or taken, or there is no provider.
        """
        if not name:
            raise ConfigurationError("a provider needs a name")
        if not (hasattr(provider, "send") and hasattr(provider, "send_bulk")):
            raise ConfigurationError(f"provider {name!r} is none: it has no send and send_bulk")
        if name in self.entries:
            raise ConfigurationError(f"there is a provider {name!r} already")
        self.entries[name] = Entry(provider, owned, self._clock())

    def set_default(self, name: str) -> None:
        """Choose the default one.

        Raises:
            ConfigurationError: no provider has this name.
        """
        self.entry(name)
        self._chosen = name

    @property
    def default(self) -> str | None:
        """The name that was chosen; else that of the only one, if there is just one."""
        if self._chosen is not None:
            return self._chosen
        return next(iter(self.entries)) if len(self.entries) == 1 else None

    @property
    def names(self) -> Sequence[str]:
        """All names, sorted."""
        return sorted(self.entries)

    def name(self, name: str | None) -> str:
        """This name, or that of the default one.

        Raises:
            ConfigurationError: no provider has it, or none is the default.
        """
        chosen = name or self.default
        if chosen is None:
            what = "none of the providers is the default" if self.entries else "no provider is registered"
            raise ConfigurationError(f"{what}: name one")
        if chosen not in self.entries:
            raise ConfigurationError(f"there is no provider {chosen!r}; known: {', '.join(self.names) or 'none'}")
        return chosen

    def entry(self, name: str | None) -> Entry:
        """One by name, or the default one; see `name`."""
        return self.entries[self.name(name)]

    def listing(self) -> Sequence[ProviderInfo]:
        """All of them, sorted by name."""
        return [
            ProviderInfo(
                name=name,
                type=getattr(self.entries[name].provider, "provider_type", "unknown"),
                is_default=name == self.default,
                metadata=getattr(self.entries[name].provider, "metadata", {}),
                registered_at=self.entries[name].registered_at,
            )
            for name in self.names
        ]
