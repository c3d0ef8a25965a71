"""The peers among themselves, without smtpx: when these fail, a peer or its set-up is at fault."""

from pathlib import Path

import pytest

from .certificates import Certificates
from .clients import curl, curl_login, curl_trust, smtp_source, swaks, swaks_login, swaks_trust
from .conftest import StartPostfix
from .letters import KINDS, make_letter
from .postfix import Account, Postfix
from .relaying import Routes, relay_plan, submit
from .table import Row


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
