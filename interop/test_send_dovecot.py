"""smtpx sends to Dovecot's LMTP server: by `smtpx send`, by `Client`, by `AsyncClient`."""

import ssl

import pytest

from .certificates import Certificates
from .dovecot import Dovecot
from .letters import KINDS, make_letter
from .sending import WAYS, Order, address_of, send_by_command
from .table import Row

pytestmark = pytest.mark.peer("Dovecot", direction="smtpx → Dovecot LMTP")

_ALICE, _BOB, _NOBODY, _BROKEN = (f"{name}@example.test" for name in ("alice", "bob", "nobody", "broken"))
_every_way = pytest.mark.parametrize("way", WAYS)

# Exit statuses of `smtpx send`.
_SOME_REFUSED, _BAD_INPUT, _UNAVAILABLE, _TEMPORARY = 1, 65, 69, 75


@pytest.fixture
def url(dovecot: Dovecot, row: Row) -> str:
    """LMTP by TCP; STARTTLS is offered and taken."""
    row.tls, row.auth = "STARTTLS, opportunistic", "none"
    return address_of("lmtp", dovecot.port("lmtp"))


@pytest.fixture
def socket_url(dovecot: Dovecot, row: Row) -> str:
    """LMTP by a unix socket."""
    row.tls, row.auth = "none, unix socket", "none"
    return f"lmtp+unix://{dovecot.lmtp_socket}"


# Dovecot's LMTP server has no SMTPUTF8.
@_every_way
@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"utf8-headers"}))
def test_message(way: str, kind: str, dovecot: Dovecot, certificates: Certificates, url: str) -> None:
    letter = make_letter(kind)
    outcome = WAYS[way](Order(url, letter.octets, [_ALICE, _BOB], certificates.authority))
    outcome.assert_sent(_ALICE, _BOB)
    assert outcome.over_tls
    for name in ("alice", "bob"):
        (delivered,) = dovecot.maildir(name).wait_for(letter)
        assert delivered.octets == letter.unix
        assert "with LMTPS" in delivered.trace_values("Received")[0]


@_every_way
@pytest.mark.parametrize("kind", ["dots", "eight-bit", "megabyte"])
def test_unix_socket(way: str, kind: str, dovecot: Dovecot, certificates: Certificates, socket_url: str) -> None:
    letter = make_letter(kind)
    outcome = WAYS[way](Order(socket_url, letter.octets, [_ALICE, _BOB], certificates.authority))
    outcome.assert_sent(_ALICE, _BOB)
    for name in ("alice", "bob"):
        (delivered,) = dovecot.maildir(name).wait_for(letter)
        assert delivered.octets == letter.unix


@_every_way
@pytest.mark.parametrize("place", ["url", "socket_url"])
def test_one_unknown_of_three(
    way: str, place: str, dovecot: Dovecot, certificates: Certificates, request: pytest.FixtureRequest
) -> None:
    letter = make_letter("dots")
    url = request.getfixturevalue(place)
    outcome = WAYS[way](Order(url, letter.octets, [_ALICE, _NOBODY, _BOB], certificates.authority))
    assert outcome.accepted == {_ALICE, _BOB}, outcome
    assert outcome.refused == {_NOBODY}, outcome
    assert outcome.status in (_SOME_REFUSED, None), outcome
    for name in ("alice", "bob"):
        assert dovecot.maildir(name).wait_for(letter)[0].octets == letter.unix


@_every_way
@pytest.mark.parametrize("place", ["url", "socket_url"])
def test_one_fails_behind_the_content(
    way: str, place: str, dovecot: Dovecot, certificates: Certificates, request: pytest.FixtureRequest
) -> None:
    """The second of three verdicts is a refusal: each belongs to its recipient."""
    letter = make_letter("dots")
    url = request.getfixturevalue(place)
    outcome = WAYS[way](Order(url, letter.octets, [_ALICE, _BROKEN, _BOB], certificates.authority))
    assert outcome.accepted == {_ALICE, _BOB}, outcome
    assert outcome.refused == {_BROKEN}, outcome
    assert outcome.status in (_SOME_REFUSED, None), outcome
    for name in ("alice", "bob"):
        assert dovecot.maildir(name).wait_for(letter)[0].octets == letter.unix


@_every_way
@pytest.mark.parametrize(("recipient", "status"), [(_NOBODY, _UNAVAILABLE), (_BROKEN, _TEMPORARY)])
def test_nobody_gets_it(way: str, recipient: str, status: int, certificates: Certificates, url: str) -> None:
    outcome = WAYS[way](Order(url, make_letter().octets, [recipient], certificates.authority))
    assert not outcome.accepted, outcome
    assert outcome.error, outcome
    assert outcome.status in (status, None), outcome


@pytest.mark.parametrize("options", [["--no-chunking"], ["--no-chunking", "--no-pipelining"]])
def test_by_data(options: list[str], dovecot: Dovecot, certificates: Certificates, url: str) -> None:
    letter = make_letter("dots")
    order = Order(url, letter.octets, [_ALICE, _BOB], certificates.authority, options=options)
    send_by_command(order).assert_sent(_ALICE, _BOB)
    assert dovecot.maildir("alice").wait_for(letter)[0].octets == letter.unix


def test_implicit_tls(row: Row, dovecot: Dovecot, certificates: Certificates) -> None:
    import smtpx

    row.tls, row.auth = "implicit", "none"
    letter = make_letter()
    trust = ssl.create_default_context(cafile=str(certificates.authority))
    url = address_of("smtps", dovecot.port("lmtps"))
    with smtpx.Client(url, dialect=smtpx.LMTP, ssl_context=trust) as client:
        result = client.send(letter.octets, sender="sender@example.org", recipients=[_ALICE])
    assert set(result.accepted) == {_ALICE}
    assert result.tls is not None
    assert result.tls.verified
    assert dovecot.maildir("alice").wait_for(letter)[0].octets == letter.unix


@_every_way
def test_utf8_headers_without_smtputf8(way: str, certificates: Certificates, url: str) -> None:
    outcome = WAYS[way](Order(url, make_letter("utf8-headers").octets, [_ALICE], certificates.authority))
    assert outcome.error == "UnsupportedError", outcome
    assert outcome.status in (_BAD_INPUT, None), outcome
