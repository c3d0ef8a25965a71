"""The TLS layer in memory: handshake, octets both ways, ends, and what may go wrong."""

import ssl
from pathlib import Path

import pytest
import trustme

from smtpx.errors import ConfigurationError, TLSError
from smtpx.net.tls import TLSLayer, client_context, server_tls

Files = tuple[Path, Path, Path]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    directory = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("mail.example.org", "127.0.0.1")
    paths = directory / "ca.pem", directory / "cert.pem", directory / "key.pem"
    authority.cert_pem.write_to_path(str(paths[0]))
    paths[1].write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(str(paths[2]))
    return paths


def pair(files: Files, name: str | None = "mail.example.org", *, verify: bool = True) -> list[TLSLayer]:
    client = TLSLayer(client_context(verify=verify, ca_file=files[0]), server_hostname=name)
    server = TLSLayer(server_tls(files[1], files[2]), server_side=True)
    client.start()
    server.start()
    return [client, server]


def pump(client: TLSLayer, server: TLSLayer, size: int = 0) -> None:
    for _ in range(4):
        for one, other in ((client, server), (server, client)):
            octets = one.output()
            for start in range(0, len(octets), size or max(len(octets), 1)):
                assert other.receive(octets[start : start + (size or len(octets))]) == b""


@pytest.mark.parametrize("size", [0, 1, 100])
def test_handshake_and_octets_however_cut(files: Files, size: int) -> None:
    client, server = pair(files)
    assert not client.is_ready
    pump(client, server, size)
    assert client.is_ready
    assert server.is_ready
    assert client.facts.version == "TLSv1.3"
    assert client.facts.verified
    assert client.facts.group == server.facts.group is not None
    assert server.facts.server_name == "mail.example.org"
    assert client.peer_certificate
    assert server.peer_certificate is None
    data = b"x" * 200_000
    client.send(data)
    client.send(b"")
    assert server.receive(client.output()) == data
    server.close()
    assert client.receive(server.output()) == b""
    assert client.has_ended


def test_cut_off_stream_gives_what_was_complete(files: Files) -> None:
    client, server = pair(files)
    pump(client, server)
    client.send(b"all of it")
    assert server.receive(client.output()) == b"all of it"
    assert server.receive(b"") == b""
    assert server.has_ended


def test_damaged_stream(files: Files) -> None:
    client, server = pair(files)
    pump(client, server)
    client.send(b"abc")
    damaged = bytearray(client.output())
    damaged[-1] ^= 1
    with pytest.raises(TLSError, match="TLS failed"):
        server.receive(bytes(damaged))
    with pytest.raises(TLSError, match="TLS failed"):
        server.send(b"x")


def test_h045_names(files: Files) -> None:
    client, server = pair(files, "127.0.0.1")
    pump(client, server)  # an IP address needs an IP SAN, and no SNI is sent
    assert server.facts.server_name is None
    client, server = pair(files, "other.example.org")
    server.receive(client.output())
    with pytest.raises(TLSError, match=r"(?i)hostname mismatch"):
        client.receive(server.output())
    with pytest.raises(TLSError, match="alert"):
        server.receive(client.output())


def test_unverified(files: Files) -> None:
    client, server = pair(files, "other.example.org", verify=False)
    pump(client, server)
    assert not client.facts.verified


def test_h045_unknown_authority(files: Files) -> None:
    client = TLSLayer(client_context(), server_hostname="mail.example.org")
    server = TLSLayer(server_tls(files[1], files[2]), server_side=True)
    client.start()
    server.receive(client.output())
    with pytest.raises(TLSError, match="certificate is not good"):
        client.receive(server.output())


def test_garbage_and_end_in_the_handshake(files: Files) -> None:
    client, _ = pair(files)
    with pytest.raises(TLSError, match="handshake failed"):
        client.receive(b"220 mail.example.org ESMTP\r\n")
    client, _ = pair(files)
    with pytest.raises(TLSError):
        client.receive(b"")
    client.close()


@pytest.mark.parametrize("name", [None, ""])
def test_nothing_to_check_against(files: Files, name: str | None) -> None:
    with pytest.raises(TLSError, match="no host name"):
        TLSLayer(client_context(ca_file=files[0]), server_hostname=name)


def test_a_name_that_tls_does_not_know(files: Files) -> None:
    with pytest.raises(TLSError, match="not a name"):
        TLSLayer(client_context(ca_file=files[0]), server_hostname=".x")


def test_contexts(files: Files, tmp_path: Path) -> None:
    assert client_context().minimum_version is ssl.TLSVersion.TLSv1_2
    server_tls_context = server_tls(files[1], files[2])
    assert server_tls_context.options & ssl.OP_NO_RENEGOTIATION
    with pytest.raises(ConfigurationError, match=r"none\.pem"):
        client_context(ca_file=tmp_path / "none.pem")
    with pytest.raises(ConfigurationError):
        server_tls(files[1], files[0])
    with pytest.raises(ConfigurationError):
        server_tls(files[1])


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("tickets", [True, False])
def test_h046_session_tickets_can_be_switched_off(files: Files, version: ssl.TLSVersion, tickets: bool) -> None:
    """outlook.com has given up on servers whose tickets it was to use."""
    context = client_context(ca_file=files[0])
    context.maximum_version = version
    client = TLSLayer(context, server_hostname="mail.example.org")
    server = TLSLayer(server_tls(files[1], files[2], session_tickets=tickets), server_side=True)
    client.start()
    server.start()
    pump(client, server)
    server.send(b"220 ready\r\n")  # tickets of TLS 1.3 come with the first octets
    assert client.receive(server.output()) == b"220 ready\r\n"
    session = client._object.session
    assert (session is not None and session.has_ticket) is tickets


def test_the_group_where_python_knows_it(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.15 can be asked; what stood on the wire comes first."""

    class Knowing(ssl.SSLObject):
        def group(self) -> str:
            return "asked"

    monkeypatch.setattr(ssl.SSLContext, "sslobject_class", Knowing)
    client, server = pair(files)
    pump(client, server)
    assert client.facts.group == server.facts.group == "X25519"
    monkeypatch.setattr("smtpx.net.tls.group_in", lambda _: None)
    client, server = pair(files)
    pump(client, server)
    assert client.facts.group == "asked"


def test_the_chain_of_the_peer(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    client, server = pair(files)
    pump(client, server)
    assert client.peer_chain == (client.peer_certificate,)
    assert server.peer_chain == ()

    class Telling(ssl.SSLObject):
        def get_unverified_chain(self) -> list[bytes]:  # as Python 3.13 has it
            return [b"own", b"issuer"]

    monkeypatch.setattr(ssl.SSLContext, "sslobject_class", Telling)
    client, server = pair(files)
    pump(client, server)
    assert client.peer_chain == (b"own", b"issuer")
