"""The key exchange group, read from what a server says: real handshakes, and garbage."""

import contextlib
import random
import ssl
import struct
from collections.abc import Callable

import pytest
import trustme
from OpenSSL import SSL

from smtpx.net.server_hello import group_in

CERTIFICATE = trustme.CA().issue_cert("localhost", key_type=trustme.KeyType.RSA)


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    client, server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    CERTIFICATE.configure_cert(server)
    return client, server


def said_by_server(client: ssl.SSLContext, server: ssl.SSLContext) -> bytes:
    """What the server says in a handshake."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True)]
    said = b""
    for _ in range(4):
        for index, end in enumerate(ends):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
            if index:
                octets = to_client.read()
                said += octets
                to_client.write(octets)
    return said


def by_openssl() -> bytes:
    """Between two ends of an OpenSSL that knows hybrid groups, and prefers one."""
    contexts = [SSL.Context(SSL.TLS_METHOD) for _ in range(2)]
    CERTIFICATE.configure_cert(contexts[1])
    client, server = (SSL.Connection(each, None) for each in contexts)
    client.set_connect_state()
    server.set_accept_state()
    said = b""
    for _ in range(3):
        for one, other in ((client, server), (server, client)):
            with contextlib.suppress(SSL.WantReadError):
                one.do_handshake()
            try:
                octets = one.bio_read(65536)
            except SSL.WantReadError:
                continue
            said += octets if one is server else b""
            other.bio_write(octets)
    return said


def test_a_hybrid_group() -> None:
    assert group_in(by_openssl()) == "X25519MLKEM768"


def prefer(curve: str) -> Callable[[ssl.SSLContext, ssl.SSLContext], None]:
    return lambda _, server: server.set_ecdh_curve(curve)


def tls_1_2(curve: str) -> Callable[[ssl.SSLContext, ssl.SSLContext], None]:
    def change(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        server.set_ecdh_curve(curve)

    return change


@pytest.mark.parametrize(
    ("change", "group"),
    [
        (lambda *_: None, "X25519"),
        (prefer("secp384r1"), "secp384r1"),  # by a HelloRetryRequest
        (tls_1_2("secp521r1"), "secp521r1"),
        (tls_1_2("X25519"), "X25519"),
    ],
)
def test_what_this_python_agrees_on(change: Callable[..., None], group: str) -> None:
    client, server = contexts()
    change(client, server)
    assert group_in(said_by_server(client, server)) == group


def test_no_group_without_such_an_exchange() -> None:
    client, server = contexts()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    for context in (client, server):
        context.set_ciphers("AES128-GCM-SHA256")
    assert group_in(said_by_server(client, server)) is None


def test_every_cut_and_every_damage_is_a_group_or_none() -> None:
    client, server = contexts()
    whole = said_by_server(client, server)
    for cut in range(len(whole)):
        assert group_in(whole[:cut]) in ("X25519", None)
    seed = random.Random(7)
    for _ in range(2000):
        damaged = bytearray(whole[:200])
        for _ in range(4):
            damaged[seed.randrange(len(damaged))] = seed.randrange(256)
        found = group_in(bytes(damaged))
        assert found is None or isinstance(found, str)
    assert group_in(b"220 mail.example ready\r\n") is None


def record(*messages: bytes) -> bytes:
    body = b"".join(messages)
    return struct.pack("!BHH", 0x16, 0x0303, len(body)) + body


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def hello(extensions: bytes | None) -> bytes:
    head = b"\3\3" + bytes(32) + b"\0" + b"\x13\1" + b"\0"
    return message(2, head if extensions is None else head + struct.pack("!H", len(extensions)) + extensions)


def test_odd_hellos() -> None:
    share = struct.pack("!HHH", 51, 2, 0x2A2A)
    assert group_in(record(hello(share))) == "group 0x2a2a"
    assert group_in(record(hello(struct.pack("!HHH", 43, 2, 0x0304) + share))) == "group 0x2a2a"
    for none in (None, b"", struct.pack("!HH", 51, 0), struct.pack("!HHH", 43, 2, 0x0304)):
        assert group_in(record(hello(none))) is None
    explicit = message(12, b"\1" + bytes(20))
    assert group_in(record(hello(None), explicit)) is None
    one = record(message(12, b"\3\0\x1d" + bytes(5)))
    alert = struct.pack("!BHH", 0x15, 0x0303, 2) + b"\2\x28"
    assert group_in(alert + one) == "X25519"
    split = hello(share)
    assert group_in(record(split[:9]) + record(split[9:])) == "group 0x2a2a"
