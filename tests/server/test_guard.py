"""Counters of connections and failed logins, by address and network."""

import pytest

from smtpx.protocol import replies
from smtpx.protocol.limits import ServerLimits
from smtpx.server import guard as guard_module
from smtpx.server.guard import Guard, network_of

DAY = 86_400.0


@pytest.mark.parametrize(
    ("address", "prefix", "network"),
    [
        ("192.0.2.1", 64, "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:3:4:5:6", 48, "2001:db8:1::/48"),
        ("::1", 32, "::/32"),
        ("::1", 128, "::1/128"),
        ("fe80::1%eth0", 64, "fe80::/64"),
        ("::ffff:192.0.2.1", 64, "192.0.2.1"),
        ("unix", 64, "unix"),
    ],
)
def test_network_of(address: str, prefix: int, network: str) -> None:
    assert network_of(address, prefix) == network


def test_h084_no_more_than_all_connections() -> None:
    guard = Guard(ServerLimits(max_connections=2))
    assert guard.admit("192.0.2.1", local=False) is None
    assert guard.admit("unix", local=True) is None
    assert guard.admit("192.0.2.2", local=False) is replies.TOO_MANY_CONNECTIONS
    assert guard.connections == 2
    guard.release("unix")
    assert guard.admit("192.0.2.2", local=False) is None


def test_h084_no_more_than_fifty_from_one_address_unless_it_is_local() -> None:
    guard = Guard(ServerLimits())
    answers = [guard.admit("192.0.2.1", local=False) for _ in range(60)]
    assert answers == [None] * 50 + [replies.TOO_MANY_FROM_ADDRESS] * 10
    assert guard.admit("192.0.2.2", local=False) is None
    assert [guard.admit("127.0.0.1", local=True) for _ in range(60)] == [None] * 60


def test_h084_a_number_that_was_asked_for_is_for_everybody() -> None:
    guard = Guard(ServerLimits(max_connections_per_ip=1))
    for address in ("127.0.0.1", "unix", "2001:db8::1"):
        assert guard.admit(address, local=True) is None
        assert guard.admit(address, local=True) is replies.TOO_MANY_FROM_ADDRESS


def test_another_one_from_the_same_address_stays_counted() -> None:
    guard = Guard(ServerLimits(max_connections_per_ip=2))
    for _ in range(2):
        assert guard.admit("192.0.2.1", local=False) is None
    guard.release("192.0.2.1")
    assert guard.admit("192.0.2.1", local=False) is None
    assert guard.admit("192.0.2.1", local=False) is replies.TOO_MANY_FROM_ADDRESS


def test_h084_ipv6_addresses_of_one_network_count_as_one() -> None:
    guard = Guard(ServerLimits(max_connections_per_ip=2))
    assert guard.admit("2001:db8::1", local=False) is None
    assert guard.admit("2001:db8::2", local=False) is None
    assert guard.admit("2001:db8::3", local=False) is replies.TOO_MANY_FROM_ADDRESS
    assert guard.admit("2001:db8:0:1::1", local=False) is None


def test_after_many_sessions_nothing_is_left() -> None:
    guard = Guard(ServerLimits(max_connections_per_ip=3))
    for turn in range(1000):
        addresses = [f"192.0.2.{(turn + i) % 7}" for i in range(5)]
        admitted = [address for address in addresses if guard.admit(address, local=False) is None]
        for address in admitted:
            guard.release(address)
    assert guard.connections == 0
    assert not guard._by_network


def test_h087_ten_failed_logins_a_minute() -> None:
    guard = Guard(ServerLimits())
    for second in range(10):
        assert guard.may_authenticate("192.0.2.1", second)
        guard.count_failure("192.0.2.1", second)
    assert not guard.may_authenticate("192.0.2.1", 10)
    assert guard.may_authenticate("192.0.2.2", 10)
    assert not guard.may_authenticate("192.0.2.1", 60)
    assert guard.may_authenticate("192.0.2.1", 60.5)


def test_h087_fifty_failed_logins_a_day() -> None:
    guard = Guard(ServerLimits())
    for turn in range(50):
        assert guard.may_authenticate("2001:db8::1", turn * 100.0)
        guard.count_failure(f"2001:db8::{turn}", turn * 100.0)
    assert not guard.may_authenticate("2001:db8::ffff", 50 * 100.0)
    assert not guard.may_authenticate("2001:db8::ffff", DAY)
    assert guard.may_authenticate("2001:db8::ffff", DAY + 1)


def test_failed_logins_are_remembered_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "_MAX_TRACKED", 3)
    guard = Guard(ServerLimits(auth_failures_per_ip_minute=1))
    for last in range(10):
        guard.count_failure(f"192.0.2.{last}", 0)
    assert len(guard._failures) == 3
    assert not guard.may_authenticate("192.0.2.9", 1)
    for _ in range(1000):
        guard.count_failure("192.0.2.9", 1)
    assert len(guard._failures["192.0.2.9"]) == 50
