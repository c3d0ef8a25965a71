"""Post-quantum hybrid key exchange: an OpenSSL that has it against our server and our client (H049).

A hybrid ClientHello is larger than one TCP segment; there are servers that hang on it.
"""

import contextlib
import socket
import ssl
import time
from pathlib import Path

import pytest
import trustme
from OpenSSL import SSL

import smtpx
from smtpx.protocol.facts import TLSFacts
from smtpx.server.body import Body
from tests.peers import ScriptedServer, colour_of

HYBRID = "X25519MLKEM768"
Cut = tuple[int, ...]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    directory = tmp_path_factory.mktemp("tls")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(directory / "server.pem"))
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    return directory / "server.pem", directory / "ca.pem"


class OpenSSLClient:
    """SMTP by hand over pyOpenSSL; what its handshake says can be cut."""

    def __init__(self, port: int, *, pause_seconds: float = 0.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pause_seconds = pause_seconds
        self._tls: SSL.Connection | None = None
        self.hello_bytes = 0

    def handshake(self, authority: trustme.CA, cuts: Cut) -> SSL.Connection:
        context = SSL.Context(SSL.TLS_METHOD)
        authority.configure_trust(context)
        context.set_verify(SSL.VERIFY_PEER)
        tls = self._tls = SSL.Connection(context, None)
        tls.set_tlsext_host_name(b"localhost")
        tls.set_connect_state()
        done = False
        while not done:
            try:
                tls.do_handshake()
                done = True
            except SSL.WantReadError:
                pass
            self._send(cuts)
            cuts = ()
            if not done:
                tls.bio_write(self.socket.recv(65536))
        return tls

    def _send(self, cuts: Cut = ()) -> None:
        assert self._tls is not None
        with contextlib.suppress(SSL.WantReadError):
            octets = self._tls.bio_read(1 << 20)
            self.hello_bytes = self.hello_bytes or len(octets)
            for start, end in zip((0, *cuts), (*cuts, len(octets)), strict=True):
                self.socket.sendall(octets[start:end])
                time.sleep(self._pause_seconds)

    def say(self, text: str = "") -> str:
        """Say a line; the reply."""
        octets = f"{text}\r\n".encode() if text else b""
        if self._tls is None:
            self.socket.sendall(octets)
        elif octets:
            self._tls.send(octets)
            self._send()
        reply = b""
        while not reply.endswith(b"\n") or reply.splitlines()[-1][3:4] == b"-":
            reply += self._read()
        return reply.decode()

    def _read(self) -> bytes:
        if self._tls is None:
            return self.socket.recv(65536)
        while True:
            try:
                return self._tls.recv(65536)
            except SSL.WantReadError:
                self._tls.bio_write(self.socket.recv(65536))


class Archive(smtpx.Session):
    seen: list[tuple[TLSFacts | None, bytes]]

    async def data(self, body: Body) -> None:
        self.seen.append((self.peer.tls, await body.read()))


CUTS: dict[str, Cut] = {
    "whole": (),
    "two segments": (1400,),
    "in the record header": (3,),
    "three segments": (536, 1072),
    "the first 64 octet by octet": tuple(range(1, 65)),
    "octet by octet": tuple(range(1, 1400)),
}


@pytest.mark.parametrize("implicit", [True, False], ids=["implicit", "starttls"])
@pytest.mark.parametrize("alpn", ["any", "require"])
@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
def test_h049_a_hybrid_client_hello_is_served_however_it_is_cut(
    files: tuple[Path, Path], authority: trustme.CA, implicit: bool, alpn: str, cuts: Cut
) -> None:
    seen: list[tuple[TLSFacts | None, bytes]] = []
    session = type("Fresh", (Archive,), {"seen": seen})
    options = {"tls": smtpx.server_tls(files[0]), "implicit_tls": implicit, "alpn": alpn}
    with smtpx.ServerThread(session, port=0, **options) as server:
        client = OpenSSLClient(server.port, pause_seconds=0.05 if 0 < len(cuts) < 3 else 0)
        with client.socket:
            if not implicit:
                client.say()
                assert "STARTTLS" in client.say("EHLO client.example")
                assert client.say("STARTTLS").startswith("220")
            tls = client.handshake(authority, cuts)
            if implicit:
                client.say()
            assert client.hello_bytes > 1400
            client.say("EHLO client.example")
            for line, code in (("MAIL FROM:<a@x.example>", "250"), ("RCPT TO:<b@y.example>", "250"), ("DATA", "354")):
                assert client.say(line).startswith(code)
            assert client.say("Subject: x\r\n\r\nhello\r\n.").startswith("250")
            assert client.say("QUIT").startswith("221")
            agreed = tls.get_group_name()
    (facts, body) = seen[0]
    assert body == b"Subject: x\r\n\r\nhello\r\n"
    assert facts is not None
    assert facts.group is not None
    assert facts.group.lower() == str(agreed).lower()


def openssl_server(sock: socket.socket, context: SSL.Context, said: list[str | None]) -> None:
    """A mail server under TLS that OpenSSL 4 speaks: implicit, one command at a time."""
    tls = SSL.Connection(context, sock)
    tls.set_accept_state()
    sock.setblocking(True)
    tls.do_handshake()
    said.append(tls.get_group_name())
    tls.sendall(b"220 hybrid.example\r\n")
    with contextlib.suppress(SSL.ZeroReturnError, SSL.SysCallError):
        while True:
            line = tls.recv(4096)
            tls.sendall(b"221 bye\r\n" if line.startswith(b"QUIT") else b"250 ok\r\n")


@pytest.mark.parametrize("name", ["sync", "async"])
def test_our_client_with_a_server_that_prefers_hybrid_groups(
    name: str, files: tuple[Path, Path], authority: trustme.CA
) -> None:
    context = SSL.Context(SSL.TLS_METHOD)
    authority.issue_cert("localhost").configure_cert(context)
    said: list[str | None] = []
    with (
        colour_of(name) as colour,
        ScriptedServer(act=lambda sock: openssl_server(sock, context, said)) as server,
        colour.open(f"smtps://localhost:{server.port}", ca_file=files[1], hello_name="me") as connection,
    ):
        connection.noop()
        facts = connection.tls
    assert facts.group.lower() == str(said[0]).lower()
    if ssl.OPENSSL_VERSION_INFO >= (3, 5):
        assert facts.group == HYBRID
