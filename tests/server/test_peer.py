"""What a session sees of its client."""

import pytest

from smtpx.extensions import STANDARD
from smtpx.protocol.extension import ExtensionSet
from smtpx.protocol.facts import TLSFacts
from smtpx.protocol.server import ServerProtocol
from smtpx.protocol.settings import ServerSettings
from smtpx.server.peer import Peer, SocketName

PROTOCOL = ServerProtocol(ServerSettings(hostname="server.example", extensions=ExtensionSet(STANDARD)))


@pytest.mark.parametrize(
    ("name", "address", "port", "local", "shown"),
    [
        (("127.0.0.1", 4711), "127.0.0.1", 4711, True, "127.0.0.1:4711"),
        (("192.0.2.1", 25), "192.0.2.1", 25, False, "192.0.2.1:25"),
        (("::1", 25, 0, 0), "::1", 25, True, "[::1]:25"),
        (("fe80::1%eth0", 25, 0, 2), "fe80::1%eth0", 25, False, "[fe80::1%eth0]:25"),
        (("::ffff:127.0.0.1", 25, 0, 0), "::ffff:127.0.0.1", 25, True, "[::ffff:127.0.0.1]:25"),
        ("", "unix", 0, True, "unix"),
        ("/run/client", "/run/client", 0, True, "/run/client"),
        (b"\0abstract", "@abstract", 0, True, "@abstract"),
    ],
)
def test_address(name: SocketName, address: str, port: int, local: bool, shown: str) -> None:
    peer = Peer("1f2e3d4c", name, PROTOCOL)
    assert (peer.address, peer.port, peer.is_local) == (address, port, local)
    assert repr(peer) == f"<Peer 1f2e3d4c {shown}>"


def test_facts_are_those_of_the_protocol_at_any_time() -> None:
    protocol = ServerProtocol(PROTOCOL.settings)
    peer = Peer("1", ("127.0.0.1", 1), protocol)
    assert (peer.tls, peer.hello_name, peer.identity, peer.is_extended) == (None, None, None, False)
    protocol.facts.hello_name, protocol.facts.extended, protocol.facts.identity = "client.example", True, "user"
    assert (peer.hello_name, peer.identity, peer.is_extended) == ("client.example", "user", True)
    facts = TLSFacts("TLSv1.3", "TLS_AES_128_GCM_SHA256")
    protocol.tls_started(facts)
    assert (peer.tls, peer.hello_name, peer.identity, peer.is_extended) == (facts, None, None, False)


def test_it_is_for_reading() -> None:
    peer = Peer("1", ("127.0.0.1", 1), PROTOCOL)
    with pytest.raises(AttributeError):
        peer.identity = "root"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue] # that is the test
