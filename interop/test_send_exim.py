"""smtpx sends to Exim: by `smtpx send`, by `Client`, by `AsyncClient`."""

import re

import pytest

from .certificates import CLIENT, Certificates
from .exim import Exim
from .letters import KINDS, make_letter
from .postfix import Account
from .sending import LIBRARY_WAYS, WAYS, Order, address_of, send_by_command
from .table import Row
from .wiretap import Wiretap

pytestmark = pytest.mark.peer("Exim", direction="smtpx → Exim")

_ALICE, _BOB, _NOBODY = "alice@example.test", "bob@example.test", "nobody@example.test"
_every_way = pytest.mark.parametrize("way", WAYS)

# Exit statuses of `smtpx send`.
_SOME_REFUSED, _WRONG_CREDENTIALS = 1, 77


@pytest.fixture
def submission(exim_server: Exim, robot: Account) -> str:
    """The URL for STARTTLS and AUTH."""
    return address_of("submission", exim_server.port("submission"), robot)


@_every_way
@pytest.mark.parametrize("kind", KINDS)
def test_message(way: str, kind: str, row: Row, exim_server: Exim, certificates: Certificates, submission: str) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    letter = make_letter(kind)
    outcome = WAYS[way](Order(submission, letter.octets, [_ALICE], certificates.authority))
    outcome.assert_sent(_ALICE)
    assert outcome.over_tls
    (delivered,) = exim_server.maildir("alice").wait_for(letter)
    assert delivered.octets == letter.unix
    log = exim_server.log.wait_for(f" => alice <{_ALICE}>")
    # K: by CHUNKING.
    assert re.search(r" P=(utf8)?esmtpsa .* A=\w+:robot K ", log), log


@pytest.mark.parametrize("way", LIBRARY_WAYS)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
@pytest.mark.parametrize(("scheme", "listener"), [("submission", "submission"), ("submissions", "submissions")])
def test_auth(
    way: str,
    mechanism: str,
    scheme: str,
    listener: str,
    row: Row,
    exim_server: Exim,
    certificates: Certificates,
    robot: Account,
) -> None:
    row.tls, row.auth = {"submission": "STARTTLS", "submissions": "implicit"}[scheme], mechanism
    letter = make_letter()
    url = address_of(scheme, exim_server.port(listener), robot)
    order = Order(url, letter.octets, [_ALICE], certificates.authority, mechanisms=[mechanism])
    WAYS[way](order).assert_sent(_ALICE)
    name = {"PLAIN": "plain", "LOGIN": "login", "CRAM-MD5": "cram"}[mechanism]
    exim_server.log.wait_for(f" A={name}:robot ")
    (delivered,) = exim_server.maildir("alice").wait_for(letter)
    assert delivered.octets == letter.unix


@pytest.mark.parametrize("way", LIBRARY_WAYS)
def test_client_certificate(way: str, row: Row, exim_server: Exim, certificates: Certificates) -> None:
    from smtpx.sasl import Certificate

    row.tls, row.auth = "STARTTLS, client certificate", "EXTERNAL"
    letter = make_letter()
    order = Order(
        address_of("submission", exim_server.port("submission")),
        letter.octets,
        [_ALICE],
        certificates.authority,
        auth=Certificate(CLIENT),
        client_certificate=certificates.client_key_and_chain,
    )
    WAYS[way](order).assert_sent(_ALICE)
    exim_server.log.wait_for(f" A=external:{CLIENT} ")
    assert exim_server.maildir("alice").wait_for(letter)[0].octets == letter.unix


@pytest.mark.parametrize(
    ("way", "options"),
    [
        *((way, ()) for way in WAYS),
        ("smtpx send", ("--no-chunking",)),
        ("smtpx send", ("--no-chunking", "--no-pipelining")),
    ],
)
def test_without_tls(
    way: str, options: tuple[str, ...], row: Row, exim_server: Exim, certificates: Certificates
) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter("dots")
    url = address_of("smtp+plain", exim_server.port("plain"))
    order = Order(url, letter.octets, [_ALICE, _BOB], certificates.authority, options=options)
    WAYS[way](order).assert_sent(_ALICE, _BOB)
    for name in ("alice", "bob"):
        assert exim_server.maildir(name).wait_for(letter)[0].octets == letter.unix
    assert "synchronization error" not in exim_server.log.text()


@_every_way
def test_non_ascii_recipient(
    way: str, row: Row, exim_server: Exim, certificates: Certificates, submission: str
) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    letter = make_letter("utf8-headers")
    order = Order(submission, letter.octets, ["jürgen@example.test"], certificates.authority)
    WAYS[way](order).assert_sent("jürgen@example.test")
    (delivered,) = exim_server.maildir("juergen").wait_for(letter)
    assert delivered.octets == letter.unix
    assert "P=utf8esmtpsa" in exim_server.log.text()


@_every_way
def test_one_unknown_of_two(way: str, row: Row, exim_server: Exim, certificates: Certificates, submission: str) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    letter = make_letter()
    outcome = WAYS[way](Order(submission, letter.octets, [_ALICE, _NOBODY], certificates.authority))
    assert outcome.accepted == {_ALICE}, outcome
    assert outcome.refused == {_NOBODY}, outcome
    assert outcome.status in (_SOME_REFUSED, None), outcome
    assert exim_server.maildir("alice").wait_for(letter)[0].octets == letter.unix


@_every_way
def test_wrong_password(way: str, row: Row, exim_server: Exim, certificates: Certificates, robot: Account) -> None:
    row.tls, row.auth = "STARTTLS", "wrong"
    url = address_of("submission", exim_server.port("submission"), Account(robot.user, "not-the-one"))
    outcome = WAYS[way](Order(url, make_letter().octets, [_ALICE], certificates.authority))
    assert outcome.error == "AuthenticationError", outcome
    assert outcome.status in (_WRONG_CREDENTIALS, None), outcome


def test_delivery_reports_are_asked_for(row: Row, exim_server: Exim, certificates: Certificates) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter()
    options = ["--dsn-notify", "success", "--dsn-ret", "hdrs", "--envid", "an id"]
    url = address_of("smtp+plain", exim_server.port("plain"))
    order = Order(url, letter.octets, [_ALICE], certificates.authority, sender=_BOB, options=options)
    send_by_command(order).assert_sent(_ALICE)
    assert exim_server.maildir("alice").wait_for(letter)
    exim_server.log.wait_for(f" => bob <{_BOB}> F=<>")
    reports = [path.read_bytes() for path in (exim_server.maildir("bob").path / "new").glob("*")]
    (report,) = (report for report in reports if letter.marker in report)
    assert b"\nOriginal-Envelope-ID: an+20id\n" in report  # Exim keeps it encoded
    assert b"\nAction: delivered\n" in report
    assert b"this is all." not in report


def test_one_write_for_a_small_message(row: Row, exim_server: Exim, certificates: Certificates) -> None:
    """Envelope and content by PIPELINING and CHUNKING, which Exim takes together."""
    row.tls, row.auth = "none", "none"
    letter = make_letter()
    with Wiretap(exim_server.port("plain")) as tap:
        url = address_of("smtp+plain", tap.port)
        order = Order(url, letter.octets, [_ALICE, _BOB], certificates.authority)
        WAYS["Client"](order).assert_sent(_ALICE, _BOB)
        together = [turn for turn in tap.turns if b"MAIL FROM" in turn]
    assert len(together) == 1
    assert together[0].count(b"RCPT TO") == 2, together
    assert b"BDAT %d LAST\r\n" % len(letter.octets) in together[0], together
    assert exim_server.maildir("alice").wait_for(letter)[0].octets == letter.unix
