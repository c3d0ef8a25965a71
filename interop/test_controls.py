"""The peers among themselves, without smtpx: when these fail, a peer or its set-up is at fault."""

import smtplib
from pathlib import Path

import pytest

from .certificates import Certificates
from .checks import stored_intact
from .clients import curl, curl_login, curl_trust, msmtp, nodemailer, smtp_source, swaks, swaks_login, swaks_trust
from .conftest import StartKeeper, StartPostfix
from .dovecot import Dovecot
from .exim import Exim
from .keepers import AIOSMTPD, SMTP_SERVER
from .letters import KINDS, Letter, make_letter
from .postfix import Account, Postfix
from .relaying import Routes, relay_plan, submit
from .serving import SmtpxServe
from .table import Row

_HARD = ["dots", "eight-bit", "megabyte"]


@pytest.fixture(scope="module")
def relay(start_postfix: StartPostfix, postfix_server: Postfix, robot: Account) -> Postfix:
    """A second Postfix that relays to the first."""
    ports = [postfix_server.port(name) for name in ("submission", "submissions", "plain")]
    return start_postfix("control-relay", relay_plan(Routes(*ports), robot))


@pytest.mark.peer("swaks", direction="swaks → Postfix (control)")
@pytest.mark.parametrize("kind", KINDS)
def test_swaks_reaches_postfix(
    kind: str,
    row: Row,
    tmp_path: Path,
    postfix_server: Postfix,
    certificates: Certificates,
    robot: Account,
) -> None:
    row.tls, row.auth = "STARTTLS", "PLAIN"
    letter = make_letter(kind)
    options = [*swaks_trust(certificates.authority), *swaks_login(robot, "PLAIN")]
    done = swaks(postfix_server.port("submission"), letter, tmp_path, *options)
    assert done.returncode == 0, done.stdout
    assert postfix_server.maildir("alice").wait_for(letter)[0].octets == letter.unix
    postfix_server.log.wait_for("sasl_method=PLAIN, sasl_username=robot")


@pytest.mark.peer("curl", direction="curl → Postfix (control)")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("scheme", "listener"), [("smtp", "submission"), ("smtps", "submissions")])
def test_curl_reaches_postfix(
    kind: str,
    scheme: str,
    listener: str,
    row: Row,
    tmp_path: Path,
    postfix_server: Postfix,
    certificates: Certificates,
    robot: Account,
) -> None:
    row.tls, row.auth = {"smtp": "STARTTLS", "smtps": "implicit"}[scheme], "LOGIN"
    letter = make_letter(kind)
    options = [*curl_trust(certificates.authority), *curl_login(robot, "LOGIN")]
    url = f"{scheme}://localhost:{postfix_server.port(listener)}/curl.example.org"
    done = curl(url, letter, tmp_path, *options)
    assert done.returncode == 0, done.stdout
    assert postfix_server.maildir("alice").wait_for(letter)[0].octets == letter.unix
    postfix_server.log.wait_for("sasl_method=LOGIN, sasl_username=robot")


@pytest.mark.peer("Postfix", direction="Postfix → Postfix (control)")
@pytest.mark.parametrize("kind", KINDS)
def test_postfix_relays_to_postfix(kind: str, row: Row, postfix_server: Postfix, relay: Postfix) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    letter = make_letter(kind)
    submit(relay, letter, ["alice@example.test"])
    (delivered,) = postfix_server.maildir("alice").wait_for(letter)
    assert len(delivered.trace_values("Received")) == 2
    assert delivered.octets == letter.unix


@pytest.mark.peer("smtp-source", direction="smtp-source → Postfix (control)")
def test_smtp_source_reaches_postfix(row: Row, postfix_server: Postfix) -> None:
    row.tls, row.auth = "none", "none"
    done = smtp_source(postfix_server.port("plain"), "-s", "3", "-m", "12", "-l", "20000")
    assert done.returncode == 0, done.stdout
    postfix_server.log.wait_for("status=sent")


@pytest.mark.peer("Postfix", direction="Postfix → Postfix (control)")
def test_wrong_password_is_noticed(row: Row, relay: Postfix) -> None:
    row.tls, row.auth = "STARTTLS", "wrong"
    relay.inject(make_letter().octets, "", ["alice@wrong.test"])
    assert "status=bounced" in relay.log.wait_for("SASL authentication failed; ")


@pytest.mark.peer("msmtp", "Exim", direction="msmtp → Exim (control)")
@pytest.mark.parametrize("kind", _HARD)
def test_msmtp_reaches_exim(
    kind: str, row: Row, tmp_path: Path, exim_server: Exim, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", "CRAM-MD5"
    letter = make_letter(kind)
    settings = ["tls on", "tls_starttls on", f"tls_trust_file {certificates.authority}", "auth cram-md5"]
    settings += [f"user {robot.user}", f'password "{robot.password}"']
    done = msmtp(exim_server.port("submission"), letter, tmp_path, *settings)
    assert done.returncode == 0, done.stdout
    assert exim_server.maildir("alice").wait_for(letter)[0].octets == letter.unix
    exim_server.log.wait_for(" A=cram:robot ")


@pytest.mark.peer("nodemailer", "smtp-server", direction="nodemailer → smtp-server (control)")
@pytest.mark.parametrize("kind", _HARD)
def test_nodemailer_reaches_smtp_server(
    kind: str, row: Row, tmp_path: Path, start_keeper: StartKeeper, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    letter = make_letter(kind)
    server = start_keeper(f"control-smtp-server-{kind}", SMTP_SERVER)
    content = tmp_path / "letter.eml"
    content.write_bytes(letter.octets)
    transport = {
        "host": "localhost",
        "port": server.port,
        "requireTLS": True,
        "tls": {"ca": str(certificates.authority)},
        "auth": {"user": robot.user, "pass": robot.password},
    }
    mail = {"file": str(content), "envelope": {"from": "sender@example.org", "to": ["alice@example.test"]}}
    (done,) = nodemailer(tmp_path, {"transport": transport, "mail": mail})
    assert "result" in done, done
    assert server.wait_for(letter).octets == letter.octets


@pytest.mark.peer("Dovecot", "swaks", direction="swaks → Dovecot LMTP (control)")
@pytest.mark.parametrize("kind", _HARD)
def test_swaks_reaches_dovecot(
    kind: str, row: Row, tmp_path: Path, dovecot: Dovecot, certificates: Certificates
) -> None:
    row.tls, row.auth = "STARTTLS", "none"
    letter = make_letter(kind)
    options = ["--protocol", "LMTP", *swaks_trust(certificates.authority)]
    done = swaks(dovecot.port("lmtp"), letter, tmp_path, *options)
    assert done.returncode == 0, done.stdout
    assert dovecot.maildir("alice").wait_for(letter)[0].octets == letter.unix


@pytest.mark.peer("smtplib", "aiosmtpd", direction="smtplib → aiosmtpd (control)")
@pytest.mark.parametrize("kind", _HARD)
def test_smtplib_reaches_aiosmtpd(kind: str, row: Row, start_keeper: StartKeeper) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter(kind)
    server = start_keeper(f"control-aiosmtpd-{kind}", AIOSMTPD)
    with smtplib.SMTP("localhost", server.port, timeout=30) as client:
        assert client.sendmail("sender@example.org", ["alice@example.test"], letter.octets) == {}
    assert server.wait_for(letter).octets == letter.octets


@pytest.mark.peer("smtplib", direction="smtplib → smtpx serve (control)")
@pytest.mark.parametrize(
    ("was", "became"),
    [
        (b"\r\n..\r\n", b"\r\n.\r\n"),
        (b" \r\n", b"\r\n"),
        (b"this is all", b"this is alL"),
        (b"all.\r\n", b"all.\r\n\r\n"),
    ],
    ids=["dots", "spaces", "octet", "empty line"],
)
def test_a_changed_message_is_noticed(was: bytes, became: bytes, row: Row, serve_open: SmtpxServe) -> None:
    """What every test of a server of ours relies on."""
    row.tls, row.auth = "none", "none"
    small = make_letter()
    letter = Letter("mixed", small.marker, small.octets.replace(b"this", b"..\r\nspaces \r\nthis"))
    assert was in letter.octets
    with smtplib.SMTP("localhost", serve_open.port, timeout=30) as client:
        client.sendmail("sender@example.org", ["alice@example.test"], letter.octets.replace(was, became))
    with pytest.raises(AssertionError, match="changed on the way"):
        stored_intact(serve_open, letter)
