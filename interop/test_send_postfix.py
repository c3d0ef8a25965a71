"""smtpx sends to Postfix: by `smtpx send`, by `Client`, by `AsyncClient`."""

import re

import pytest

from .certificates import Certificates
from .letters import KINDS, Letter, make_letter
from .postfix import Account, Postfix
from .sending import WAYS, Order, address_of, send_by_command
from .table import Row
from .wiretap import Wiretap

pytestmark = pytest.mark.peer("Postfix", direction="smtpx → Postfix")

_ALICE, _BOB, _NOBODY = "alice@example.test", "bob@example.test", "nobody@example.test"
_every_way = pytest.mark.parametrize("way", WAYS)

# Exit statuses of `smtpx send`.
_SOME_REFUSED, _BAD_INPUT, _UNAVAILABLE, _WRONG_CREDENTIALS = 1, 65, 69, 77


@pytest.fixture
def submission(postfix_server: Postfix, robot: Account) -> str:
    """The URL for STARTTLS and AUTH."""
    return address_of("submission", postfix_server.port("submission"), robot)


@_every_way
@pytest.mark.parametrize("kind", KINDS)
def test_message(
    way: str,
    kind: str,
    row: Row,
    postfix_server: Postfix,
    certificates: Certificates,
    submission: str,
) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    letter = make_letter(kind)
    outcome = WAYS[way](Order(submission, letter.octets, [_ALICE], certificates.authority))
    outcome.assert_sent(_ALICE)
    assert outcome.over_tls
    (delivered,) = postfix_server.maildir("alice").wait_for(letter)
    assert delivered.octets == letter.unix
    log = postfix_server.log.wait_for(" bdat=")
    assert "TLSv1.3" in log
    (row.auth,) = re.findall("sasl_method=(.*), sasl_username=robot", log)


@_every_way
def test_example(
    way: str,
    example: Letter,
    row: Row,
    postfix_server: Postfix,
    certificates: Certificates,
    submission: str,
) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    copy = Letter(example.kind, *_fresh(example))
    outcome = WAYS[way](Order(submission, copy.octets, [_ALICE], certificates.authority))
    outcome.assert_sent(_ALICE)
    (delivered,) = postfix_server.maildir("alice").wait_for(copy)
    assert delivered.octets == copy.unix


@_every_way
@pytest.mark.parametrize(
    ("scheme", "listener", "tls"),
    [
        ("submissions", "submissions", "implicit"),
        ("smtps", "submissions", "implicit"),
        ("smtp+starttls", "submission", "STARTTLS"),
        ("smtp", "submission", "STARTTLS, opportunistic"),
        ("smtp+starttls", "tls12", "STARTTLS, TLS 1.2 only"),
    ],
)
def test_scheme(
    way: str,
    scheme: str,
    listener: str,
    tls: str,
    row: Row,
    postfix_server: Postfix,
    certificates: Certificates,
    robot: Account,
) -> None:
    row.tls, row.auth = tls, "best common"
    letter = make_letter("dots")
    url = address_of(scheme, postfix_server.port(listener), robot)
    outcome = WAYS[way](Order(url, letter.octets, [_ALICE], certificates.authority))
    outcome.assert_sent(_ALICE)
    assert outcome.over_tls
    (delivered,) = postfix_server.maildir("alice").wait_for(letter)
    assert delivered.octets == letter.unix


@_every_way
@pytest.mark.parametrize("listener", ["plain", "lockstep", "bare"])
def test_without_tls(way: str, listener: str, row: Row, postfix_server: Postfix, certificates: Certificates) -> None:
    """`lockstep` and `bare` offer no PIPELINING and disconnect whoever pipelines nevertheless."""
    row.tls, row.auth = "none", "none"
    letter = make_letter("dots")
    url = address_of("smtp+plain", postfix_server.port(listener))
    outcome = WAYS[way](Order(url, letter.octets, [_ALICE, _BOB], certificates.authority))
    outcome.assert_sent(_ALICE, _BOB)
    assert not outcome.over_tls
    for name in ("alice", "bob"):
        assert postfix_server.maildir(name).wait_for(letter)[0].octets == letter.unix
    log = postfix_server.log.wait_for(" bdat=" if listener == "plain" else " data=1 ")
    assert "improper command pipelining" not in log


@_every_way
def test_opportunistic_tls_is_taken(way: str, row: Row, postfix_server: Postfix, certificates: Certificates) -> None:
    row.tls, row.auth = "STARTTLS, opportunistic", "none"
    letter = make_letter()
    url = address_of("smtp", postfix_server.port("relay"))
    outcome = WAYS[way](Order(url, letter.octets, [_ALICE], certificates.authority))
    outcome.assert_sent(_ALICE)
    assert outcome.over_tls
    postfix_server.maildir("alice").wait_for(letter)


@_every_way
def test_opportunistic_tls_asks_for_no_trust(way: str, row: Row, postfix_server: Postfix) -> None:
    row.tls, row.auth = "STARTTLS, unverified", "none"
    letter = make_letter()
    url = address_of("smtp", postfix_server.port("strange-relay"))
    outcome = WAYS[way](Order(url, letter.octets, [_ALICE], authority=None))
    outcome.assert_sent(_ALICE)
    assert outcome.over_tls
    postfix_server.maildir("alice").wait_for(letter)


def test_insecure(row: Row, postfix_server: Postfix, robot: Account) -> None:
    row.tls, row.auth = "STARTTLS, --insecure", "best common"
    letter = make_letter()
    url = address_of("submission", postfix_server.port("stranger"), robot)
    outcome = send_by_command(Order(url, letter.octets, [_ALICE], authority=None, options=["--insecure"]))
    outcome.assert_sent(_ALICE)
    assert outcome.over_tls
    postfix_server.maildir("alice").wait_for(letter)


@_every_way
@pytest.mark.parametrize(
    ("recipient", "maildir"),
    [("jürgen@example.test", "juergen"), ("太郎@例え.test", "taro")],
    ids=["local part", "domain too"],
)
def test_non_ascii_recipient(
    way: str,
    recipient: str,
    maildir: str,
    row: Row,
    postfix_server: Postfix,
    certificates: Certificates,
    submission: str,
) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    letter = make_letter("utf8-headers")
    outcome = WAYS[way](Order(submission, letter.octets, [recipient], certificates.authority))
    outcome.assert_sent(recipient)
    (delivered,) = postfix_server.maildir(maildir).wait_for(letter)
    assert delivered.octets == letter.unix
    assert b"with UTF8SMTPSA" in delivered.trace


@_every_way
def test_null_sender(way: str, row: Row, postfix_server: Postfix, certificates: Certificates, submission: str) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    letter = make_letter()
    order = Order(submission, letter.octets, [_ALICE], certificates.authority, sender="")
    WAYS[way](order).assert_sent(_ALICE)
    (delivered,) = postfix_server.maildir("alice").wait_for(letter)
    assert delivered.trace_values("Return-Path") == ["<>"]


@_every_way
def test_one_unknown_of_two(
    way: str, row: Row, postfix_server: Postfix, certificates: Certificates, submission: str
) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    letter = make_letter()
    order = Order(submission, letter.octets, [_ALICE, _NOBODY], certificates.authority)
    outcome = WAYS[way](order)
    assert outcome.accepted == {_ALICE}, outcome
    assert outcome.refused == {_NOBODY}, outcome
    assert outcome.status in (_SOME_REFUSED, None), outcome
    assert postfix_server.maildir("alice").wait_for(letter)[0].octets == letter.unix


@_every_way
def test_all_unknown(way: str, row: Row, postfix_server: Postfix, certificates: Certificates, submission: str) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    order = Order(submission, make_letter().octets, [_NOBODY], certificates.authority)
    outcome = WAYS[way](order)
    assert not outcome.accepted, outcome
    assert outcome.error, outcome
    assert outcome.status in (_UNAVAILABLE, None), outcome
    log = postfix_server.log.wait_for("disconnect from")
    assert "queued as" not in log


@_every_way
def test_wrong_password(
    way: str, row: Row, postfix_server: Postfix, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", "wrong"
    wrong = Account(robot.user, "not-the-one")
    url = address_of("submission", postfix_server.port("submission"), wrong)
    outcome = WAYS[way](Order(url, make_letter().octets, [_ALICE], certificates.authority))
    assert outcome.error == "AuthenticationError", outcome
    assert outcome.status in (_WRONG_CREDENTIALS, None), outcome
    assert "not-the-one" not in outcome.trace


@_every_way
@pytest.mark.parametrize(("scheme", "listener"), [("submission", "stranger"), ("smtp+starttls", "stranger")])
def test_certificate_of_a_stranger(
    way: str,
    scheme: str,
    listener: str,
    row: Row,
    postfix_server: Postfix,
    certificates: Certificates,
    robot: Account,
) -> None:
    row.tls, row.auth = "STARTTLS, unknown CA", "none"
    url = address_of(scheme, postfix_server.port(listener), robot)
    outcome = WAYS[way](Order(url, make_letter().octets, [_ALICE], certificates.authority))
    assert outcome.error == "TLSError", outcome
    assert outcome.status in (_UNAVAILABLE, None), outcome
    assert " auth=" not in postfix_server.log.wait_for("disconnect from")


@_every_way
def test_starttls_required_but_not_offered(
    way: str, row: Row, postfix_server: Postfix, certificates: Certificates
) -> None:
    row.tls, row.auth = "STARTTLS, not offered", "none"
    url = address_of("smtp+starttls", postfix_server.port("plain"))
    outcome = WAYS[way](Order(url, make_letter().octets, [_ALICE], certificates.authority))
    assert outcome.error, outcome
    assert outcome.status in (_UNAVAILABLE, None), outcome
    assert " mail=" not in postfix_server.log.wait_for("disconnect from")


@_every_way
def test_too_large_for_size(way: str, row: Row, postfix_server: Postfix, certificates: Certificates) -> None:
    row.tls, row.auth = "none", "none"
    url = address_of("smtp+plain", postfix_server.port("narrow"))
    outcome = WAYS[way](Order(url, make_letter("megabyte").octets, [_ALICE], certificates.authority))
    assert outcome.error, outcome
    assert outcome.status in (_BAD_INPUT, None), outcome
    assert " mail=" not in postfix_server.log.wait_for("disconnect from")


@_every_way
def test_eight_bits_without_8bitmime(way: str, row: Row, postfix_server: Postfix, certificates: Certificates) -> None:
    row.tls, row.auth = "none", "none"
    url = address_of("smtp+plain", postfix_server.port("bare"))
    order = Order(url, make_letter("eight-bit").octets, [_ALICE], certificates.authority)
    outcome = WAYS[way](order)
    assert outcome.error == "UnsupportedError", outcome
    assert outcome.status in (_BAD_INPUT, None), outcome


@pytest.mark.parametrize("kind", ["dots", "eight-bit", "megabyte"])
def test_no_chunking(kind: str, row: Row, postfix_server: Postfix, certificates: Certificates, submission: str) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    letter = make_letter(kind)
    order = Order(submission, letter.octets, [_ALICE], certificates.authority, options=["--no-chunking"])
    send_by_command(order).assert_sent(_ALICE)
    (delivered,) = postfix_server.maildir("alice").wait_for(letter)
    assert delivered.octets == letter.unix
    assert " bdat=" not in postfix_server.log.wait_for(" data=1 ")


def test_pipelining(row: Row, postfix_server: Postfix, certificates: Certificates) -> None:
    row.tls, row.auth = "none", "none"
    together = [turn for turn in _overheard(postfix_server, certificates) if b"MAIL FROM" in turn]
    assert len(together) == 1
    assert together[0].count(b"RCPT TO") == 2, together


def test_mail_parameters(row: Row, postfix_server: Postfix, certificates: Certificates) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter("eight-bit")
    turns = b"".join(_overheard(postfix_server, certificates, letter=letter))
    (mail,) = re.findall(rb"MAIL FROM:<sender@example\.org>[^\r]*\r\n", turns)
    assert b" BODY=8BITMIME" in mail
    assert b" SIZE=%d" % len(letter.octets) in mail


def test_no_pipelining(row: Row, postfix_server: Postfix, certificates: Certificates) -> None:
    row.tls, row.auth = "none", "none"
    turns = _overheard(postfix_server, certificates, "--no-pipelining", "--no-chunking")
    envelope = [turn for turn in turns if turn.startswith((b"MAIL", b"RCPT", b"DATA"))]
    assert len(envelope) == 4, turns
    assert all(turn.count(b"\r\n") == 1 for turn in envelope), envelope


def test_trace_hides_the_password(row: Row, certificates: Certificates, robot: Account, submission: str) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    order = Order(submission, make_letter().octets, [_ALICE], certificates.authority, options=["--trace"])
    outcome = send_by_command(order)
    outcome.assert_sent(_ALICE)
    assert "RCPT TO:<alice@example.test>" in outcome.trace
    assert robot.password not in outcome.trace


def _overheard(
    postfix: Postfix, certificates: Certificates, *options: str, letter: Letter | None = None
) -> list[bytes]:
    letter = letter or make_letter()
    with Wiretap(postfix.port("plain")) as tap:
        url = address_of("smtp+plain", tap.port)
        order = Order(url, letter.octets, [_ALICE, _BOB], certificates.authority, options=options)
        send_by_command(order).assert_sent(_ALICE, _BOB)
        postfix.maildir("alice").wait_for(letter)
        return tap.turns


def _fresh(example: Letter) -> tuple[bytes, bytes]:
    # The same message is sent three times; each copy needs a marker of its own.
    copy = make_letter()
    return copy.marker, copy.marker + example.octets.removeprefix(example.marker)
