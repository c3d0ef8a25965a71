"""The PROXY protocol, versions 1 and 2: a balancer in front says who the client is.

Whoever may speak to such a listener may claim any address; so only trusted peers may, and a header that is not exactly
right ends the connection without a word.
"""

import ipaddress
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["DEFAULT_TRUSTED", "ProxyError", "ProxyHeader", "ProxyParser", "beyond_default", "is_trusted"]

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_MAX_V1_BYTES = 107  # with CRLF
_MAX_V2_BODY = 4096
_CRC32C = 0x03

DEFAULT_TRUSTED = tuple(
    ipaddress.ip_network(text)
    for text in ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
"""Loopback, RFC 1918, RFC 4193; unix sockets are trusted as well."""


class ProxyError(ValueError):
    """Not a PROXY header, or one that makes no sense."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What a header says. `source` is None when the connection's own address counts (LOCAL, UNKNOWN).

    `tlvs` are the version 2 extras, by type, as octets.
    """

    source: tuple[str, int] | None
    destination: tuple[str, int] | None = None
    tlvs: dict[int, bytes] = field(default_factory=dict[int, bytes])


def is_trusted(
    address: str, trusted: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = DEFAULT_TRUSTED
) -> bool:
    """Whether a peer may say who its client is. An address that is none (a unix socket) is trusted."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True
    mapped = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(mapped in network for network in trusted)


def beyond_default(trusted: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> list[str]:
    """The networks that hold addresses which are not private: whoever trusts them should know."""
    private: list[Any] = list(DEFAULT_TRUSTED)  # subnet_of wants both of one version, which is looked at here
    return [
        str(each) for each in trusted if not any(each.version == own.version and each.subnet_of(own) for own in private)
    ]


class ProxyParser:
    """Reads one header from the first octets of a connection, however they are cut."""

    def __init__(self) -> None:
        self._input = b""

    def feed(self, data: bytes) -> tuple[ProxyHeader, bytes] | None:
        """Take octets; the header and what stands behind it once it is complete.

        Raises:
            ProxyError: as soon as it can't become a header any more.
        """
        self._input += data
        octets = self._input
        if _SIGNATURE.startswith(octets[: len(_SIGNATURE)]):
            return _version_2(octets) if len(octets) >= 16 else None
        if b"PROXY ".startswith(octets[:6]):
            return _version_1(octets)
        raise ProxyError("not a PROXY header")


def _version_1(octets: bytes) -> tuple[ProxyHeader, bytes] | None:
    end = octets.find(b"\n")
    if end < 0 and len(octets) < _MAX_V1_BYTES:
        return None
    if not 0 <= end < _MAX_V1_BYTES or octets[end - 1 : end] != b"\r":
        raise ProxyError("a version 1 header is one line of at most 107 octets that ends in CRLF")
    line, rest = octets[: end - 1], octets[end + 1 :]
    if line.startswith(b"PROXY UNKNOWN"):
        return ProxyHeader(None), rest
    words = line.decode("ascii", "replace").split(" ")
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise ProxyError("a version 1 header has six words")
    kind = ipaddress.IPv4Address if words[1] == "TCP4" else ipaddress.IPv6Address
    if b"%" in line:  # a zone may be any text, a bare CR too, and addresses go into header fields
        raise ProxyError("a zone in a version 1 header")
    try:
        source, destination = str(kind(words[2])), str(kind(words[3]))
    except ValueError:
        raise ProxyError("a bad address in a version 1 header") from None
    return ProxyHeader((source, _port(words[4])), (destination, _port(words[5]))), rest


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or str(int(text)) != text or int(text) > 65535:
        raise ProxyError("a bad port in a version 1 header")
    return int(text)


def _version_2(octets: bytes) -> tuple[ProxyHeader, bytes] | None:
    version, family, length = struct.unpack_from("!BBH", octets, 12)
    if version >> 4 != 2 or version & 15 > 1 or length > _MAX_V2_BODY:
        raise ProxyError("not version 2, an unknown command, or too long")
    if len(octets) < 16 + length:
        return None
    body, rest = octets[16 : 16 + length], octets[16 + length :]
    if version & 15 == 0:  # LOCAL: the rest is discarded, the family too (2.2)
        return ProxyHeader(None), rest
    size, source, destination = _addresses(family >> 4, body)
    tlvs = _tlvs(body[size:])
    _check_crc(octets[: 16 + length], tlvs)
    return ProxyHeader(source, destination, tlvs), rest


_Addresses = tuple[int, tuple[str, int] | None, tuple[str, int] | None]


def _addresses(family: int, body: bytes) -> _Addresses:
    if family in (0, 3):  # unspecified; unix paths, which say nothing about a network
        size = 216 if family == 3 else 0
        if len(body) < size:
            raise ProxyError("the addresses are cut short")
        return size, None, None
    form, width = {1: ("!4s4sHH", 12), 2: ("!16s16sHH", 36)}.get(family, ("", 0))
    if not form or len(body) < width:
        raise ProxyError("an unknown address family, or addresses cut short")
    source, destination, source_port, destination_port = struct.unpack_from(form, body)
    return (
        width,
        (str(ipaddress.ip_address(source)), source_port),
        (str(ipaddress.ip_address(destination)), destination_port),
    )


def _tlvs(octets: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while octets:
        if len(octets) < 3:
            raise ProxyError("an extra is cut short")
        kind, length = struct.unpack_from("!BH", octets)
        if len(octets) < 3 + length:
            raise ProxyError("an extra runs past the end")
        found[kind] = octets[3 : 3 + length]
        octets = octets[3 + length :]
    return found


def _check_crc(header: bytes, tlvs: dict[int, bytes]) -> None:
    given = tlvs.get(_CRC32C)
    if given is None:
        return
    if len(given) != 4:
        raise ProxyError("a checksum has four octets")
    # The checksum is taken with its own field as zeros.
    position = header.rindex(struct.pack("!BH", _CRC32C, 4) + given) + 3
    zeroed = header[:position] + bytes(4) + header[position + 4 :]
    if _crc32c(zeroed) != int.from_bytes(given, "big"):
        raise ProxyError("the checksum is wrong")


def _crc32c(octets: bytes) -> int:
    crc = 0xFFFFFFFF
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
