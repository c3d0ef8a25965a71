"""Counters of connections and failed logins, by address and network."""

import random

import pytest

from smtpx.protocol import replies
from smtpx.protocol.limits import DefaultCap, ServerLimits
from smtpx.server.guard import Guard, Refusal, network_of, networks_of

DAY = 86_400.0
HERE = "192.0.2.1"


def limit_of(refusal: Refusal | None) -> tuple[str, float] | None:
    return refusal and (refusal.limit, refusal.value)


def spread(number: int) -> list[str]:
    """So many addresses that share no network, not even a /21."""
    return [f"10.{i // 32}.{i % 32 * 8}.1" for i in range(number)]


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


@pytest.mark.parametrize(
    ("address", "prefix", "networks"),
    [
        ("192.0.15.77", 64, ("192.0.15.77", "192.0.15.64/26", "192.0.8.0/21")),
        ("::ffff:192.0.15.77", 64, ("192.0.15.77", "192.0.15.64/26", "192.0.8.0/21")),
        ("2001:db8:1:2::9", 64, ("2001:db8:1:2::/64", "2001:db8:1::/48", "2001:db8::/32")),
        ("2001:db8:1:2::9", 48, ("2001:db8:1::/48", "2001:db8::/32")),
        ("2001:db8:1:2::9", 20, ("2001::/20",)),
        ("unix", 64, ("unix",)),
    ],
)
def test_networks_of(address: str, prefix: int, networks: tuple[str, ...]) -> None:
    assert networks_of(address, prefix) == networks


async def test_h084_no_more_than_all_connections() -> None:
    guard = Guard(ServerLimits(max_connections=2))
    assert guard.admit(HERE, now=0) is None
    assert guard.admit("unix", spared=True, now=0) is None
    assert guard.admit("192.0.2.2", now=0) == Refusal(replies.TOO_MANY_CONNECTIONS, "max_connections", 2)
    assert guard.connections == 2
    guard.release("unix")
    assert guard.admit("192.0.2.2", now=0) is None
    guard.load.stop()


def test_h084_no_more_than_fifty_from_one_address_unless_it_is_spared() -> None:
    guard = Guard(ServerLimits())
    refusal = Refusal(replies.TOO_MANY_FROM_ADDRESS, "max_connections_per_ip", 50)
    assert [guard.admit(HERE, now=0) for _ in range(60)] == [None] * 50 + [refusal] * 10
    assert guard.admit("192.0.2.2", now=0) is None
    assert [guard.admit("127.0.0.1", spared=True, now=0) for _ in range(60)] == [None] * 60


def test_h084_a_number_that_was_asked_for_is_for_everybody() -> None:
    guard = Guard(ServerLimits(max_connections_per_ip=1, connection_rate_per_ip=None))
    for address in ("127.0.0.1", "unix", "2001:db8::1"):
        assert guard.admit(address, spared=True, now=0) is None
        assert limit_of(guard.admit(address, spared=True, now=0)) == ("max_connections_per_ip", 1)


def test_no_cap_at_all() -> None:
    guard = Guard(ServerLimits(max_connections_per_ip=None, connection_rate_per_ip=None))
    assert [guard.admit(HERE, now=0) for _ in range(400)] == [None] * 400
    assert len(guard._connects) == 0


@pytest.mark.parametrize(
    ("most", "addresses"),
    [
        (6, [f"192.0.2.{i}" for i in range(64, 128)]),  # a /26
        (18, [f"192.0.{i}.{j}" for i in range(8, 16) for j in (1, 65, 129)]),  # a /21
        (6, [f"2001:db8:1:{i:x}::1" for i in range(10)]),  # a /48
        (18, [f"2001:db8:{i:x}::1" for i in range(20)]),  # a /32
    ],
)
def test_network_factor_three_and_nine_times(most: int, addresses: list[str]) -> None:
    guard = Guard(ServerLimits(max_connections_per_ip=DefaultCap(2), connection_rate_per_ip=None))
    answers = [guard.admit(address, now=0) for address in addresses]
    assert [limit_of(each) for each in answers[:most]] == [None] * most
    within = [limit_of(each) for each in answers[most:] if limit_of(each) != ("max_connections_per_ip", 2)]
    assert within
    assert set(within) == {("network_factor", most)}
    far = "198.51.100.1" if "." in addresses[0] else "2001:dead::1"
    assert guard.admit(far, now=0) is None
    guard.release(addresses[0])
    assert guard.admit(addresses[0], now=0) is None


def test_connection_rate_per_ip_300_a_minute() -> None:
    guard = Guard(ServerLimits())

    def come(address: str = HERE, now: float = 0.0, **how: bool) -> tuple[str, float] | None:
        refusal = guard.admit(address, now=now, **how)
        if refusal is None:
            guard.release(address)
        return limit_of(refusal)

    assert [come() for _ in range(300)] == [None] * 300
    assert come() == ("connection_rate_per_ip", 300)
    assert guard.admit(HERE, now=0.1) == Refusal(replies.TOO_FAST, "connection_rate_per_ip", 300)
    assert come(now=0.2) is None
    assert come(now=0.2) == ("connection_rate_per_ip", 300)
    assert come("192.0.2.2") is None
    assert [come("127.0.0.1", spared=True) for _ in range(400)] == [None] * 400
    assert [come("10.0.0.1", speaks_for_others=True) for _ in range(400)] == [None] * 400
    assert guard.connections == 0


def test_connection_rate_of_networks() -> None:
    guard = Guard(ServerLimits(connection_rate_per_ip=2))
    answers = [guard.admit(f"192.0.2.{i}", now=0) for i in range(8)]
    assert [limit_of(each) for each in answers] == [None] * 6 + [("network_factor", 6)] * 2


def test_another_one_from_the_same_address_stays_counted() -> None:
    guard = Guard(ServerLimits(max_connections_per_ip=2))
    for _ in range(2):
        assert guard.admit(HERE, now=0) is None
    guard.release(HERE)
    assert guard.admit(HERE, now=0) is None
    assert limit_of(guard.admit(HERE, now=0)) == ("max_connections_per_ip", 2)


def test_h084_ipv6_addresses_of_one_network_count_as_one() -> None:
    guard = Guard(ServerLimits(max_connections_per_ip=2))
    assert guard.admit("2001:db8::1", now=0) is None
    assert guard.admit("2001:db8::2", now=0) is None
    assert limit_of(guard.admit("2001:db8::3", now=0)) == ("max_connections_per_ip", 2)
    assert guard.admit("2001:db8:0:1::1", now=0) is None


def test_after_many_sessions_nothing_is_left() -> None:
    guard, random_ = Guard(ServerLimits(max_connections_per_ip=3)), random.Random(3)
    inside: list[str] = []
    for turn in range(10_000):
        address = f"192.0.2.{random_.randrange(200)}"
        if guard.admit(address, now=turn) is None:
            inside.append(address)
        while inside and random_.random() < 0.6:
            guard.release(inside.pop(random_.randrange(len(inside))))
    for address in inside:
        guard.release(address)
    assert guard.connections == 0
    assert not guard._by_network


# Logins --------------------------------------------------------------------------------------------------------------


def test_h087_ten_failed_logins_a_minute() -> None:
    guard = Guard(ServerLimits())
    for _ in range(10):
        assert guard.may_authenticate(HERE, 0) is None
        guard.count_failure(HERE, "user", 0)
    refusal = Refusal(replies.CANNOT_AUTHENTICATE_NOW, "auth_failures_per_ip_minute", 10)
    assert guard.may_authenticate(HERE, 0) == refusal
    assert guard.may_authenticate("192.0.2.2", 0) is None
    assert guard.may_authenticate(HERE, 60) is None


def test_h087_fifty_failed_logins_a_day() -> None:
    guard = Guard(ServerLimits())
    for turn in range(50):
        assert guard.may_authenticate("2001:db8::1", turn * 10.0) is None
        guard.count_failure(f"2001:db8::{turn}", f"user{turn}", turn * 10.0)
    assert limit_of(guard.may_authenticate("2001:db8::ffff", 500)) == ("auth_failures_per_ip_day", 50)
    assert guard.may_authenticate("2001:db8::ffff", DAY) is None


def test_h087_networks_have_three_and_nine_times_as_many() -> None:
    guard = Guard(ServerLimits(auth_failures_per_ip_minute=2))
    for turn in range(6):
        assert guard.may_authenticate(f"192.0.2.{turn}", 0) is None
        guard.count_failure(f"192.0.2.{turn}", "", 0)
    assert limit_of(guard.may_authenticate("192.0.2.60", 0)) == ("network_factor", 6)
    assert guard.may_authenticate("192.0.2.64", 0) is None


def test_auth_failures_per_user_over_all_addresses() -> None:
    guard = Guard(ServerLimits())
    for address in spread(100):
        assert guard.may_be_guessed("User", 0) is None
        guard.count_failure(address, "user", 0)
    assert guard.may_be_guessed("uSER", 0) == Refusal(replies.CANNOT_AUTHENTICATE_NOW, "auth_failures_per_user", 100)
    assert guard.may_be_guessed("other", 0) is None
    assert guard.may_be_guessed("", 0) is None
    assert guard.may_be_guessed("user", 3600) is None
    unlimited = Guard(ServerLimits(auth_failures_per_user=None))
    for address in spread(200):
        unlimited.count_failure(address, "user", 0)
    assert unlimited.may_be_guessed("user", 0) is None


def test_names_of_users_are_not_kept() -> None:
    guard = Guard(ServerLimits())
    guard.count_failure(HERE, "secret-name" * 1000, 0)
    assert all(isinstance(key, int) for key in guard._guesses_user._whole_at)


@pytest.mark.parametrize("refuse", [False, True])
def test_h087_guessers_are_not_let_in_where_users_log_in(refuse: bool) -> None:
    guard = Guard(ServerLimits(), refuse_guessers=refuse)
    for _ in range(9):
        guard.count_failure(HERE, "user", 0)
    assert guard.admit(HERE, now=0) is None
    guard.count_failure(HERE, "user", 0)
    refusal = Refusal(replies.TOO_MANY_GUESSES, "auth_failures_per_ip_minute", 10)
    assert guard.admit(HERE, now=0) == (refusal if refuse else None)
    assert guard.admit(HERE, now=0, speaks_for_others=True) is None


def test_failed_logins_are_remembered_in_bounded_memory() -> None:
    guard = Guard(ServerLimits())
    for turn in range(60_000):
        guard.count_failure(f"2001:{turn:x}::1", f"user{turn}", 0)
    assert max(map(len, (guard._guesses_minute, guard._guesses_day, guard._guesses_user))) <= 50_000


def test_h086_who_has_waited_is_known_for_a_day() -> None:
    guard = Guard(ServerLimits())
    assert not guard.has_waited("2001:db8::1", 0)
    guard.count_wait("2001:db8::1", 0)
    assert guard.has_waited("2001:db8::2", DAY - 1)
    assert not guard.has_waited("2001:db8:0:1::1", 0)
    assert not guard.has_waited("2001:db8::1", DAY + 1)


def test_every_refusal_fits_into_128_octets() -> None:
    for reply in (
        replies.TOO_MANY_CONNECTIONS,
        replies.TOO_MANY_FROM_ADDRESS,
        replies.TOO_FAST,
        replies.TOO_MANY_GUESSES,
        replies.SHUTTING_DOWN,
    ):
        assert reply.code == 421
        assert len(reply.to_bytes()) <= 128
