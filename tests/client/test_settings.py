"""Settings: by URL, by keyword, both; what contradicts itself is an error, and a password is never shown."""

from typing import Any

import pytest

from smtpx.client.settings import ClientSettings, Limits, for_blocking, settings_for
from smtpx.errors import ConfigurationError
from smtpx.extensions import Size
from smtpx.flows.session import Security
from smtpx.net.proxies import Proxy
from smtpx.net.targets import Target
from smtpx.protocol.dialect import LMTP, SMTP
from smtpx.protocol.extension import ExtensionSet
from smtpx.sasl import BearerToken, Password


@pytest.mark.parametrize(
    ("url", "security", "port"),
    [
        ("smtp://h", Security.OPPORTUNISTIC, 25),
        ("smtp+starttls://h", Security.STARTTLS, 587),
        ("submission://h", Security.STARTTLS, 587),
        ("smtps://h", Security.IMPLICIT, 465),
        ("submissions://h", Security.IMPLICIT, 465),
        ("smtp+plain://h", Security.NONE, 25),
        ("lmtp://h", Security.OPPORTUNISTIC, 24),
        ("SMTPS://h/", Security.IMPLICIT, 465),
        ("smtp://h:2525", Security.OPPORTUNISTIC, 2525),
    ],
)
def test_schemes(url: str, security: Security, port: int) -> None:
    settings = settings_for(url)
    assert (settings.target, settings.security) == (Target("h", port), security)
    assert settings.dialect is (LMTP if url.startswith("lmtp") else SMTP)
    assert settings.auth is None


@pytest.mark.parametrize(
    ("url", "canonical"), [("smtp+tls://h", "smtp+starttls"), ("SMTP+SSL://h:2465", "smtps"), ("smtp+ssl://h", "smtps")]
)
def test_spellings_of_other_programs(url: str, canonical: str, caplog: pytest.LogCaptureFixture) -> None:
    found, meant = settings_for(url), settings_for(canonical + url[url.index(":") :])
    assert (found.target, found.security) == (meant.target, meant.security)
    assert caplog.messages == [f"{url.partition(':')[0].lower()}:// is taken for {canonical}://; please write that"]


def test_unix_socket() -> None:
    settings = settings_for("lmtp+unix:///run/my%20lmtp.sock")
    assert settings.target == Target(unix_path="/run/my lmtp.sock")
    assert settings.security is Security.NONE


@pytest.mark.parametrize(
    ("place", "host", "port"),
    [
        ("[::1]", "::1", 25),
        ("[::1]:2525", "::1", 2525),
        ("[fe80::1%25eth0]", "fe80::1%eth0", 25),
        ("host", "host", 25),
        ("host:2525", "host", 2525),
        ("127.0.0.1", "127.0.0.1", 25),
        ("bücher.example", "bücher.example", 25),
        ("b%C3%BCcher.example", "bücher.example", 25),
        ("under_score.example.", "under_score.example.", 25),
    ],
)
def test_b08_hosts(place: str, host: str, port: int) -> None:
    assert settings_for(f"smtp://{place}").target == Target(host, port)


@pytest.mark.parametrize(
    "url",
    [
        "smtp://::1",
        "smtp://host:",
        "smtp://:25",
        "smtp://host:99999",
        "smtp://host:0",
        "smtp://host:x",
        "smtp://host:123456",
        "smtp://",
        "smtp://[::1",
        "smtp://[::1]x",
        "smtp://x[::1]",
        "smtp://[host]",
        "smtp://[fe80::1%25eth0%0D%0A]",
        "smtp://[fe80::1%25b%C3%BCcher]",
        "smtp://[]",
        "smtp://a,b",
        "smtp://a b",
        "smtp://a\nb",
        "smtp://a%0Ab",
        "smtp://xn--.example",
        "smtp://host/path",
        "smtp://host#x",
        "smtp://host?x=y#z",
        "host",
        "host:25",
        "::1",
        "",
        "smpt://host",
        "http://host",
        "lmtp+unix://host/path",
        "lmtp+unix://",
        "lmtp+unix:///",
        "smtp://host?timeout=soon",
        "smtp://host?timeout=0",
        "smtp://host?timeout=nan",
        "smtp://host?timeuot=1",
        "smtp://host?=1",
        "smtp://user@host",
        "smtp://user:a%00b@host",
    ],
)
def test_b08_what_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        settings_for(url)


@pytest.mark.parametrize(
    "url",
    [
        "smtp://user:hunter2@host:x",
        "smtp://user:hun/ter2@host",
        "smtp://user:hun?ter2@host",
        "smtp://user:12?hunter2@host",
        "smtp://user:hun#ter2@host",
        "smtp://user:hunter2\n@host",
        "user:hunter2@host",
        "smtp://user:hunter2@[host",
    ],
)
def test_a_password_is_never_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings_for(url)
    assert "ter2" not in str(caught.value)
    assert caught.value.__context__ is None or "ter2" not in str(caught.value.__context__)


def test_credentials() -> None:
    settings = settings_for("smtps://us%40er:se%2Fcr%3Aet@host")
    assert settings.auth == Password("us@er", "se/cr:et")
    assert "se/cr:et" not in repr(settings)
    assert settings_for("smtps://host", username="u", password="p").auth == Password("u", "p")
    assert settings_for("smtps://u@host", password="p").auth == Password("u", "p")
    assert settings_for("smtps://u:@host").auth == Password("u", "")


def test_suggestions() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'smtp'"):
        settings_for("smpt://host")
    with pytest.raises(ConfigurationError, match="did you mean 'timeout'"):
        settings_for("smtp://host?timeuot=1")
    with pytest.raises(ConfigurationError, match="did you mean 'hello_name'"):
        settings_for("smtp://host", **{"helo_name": "x"})  # type: ignore[typeddict-unknown-key] # on purpose
    with pytest.raises(ConfigurationError, match="known: ca_file"):
        settings_for("smtp://host?zzz=1")


def test_options() -> None:
    url = "smtp://host?timeout=5&ca_file=/x&hello_name=me&local_address=::1&max_connections=3"
    settings = settings_for(url)
    assert (settings.timeout, settings.ca_file, settings.hello_name) == (5.0, "/x", "me")
    assert settings.target.local_address == "::1"
    assert settings.limits.max_connections == 3
    assert settings_for(url, timeout=6).timeout == 6
    again = settings_for(settings, limits=Limits(max_idle_seconds=1), max_connections=4, extensions=[Size()])
    assert again.limits == Limits(max_idle_seconds=1, max_connections=4)
    assert again.target == settings.target
    assert list(again.extensions.keywords) == ["SIZE"]
    extensions = ExtensionSet()
    assert settings_for("smtp://h", extensions=extensions).extensions is extensions


@pytest.mark.parametrize(
    "options",
    [
        {"username": "u"},
        {"password": "p"},
        {"username": "u", "password": "p", "auth": Password("a", "b")},
        {"username": "u\0", "password": "p"},
        {"timeout": -1},
        {"max_connections": 0},
        {"ssl_context": object(), "ca_file": "x"},
    ],
)
def test_p22_contradictions(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        settings_for("smtp://host", **options)


@pytest.mark.parametrize("options", [{"username": "x"}, {"password": "x"}, {"auth": Password("a", "b")}])
def test_p22_url_and_options_contradict(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        settings_for("smtp://u:p@host", **options)


def test_p22_one_choice_of_security() -> None:
    assert settings_for("smtp://host", security=Security.STARTTLS).security is Security.STARTTLS
    assert settings_for("smtps://host", security=Security.IMPLICIT).security is Security.IMPLICIT
    with pytest.raises(ConfigurationError, match="contradicts"):
        settings_for("smtps://host", security=Security.NONE)


def test_settings_may_be_made_by_hand() -> None:
    settings = ClientSettings(target=Target("h"))
    assert settings_for(settings) == settings


def test_what_needs_asyncio_is_not_for_the_blocking_client() -> None:
    async def token() -> str:
        return "t"

    settings = settings_for("smtp://mail.example.org", auth=BearerToken("u", token))
    with pytest.raises(ConfigurationError, match="async client"):
        for_blocking(settings)
    for auth in (None, Password("u", "p"), BearerToken("u", lambda: "t")):
        settings = settings_for("smtp://mail.example.org", auth=auth)
        assert for_blocking(settings) is settings


def test_h054_proxies() -> None:
    settings = settings_for("smtp://h", proxy="socks5://u:s3cret@p")
    assert settings.proxy == Proxy("socks5", "p", 1080, "u", "s3cret")
    assert "s3cret" not in repr(settings)
    assert settings_for("smtp://h", proxy=settings.proxy).proxy is settings.proxy
    assert settings_for(settings, proxy=None).proxy is None
    for url, options in (
        ("smtp://h", {"connect": lambda *_: None}),
        ("lmtp+unix:///x", {}),
        ("smtp://h", {"target": Target("a..b\xad")}),
        ("smtp://h", {"target": Target("h\r\nX: y")}),
        ("smtp://h", {"target": Target("h y")}),
    ):
        with pytest.raises(ConfigurationError, match="proxy"):
            settings_for(url, proxy="socks5://p", **options)  # type: ignore[arg-type] # of several types


def test_a_token_beside_a_user_name() -> None:
    auth = settings_for("smtp://me@h", token="t0ken").auth
    assert auth == BearerToken("me", "t0ken")
    assert "t0ken" not in repr(settings_for("smtp://h", username="me", token=lambda: "t0ken"))
    for options in (
        {"token": "t"},
        {"username": "me", "token": "t", "password": "p"},
        {"username": "me", "token": "t t"},
    ):
        with pytest.raises(ConfigurationError) as caught:
            settings_for("smtp://h", **options)  # type: ignore[arg-type] # of several types
        assert "t t" not in str(caught.value)


def test_c07_f20_a_hello_name_is_judged_where_it_is_written() -> None:
    with pytest.raises(ConfigurationError, match="hello_name is empty"):
        settings_for("smtp://h", hello_name="")
    for url, options in (("smtp://h?hello_name=a%0D%0AQUIT", {}), ("smtp://h", {"hello_name": "a b"})):
        with pytest.raises(ConfigurationError, match="host name or an address literal"):
            settings_for(url, **options)  # type: ignore[arg-type] # of several types
    assert settings_for("smtp://h", hello_name="[IPv6:::1]").hello_name == "[IPv6:::1]"


def test_a_percent_sign_that_is_none() -> None:
    with pytest.raises(ConfigurationError, match="is written %25"):
        settings_for("smtp://me:50%@h")
