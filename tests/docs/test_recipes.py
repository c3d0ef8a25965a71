"""What docs/recipes.md says is so: each recipe runs as it stands, against a server that behaves like the vendor's."""

import http.server
import json
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import smtpx
from smtpx.client.settings import Limits
from smtpx.flows.session import Security
from smtpx.mailer.failover import FailoverProvider
from smtpx.mailer.provider import is_unknown
from smtpx.mailer.retry import Retry, may_repeat
from smtpx.mailer.service import MailService
from smtpx.mailer.smtp import SMTPProvider
from smtpx.message.compose import Message
from tests.mailer.rig import faking, letter, office
from tests.mailer.vendors import VENDORS, Vendor, redirected, vendor_server

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
ROW = re.compile(r"^\| (.*?) \| `(\d.*?)` \| (\w+) \| `(\w+)` \| (True|False)( ⚠)? \|$", re.MULTILINE)
TABLES = {
    name: {row[0]: row[1:5] for row in ROW.findall(rows)}
    for name, rows in re.findall(
        r"^\| ([A-Z][\w ]*), when \|.*?\n\|[-|]*\n(.*?)\n\n", DOCUMENT, re.DOTALL | re.MULTILINE
    )
}

RECIPES = {  # by the name of the provider in the page: the vendor, and what its mechanism has to be
    "sendgrid": ("SendGrid", "PLAIN"),
    "postmark": ("Postmark", "PLAIN"),
    "ses": ("Amazon SES", "PLAIN"),
    "mailgun": ("Mailgun", "PLAIN"),
    "mailchimp": ("Mailchimp Transactional", "PLAIN"),
    "gmail": ("Gmail", "PLAIN"),
    "gmail_oauth": ("Gmail", "XOAUTH2"),
    "microsoft": ("Microsoft 365", "XOAUTH2"),
}
CASES = [(name, when) for name, (vendor, _) in RECIPES.items() for when in TABLES[vendor]]


class TokenServer:
    """Gives tokens as Google and Microsoft do: what `tokens` holds, and then the last of it."""

    def __init__(self) -> None:
        self.tokens = ["not set"]
        self.forms: list[tuple[str, dict[str, str]]] = []
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                endpoint.forms.append((self.path, {key: value[0] for key, value in parse_qs(body).items()}))
                token = endpoint.tokens.pop(0) if len(endpoint.tokens) > 1 else endpoint.tokens[0]
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps({"access_token": token, "expires_in": 3599}).encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    tokens = TokenServer()
    tokens.thread.start()
    yield tokens
    tokens.server.shutdown()
    tokens.thread.join()
    tokens.server.server_close()


@pytest.fixture
def prometheus(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the exporter, which is not ours to install, the SDK's own reader that can be read."""
    exporter = ModuleType("opentelemetry.exporter.prometheus")
    exporter.PrometheusMetricReader = InMemoryMetricReader  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter", ModuleType("opentelemetry.exporter"))
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.prometheus", exporter)


@pytest.fixture
def page(tokens: TokenServer, prometheus: None, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is there when every block has run. Only where tokens come from is another place; variables are right."""
    for name, value in {
        "SENDGRID_API_KEY": VENDORS["SendGrid"].secret,
        "POSTMARK_SERVER_TOKEN": VENDORS["Postmark"].secret,
        "SES_SMTP_USERNAME": VENDORS["Amazon SES"].username,
        "SES_SMTP_PASSWORD": VENDORS["Amazon SES"].secret,
        "MAILGUN_SMTP_PASSWORD": VENDORS["Mailgun"].secret,
        "MANDRILL_API_KEY": VENDORS["Mailchimp Transactional"].secret,
        "GMAIL_APP_PASSWORD": VENDORS["Gmail"].secret,
        "GOOGLE_CLIENT_ID": "google-id",
        "GOOGLE_CLIENT_SECRET": "google-secret",
        "GOOGLE_REFRESH_TOKEN": "google-refresh",
        "ENTRA_TENANT_ID": "tenant",
        "ENTRA_CLIENT_ID": "entra-id",
        "ENTRA_CLIENT_SECRET": "entra-secret",
    }.items():
        monkeypatch.setenv(name, str(value))
    return run(tokens)


def run(tokens: TokenServer) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "page"}
    for number, block in enumerate(BLOCKS, 1):
        source = block.replace("https://oauth2.googleapis.com", f"{tokens.url}/google")
        source = source.replace("https://login.microsoftonline.com", f"{tokens.url}/microsoft")
        exec(compile(source, f"docs/recipes.md, block {number}", "exec"), names)  # noqa: S102 - our own document
    return names


def test_every_vendor_has_a_recipe_and_a_table() -> None:
    assert {vendor for vendor, _ in RECIPES.values()} == VENDORS.keys() == TABLES.keys()
    for vendor, rows in TABLES.items():
        assert rows.keys() == {each.when for each in VENDORS[vendor].troubles}
    assert sum(map(len, TABLES.values())) == len(ROW.findall(DOCUMENT)) == 25


@pytest.mark.parametrize("name", RECIPES)
async def test_a_recipe_sends(name: str, page: dict[str, Any], tokens: TokenServer) -> None:
    vendor, mechanism = VENDORS[RECIPES[name][0]], RECIPES[name][1]
    tokens.tokens = ["expired", vendor.secret]  # the first one is refused, so another one is fetched
    async with vendor_server(vendor) as (server, account):
        async with redirected(page[name], vendor, server.port) as provider:
            assert provider.settings.security is Security.STARTTLS
            result = await provider.send(letter(from_=None, to=["jane@home.example", "joe@home.example"]))
            many = await provider.send_bulk(letter(number, from_=None) for number in range(3))
        assert result.tls is not None
        assert result.tls.verified
        assert not many.failed
        assert sum(len(each.messages) for each in account.made) == 4
        assert {each.mechanism for each in account.made if each.messages} == {mechanism}
        assert all(b"From: shop@shop.example\r\n" in message for each in account.made for message in each.messages)
    if mechanism == "XOAUTH2":
        path, form = tokens.forms[0]
        assert [len(tokens.forms), path.startswith(f"/{name.partition('_')[0].replace('gmail', 'google')}/")] == [
            2,
            True,
        ]
        assert form["grant_type"] in ("refresh_token", "client_credentials")
        assert {"client_id", "client_secret"} < form.keys()


@pytest.mark.parametrize(("name", "when"), CASES, ids=lambda value: value.replace(" ", "-"))
async def test_what_is_made_of_a_refusal(name: str, when: str, page: dict[str, Any], tokens: TokenServer) -> None:
    vendor = VENDORS[RECIPES[name][0]]
    says, stage, error_name, is_temporary = TABLES[RECIPES[name][0]][when]
    trouble = vendor.trouble(when)
    message: Message = letter(from_=None)
    tokens.tokens = [vendor.secret]
    async with vendor_server(vendor) as (server, account):
        provider = redirected(page[name], vendor, server.port)
        if trouble.is_key:
            provider = with_wrong_key(provider, vendor, tokens)
        elif trouble.is_sender:
            message = message.with_(from_="me@elsewhere.example")
        else:
            account.trouble += [trouble] * (1 if stage != "auth" else 2)  # the other mechanism gets the same answer
        async with provider:
            with pytest.raises(smtpx.SMTPXError) as caught:
                await provider.send(message)
            error: Any = caught.value
            while getattr(error, "refusals", None):
                (error,) = error.refusals.values()
            assert " ".join(str(error.reply).split()).startswith(says)
            assert (error.stage, type(error).__name__) == (stage, error_name)
            assert str(error.is_temporary) == is_temporary
            assert not is_unknown(caught.value)
            assert may_repeat(caught.value) is (is_temporary == "True" and stage != "final")
            assert not [each for session in account.made for each in session.messages]
            assert vendor.secret not in str(caught.value)
            account.trouble.clear()
            if not trouble.is_key:
                await provider.send(letter(from_=None))  # and all is well again, over a new connection if need be


def with_wrong_key(provider: SMTPProvider, vendor: Vendor, tokens: TokenServer) -> SMTPProvider:
    """The same with a login that is not good."""
    from dataclasses import replace

    tokens.tokens = ["wrong"]
    if provider.settings.auth_mechanisms is None:
        login = smtpx.Password(vendor.username or "anybody", "wrong")
        provider.settings = replace(provider.settings, auth=login)
    return provider


async def test_one_that_was_throttled_among_many(page: dict[str, Any]) -> None:
    """All others go out, and it may be sent again: nobody has it."""
    vendor = VENDORS["Amazon SES"]
    async with vendor_server(vendor) as (server, account), redirected(page["ses"], vendor, server.port) as provider:
        account.trouble.append(vendor.trouble("too fast"))
        letters = [letter(number, from_=None) for number in range(10)]
        bulk = await provider.send_bulk(letters)
        again = await provider.send_bulk([letters[each.index] for each in bulk.failed])
    assert [len(bulk.succeeded), len(bulk.failed), len(again.succeeded)] == [9, 1, 1]
    messages = [message for each in account.made for message in each.messages]
    subjects = sorted(line for message in messages for line in message.split(b"\r\n") if line.startswith(b"Subject: "))
    assert subjects == [f"Subject: Letter {number}".encode() for number in range(10)]


async def test_a_failover_goes_on_where_a_retry_does_not(page: dict[str, Any]) -> None:
    first, second = VENDORS["Amazon SES"], VENDORS["SendGrid"]
    async with vendor_server(first) as (there, account), vendor_server(second) as (elsewhere, other):
        ses, sendgrid = redirected(page["ses"], first, there.port), redirected(page["sendgrid"], second, elsewhere.port)
        account.trouble.append(first.trouble("the daily quota"))
        async with MailService(
            FailoverProvider([ses, sendgrid]), retry=Retry(first_seconds=0, jitter_seconds=0)
        ) as both:
            await both.send(letter(from_=None))
        assert [len(each.made[0].messages) for each in (account, other)] == [0, 1]


@pytest.mark.parametrize("name", RECIPES)
async def test_a_message_that_is_too_large_is_not_sent(name: str, page: dict[str, Any], tokens: TokenServer) -> None:
    """The size that is offered is looked at before anything goes out; that of the real server may be another one."""
    from dataclasses import replace

    vendor = VENDORS[RECIPES[name][0]]
    tokens.tokens = [vendor.secret]
    async with vendor_server(replace(vendor, max_bytes=20_000)) as (server, account):
        async with redirected(page[name], vendor, server.port) as provider:
            with pytest.raises(smtpx.UnsupportedError) as caught:
                await provider.send(letter(from_=None, text="x" * 30_000))
        assert (caught.value.keyword, caught.value.is_temporary) == ("SIZE", False)
        assert not [each for session in account.made for each in session.messages]


def test_how_fast_and_how_many(page: dict[str, Any]) -> None:
    """What is said of limits is what is configured."""
    assert page["sendgrid"].rate_limit is None
    assert Limits().max_messages_per_connection == 1000
    assert page["ses"].rate_limit.per_second == 14
    assert page["microsoft"].rate_limit.per_second * 60 == 30
    assert page["microsoft"].settings.limits.max_connections == 3
    assert page["message"].headers == (("X-PM-Message-Stream", "broadcast"),)


async def test_metrics_by_opentelemetry(page: dict[str, Any]) -> None:
    async with office() as there, MailService(there.provider(), observer=page["telemetry"]) as mail:
        await mail.send(letter())
    data = page["reader"].get_metrics_data()
    assert data is not None
    (scope,) = data.resource_metrics[0].scope_metrics
    found = {metric.name: metric.data.data_points[0] for metric in scope.metrics}
    assert found["email.provider.smtp.send.total"].value == 1
    assert found["email.provider.smtp.send.total"].attributes["status"] == "success"
    assert page["watched"]._observer is page["telemetry"]


async def test_metrics_by_an_observer(page: dict[str, Any]) -> None:
    metrics = page["metrics"]
    assert page["counted"]._observer is metrics
    answers = [b"250 ok\r\n", b"250 ok\r\n", b"550 no\r\n"]
    async with faking(MAIL=answers) as server, MailService(server.provider(), observer=metrics) as mail:
        await mail.send(letter())
        bulk = await mail.send_bulk(letter(number) for number in range(1, 3))
    assert len(bulk.failed) == 1
    lines = metrics.text().splitlines()
    assert lines[:3] == [
        "# TYPE mail_total counter",
        'mail_total{result="sent"} 2',
        'mail_total{result="PermanentRefusal"} 1',
    ]
    assert all(re.fullmatch(r'(# TYPE \w+ counter|\w+\{result="\w+"\} \d+(\.\d+)?)', line) for line in lines)
    assert len(lines) == 6
