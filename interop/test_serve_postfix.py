"""Postfix, and its load generator, send to `smtpx serve`."""

from pathlib import Path

import pytest

from .checks import stored_intact
from .children import wait_until
from .clients import Envelope, smtp_source
from .conftest import Serve, StartPostfix
from .letters import KINDS, Letter, make_letter
from .postfix import Account, Postfix
from .relaying import Routes, relay_plan, submit
from .serving import SmtpxServe
from .table import Row

_POSTFIX = pytest.mark.peer("Postfix", direction="Postfix → smtpx serve")


@pytest.fixture(scope="module")
def relay(
    start_postfix: StartPostfix,
    serve_starttls: SmtpxServe,
    serve_implicit: SmtpxServe,
    serve_open: SmtpxServe,
    serve_lmtp: SmtpxServe,
    robot: Account,
) -> Postfix:
    """Postfix that relays everything to one of the smtpx servers."""
    servers = (serve_starttls, serve_implicit, serve_open, serve_lmtp)
    routes = Routes(*(server.port for server in servers))
    return start_postfix("relay", relay_plan(routes, robot))


@_POSTFIX
@pytest.mark.parametrize("kind", KINDS)
def test_relayhost_with_sendmail(kind: str, row: Row, relay: Postfix, serve_starttls: SmtpxServe) -> None:
    row.tls, row.auth = "STARTTLS, level encrypt", "best common"
    letter = make_letter(kind)
    relay.inject(letter.octets, "sender@example.org", ["alice@example.test"])
    stored_intact(serve_starttls, letter, protocol="(UTF8SMTPSA|ESMTPSA)")
    assert "TLS connection established to localhost" in relay.log.wait_for("status=sent (250")


@_POSTFIX
@pytest.mark.parametrize("kind", KINDS)
def test_verified_starttls(kind: str, row: Row, relay: Postfix, serve_starttls: SmtpxServe) -> None:
    row.tls, row.auth = "STARTTLS, level secure", "best common"
    letter = make_letter(kind)
    submit(relay, letter, ["alice@secure.test"])
    stored_intact(serve_starttls, letter, recipients=["alice@secure.test"], protocol="(UTF8SMTPSA|ESMTPSA)")
    assert "Verified TLS connection established" in relay.log.wait_for("status=sent (250")


@_POSTFIX
def test_example(example: Letter, row: Row, relay: Postfix, serve_starttls: SmtpxServe) -> None:
    row.tls, row.auth = "STARTTLS, level secure", "best common"
    submit(relay, example, ["alice@secure.test"])
    stored_intact(serve_starttls, example, recipients=["alice@secure.test"], protocol="(UTF8SMTPSA|ESMTPSA)")


@_POSTFIX
def test_auth_login(row: Row, relay: Postfix, serve_starttls: SmtpxServe) -> None:
    row.tls, row.auth = "STARTTLS, level secure", "LOGIN"
    letter = make_letter()
    submit(relay, letter, ["alice@login.test"])
    stored_intact(serve_starttls, letter, recipients=["alice@login.test"], protocol="ESMTPSA")


@_POSTFIX
def test_implicit_tls(row: Row, relay: Postfix, serve_implicit: SmtpxServe) -> None:
    row.tls, row.auth = "implicit, level secure", "best common"
    letter = make_letter("dots")
    submit(relay, letter, ["alice@implicit.test"])
    stored_intact(serve_implicit, letter, recipients=["alice@implicit.test"], protocol="ESMTPSA")


@_POSTFIX
def test_no_tls(row: Row, relay: Postfix, serve_open: SmtpxServe) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter("eight-bit")
    submit(relay, letter, ["alice@open.test"], "BODY=8BITMIME")
    stored_intact(serve_open, letter, recipients=["alice@open.test"], protocol="ESMTP")


@_POSTFIX
def test_lmtp(row: Row, relay: Postfix, serve_lmtp: SmtpxServe) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter("dots")
    recipients = ["alice@lmtp.test", "bob@lmtp.test"]
    submit(relay, letter, recipients)
    stored_intact(serve_lmtp, letter, recipients=recipients, protocol="LMTP")


@_POSTFIX
def test_many_recipients_in_one_transaction(row: Row, relay: Postfix, serve_starttls: SmtpxServe) -> None:
    row.tls, row.auth = "STARTTLS, level secure", "best common"
    letter = make_letter()
    recipients = [f"user{number}@secure.test" for number in range(50)]
    submit(relay, letter, recipients)
    stored_intact(serve_starttls, letter, recipients=recipients, protocol="ESMTPSA")


@_POSTFIX
def test_non_ascii_address(row: Row, relay: Postfix, serve_starttls: SmtpxServe) -> None:
    row.tls, row.auth = "STARTTLS, level secure", "best common"
    letter = make_letter("utf8-headers")
    submit(relay, letter, ["jürgen@secure.test"], "SMTPUTF8", "BODY=8BITMIME")
    (delivered,) = serve_starttls.maildir.wait_for(letter)
    assert delivered.octets == letter.octets
    assert "jürgen@secure.test".encode() in delivered.trace
    assert b"with UTF8SMTPSA" in delivered.trace


@_POSTFIX
def test_burst_over_many_connections(row: Row, relay: Postfix, serve_starttls: SmtpxServe) -> None:
    row.tls, row.auth = "STARTTLS, level secure", "best common"
    letters = [make_letter("dots") for _ in range(60)]
    for letter in letters:
        submit(relay, letter, ["alice@secure.test"])
    for letter in letters:
        stored_intact(serve_starttls, letter, recipients=["alice@secure.test"], protocol="ESMTPSA")


@_POSTFIX
def test_recipients_beyond_the_limit_come_later(
    row: Row, relay: Postfix, start_postfix: StartPostfix, serve: Serve, robot: Account
) -> None:
    row.tls, row.auth = "none", "none"
    server = serve("few-recipients", "--max-recipients", "2")
    routes = Routes(starttls=server.port, implicit=server.port, open=server.port)
    patient = start_postfix("patient-relay", relay_plan(routes, robot))
    letter = make_letter()
    recipients = [f"user{number}@open.test" for number in range(5)]
    submit(patient, letter, recipients)
    copies = server.maildir.wait_for(letter, copies=3, timeout_seconds=60)
    stored = [value for copy in copies for value in copy.trace_values("Delivered-To")]
    assert sorted(value.strip("<> ") for value in stored) == recipients
    assert all(copy.octets == letter.octets for copy in copies)


@_POSTFIX
def test_wrong_password_is_refused(row: Row, relay: Postfix, serve_starttls: SmtpxServe) -> None:
    row.tls, row.auth = "STARTTLS, level secure", "wrong"
    letter = make_letter()
    relay.inject(letter.octets, "", ["alice@wrong.test"])
    assert "said: 535 5.7.8" in relay.log.wait_for("status=bounced")
    assert not serve_starttls.maildir.find(letter)


@pytest.mark.peer("smtp-source", direction="smtp-source → smtpx serve")
@pytest.mark.parametrize("reconnecting", [(), ("-d",)], ids=["new connections", "kept connections"])
def test_many_messages(reconnecting: tuple[str, ...], row: Row, serve_open: SmtpxServe) -> None:
    row.tls, row.auth = "none", "none"
    new = serve_open.maildir.path / "new"
    before = set(new.glob("*"))
    options = ["-s", "8", "-m", "200", "-l", "20000", *reconnecting]
    done = smtp_source(serve_open.port, *options, envelope=Envelope(["load@example.test"]))
    assert done.returncode == 0, done.stdout
    wait_until(lambda: len(set(new.glob("*")) - before) >= 200, timeout_seconds=30)
    bodies = {_body_size(path) for path in set(new.glob("*")) - before}
    assert len(bodies) == 1, "the messages differ in length"
    assert bodies.pop() > 19_000


def _body_size(path: Path) -> int:
    return len(path.read_bytes().partition(b"\r\n\r\n")[2])
