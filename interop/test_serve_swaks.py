"""swaks sends to `smtpx serve`."""

from pathlib import Path

import pytest

from .certificates import Certificates
from .checks import stored_intact
from .clients import Envelope, swaks, swaks_login, swaks_trust
from .letters import KINDS, Letter, make_letter
from .postfix import Account
from .serving import SmtpxServe
from .table import Row

pytestmark = pytest.mark.peer("swaks", direction="swaks → smtpx serve")

# Exit statuses of swaks: what it was refused.
_MAIL_REFUSED, _AUTH_FAILED, _NO_TLS = 23, 28, 29


@pytest.fixture
def login(certificates: Certificates, robot: Account) -> list[str]:
    """Options for verified STARTTLS and AUTH PLAIN."""
    return [*swaks_trust(certificates.authority), *swaks_login(robot, "PLAIN")]


@pytest.mark.parametrize("kind", KINDS)
def test_message(kind: str, row: Row, tmp_path: Path, serve_starttls: SmtpxServe, login: list[str]) -> None:
    row.tls, row.auth = "STARTTLS", "PLAIN"
    letter = make_letter(kind)
    done = swaks(serve_starttls.port, letter, tmp_path, *login)
    assert done.returncode == 0, done.stdout
    stored_intact(serve_starttls, letter, protocol="ESMTPSA")


def test_example(example: Letter, row: Row, tmp_path: Path, serve_starttls: SmtpxServe, login: list[str]) -> None:
    row.tls, row.auth = "STARTTLS", "PLAIN"
    done = swaks(serve_starttls.port, example, tmp_path, *login)
    assert done.returncode == 0, done.stdout
    stored_intact(serve_starttls, example, protocol="ESMTPSA")


def test_auth_login(
    row: Row,
    tmp_path: Path,
    serve_starttls: SmtpxServe,
    certificates: Certificates,
    robot: Account,
) -> None:
    row.tls, row.auth = "STARTTLS", "LOGIN"
    letter = make_letter()
    options = [*swaks_trust(certificates.authority), *swaks_login(robot, "LOGIN")]
    done = swaks(serve_starttls.port, letter, tmp_path, *options)
    assert done.returncode == 0, done.stdout
    stored_intact(serve_starttls, letter, protocol="ESMTPSA")


def test_implicit_tls(
    row: Row,
    tmp_path: Path,
    serve_implicit: SmtpxServe,
    certificates: Certificates,
    robot: Account,
) -> None:
    row.tls, row.auth = "implicit", "PLAIN"
    letter = make_letter()
    options = [*swaks_trust(certificates.authority, "--tls-on-connect"), *swaks_login(robot, "PLAIN")]
    done = swaks(serve_implicit.port, letter, tmp_path, *options)
    assert done.returncode == 0, done.stdout
    stored_intact(serve_implicit, letter, protocol="ESMTPSA")


@pytest.mark.parametrize("pipelining", [(), ("--pipeline",)], ids=["in turn", "pipelined"])
def test_several_recipients(
    pipelining: tuple[str, ...],
    row: Row,
    tmp_path: Path,
    serve_starttls: SmtpxServe,
    login: list[str],
) -> None:
    row.tls, row.auth = "STARTTLS", "PLAIN"
    letter = make_letter("dots")
    recipients = [f"user{number}@example.test" for number in range(40)]
    done = swaks(serve_starttls.port, letter, tmp_path, *login, *pipelining, envelope=Envelope(recipients))
    assert done.returncode == 0, done.stdout
    stored_intact(serve_starttls, letter, recipients=recipients, protocol="ESMTPSA")


def test_null_sender(row: Row, tmp_path: Path, serve_starttls: SmtpxServe, login: list[str]) -> None:
    row.tls, row.auth = "STARTTLS", "PLAIN"
    letter = make_letter()
    done = swaks(serve_starttls.port, letter, tmp_path, *login, envelope=Envelope(sender="<>"))
    assert done.returncode == 0, done.stdout
    stored_intact(serve_starttls, letter, sender="", protocol="ESMTPSA")


def test_no_tls_no_auth(row: Row, tmp_path: Path, serve_open: SmtpxServe) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter("dots")
    done = swaks(serve_open.port, letter, tmp_path, "--pipeline")
    assert done.returncode == 0, done.stdout
    stored_intact(serve_open, letter, protocol="ESMTP")


def test_lmtp(row: Row, tmp_path: Path, serve_lmtp: SmtpxServe) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter("dots")
    recipients = ["alice@example.test", "bob@example.test"]
    done = swaks(serve_lmtp.port, letter, tmp_path, "--protocol", "LMTP", envelope=Envelope(recipients))
    assert done.returncode == 0, done.stdout
    stored_intact(serve_lmtp, letter, recipients=recipients, protocol="LMTP")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_wrong_password_is_refused(
    mechanism: str,
    row: Row,
    tmp_path: Path,
    serve_wrong_logins: SmtpxServe,
    certificates: Certificates,
    robot: Account,
) -> None:
    row.tls, row.auth = "STARTTLS", f"{mechanism}, wrong"
    letter = make_letter()
    wrong = swaks_login(Account(robot.user, "not-the-one"), mechanism)
    done = swaks(serve_wrong_logins.port, letter, tmp_path, *swaks_trust(certificates.authority), *wrong)
    assert done.returncode == _AUTH_FAILED, done.stdout
    assert " 535 5.7.8 " in done.stdout
    assert not serve_wrong_logins.maildir.find(letter)


def test_mail_without_login_is_refused(
    row: Row, tmp_path: Path, serve_starttls: SmtpxServe, certificates: Certificates
) -> None:
    row.tls, row.auth = "STARTTLS", "none, refused"
    letter = make_letter()
    done = swaks(serve_starttls.port, letter, tmp_path, *swaks_trust(certificates.authority))
    assert done.returncode == _MAIL_REFUSED, done.stdout
    assert " 530 5.7.0 " in done.stdout


def test_auth_is_not_offered_in_clear(row: Row, tmp_path: Path, serve_starttls: SmtpxServe, robot: Account) -> None:
    row.tls, row.auth = "none", "PLAIN, not offered"
    done = swaks(serve_starttls.port, make_letter(), tmp_path, *swaks_login(robot, "PLAIN"))
    assert done.returncode == _AUTH_FAILED, done.stdout
    assert "STARTTLS" in done.stdout
    assert "250-AUTH" not in done.stdout
    assert "250 AUTH" not in done.stdout


def test_starttls_is_not_offered_without_certificate(
    row: Row, tmp_path: Path, serve_open: SmtpxServe, certificates: Certificates
) -> None:
    row.tls, row.auth = "none offered", "none"
    done = swaks(serve_open.port, make_letter(), tmp_path, *swaks_trust(certificates.authority))
    assert done.returncode == _NO_TLS, done.stdout
