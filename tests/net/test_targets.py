"""Where to connect, and what the endpoints of a socket mean."""

import socket

import pytest

from smtpx.net.targets import Target, endpoint_text, hello_name_for, is_local_peer, is_loopback


def test_target_as_text_and_as_tls_name() -> None:
    assert str(Target("h", 25)) == "h:25"
    assert str(Target("::1", 25)) == "[::1]:25"
    assert str(Target(unix_path="/x")) == "/x"
    assert Target("Bücher.example").tls_name == "xn--bcher-kva.example"  # H045
    assert Target("mail.example.org.").tls_name == "mail.example.org"
    assert Target("::1").tls_name == "::1"
    assert Target("fe80::1%eth\u00fc").tls_name == "fe80::1"
    assert Target(unix_path="/x").tls_name is None


@pytest.mark.parametrize("target", [Target("localhost"), Target("127.0.0.2"), Target("::1"), Target(unix_path="/x")])
def test_local_targets(target: Target) -> None:
    assert target.is_local


def test_far_target() -> None:
    assert not Target("mail.example.org").is_local


@pytest.mark.parametrize("peer", [("127.0.0.1", 1), ("::1", 1, 0, 0), ("::ffff:127.0.0.1", 1), "/run/x", "", b"\0x"])
def test_local_peers(peer: object) -> None:
    assert is_local_peer(peer)


@pytest.mark.parametrize("peer", [("192.0.2.1", 1), ("fe80::1%eth0", 1, 0, 2), (2, 3), None, ("mail.example", 1)])
def test_peers_that_are_not_known_to_be_local(peer: object) -> None:
    assert not is_local_peer(peer)


def test_loopback() -> None:
    assert is_loopback("127.8.9.1")
    assert not is_loopback("localhost")


def test_endpoints() -> None:
    assert endpoint_text(("127.0.0.1", 25)) == "127.0.0.1:25"
    assert endpoint_text(("::1", 25, 0, 0)) == "[::1]:25"
    assert endpoint_text(b"\0name") == "@name"
    assert endpoint_text("/run/x") == "/run/x"
    assert endpoint_text("") == "unix"


@pytest.mark.parametrize(
    ("host", "local", "name"),
    [
        ("mail.example.org", ("192.0.2.1", 1), "mail.example.org"),
        ("box", ("192.0.2.1", 1), "[192.0.2.1]"),
        ("box", ("fe80::1%eth0", 1, 0, 2), "[IPv6:fe80::1]"),
        ("localhost.localdomain", ("192.0.2.1", 1), "[192.0.2.1]"),
        ("bücher.example", ("192.0.2.1", 1), "[192.0.2.1]"),
        ("box", "", "box"),
        ("bücher", "", "localhost"),
        ("", "", "localhost"),
    ],
)
def test_rfc5321_4_1_1_1_hello_name(monkeypatch: pytest.MonkeyPatch, host: str, local: object, name: str) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    assert hello_name_for(local) == name
