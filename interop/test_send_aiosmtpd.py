"""smtpx sends to aiosmtpd: by `smtpx send`, by `Client`, by `AsyncClient`.

aiosmtpd offers AUTH behind STARTTLS only, takes no parameters of RCPT, and answers once for all recipients in LMTP.
"""

import pytest

from .certificates import Certificates
from .conftest import StartKeeper
from .keepers import AIOSMTPD, Keeper
from .letters import KINDS, make_letter
from .postfix import Account
from .sending import LIBRARY_WAYS, WAYS, Order, address_of
from .table import Row

pytestmark = pytest.mark.peer("aiosmtpd", direction="smtpx → aiosmtpd")

_ALICE, _BOB, _NOBODY = (f"{name}@example.test" for name in ("alice", "bob", "nobody"))
_every_way = pytest.mark.parametrize("way", WAYS)

# Exit statuses of `smtpx send`.
_SOME_REFUSED, _WRONG_CREDENTIALS = 1, 77


@pytest.fixture(scope="module")
def server(start_keeper: StartKeeper) -> Keeper:
    """STARTTLS, and AUTH required."""
    return start_keeper("aiosmtpd-starttls", AIOSMTPD, starttls=True, auth_required=True)


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
    assert taken.facts["recipients"] == [_ALICE, _BOB]
    assert taken.facts["secure"]
    assert taken.facts["authenticated"]


@pytest.mark.parametrize("way", LIBRARY_WAYS)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_auth(way: str, mechanism: str, row: Row, server: Keeper, certificates: Certificates, submission: str) -> None:
    row.tls, row.auth = "STARTTLS", mechanism
    letter = make_letter()
    order = Order(submission, letter.octets, [_ALICE], certificates.authority, mechanisms=[mechanism])
    WAYS[way](order).assert_sent(_ALICE)
    assert server.wait_for(letter).octets == letter.octets


@_every_way
def test_implicit_tls(way: str, row: Row, start_keeper: StartKeeper, certificates: Certificates) -> None:
    row.tls, row.auth = "implicit", "none"
    letter = make_letter("dots")
    server = start_keeper(f"aiosmtpd-implicit-{way.replace(' ', '-')}", AIOSMTPD, implicit=True)
    url = address_of("submissions", server.port)
    outcome = WAYS[way](Order(url, letter.octets, [_ALICE], certificates.authority))
    outcome.assert_sent(_ALICE)
    assert outcome.over_tls
    assert server.wait_for(letter).octets == letter.octets


@_every_way
@pytest.mark.parametrize("lmtp", [False, True], ids=["smtp", "lmtp"])
def test_no_tls_no_auth(way: str, lmtp: bool, row: Row, start_keeper: StartKeeper, certificates: Certificates) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter("dots")
    server = start_keeper(f"aiosmtpd-open-{lmtp}-{way.replace(' ', '-')}", AIOSMTPD, lmtp=lmtp)
    url = address_of("lmtp" if lmtp else "smtp+plain", server.port)
    WAYS[way](Order(url, letter.octets, [_ALICE], certificates.authority)).assert_sent(_ALICE)
    assert server.wait_for(letter).octets == letter.octets


@_every_way
def test_non_ascii_recipient(way: str, row: Row, server: Keeper, certificates: Certificates, submission: str) -> None:
    row.tls, row.auth = "STARTTLS", "best common"
    letter = make_letter("utf8-headers")
    order = Order(submission, letter.octets, ["jürgen@example.test"], certificates.authority)
    WAYS[way](order).assert_sent("jürgen@example.test")
    assert server.wait_for(letter).facts["recipients"] == ["jürgen@example.test"]


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
def test_wrong_password(way: str, row: Row, server: Keeper, certificates: Certificates, robot: Account) -> None:
    row.tls, row.auth = "STARTTLS", "wrong"
    url = address_of("submission", server.port, Account(robot.user, "not-the-one"))
    outcome = WAYS[way](Order(url, make_letter().octets, [_ALICE], certificates.authority))
    assert outcome.error == "AuthenticationError", outcome
    assert outcome.status in (_WRONG_CREDENTIALS, None), outcome
