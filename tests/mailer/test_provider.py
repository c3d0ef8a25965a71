"""The port: health, results of bulk, what is unknown."""

import pickle

import pytest

from smtpx.client.bulk import SendOutcome
from smtpx.client.stamp import now_here
from smtpx.errors import ConnectError, ConnectionLost, LocalProtocolError, RemoteProtocolError
from smtpx.mailer.provider import (
    BulkError,
    BulkResult,
    Health,
    HealthState,
    NotTriedError,
    ProviderClosedError,
    is_unknown,
)
from tests.mailer.rig import letter, result_for


def outcomes(failed: int) -> list[SendOutcome]:
    good = SendOutcome(0, letter(), result_for(letter()))
    return [good, *(SendOutcome(index, letter(), error=ConnectError(f"no {index}")) for index in range(1, failed + 1))]


def test_texts_of_collected_errors() -> None:
    assert BulkResult(outcomes(0)).raise_for_failed().failed == ()
    with pytest.raises(BulkError, match=r"^1 of 2 messages were not sent: 1: no 1$"):
        BulkResult(outcomes(1)).raise_for_failed()
    with pytest.raises(BulkError, match=r"^2 of 3 messages were not sent: 1: no 1; 2: no 2$"):
        BulkResult(outcomes(2)).raise_for_failed()
    with pytest.raises(BulkError, match=r"; 10: no 10; and 2 more$") as caught:
        BulkResult(outcomes(12)).raise_for_failed()
    assert len(caught.value.result.succeeded) == 1
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301 - our own


@pytest.mark.parametrize(
    ("error", "unknown"),
    [
        (ConnectionLost("x", stage="final"), True),
        (RemoteProtocolError("x", stage="final"), True),
        (ConnectionLost("x", stage="body"), False),
        (NotTriedError("x"), False),
        (LocalProtocolError("x"), False),
        (ValueError("x"), False),
        (RuntimeError("x"), True),
        (OSError("x"), True),
    ],
)
def test_what_is_unknown(error: Exception, unknown: bool) -> None:
    assert is_unknown(error) is unknown


def test_not_tried_may_be_tried_later_and_closed_may_not() -> None:
    assert NotTriedError("x").is_temporary
    assert not ProviderClosedError("x").is_temporary


def test_health_as_json() -> None:
    moment = now_here()
    inner = Health(name="b", state=HealthState.UNHEALTHY, message="down", checked_at=moment)
    health = Health(
        name="a",
        state=HealthState.DEGRADED,
        message="partly",
        checked_at=moment,
        duration_seconds=0.01234567,
        dependencies=(inner,),
    )
    assert health.is_ok
    assert not inner.is_ok
    assert health.to_json() == {
        "name": "a",
        "state": "DEGRADED",
        "message": "partly",
        "timestamp": moment.isoformat(),
        "duration_ms": 12.346,
        "dependencies": [inner.to_json()],
    }
