"""Exim sends to `smtpx serve`: PIPELINING, CHUNKING, STARTTLS, implicit TLS, AUTH, LMTP."""

import re
import smtplib
from collections.abc import Mapping, Sequence

import pytest

from .certificates import Certificates
from .checks import stored_intact
from .conftest import StartExim
from .exim import Exim, Way
from .letters import KINDS, Letter, make_letter
from .serving import SmtpxServe
from .table import Row

pytestmark = pytest.mark.peer("Exim", direction="Exim → smtpx serve")
_BY_LIBRARY = pytest.mark.peer("Exim", direction="Exim → smtpx.Server")


@pytest.fixture(scope="module")
def relay(
    start_exim: StartExim,
    certificates: Certificates,
    serve_starttls: SmtpxServe,
    serve_wrong_logins: SmtpxServe,
    serve_implicit: SmtpxServe,
    serve_open: SmtpxServe,
    serve_lmtp: SmtpxServe,
    serve_lmtp_socket: SmtpxServe,
    serve_by_library: SmtpxServe,
    serve_lmtp_by_library: SmtpxServe,
) -> Exim:
    """Exim that sends on what comes, to a server chosen by the recipient's domain; the first label names the way."""
    verified = {
        "tls_verify_certificates": str(certificates.authority),
        "tls_verify_hosts": "*",
        "tls_verify_cert_hostnames": "*",
        "hosts_require_tls": "*",
    }
    login = {**verified, "hosts_require_auth": "*"}
    client = {"tls_certificate": "$spool_directory/../client.pem"}
    untrusting = {**login, "tls_verify_certificates": "system"}
    plain = {"hosts_avoid_tls": "*"}
    return start_exim(
        "exim-relay",
        ways=[
            Way("plain.test", serve_starttls.port, login),
            Way("login.test", serve_starttls.port, login),
            Way("wrong.test", serve_wrong_logins.port, login),
            Way("cram.test", serve_by_library.port, login),
            Way("external.test", serve_by_library.port, {**login, **client}),
            Way("refusing.test", serve_by_library.port, verified),
            Way("untrusted.test", serve_starttls.port, untrusting),
            Way("implicit.test", serve_implicit.port, {**login, "protocol": "smtps"}),
            Way("open.test", serve_open.port, plain),
            Way("lockstep.test", serve_open.port, {**plain, "hosts_avoid_pipelining": "*", "hosts_try_chunking": ""}),
            Way("lmtp.test", serve_lmtp.port, {**plain, "protocol": "lmtp"}),
            Way("lmtp-refusing.test", serve_lmtp_by_library.port, {**verified, "protocol": "lmtp"}),
            Way("socket.test", 0, {"socket": serve_lmtp_socket.socket_path}, driver="lmtp"),
        ],
        mailboxes={"sender@example.org": "sender"},
    )


def _submit(relay: Exim, letter: Letter, recipients: Sequence[str], *, sender: str = "sender@example.org") -> None:
    with smtplib.SMTP("127.0.0.1", relay.port("intake"), timeout=30) as session:
        session.ehlo()
        options = ["SMTPUTF8"] if letter.kind == "utf8-headers" else []
        refused = session.sendmail(sender, recipients, letter.octets, options)
    assert not refused


def _fields(log: str) -> Mapping[str, str]:
    """What Exim's line of a delivery says, by its letters: X the cipher, CV verified, A the authenticator."""
    (line,) = (line for line in log.splitlines() if re.search(" [=-]> ", line) and " C=" in line)
    return dict(re.findall(r" (\w+)=(\S+)", line))


@pytest.mark.parametrize("kind", KINDS)
def test_message(kind: str, row: Row, relay: Exim, serve_starttls: SmtpxServe) -> None:
    row.tls, row.auth = "STARTTLS", "PLAIN"
    letter = make_letter(kind)
    _submit(relay, letter, ["alice@plain.test"])
    stored_intact(serve_starttls, letter, recipients=["alice@plain.test"], protocol="(UTF8SMTPSA|ESMTPSA)")
    fields = _fields(relay.log.wait_for(" Completed "))
    assert fields["CV"] == "yes"
    assert fields["A"] == "plain"


@pytest.mark.parametrize(
    ("domain", "tls", "mechanism"),
    [("login.test", "STARTTLS", "LOGIN"), ("implicit.test", "implicit", "PLAIN")],
)
def test_auth(
    domain: str,
    tls: str,
    mechanism: str,
    row: Row,
    relay: Exim,
    serve_starttls: SmtpxServe,
    serve_implicit: SmtpxServe,
) -> None:
    row.tls, row.auth = tls, mechanism
    letter = make_letter("dots")
    _submit(relay, letter, [f"alice@{domain}"])
    server = serve_implicit if tls == "implicit" else serve_starttls
    stored_intact(server, letter, recipients=[f"alice@{domain}"], protocol="ESMTPSA")
    fields = _fields(relay.log.wait_for(" Completed "))
    assert fields["CV"] == "yes"
    assert fields["A"] == mechanism.lower()


@_BY_LIBRARY
def test_cram_md5(row: Row, relay: Exim, serve_by_library: SmtpxServe) -> None:
    row.tls, row.auth = "STARTTLS", "CRAM-MD5"
    letter = make_letter()
    _submit(relay, letter, ["alice@cram.test"])
    stored_intact(serve_by_library, letter, recipients=["alice@cram.test"], protocol="ESMTPSA")
    serve_by_library.wait_for_log("logged in by CRAM-MD5\n")


@_BY_LIBRARY
def test_client_certificate(row: Row, relay: Exim, serve_by_library: SmtpxServe) -> None:
    row.tls, row.auth = "STARTTLS, client certificate", "EXTERNAL"
    letter = make_letter()
    _submit(relay, letter, ["alice@external.test"])
    stored_intact(serve_by_library, letter, recipients=["alice@external.test"], protocol="ESMTPSA")
    serve_by_library.wait_for_log("logged in by EXTERNAL\n")


@pytest.mark.parametrize("kind", ["dots", "eight-bit", "megabyte"])
def test_no_tls(kind: str, row: Row, relay: Exim, serve_open: SmtpxServe) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter(kind)
    recipients = ["alice@open.test", "bob@open.test"]
    _submit(relay, letter, recipients)
    stored_intact(serve_open, letter, recipients=recipients, protocol="ESMTP")
    # K: by CHUNKING; L: by PIPELINING.
    assert re.search(r" => alice@open\.test .* K ", relay.log.wait_for(" Completed "))


@pytest.mark.parametrize("kind", ["dots", "eight-bit"])
def test_neither_chunking_nor_pipelining(kind: str, row: Row, relay: Exim, serve_open: SmtpxServe) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter(kind)
    _submit(relay, letter, ["alice@lockstep.test"])
    stored_intact(serve_open, letter, recipients=["alice@lockstep.test"], protocol="ESMTP")
    assert not re.search(r" => alice@lockstep\.test .* [KL] ", relay.log.wait_for(" Completed "))


def test_many_recipients_in_one_transaction(row: Row, relay: Exim, serve_starttls: SmtpxServe) -> None:
    row.tls, row.auth = "STARTTLS", "PLAIN"
    letter = make_letter()
    recipients = [f"user{number}@plain.test" for number in range(50)]
    _submit(relay, letter, recipients)
    stored_intact(serve_starttls, letter, recipients=recipients, protocol="ESMTPSA")


def test_non_ascii_address(row: Row, relay: Exim, serve_starttls: SmtpxServe) -> None:
    row.tls, row.auth = "STARTTLS", "PLAIN"
    letter = make_letter("utf8-headers")
    _submit(relay, letter, ["jürgen@plain.test"])
    stored_intact(serve_starttls, letter, recipients=["jürgen@plain.test"], protocol="UTF8SMTPSA")


def test_lmtp(row: Row, relay: Exim, serve_lmtp: SmtpxServe) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter("dots")
    recipients = ["alice@lmtp.test", "bob@lmtp.test"]
    _submit(relay, letter, recipients)
    stored_intact(serve_lmtp, letter, recipients=recipients, protocol="LMTP")


def test_lmtp_on_a_unix_socket(row: Row, relay: Exim, serve_lmtp_socket: SmtpxServe) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter("dots")
    _submit(relay, letter, ["alice@socket.test"])
    stored_intact(serve_lmtp_socket, letter, recipients=["alice@socket.test"], protocol="LMTP")


@_BY_LIBRARY
@pytest.mark.parametrize("domain", ["refusing.test", "lmtp-refusing.test"])
def test_one_refused_of_two(
    domain: str, row: Row, relay: Exim, serve_by_library: SmtpxServe, serve_lmtp_by_library: SmtpxServe
) -> None:
    row.tls, row.auth = "STARTTLS", "none"
    letter = make_letter()
    server, protocol = (serve_lmtp_by_library, "LMTPS") if domain.startswith("lmtp") else (serve_by_library, "ESMTPS")
    _submit(relay, letter, [f"nobody@{domain}", f"alice@{domain}"])
    stored_intact(server, letter, recipients=[f"alice@{domain}"], protocol=protocol)
    assert f"RCPT TO:<nobody@{domain}>: 550 5.1.1" in relay.log.wait_for(f"** nobody@{domain}")


@_BY_LIBRARY
def test_delivery_reports_are_asked_for(row: Row, relay: Exim, serve_by_library: SmtpxServe) -> None:
    row.tls, row.auth = "STARTTLS", "none"
    letter = make_letter()
    with smtplib.SMTP("127.0.0.1", relay.port("intake"), timeout=30) as session:
        session.ehlo()
        session.sendmail(
            "sender@example.org",
            ["alice@refusing.test"],
            letter.octets,
            mail_options=["RET=HDRS", "ENVID=an+20id"],
            rcpt_options=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;boss@example.org"],
        )
    log = serve_by_library.wait_for_log("RCPT alice@refusing.test")
    assert "ENVID=an+20id RET=HDRS" in log
    assert "NOTIFY=SUCCESS,FAILURE ORCPT=RFC822;boss@example.org" in log


def test_burst_over_many_connections(row: Row, relay: Exim, serve_starttls: SmtpxServe) -> None:
    row.tls, row.auth = "STARTTLS", "PLAIN"
    letters = [make_letter("dots") for _ in range(20)]
    for letter in letters:
        _submit(relay, letter, ["alice@plain.test"])
    for letter in letters:
        stored_intact(serve_starttls, letter, recipients=["alice@plain.test"], protocol="ESMTPSA")


def test_wrong_password_is_refused(row: Row, relay: Exim, serve_wrong_logins: SmtpxServe) -> None:
    row.tls, row.auth = "STARTTLS", "wrong"
    letter = make_letter()
    _submit(relay, letter, ["alice@wrong.test"])
    relay.log.wait_for("535 5.7.8")
    assert not serve_wrong_logins.maildir.find(letter)


def test_certificate_is_really_checked(row: Row, relay: Exim, serve_starttls: SmtpxServe) -> None:
    row.tls, row.auth = "STARTTLS, unknown CA", "none"
    letter = make_letter()
    _submit(relay, letter, ["alice@untrusted.test"])
    relay.log.wait_for("certificate verification failed")
    assert not serve_starttls.maildir.find(letter)
