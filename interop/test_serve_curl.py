"""curl sends to `smtpx serve`."""

from pathlib import Path

import pytest

from .certificates import Certificates
from .checks import stored_intact
from .clients import Envelope, curl, curl_login, curl_trust
from .letters import KINDS, Letter, make_letter
from .postfix import Account
from .serving import TOKEN, SmtpxServe
from .table import Row

pytestmark = pytest.mark.peer("curl", direction="curl → smtpx serve")
_BY_LIBRARY = pytest.mark.peer("curl", direction="curl → smtpx.Server")

# Exit statuses of curl.
_LOGIN_DENIED, _BAD_CERTIFICATE, _SEND_FAILED = 67, 60, 55


def _url(server: SmtpxServe) -> str:
    return f"{server.scheme}://localhost:{server.port}/curl.example.org"


@pytest.fixture
def login(certificates: Certificates, robot: Account) -> list[str]:
    """Options for verified TLS and AUTH PLAIN."""
    return [*curl_trust(certificates.authority), *curl_login(robot, "PLAIN")]


@pytest.mark.parametrize("kind", KINDS)
def test_message_by_starttls(kind: str, row: Row, tmp_path: Path, serve_starttls: SmtpxServe, login: list[str]) -> None:
    row.tls, row.auth = "STARTTLS", "PLAIN"
    letter = make_letter(kind)
    done = curl(_url(serve_starttls), letter, tmp_path, *login)
    assert done.returncode == 0, done.stdout
    stored_intact(serve_starttls, letter, protocol="ESMTPSA")


@pytest.mark.parametrize("kind", KINDS)
def test_message_by_implicit_tls(
    kind: str, row: Row, tmp_path: Path, serve_implicit: SmtpxServe, login: list[str]
) -> None:
    row.tls, row.auth = "implicit", "PLAIN"
    letter = make_letter(kind)
    assert serve_implicit.scheme == "smtps"
    done = curl(_url(serve_implicit), letter, tmp_path, *login)
    assert done.returncode == 0, done.stdout
    stored_intact(serve_implicit, letter, protocol="ESMTPSA")


def test_example(example: Letter, row: Row, tmp_path: Path, serve_starttls: SmtpxServe, login: list[str]) -> None:
    row.tls, row.auth = "STARTTLS", "PLAIN"
    done = curl(_url(serve_starttls), example, tmp_path, *login)
    assert done.returncode == 0, done.stdout
    stored_intact(serve_starttls, example, protocol="ESMTPSA")


@pytest.mark.parametrize("mechanism", ["LOGIN", "*"])
def test_auth(
    mechanism: str,
    row: Row,
    tmp_path: Path,
    serve_starttls: SmtpxServe,
    certificates: Certificates,
    robot: Account,
) -> None:
    row.tls, row.auth = "STARTTLS", {"*": "best common"}.get(mechanism, mechanism)
    letter = make_letter()
    options = [*curl_trust(certificates.authority), *curl_login(robot, mechanism)]
    done = curl(_url(serve_starttls), letter, tmp_path, *options)
    assert done.returncode == 0, done.stdout
    stored_intact(serve_starttls, letter, protocol="ESMTPSA")


@_BY_LIBRARY
def test_cram_md5(
    row: Row, tmp_path: Path, serve_by_library: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", "CRAM-MD5"
    letter = make_letter()
    options = [*curl_trust(certificates.authority), *curl_login(robot, "CRAM-MD5")]
    done = curl(_url(serve_by_library), letter, tmp_path, *options)
    assert done.returncode == 0, done.stdout
    stored_intact(serve_by_library, letter, protocol="ESMTPSA")
    serve_by_library.wait_for_log("logged in by CRAM-MD5\n")


@_BY_LIBRARY
@pytest.mark.parametrize(("token", "status"), [(TOKEN, 0), ("not-the-one", _LOGIN_DENIED)], ids=["right", "wrong"])
def test_token(
    token: str,
    status: int,
    row: Row,
    tmp_path: Path,
    serve_by_library: SmtpxServe,
    certificates: Certificates,
    robot: Account,
) -> None:
    row.tls, row.auth = "STARTTLS", "OAUTHBEARER" if token == TOKEN else "OAUTHBEARER, wrong"
    letter = make_letter()
    login = ["--user", f"{robot.user}:", "--oauth2-bearer", token, "--login-options", "AUTH=OAUTHBEARER"]
    done = curl(_url(serve_by_library), letter, tmp_path, *curl_trust(certificates.authority), *login)
    assert done.returncode == status, done.stdout
    if token == TOKEN:
        stored_intact(serve_by_library, letter, protocol="ESMTPSA")
        serve_by_library.wait_for_log("logged in by OAUTHBEARER\n")


def test_initial_response(row: Row, tmp_path: Path, serve_starttls: SmtpxServe, login: list[str]) -> None:
    row.tls, row.auth = "STARTTLS", "PLAIN, initial response"
    letter = make_letter()
    done = curl(_url(serve_starttls), letter, tmp_path, *login, "--sasl-ir")
    assert done.returncode == 0, done.stdout
    stored_intact(serve_starttls, letter, protocol="ESMTPSA")


def test_several_recipients(row: Row, tmp_path: Path, serve_starttls: SmtpxServe, login: list[str]) -> None:
    row.tls, row.auth = "STARTTLS", "PLAIN"
    letter = make_letter("eight-bit")
    recipients = ["alice@example.test", "bob@example.test", "quoted.name+tag@example.test"]
    done = curl(_url(serve_starttls), letter, tmp_path, *login, envelope=Envelope(recipients))
    assert done.returncode == 0, done.stdout
    stored_intact(serve_starttls, letter, recipients=recipients, protocol="ESMTPSA")


def test_non_ascii_recipient(row: Row, tmp_path: Path, serve_starttls: SmtpxServe, login: list[str]) -> None:
    row.tls, row.auth = "STARTTLS", "PLAIN"
    letter = make_letter("utf8-headers")
    recipients = ["jürgen@example.test"]
    done = curl(_url(serve_starttls), letter, tmp_path, *login, envelope=Envelope(recipients))
    assert done.returncode == 0, done.stdout
    assert "SMTPUTF8" in done.stdout
    (delivered,) = serve_starttls.maildir.wait_for(letter)
    assert delivered.octets == letter.octets
    assert "jürgen@example.test".encode() in delivered.trace


def test_wrong_password_is_refused(
    row: Row,
    tmp_path: Path,
    serve_wrong_logins: SmtpxServe,
    certificates: Certificates,
    robot: Account,
) -> None:
    row.tls, row.auth = "STARTTLS", "PLAIN, wrong"
    letter = make_letter()
    wrong = curl_login(Account(robot.user, "not-the-one"), "PLAIN")
    done = curl(_url(serve_wrong_logins), letter, tmp_path, *curl_trust(certificates.authority), *wrong)
    assert done.returncode == _LOGIN_DENIED, done.stdout
    assert not serve_wrong_logins.maildir.find(letter)


def test_mail_without_login_is_refused(
    row: Row, tmp_path: Path, serve_starttls: SmtpxServe, certificates: Certificates
) -> None:
    row.tls, row.auth = "STARTTLS", "none, refused"
    letter = make_letter()
    done = curl(_url(serve_starttls), letter, tmp_path, *curl_trust(certificates.authority))
    assert done.returncode == _SEND_FAILED, done.stdout
    assert "530 5.7.0" in done.stdout


def test_certificate_is_really_checked(row: Row, tmp_path: Path, serve_starttls: SmtpxServe, robot: Account) -> None:
    row.tls, row.auth = "STARTTLS, unknown CA", "PLAIN"
    options = ["--ssl-reqd", *curl_login(robot, "PLAIN")]
    done = curl(_url(serve_starttls), make_letter(), tmp_path, *options)
    assert done.returncode == _BAD_CERTIFICATE, done.stdout


def test_too_large_is_refused(row: Row, tmp_path: Path, serve_narrow: SmtpxServe) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter("megabyte")
    done = curl(_url(serve_narrow), letter, tmp_path)
    assert done.returncode == _SEND_FAILED, done.stdout
    assert "552 5.3.4" in done.stdout
    assert not serve_narrow.maildir.find(letter)
