"""Mailers from URLs and from the environment."""

import sys
from pathlib import Path

import pytest

from smtpx.errors import ConfigurationError
from smtpx.flows.session import Security
from smtpx.mailer.failover import FailoverProvider, RoundRobinProvider
from smtpx.mailer.local import ConsoleProvider, FileProvider, MemoryProvider
from smtpx.mailer.settings import MailerSettings, mailer_from_url, provider_from_url
from smtpx.mailer.smtp import SMTPProvider
from smtpx.net.targets import Target
from smtpx.telemetry import MailTelemetry
from tests.mailer.rig import letter


@pytest.mark.parametrize(
    ("url", "security", "target"),
    [
        ("submission://user:secret@mail.example", Security.STARTTLS, Target("mail.example", 587)),
        ("smtps://mail.example:2465", Security.IMPLICIT, Target("mail.example", 2465)),
        ("smtp://mail.example", Security.OPPORTUNISTIC, Target("mail.example", 25)),
        ("smtp+plain://localhost:1025", Security.NONE, Target("localhost", 1025)),
        ("lmtp+unix:///run/lmtp.sock", Security.NONE, Target(unix_path="/run/lmtp.sock")),
    ],
)
def test_every_url_of_a_client_is_an_smtp_provider(url: str, security: Security, target: Target) -> None:
    provider = provider_from_url(url)
    assert isinstance(provider, SMTPProvider)
    assert provider.settings.security is security
    assert provider.settings.target == target
    assert provider.settings.limits.max_connections == 1
    assert provider.rate_limit is not None


def test_the_query_has_what_is_the_providers_own() -> None:
    provider = provider_from_url(
        "submission://mail.example?from=Shop+%3Ca%40b.example%3E&rate=2.5&burst=3&strict=yes&timeout=7&max_connections=4"
    )
    assert isinstance(provider, SMTPProvider)
    assert provider.from_email == "Shop <a@b.example>"
    assert provider.rate_limit is not None
    assert (provider.rate_limit.per_second, provider.rate_limit.burst) == (2.5, 3)
    assert provider.conduct.strict
    assert provider.settings.timeout == 7
    assert provider.settings.limits.max_connections == 4
    unlimited = provider_from_url("submission://mail.example?rate=0&from=a@b.example", from_email="c@d.example")
    assert isinstance(unlimited, SMTPProvider)
    assert unlimited.rate_limit is not None
    assert unlimited.rate_limit.is_unlimited
    assert unlimited.from_email == "c@d.example"
    burst = provider_from_url("submission://mail.example?burst=1&strict=off")
    assert isinstance(burst, SMTPProvider)
    assert burst.rate_limit is not None
    assert (burst.rate_limit.per_second, burst.rate_limit.burst) == (10, 1)


def test_local_ones(tmp_path: Path) -> None:
    assert isinstance(provider_from_url("memory:"), MemoryProvider)
    assert isinstance(provider_from_url("memory://"), MemoryProvider)
    assert isinstance(provider_from_url("console:", from_email="a@b.example"), ConsoleProvider)
    provider = provider_from_url(f"file://{tmp_path}/with%20blank")
    assert isinstance(provider, FileProvider)
    assert provider.directory == tmp_path / "with blank"


def test_several() -> None:
    provider = provider_from_url("failover+submission://a.example smtps://b.example memory:")
    assert isinstance(provider, FailoverProvider)
    assert list(provider.metadata["providers"].values()) == ["smtp", "smtp", "memory"]
    assert isinstance(provider_from_url("roundrobin+memory: memory:", from_email="a@b.example"), RoundRobinProvider)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mail.example", "scheme"),
        ("smpt://mail.example", "did you mean 'smtp'"),
        ("memory:more", "takes nothing more"),
        ("file:", "path of a directory"),
        ("file://host/path", "path of a directory"),
        ("submission://a.example?rate=fast", "rate"),
        ("submission://a.example?strict=maybe", "strict"),
        ("submission://a.example?ratee=1", "ratee"),
        ("submission://a.example?from=nobody", "from_email"),
        ("submission://user@a.example", "password"),
        ("failover+", "at least one"),
    ],
)
def test_what_cant_be_understood(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        provider_from_url(url)


async def test_a_service_from_a_url() -> None:
    async with mailer_from_url("memory:", from_email="a@b.example", max_recipients=1) as mail:
        await mail.send(letter(from_=()))
        provider = mail.provider()
        assert isinstance(provider, MemoryProvider)
        assert provider.outbox[0].sender == "a@b.example"
    assert mailer_from_url("memory:").default == "default"


# The environment ------------------------------------------------------------------------------------------------------


def test_everything_an_environment_can_say(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    settings = MailerSettings.from_environment(
        {
            "SMTPX_URL": "submission://mail.example",
            "SMTPX_FROM": "a@b.example",
            "SMTPX_USERNAME": "user",
            "SMTPX_PASSWORD": "top-secret",
            "SMTPX_RATE": "5",
            "SMTPX_BURST": "6",
            "SMTPX_MAX_CONNECTIONS": "2",
            "SMTPX_TIMEOUT": "30",
            "SMTPX_CA_FILE": str(ca_file),
            "SMTPX_STRICT": "true",
            "SMTPX_MAX_RECIPIENTS": "50",
            "SMTPX_MAX_MESSAGE_BYTES": "1000",
            "SMTPX_PROXY": "another program's",
            "PATH": "/bin",
        }
    )
    assert "top-secret" not in repr(settings)
    provider = settings.provider()
    assert isinstance(provider, SMTPProvider)
    assert provider.settings.auth is not None
    assert (provider.settings.timeout, provider.settings.ca_file) == (30, str(ca_file))
    assert provider.settings.limits.max_connections == 2
    assert provider.rate_limit is not None
    assert (provider.rate_limit.per_second, provider.rate_limit.burst) == (5, 6)
    assert provider.conduct.strict
    assert settings.service().default == "default"
    assert settings.sync_service(max_keys=1).default == "default"
    assert settings.limits() == {"max_recipients": 50, "max_message_bytes": 1000}


def test_little_is_enough_and_blank_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = MailerSettings.from_environment({"SMTPX_URL": "memory:", "SMTPX_RATE": " ", "SMTPX_FROM": ""})
    assert settings == MailerSettings(url="memory:")
    assert settings.limits() == {}
    monkeypatch.setenv("SMTPX_URL", "console:")
    assert isinstance(MailerSettings.from_environment().provider(), ConsoleProvider)


@pytest.mark.parametrize(("rate", "burst", "expected"), [("3", "", (3, 20)), ("", "3", (10, 3))])
def test_rate_and_burst_alone(rate: str, burst: str, expected: tuple[float, int]) -> None:
    environment = {"SMTPX_URL": "submission://a.example", "SMTPX_RATE": rate, "SMTPX_BURST": burst}
    provider = MailerSettings.from_environment(environment).provider()
    assert isinstance(provider, SMTPProvider)
    assert provider.rate_limit is not None
    assert (provider.rate_limit.per_second, provider.rate_limit.burst) == expected


def test_a_password_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("top-secret\n")
    settings = MailerSettings.from_environment(
        {"SMTPX_URL": "submission://user@a.example", "SMTPX_PASSWORD_FILE": str(secret)}
    )
    assert settings.password is not None
    assert settings.password.reveal() == "top-secret"
    assert isinstance(settings.provider(), SMTPProvider)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "SMTPX_URL is missing"),
        ({"SMTPX_URL": "memory:", "SMTPX_RATE": "fast"}, "SMTPX_RATE"),
        ({"SMTPX_URL": "memory:", "SMTPX_STRICT": "perhaps"}, "SMTPX_STRICT"),
        ({"SMTPX_URL": "memory:", "SMTPX_PASWORD": "x"}, "did you mean SMTPX_PASSWORD"),
        ({"SMTPX_URL": "memory:", "SMTPX_PASSWORD_FILE": "/does/not/exist"}, "SMTPX_PASSWORD_FILE: No such file"),
        ({"SMTPX_URL": "memory:", "SMTPX_PASSWORD": "x", "SMTPX_PASSWORD_FILE": "/dev/null"}, "not both"),
    ],
)
def test_an_environment_that_makes_no_sense(environment: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        MailerSettings.from_environment(environment)


def test_telemetry_is_an_observer_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"SMTPX_URL": "memory:", "SMTPX_TELEMETRY": "on"}
    settings = MailerSettings.from_environment(environment)
    assert isinstance(settings.limits()["observer"], MailTelemetry)
    assert isinstance(mailer_from_url("memory:", telemetry=True)._observer, MailTelemetry)
    assert mailer_from_url("memory:")._observer is None
    own = MailTelemetry()
    assert mailer_from_url("memory:", telemetry=True, observer=own)._observer is own
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigurationError, match=r"this needs smtpx\[otel\]"):
        settings.service()
    environment["SMTPX_TELEMETRY"] = "off"
    assert "observer" not in MailerSettings.from_environment(environment).limits()
