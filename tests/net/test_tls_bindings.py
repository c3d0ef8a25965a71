"""What a TLS layer tells of its channel and of its peer's certificate, for SASL."""

import hashlib
import ssl
from pathlib import Path

import pytest
import trustme

from smtpx.errors import ConfigurationError
from smtpx.net.tls import TLSLayer, remember_certificate, server_tls

AUTHORITY = trustme.CA()
LEAF = AUTHORITY.issue_cert("localhost")
DER = ssl.PEM_cert_to_DER_cert(LEAF.cert_chain_pems[0].bytes().decode())
END_POINT = hashlib.sha256(DER).digest()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    LEAF.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    return tmp_path / "server.pem"


def client_tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


def connected(server_tls: ssl.SSLContext, client: ssl.SSLContext | None = None) -> tuple[TLSLayer, TLSLayer]:
    ours = TLSLayer(client or client_tls(), server_hostname="localhost")
    theirs = TLSLayer(server_tls, server_side=True)
    ours.start()
    theirs.start()
    for _ in range(4):
        for source, sink in ((ours, theirs), (theirs, ours)):
            if octets := source.output():
                sink.receive(octets)
    assert ours.is_ready
    assert theirs.is_ready
    return ours, theirs


def test_rfc5929_4_both_sides_name_the_certificate(certificate: Path) -> None:
    client, server = connected(server_tls(certificate))
    assert client.facts.version == "TLSv1.3"
    assert client.facts.bindings == server.facts.bindings == {"tls-server-end-point": END_POINT}
    assert "tls-server-end-point" not in repr(client.facts)


def test_rfc5929_3_tls_unique_on_tls_1_2_only(certificate: Path) -> None:
    context = server_tls(certificate)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    client, server = connected(context)
    assert list(client.facts.bindings) == ["tls-unique", "tls-server-end-point"]
    assert client.facts.bindings == server.facts.bindings
    other, _ = connected(context)
    assert other.facts.bindings["tls-unique"] != client.facts.bindings["tls-unique"]


class Exporting:
    """What a later Python may bring."""

    def __init__(self, inner: ssl.SSLObject) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def export_keying_material(self, label: bytes, length: int) -> bytes:
        assert label == b"EXPORTER-Channel-Binding"
        return b"e" * length


def test_rfc9266_4_tls_exporter_where_it_can_be_had(certificate: Path) -> None:
    client, _ = connected(server_tls(certificate))
    client._object = Exporting(client._object)  # type: ignore[assignment]
    assert client.facts.bindings == {"tls-exporter": b"e" * 32, "tls-server-end-point": END_POINT}


def test_context_of_your_own(certificate: Path, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    _, server = connected(context)
    assert server.facts.bindings == {}
    remember_certificate(context, certificate)
    _, server = connected(context)
    assert server.facts.bindings == {"tls-server-end-point": END_POINT}
    (tmp_path / "none.pem").write_text("nothing")
    remember_certificate(context, tmp_path / "none.pem")
    _, server = connected(context)
    assert server.facts.bindings == {}


def test_certificate_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_text("nothing")
    with pytest.raises(ConfigurationError):
        server_tls(tmp_path / "none.pem")


@pytest.mark.parametrize(
    ("names", "common_name", "identity"),
    [
        (("fred@example.com", "x@example.com"), "fred", "fred@example.com"),
        (("host.example",), "fred", "fred"),
        (("host.example",), None, None),
    ],
)
def test_whom_a_client_certificate_names(
    certificate: Path, names: tuple[str, ...], common_name: str | None, identity: str | None
) -> None:
    context = server_tls(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    AUTHORITY.configure_trust(context)
    ours = client_tls()
    AUTHORITY.issue_cert(*names, common_name=common_name).configure_cert(ours)
    client, server = connected(context, ours)
    assert server.facts.peer_identity == identity
    assert client.facts.peer_identity is None


def test_certificate_that_was_not_asked_for_names_nobody(certificate: Path) -> None:
    ours = client_tls()
    AUTHORITY.issue_cert("fred@example.com").configure_cert(ours)
    _, server = connected(server_tls(certificate), ours)
    assert server.facts.peer_identity is None
