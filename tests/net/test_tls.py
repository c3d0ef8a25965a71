"""The TLS layer in memory: handshake, octets both ways, ends, and what may go wrong."""

import gc
import ssl
import weakref
from pathlib import Path
from typing import Any

import pytest
import trustme

from smtpx.errors import ConfigurationError, TLSError
from smtpx.net.tls import TLSLayer, client_context, recipe_of, server_tls
from tests.certificates import Authority

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


@pytest.mark.parametrize(
    ("host", "fits"),
    [("mx.example.org", True), ("a.mx.example.org", False), ("example.org", False), ("mx.example.net", False)],
)
def test_h045_a_wildcard_is_one_label(tmp_path: Path, host: str, fits: bool) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    issued = authority.issue_cert("*.example.org")
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    client = TLSLayer(client_context(ca_file=tmp_path / "ca.pem"), server_hostname=host)
    server = TLSLayer(server_tls(tmp_path / "both.pem"), server_side=True)
    client.start()
    server.start()
    if fits:
        pump(client, server)
        assert client.facts.verified
        return
    server.receive(client.output())
    with pytest.raises(TLSError, match=r"(?i)hostname mismatch"):
        client.receive(server.output())


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
    for context in (client_context(), server_tls_context):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert context.maximum_version is ssl.TLSVersion.MAXIMUM_SUPPORTED
        assert context.options & ssl.OP_NO_RENEGOTIATION
        assert context.options & ssl.OP_NO_COMPRESSION
    assert server_tls_context.verify_mode is ssl.CERT_NONE  # no certificate is asked for
    library = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert server_tls_context.get_ciphers() == library.get_ciphers()
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


# Why handshakes fail -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"EHLO client.example\r\n", "not_tls"),
        (b"GET / HTTP/1.1\r\n\r\n", "not_tls"),
        (b"CONNECT x HTTP/1.1\r\n\r\n", "not_tls"),
        (b"", "eof"),
        (b"\x16\x03\x01\xff\xff" + b"x" * 50, "other"),
    ],
)
def test_what_is_no_handshake(files: Files, octets: bytes, reason: str) -> None:
    server = TLSLayer(server_tls(files[1], files[2]), server_side=True)
    server.start()
    with pytest.raises(TLSError) as caught:
        server.receive(octets)
    assert caught.value.reason == reason


def test_no_version_in_common(files: Files) -> None:
    context = client_context(ca_file=files[0])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    newer = server_tls(files[1], files[2])
    newer.minimum_version = ssl.TLSVersion.TLSv1_3
    client, server = TLSLayer(context, server_hostname="mail.example.org"), TLSLayer(newer, server_side=True)
    client.start()
    server.start()
    with pytest.raises(TLSError) as ours:
        server.receive(client.output())
    with pytest.raises(TLSError) as theirs:
        client.receive(server.output())
    assert ours.value.reason == theirs.value.reason == "version"


def test_a_client_that_does_not_trust_us_says_so(files: Files) -> None:
    client = TLSLayer(client_context(), server_hostname="mail.example.org")
    server = TLSLayer(server_tls(files[1], files[2]), server_side=True)
    client.start()
    server.start()
    with pytest.raises(TLSError) as theirs:
        pump(client, server)
    assert theirs.value.reason == "certificate"
    with pytest.raises(TLSError) as ours:
        server.receive(client.output())
    assert ours.value.reason == "alert"


# Several certificates, and how a context is made again ---------------------------------------------------------------


AUTHORITY = trustme.CA()


def issue(directory: Path, *names: str) -> Path:
    leaf = AUTHORITY.issue_cert(*names)
    path = directory / f"{names[0].replace('*', 'any')}.pem"
    leaf.private_key_and_cert_chain_pem.write_to_path(str(path))
    return path


def names_shown(context: ssl.SSLContext, wanted: str | None) -> set[str]:
    """The names in the certificate that a client is shown who asks for `wanted`; both sides name the same channel."""
    ours = ssl.create_default_context()
    AUTHORITY.configure_trust(ours)
    ours.check_hostname = False
    client, server = TLSLayer(ours, server_hostname=wanted), TLSLayer(context, server_side=True)
    client.start()
    server.start()
    pump(client, server)
    assert client.facts.bindings == server.facts.bindings != {}
    assert server.facts.server_name == wanted
    certificate = client._object.getpeercert()
    assert certificate is not None
    return {str(value) for _, value in certificate["subjectAltName"]}  # type: ignore[misc]


def test_certificates_by_name(tmp_path: Path) -> None:
    context = server_tls(
        issue(tmp_path, "default.example"),
        names={
            "MAIL.example.org": (issue(tmp_path, "mail.example.org"), None),
            "*.example.org": (issue(tmp_path, "*.example.org"), None),
            "bücher.example": (issue(tmp_path, "xn--bcher-kva.example"), None),
        },
    )
    shown = {
        None: "default.example",
        "unknown.example": "default.example",
        "example.org": "default.example",
        "a.b.example.org": "default.example",
        "Mail.Example.org": "mail.example.org",
        "smtp.example.org": "*.example.org",
        "xn--bcher-kva.example": "xn--bcher-kva.example",
    }
    for wanted, expected in shown.items():
        assert names_shown(context, wanted) == {expected}


def test_what_is_no_name(tmp_path: Path) -> None:
    path = issue(tmp_path, "x.example")
    with pytest.raises(ConfigurationError, match="not a name for a certificate: not a domain name"):
        server_tls(path, names={"bü..x": (path, None)})
    with pytest.raises(ConfigurationError, match="can't use certificate"):
        server_tls(path, names={"x.example": (tmp_path / "missing", None)})


def test_a_key_with_a_passphrase_is_not_asked_for(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    leaf = AUTHORITY.issue_cert("x.example")
    key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"secret")
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    (tmp_path / "key.pem").write_bytes(key.private_bytes(*form))
    leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    with pytest.raises(ConfigurationError, match="protected by a passphrase"):
        server_tls(tmp_path / "cert.pem", tmp_path / "key.pem")


def test_a_context_is_made_again_with_all_its_settings(tmp_path: Path) -> None:
    configured: list[ssl.SSLContext] = []

    def configure(context: ssl.SSLContext) -> None:
        configured.append(context)
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    path, other = issue(tmp_path, "x.example"), issue(tmp_path, "y.example")
    context = server_tls(path, names={"y.example": (other, None)}, session_tickets=False, configure=configure)
    recipe = recipe_of(context)
    assert recipe is not None
    assert [files.certificate for files in recipe.files] == [path, other]
    recipe.check(context)
    again = recipe.make()
    assert again is not context
    assert again in configured
    assert (again.maximum_version, again.num_tickets) == (ssl.TLSVersion.TLSv1_2, 0)
    assert names_shown(again, "y.example") == {"y.example"}
    found = recipe_of(again)
    assert found is not None
    assert found.files == recipe.files


def test_a_change_that_would_be_lost_is_noticed(tmp_path: Path) -> None:
    context = server_tls(issue(tmp_path, "x.example"))
    recipe = recipe_of(context)
    assert recipe is not None
    context.verify_mode = ssl.CERT_REQUIRED
    with pytest.raises(ConfigurationError, match=r"changed after server_tls made it.*configure="):
        recipe.check(context)


def test_contexts_that_are_not_made_again(tmp_path: Path) -> None:
    assert recipe_of(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)) is None
    assert recipe_of(server_tls(issue(tmp_path, "x.example"), reloadable=False)) is None


def test_recipes_do_not_keep_contexts_alive(tmp_path: Path) -> None:
    context = server_tls(issue(tmp_path, "x.example"))
    gone = weakref.ref(context)
    del context
    gc.collect()
    assert gone() is None


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


# Clients' certificates ------------------------------------------------------------------------------------------------


def with_client(files: Files, certificate: Path | None, **options: Any) -> list[TLSLayer]:  # noqa: ANN401
    context = client_context(ca_file=files[0])
    if certificate is not None:
        context.load_cert_chain(certificate)
    client = TLSLayer(context, server_hostname="mail.example.org")
    server = TLSLayer(server_tls(files[1], files[2], **options), server_side=True)
    client.start()
    server.start()
    return [client, server]


@pytest.mark.parametrize(("email", "identity"), [("me@x.example", "me@x.example"), (None, "Test server")])
@pytest.mark.parametrize("how", ["request", "require"])
def test_whom_a_clients_certificate_names(
    files: Files, tmp_path: Path, email: str | None, identity: str, how: str
) -> None:
    authority = Authority()
    own = tmp_path / "own.pem"
    own.write_bytes(authority.issue(email=email).pem)
    client, server = with_client(files, own, client_ca=authority.trust(tmp_path), client_certificates=how)
    pump(client, server)
    assert (server.facts.verified, server.facts.peer_identity) == (True, identity)


@pytest.mark.parametrize("how", ["request", "require"])
def test_a_clients_certificate_that_is_missing_or_bad(files: Files, tmp_path: Path, how: str) -> None:
    authority = Authority().trust(tmp_path)
    client, server = with_client(files, None, client_ca=authority, client_certificates=how)
    if how == "require":
        with pytest.raises(TLSError, match="peer did not return a certificate"):
            pump(client, server)
    else:
        pump(client, server)
        assert (server.facts.verified, server.facts.peer_identity) == (False, None)
    own = tmp_path / "own.pem"
    own.write_bytes(Authority("Somebody else").issue(email="me@x.example").pem)
    client, server = with_client(files, own, client_ca=authority, client_certificates=how)
    with pytest.raises(TLSError, match="not good"):
        pump(client, server)


@pytest.mark.parametrize("name", ["a\nb@x.example", " me@x.example", ""])
def test_names_that_could_mislead_are_none(name: str, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    client, server = pair(files)
    pump(client, server)

    class Shown:
        def getpeercert(self) -> dict[str, object]:
            return {"subjectAltName": (("email", name), ("email", "me@x.example"))}

    monkeypatch.setattr(server, "_object", Shown())
    assert server._peer_identity() is None


def test_clients_can_not_be_verified_by_nothing(files: Files, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match='"require" needs client_ca'):
        server_tls(files[1], files[2], client_certificates="require")
    with pytest.raises(ConfigurationError, match=r"can't read authorities from .*none\.pem"):
        server_tls(files[1], files[2], client_ca=tmp_path / "none.pem")
    recipe = recipe_of(server_tls(files[1], files[2], client_ca=files[0]))
    assert recipe is not None
    assert recipe.paths == (files[1], files[2], files[0])
