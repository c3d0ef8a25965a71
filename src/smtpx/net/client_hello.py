"""Looks into a ClientHello (RFC 8446 4.1.2) for the protocols a client wants to speak (ALPN, RFC 7301).

Python's ssl goes on without a protocol where client and server have none in common, so a browser that is sent to a mail
server by a page (ALPACA) gets its TLS. Who owns the buffer in front of the TLS layer can look first.
"""

import struct

__all__ = ["AlpnWatch"]

_HANDSHAKE = 0x16
_CLIENT_HELLO = 1
_ALPN = 16
_MAX_BYTES = 65_536


class AlpnWatch:
    """Reads what a client sends first, however it is cut.

    Args:
        wanted: protocol names, of which a client that names any must name one.
    """

    def __init__(self, wanted: frozenset[bytes]) -> None:
        self._wanted = wanted
        self._seen = 0
        self._record = bytearray()  # one that is not complete
        self._message = bytearray()  # what complete records have brought
        self._is_done = False

    def allows(self, data: bytes) -> bool:
        """Whether the client may go on, as far as can be known by now. What is no ClientHello is left to TLS."""
        if self._is_done:
            return True
        self._seen += len(data)
        try:
            hello = self._hello(data)
            if hello is None:
                self._is_done = self._seen > _MAX_BYTES
                return True
            names = _alpn(hello)
        except (struct.error, IndexError, ValueError):
            names = None
        self._is_done = True
        self._record.clear()
        self._message.clear()
        return names is None or not self._wanted.isdisjoint(names)

    def _hello(self, data: bytes) -> bytes | None:
        """The ClientHello's body once it is complete, out of one record or several; each is looked at once."""
        record, message, start = self._record, self._message, 0
        record += data
        while len(record) - start >= 5:
            kind, _, length = struct.unpack_from("!BHH", record, start)
            if kind != _HANDSHAKE:
                raise ValueError("not a handshake")
            if len(record) - start < 5 + length:
                break
            message += record[start + 5 : start + 5 + length]
            start += 5 + length
            if len(message) >= 4:
                if message[0] != _CLIENT_HELLO:
                    raise ValueError("not a ClientHello")
                size = int.from_bytes(message[1:4], "big")
                if len(message) >= 4 + size:
                    return bytes(message[4 : 4 + size])
        del record[:start]
        return None


def _alpn(hello: bytes) -> list[bytes] | None:
    """The names in the ALPN extension; None when there is none."""
    position = 2 + 32
    position += 1 + hello[position]  # session id
    position += 2 + struct.unpack_from("!H", hello, position)[0]  # cipher suites
    position += 1 + hello[position]  # compression methods
    end = position + 2 + struct.unpack_from("!H", hello, position)[0]
    position += 2
    while position < end:
        kind, length = struct.unpack_from("!HH", hello, position)
        if kind == _ALPN:
            return _names(hello[position + 6 : position + 4 + length])
        position += 4 + length
    return None


def _names(octets: bytes) -> list[bytes]:
    names: list[bytes] = []
    while octets:
        names.append(octets[1 : 1 + octets[0]])
        octets = octets[1 + octets[0] :]
    return names
