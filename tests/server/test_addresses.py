"""Domains and addresses as operators write them, and spellings that are the same."""

import pytest

from smtpx.errors import ConfigurationError
from smtpx.server.addresses import Addresses, Domains
from smtpx.wire.address import NULL_SENDER, Mailbox

LISTED = Domains(["Example.ORG", "*.example.net", "bücher.example", "[192.0.2.1]", "dot.example."])


@pytest.mark.parametrize(
    "domain",
    [
        "example.org",
        "EXAMPLE.org",
        "example.org.",
        "a.example.net",
        "a.b.EXAMPLE.net",
        "bücher.example",
        "BÜCHER.example",
        "xn--bcher-kva.example",
        "XN--BCHER-KVA.EXAMPLE",
        "bu\u0308cher.example",
        "[192.0.2.1]",
        "dot.example",
    ],
)
def test_ours(domain: str) -> None:
    assert LISTED.include(domain)


@pytest.mark.parametrize(
    "domain",
    [
        "a.example.org",
        "example.net",
        "xample.net",
        "aexample.net",
        "example.org.evil.example",
        "[192.0.2.2]",
        "192.0.2.1",
        "",
        "bucher.example",
        "bü..example",
        "xn--zzzzzzzz.example",
    ],
)
def test_not_ours(domain: str) -> None:
    assert not LISTED.include(domain)
    assert not Domains().include(domain)


def test_a_literal_is_below_nothing() -> None:
    assert not Domains(["*.1]"]).include("[192.0.2.1]")


def test_below_an_internationalised_name() -> None:
    assert Domains(["*.bücher.example"]).include("a.xn--bcher-kva.example")


@pytest.mark.parametrize(
    "text", ["", "*", "*.", "a@b.example", "a b", "a,b", "bü..x", "<a>", '"a"', "a.*.b", "x" * 64 + "ü.example"]
)
def test_what_is_no_domain(text: str) -> None:
    with pytest.raises(ConfigurationError, match="not a domain"):
        Domains([text])


def test_domains_as_text_and_as_a_truth() -> None:
    assert str(LISTED) == "[192.0.2.1], dot.example, example.org, xn--bcher-kva.example, *.example.net"
    assert [bool(Domains()), bool(Domains(["*.a"])), bool(Domains(["a"]))] == [False, True, True]


ADDRESSES = Addresses(
    ["Boss@Example.org", '"a b"@example.org', "example.com", "*.example.net", "jürgen@bücher.example"]
)


@pytest.mark.parametrize(
    "address",
    [
        "boss@example.org",
        '"boss"@EXAMPLE.ORG',
        r'"b\oss"@example.org',
        '"A b"@example.org',
        r'"a\ b"@example.org',
        "anybody@example.com",
        "anybody@a.example.net",
        "JÜRGEN@xn--bcher-kva.example",
        "ju\u0308rgen@bücher.example",
    ],
)
def test_listed(address: str) -> None:
    assert ADDRESSES.include(Mailbox.parse(address))


@pytest.mark.parametrize(
    "address",
    [
        "boss@example.net",
        "bos@example.org",
        "ab@example.org",
        '"boss@example.com"@example.org',
        "boss%example.com@example.org",
        "a@example.net",
    ],
)
def test_not_listed(address: str) -> None:
    assert not ADDRESSES.include(Mailbox.parse(address))


def test_mailboxes_without_a_domain() -> None:
    postmaster = Mailbox("PostMaster", "")
    assert Addresses(["<>"]).include(NULL_SENDER)
    assert Addresses(["postmaster"]).include(postmaster)
    assert not Addresses(["<>", "example.com"]).include(postmaster)
    assert not Addresses(["postmaster", "example.com"]).include(NULL_SENDER)


@pytest.mark.parametrize("text", ["@", "a@", "a b@c.example", "<a@b.example>", "@b.example"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ConfigurationError, match="not an address for a list"):
        Addresses([text])


def test_what_never_comes_from_the_wire() -> None:
    assert not ADDRESSES.include(Mailbox("boss", "bü..x"))


def test_addresses_as_a_truth() -> None:
    assert [bool(Addresses()), bool(Addresses(["<>"])), bool(Addresses(["a"]))] == [False, True, True]
