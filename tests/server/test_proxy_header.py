"""PROXY headers, good and bad (H093)."""

import ipaddress
import struct

import pytest

from smtpx.server.proxy_header import DEFAULT_TRUSTED, ProxyError, ProxyHeader, ProxyParser, beyond_default, is_trusted
from smtpx.server.proxy_header import _crc32c as crc32c  # pyright: ignore[reportPrivateUsage]

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command: int = 1, family: int = 0x11, body: bytes | None = None, *, length: int | None = None) -> bytes:
    if body is None:
        body = bytes([192, 0, 2, 1, 192, 0, 2, 2]) + struct.pack("!HH", 1234, 25)
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(body) if length is None else length) + body


def parse(octets: bytes, size: int | None = None) -> tuple[ProxyHeader, bytes] | None:
    parser = ProxyParser()
    size = size or len(octets)
    for start in range(0, len(octets), size):
        found = parser.feed(octets[start : start + size])
        if found is not None:
            header, rest = found
            return header, rest + octets[start + size :]
    return None


GOOD = [
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 25\r\n", ("192.0.2.1", 1234)),
    (b"PROXY TCP6 2001:db8::1 2001:db8::2 1234 25\r\n", ("2001:db8::1", 1234)),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff:ffff 2001:db8::2 65535 65535\r\n", None),
    (v2(), ("192.0.2.1", 1234)),
    (v2(family=0x21, body=bytes(15) + b"\1" + bytes(16) + struct.pack("!HH", 7, 25)), ("::1", 7)),
    (v2(command=0), None),
    (v2(command=0, family=0, body=b""), None),
    (v2(command=0, body=b""), None),
    (v2(command=0, body=b"x" * 50), None),
    (v2(command=0, family=0x99, body=b"xy"), None),
    (v2(family=0x31, body=bytes(216)), None),
]


@pytest.mark.parametrize("size", [None, 1, 2, 13])
@pytest.mark.parametrize(("octets", "source"), GOOD)
def test_h093_good_headers(octets: bytes, source: tuple[str, int] | None, size: int | None) -> None:
    found = parse(octets + b"EHLO x\r\n", size)
    assert found is not None
    assert found[0].source == source
    assert found[1] == b"EHLO x\r\n"


def test_h093_v1_of_107_octets_is_taken_and_of_108_is_not() -> None:
    line = b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n"
    assert len(line) == 107
    assert parse(line) is not None
    with pytest.raises(ProxyError):
        parse(line[:-2] + b"x\r\n")
    with pytest.raises(ProxyError):
        parse(b"PROXY UNKNOWN " + b"x" * 200)


BAD = [
    b"EHLO x\r\n",
    b"proxy TCP4 192.0.2.1 192.0.2.2 1 25\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\n",
    b"PROXY TCP4 192.0.2.1  192.0.2.2 1 25\r\n",
    b"PROXY TCP4 192.0.2.256 192.0.2.2 1 25\r\n",
    b"PROXY TCP4 192.0.2.01 192.0.2.2 1 25\r\n",
    b"PROXY TCP4 2001:db8::1 192.0.2.2 1 25\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 01 25\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 25\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 \xb2 25\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::1 1 25\r\n",
    b"PROXY TCP6 fe80::1%a\rb ::1 1 25\r\n",
    b"PROXY TCP5 192.0.2.1 192.0.2.2 1 25\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
    SIGNATURE + struct.pack("!BBH", 0x11, 0x11, 0),
    SIGNATURE + struct.pack("!BBH", 0x22, 0x11, 0),
    SIGNATURE + struct.pack("!BBH", 0x21, 0x11, 4097),
    v2(body=bytes(11)),
    v2(family=0x41),
    v2(family=0x31, body=bytes(215)),
    v2(body=bytes(12) + b"\x01\x00"),
    v2(body=bytes(12) + b"\x01\x00\x05abcd"),
    v2(body=bytes(12) + b"\x03\x00\x02ab"),
    v2(body=bytes(12) + b"\x03\x00\x04abcd"),
]


@pytest.mark.parametrize("size", [None, 1])
@pytest.mark.parametrize("octets", BAD)
def test_h093_bad_headers(octets: bytes, size: int | None) -> None:
    with pytest.raises(ProxyError):
        parse(octets, size)


@pytest.mark.parametrize("index", range(12))
def test_h093_v2_signature_wrong_in_any_octet(index: int) -> None:
    octets = bytearray(v2())
    octets[index] ^= 1
    with pytest.raises(ProxyError):
        parse(bytes(octets) + b"\r\n")


@pytest.mark.parametrize("octets", [v2(), GOOD[0][0]])
def test_an_unfinished_header_is_waited_for(octets: bytes) -> None:
    for end in range(1, len(octets)):
        assert parse(octets[:end]) is None


def test_crc32c_is_the_one_of_rfc_3720() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA


def test_v2_with_a_good_checksum_and_other_extras() -> None:
    empty = v2(body=bytes(12) + b"\x02\x00\x04mail" + b"\x03\x00\x04" + bytes(4))
    octets = empty[:-4] + crc32c(empty).to_bytes(4, "big")
    found = parse(octets)
    assert found is not None
    assert found[0].tlvs[2] == b"mail"


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:10.0.0.1", True),
        ("192.168.1.1", True),
        ("fd00::1", True),
        ("unix", True),
        ("192.0.2.1", False),
        ("2001:db8::1", False),
        ("fe80::1%eth0", False),
    ],
)
def test_h093_who_is_trusted(address: str, trusted: bool) -> None:
    assert is_trusted(address) is trusted


def test_section_7_trust_beyond_private_addresses() -> None:
    assert beyond_default(DEFAULT_TRUSTED) == []
    networks = [ipaddress.ip_network(each) for each in ("10.1.0.0/16", "9.0.0.0/8", "fd00::/8", "::/1", "127.0.0.1/32")]
    assert beyond_default(networks) == ["9.0.0.0/8", "::/1"]
