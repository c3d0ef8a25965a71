"""Which connection a message goes over; the clock is the test's."""

from smtpx.client.pool_policy import PoolPolicy, after_error
from smtpx.client.settings import Limits, settings_for
from smtpx.errors import ConnectionLost, RemoteProtocolError


def test_opens_up_to_the_limit_and_uses_the_youngest_again() -> None:
    policy: PoolPolicy[str] = PoolPolicy(Limits(max_connections=2))
    assert policy.acquire(0).may_open
    assert policy.acquire(0).may_open
    decision = policy.acquire(0)
    assert (decision.connection, decision.may_open, decision.expired) == (None, False, [])
    assert policy.release("a", 1, reusable=True)
    assert policy.release("b", 2, reusable=True)
    assert policy.open_connections == 2
    assert policy.acquire(3).connection == "b"
    assert policy.acquire(3).connection == "a"


def test_old_ones_expire() -> None:
    policy: PoolPolicy[str] = PoolPolicy(Limits(max_idle_seconds=10))
    policy.acquire(0)
    policy.acquire(0)
    policy.release("a", 0, reusable=True)
    policy.release("b", 5, reusable=True)
    decision = policy.acquire(11)
    assert decision.expired == ["a"]
    assert decision.connection == "b"
    assert policy.open_connections == 1


def test_too_old_ones_go_however_busy_they_were() -> None:
    policy: PoolPolicy[str] = PoolPolicy(Limits(max_age_seconds=100))
    policy.acquire(0)
    policy.acquire(0)
    assert policy.release("a", 90, reusable=True, opened=0)
    assert policy.release("b", 90, reusable=True, opened=50)
    decision = policy.acquire(101)
    assert (decision.connection, decision.expired) == ("b", ["a"])
    assert not policy.release("b", 151, reusable=True, opened=50)
    assert policy.open_connections == 0
    forever: PoolPolicy[str] = PoolPolicy(Limits(max_age_seconds=None))
    forever.acquire(0)
    assert forever.release("a", 1e9, reusable=True, opened=0)


def test_what_can_not_be_used_again_is_forgotten() -> None:
    policy: PoolPolicy[str] = PoolPolicy(Limits())
    policy.acquire(0)
    assert not policy.release("a", 0, reusable=False)
    policy.acquire(0)
    assert not policy.release(None, 0, reusable=True)
    assert policy.open_connections == 0
    policy = PoolPolicy(Limits(max_idle_seconds=0))
    policy.acquire(0)
    assert not policy.release("a", 0, reusable=True)


def test_drain() -> None:
    policy: PoolPolicy[str] = PoolPolicy(Limits())
    policy.acquire(0)
    policy.release("a", 0, reusable=True)
    assert policy.drain() == ["a"]
    assert policy.drain() == []
    assert policy.open_connections == 0


def test_after_a_broken_protocol_there_is_no_pipelining() -> None:
    settings = settings_for("smtp://h")
    assert not after_error(settings, RemoteProtocolError("x")).pipelining
    assert after_error(settings, ConnectionLost("x")) is settings
