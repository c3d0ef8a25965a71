"""smtpx sends to smtp-server: by `smtpx send`, by `Client`, by `AsyncClient`."""

from collections.abc import Callable

import pytest

from .certificates import Certificates
from .conftest import StartKeeper
from .keepers import SMTP_SERVER, Keeper
from .letters import KINDS, make_letter
from .postfix import Account
from .sending import LIBRARY_WAYS, WAYS, Order, address_of, send_by_command
from .serving import TOKEN
from .table import Row

pytestmark = pytest.mark.peer("smtp-server", direction="smtpx → smtp-server")

_ALICE, _BOB, _NOBODY, _FULL = (f"{name}@example.test" for name in ("alice", "bob", "nobody", "full"))
_every_way = pytest.mark.parametrize("way", WAYS)
_library_ways = pytest.mark.parametrize("way", LIBRARY_WAYS)
_MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"]

# Exit statuses of `smtpx send`.
_SOME_REFUSED, _BAD_INPUT, _WRONG_CREDENTIALS = 1, 65, 77


@pytest.fixture(scope="module")
def start(start_keeper: StartKeeper) -> Callable[..., Keeper]:
    """Start smtp-server with the given options."""

    def start(name: str, **options: object) -> Keeper:
        return start_keeper(f"smtp-server-{name}", SMTP_SERVER, **options)

    return start


@pytest.fixture(scope="module")
def server(start: Callable[..., Keeper]) -> Keeper:
    """STARTTLS, and AUTH required."""
    return start("starttls", authMethods=_MECHANISMS)


@pytest.fixture(scope="module")
def implicit_server(start: Callable[..., Keeper]) -> Keeper:
    """TLS from the start, and AUTH required."""
    return start("implicit", authMethods=_MECHANISMS, secure=True)


@pytest.fixture(scope="module")
def open_server(start: Callable[..., Keeper]) -> Keeper:
    """No TLS, no AUTH, and at most 50,000 octets."""
    return start("open", authOptional=True, disabledCommands=["AUTH", "STARTTLS"], size=50_000)


@pytest.fixture(scope="module")
def lmtp_server(start: Callable[..., Keeper]) -> Keeper:
    """LMTP, with STARTTLS."""
    return start("lmtp", authOptional=True, lmtp=True)


@pytest.fixture
def submission(server: Keeper, robot: Account) -> str:
    """The URL for STARTTLS and AUTH."""
    return address_of("submission", server.port, robot)


@_every_way
@pytest.mark.parametrize("kind", KINDS)
def test_message(way: str, kind: str, row: Row, server: Keeper, certificates: Certificates, submission: str) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    letter = make_letter(kind)
    outcome = WAYS[way](Order(submission, letter.octets, [_ALICE, _BOB], certificates.authority))
    outcome.assert_sent(_ALICE, _BOB)
    assert outcome.over_tls
    taken = server.wait_for(letter)
    assert taken.octets == letter.octets
    assert taken.facts["sender"] == "sender@example.org"
    assert taken.facts["recipients"] == [_ALICE, _BOB]
    assert taken.facts["user"] == "robot"
    assert taken.facts["secure"]


@_library_ways
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
@pytest.mark.parametrize("scheme", ["submission", "submissions"])
def test_auth(
    way: str,
    mechanism: str,
    scheme: str,
    row: Row,
    server: Keeper,
    implicit_server: Keeper,
    certificates: Certificates,
    robot: Account,
) -> None:
    row.tls, row.auth = {"submission": "STARTTLS", "submissions": "implicit"}[scheme], mechanism
    letter = make_letter("dots")
    target = implicit_server if scheme == "submissions" else server
    url = address_of(scheme, target.port, robot)
    order = Order(url, letter.octets, [_ALICE], certificates.authority, mechanisms=[mechanism])
    WAYS[way](order).assert_sent(_ALICE)
    assert target.wait_for(letter).octets == letter.octets


@_library_ways
@pytest.mark.parametrize("token", [TOKEN, "not-the-one"], ids=["right", "wrong"])
def test_xoauth2(way: str, token: str, row: Row, server: Keeper, certificates: Certificates, robot: Account) -> None:
    import smtpx

    row.tls, row.auth = "STARTTLS", "XOAUTH2" if token == TOKEN else "XOAUTH2, wrong"
    letter = make_letter()
    url = address_of("submission", server.port)
    bearer = smtpx.BearerToken(robot.user, token)
    outcome = WAYS[way](Order(url, letter.octets, [_ALICE], certificates.authority, auth=bearer))
    if token == TOKEN:
        outcome.assert_sent(_ALICE)
        assert server.wait_for(letter).octets == letter.octets
    else:
        assert outcome.error == "AuthenticationError", outcome


@_every_way
def test_wrong_password(way: str, row: Row, server: Keeper, certificates: Certificates, robot: Account) -> None:
    row.tls, row.auth = "STARTTLS", "wrong"
    url = address_of("submission", server.port, Account(robot.user, "not-the-one"))
    outcome = WAYS[way](Order(url, make_letter().octets, [_ALICE], certificates.authority))
    assert outcome.error == "AuthenticationError", outcome
    assert outcome.status in (_WRONG_CREDENTIALS, None), outcome


@_every_way
def test_no_tls_no_auth(way: str, row: Row, open_server: Keeper, certificates: Certificates) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter("dots")
    url = address_of("smtp+plain", open_server.port)
    WAYS[way](Order(url, letter.octets, [_ALICE], certificates.authority)).assert_sent(_ALICE)
    taken = open_server.wait_for(letter)
    assert taken.octets == letter.octets
    assert not taken.facts["secure"]


@_every_way
def test_non_ascii_recipient(way: str, row: Row, server: Keeper, certificates: Certificates, submission: str) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    letter = make_letter("utf8-headers")
    order = Order(submission, letter.octets, ["jürgen@example.test"], certificates.authority)
    WAYS[way](order).assert_sent("jürgen@example.test")
    taken = server.wait_for(letter)
    assert taken.octets == letter.octets
    assert taken.facts["recipients"] == ["jürgen@example.test"]


@_every_way
def test_one_unknown_of_two(way: str, row: Row, server: Keeper, certificates: Certificates, submission: str) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    letter = make_letter()
    outcome = WAYS[way](Order(submission, letter.octets, [_NOBODY, _ALICE], certificates.authority))
    assert outcome.accepted == {_ALICE}, outcome
    assert outcome.refused == {_NOBODY}, outcome
    assert outcome.status in (_SOME_REFUSED, None), outcome
    assert server.wait_for(letter).facts["recipients"] == [_ALICE]


@_every_way
def test_too_large_for_size(way: str, row: Row, open_server: Keeper, certificates: Certificates) -> None:
    row.tls, row.auth = "none", "none"
    url = address_of("smtp+plain", open_server.port)
    outcome = WAYS[way](Order(url, make_letter("megabyte").octets, [_ALICE], certificates.authority))
    assert outcome.error, outcome
    assert outcome.status in (_BAD_INPUT, None), outcome


def test_delivery_reports_are_asked_for(row: Row, server: Keeper, certificates: Certificates, submission: str) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    letter = make_letter()
    options = ["--dsn-notify", "success,failure", "--dsn-ret", "hdrs", "--envid", "an id"]
    order = Order(submission, letter.octets, [_ALICE], certificates.authority, options=options)
    send_by_command(order).assert_sent(_ALICE)
    facts = server.wait_for(letter).facts
    assert facts["dsn"] == {"ret": "HDRS", "envid": "an id"}
    assert set(facts["notify"][0]["notify"]) == {"SUCCESS", "FAILURE"}


@_every_way
def test_lmtp(way: str, row: Row, lmtp_server: Keeper, certificates: Certificates) -> None:
    row.tls, row.auth = "STARTTLS, opportunistic", "none"
    letter = make_letter("dots")
    url = address_of("lmtp", lmtp_server.port)
    outcome = WAYS[way](Order(url, letter.octets, [_ALICE, _NOBODY, _FULL, _BOB], certificates.authority))
    assert outcome.accepted == {_ALICE, _BOB}, outcome
    assert outcome.refused == {_NOBODY, _FULL}, outcome
    assert outcome.over_tls
    taken = lmtp_server.wait_for(letter)
    assert taken.octets == letter.octets
    assert taken.facts["recipients"] == [_ALICE, _FULL, _BOB]
