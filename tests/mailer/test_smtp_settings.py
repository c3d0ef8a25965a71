"""What an `SMTPProvider` is told, sorted."""

from typing import Any

import pytest

from smtpx.client.settings import ClientSettings, Limits
from smtpx.errors import ConfigurationError
from smtpx.mailer.rate_limit import RateLimit
from smtpx.mailer.smtp_settings import Conduct, login_of, sorted_options, target_of
from smtpx.net.targets import Target


def test_options_are_sorted_into_the_clients_and_its_own() -> None:
    settings, conduct = sorted_options("submission://a.example", {"strict": True, "timeout": 5.0})
    assert settings.timeout == 5
    assert settings.limits.max_connections == 1
    assert conduct == Conduct(strict=True)
    for options in ({"max_connections": 3}, {"limits": Limits(max_connections=3)}):
        assert sorted_options("submission://a.example", options)[0].limits.max_connections == 3
    given = ClientSettings(target=Target("a.example"))
    assert sorted_options(given, {})[0] == given
    with pytest.raises(ConfigurationError, match="did you mean 'timeout'"):
        sorted_options("submission://a.example", {"timout": 5})


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"probe": "never"}, "probe"),
        ({"check_seconds": 0}, "check_seconds"),
        ({"check_cache_seconds": -1}, "check_cache_seconds"),
    ],
)
def test_conduct_names_what_makes_no_sense(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        Conduct(**options)


def test_each_has_a_limit_of_its_own_unless_it_is_given_one() -> None:
    first, second = Conduct().limit(), Conduct().limit()
    assert first is not None
    assert first is not second
    assert (first.per_second, first.burst) == (10, 20)
    assert Conduct(rate_limit=None).limit() is None
    shared = RateLimit(1)
    assert Conduct(rate_limit=shared).limit() is shared


def test_logins() -> None:
    assert login_of("", "", {}) == {}
    assert login_of("user", "secret", {}) == {"username": "user", "password": "secret"}
    assert login_of("user", "", {"token": "t"}) == {"username": "user"}
    with pytest.raises(ConfigurationError, match="username is missing"):
        login_of("", "secret", {})
    with pytest.raises(ConfigurationError, match="password is missing"):
        login_of("user", "", {})


def test_targets() -> None:
    assert target_of("mail.example", 25) == Target("mail.example", 25)
    assert target_of("[::1]", 25) == target_of("::1", 25) == Target("::1", 25)
    for host in ("", "a b", "a@b.example", "[mail.example]", "x:y"):
        with pytest.raises(ConfigurationError, match="host"):
            target_of(host, 25)
    for port in (0, 65536, "25", None, True):
        with pytest.raises(ConfigurationError, match="port"):
            target_of("mail.example", port)
