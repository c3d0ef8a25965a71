"""RRVS (RFC 7293): S40, C16."""

from datetime import UTC, datetime

import pytest

from smtpx.errors import LocalProtocolError, UnsupportedError
from smtpx.extensions import RequireRecipientValidSince
from smtpx.extensions.rrvs import RRVS, ValidSince
from smtpx.protocol.events import RcptAsked
from tests.protocol.server_peer import EHLO, EXTENSIONS, MAIL, make_settings, survives

SETTINGS = make_settings(extensions=[*EXTENSIONS, RequireRecipientValidSince()])
MOMENT = datetime(2014, 4, 3, 23, 1, tzinfo=UTC)
TEXT = "2014-04-03T23:01:00Z"


@pytest.mark.parametrize(
    ("value", "since"),
    [
        (TEXT, ValidSince(MOMENT)),
        (TEXT + ";C", ValidSince(MOMENT, "C")),
        (TEXT + ";r", ValidSince(MOMENT, "R")),
    ],
)
def test_s40_good_values(value: str, since: ValidSince) -> None:
    outcome = survives(EHLO, MAIL, f"RCPT TO:<b@server.example> RRVS={value}\r\n", settings=SETTINGS)
    assert outcome.codes[2:] == ["250 2.1.5"]
    assert outcome.of(RcptAsked)[0].params.get(RRVS) == since
    assert RRVS.to_wire(since) == f"RRVS={value.upper()}"


@pytest.mark.parametrize("value", ["", "1234", TEXT + ";", TEXT + ";anything", TEXT + ";C;R", ";C"])
def test_s40_bad_values(value: str) -> None:
    outcome = survives(EHLO, MAIL, f"RCPT TO:<b@server.example> RRVS={value}\r\n", settings=SETTINGS)
    assert outcome.codes[2:] == ["501 5.5.4"]


def test_it_belongs_to_rcpt() -> None:
    outcome = survives(EHLO, f"MAIL FROM:<a@b> RRVS={TEXT}\r\n", settings=SETTINGS)
    assert "RRVS" in outcome.replies[0].lines
    assert outcome.codes[1:] == ["555 5.5.4"]


def dress(wish: object, offer: tuple[str, ...] | None = ()) -> list[str]:
    return list(RequireRecipientValidSince().dress_rcpt({} if wish is None else {"rrvs": wish}, offer))


def test_c16_a_client_asks_on_request() -> None:
    assert dress(MOMENT) == [f"RRVS={TEXT}"]
    assert dress(ValidSince(MOMENT, "C")) == [f"RRVS={TEXT};C"]
    assert dress(None) == dress(None, None) == []


def test_wishes_that_can_not_be_sent() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        dress(MOMENT.replace(tzinfo=None))
    assert caught.value.stage == "rcpt"
    with pytest.raises(UnsupportedError) as unsupported:
        dress(MOMENT, None)
    assert (unsupported.value.keyword, unsupported.value.stage) == ("RRVS", "rcpt")
