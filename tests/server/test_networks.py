"""Networks as operators write them."""

import ipaddress

import pytest

from smtpx.errors import ConfigurationError
from smtpx.server.networks import Networks

LISTED = ["192.0.2.0/24", "198.51.100.7", "2001:db8::/32", "::ffff:203.0.113.0/120", "unix"]


@pytest.mark.parametrize(
    "address",
    [
        "192.0.2.255",
        "::ffff:192.0.2.1",
        "198.51.100.7",
        "2001:db8::1",
        "2001:db8::1%eth0",
        "203.0.113.9",
        "unix",
        "/run/x",
        "@x",
    ],
)
def test_inside(address: str) -> None:
    assert Networks(LISTED).include(address)


@pytest.mark.parametrize("address", ["192.0.3.0", "198.51.100.8", "2001:db9::1", "unknown", "", "2001:db8::1/32"])
def test_outside(address: str) -> None:
    assert not Networks(LISTED).include(address)
    assert not Networks().include(address)


def test_unix_only_if_it_is_listed() -> None:
    assert not Networks(["10.0.0.0/8"]).include("unix")
    assert not Networks(["10.0.0.0/8"]).include("/run/x")
    assert Networks(["unix"]).include("unix")
    assert not Networks(["unix"]).include("10.0.0.1")


@pytest.mark.parametrize(
    "networks",
    [
        ["0.0.0.0/0"],
        ["::/0"],
        ["::ffff:0:0/96"],
        ["0.0.0.0/1", "128.0.0.0/1"],
        [ipaddress.ip_network("0.0.0.0/0")],
        ["10.0.0.0/8", "::/1", "8000::/1"],
    ],
)
def test_everybody_is_no_network(networks: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="would be everybody"):
        Networks(networks)
    assert Networks(networks, everybody=True)


@pytest.mark.parametrize("text", ["", "example.org", "192.0.2.1/24", "10/8", "192.0.2.0/33"])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ConfigurationError, match="not a network"):
        Networks([text])


def test_as_text_and_as_a_truth() -> None:
    assert str(Networks([*LISTED, "192.0.2.7"])) == "192.0.2.0/24, 198.51.100.7/32, 203.0.113.0/24, 2001:db8::/32, unix"
    assert [bool(Networks()), bool(Networks(["unix"])), bool(Networks(["::1"]))] == [False, True, True]
