"""msmtp sends to `smtpx serve`, and to a server of the library's for the mechanisms that `smtpx serve` has not."""

import re
from pathlib import Path

import pytest

from .certificates import Certificates
from .checks import stored_intact
from .clients import Envelope, msmtp
from .letters import KINDS, make_letter
from .postfix import Account
from .serving import TOKEN, SmtpxServe
from .table import Row

pytestmark = pytest.mark.peer("msmtp", direction="msmtp → smtpx serve")
_BY_LIBRARY = pytest.mark.peer("msmtp", direction="msmtp → smtpx.Server")

# Exit statuses of msmtp, those of sysexits.h.
_BAD_DATA, _NO_PERMISSION = 65, 77


def _trust(certificates: Certificates, *, starttls: bool = True) -> list[str]:
    return ["tls on", f"tls_starttls {'on' if starttls else 'off'}", f"tls_trust_file {certificates.authority}"]


def _login(account: Account, mechanism: str) -> list[str]:
    return [f"auth {mechanism.lower()}", f"user {account.user}", f'password "{account.password}"']


@pytest.fixture
def login(certificates: Certificates, robot: Account) -> list[str]:
    """Settings for verified STARTTLS and AUTH PLAIN."""
    return [*_trust(certificates), *_login(robot, "PLAIN")]


@pytest.mark.parametrize("kind", KINDS)
def test_message(kind: str, row: Row, tmp_path: Path, serve_starttls: SmtpxServe, login: list[str]) -> None:
    row.tls, row.auth = "STARTTLS", "PLAIN"
    letter = make_letter(kind)
    done = msmtp(serve_starttls.port, letter, tmp_path, *login)
    assert done.returncode == 0, done.stdout
    stored_intact(serve_starttls, letter, protocol="ESMTPSA")


@pytest.mark.parametrize("mechanism", ["LOGIN", "SCRAM-SHA-256", "on"])
def test_auth(
    mechanism: str, row: Row, tmp_path: Path, serve_starttls: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", {"on": "best common"}.get(mechanism, mechanism)
    letter = make_letter()
    done = msmtp(serve_starttls.port, letter, tmp_path, *_trust(certificates), *_login(robot, mechanism))
    assert done.returncode == 0, done.stdout
    stored_intact(serve_starttls, letter, protocol="ESMTPSA")


def test_implicit_tls(
    row: Row, tmp_path: Path, serve_implicit: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "implicit", "SCRAM-SHA-256"
    letter = make_letter("dots")
    settings = [*_trust(certificates, starttls=False), *_login(robot, "SCRAM-SHA-256")]
    done = msmtp(serve_implicit.port, letter, tmp_path, *settings)
    assert done.returncode == 0, done.stdout
    stored_intact(serve_implicit, letter, protocol="ESMTPSA")


def test_no_tls_no_auth(row: Row, tmp_path: Path, serve_open: SmtpxServe) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter("eight-bit")
    done = msmtp(serve_open.port, letter, tmp_path)
    assert done.returncode == 0, done.stdout
    stored_intact(serve_open, letter, protocol="ESMTP")


def test_several_recipients(row: Row, tmp_path: Path, serve_starttls: SmtpxServe, login: list[str]) -> None:
    row.tls, row.auth = "STARTTLS", "PLAIN"
    letter = make_letter("dots")
    recipients = [f"user{number}@example.test" for number in range(40)]
    done = msmtp(serve_starttls.port, letter, tmp_path, *login, envelope=Envelope(recipients))
    assert done.returncode == 0, done.stdout
    stored_intact(serve_starttls, letter, recipients=recipients, protocol="ESMTPSA")


def test_null_sender(row: Row, tmp_path: Path, serve_starttls: SmtpxServe, login: list[str]) -> None:
    row.tls, row.auth = "STARTTLS", "PLAIN"
    letter = make_letter()
    done = msmtp(serve_starttls.port, letter, tmp_path, *login, envelope=Envelope(sender=""))
    assert done.returncode == 0, done.stdout
    stored_intact(serve_starttls, letter, sender="", protocol="ESMTPSA")


def test_lmtp(row: Row, tmp_path: Path, serve_lmtp: SmtpxServe) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter("dots")
    recipients = ["alice@example.test", "bob@example.test"]
    done = msmtp(serve_lmtp.port, letter, tmp_path, "protocol lmtp", envelope=Envelope(recipients))
    assert done.returncode == 0, done.stdout
    stored_intact(serve_lmtp, letter, recipients=recipients, protocol="LMTP")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
def test_wrong_password_is_refused(
    mechanism: str, row: Row, tmp_path: Path, serve_wrong_logins: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", f"{mechanism}, wrong"
    letter = make_letter()
    wrong = _login(Account(robot.user, "not-the-one"), mechanism)
    done = msmtp(serve_wrong_logins.port, letter, tmp_path, *_trust(certificates), *wrong)
    assert done.returncode == _NO_PERMISSION, done.stdout
    assert "535" in done.stdout
    assert not serve_wrong_logins.maildir.find(letter)


def test_certificate_is_really_checked(
    row: Row, tmp_path: Path, serve_starttls: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS, unknown CA", "PLAIN"
    settings = ["tls on", "tls_starttls on", "tls_trust_file system", *_login(robot, "PLAIN")]
    done = msmtp(serve_starttls.port, make_letter(), tmp_path, *settings)
    assert done.returncode != 0, done.stdout
    assert "TLS certificate verification failed" in done.stdout


def test_too_large_is_refused(row: Row, tmp_path: Path, serve_narrow: SmtpxServe) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter("megabyte")
    done = msmtp(serve_narrow.port, letter, tmp_path)
    assert done.returncode != 0, done.stdout
    assert "552" in done.stdout
    assert not serve_narrow.maildir.find(letter)


@_BY_LIBRARY
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "CRAM-MD5"])
def test_other_mechanisms(
    mechanism: str, row: Row, tmp_path: Path, serve_by_library: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", mechanism
    letter = make_letter()
    done = msmtp(serve_by_library.port, letter, tmp_path, *_trust(certificates), *_login(robot, mechanism))
    assert done.returncode == 0, done.stdout
    stored_intact(serve_by_library, letter, protocol="ESMTPSA")
    serve_by_library.wait_for_log(f"logged in by {mechanism}\n")


@_BY_LIBRARY
@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_token(
    mechanism: str, row: Row, tmp_path: Path, serve_by_library: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", mechanism
    letter = make_letter()
    settings = [*_trust(certificates), *_login(Account(robot.user, TOKEN), mechanism)]
    done = msmtp(serve_by_library.port, letter, tmp_path, *settings)
    assert done.returncode == 0, done.stdout
    stored_intact(serve_by_library, letter, protocol="ESMTPSA")
    serve_by_library.wait_for_log(f"logged in by {mechanism}\n")


@_BY_LIBRARY
@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_wrong_token_is_refused(
    mechanism: str, row: Row, tmp_path: Path, serve_by_library: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", f"{mechanism}, wrong"
    settings = [*_trust(certificates), *_login(Account(robot.user, "not-the-one"), mechanism)]
    done = msmtp(serve_by_library.port, make_letter(), tmp_path, *settings)
    assert done.returncode == _NO_PERMISSION, done.stdout


@_BY_LIBRARY
def test_client_certificate(
    row: Row, tmp_path: Path, serve_by_library: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS, client certificate", "EXTERNAL"
    letter = make_letter()
    client = certificates.client_key_and_chain
    settings = [*_trust(certificates), f"tls_key_file {client}", f"tls_cert_file {client}", "auth external", "user ''"]
    done = msmtp(serve_by_library.port, letter, tmp_path, *settings)
    assert done.returncode == 0, done.stdout
    stored_intact(serve_by_library, letter, protocol="ESMTPSA")
    serve_by_library.wait_for_log("logged in by EXTERNAL\n")


@_BY_LIBRARY
def test_delivery_reports_are_asked_for(
    row: Row, tmp_path: Path, serve_by_library: SmtpxServe, certificates: Certificates
) -> None:
    row.tls, row.auth = "STARTTLS", "none"
    letter = make_letter()
    settings = [*_trust(certificates), "dsn_return headers", "dsn_notify failure,success"]
    done = msmtp(serve_by_library.port, letter, tmp_path, *settings)
    assert done.returncode == 0, done.stdout
    log = serve_by_library.wait_for_log("RCPT alice@example.test")
    assert "RET=HDRS" in log
    (notify,) = re.findall(r"NOTIFY=(\S+)", log)
    assert set(notify.split(",")) == {"SUCCESS", "FAILURE"}


@_BY_LIBRARY
def test_one_refused_of_two(row: Row, tmp_path: Path, serve_by_library: SmtpxServe, certificates: Certificates) -> None:
    """msmtp sends to all or to nobody."""
    row.tls, row.auth = "STARTTLS", "none"
    letter = make_letter()
    envelope = Envelope(["alice@example.test", "nobody@example.test"])
    done = msmtp(serve_by_library.port, letter, tmp_path, *_trust(certificates), envelope=envelope)
    assert done.returncode == _BAD_DATA, done.stdout
    assert "550 5.1.1" in done.stdout
    assert not serve_by_library.maildir.find(letter)
