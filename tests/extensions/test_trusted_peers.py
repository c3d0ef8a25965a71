"""Trust lists, and the attributes of XCLIENT and XFORWARD (H094)."""

import pytest

from smtpx.errors import ConfigurationError
from smtpx.extensions.trusted_peers import (
    TrustedPeers,
    one_of,
    parse_address,
    parse_attributes,
    parse_port,
    write_address,
    write_attributes,
)
from smtpx.protocol.facts import Claims, ServerFacts
from smtpx.wire.syntax import WireError

KNOWN = {"NAME": str, "PORT": parse_port}


@pytest.mark.parametrize(
    ("networks", "address", "trusted"),
    [
        ((), "127.0.0.1", False),
        ((), "unix", False),
        ((), "", False),
        (("127.0.0.0/8",), "127.0.0.1", True),
        (("127.0.0.0/8",), "::ffff:127.0.0.1", True),
        (("127.0.0.0/8",), "::1", False),
        (("127.0.0.0/8",), "unix", False),
        (("192.0.2.1", "fe80::/10"), "fe80::1%eth0", True),
        (("192.0.2.1", "fe80::/10"), "192.0.2.1", True),
        (("192.0.2.1", "fe80::/10"), "192.0.2.2", False),
        (("unix",), "unix", True),
        (("unix",), "/run/client", True),
        (("unix",), "127.0.0.1", False),
        (("unix",), "", False),
    ],
)
def test_who_is_trusted(networks: tuple[str, ...], address: str, trusted: bool) -> None:
    assert TrustedPeers(networks).include(ServerFacts(address=address)) == trusted


def test_whom_a_peer_speaks_for_is_not_trusted_for_it() -> None:
    facts = ServerFacts(address="192.0.2.1", claims=Claims(address="127.0.0.1"))
    assert not TrustedPeers(["127.0.0.1"]).include(facts)


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "192.0.2.1/24", "localhost", ""])
def test_lists_that_are_refused(network: str) -> None:
    with pytest.raises(ConfigurationError):
        TrustedPeers([network])


@pytest.mark.parametrize(
    ("argument", "found"),
    [
        ("NAME=a", {"NAME": "a"}),
        ("name=a+20b PORT=25", {"NAME": "a b", "PORT": 25}),
        ("NAME=[unavailable] port=[TempUnavail]", {"NAME": None, "PORT": None}),
        ("NAME=" + "+41" * 255, {"NAME": "A" * 255}),
    ],
)
def test_attributes(argument: str, found: dict[str, object]) -> None:
    assert parse_attributes(argument, KNOWN) == found


@pytest.mark.parametrize(
    "argument",
    [
        None,
        "",
        "NAME",
        "NAME=",
        "OTHER=x",
        "NAME=a NAME=b",
        "NAME=a  PORT=1",
        "NAME=a ",
        "NAME=+4",
        "NAME=+4a",
        "NAME=+80",
        "NAME=+0D+0A",
        "NAME=+7F",
        "NAME=é",
        "NAME=" + "a" * 256,
        "PORT=x",
        "PORT=65536",
        "PORT=-1",
    ],
)
def test_h094_attributes_that_are_malformed(argument: str | None) -> None:
    with pytest.raises(WireError):
        parse_attributes(argument, KNOWN)


def test_attributes_are_written_as_they_are_read() -> None:
    text = write_attributes({"NAME": "a b=c", "PORT": 25})
    assert text == "NAME=a+20b+3Dc PORT=25"
    assert parse_attributes(text, KNOWN) == {"NAME": "a b=c", "PORT": 25}
    assert parse_attributes(write_attributes({"NAME": None}), KNOWN) == {"NAME": None}


@pytest.mark.parametrize(
    ("text", "address", "written"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("ipv6:2001:DB8::0:1", "2001:db8::1", "IPV6:2001:db8::1"),
        ("2001:db8::1", "2001:db8::1", "IPV6:2001:db8::1"),
    ],
)
def test_addresses(text: str, address: str, written: str) -> None:
    assert parse_address(text) == address
    assert write_address(address) == written


@pytest.mark.parametrize("text", ["localhost", "192.0.2", "192.0.2.256", "IPV6:", "[192.0.2.1]"])
def test_h094_bad_addresses(text: str) -> None:
    with pytest.raises(WireError):
        parse_address(text)


def test_words() -> None:
    parse = one_of("LOCAL", "REMOTE")
    assert parse("Local") == "LOCAL"
    with pytest.raises(WireError, match="LOCAL or REMOTE"):
        parse("both")
