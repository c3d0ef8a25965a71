"""The example applications, run against a server of ours that demands STARTTLS and AUTH."""

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from examples import fastapi_app, flask_app
from tests.adapters.office import PASSWORD, USER, Office, office
from tests.adapters.web import TestClient
from tests.client.conftest import Certificates, certificates_for

ROOT = Path(__file__).resolve().parents[2]
KINDS = ["multipart/alternative", "text/plain", "text/html"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates_for(tmp_path_factory.mktemp("ca"), "localhost")


@pytest.fixture
def shop_office(certificates: Certificates) -> Iterator[Office]:
    with office(auth=True, tls=certificates.server, require_tls=True, require_auth=True) as made:
        yield made


@pytest.fixture
def url(shop_office: Office, certificates: Certificates) -> str:
    password = urllib.parse.quote(PASSWORD, safe="")
    ca_file = urllib.parse.quote(str(certificates.ca_file))
    return f"submission://{USER}:{password}@localhost:{shop_office.port}?ca_file={ca_file}"


def welcomed(shop_office: Office) -> list[str]:
    """Who got the letter; and it is one."""
    for letter in shop_office.letters:
        assert letter.message["Subject"] == "Welcome"
        assert [part.get_content_type() for part in letter.message.walk()] == KINDS
        assert (letter.sender, letter.user, letter.tls) == ("shop@example.org", USER, True)
    return [recipient for letter in shop_office.letters for recipient in letter.recipients]


# Flask, served by Werkzeug --------------------------------------------------------------------------------------------


@contextmanager
def served(url: str) -> Iterator[str]:
    app = flask_app.create_app({"SMTPX_URL": url})
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        app.extensions["mail"].close()


def post(place: str, email: str) -> tuple[int, str]:
    data = urllib.parse.urlencode({"email": email}).encode()
    try:
        with urllib.request.urlopen(f"{place}/signup", data, timeout=20) as answer:  # noqa: S310 - our own server
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_flask(shop_office: Office, url: str) -> None:
    with served(url) as place:
        assert post(place, "jane@example.org") == (202, "we have sent you a letter\n")
        status, text = post(place, "nobody@example.org")
        assert (status, "550 5.1.1" in text) == (422, True)
        assert post(place, "later@example.org")[0] == 503
        assert post(place, "jane")[0] == 422
        assert post(place, "a@b.example\r\nBcc: victim@example.org")[0] == 422
        assert post(place, "joe@example.org")[0] == 202
    assert welcomed(shop_office) == ["jane@example.org", "joe@example.org"]
    assert shop_office.connections == 1


def test_flask_prints_without_a_url(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMTPX_URL", raising=False)
    app = flask_app.create_app()
    assert app.test_client().post("/signup", data={"email": "jane@example.org"}).status_code == 202
    app.extensions["mail"].close()
    assert "RCPT TO:<jane@example.org>" in capsys.readouterr().out


# FastAPI --------------------------------------------------------------------------------------------------------------


def test_fastapi(shop_office: Office, url: str, caplog: pytest.LogCaptureFixture) -> None:
    with TestClient(fastapi_app.create_app({"SMTPX_URL": url})) as client:
        assert client.post("/signup?email=jane@example.org").status_code == 202
        assert client.post("/signup?email=nobody@example.org").status_code == 202  # it is found out later
        assert client.post("/signup?email=jane").status_code == 422
        assert client.post("/signup?email=joe@example.org").json() == {"status": "a letter is on its way"}
    assert sorted(welcomed(shop_office)) == ["jane@example.org", "joe@example.org"]
    assert "was not delivered: every recipient was refused: <nobody@example.org>: 550 5.1.1" in caplog.text


def test_fastapi_says_who_can_be_written_to_and_how_it_is(shop_office: Office, url: str) -> None:
    with TestClient(fastapi_app.create_app({"SMTPX_URL": url, "SMTPX_FROM": "shop@example.org"})) as client:
        answer = client.post("/invite", params={"email": "jane@example.org, nobody@example.org"}).json()
        assert answer["invited"] == ["jane@example.org"]
        assert list(answer["refused"]) == ["nobody@example.org"]
        found = client.get("/health")
        assert (found.status_code, found.json()["state"]) == (200, "HEALTHY")


# Django ---------------------------------------------------------------------------------------------------------------

PROGRAM = """
import json
from examples import django_app
django_app.configure()
import django
django.setup()
from django.test import Client
addresses = ["jane@example.org", "nobody@example.org", "later@example.org", "jane@", "joe@example.org"]
print(json.dumps([Client().post("/signup", {"email": each}).status_code for each in addresses]))
"""


def run(url: str, *arguments: str) -> str:
    environment = {**os.environ, "SMTPX_URL": url, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_django(shop_office: Office, url: str) -> None:
    assert json.loads(run(url, "-c", PROGRAM)) == [202, 422, 503, 422, 202]
    assert welcomed(shop_office) == ["jane@example.org", "joe@example.org"]
    assert shop_office.connections == 1


def test_djangos_own_command(shop_office: Office, url: str) -> None:
    run(url, "examples/django_app.py", "sendtestemail", "jane@example.org", "joe@example.org")
    (letter,) = shop_office.letters
    assert letter.recipients == ["jane@example.org", "joe@example.org"]
    assert "Test email" in letter.message["Subject"]


def test_djangos_own_check() -> None:
    assert "no issues" in run("submission://mail.example.org", "examples/django_app.py", "check")
