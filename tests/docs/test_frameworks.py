"""What docs/frameworks.md says is so: each piece of Python runs, against a server that demands STARTTLS and AUTH."""
# ruff: noqa: ANN401, F811 - what runs a block has no type; fixtures come from another directory

import asyncio
import inspect
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import mail as django_mail
from django.core.mail import EmailMessage
from django.test import override_settings

import smtpx.adapters.django
import smtpx.adapters.flask
from smtpx.adapters.django import EmailBackend
from smtpx.mailer.settings import provider_from_url
from tests.adapters.conftest import certificates, secure  # noqa: F401 - fixtures
from tests.adapters.office import PASSWORD, USER, Office
from tests.adapters.web import TestClient
from tests.client.conftest import Certificates

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "frameworks.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
MAILERS, OLDER, SEND, SIGNAL, ERRORS, ASYNC, FLASK, RECORD, STARLETTE, FASTAPI, FAILURES, COMPOSED = BLOCKS


@pytest.fixture
def url(secure: Office, certificates: Certificates) -> str:
    ca_file = urllib.parse.quote(str(certificates.ca_file))
    return f"submission://{USER}:{urllib.parse.quote(PASSWORD, safe='')}@localhost:{secure.port}?ca_file={ca_file}"


@pytest.fixture
def run(url: str) -> Any:
    def run_block(block: str, names: dict[str, Any] | None = None) -> dict[str, Any]:
        names = {"__name__": "shop"} if names is None else names
        exec(block.replace("submission://user:secret@mail.example.org", url), names)  # noqa: S102 - our own document
        return names

    return run_block


@pytest.fixture
def django(run: Any) -> Iterator[None]:
    found = run(MAILERS if hasattr(django_mail, "mailers") else OLDER)
    with override_settings(**{name: value for name, value in found.items() if name.isupper()}):
        yield
    smtpx.adapters.django._POOLS.close_all()


def test_both_kinds_of_django_settings_mean_the_same(run: Any) -> None:
    new, old = run(MAILERS), run(OLDER)
    assert new["MAILERS"]["default"]["OPTIONS"] == old["EMAIL_SMTPX"]
    assert new["MAILERS"]["default"]["BACKEND"] == old["EMAIL_BACKEND"]
    made = EmailBackend(alias="default", **old["EMAIL_SMTPX"])
    assert (made.timeout, made.max_connections) == (10, 4)


def test_django_sends(run: Any, django: None, secure: Office, capsys: pytest.CaptureFixture[str]) -> None:
    names = run(SIGNAL)
    run(SEND)
    smtpx.adapters.django.recipients_refused.disconnect(names["note"])
    told = "['jane@example.org'] <nobody@example.org>: 550 5.1.1 mailbox unavailable (stage: rcpt)"
    assert capsys.readouterr().out.splitlines() == ["nobody@example.org: never", told]
    assert [each.message["Subject"] for each in secure.letters] == ["Welcome", "Invitation"]
    assert {each.user for each in secure.letters} == {USER}
    assert secure.connections == 1


def test_django_errors(run: Any, django: None, capsys: pytest.CaptureFixture[str]) -> None:
    run(ERRORS)
    assert capsys.readouterr().out.splitlines() == ["rcpt False ['nobody@example.org']"] * 4


def test_django_in_a_coroutine(run: Any, django: None, secure: Office) -> None:
    letters = [EmailMessage("Hello", "x", "shop@example.org", ["jane@example.org"]) for _ in range(2)]
    assert asyncio.run(run(ASYNC)["announce"](letters)) == 2
    assert len(secure.letters) == 2


def test_flask(run: Any, secure: Office) -> None:
    names = run(FLASK)
    answer = names["app"].test_client().post("/signup").json
    assert answer == {"accepted": ["jane@example.org"], "refused": ["nobody@example.org"]}
    run(RECORD, names)
    names["mail"].close()
    (letter,) = secure.letters
    kinds = [part.get_content_type() for part in letter.message.walk()]
    assert kinds == ["multipart/related", "multipart/alternative", "text/plain", "text/html", "image/png"]


def test_starlette(run: Any, secure: Office) -> None:
    with TestClient(run(STARLETTE)["app"]) as client:
        assert client.post("/signup").json() == {"accepted": ["jane@example.org"]}
    assert [each.recipients for each in secure.letters] == [["jane@example.org"], ["boss@example.org"]]


def test_fastapi(run: Any, secure: Office) -> None:
    with TestClient(run(FASTAPI)["app"]) as client:
        answer = client.post("/signup?email=jane@example.org").json()
    assert answer == {"accepted": ["jane@example.org"], "refused": []}
    assert len(secure.letters) == 1


async def test_failures_in_the_background(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    async with run(FAILURES)["mailer"](None) as state:
        state["mailer"].send_soon(
            smtpx.message.compose.Message(from_="shop@example.org", to="nobody@example.org", text="x")
        )
    assert capsys.readouterr().out.startswith("not sent: every recipient was refused: <nobody@example.org>: 550 5.1.1")


def test_composed_lifespans(run: Any) -> None:
    with TestClient(run(COMPOSED)["app"]) as client:
        assert client.app_state.keys() == {"mailer", "database"}


# The tables -----------------------------------------------------------------------------------------------------------


def table(heading: str) -> set[str]:
    """The names in the first column of a table."""
    rows = DOCUMENT.partition(f"| {heading} | means |\n")[2].partition("\n\n")[0]
    return set(re.findall(r"`([^`]+)`", " ".join(row.partition("means")[0].split("|")[1] for row in rows.splitlines())))


def test_every_option_of_the_django_backend_is_there() -> None:
    options = {
        each.name for each in inspect.signature(EmailBackend).parameters.values() if each.kind is each.KEYWORD_ONLY
    }
    told = table("option") | {"host", "port", "use_tls", "use_ssl"}
    assert told == options


def test_every_setting_for_flask_is_there() -> None:
    source = inspect.getsource(smtpx.adapters.flask)
    told = set(re.findall(r"`((?:MAIL|SMTPX)_[A-Z_]+)`", DOCUMENT))
    assert told == set(re.findall(r'"((?:MAIL|SMTPX)_[A-Z_]+)"', source))


def test_every_url_is_understood(tmp_path: Path) -> None:
    for url in table("URL"):
        provider_from_url(url.replace("/dir", str(tmp_path)))


def test_its_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", DOCUMENT):
        assert (ROOT / "docs" / link).exists()
