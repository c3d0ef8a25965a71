"""What is tried, in which order, and how failures are told (RFC 8305 4)."""

import errno
import socket

import pytest

from smtpx.errors import ConnectError
from smtpx.net.addresses import Failures, Found, Place, lookup_flags, not_found, places
from smtpx.net.targets import Target


def found(*addresses: str) -> Found:
    family = {True: socket.AF_INET6, False: socket.AF_INET}
    return [(family[":" in a], socket.SOCK_STREAM, 6, "", (a, 25)) for a in addresses]


def order(*addresses: str, local: str | None = None) -> list[str]:
    return [str(each.address[0]) for each in places(Target("h", 25, local_address=local), found(*addresses))]


def test_rfc8305_4_families_take_turns_and_the_first_stays_the_first() -> None:
    assert order("::1", "::2", "::3", "10.0.0.1") == ["::1", "10.0.0.1", "::2", "::3"]
    assert order("10.0.0.1", "::1", "10.0.0.2") == ["10.0.0.1", "::1", "10.0.0.2"]
    assert order("10.0.0.1", "10.0.0.1") == ["10.0.0.1"]


def test_only_the_family_of_the_local_address() -> None:
    assert order("::1", "10.0.0.1", local="10.9.9.9") == ["10.0.0.1"]
    assert order("10.0.0.1", "::1", local="::9") == ["::1"]
    with pytest.raises(ConnectError, match="no address of the family of ::9"):
        order("10.0.0.1", local="::9")


def test_an_address_is_not_looked_up() -> None:
    assert lookup_flags("127.0.0.1") == lookup_flags("::1") == socket.AI_NUMERICHOST
    assert lookup_flags("mail.example.org") == 0


def test_a_name_that_is_not_found() -> None:
    for error in (socket.gaierror(socket.EAI_NONAME, "not known"), UnicodeError("not known")):
        assert str(not_found(Target("h"), error)) == "can't find h: not known (stage: connect)"


def test_failures_name_every_address() -> None:
    failures = Failures(Target("h", 25, local_address="192.0.2.7"))
    first, second, third = (Place(2, (f"192.0.2.{number}", 25)) for number in (1, 2, 3))
    refused = OSError(errno.ECONNREFUSED, "some loop's own text")
    failures.add(first, errno.EHOSTUNREACH)
    failures.add(first, OSError("without a number"))
    failures.add(first, refused)
    failures.late([second], [third], 1.5)
    error = failures.error()
    assert error.message == (
        "can't connect to 192.0.2.1 port 25 from 192.0.2.7: No route to host; "
        "can't connect to 192.0.2.1 port 25 from 192.0.2.7: without a number; "
        "can't connect to 192.0.2.1 port 25 from 192.0.2.7: Connection refused; "
        "can't connect to 192.0.2.2 port 25 from 192.0.2.7: no answer in 1.5 s; "
        "can't connect to 192.0.2.3 port 25 from 192.0.2.7: no time was left to try it"
    )
    assert (error.stage, error.is_temporary, error.__cause__) == ("connect", True, refused)


def test_who_wants_to_hears_of_each_failure() -> None:
    told: list[tuple[str, str]] = []
    failures = Failures(Target("h", 25), lambda address, reason: told.append((address, reason)))
    failures.add(Place(socket.AF_INET6, ("2001:db8::1", 25, 0, 0)), errno.ECONNREFUSED)
    failures.late([Place(socket.AF_INET, ("192.0.2.1", 25))], [], 1.5)
    assert told == [("[2001:db8::1]:25", "Connection refused"), ("192.0.2.1:25", "no answer in 1.5 s")]
