"""nodemailer sends to `smtpx serve`, and to a server of the library's for the mechanisms that `smtpx serve` has not."""

import email
import email.policy
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from .certificates import Certificates
from .checks import stored_intact
from .clients import Envelope, nodemailer
from .letters import KINDS, Letter, make_letter
from .postfix import Account
from .serving import TOKEN, SmtpxServe
from .table import Row

pytestmark = pytest.mark.peer("nodemailer", direction="nodemailer → smtpx serve")
_BY_LIBRARY = pytest.mark.peer("nodemailer", direction="nodemailer → smtpx.Server")


def _transport(
    server: SmtpxServe, certificates: Certificates | None = None, *, secure: bool = False, **options: object
) -> dict[str, object]:
    tls = {"tls": {"ca": str(certificates.authority)}, "requireTLS": True} if certificates else {"ignoreTLS": True}
    return {"host": "localhost", "port": server.port, "name": "node.example.org", "secure": secure, **tls, **options}


def _login(account: Account, mechanism: str = "") -> dict[str, object]:
    auth: dict[str, object] = {"auth": {"user": account.user, "pass": account.password}}
    return {**auth, "authMethod": mechanism} if mechanism else auth


def _send(
    directory: Path,
    transport: Mapping[str, object],
    letter: Letter,
    envelope: Envelope | None = None,
    **more: object,
) -> dict[str, Any]:
    envelope = envelope or Envelope()
    content = directory / "letter.eml"
    content.write_bytes(letter.octets)
    mail = {
        "file": str(content),
        "envelope": {"from": envelope.sender, "to": [*envelope.recipients], **more},
    }
    (done,) = nodemailer(directory, {"transport": transport, "mail": mail})
    return done


def _sent(done: dict[str, Any], *recipients: str) -> None:
    assert "result" in done, done
    assert done["result"]["accepted"] == [*recipients], done
    assert not done["result"]["rejected"], done


@pytest.mark.parametrize("kind", KINDS)
def test_message(
    kind: str, row: Row, tmp_path: Path, serve_starttls: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    letter = make_letter(kind)
    _sent(_send(tmp_path, _transport(serve_starttls, certificates, **_login(robot)), letter), "alice@example.test")
    stored_intact(serve_starttls, letter, protocol="ESMTPSA")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_implicit_tls(
    mechanism: str, row: Row, tmp_path: Path, serve_implicit: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "implicit", mechanism
    letter = make_letter("dots")
    transport = _transport(serve_implicit, certificates, secure=True, **_login(robot, mechanism))
    _sent(_send(tmp_path, transport, letter), "alice@example.test")
    stored_intact(serve_implicit, letter, protocol="ESMTPSA")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_auth(
    mechanism: str, row: Row, tmp_path: Path, serve_starttls: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", mechanism
    letter = make_letter()
    transport = _transport(serve_starttls, certificates, **_login(robot, mechanism))
    _sent(_send(tmp_path, transport, letter), "alice@example.test")
    stored_intact(serve_starttls, letter, protocol="ESMTPSA")


def test_no_tls_no_auth(row: Row, tmp_path: Path, serve_open: SmtpxServe) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter("dots")
    _sent(_send(tmp_path, _transport(serve_open), letter), "alice@example.test")
    stored_intact(serve_open, letter, protocol="ESMTP")


def test_composed_with_an_attachment(
    row: Row, tmp_path: Path, serve_starttls: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    letter = make_letter()
    name, mark = letter.marker.decode().split(": ")
    content = random.Random(5321).randbytes(1_500_000)
    (tmp_path / "attachment").write_bytes(content)
    mail = {
        "from": "Jürgen <sender@example.org>",
        "to": "alice@example.test",
        "subject": "Grüße 🎉",
        "text": "Grüße aus 東京\r\n.\r\n..\r\n" + "x" * 3000,
        "html": "<p>Grüße</p>",
        "attachment": str(tmp_path / "attachment"),
        "headers": {name: mark},
    }
    transport = _transport(serve_starttls, certificates, **_login(robot))
    (done,) = nodemailer(tmp_path, {"transport": transport, "mail": mail})
    _sent(done, "alice@example.test")
    path = _only_file_with(serve_starttls.maildir.path, mark.encode())
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert message["Subject"] == "Grüße 🎉"
    text = message.get_body(("plain",))
    assert text is not None
    assert text.get_content().replace("\r\n", "\n").rstrip() == mail["text"].replace("\r\n", "\n")
    (attachment,) = message.iter_attachments()
    assert attachment.get_content() == content


def _only_file_with(maildir: Path, mark: bytes) -> Path:
    (path,) = (path for path in (maildir / "new").glob("*") if mark in path.read_bytes())
    return path


def test_non_ascii_recipient(
    row: Row, tmp_path: Path, serve_starttls: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    letter = make_letter("utf8-headers")
    transport = _transport(serve_starttls, certificates, **_login(robot))
    envelope = Envelope(["jürgen@example.test"])
    _sent(_send(tmp_path, transport, letter, envelope), "jürgen@example.test")
    stored_intact(serve_starttls, letter, recipients=envelope.recipients, protocol="UTF8SMTPSA")


def test_lmtp(row: Row, tmp_path: Path, serve_lmtp: SmtpxServe) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter("dots")
    envelope = Envelope(["alice@example.test", "bob@example.test"])
    _sent(_send(tmp_path, _transport(serve_lmtp, lmtp=True), letter, envelope), *envelope.recipients)
    stored_intact(serve_lmtp, letter, recipients=envelope.recipients, protocol="LMTP")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_wrong_password_is_refused(
    mechanism: str, row: Row, tmp_path: Path, serve_wrong_logins: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", f"{mechanism}, wrong"
    letter = make_letter()
    login = _login(Account(robot.user, "not-the-one"), mechanism)
    done = _send(tmp_path, _transport(serve_wrong_logins, certificates, **login), letter)
    assert done["error"]["code"] == "EAUTH", done
    assert done["error"]["response"].startswith("535 5.7.8"), done
    assert not serve_wrong_logins.maildir.find(letter)


def test_certificate_is_really_checked(row: Row, tmp_path: Path, serve_starttls: SmtpxServe, robot: Account) -> None:
    row.tls, row.auth = "STARTTLS, unknown CA", "none"
    transport = {**_transport(serve_starttls), "ignoreTLS": False, "requireTLS": True, **_login(robot)}
    done = _send(tmp_path, transport, make_letter())
    assert "unable to verify the first certificate" in done["error"]["message"], done


@_BY_LIBRARY
def test_one_refused_of_two(
    row: Row, tmp_path: Path, serve_by_library: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", "PLAIN"
    letter = make_letter()
    envelope = Envelope(["alice@example.test", "nobody@example.test"])
    transport = _transport(serve_by_library, certificates, **_login(robot, "PLAIN"))
    done = _send(tmp_path, transport, letter, envelope)
    assert done["result"]["accepted"] == ["alice@example.test"], done
    assert done["result"]["rejected"] == ["nobody@example.test"], done
    stored_intact(serve_by_library, letter, protocol="ESMTPSA")


@_BY_LIBRARY
def test_cram_md5(
    row: Row, tmp_path: Path, serve_by_library: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", "CRAM-MD5"
    letter = make_letter()
    transport = _transport(serve_by_library, certificates, **_login(robot, "CRAM-MD5"))
    _sent(_send(tmp_path, transport, letter), "alice@example.test")
    stored_intact(serve_by_library, letter, protocol="ESMTPSA")
    serve_by_library.wait_for_log("logged in by CRAM-MD5\n")


@_BY_LIBRARY
def test_xoauth2(
    row: Row, tmp_path: Path, serve_by_library: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", "XOAUTH2"
    letter = make_letter()
    auth = {"auth": {"type": "OAuth2", "user": robot.user, "accessToken": TOKEN}}
    _sent(_send(tmp_path, _transport(serve_by_library, certificates, **auth), letter), "alice@example.test")
    stored_intact(serve_by_library, letter, protocol="ESMTPSA")
    serve_by_library.wait_for_log("logged in by XOAUTH2\n")


@_BY_LIBRARY
def test_wrong_token_is_refused(
    row: Row, tmp_path: Path, serve_by_library: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", "XOAUTH2, wrong"
    auth = {"auth": {"type": "OAuth2", "user": robot.user, "accessToken": "not-the-one"}}
    done = _send(tmp_path, _transport(serve_by_library, certificates, **auth), make_letter())
    assert done["error"]["code"] in ("EAUTH", "EOAUTH2"), done


@_BY_LIBRARY
def test_delivery_reports_are_asked_for(
    row: Row, tmp_path: Path, serve_by_library: SmtpxServe, certificates: Certificates
) -> None:
    row.tls, row.auth = "STARTTLS", "none"
    dsn = {"id": "an+id=1", "return": "headers", "notify": ["success", "delay"], "recipient": "boss@example.org"}
    done = _send(tmp_path, _transport(serve_by_library, certificates), make_letter(), dsn=dsn)
    _sent(done, "alice@example.test")
    log = serve_by_library.wait_for_log("RCPT alice@example.test")
    assert "ENVID=an+2Bid+3D1 RET=HDRS" in log
    assert "ORCPT=rfc822;boss@example.org" in log.replace("RFC822", "rfc822")
    (notify,) = re.findall(r"NOTIFY=(\S+)", log)
    assert set(notify.split(",")) == {"SUCCESS", "DELAY"}


@_BY_LIBRARY
def test_lmtp_one_refused_of_two(
    row: Row, tmp_path: Path, serve_lmtp_by_library: SmtpxServe, certificates: Certificates
) -> None:
    row.tls, row.auth = "STARTTLS", "none"
    letter = make_letter()
    envelope = Envelope(["nobody@example.test", "alice@example.test"])
    transport = _transport(serve_lmtp_by_library, certificates, lmtp=True)
    done = _send(tmp_path, transport, letter, envelope)
    assert done["result"]["accepted"] == ["alice@example.test"], done
    assert done["result"]["rejected"] == ["nobody@example.test"], done
    stored_intact(serve_lmtp_by_library, letter, protocol="LMTPS")
