"""What a client says it wants to speak, out of real ClientHellos (H048)."""

# ruff: noqa: ANN401 - as bytearray has it
import ssl
from typing import Any

import pytest

from smtpx.net.client_hello import AlpnWatch
from smtpx.net.tls import TLSLayer, client_context

MAIL = frozenset({b"smtp", b"esmtp"})


def hello(*names: str) -> bytes:
    context = client_context(verify=False)
    if names:
        context.set_alpn_protocols(list(names))
    layer = TLSLayer(context, server_hostname="mail.example.org")
    layer.start()
    return layer.output()


def in_two_records(octets: bytes, at: int) -> bytes:
    body = octets[5:]
    pieces = body[:at], body[at:]
    return b"".join(octets[:3] + len(piece).to_bytes(2, "big") + piece for piece in pieces)


@pytest.mark.parametrize(
    ("names", "allowed"),
    [((), True), (("smtp",), True), (("h2", "esmtp"), True), (("http/1.1",), False), (("h2", "http/1.1"), False)],
)
def test_h048_who_names_protocols_must_name_ours(names: tuple[str, ...], allowed: bool) -> None:
    octets = hello(*names)
    assert AlpnWatch(MAIL).allows(octets) is allowed
    watch = AlpnWatch(MAIL)
    answers = [watch.allows(octets[i : i + 1]) for i in range(len(octets))]
    assert all(answers[:-1])
    assert answers[-1] is allowed
    for at in (1, 3, 4, 40, 100):
        assert AlpnWatch(MAIL).allows(in_two_records(octets, at)) is allowed


@pytest.mark.parametrize(
    "octets",
    [
        b"EHLO x\r\n",
        b"\x15\x03\x01\x00\x02\x01\x00",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
        b"\x16\x03\x01\x00\x04\x01\x00\x00\x00",
        b"\x16\x03\x01\x00\x28\x01\x00\x00\x24" + b"\xff" * 36,
    ],
)
def test_what_is_no_client_hello_is_left_to_tls(octets: bytes) -> None:
    watch = AlpnWatch(MAIL)
    assert watch.allows(octets)
    assert watch.allows(hello("h2"))  # it has looked once


def test_an_endless_client_hello_is_left_to_tls() -> None:
    watch = AlpnWatch(MAIL)
    record = b"\x16\x03\x01\x40\x00" + b"\x01\xff\xff\xff" + bytes(0x4000 - 4)
    for _ in range(5):
        assert watch.allows(record)
    assert watch._is_done


def test_the_watch_looks_only_at_the_first() -> None:
    watch = AlpnWatch(MAIL)
    assert watch.allows(hello("smtp"))
    assert watch.allows(hello("h2"))
    assert ssl.HAS_ALPN


def test_tiny_records_are_looked_at_once() -> None:
    class Counted(bytearray):
        copied = 0

        def __getitem__(self, key: Any) -> Any:
            piece = super().__getitem__(key)
            Counted.copied += len(piece) if isinstance(piece, bytearray) else 0
            return piece

    watch = AlpnWatch(MAIL)
    watch._record, watch._message = Counted(), Counted()
    flood = b"".join(b"\x16\x03\x01\x00\x01" + bytes([octet]) for octet in (1, 0, 0xFF, 0xFF, *bytes(2000)))
    for octet in flood:
        assert watch.allows(bytes([octet]))
    assert Counted.copied <= len(flood)
    assert len(watch._record) <= 6
