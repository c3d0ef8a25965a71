"""Providers by name."""

from datetime import UTC, datetime

import pytest

from smtpx.errors import ConfigurationError
from smtpx.mailer.local import MemoryProvider
from smtpx.mailer.registry import Registry

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


def registry(*names: str, default: str | None = None) -> Registry:
    found = Registry(default, lambda: NOON)
    for name in names:
        found.register(name, MemoryProvider())
    return found


def test_names_are_given_once() -> None:
    found = registry("a")
    for name, provider, message in (
        ("", MemoryProvider(), "needs a name"),
        ("a", MemoryProvider(), "already"),
        ("b", None, "is none"),
        ("b", object(), "is none"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            found.register(name, provider)  # type: ignore[arg-type]
    assert list(found.names) == ["a"]


def test_the_default_is_the_only_one_or_the_chosen_one() -> None:
    assert registry().default is None
    assert registry("a").default == "a"
    found = registry("b", "a")
    assert found.default is None
    with pytest.raises(ConfigurationError, match="none of the providers is the default"):
        found.name(None)
    with pytest.raises(ConfigurationError, match="known: a, b"):
        found.set_default("c")
    found.set_default("b")
    assert (found.name(None), found.name("a")) == ("b", "a")
    assert found.entry(None).provider is found.entries["b"].provider
    with pytest.raises(ConfigurationError, match="no provider is registered"):
        registry().name(None)
    with pytest.raises(ConfigurationError, match="no provider 'x'; known: none"):
        registry(default="x").name(None)


def test_a_listing_takes_what_there_is() -> None:
    class Bare:
        async def send(self) -> None: ...

        async def send_bulk(self) -> None: ...

    found = registry("b")
    found.register("a", Bare())  # type: ignore[arg-type]
    first, second = found.listing()
    assert (first.name, first.type, dict(first.metadata), first.is_default) == ("a", "unknown", {}, False)
    assert (second.name, second.type, second.registered_at) == ("b", "memory", NOON)
